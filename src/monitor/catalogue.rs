//! The commands as the server described them, and the request that a typed line becomes.

use serde_json::{Value, json};

/// All commands of the server.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Catalogue {
    /// In the server's order.
    pub commands: Vec<Entry>,
    /// What log options are completed from: the layers.
    pub log_layers: Vec<String>,
    /// What log options are completed from: the settings of a layer.
    pub log_settings: Vec<String>,
}

/// One command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What is typed.
    pub name: String,
    /// The message that it sends.
    pub message: String,
    /// The arguments, in order.
    pub args: Vec<ArgEntry>,
    /// One line of help.
    pub help: String,
    /// More help.
    pub details: String,
}

/// One argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArgEntry {
    /// Its name, and that of its member in the request.
    pub name: String,
    /// `word`, `integer`, `rest` or `flag`.
    pub kind: String,
    /// Whether it may be left out.
    pub optional: bool,
    /// Where completions come from.
    pub complete: String,
}

impl Catalogue {
    /// Reads the server's answer to `help` with `commands`.
    pub fn from_help(answer: &Value) -> Result<Catalogue, String> {
        let list = |name: &str| answer[name].as_array().map(Vec::as_slice).unwrap_or_default();
        let texts = |name: &str| list(name).iter().map(text).collect();
        let commands: Vec<Entry> = list("commands").iter().map(Entry::read).collect();
        if commands.is_empty() {
            return Err("the server does not tell its commands".to_owned());
        }
        Ok(Catalogue { commands, log_layers: texts("log_layers"), log_settings: texts("log_settings") })
    }

    /// The command of this name.
    pub fn find(&self, name: &str) -> Option<&Entry> {
        self.commands.iter().find(|c| c.name == name)
    }

    /// The request for a typed line; the error is for a person.
    pub fn request(&self, line: &str) -> Result<Value, String> {
        let (name, mut rest) = split_word(line);
        let Some(entry) = self.find(name) else {
            return Err(format!("unknown command {name}; help lists the commands"));
        };
        let mut request = json!({ "message": entry.message });
        let without_flags = entry.take_flags(rest, &mut request)?;
        rest = without_flags.as_deref().unwrap_or(rest);
        for arg in entry.args.iter().filter(|arg| arg.kind != "flag") {
            let (word, after) = if arg.kind == "rest" { (rest, "") } else { split_word(rest) };
            rest = after;
            match word {
                "" if arg.optional => {}
                "" => return Err(format!("{} is missing: {}", arg.name, entry.usage())),
                word if arg.kind == "integer" => {
                    let number: i64 = word
                        .parse()
                        .map_err(|_| format!("{} must be a number: {}", arg.name, entry.usage()))?;
                    request[&arg.name] = json!(number);
                }
                word => request[&arg.name] = json!(word),
            }
        }
        if !rest.is_empty() {
            return Err(format!("too many arguments: {}", entry.usage()));
        }
        if entry.message == "help" && request.get("command").is_none() {
            request["commands"] = json!(true);
        }
        Ok(request)
    }
}

impl Entry {
    /// Reads one of the `commands` of the server's help.
    pub fn read(value: &Value) -> Entry {
        let args = value["args"].as_array().map(Vec::as_slice).unwrap_or_default();
        Entry {
            name: text(&value["name"]),
            message: text(&value["message"]),
            args: args.iter().map(ArgEntry::read).collect(),
            help: text(&value["help"]),
            details: text(&value["details"]),
        }
    }

    /// Takes the flags out of a line, and into the request; the rest of the line, when there may be flags in it.
    fn take_flags(&self, line: &str, request: &mut Value) -> Result<Option<String>, String> {
        if !self.args.iter().any(|arg| arg.kind == "flag") {
            return Ok(None);
        }
        let (flags, others): (Vec<&str>, Vec<&str>) =
            line.split_whitespace().partition(|word| word.starts_with('-'));
        for word in flags {
            let known = self.args.iter().find(|arg| arg.kind == "flag" && arg.is_flag(word));
            let known = known.ok_or_else(|| format!("unknown option {word}: {}", self.usage()))?;
            request[&known.name] = json!(true);
        }
        Ok(Some(others.join(" ")))
    }

