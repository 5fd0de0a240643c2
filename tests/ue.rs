//! The soft UE against the program, both as a person starts them: registrations, calls, what goes wrong and what is said then.

#[path = "ue/auth.rs"]
mod auth;
#[path = "ue/calls.rs"]
mod calls;
#[path = "ue/echo.rs"]
mod echo;
#[path = "ue/emergency.rs"]
mod emergency;
#[path = "ue/mt_call.rs"]
mod mt_call;
#[path = "ue/reg_event.rs"]
mod reg_event;
#[path = "ue/relay.rs"]
mod relay;
#[path = "ue/sound.rs"]
mod sound;
#[path = "ue/texts.rs"]
mod texts;

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

/// Long enough for the most loaded machine: only a failure waits for it.
const DEADLINE: Duration = Duration::from_secs(100);

/// The users of all tests: their keys are those of public test data.
const USERS: &str = r#"
domain: "example.org",
echo: ["tel:666", { impu: "tel:668", ring_only: true }, { impu: "tel:669", code: 486 }],
ue_db: [
  { impi: "alice", pwd: "alice-secret", impu: ["sip:alice", "tel:0001"] },
  { impi: "bob", pwd: "bob-secret", authent_qop: "auth", impu: ["sip:bob", "tel:0002"] },
  { impi: "carol", pwd: "carol-secret", impu: ["sip:carol", "tel:0003"] },
  { imsi: "001010123456789", sim_algo: "xor", K: "00112233445566778899aabbccddeeff", impu: "tel:600" },
  { imsi: "001010000000003", sim_algo: "milenage", K: "fec86ba6eb707ed08905757b1bb44b8f",
    op: "dbc59adcb6f9a0ef735477b7fadf8374", impu: "tel:603" },
  { imsi: "001010000000004", sim_algo: "tuak", K: "abababababababababababababababab",
    top: "5555555555555555555555555555555555555555555555555555555555555555", impu: "tel:604" },
],
"#;

const ALICE: &[&str] = &["--impi", "alice", "--domain", "example.org", "--password", "alice-secret"];
const BOB: &[&str] = &["--impi", "bob", "--domain", "example.org", "--password", "bob-secret"];
const CAROL: &[&str] = &["--impi", "carol", "--domain", "example.org", "--password", "carol-secret"];
const XOR: &[&str] = &["--imsi", "001010123456789", "--k", "00112233445566778899aabbccddeeff"];
const MILENAGE: &[&str] = &[
    "--imsi",
    "001010000000003",
    "--k",
    "fec86ba6eb707ed08905757b1bb44b8f",
    "--op",
    "dbc59adcb6f9a0ef735477b7fadf8374",
];
const TUAK: &[&str] = &[
    "--imsi",
    "001010000000004",
    "--k",
    "abababababababababababababababab",
    "--top",
    "5555555555555555555555555555555555555555555555555555555555555555",
];

/// How many requests of a method the messages in a text show; one that was sent again over UDP counts once.
fn requests(text: &str, method: &str) -> usize {
    let start = format!("    {method} sip:");
    let vias = text.split(&start).skip(1).filter_map(|message| message.lines().nth(1));
    vias.collect::<BTreeSet<_>>().len()
}

/// A program whose output is read line by line, killed if the test ends before it does.
struct Running {
    child: Child,
    /// Behind a lock, so that phones can be started side by side.
    lines: Mutex<Receiver<String>>,
    seen: Vec<String>,
}

