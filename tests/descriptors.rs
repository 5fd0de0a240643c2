//! The program with fewer descriptors than phones that connect: whom it cannot serve it turns away at once, and it serves again as
//! soon as it can.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Far longer than anything takes.
const PATIENCE: Duration = Duration::from_secs(60);
/// Descriptors of the program: some 20 are its own.
const DESCRIPTORS: usize = 48;

struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts the program and gives the address that it listens on for TCP.
fn start() -> (Program, SocketAddr) {
    let folder = std::env::temp_dir().join(format!("imsbox-descriptors-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let config = folder.join("ims.cfg");
    let text = "sip_addr: \"127.0.0.1:0\", monitor_socket: \"m.sock\", log_filename: \"ims.log\", ipsec: false, ue_db: [],";
    fs::write(&config, text).unwrap();
    let limited = format!("ulimit -n {DESCRIPTORS}; exec \"$0\" \"$1\"");
    let mut command = Command::new("sh");
    command.args(["-c", &limited, env!("CARGO_BIN_EXE_imsbox")]).arg(&config);
    command.stdin(Stdio::null()).env("NO_COLOR", "1").env("HOME", "/nonexistent");
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let out = child.stdout.take().unwrap();
    let program = Program(child);
    let lines: Vec<String> = BufReader::new(out)
        .lines()
        .map_while(Result::ok)
        .take_while(|line| !line.starts_with("ready"))
        .collect();
    let address = |line: &String| {
        let at = line.find("127.0.0.1:")?;
        line[at..].split([' ', ',', ')']).next()?.parse().ok()
    };
    let addr = lines.iter().find_map(address).unwrap_or_else(|| panic!("no address in {lines:?}"));
    let _ = fs::remove_dir_all(folder);
    (program, addr)
}

/// A phone that has got the answer to its ping; `None`: it was turned away.
fn connect(addr: SocketAddr) -> Option<TcpStream> {
    let mut phone = TcpStream::connect(addr).ok()?;
    phone.set_read_timeout(Some(PATIENCE)).unwrap();
    phone.write_all(b"\r\n\r\n").ok()?;
    match phone.read_exact(&mut [0; 2]) {
        Ok(()) => Some(phone),
        Err(e) => {
            let timed_out = matches!(e.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut);
            assert!(!timed_out, "left to wait");
            None
        }
    }
}

#[test]
fn who_cannot_be_served_is_turned_away_and_room_is_used_again() {
    let (_program, addr) = start();
    for round in 0..3 {
        let mut phones: Vec<Option<TcpStream>> = (0..2 * DESCRIPTORS).map(|_| connect(addr)).collect();
        let served = phones.iter().flatten().count();
        assert!(served > 5 && served < DESCRIPTORS, "{served} served");
        assert!(round > 0 || phones[..served].iter().all(Option::is_some), "first come, first served");
        phones.clear();
        // the program has yet to see that they have gone
        let deadline = Instant::now() + PATIENCE;
        while connect(addr).is_none() {
            assert!(Instant::now() < deadline, "nobody is served any more");
        }
    }
}