    /// The command with its arguments, optional ones in brackets.
    pub fn usage(&self) -> String {
        let mut out = self.name.clone();
        for arg in &self.args {
            out += &match arg.kind.as_str() {
                "flag" => format!(" [--{}]", arg.name),
                _ if arg.optional => format!(" [{}]", arg.name),
                _ => format!(" <{}>", arg.name),
            };
        }
        out
    }
}

impl ArgEntry {
    /// Whether a word is this flag: `--keys`, `-k`.
    fn is_flag(&self, word: &str) -> bool {
        match word.strip_prefix("--") {
            Some(name) => name == self.name,
            None => word.strip_prefix('-').is_some_and(|short| self.name.get(..1) == Some(short)),
        }
    }

    fn read(value: &Value) -> ArgEntry {
        ArgEntry {
            name: text(&value["name"]),
            kind: text(&value["kind"]),
            optional: value["optional"].as_bool().unwrap_or(false),
            complete: text(&value["complete"]),
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The first word of a line, and what follows it.
pub fn split_word(line: &str) -> (&str, &str) {
    let line = line.trim();
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    (word, rest.trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::snapshot;

    fn catalogue() -> Catalogue {
        Catalogue::from_help(&snapshot::help(true)).unwrap()
    }

    #[test]
    fn the_servers_help_is_understood() {
        let c = catalogue();
        let names: Vec<&str> = c.commands.iter().map(|c| c.name.as_str()).collect();
        let known = [
            "help",
            "log",
            "users",
            "ipsec",
            "dialog",
            "dialog_stop",
            "unregister",
            "reauthenticate",
            "quit",
        ];
        assert_eq!(names, known);
        assert_eq!(c.find("dialog_stop").unwrap().usage(), "dialog_stop <index>");
        assert_eq!(c.find("log").unwrap().usage(), "log [options]");
        assert_eq!(c.find("users").unwrap().usage(), "users [user] [--verbose]");
        assert!(c.log_layers.contains(&"sip".to_owned()) && c.log_settings.contains(&"level".to_owned()));
        assert!(Catalogue::from_help(&json!({})).is_err());
    }

    #[test]
    fn a_line_becomes_a_request() {
        let c = catalogue();
        for (line, request) in [
            ("users", json!({"message": "users_get"})),
            ("users -v 600", json!({"message": "users_get", "verbose": true, "user": "600"})),
            ("users 600 --verbose", json!({"message": "users_get", "verbose": true, "user": "600"})),
            ("ipsec -k -w", json!({"message": "ipsec", "keys": true, "wireshark": true})),
            ("  dialog_stop   12 ", json!({"message": "dialog_stop", "index": 12})),
            ("log", json!({"message": "log"})),
            (
                "log sip.level=debug, time=full ",
                json!({"message": "log", "options": "sip.level=debug, time=full"}),
            ),
            ("help", json!({"message": "help", "commands": true})),
            ("help log", json!({"message": "help", "command": "log"})),
        ] {
            assert_eq!(c.request(line), Ok(request), "{line}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_line_is_said_with_the_usage() {
        let c = catalogue();
        for (line, problem) in [
            ("fly", "unknown command fly; help lists the commands"),
            ("dialog_stop", "index is missing: dialog_stop <index>"),
            ("dialog_stop x", "index must be a number: dialog_stop <index>"),
            ("users now then", "too many arguments: users [user] [--verbose]"),
            ("users -x", "unknown option -x: users [user] [--verbose]"),
            ("ipsec --k", "unknown option --k: ipsec [--keys] [--wireshark]"),
        ] {
            assert_eq!(c.request(line), Err(problem.to_owned()));
        }
    }
}
