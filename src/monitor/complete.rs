//! Completion of a typed line from the server's catalogue: commands, their arguments, log options.

use crate::monitor::catalogue::{ArgEntry, Catalogue};

/// The names of levels, times and the like that complete the value of a log option.
const VALUES: &[(&str, &[&str])] = &[
    ("level", &["none", "error", "warn", "info", "debug"]),
    ("time", &["sec", "short", "full"]),
    ("file", &["cut"]),
    ("file.rotate", &["now"]),
];

/// Options of the whole log, with what follows the name.
const GLOBAL: &[&str] = &["time=", "time.us=", "file=cut", "file.rotate=", "file.path=", "append="];

/// Where the word at the end of `line` starts, and what it may become. `dialogs` is asked for the running dialogs' indexes.
pub fn complete(
    catalogue: &Catalogue,
    line: &str,
    dialogs: &mut dyn FnMut() -> Vec<String>,
) -> (usize, Vec<String>) {
    let start = line.rfind(char::is_whitespace).map_or(0, |at| at + 1);
    let word = &line[start..];
    let before: Vec<&str> = line[..start].split_whitespace().collect();
    let Some((command, given)) = before.split_first() else {
        return (start, matching(catalogue.commands.iter().map(|c| c.name.as_str()), word, " "));
    };
    let entry = catalogue.find(command);
    let flags = || entry.into_iter().flat_map(|entry| &entry.args).filter(|arg| arg.is_named());
    // the value of what was just named
    let named = given.last().and_then(|last| flags().find(|arg| arg.kind != "flag" && arg.is_flag(last)));
    if let Some(arg) = named {
        return (start, matching(arg.words.iter().map(String::as_str), word, ""));
    }
    if word.starts_with('-') {
        let flags: Vec<String> = flags().map(|arg| format!("--{}", arg.name)).collect();
        return (start, matching(flags.iter().map(String::as_str), word, ""));
    }
    let has_flags = flags().next().is_some();
    let takes_value = |word: &&str| flags().any(|arg| arg.kind != "flag" && arg.is_flag(word));
    let values = given.iter().filter(|word| takes_value(word)).count();
    let position = given.iter().filter(|word| !has_flags || !word.starts_with('-')).count() - values;
    let Some(arg) = entry.and_then(|entry| argument(&entry.args, position)) else {
        return (start, Vec::new());
    };
    match arg.complete.as_str() {
        "commands" => (start, matching(catalogue.commands.iter().map(|c| c.name.as_str()), word, "")),
        "words" => (start, matching(arg.words.iter().map(String::as_str), word, " ")),
        "dialogs" => (start, matching(dialogs().iter().map(String::as_str), word, "")),
        "log_options" => {
            let item = word.rfind(',').map_or(0, |at| at + 1);
            (start + item, log_option(catalogue, &word[item..]))
        }
        _ => (start, Vec::new()),
    }
}

/// The argument at this position; the last one takes all that follows when it is the rest of the line.
fn argument(args: &[ArgEntry], position: usize) -> Option<&ArgEntry> {
    args.get(position).or_else(|| args.last().filter(|a| a.kind == "rest"))
}

fn log_option(catalogue: &Catalogue, item: &str) -> Vec<String> {
    if let Some((name, value)) = item.split_once('=') {
        let setting = if VALUES.iter().any(|(n, _)| *n == name) {
            name
        } else {
            name.rsplit('.').next().unwrap_or(name)
        };
        let values = VALUES.iter().find(|(n, _)| *n == setting).map_or(&[][..], |(_, values)| values);
        return values.iter().filter(|v| v.starts_with(value)).map(|v| format!("{name}={v}")).collect();
    }
    if let Some((layer, setting)) = item.split_once('.')
        && (layer == "all" || catalogue.log_layers.iter().any(|l| l == layer))
    {
        let settings = catalogue.log_settings.iter().filter(|s| s.starts_with(setting));
        return settings.map(|s| format!("{layer}.{s}=")).collect();
    }
    let layers = std::iter::once("all").chain(catalogue.log_layers.iter().map(String::as_str));
    let mut out = matching(layers, item, ".");
    out.extend(matching(GLOBAL.iter().copied(), item, ""));
    out
}

