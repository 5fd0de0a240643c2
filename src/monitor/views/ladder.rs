//! The ladder of a call: who sent what to whom, and when.

use super::{list, text};
use crate::base::ladder::{Ladder, Row, Step};
use crate::monitor::look::{Look, Tone};
use serde_json::Value;

/// Columns that every terminal has.
const WIDTH: usize = 80;

/// The text for the `ladder` of an answer.
pub(super) fn render(ladder: &Value, look: &Look) -> String {
    let steps = list(ladder, "steps");
    let names = ladder["parties"].as_array().map(Vec::as_slice).unwrap_or_default();
    let columns = names.iter().map(|n| super::clean(n.as_str().unwrap_or_default()).into_owned()).collect();
    let chart = Ladder { columns, rows: steps.iter().map(row).collect() };
    let tones = std::iter::once(Some(Tone::Bold)).chain(steps.iter().map(tone));
    let paint = |(line, tone): (String, Option<Tone>)| match tone {
        Some(tone) => look.paint(tone, &line) + "\n",
        None => line + "\n",
    };
    chart.draw(WIDTH, look.strokes()).into_iter().zip(tones).map(paint).collect()
}

fn row(step: &Value) -> Row {
    let time = format!("{:.3}", step["timestamp"].as_f64().unwrap_or(0.0));
    let column = |name: &str| step[name].as_u64().and_then(|n| usize::try_from(n).ok());
    let step = match (column("from"), column("to")) {
        (Some(from), Some(to)) => {
            let again = step["count"].as_u64().filter(|n| *n > 1).map_or(String::new(), |n| format!(" x{n}"));
            Step::Arrow { from, to, text: format!("{}{again}", text(step, "text")) }
        }
        _ => Step::Note(text(step, "note").into_owned()),
    };
    Row { time, step }
}

/// Failures stand out; 487 is the wanted end of a cancelled call.
fn tone(step: &Value) -> Option<Tone> {
    if step["note"].is_string() {
        return Some(Tone::Bold);
    }
    let status = text(step, "text").split(' ').next().and_then(|word| word.parse::<u16>().ok());
    status.filter(|s| *s >= 400 && *s != 487).map(|_| Tone::Bad)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn ladder() -> Value {
        json!({ "index": 10, "parties": ["alice@ims.test", "imsbox", "bob\u{1b}[2J@ims.test"], "steps": [
            { "timestamp": 0.0, "from": 0, "to": 1, "text": "INVITE (sdp)", "count": 1 },
            { "timestamp": 0.001, "from": 1, "to": 2, "text": "INVITE (sdp)", "count": 3 },
            { "timestamp": 12.3456, "from": 2, "to": 1, "text": "486 INVITE", "count": 1 },
            { "timestamp": 12.346, "note": "stop: 486 Busy Here" },
        ] })
    }

    #[test]
    fn a_call_is_drawn_with_the_time_of_each_message() {
        assert_eq!(
            render(&ladder(), &Look::plain()),
            "        alice@ims.test                  imsbox                 bob?[2J@ims.test
 0.000    |--------- INVITE (sdp) -------->|                                |
 0.001    |                                |------- INVITE (sdp) x3 ------->|
12.346    |                                |<--------- 486 INVITE ----------|
12.346  * stop: 486 Busy Here
"
        );
    }

    #[test]
    fn a_terminal_with_unicode_gets_lines_and_failures_in_colour() {
        let look = Look { colours: true, unicode: true, ..Look::plain() };
        let text = render(&ladder(), &look);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[2].contains("│─") && lines[2].contains("─▶│"), "{text}");
        assert!(lines[3].starts_with("\x1b[31m12.346") && lines[3].contains("│◀─"), "{text}");
        assert_eq!(lines[4], "\x1b[1m12.346  • stop: 486 Busy Here\x1b[0m");
    }
}
