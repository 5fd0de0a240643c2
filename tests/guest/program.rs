//! The programs as a person starts them, each on a machine of its own.

use crate::network::{Machine, PATIENCE, until};
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Instant;

/// A program whose output is read line by line, killed if the test ends before it does.
pub struct Program {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Program {
    /// Starts it on a machine.
    pub fn start(machine: &Machine, command: &mut Command) -> Program {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = machine.spawn(command);
        let (send, lines) = channel();
        let errors = send.clone();
        let (out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        thread::spawn(move || {
            BufReader::new(out).lines().map_while(Result::ok).try_for_each(|l| send.send(l))
        });
        thread::spawn(move || {
            BufReader::new(err).lines().map_while(Result::ok).try_for_each(|l| errors.send(l))
        });
        Program { child, lines, seen: Vec::new() }
    }

    /// Reads until a line holds this text.
    pub fn until(&mut self, text: &str) -> &mut Program {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
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

    /// What it has printed, as far as it was read.
    pub fn text(&self) -> String {
        self.seen.join("\n")
    }

    /// Ends it at once (SIGKILL).
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to end (SIGTERM).
    pub fn terminate(&self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    }

    /// Reads to the end: the exit status and all that was printed.
    pub fn end(mut self) -> (ExitStatus, String) {
        let deadline = Instant::now() + PATIENCE;
        // the output ends when the program does
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => self.seen.push(line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("the program does not end:\n{}", self.text()),
            }
        }
        (self.child.wait().unwrap(), self.text())
    }

    /// Reads to the end, which is to be a good one.
    pub fn succeeds(self) -> String {
        let (status, text) = self.end();
        assert_eq!(status.code(), Some(0), "{text}");
        text
    }

    /// Reads to the end, which is to be a failure of a command.
    pub fn fails(self) -> String {
        let (status, text) = self.end();
        assert_eq!(status.code(), Some(1), "{text}");
        text
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The port of SIP, for all who are not protected.
pub const SIP_PORT: u16 = 5060;

/// The end of the log that a failed test shows, in octets.
const LOG_SHOWN: usize = 12_000;

/// The IMS on its machine, with a folder of its own. A test that fails shows the end of its log.
pub struct Ims {
    program: Option<Program>,
    folder: PathBuf,
    rights: Rights,
}

/// What the IMS may do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Rights {
    /// Everything.
    Root,
    /// All but what needs CAP_NET_ADMIN, the kernel's IPsec for one.
    NoNetAdmin,
}

impl Ims {
    /// Starts it with these properties besides those that every test has.
    pub fn start(core: &Machine, rights: Rights, properties: &str) -> Ims {
        let folder = std::env::temp_dir().join(format!("imsbox-{}", core.name()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        let text = format!(
            r#"sip_addr: ["{}:{SIP_PORT}", "[{}]:{SIP_PORT}"], monitor_socket: "monitor.sock", log_filename: "ims.log",
            log_options: "all.level=info,sip.level=debug,sip.max_size=1", timer_t1: 0.5, timer_t2: 4, timer_t4: 5,
            {properties}"#,
            core.v4, core.v6
        );
        fs::write(folder.join("ims.cfg"), text).unwrap();
        let mut ims = Ims { program: None, folder, rights };
        ims.run(core);
        ims
    }

    /// Starts it, again or for the first time.
    pub fn run(&mut self, core: &Machine) {
        let program = env!("CARGO_BIN_EXE_imsbox");
        let mut command = match self.rights {
            Rights::Root => Command::new(program),
            Rights::NoNetAdmin => {
                let mut command = Command::new("setpriv");
                command.args(["--bounding-set=-net_admin", "--inh-caps=-net_admin", program]);
                command
            }
        };
        let mut program = Program::start(core, command.arg(self.folder.join("ims.cfg")));
        program.until("ready");
        self.program = Some(program);
    }

    /// What it said when it started.
    pub fn banner(&self) -> String {
        self.program.as_ref().map(Program::text).unwrap_or_default()
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("ims.log")).unwrap_or_default()
    }

    /// Its log from this octet on, once it holds this text: it is written a moment after what it tells of.
    pub fn log_with(&self, from: usize, text: &str) -> String {
        let mut log = String::new();
        until(&format!("the log says {text:?}"), || {
            log = self.log()[from..].to_owned();
            log.contains(text)
        });
        log
    }

    /// The answer to a monitor command.
    pub fn monitor(&self, command: &[&str]) -> String {
        let (is_done, text) = self.try_monitor(command);
        assert!(is_done, "monitor {command:?}: {text}");
        text
    }

    /// Whether a monitor command is carried out, and all that is said about it.
    pub fn try_monitor(&self, command: &[&str]) -> (bool, String) {
        let mut monitor = Command::new(env!("CARGO_BIN_EXE_imsbox"));
        monitor.arg("monitor").arg("--socket").arg(self.folder.join("monitor.sock")).args(command);
        let done = monitor.output().unwrap();
        let text = [done.stdout, done.stderr].map(|octets| String::from_utf8_lossy(&octets).into_owned());
        (done.status.success(), text.concat())
    }

    /// The records of its state file; none where the file cannot be read at this moment.
    pub fn records(&self) -> String {
        let mut dump = Command::new(env!("CARGO_BIN_EXE_imsbox"));
        let done = dump.args(["db", "dump"]).arg(self.folder.join("state.db")).output().unwrap();
        String::from_utf8_lossy(&done.stdout).into_owned()
    }

    /// Ends it as an operator does; its log.
    pub fn stop(&mut self) -> String {
        let program = self.program.take().unwrap();
        program.terminate();
        program.succeeds();
        self.log()
    }

    /// Ends it without warning.
    pub fn kill(&mut self) {
        self.program.take().unwrap().kill();
    }

    /// A phone on a machine that does these things and ends; `options` say who it is and how it goes about it.
    pub fn phone(&self, machine: &Machine, pcscf: SocketAddr, options: &[&str], script: &str) -> Program {
        let mut command = Command::new(env!("CARGO_BIN_EXE_imsbox-ue"));
        command.env("XDG_STATE_HOME", &self.folder).args(["--pcscf", &pcscf.to_string()]);
        Program::start(machine, command.args(options).arg(script))
    }
}

impl Drop for Ims {
    fn drop(&mut self) {
        self.program = None;
        if thread::panicking() {
            let log = self.log();
            let from = (log.len().saturating_sub(LOG_SHOWN)..log.len()).find(|&at| log.is_char_boundary(at));
            eprintln!("the end of the log:\n{}", &log[from.unwrap_or(0)..]);
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}
