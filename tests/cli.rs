//! The program as a person or a script meets it: command line, exit codes, start, commands, end.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// Long enough for the most loaded machine: only a failure waits for it.
const DEADLINE: Duration = Duration::from_secs(60);

fn imsbox() -> Command {
    of_nobody(env!("CARGO_BIN_EXE_imsbox"))
}

/// A program without a terminal and without a person's settings.
fn of_nobody(program: &str) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).env("NO_COLOR", "1").env("HOME", "/nonexistent");
    command
}

/// Runs the program to its end; one that goes on although it should not is ended with code 124.
fn run(args: &[&str]) -> Output {
    let limited = ["60", env!("CARGO_BIN_EXE_imsbox")];
    Command::new("timeout").args(limited).args(args).stdin(Stdio::null()).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A folder of one test, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("imsbox-cli-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// A configuration file with these properties.
    fn config(&self, text: &str) -> String {
        let path = self.file("ims.cfg");
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// A configuration that can run beside any other, with further properties.
    fn runnable(&self, more: &str) -> String {
        self.config(&format!(
            r#"sip_addr: "127.0.0.1:0",
            monitor_socket: "monitor.sock",
            log_filename: "ims.log",
            log_options: "all.level=info",
            echo: ["tel:666"],
            ue_db: [{{ sim_algo: "xor", imsi: "001010123456789", K: "00112233445566778899aabbccddeeff", impu: "tel:600" }}],
            {more}"#
        ))
    }

    fn monitor(&self, command: &[&str]) -> Output {
        let socket = self.file("monitor.sock");
        imsbox().args(["monitor", "--socket", socket.to_str().unwrap()]).args(command).output().unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A running program, killed if the test ends before it does.
struct Running {
    child: Child,
    banner: Vec<String>,
    rest: Option<BufReader<ChildStdout>>,
}

impl Running {
    fn start(config: &str) -> Running {
        Running::of(imsbox().arg(config))
    }

    /// With files that may have so many octets, as on a disk that is nearly full.
    fn start_on_a_full_disk(config: &str, octets: usize) -> Running {
        let limited = format!("trap '' XFSZ; ulimit -f {}; exec \"$0\" \"$1\"", octets / 512);
        Running::of(of_nobody("sh").args(["-c", &limited, env!("CARGO_BIN_EXE_imsbox"), config]))
    }

    fn of(program: &mut Command) -> Running {
        let mut child = program.stdout(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (send, receive) = mpsc::channel();
        thread::spawn(move || {
            let mut out = out;
            let mut banner = Vec::new();
            loop {
                let mut line = String::new();
                if out.read_line(&mut line).unwrap_or(0) == 0 {
                    return;
                }
                banner.push(line.trim_end().to_owned());
                if line.starts_with("ready") {
                    let _ = send.send((banner, out));
                    return;
                }
            }
        });
        match receive.recv_timeout(DEADLINE) {
            Ok((banner, rest)) => Running { child, banner, rest: Some(rest) },
            Err(_) => {
                let _ = child.kill();
                panic!("the program did not get ready");
            }
        }
    }

    /// The exit code, once the program has ended by itself.
    fn exit_code(mut self) -> Option<i32> {
        let (send, receive) = mpsc::channel();
        let mut rest = self.rest.take().expect("taken only here");
        // the output ends when the program does
        thread::spawn(move || {
            let _ = rest.read_to_end(&mut Vec::new());
            let _ = send.send(());
        });
        receive.recv_timeout(DEADLINE).expect("the program ends");
        self.child.wait().unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn version_and_help_are_printed() {
    let version = run(&["--version"]);
    assert_eq!(stdout(&version), concat!("imsbox ", env!("CARGO_PKG_VERSION"), "\n"));
    assert_eq!(version.status.code(), Some(0));
    let help = run(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
    for part in ["Usage:", "imsbox check", "imsbox monitor", "Exit codes:", "  3  cannot start"] {
        assert!(stdout(&help).contains(part), "{part}");
    }
}

#[test]
fn a_wrong_command_line_is_refused_with_code_2() {
    for args in [&[][..], &["--fast"], &["check"], &["a.cfg", "b.cfg"]] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(stderr(&output).contains("Try `imsbox --help`."), "{args:?}");
        assert!(stdout(&output).is_empty());
    }
}

#[test]
fn check_says_that_a_configuration_is_correct() {
    let folder = Folder::new("correct");
    let output = run(&["check", &folder.runnable("")]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stdout(&output).ends_with("ims.cfg: correct, 1 user, no warnings\n"), "{}", stdout(&output));
}

#[test]
fn check_prints_all_errors_at_once_with_their_places() {
    let folder = Folder::new("errors");
    let config = folder
        .config("sip_addr: \"127.0.0.1:0\",\nbinding_expires: \"abc\",\ndialog_timeout: [],\nue_db: [],\n");
    let output = run(&["check", &config]);
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    assert!(text.contains("ims.cfg:2:18: expected a number of seconds, found \"abc\""), "{text}");
    assert!(text.contains("ims.cfg:3:17: "), "{text}");
    assert_eq!(
        text.lines().filter(|l| l.trim_start_matches([' ', '|']).starts_with('^')).count(),
        2,
        "{text}"
    );
    assert!(text.ends_with("ims.cfg: 2 errors\n"), "{text}");
}

#[test]
fn check_knows_the_language_of_log_options() {
    let folder = Folder::new("log-options");
    let text = "dialog_timeout: \"x\", sip_addr: \"127.0.0.1:0\", ue_db: [],\nlog_options: \"sip.level=loud,foo.level=info\",";
    let config = folder.config(text);
    for args in [&["check", config.as_str()][..], &[config.as_str()]] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(1));
        let text = stderr(&output);
        for (place, carets) in [
            (":2:25: unknown level", "      |                         ^^^^\n"),
            (":2:30: unknown layer", "^^^^^^^^^^^^^^\n"),
        ] {
            assert!(text.contains(place) && text.contains(carets), "{text}");
        }
        assert!(text.ends_with(": 3 errors\n"), "{text}");
    }
}

#[test]
fn check_prints_document_values_and_reference() {
    let folder = Folder::new("print");
    let config = folder.runnable("binding_expires: 60 * 10,");
    let json = run(&["check", "--json", &config]);
    let document: serde_json::Value = serde_json::from_str(&stdout(&json)).unwrap();
    assert_eq!(document["binding_expires"], 600);
    let effective = stdout(&run(&["check", "--effective", &config]));
    assert!(effective.contains("binding_expires") && effective.contains("dialog_timeout"), "{effective}");
    let reference = run(&["check", "--properties"]);
    assert_eq!(reference.status.code(), Some(0));
    for property in ["sip_addr", "log_options", "monitor_socket", "ue_db_filename"] {
        assert!(stdout(&reference).contains(property), "{property}");
    }
}

#[test]
fn a_missing_configuration_is_an_error() {
    for args in [&["/nonexistent/ims.cfg"][..], &["check", "/nonexistent/ims.cfg"], &["check", "/"]] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        assert!(stderr(&output).contains(args[args.len() - 1]), "{}", stderr(&output));
    }
}

#[test]
fn the_program_starts_answers_and_quits() {
    let folder = Folder::new("run");
    let running = Running::start(&folder.runnable(""));
    let banner = running.banner.join("\n");
    let port = banner.split("UDP 127.0.0.1:").nth(1).and_then(|rest| rest.lines().next()).unwrap();
    assert_ne!(port.parse::<u16>().unwrap(), 0, "the chosen port is printed");
    for part in ["1 user, echo on tel:666", "ims.log", "monitor.sock", "not kept over a restart"] {
        assert!(banner.contains(part), "{part} is not in\n{banner}");
    }
    let users = folder.monitor(&["users"]);
    assert_eq!(users.status.code(), Some(0), "{}", stderr(&users));
    assert!(stdout(&users).ends_with(" 0 registered\n"), "{}", stdout(&users));
    let json = folder.monitor(&["--json", "users"]);
    let answer: serde_json::Value = serde_json::from_str(&stdout(&json)).unwrap();
    assert!(answer["users"].is_array() && answer["utc"].as_f64().unwrap() > 1e9);
    let refused = folder.monitor(&["dialog_stop", "1"]);
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(stderr(&refused), "imsbox: no dialog 1\n");
    assert_eq!(folder.monitor(&["log", "file.rotate=now"]).status.code(), Some(0));
    assert_eq!(folder.monitor(&["quit"]).status.code(), Some(0));
    assert!(!folder.file("monitor.sock").exists(), "when quit is answered, the program is gone");
    assert_eq!(running.exit_code(), Some(0));
    let log = fs::read_to_string(folder.file("ims.log")).unwrap();
    assert!(log.contains("quit by command"), "{log}");
    let rotated = fs::read_dir(&folder.0).unwrap().map(|e| e.unwrap().path());
    let rotated: Vec<PathBuf> = rotated.filter(|p| p.to_str().unwrap().contains("ims.log.")).collect();
    assert_eq!(rotated.len(), 1);
    assert!(fs::read_to_string(&rotated[0]).unwrap().contains("[IMS] - - imsbox "));
}

#[test]
fn sigterm_ends_the_program_cleanly() {
    let folder = Folder::new("sigterm");
    let running = Running::start(&folder.runnable("log_sync: true,"));
    let kill = format!("kill -TERM {}", running.child.id());
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    assert_eq!(running.exit_code(), Some(0));
    assert!(!folder.file("monitor.sock").exists());
    assert!(fs::read_to_string(folder.file("ims.log")).unwrap().contains("SIGTERM received"));
}

#[test]
fn a_second_program_does_not_disturb_the_first() {
    let folder = Folder::new("second");
    let config = folder.runnable("log_sync: true,");
    let running = Running::start(&config);
    let log = fs::read_to_string(folder.file("ims.log")).unwrap();
    let second = run(&[&config]);
    assert_eq!(second.status.code(), Some(3));
    assert!(stderr(&second).contains("another imsbox runs"), "{}", stderr(&second));
    assert_eq!(fs::read_to_string(folder.file("ims.log")).unwrap(), log, "its log is untouched");
    assert_eq!(folder.monitor(&["quit"]).status.code(), Some(0));
    assert_eq!(running.exit_code(), Some(0));
}

#[test]
fn an_address_in_use_is_reported_with_code_3() {
    let folder = Folder::new("bind");
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let SocketAddr::V4(addr) = taken.local_addr().unwrap() else { unreachable!("bound to IPv4") };
    let config = folder.config(&format!(
        "sip_addr: \"{addr}\", monitor_socket: \"monitor.sock\", log_filename: \"ims.log\", ue_db: []"
    ));
    fs::write(folder.file("ims.log"), "somebody else's").unwrap();
    let output = run(&[&config]);
    assert_eq!(output.status.code(), Some(3));
    let text = stderr(&output);
    assert!(
        text.contains("sip_addr") && text.contains(&addr.to_string()) && text.contains("in use"),
        "{text}"
    );
    assert!(!folder.file("monitor.sock").exists());
    assert_eq!(fs::read_to_string(folder.file("ims.log")).unwrap(), "somebody else's");
}

#[test]
fn files_that_cannot_be_opened_are_reported_with_code_3() {
    let folder = Folder::new("files");
    let config = folder.runnable("ue_db_filename: \"state.db\",");
    fs::write(folder.file("state.db"), "somebody's notes\n".repeat(300)).unwrap();
    let output = run(&[&config]);
    assert_eq!(output.status.code(), Some(3));
    assert!(stderr(&output).contains("move it away"), "{}", stderr(&output));
    assert!(fs::read_to_string(folder.file("state.db")).unwrap().starts_with("somebody's notes"));
    fs::remove_file(folder.file("state.db")).unwrap();
    fs::create_dir(folder.file("ims.log")).unwrap();
    let output = run(&[&config]);
    assert_eq!(output.status.code(), Some(3));
    assert!(stderr(&output).contains("log file "), "{}", stderr(&output));
}

#[test]
fn the_state_file_is_made_and_found_again() {
    let folder = Folder::new("state");
    let config = folder.runnable("ue_db_filename: \"state.db\",");
    for _ in 0..2 {
        let running = Running::start(&config);
        assert!(running.banner.iter().any(|l| l.contains("state.db")), "{:?}", running.banner);
        assert_eq!(folder.monitor(&["quit"]).status.code(), Some(0));
        assert_eq!(running.exit_code(), Some(0));
    }
}

#[test]
fn a_damaged_state_file_is_set_aside_and_the_program_starts_and_says_so() {
    let folder = Folder::new("damaged");
    let config = folder.runnable("ue_db_filename: \"state.db\",");
    let damaged = [b"redb\x1a\n\xa9\r\n", &[7; 5000][..]].concat();
    fs::write(folder.file("state.db"), &damaged).unwrap();
    let running = Running::start(&config);
    let aside = folder.file("state.db.damaged-1");
    let said = |line: &String| line.contains("was damaged") && line.contains(aside.to_str().unwrap());
    assert!(running.banner.iter().any(said), "{:?}", running.banner);
    assert_eq!(fs::read(&aside).unwrap(), damaged);
    assert_eq!(folder.monitor(&["quit"]).status.code(), Some(0));
    assert_eq!(running.exit_code(), Some(0));
    let log = fs::read_to_string(folder.file("ims.log")).unwrap();
    assert_eq!(log.matches("was damaged").count(), 1, "{log}");
    // the next start finds a good file
    let running = Running::start(&config);
    assert!(!running.banner.iter().any(said), "{:?}", running.banner);
    assert_eq!(folder.monitor(&["quit"]).status.code(), Some(0));
    assert_eq!(running.exit_code(), Some(0));
}

#[test]
fn a_damaged_state_file_on_a_full_disk_is_set_aside_and_said_all_the_same() {
    let folder = Folder::new("damaged-full");
    let config = folder.runnable("ue_db_filename: \"state.db\", log_sync: true,");
    let damaged = [b"redb\x1a\n\xa9\r\n", &[7; 5000][..]].concat();
    fs::write(folder.file("state.db"), &damaged).unwrap();
    let running = Running::start_on_a_full_disk(&config, 16 << 10);
    let aside = folder.file("state.db.damaged-1");
    let said = |line: &String| line.contains("was damaged") && line.contains(aside.to_str().unwrap());
    assert!(running.banner.iter().any(said), "{:?}", running.banner);
    assert_eq!(fs::read(&aside).unwrap(), damaged);
    assert_eq!(folder.monitor(&["quit"]).status.code(), Some(0));
    running.exit_code();
    let log = fs::read_to_string(folder.file("ims.log")).unwrap();
    assert_eq!(log.matches("was damaged").count(), 1, "{log}");
    assert!(log.contains("until the disk takes records again texts are refused"), "{log}");
    // with room again it begins an empty one
    let running = Running::start(&config);
    assert!(!running.banner.iter().any(said), "{:?}", running.banner);
    assert_eq!(folder.monitor(&["quit"]).status.code(), Some(0));
    assert_eq!(running.exit_code(), Some(0));
}

#[test]
fn a_state_file_is_printed_as_json_while_the_program_runs_and_after() {
    let folder = Folder::new("dump");
    let running = Running::start(&folder.runnable("ue_db_filename: \"state.db\","));
    let sip = running.banner.iter().find_map(|line| line.split("SIP on UDP ").nth(1)).unwrap();
    let sip: SocketAddr = sip.split([',', ' ']).next().unwrap().parse().unwrap();
    let phone = UdpSocket::bind("127.0.0.1:0").unwrap();
    phone.set_read_timeout(Some(DEADLINE)).unwrap();
    let own = phone.local_addr().unwrap();
    let register = format!(
        "REGISTER sip:ims SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bKdump\r\nFrom: <tel:600>;tag=1\r\nTo: <tel:600>\r\n\
         Call-ID: d\r\nCSeq: 1 REGISTER\r\nContact: <sip:phone@{own}>\r\nContent-Length: 0\r\n\r\n"
    );
    phone.send_to(register.as_bytes(), sip).unwrap();
    assert!(phone.recv(&mut [0; 4096]).unwrap() > 0, "a challenge, whose number is to be stored");
    let file = folder.file("state.db");
    let dump = || {
        let output = run(&["db", "dump", file.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()
    };
    let sqn = "sqn/001010123456789@ims.mnc001.mcc001.3gppnetwork.org";
    let deadline = std::time::Instant::now() + DEADLINE;
    while dump()[sqn].is_null() {
        assert!(std::time::Instant::now() < deadline, "{}", dump());
    }
    assert_eq!(folder.monitor(&["quit"]).status.code(), Some(0));
    assert_eq!(running.exit_code(), Some(0));
    let record = dump()[sqn].clone();
    let number = |name: &str| u64::from_str_radix(record[name].as_str().unwrap(), 16).unwrap();
    assert!(number("sqn") < number("reserved") && record["at"].is_i64(), "{record}");
    for (file, problem) in [("ims.cfg", "damaged, or no state file"), ("nothing.db", "No such file")] {
        let output = run(&["db", "dump", folder.file(file).to_str().unwrap()]);
        let text = stderr(&output);
        assert!(output.status.code() == Some(1) && text.contains(problem), "{text}");
        assert!(
            text.starts_with("imsbox: ") && text.lines().count() == 1 && output.stdout.is_empty(),
            "{text}"
        );
    }
}

#[test]
fn the_monitor_says_that_nobody_is_there() {
    let output = Folder::new("nobody").monitor(&["users"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("no imsbox runs"), "{}", stderr(&output));
}

#[test]
fn the_monitor_takes_commands_from_a_pipe() {
    let folder = Folder::new("pipe");
    let running = Running::start(&folder.runnable(""));
    let mut monitor = imsbox()
        .args(["monitor", "--socket", folder.file("monitor.sock").to_str().unwrap()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    monitor.stdin.take().unwrap().write_all(b"# a comment\nfly\n\nhelp quit\nquit\n").unwrap();
    let output = monitor.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "one command was wrong");
    assert!(stdout(&output).contains("quit  Ends the program"), "{}", stdout(&output));
    assert!(stderr(&output).contains("unknown command fly"), "{}", stderr(&output));
    assert_eq!(running.exit_code(), Some(0));
}

/// The program in a terminal of its own.
struct Terminal {
    child: Child,
    typed: ChildStdin,
    receive: mpsc::Receiver<String>,
    text: String,
}

impl Terminal {
    /// script(1) runs a command in a terminal, types what it reads, and prints what is shown.
    fn start(folder: &Folder, command: &str) -> Terminal {
        let mut child = Command::new("script")
            .args(["-qec", command, "/dev/null"])
            .env("HOME", &folder.0)
            .env("TERM", "xterm")
            .env_remove("XDG_STATE_HOME")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let typed = child.stdin.take().unwrap();
        let (send, receive) = mpsc::channel();
        let mut shown = child.stdout.take().unwrap();
        thread::spawn(move || {
            let mut octets = [0; 4096];
            while let Ok(n @ 1..) = shown.read(&mut octets) {
                let _ = send.send(String::from_utf8_lossy(&octets[..n]).into_owned());
            }
        });
        Terminal { child, typed, receive, text: String::new() }
    }

    fn type_in(&mut self, octets: &[u8]) {
        self.typed.write_all(octets).unwrap();
    }

    /// Waits for the words, and forgets what was shown up to them.
    fn wait_for(&mut self, words: &str) {
        let found = loop {
            match self.text.find(words) {
                Some(at) => break at + words.len(),
                None => {
                    let more = self.receive.recv_timeout(DEADLINE);
                    self.text += &more.unwrap_or_else(|_| panic!("no {words:?} in {:?}", self.text));
                }
            }
        };
        self.text.drain(..found);
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_terminal_gets_a_prompt() {
    let folder = Folder::new("prompt");
    let config = folder.runnable("");
    let mut terminal = Terminal::start(&folder, &format!("{} {config}", env!("CARGO_BIN_EXE_imsbox")));
    terminal.wait_for("(ims) ");
    terminal.type_in(b"us\t\r");
    terminal.wait_for("0 registered");
    // only at the prompt Ctrl-C is the line editor's
    terminal.wait_for("(ims) ");
    terminal.type_in(b"quit now\x03help\r");
    terminal.wait_for("Ends the program");
    terminal.type_in(b"quit\r");
    terminal.wait_for("Ending ...");
    assert_eq!(terminal.child.wait().unwrap().code(), Some(0));
    assert!(!folder.file("monitor.sock").exists());
    let history = fs::read_to_string(folder.file(".local/state/imsbox/history")).unwrap();
    assert!(history.ends_with("users \nhelp\nquit\n"), "{history}");
}

#[test]
fn a_prompt_that_is_ended_from_elsewhere_leaves_a_clean_line() {
    let folder = Folder::new("clean-line");
    let config = folder.runnable("");
    let command = format!("{} {config}; echo after", env!("CARGO_BIN_EXE_imsbox"));
    let mut terminal = Terminal::start(&folder, &command);
    terminal.wait_for("(ims) ");
    assert_eq!(folder.monitor(&["quit"]).status.code(), Some(0));
    terminal.wait_for("\r\nafter\r\n");
}
