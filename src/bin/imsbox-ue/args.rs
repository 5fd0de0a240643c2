//! The command line.

use crate::options::{self, Kind};
use crate::settings::{self, Given};
use lexopt::{Arg, Parser};
use std::ffi::OsString;
use std::path::PathBuf;

/// What `--help` prints above and below the options.
const HEAD: &str = concat!(
    "imsbox-ue ",
    env!("CARGO_PKG_VERSION"),
    ": a phone without a radio, to register, to call and to test with

Usage:
  imsbox-ue [--config FILE] [OPTIONS]                     a prompt (try: help)
  imsbox-ue [--config FILE] [OPTIONS] COMMAND [; COMMAND]...
                                                          do this and end; `--` may stand for `;`
  imsbox-ue [--config FILE] [OPTIONS] --script FILE       do what the file says and end; `-` is the standard input

Options, each also a property of the configuration file (where its name differs it is in brackets):
  -c, --config FILE     configuration file, in the language of imsbox's own
  --script FILE         commands, one a line
  --udp, --tcp          as --transport
  -v                    as --verbose
"
);

const FOOT: &str = "  -h, --help            print this
  -V, --version         print the version

Commands:
";

const EXITS: &str = "
Exit codes:
  0  all went well
  1  a command failed, or something was not as expected
  2  the command line, the script or the configuration is wrong
  3  cannot start: a socket or a file cannot be opened
";

/// The help's text.
pub fn help() -> String {
    [HEAD, &options::help(), FOOT, crate::command::HELP, EXITS].concat()
}

/// Where commands come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// From a person, or whatever the standard input is.
    Input,
    /// From the command line.
    Text(String),
    /// From a file.
    Script(PathBuf),
}

/// A run of the phone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The configuration file.
    pub config: Option<PathBuf>,
    /// The options of the command line.
    pub given: Given,
    /// The commands.
    pub source: Source,
}

/// What the program is asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Invocation {
    /// Print the help.
    Help,
    /// Print the version.
    Version,
    /// Be a phone.
    Run(Run),
}

/// Reads the command line; the error is one line for a person.
pub fn parse(mut parser: Parser) -> Result<Invocation, String> {
    let mut run = Run { config: None, given: Given::new(), source: Source::Input };
    while let Some(arg) = parser.next().map_err(|e| e.to_string())? {
        match arg {
            Arg::Short('h') | Arg::Long("help") => return Ok(Invocation::Help),
            Arg::Short('V') | Arg::Long("version") => return Ok(Invocation::Version),
            Arg::Short('c') | Arg::Long("config") => run.config = Some(value(&mut parser)?.into()),
            Arg::Short('v') => give(&mut run.given, "verbose", "true")?,
            Arg::Long("udp") => give(&mut run.given, "transport", "udp")?,
            Arg::Long("tcp") => give(&mut run.given, "transport", "tcp")?,
            Arg::Long("script") => {
                let script = value(&mut parser)?;
                run.source = if script == "-" { Source::Input } else { Source::Script(script.into()) };
            }
            Arg::Long(flag) => {
                let Some(option) = options::by_flag(flag) else { return Err(arg.unexpected().to_string()) };
                let text = match option.kind {
                    Kind::Switch => "true".to_owned(),
                    _ => text(value(&mut parser)?)?,
                };
                give(&mut run.given, option.name, &text)?;
            }
            // from the first command on, everything is commands
            Arg::Value(first) => {
                let mut words = vec![text(first)?];
                for word in parser.raw_args().map_err(|e| e.to_string())? {
                    words.push(text(word)?);
                }
                let words = words.iter().map(|w| if w == "--" { ";" } else { w });
                run.source = Source::Text(words.collect::<Vec<_>>().join(" "));
            }
            other => return Err(other.unexpected().to_string()),
        }
    }
    Ok(Invocation::Run(run))
}

fn value(parser: &mut Parser) -> Result<OsString, String> {
    parser.value().map_err(|e| e.to_string())
}

fn give(given: &mut Given, name: &'static str, text: &str) -> Result<(), String> {
    let option = options::by_name(name).ok_or("an option without a name")?;
    let text = settings::taken(option, text).map_err(|t| format!("--{}: {}", option.flag, t.words))?;
    given.insert(name, text);
    Ok(())
}

fn text(value: OsString) -> Result<String, String> {
    value.into_string().map_err(|value| format!("not UTF-8: {}", value.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(line: &str) -> Result<Run, String> {
        match parse(Parser::from_args(line.split_whitespace()))? {
            Invocation::Run(run) => Ok(run),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn options_go_before_commands() {
        let run = run("-c ue.cfg --imsi 001010123456789 --tcp -v register -- call -- 5 ; quit --x").unwrap();
        assert_eq!(run.config, Some("ue.cfg".into()));
        assert_eq!(run.given.get("imsi").map(String::as_str), Some("001010123456789"));
        assert_eq!(run.given.get("transport").map(String::as_str), Some("tcp"));
        assert_eq!(run.given.get("verbose").map(String::as_str), Some("true"));
        assert_eq!(run.source, Source::Text("register ; call ; 5 ; quit --x".to_owned()));
    }

    #[test]
    fn commands_come_from_the_input_a_file_or_the_line() {
        assert_eq!(run("").unwrap().source, Source::Input);
        assert_eq!(run("--script -").unwrap().source, Source::Input);
        assert_eq!(run("--script a.txt").unwrap().source, Source::Script("a.txt".into()));
        // the shell takes the first `--` for the end of options, and so it may be here
        assert_eq!(run("-- register").unwrap().source, Source::Text("register".to_owned()));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (line, problem) in [
            ("--fast", "invalid option '--fast'"),
            ("--k 12", "--k: expected 32 or 64 hexadecimal digits, found 2"),
            ("--k", "missing argument for option '--k'"),
            ("--algo sim", "--algo: expected one of xor, milenage, tuak"),
            ("-x", "invalid option '-x'"),
        ] {
            assert_eq!(run(line).unwrap_err(), problem, "{line}");
        }
    }

    #[test]
    fn the_help_shows_every_option_and_exit_code() {
        let help = help();
        for option in options::OPTIONS {
            assert!(help.contains(&format!("--{} ", option.flag)), "{}", option.flag);
        }
        assert!(help.contains("Exit codes:") && help.contains("auto-answer"));
        // what is aligned stays so
        assert!(
            help.contains("\n  -h, --help            print")
                && help.contains("\n  register [SECONDS]        register")
        );
        let row = |line: &&str| line.starts_with("  --");
        for line in help.lines().filter(row) {
            assert!(line.as_bytes()[23] == b' ' && line.as_bytes()[24] != b' ', "{line}");
        }
    }
}
