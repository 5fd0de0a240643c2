//! `dialog`: one row for each call.

use super::{list, text};
use crate::monitor::look::{Look, Tone, duration, table};
use serde_json::Value;

/// The text for an answer to `dialog_get`.
pub(super) fn render(answer: &Value, look: &Look) -> String {
    let dialogs = list(answer, "dialogs");
    if dialogs.is_empty() {
        return "No dialogs\n".to_owned();
    }
    let header = ["INDEX", "STATE", "TYPE", "FROM", "TO", "DURATION", "MEDIA", "REASON"];
    let right = [true, false, false, false, false, true, false, false];
    table(look, &header, &right, &dialogs.iter().map(row).collect::<Vec<_>>())
}

fn row(dialog: &Value) -> (Option<Tone>, Vec<String>) {
    let state = text(dialog, "state");
    let tone = match state.as_ref() {
        "stop" => Some(Tone::Dim),
        "start" => Some(Tone::Good),
        _ => None,
    };
    let medias: Vec<String> = list(dialog, "medias").iter().map(media).collect();
    let cells = vec![
        dialog["index"].to_string(),
        state.into_owned(),
        text(dialog, "type").into_owned(),
        text(dialog, "from").into_owned(),
        text(dialog, "to").into_owned(),
        // a duration is never negative; the fraction is of no interest here
        duration(dialog["duration"].as_f64().unwrap_or(0.0) as u64),
        medias.join(", "),
        text(dialog, "reason").into_owned(),
    ];
    (tone, cells)
}

/// `audio sendrecv 120/118`: kind, direction, and RTP packets received and sent if any passed.
fn media(media: &Value) -> String {
    let count = |name: &str| media[name].as_u64().unwrap_or(0);
    let (received, sent) = (count("rtp_recv_count"), count("rtp_send_count"));
    let packets = if received + sent > 0 { format!(" {received}/{sent}") } else { String::new() };
    format!("{} {}{packets}", text(media, "type"), text(media, "dir"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_call_is_a_row() {
        let answer = json!({ "dialogs": [
            {
                "index": 4, "session_id": "a", "state": "start", "type": "echo", "from": "tel:600", "to": "tel:666",
                "duration": 83.4, "medias": [{ "type": "audio", "dir": "sendrecv", "rtp_recv_count": 120, "rtp_send_count": 118 }],
            },
            {
                "index": 12, "session_id": "b", "state": "stop", "type": "server", "from": "tel:601", "to": "tel:600",
                "duration": 5, "medias": [{ "type": "audio", "dir": "inactive" }], "reason": "busy",
            },
        ] });
        assert_eq!(
            render(&answer, &Look::plain()),
            "INDEX  STATE  TYPE    FROM     TO         DURATION  MEDIA                   REASON\n\
             \x20   4  start  echo    tel:600  tel:666  1 min 23 s  audio sendrecv 120/118\n\
             \x20  12  stop   server  tel:601  tel:600         5 s  audio inactive          busy\n"
        );
    }

    #[test]
    fn no_calls_are_said_in_words() {
        assert_eq!(render(&json!({ "dialogs": [] }), &Look::plain()), "No dialogs\n");
    }
}
