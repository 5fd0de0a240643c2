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
    /// `word`, `integer` or `rest`; `flag`, `option` or `number` for what is named with `-`.
    pub kind: String,
    /// Whether it may be left out.
    pub optional: bool,
    /// Where completions come from.
    pub complete: String,
    /// The completions, when they are always the same.
    pub words: Vec<String>,
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
        for arg in entry.args.iter().filter(|arg| !arg.is_named()) {
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

    /// Takes what is named with `-` out of a line, and into the request; the rest of the line, when there may be such words in it.
    fn take_flags(&self, line: &str, request: &mut Value) -> Result<Option<String>, String> {
        if !self.args.iter().any(ArgEntry::is_named) {
            return Ok(None);
        }
        let mut others = Vec::new();
        let mut rest = line;
        while !rest.is_empty() {
            let (word, after) = split_quoted(rest);
            rest = after;
            if word == "-" || !word.starts_with('-') {
                others.push(word);
                continue;
            }
            let known = self.args.iter().find(|arg| arg.is_named() && arg.is_flag(word));
            let known = known.ok_or_else(|| format!("unknown option {word}: {}", self.usage()))?;
            request[&known.name] = if known.kind == "flag" {
                json!(true)
            } else {
                let (value, after) = split_quoted(rest);
                rest = after;
                known.value(value).ok_or_else(|| self.lacking(known, value))?
            };
        }
        Ok(Some(others.join(" ")))
    }

    /// What is wrong with the value of a named argument.
    fn lacking(&self, arg: &ArgEntry, value: &str) -> String {
        match value {
            "" => format!("the value of --{} is missing: {}", arg.name, self.usage()),
            _ => format!("{} must be a number: {}", arg.name, self.usage()),
        }
    }

    /// The command with its arguments, optional ones in brackets.
    pub fn usage(&self) -> String {
        let mut out = self.name.clone();
        for arg in &self.args {
            out += &match arg.kind.as_str() {
                "flag" => format!(" [--{}]", arg.name),
                "option" => format!(" [--{} X]", arg.name),
                "number" => format!(" [--{} N]", arg.name),
                _ if arg.optional => format!(" [{}]", arg.name),
                _ => format!(" <{}>", arg.name),
            };
        }
        out
    }
}

impl ArgEntry {
    /// Whether it is named with `-` where it is typed, in any place.
    pub fn is_named(&self) -> bool {
        matches!(self.kind.as_str(), "flag" | "option" | "number")
    }

    /// The value that follows its name; none when it is not there, or no number where one belongs.
    fn value(&self, word: &str) -> Option<Value> {
        let unquoted = word.strip_prefix('"').and_then(|w| w.strip_suffix('"')).unwrap_or(word);
        match self.kind.as_str() {
            _ if word.is_empty() => None,
            "number" => match word.parse::<i64>() {
                Ok(whole) => Some(json!(whole)),
                Err(_) => word.parse::<f64>().ok().filter(|n| n.is_finite()).map(|n| json!(n)),
            },
            _ => Some(json!(unquoted)),
        }
    }

    /// Whether a word is this flag: `--keys`, `-k`.
    pub(super) fn is_flag(&self, word: &str) -> bool {
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
            words: value["words"].as_array().into_iter().flatten().map(text).collect(),
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

/// The first word of a line, or a text in quotes, with them; and what follows it.
fn split_quoted(line: &str) -> (&str, &str) {
    let line = line.trim();
    match line.strip_prefix('"').and_then(|text| text.find('"')) {
        Some(end) => (&line[..end + 2], line[end + 2..].trim_start()),
        None => split_word(line),
    }
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
            "mt_call",
            "dialog_set",
            "dialog_stop",
            "reinvite",
            "dialog_answer",
            "mme",
            "sms",
            "sms_flush",
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
            (
                "mt_call -d 2.5 600 - 601 --sos",
                json!({"message": "mt_call", "callee": "600", "sdp_file": "-", "caller": "601", "duration": 2.5, "sos": true}),
            ),
            (
                "dialog_set last stop --reason \"too late\" -c 480",
                json!({"message": "dialog_set", "dialog": "last", "action": "stop", "reason": "too late", "code": 480}),
            ),
            ("sms 600  see you - at 5", json!({"message": "sms", "user": "600", "text": "see you - at 5"})),
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
            ("dialog_answer 1 -c", "the value of --code is missing: dialog_answer <dialog> [--code N]"),
            ("dialog_answer 1 -c busy", "code must be a number: dialog_answer <dialog> [--code N]"),
            ("users -x", "unknown option -x: users [user] [--verbose]"),
            ("ipsec --k", "unknown option --k: ipsec [--keys] [--wireshark]"),
        ] {
            assert_eq!(c.request(line), Err(problem.to_owned()));
        }
    }
}
