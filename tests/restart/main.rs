//! The program killed in the middle of registrations and short messages (kill -9), again and again: no SIM is given a sequence number
//! twice, what was acknowledged, to phones or to the operator, is delivered after all, nothing comes twice that its phone has
//! acknowledged, and phones are registered as they were told last.

mod operator;
mod sim;
mod texts;

use imsbox::base::rng::Rng;
use sim::Phone;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;
use texts::Texts;

/// How often the program is killed.
const CRASHES: usize = 201;

/// How often with a SIM that it does not know.
const FIRST: usize = 10;

/// Long enough for the most loaded machine: only a failure waits for it.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A folder with a configuration, removed at the end of the test.
struct Folder(PathBuf);

/// How many there have been.
static FOLDERS: AtomicU8 = AtomicU8::new(0);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("imsbox-restart-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        let user = "sim_algo: \"xor\", imsi: \"001010123456789\", K: \"00112233445566778899aabbccddeeff\", multi_sim: true";
        let [alice, bob] = [("alice", "601"), ("bob", "602")].map(|(name, number)| {
            format!(
                "impi: \"{name}@example.org\", domain: \"example.org\", authent_type: \"none\", \
                 impu: [\"sip:{name}@example.org\", \"tel:{number}\"]"
            )
        });
        // the same socket after each crash, or its registrations are lost; nobody else's
        let [.., high, low] = std::process::id().to_be_bytes();
        let own = 77 + FOLDERS.fetch_add(1, Ordering::Relaxed);
        let text = format!(
            "sip_addr: \"127.{own}.{high}.{low}:5060\", monitor_socket: \"monitor.sock\", log_filename: \"ims.log\", ue_db_filename: \"state.db\",\n\
             ue_db: [{{ {user}, impu: \"tel:600\" }}, {{ {alice} }}, {{ {bob} }}],\n"
        );
        fs::write(path.join("ims.cfg"), text).unwrap();
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The running program, killed with SIGKILL when it is dropped.
struct Program {
    child: Child,
    sip: SocketAddr,
}

impl Program {
    fn start(folder: &Folder) -> Program {
        let mut command = Command::new(env!("CARGO_BIN_EXE_imsbox"));
        command.arg(folder.0.join("ims.cfg")).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.env("NO_COLOR", "1").env("HOME", "/nonexistent").spawn().unwrap();
        let mut banner = String::new();
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            banner += &format!("{line}\n");
            if line.starts_with("ready") {
                break;
            }
        }
        let words = banner.split(|c: char| c.is_whitespace() || c == ',');
        let sip = words.filter_map(|word| word.parse().ok()).find(|a: &SocketAddr| a.port() != 0);
        Program { child, sip: sip.unwrap_or_else(|| panic!("no address in\n{banner}")) }
    }
}

impl Program {
    /// Ends it as a service manager does; its state is stored.
    fn end(mut self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn crashes_repeat_no_sequence_number_and_lose_no_registration_and_lose_or_double_no_text() {
    let folder = Folder::new("phones");
    // one whose SIM is ahead, one that is fresh, one whose SIM lags behind what the others make of the common number
    let mut phones = [
        Phone::new("861309050000380", 0x40_0000),
        Phone::new("356938035643800", 0),
        Phone::new("490154203237518", 7),
    ];
    let mut texts = Texts::new();
    let mut rng = Rng::from_seed(5);
    for round in 0..CRASHES {
        let program = Program::start(&folder);
        let phone = &mut phones[round % 3];
        phone.attempt(program.sip, false);
        texts.exchange(program.sip, &mut rng);
        // challenges whose numbers may not have reached the disk when the program dies
        (0..2).for_each(|_| phone.attempt(program.sip, true));
        texts.last_word(program.sip, &mut rng);
        drop(program);
        texts.drain();
    }
    for phone in &phones {
        assert!(phone.given.len() >= 3 * (CRASHES / 3));
        assert!(phone.given.is_sorted_by(|a, b| a < b), "{}: {:x?}", phone.imei, phone.given);
        assert_eq!(phone.resyncs, usize::from(phone.imei == "861309050000380"), "{}", phone.imei);
    }
    let program = Program::start(&folder);
    texts.finish(program.sip);
    program.end();
}

#[test]
fn a_crash_right_after_the_first_challenge_of_a_sim_does_not_repeat_its_number() {
    let folder = Folder::new("first");
    for _ in 0..FIRST {
        let mut phone = Phone::new("356938035643800", 0);
        for _ in 0..2 {
            let program = Program::start(&folder);
            phone.attempt(program.sip, true);
            drop(program);
        }
        assert!(phone.given.is_sorted_by(|a, b| a < b), "{:x?}", phone.given);
        fs::remove_file(folder.0.join("state.db")).unwrap();
    }
}
