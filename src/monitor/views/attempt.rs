//! The last registration attempt of a user, step by step, and where it stopped: a part of `users --verbose`.

use super::{list, text};
use crate::monitor::look::{Look, Tone, table};
use serde_json::Value;

/// Columns that sentences are broken into.
const WIDTH: usize = 100;

/// The text for the `attempt` of a user. Whether the user `is_alone`: of many, those who have tried nothing have one line each.
pub(super) fn render(attempt: &Value, is_alone: bool, look: &Look) -> String {
    let steps = list(attempt, "steps");
    let began = steps.first().and_then(|step| step["utc"].as_f64());
    let mut out = match began {
        Some(began) => format!("  Last attempt  {}\n", look.date(began as i64)),
        None if !is_alone => {
            let words = "none; for this user alone, this command says what to do";
            return look.paint(Tone::Dim, &format!("  Last attempt  {words}")) + "\n";
        }
        None => "  Last attempt  none\n".to_owned(),
    };
    let rows: Vec<_> = steps.iter().map(|step| row(step, began.unwrap_or(0.0))).collect();
    if !rows.is_empty() {
        out += &table(look, &["    STEP", "STATE", "AFTER", ""], &[false, false, true, false], &rows);
    }
    let trouble = &attempt["trouble"];
    if trouble.is_object() {
        out += &format!("  Stopped at    {}\n", look.paint(Tone::Bad, &text(trouble, "step")));
        out += &sentence("  Likely cause  ", &text(trouble, "cause"));
        out += &sentence("  What to do    ", &text(trouble, "cure"));
    }
    out
}

fn row(step: &Value, began: f64) -> (Option<Tone>, Vec<String>) {
    let state = text(step, "state");
    let tone = match state.as_ref() {
        "failed" => Some(Tone::Bad),
        "ok" => None,
        _ => Some(Tone::Dim),
    };
    let after = step["utc"].as_f64().map_or(String::new(), |at| format!("{:.3} s", (at - began).max(0.0)));
    let cells = vec![
        format!("    {}", text(step, "name")),
        state.into_owned(),
        after,
        text(step, "text").into_owned(),
    ];
    (tone, cells)
}

/// Words below each other, behind their title.
fn sentence(title: &str, words: &str) -> String {
    let mut lines = vec![title.to_owned()];
    for word in words.split_whitespace() {
        let last = lines.last_mut().expect("it starts with one");
        let width = last.chars().count();
        match width > title.len() && width + 1 + word.chars().count() > WIDTH {
            true => lines.push(format!("{}{word}", " ".repeat(title.len()))),
            false if width > title.len() => *last += &format!(" {word}"),
            false => *last += word,
        }
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_attempt_is_told_step_by_step_up_to_where_it_stopped() {
        let attempt = json!({
            "steps": [
                { "name": "REGISTER seen", "state": "ok", "utc": 1_608_093_067.5, "text": "UDP from 10.0.0.1:5060" },
                { "name": "IPsec agreed", "state": "ok", "utc": 1_608_093_067.512, "text": "aes-cbc with hmac-sha-1-96" },
                { "name": "ESP seen", "state": "not yet" },
            ],
            "trouble": {
                "step": "ESP seen",
                "cause": "the 401 was sent and no ESP came back: the SIM rejects the challenge, or the phone's ESP does not reach \
                          this machine",
                "cure": "compare K",
            },
        });
        assert_eq!(
            render(&attempt, false, &Look::plain()),
            "\x20 Last attempt  2020-12-16 04:31:07\n\
             \x20   STEP           STATE      AFTER\n\
             \x20   REGISTER seen  ok       0.000 s  UDP from 10.0.0.1:5060\n\
             \x20   IPsec agreed   ok       0.012 s  aes-cbc with hmac-sha-1-96\n\
             \x20   ESP seen       not yet\n\
             \x20 Stopped at    ESP seen\n\
             \x20 Likely cause  the 401 was sent and no ESP came back: the SIM rejects the challenge, or the phone's\n\
             \x20               ESP does not reach this machine\n\
             \x20 What to do    compare K\n"
        );
    }

    #[test]
    fn without_an_attempt_there_is_still_something_to_do() {
        let attempt = json!({ "steps": [], "trouble": { "step": "a", "cause": "b", "cure": "c" } });
        let text = "  Last attempt  none\n  Stopped at    a\n  Likely cause  b\n  What to do    c\n";
        assert_eq!(render(&attempt, true, &Look::plain()), text);
        let among_many = render(&attempt, false, &Look::plain());
        assert_eq!(among_many, "  Last attempt  none; for this user alone, this command says what to do\n");
    }
}
