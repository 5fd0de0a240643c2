//! The monitor's client: commands typed by a person or given by a script, answers in columns.
//!
//! It speaks the remote API over the server's Unix socket, one JSON text a line, and learns the commands, their arguments and
//! their help from the server. Not here: what a command does (`api`), nor where the socket is (`node::control`).

pub mod catalogue;
pub mod complete;
pub mod connection;
pub mod look;
pub mod prompt;
pub mod views;

use catalogue::Catalogue;
use connection::{AskError, Connection};
use look::Look;
use serde_json::Value;
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::path::PathBuf;

/// What the command line asks of the monitor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The server's socket.
    pub socket: PathBuf,
    /// Print answers as JSON.
    pub json: bool,
    /// The command, or empty for a prompt.
    pub command: Vec<String>,
}

/// Runs the monitor until its input ends; false when a command failed or there is no server. Says on stderr what went wrong.
pub fn run(options: &Options) -> bool {
    let mut session = match Session::open(options) {
        Ok(session) => session,
        Err(problem) => {
            eprintln!("imsbox: {problem}");
            return false;
        }
    };
    if !options.command.is_empty() {
        let outcome = session.execute(&options.command.join(" "));
        return matches!(outcome, Outcome::Done | Outcome::Ended);
    }
    if io::stdin().is_terminal() {
        return prompt::run(&mut session, prompt::Leave::Monitor);
    }
    run_lines(&mut session)
}

/// The prompt of the program's own terminal, in a thread of its own: leaving it ends the program.
pub fn console(socket: PathBuf) {
    match Session::open(&Options { socket, json: false, command: Vec::new() }) {
        Ok(mut session) => {
            prompt::run(&mut session, prompt::Leave::Program);
        }
        Err(problem) => eprintln!("imsbox: no prompt: {problem}"),
    }
}

/// Commands from a file or a pipe, one a line; `#` starts a comment.
fn run_lines(session: &mut Session) -> bool {
    let mut all_done = true;
    for line in io::stdin().lock().lines() {
        let Ok(line) = line else { return false };
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match session.execute(line) {
            Outcome::Done => {}
            Outcome::Failed => all_done = false,
            Outcome::Ended => return all_done,
            Outcome::Lost => return false,
        }
    }
    all_done
}

/// How a command went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was carried out.
    Done,
    /// It was wrong or refused; the reason has been printed.
    Failed,
    /// It was carried out, and the program has ended.
    Ended,
    /// The server has gone.
    Lost,
}

/// A connection with what the server said of its commands.
#[derive(Debug)]
pub struct Session {
    connection: Connection,
    catalogue: Catalogue,
    look: Look,
    json: bool,
}

impl Session {
    /// Connects and asks for the commands; the error is for a person.
    pub fn open(options: &Options) -> Result<Session, String> {
        let mut connection = Connection::open(&options.socket)?;
        let help = connection.ask(&serde_json::json!({ "message": "help", "commands": true }));
        let help = help.map_err(|e| e.to_string())?;
        let catalogue = Catalogue::from_help(&help)?;
        let look = Look::of_terminal(io::stdout().is_terminal());
        Ok(Session { connection, catalogue, look, json: options.json })
    }

    /// What the server said of its commands.
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// Sends a request that completion needs; nothing on any error.
    pub fn ask_quietly(&mut self, request: &Value) -> Option<Value> {
        self.connection.ask(request).ok()
    }

    /// Carries out one command line and prints the answer, or on stderr what is wrong.
    pub fn execute(&mut self, line: &str) -> Outcome {
        let request = match self.catalogue.request(line) {
            Ok(request) => request,
            Err(problem) => return complain(&problem, Outcome::Failed),
        };
        if request["message"] == "quit" && !self.json {
            // before it is asked: when the prompt is that of the program's own terminal, there may be no time afterwards
            print("Ending ...\n");
        }
        let answer = match self.connection.ask(&request) {
            Ok(answer) => answer,
            Err(AskError::Refused(problem)) => return complain(&problem, Outcome::Failed),
            Err(lost) => return complain(&lost.to_string(), Outcome::Lost),
        };
        let text = match self.json {
            true => format!("{answer:#}\n"),
            false => views::answer(&request, &answer, &self.look),
        };
        print(&text);
        if request["message"] == "quit" {
            return match self.connection.wait_end() {
                Ok(()) => Outcome::Ended,
                Err(e) => complain(&e.to_string(), Outcome::Lost),
            };
        }
        Outcome::Done
    }
}

fn print(text: &str) {
    // a reader that has gone (`| head`) needs no more
    let _ = io::stdout().lock().write_all(text.as_bytes());
}

fn complain(problem: &str, outcome: Outcome) -> Outcome {
    eprintln!("imsbox: {}", look::clean(problem));
    outcome
}
