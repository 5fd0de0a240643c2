//! The command line.

use lexopt::{Arg, Parser};
use std::ffi::OsString;
use std::path::PathBuf;

/// What `--help` prints.
pub const HELP: &str = concat!(
    "imsbox ",
    env!("CARGO_PKG_VERSION"),
    ": a whole IMS core (P-CSCF, I-CSCF, S-CSCF, HSS) in one program

Usage:
  imsbox [run] CONFIG                              run; with a terminal, there is a prompt (try: help)
  imsbox check [--json | --effective] CONFIG       check a configuration and say all that is wrong
  imsbox check --properties                        print the reference of all properties
  imsbox db dump [--keys] FILE                     print what a state file (ue_db_filename) holds, as JSON
  imsbox monitor [--socket PATH] [COMMAND...]      talk to a running imsbox; without a command, a prompt

Options:
  --json             check: print the configuration after preprocessing and merging, as JSON
                     monitor: print the answer as JSON
  --effective        check: print every property with its value
  --keys             db dump: print the keys of IPsec too. The file may be a copy, or in use: it is read as it is at one moment,
                     and never written to
  --socket PATH      monitor: the server's socket. Without it, and without monitor_socket in the configuration, it is
                     /run/imsbox/monitor.sock for root and for the service, else $XDG_RUNTIME_DIR/imsbox.sock if that
                     folder exists, else /tmp/imsbox-UID/monitor.sock
  -h, --help         print this
  -V, --version      print the version

Signals:
  SIGTERM, SIGINT    end the calls, store the state, exit; while that goes on, exit at once
  SIGUSR1            rotate the log file; so does SIGHUP when there is no terminal

Exit codes:
  0  all went well
  1  the configuration has errors, or the monitor's command or db dump failed
  2  the command line is wrong
  3  cannot start: an address, the log file, the state file or the monitor's socket cannot be opened
  4  a failure while running that the program cannot go on from
"
);

/// What is printed by `check`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Show {
    /// What is wrong, and a summary.
    Summary,
    /// The document as JSON.
    Json,
    /// Every property with its value.
    Effective,
}

/// What the program is asked to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Invocation {
    /// Print the help.
    Help,
    /// Print the version.
    Version,
    /// Run this configuration.
    Run(PathBuf),
    /// Check this configuration.
    Check(Show, PathBuf),
    /// Print the reference of properties.
    Properties,
    /// Print the records of a state file.
    Dump {
        /// The file.
        file: PathBuf,
        /// `--keys`.
        keys: bool,
    },
    /// Talk to a running program.
    Monitor {
        /// `--socket`.
        socket: Option<PathBuf>,
        /// `--json`.
        json: bool,
        /// The command and its arguments.
        command: Vec<String>,
    },
}

/// Reads the command line; the error is one line for a person.
pub fn parse(mut parser: Parser) -> Result<Invocation, String> {
    let mut first = None;
    while first.is_none() {
        match parser.next().map_err(|e| e.to_string())? {
            Some(Arg::Value(value)) => first = Some(value),
            Some(Arg::Short('h') | Arg::Long("help")) => return Ok(Invocation::Help),
            Some(Arg::Short('V') | Arg::Long("version")) => return Ok(Invocation::Version),
            Some(other) => return Err(other.unexpected().to_string()),
            None => break,
        }
    }
    let first = first.ok_or("a configuration file is missing: imsbox CONFIG")?;
    match first.to_str() {
        Some("run") => run(parser, None),
        Some("check") => check(parser),
        Some("db") => db(parser),
        Some("monitor") => monitor(parser),
        _ => run(parser, Some(first)),
    }
}

fn run(mut parser: Parser, mut config: Option<OsString>) -> Result<Invocation, String> {
    while let Some(arg) = parser.next().map_err(|e| e.to_string())? {
        match arg {
            Arg::Value(value) if config.is_none() => config = Some(value),
            Arg::Short('h') | Arg::Long("help") => return Ok(Invocation::Help),
            other => return Err(other.unexpected().to_string()),
        }
    }
    config
        .map(|c| Invocation::Run(c.into()))
        .ok_or_else(|| "a configuration file is missing: run CONFIG".to_owned())
}

fn check(mut parser: Parser) -> Result<Invocation, String> {
    let (mut show, mut config, mut properties) = (None, None, false);
    while let Some(arg) = parser.next().map_err(|e| e.to_string())? {
        match arg {
            Arg::Long("json") if show.is_none() => show = Some(Show::Json),
            Arg::Long("effective") if show.is_none() => show = Some(Show::Effective),
            Arg::Long("properties") => properties = true,
            Arg::Short('h') | Arg::Long("help") => return Ok(Invocation::Help),
            Arg::Value(value) if config.is_none() => config = Some(value),
            other => return Err(other.unexpected().to_string()),
        }
    }
    match (properties, config) {
        (true, _) if show.is_some() => Err("--properties stands alone".to_owned()),
        (true, _) => Ok(Invocation::Properties),
        (false, Some(config)) => Ok(Invocation::Check(show.unwrap_or(Show::Summary), config.into())),
        (false, None) => Err("a configuration file is missing: check CONFIG".to_owned()),
    }
}