fn matching<'a>(words: impl Iterator<Item = &'a str>, prefix: &str, end: &str) -> Vec<String> {
    words.filter(|w| w.starts_with(prefix)).map(|w| format!("{w}{end}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::command::COMMANDS;
    use crate::api::snapshot;

    fn candidates(line: &str) -> (usize, Vec<String>) {
        let catalogue = Catalogue::from_help(&snapshot::help(true)).unwrap();
        complete(&catalogue, line, &mut || vec!["3".to_owned(), "31".to_owned(), "4".to_owned()])
    }

    fn words(line: &str) -> Vec<String> {
        candidates(line).1
    }

    #[test]
    fn commands_and_their_arguments_are_completed() {
        assert_eq!(candidates("dialog_st"), (0, vec!["dialog_stop ".to_owned()]));
        assert_eq!(
            words("dialog_set 3 "),
            ["stop ", "hold ", "reinvite ", "downgrade ", "media ", "answer ", "session-expires-stop "]
        );
        assert_eq!(candidates("dialog_set 3 ho"), (13, vec!["hold ".to_owned()]));
        assert_eq!(words("dialog_set 3 hold --media "), ["audio", "video", "text"]);
        assert_eq!(words("dialog_set --media video 4"), ["4"]);
        assert_eq!(words("dialog_set 3 media --rt"), ["--rtp", "--rtcp"]);
        assert_eq!(words("").len(), COMMANDS.iter().filter(|c| c.command.is_some()).count());
        assert_eq!(candidates("help us"), (5, vec!["users".to_owned()]));
        assert_eq!(candidates("dialog_stop 3"), (12, vec!["3".to_owned(), "31".to_owned()]));
        assert_eq!(words("dialog_stop 3 "), [""; 0]);
        assert_eq!(words("users "), [""; 0]);
        assert_eq!(words("fly "), [""; 0]);
        assert_eq!(candidates("ipsec --"), (6, vec!["--keys".to_owned(), "--wireshark".to_owned()]));
        assert_eq!(words("users -v --v"), ["--verbose"]);
        assert_eq!(words("dialog_stop -"), [""; 0]);
    }

    #[test]
    fn log_options_are_completed_piece_by_piece() {
        assert_eq!(candidates("log sip.level=debug,me"), (20, vec!["media.".to_owned()]));
        assert_eq!(words("log all.l"), ["all.level="]);
        assert_eq!(words("log ims.level=d"), ["ims.level=debug"]);
        assert_eq!(words("log time=s"), ["time=sec", "time=short"]);
        assert_eq!(words("log file"), ["file=cut", "file.rotate=", "file.path="]);
        assert_eq!(words("log file.rotate="), ["file.rotate=now"]);
        assert_eq!(words("log sip.level=debug, cx.lev"), ["cx.level="]);
        assert_eq!(words("log foo.l"), [""; 0]);
    }

    #[test]
    fn the_completed_values_are_those_of_the_language() {
        use crate::api::log_options::{GLOBAL_SETTINGS, LEVELS, LogConfig};
        let levels: Vec<&str> = LEVELS.iter().map(|(name, _)| *name).collect();
        assert_eq!(VALUES[0].1, levels);
        for (name, values) in VALUES {
            for value in *values {
                let name = if *name == "level" { "sip.level" } else { name };
                LogConfig::parse(&format!("{name}={value}")).unwrap();
            }
        }
        for name in GLOBAL_SETTINGS {
            assert!(GLOBAL.iter().any(|g| g.starts_with(name)), "{name}");
        }
    }
}