impl Running {
    fn start(command: &mut Command) -> Running {
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (send, lines) = channel();
        let errors = send.clone();
        let (out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        thread::spawn(move || {
            BufReader::new(out).lines().map_while(Result::ok).try_for_each(|l| send.send(l))
        });
        thread::spawn(move || {
            BufReader::new(err).lines().map_while(Result::ok).try_for_each(|l| errors.send(l))
        });
        Running { child, lines: Mutex::new(lines), seen: Vec::new() }
    }

    /// Reads until a line holds this text.
    fn until(&mut self, text: &str) -> &mut Running {
        let deadline = Instant::now() + DEADLINE;
        loop {
            match self
                .lines
                .get_mut()
                .unwrap()
                .recv_timeout(deadline.saturating_duration_since(Instant::now()))
            {
                Ok(line) => {
                    self.seen.push(line);
                    if self.seen.last().is_some_and(|line| line.contains(text)) {
                        return self;
                    }
                }
                Err(_) => panic!("no line has {text:?}:\n{}", self.seen.join("\n")),
            }
        }
    }

    /// Reads to the end: the exit status and all that was printed.
    fn end(mut self) -> (ExitStatus, String) {
        let deadline = Instant::now() + DEADLINE;
        // the output ends when the program does
        loop {
            match self
                .lines
                .get_mut()
                .unwrap()
                .recv_timeout(deadline.saturating_duration_since(Instant::now()))
            {
                Ok(line) => self.seen.push(line),
                Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => break,
                Err(_) => panic!("the program does not end:\n{}", self.seen.join("\n")),
            }
        }
        (self.child.wait().unwrap(), self.seen.join("\n"))
    }

    /// Reads to the end, which is to be a good one.
    fn succeeds(self) -> String {
        let (status, text) = self.end();
        assert_eq!(status.code(), Some(0), "{text}");
        text
    }

    /// Reads to the end, which is to be a bad one.
    fn fails(self, code: i32) -> String {
        let (status, text) = self.end();
        assert_eq!(status.code(), Some(code), "{text}");
        text
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An IMS on free ports of this machine, with a folder of its own.
struct Ims {
    program: Option<Running>,
    folder: PathBuf,
}

impl Ims {
    fn start(name: &str) -> Ims {
        Ims::with(name, USERS)
    }

    fn with(name: &str, users: &str) -> Ims {
        Ims::with_files(name, users, &[])
    }

    /// The same, with files beside the configuration.
    fn with_files(name: &str, users: &str, files: &[(&str, &str)]) -> Ims {
        // two tests may have the same name for theirs
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Relaxed);
        let folder = std::env::temp_dir().join(format!("imsbox-ue-{name}-{}-{number}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        let text = format!(
            r#"sip_addr: ["127.0.0.1:0", "[::1]:0"], monitor_socket: "monitor.sock", log_filename: "ims.log",
            log_options: "all.level=info", timer_t1: 0.5, timer_t2: 4, timer_t4: 5, {users}"#
        );
        fs::write(folder.join("ims.cfg"), text).unwrap();
        files.iter().for_each(|(name, text)| fs::write(folder.join(name), text).unwrap());
        let mut ims = Ims { program: None, folder };
        ims.run();
        ims
    }

    fn run(&mut self) {
        let mut program =
            Running::start(Command::new(env!("CARGO_BIN_EXE_imsbox")).arg(self.folder.join("ims.cfg")));
        program.until("ready");
        self.program = Some(program);
    }

    /// Where SIP is listened for: `UDP 127.0.0.1` and the like.
    fn address(&self, on: &str) -> String {
        let wanted = format!("SIP on {on}:");
        let banner = &self.program.as_ref().unwrap().seen;
        let line = banner.iter().find(|l| l.contains(&wanted)).unwrap_or_else(|| panic!("{on}: {banner:?}"));
        let port = line.rsplit(':').next().unwrap();
        format!("{}:{port}", on.split_once(' ').unwrap().1)
    }

    /// A phone of this network, over UDP and IPv4, that does these things.
    fn phone(&self, who: &[&str], commands: &str) -> Running {
        self.phone_on("UDP 127.0.0.1", who, commands)
    }

    fn phone_on(&self, on: &str, who: &[&str], commands: &str) -> Running {
        let mut command = Command::new(env!("CARGO_BIN_EXE_imsbox-ue"));
        command.env("XDG_STATE_HOME", &self.folder).arg("--pcscf").arg(self.address(on)).args(who);
        if on.starts_with("TCP") {
            command.arg("--tcp");
        }
        Running::start(command.arg(commands))
    }

    /// Ends the program; its log.
    fn stop(&mut self) -> String {
        let program = self.program.take().unwrap();
        let pid = program.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        program.succeeds();
        let mut log = String::new();
        fs::File::open(self.folder.join("ims.log")).unwrap().read_to_string(&mut log).unwrap();
        log
    }
}

impl Drop for Ims {
    fn drop(&mut self) {
        self.program = None;
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Does something for each of these at the same time: most of a call is waiting.
fn at_once<T: Copy + Send + Sync>(all: &[T], each: impl Fn(T) + Sync) {
    thread::scope(|scope| all.iter().for_each(|one| drop(scope.spawn(|| each(*one)))));
}

/// The transports and versions of IP.
const WAYS: [&str; 4] = ["UDP 127.0.0.1", "TCP 127.0.0.1", "UDP [::1]", "TCP [::1]"];

#[test]
fn each_algorithm_registers_over_each_transport() {
    let ims = Ims::start("algorithms");
    for on in WAYS {
        for (who, identity) in [
            (ALICE, "sip:alice@example.org, tel:0001"),
            (BOB, "sip:bob@example.org, tel:0002"),
            (XOR, "tel:600"),
            (MILENAGE, "tel:603"),
            (TUAK, "tel:604"),
        ] {
            let text =
                ims.phone_on(on, who, "register; expect registered; expect code 200; status").succeeds();
            let mut lines = text.lines();
            // a SIM has keys for IPsec, and the phone says why it goes on without
            if who.contains(&"--k") {
                let line = lines.next().unwrap_or_default();
                assert!(line.starts_with("without IPsec: the P-CSCF is on this machine"), "{on}: {text}");
            }
            let line = lines.next().unwrap_or_default();
            assert!(line.starts_with("registered as ") && line.contains(identity), "{on}: {text}");
            assert!(line.ends_with(" for 3600 s"), "{on}: {text}");
            assert!(text.ends_with("\nderegistered"), "{on}: {text}");
        }
    }
}

#[test]
fn two_phones_talk_without_loss() {
    let ims = Ims::start("talk");
    for (caller_on, callee_on) in [(WAYS[0], WAYS[1]), (WAYS[3], WAYS[2])] {
        let script = "register; auto-answer on; wait ended 60; expect code 200; expect rtp-lost 0; expect rtp-received > 50";
        let mut callee = ims.phone_on(callee_on, BOB, script);
        callee.until("registered as");
        let script = "register; call bob 2; expect rtp-loss = 0; expect rtp-received > 50; expect echo 0";
        let caller = ims.phone_on(caller_on, ALICE, script).succeeds();
        assert!(caller.contains("\nringing\ncall with sip:bob@example.org is answered, PCMA\n"), "{caller}");
        let callee = callee.succeeds();
        assert!(callee.contains("incoming call from sip:alice@example.org"), "{callee}");
        assert!(callee.contains("call ended: the other side hung up"), "{callee}");
    }
}

#[test]
fn an_echo_comes_back_bit_by_bit() {
    let ims = Ims::start("echo");
    for (on, codecs) in [(WAYS[0], "PCMA"), (WAYS[1], "PCMU"), (WAYS[2], "AMR-WB,PCMU"), (WAYS[3], "PCMA")] {
        let who = [ALICE, &["--codecs", codecs]].concat();
        let script = "register; call 666 1; expect rtp-loss = 0; expect rtp-received > 20; expect echo = 100";
        let text = ims.phone_on(on, &who, script).succeeds();
        assert!(text.contains("an echo, bit by bit what was sent"), "{on}: {text}");
    }
}

#[test]
fn a_call_is_held_and_goes_on() {
    let ims = Ims::start("hold");
    let script = "register; wait incoming 60; answer; wait held; wait resumed; wait ended; expect rtp-lost 0";
    let mut callee = ims.phone(XOR, script);
    callee.until("registered as");
    let script = "register; call 600; wait answered; sleep 0.3; hold; sleep 0.3; resume; sleep 0.3; hangup; \
                  expect rtp-lost 0; expect rtp-received > 5";
    let caller = ims.phone(MILENAGE, script).succeeds();
    assert!(caller.contains("the call is held\nthe call goes on\ncall ended: we hung up"), "{caller}");
    let callee = callee.succeeds();
    assert!(
        callee.contains("the other side holds the call\nthe other side goes on with the call"),
        "{callee}"
    );
}

#[test]
fn the_callee_may_hold_and_hang_up_too() {
    let ims = Ims::start("callee");
    let script = "register; auto-answer 0.2; wait answered 60; hold; resume; hangup";
    let mut callee = ims.phone_on(WAYS[3], BOB, script);
    callee.until("registered as");
    let script = "register; call 0002; wait held; wait resumed; wait ended; expect code 200; expect idle";
    let caller = ims.phone(ALICE, script).succeeds();
    assert!(caller.contains("call ended: "), "{caller}");
    assert!(callee.succeeds().contains("call ended: we hung up"));
}

#[test]
fn who_is_in_a_call_is_busy() {
    let ims = Ims::start("busy");
    let mut callee = ims.phone(BOB, "register; auto-answer on; wait ended 60");
    callee.until("registered as");
    let mut first = ims.phone(ALICE, "register; call bob; wait answered; wait ended; expect code 200");
    first.until("is answered");
    let second = ims.phone(CAROL, "register; call bob; wait ended; expect code 486").succeeds();
    assert!(second.contains("call ended: 486 Busy Here"), "{second}");
    callee.until("a second call, from sip:carol@example.org, hears that we are busy");
    // the first call goes on, and the test's end ends it
    drop(first);
}

#[test]
fn a_rejected_call_says_why() {
    let ims = Ims::start("reject");
    let mut callee = ims.phone(BOB, "register; wait incoming 60; reject; expect code 603");
    callee.until("registered as");
    let caller = ims.phone(ALICE, "register; call bob 5").fails(1);
    assert!(caller.contains("failed: the call was not answered: 603 Decline"), "{caller}");
    callee.succeeds();
    let caller =
        ims.phone(ALICE, "register; call 669; wait ended; expect code 486; try call 669 1").succeeds();
    assert!(caller.contains("the call was not answered: 486"), "{caller}");
    let caller = ims.phone(ALICE, "register; call nobody; wait ended; expect code 404").succeeds();
    assert!(caller.contains("call ended: 404"), "{caller}");
}

#[test]
fn a_caller_may_give_up() {
    let ims = Ims::start("cancel");
    let script = "register; wait incoming 60; wait ended; expect code 487; expect registered";
    let mut callee = ims.phone_on(WAYS[1], BOB, script);
    callee.until("registered as");
    let script = "register; call bob; wait ringing; hangup; wait ended; expect code 487; expect idle";
    let caller = ims.phone(ALICE, script).succeeds();
    assert!(caller.contains("call ended (487): cancelled"), "{caller}");
    assert!(callee.succeeds().contains("call ended: the caller gave up"));
    // an echo number that never answers; the end of the script gives up for it
    let caller = ims.phone(ALICE, "register; call 668; wait ringing").succeeds();
    assert!(caller.contains("call ended (487): cancelled\nderegistered"), "{caller}");
}

#[test]
fn a_wrong_key_is_named_on_both_sides() {
    let mut ims = Ims::start("key");
    let other = [XOR, &["--k", "80112233445566778899aabbccddeeff"]].concat();
    let text = ims.phone(&other, "register").fails(1);
    assert!(text.contains("the network's key differs"), "{text}");
    assert!(text.contains("failed: not registered: 403"), "{text}");
    let given_as_opc = [&MILENAGE[..4], &["--opc", MILENAGE[5]]].concat();
    let text = ims.phone_on(WAYS[3], &given_as_opc, "register").fails(1);
    assert!(text.contains("the network's key differs"), "{text}");
    let other = [ALICE, &["--password", "wrong"]].concat();
    let text = ims.phone(&other, "register").fails(1);
    assert!(text.contains("the password is not the one that the network has"), "{text}");
    // a SIM where the network has a password
    let sim = ["--impi", "alice", "--domain", "example.org", "--k", "00112233445566778899aabbccddeeff"];
    let text = ims.phone(&sim, "register").fails(1);
    assert!(text.contains("the network asks for MD5, the phone has a SIM"), "{text}");
    let log = ims.stop();
    for words in ["the SIM rejects our AUTN (MAC failure)", "wrong password"] {
        assert!(log.contains(words), "{words}: {log}");
    }
}

#[test]
fn a_network_that_has_lost_its_sequence_numbers_is_synchronised() {
    let mut ims = Ims::start("sqn");
    for who in [XOR, MILENAGE, TUAK] {
        let state = ims.folder.join(format!("{}.sqn", who[1]));
        let who = [who, &["--state", state.to_str().unwrap()]].concat();
        let first = ims.phone(&who, "register; deregister; register").succeeds();
        assert!(!first.contains("synchronise"), "{first}");
        // the network begins with its first number again
        ims.stop();
        ims.run();
        let second = ims.phone(&who, "register; deregister; register; status").succeeds();
        assert!(second.contains("asking it to synchronise (AUTS)\nregistered as"), "{second}");
        assert_eq!(second.matches("AUTS").count(), 1, "{second}");
    }
}

#[test]
fn a_short_registration_is_refreshed() {
    let ims = Ims::with("refresh", &format!("{USERS} binding_expires: 6,"));
    let phones = [(WAYS[0], ALICE), (WAYS[1], BOB), (WAYS[2], MILENAGE)];
    let phones = phones.map(|(on, who)| ims.phone_on(on, who, "register; wait incoming 60"));
    for mut phone in phones {
        phone.until("registered as").until("registration refreshed for").until("registration refreshed for");
    }
}

#[test]
fn a_time_that_is_too_short_is_made_longer() {
    let ims = Ims::start("brief");
    let text = ims.phone(ALICE, "register 4; deregister").succeeds();
    assert!(text.starts_with("the network asks for at least 60 s\nregistered as "), "{text}");
    assert!(text.contains(" for 60 s\n"), "{text}");
}

#[test]
fn a_phone_that_is_asked_to_end_gives_its_registration_back() {
    let ims = Ims::start("ended");
    let mut phone = ims.phone(ALICE, "register; sleep 100");
    phone.until("registered as");
    let pid = phone.child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    let text = phone.fails(1);
    assert!(text.contains("failed: SIGTERM") && text.contains("\nderegistered"), "{text}");
}

#[test]
fn a_network_that_is_not_there_is_named() {
    // a port that was free a moment ago, over TCP, where the refusal is known at once
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let mut command = Command::new(env!("CARGO_BIN_EXE_imsbox-ue"));
    let command = command.args(ALICE).args(["--tcp", "--pcscf", &free, "register"]);
    let text = Running::start(command).fails(1);
    assert!(text.contains(&format!("no connection to {free}: ")), "{text}");
    let mut command = Command::new(env!("CARGO_BIN_EXE_imsbox-ue"));
    let command = command.args(ALICE).args(["--tcp", "--pcscf", &free, "call 666"]);
    let text = Running::start(command).succeeds();
    assert!(text.starts_with(&format!("calling 666\ncall ended: no connection to {free}")), "{text}");
    let mut command = Command::new(env!("CARGO_BIN_EXE_imsbox-ue"));
    let command = command.args(ALICE).args(["--timer-t1", "10", "--pcscf", &free, "register"]);
    let text = Running::start(command).fails(1);
    assert!(text.contains(&format!("{free} does not answer yet, trying on\n")), "{text}");
    assert!(text.contains(&format!("not registered: no answer from {free}")), "{text}");
}

#[test]
fn the_samples_fit_the_users_of_the_main_sample() {
    let users = format!("{}/config/ue_db-ims.cfg", env!("CARGO_MANIFEST_DIR"));
    let ims = Ims::with("samples", &format!("domain: \"example.org\", include \"{users}\","));
    let folder = format!("{}/config/ue", env!("CARGO_MANIFEST_DIR"));
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let tcp = fs::read_to_string(&path).unwrap().contains("\"tcp\"");
        let on = if tcp { "TCP 127.0.0.1" } else { "UDP 127.0.0.1" };
        let config = ["--config", path.to_str().unwrap(), "--state", "none"];
        let text = ims.phone_on(on, &config, "register; expect registered").succeeds();
        assert!(!text.contains("warning"), "{text}");
        count += 1;
    }
    assert!(count >= 4, "{count}");
}

#[test]
fn a_script_comes_from_a_file_or_the_input_and_mistakes_are_found_first() {
    let ims = Ims::start("script");
    let script = ims.folder.join("script");
    let run = |text: &str| {
        fs::write(&script, text).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_imsbox-ue"));
        let command = command.args(ALICE).args(["--pcscf", &ims.address(WAYS[0])]);
        Running::start(command.arg("--script").arg(&script))
    };
    let text =
        run("# to register\nregister 60\n\ncall 666 0.2 ; expect echo > 99 %\nexpect code 404\nstatus")
            .fails(1);
    assert!(text.contains("failed: expected code = 404, it is 200"), "{text}");
    assert!(!text.contains("registered for"), "the script went on: {text}");
    assert!(text.contains("deregistered"), "{text}");
    let text = run("register\nfly").fails(2);
    assert_eq!(text, "imsbox-ue: line 2: `fly` is no command; help shows all of them");
    let config = ims.folder.join("ue.cfg");
    fs::write(&config, "impi: \"alice\", pwd: \"x\", expires: \"soon\", donain: \"d\"").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_imsbox-ue"));
    let text = Running::start(command.arg("-c").arg(&config).arg("register")).fails(2);
    assert!(text.contains("ue.cfg:1:35: expected a number from 1 to 604800"), "{text}");
    assert!(text.contains("unknown property `donain`; did you mean `domain`?"), "{text}");
}

#[test]
fn messages_are_shown_on_request() {
    let ims = Ims::start("verbose");
    let text = ims.phone(&[ALICE, &["-v"]].concat(), "register").succeeds();
    let address = ims.address(WAYS[0]);
    for part in [
        &format!("--- to {address} (UDP)\n    REGISTER sip:example.org SIP/2.0"),
        "    SIP/2.0 401 Unauthorized",
        "    Authorization: Digest username=\"alice\"",
        "    SIP/2.0 200 OK",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}
