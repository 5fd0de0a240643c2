//! Answers as a person likes to read them.

mod attempt;
mod dialogs;
mod ipsec;
mod ladder;
mod log;
mod mmes;
mod users;
mod wireshark;

use crate::monitor::catalogue::{Catalogue, Entry};
use crate::monitor::look::{Look, Tone, clean};
use serde_json::Value;

/// The text for the answer to a request, ending with a newline unless there is nothing to say.
pub fn answer(request: &Value, answer: &Value, look: &Look) -> String {
    match request["message"].as_str().unwrap_or_default() {
        "help" if request.get("command").is_some() => explain(answer, look),
        "help" => help(answer, look),
        "users_get" => users::render(answer, look),
        "dialog_get" => dialogs::render(answer, look),
        "ipsec" => ipsec::render(request, answer, look),
        "mme" => mmes::render(answer, look),
        "log" => log::render(answer, look),
        "sms" if answer["parts"].is_u64() => taken(answer),
        "sms_flush" if answer["count"].is_u64() => flushed(answer),
        _ => other(answer),
    }
}

/// One line for each command.
fn help(answer: &Value, look: &Look) -> String {
    let Ok(catalogue) = Catalogue::from_help(answer) else { return other(answer) };
    let width = catalogue.commands.iter().map(|c| c.usage().len()).max().unwrap_or(0);
    let line = |c: &Entry| {
        let pad = " ".repeat(width - c.usage().len());
        format!("{}{pad}  {}\n", look.paint(Tone::Bold, &c.usage()), c.help)
    };
    catalogue.commands.iter().map(line).collect()
}

/// One command at length.
fn explain(answer: &Value, look: &Look) -> String {
    let entry = Entry::read(&answer["commands"][0]);
    let mut out = format!("{}  {}\n", look.paint(Tone::Bold, &entry.usage()), entry.help);
    if !entry.details.is_empty() {
        out += &format!("\n{}\n", entry.details);
    }
    out
}

/// A text of the operator's is on its way; `users` says whether it waits.
fn taken(answer: &Value) -> String {
    match answer["parts"].as_u64() {
        Some(1) => "taken, as one short message\n".to_owned(),
        parts => format!("taken, as {} short messages\n", parts.unwrap_or_default()),
    }
}

/// What waited for a user is gone.
fn flushed(answer: &Value) -> String {
    match answer["count"].as_u64() {
        Some(0) => "no short message waited\n".to_owned(),
        Some(1) => "one short message is dropped\n".to_owned(),
        count => format!("{} short messages are dropped\n", count.unwrap_or_default()),
    }
}

/// What this client has no view for: the members that are not those of every answer, as JSON.
fn other(answer: &Value) -> String {
    let mut own = answer.clone();
    if let Some(members) = own.as_object_mut() {
        members.retain(|name, _| !["message", "message_id", "time", "utc"].contains(&name.as_str()));
        if members.is_empty() {
            return String::new();
        }
    }
    format!("{own:#}\n")
}

/// The elements of an array member.
fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// A string member without control characters; empty when it is not there.
fn text<'a>(value: &'a Value, name: &str) -> std::borrow::Cow<'a, str> {
    clean(value[name].as_str().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::snapshot;
    use serde_json::json;

    #[test]
    fn help_has_a_line_for_each_command() {
        let request = json!({ "message": "help", "commands": true });
        let text = answer(&request, &snapshot::help(true), &Look::plain());
        let first = text.lines().next().expect("a line");
        assert!(first.starts_with("help [command]  "), "{text}");
        let column = first.find("Lists the commands, or explains one").expect("its help");
        let usage = "dialog_stop <index>";
        assert!(text.contains(&format!("\n{usage:column$}Ends a call\n")), "{text}");
    }

    #[test]
    fn help_explains_a_command() {
        let command = crate::api::command::by_command("dialog_stop").unwrap();
        let reply = json!({ "commands": [snapshot::command(command)] });
        let text = answer(&json!({ "message": "help", "command": "dialog_stop" }), &reply, &Look::plain());
        assert!(text.starts_with("dialog_stop <index>  Ends a call\n\nThe index is"), "{text}");
    }

    #[test]
    fn short_messages_are_counted_in_words() {
        let said = |message: &str, name: &str, n: u32| {
            answer(&json!({ "message": message }), &json!({ "message": message, name: n }), &Look::plain())
        };
        assert_eq!(said("sms", "parts", 1), "taken, as one short message\n");
        assert_eq!(said("sms", "parts", 3), "taken, as 3 short messages\n");
        assert_eq!(said("sms_flush", "count", 0), "no short message waited\n");
        assert_eq!(said("sms_flush", "count", 1), "one short message is dropped\n");
        assert_eq!(said("sms_flush", "count", 2), "2 short messages are dropped\n");
    }

    #[test]
    fn an_answer_without_a_view_is_shown_as_json() {
        let reply = json!({ "message": "x", "time": 1.0, "utc": 2.0, "n": 3 });
        assert_eq!(answer(&json!({ "message": "x" }), &reply, &Look::plain()), "{\n  \"n\": 3\n}\n");
        let reply = json!({ "message": "x", "time": 1.0 });
        assert_eq!(answer(&json!({ "message": "x" }), &reply, &Look::plain()), "");
    }
}
