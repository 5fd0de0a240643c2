//! The program `imsbox`: runs the IMS, checks a configuration, or talks to a running one.
#![forbid(unsafe_code)]

mod args;
mod banner;
mod check;
mod db;
mod disk;
mod run;

use args::Invocation;
use std::process::ExitCode;

/// How the program ends; documented in `--help`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exit {
    /// All went well.
    Ok = 0,
    /// The configuration has errors, or a command failed.
    Failed = 1,
    /// The command line is wrong.
    Usage = 2,
    /// A socket or file that is needed cannot be opened.
    CannotStart = 3,
    /// Something that the program cannot go on without failed while it ran.
    Broken = 4,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

fn main() -> ExitCode {
    let exit = match args::parse(lexopt::Parser::from_env()) {
        Ok(Invocation::Help) => say(args::HELP),
        Ok(Invocation::Version) => say(concat!("imsbox ", env!("CARGO_PKG_VERSION"), "\n")),
        Ok(Invocation::Run(path)) => run::run(&path),
        Ok(Invocation::Check(what, path)) => check::check(what, &path),
        Ok(Invocation::Properties) => check::properties(),
        Ok(Invocation::Dump { file, keys }) => db::dump(&file, keys),
        Ok(Invocation::Monitor { socket, json, command }) => {
            let socket = socket.unwrap_or_else(imsbox::node::control::client_socket);
            match imsbox::monitor::run(&imsbox::monitor::Options { socket, json, command }) {
                true => Exit::Ok,
                false => Exit::Failed,
            }
        }
        Err(problem) => {
            eprintln!("imsbox: {problem}\nTry `imsbox --help`.");
            Exit::Usage
        }
    };
    exit.into()
}

/// Writes to the standard output; a reader that has gone (`| head`) needs no more.
fn say(text: &str) -> Exit {
    use std::io::Write as _;
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
    Exit::Ok
}