fn db(mut parser: Parser) -> Result<Invocation, String> {
    let (mut words, mut keys) = (Vec::new(), false);
    while let Some(arg) = parser.next().map_err(|e| e.to_string())? {
        match arg {
            Arg::Long("keys") => keys = true,
            Arg::Short('h') | Arg::Long("help") => return Ok(Invocation::Help),
            Arg::Value(value) if words.len() < 2 => words.push(value),
            other => return Err(other.unexpected().to_string()),
        }
    }
    let mut words = words.into_iter();
    match words.next() {
        Some(word) if word == "dump" => {}
        Some(word) => return Err(format!("db: `{}` is not known: db dump FILE", word.display())),
        None => return Err("what is to be done with the state file is missing: db dump FILE".to_owned()),
    }
    let file = words.next().ok_or("a state file is missing: db dump FILE")?;
    Ok(Invocation::Dump { file: file.into(), keys })
}

fn monitor(mut parser: Parser) -> Result<Invocation, String> {
    let (mut socket, mut json, mut command) = (None, false, Vec::new());
    while let Some(arg) = parser.next().map_err(|e| e.to_string())? {
        match arg {
            Arg::Long("socket") => socket = Some(parser.value().map_err(|e| e.to_string())?.into()),
            Arg::Long("json") => json = true,
            Arg::Short('h') | Arg::Long("help") => return Ok(Invocation::Help),
            // from the command on, everything is its own, also what looks like an option
            Arg::Value(value) => {
                command.push(text(value)?);
                for value in parser.raw_args().map_err(|e| e.to_string())? {
                    command.push(text(value)?);
                }
            }
            other => return Err(other.unexpected().to_string()),
        }
    }
    Ok(Invocation::Monitor { socket, json, command })
}

fn text(value: OsString) -> Result<String, String> {
    value.into_string().map_err(|value| format!("the command is not UTF-8: {}", value.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Invocation, String> {
        parse(Parser::from_args(line.split_whitespace()))
    }

    #[test]
    fn every_form_of_the_usage_is_understood() {
        let monitor = |socket: Option<&str>, json, command: &[&str]| Invocation::Monitor {
            socket: socket.map(PathBuf::from),
            json,
            command: command.iter().map(|w| (*w).to_owned()).collect(),
        };
        for (line, invocation) in [
            ("ims.cfg", Invocation::Run("ims.cfg".into())),
            ("run ims.cfg", Invocation::Run("ims.cfg".into())),
            ("check ims.cfg", Invocation::Check(Show::Summary, "ims.cfg".into())),
            ("check --json ims.cfg", Invocation::Check(Show::Json, "ims.cfg".into())),
            ("check ims.cfg --effective", Invocation::Check(Show::Effective, "ims.cfg".into())),
            ("check --properties", Invocation::Properties),
            ("check --properties ims.cfg", Invocation::Properties),
            ("db dump state.db", Invocation::Dump { file: "state.db".into(), keys: false }),
            ("db dump --keys state.db", Invocation::Dump { file: "state.db".into(), keys: true }),
            ("db dump state.db --keys", Invocation::Dump { file: "state.db".into(), keys: true }),
            ("monitor", monitor(None, false, &[])),
            ("monitor --socket /s --json users", monitor(Some("/s"), true, &["users"])),
            ("monitor dialog_stop 3 --json", monitor(None, false, &["dialog_stop", "3", "--json"])),
            ("--help", Invocation::Help),
            ("check -h", Invocation::Help),
            ("-V", Invocation::Version),
        ] {
            assert_eq!(parsed(line), Ok(invocation), "{line}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (line, problem) in [
            ("", "a configuration file is missing"),
            ("run", "a configuration file is missing"),
            ("check", "a configuration file is missing"),
            ("a.cfg b.cfg", "unexpected argument \"b.cfg\""),
            ("--fast a.cfg", "invalid option '--fast'"),
            ("check --json --effective a.cfg", "invalid option '--effective'"),
            ("check --json --properties", "--properties stands alone"),
            ("db", "what is to be done with the state file is missing"),
            ("db dump", "a state file is missing"),
            ("db eat state.db", "db: `eat` is not known"),
            ("db dump a b", "unexpected argument \"b\""),
            ("monitor --socket", "missing argument for option '--socket'"),
        ] {
            let error = parsed(line).unwrap_err();
            assert!(error.starts_with(problem), "{line}: {error}");
        }
    }
}
