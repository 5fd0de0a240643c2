//! The program `imsbox-ue`: a phone without a radio, for those who have none at hand, and for tests.
#![forbid(unsafe_code)]

mod args;
mod command;
mod device;
mod director;
mod file;
mod memory;
mod options;
mod phone;
mod settings;
mod shell;
mod usim;
mod words;

use args::Invocation;
use std::process::ExitCode;

/// How the program ends; documented in `--help`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exit {
    /// All went well.
    Ok = 0,
    /// A command failed, or an expectation was not met.
    Failed = 1,
    /// The command line, the script or the configuration is wrong.
    Usage = 2,
    /// A socket or file that is needed cannot be opened.
    CannotStart = 3,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

fn main() -> ExitCode {
    let exit = match args::parse(lexopt::Parser::from_env()) {
        Ok(Invocation::Help) => say(&args::help()),
        Ok(Invocation::Version) => say(concat!("imsbox-ue ", env!("CARGO_PKG_VERSION"), "\n")),
        Ok(Invocation::Run(run)) => start(&run),
        Err(problem) => {
            eprintln!("imsbox-ue: {problem}\nTry `imsbox-ue --help`.");
            Exit::Usage
        }
    };
    exit.into()
}

fn start(run: &args::Run) -> Exit {
    let settings = match file::settings(run) {
        Ok(settings) => settings,
        Err(problems) => {
            problems.iter().for_each(|problem| eprintln!("{problem}"));
            return Exit::Usage;
        }
    };
    shell::run(settings, run)
}

/// Writes to the standard output; a reader that has gone (`| head`) needs no more.
fn say(text: &str) -> Exit {
    use std::io::Write as _;
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
    Exit::Ok
}
