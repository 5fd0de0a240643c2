//! `dialog`: one row for each side of a call; of one dialog, everything, and the call's ladder.

use super::{ladder, list, text};
use crate::base::ladder::cut;
use crate::monitor::look::{Look, Tone, duration, table};
use serde_json::Value;

/// Characters of an identity in a row.
const WHO: usize = 20;

/// The text for an answer to `dialog_get`.
pub(super) fn render(answer: &Value, look: &Look) -> String {
    let dialogs = list(answer, "dialogs");
    if let ([dialog], true) = (dialogs, answer["ladder"].is_object()) {
        return facts(dialog, look) + "\n" + &ladder::render(&answer["ladder"], look);
    }
    if dialogs.is_empty() {
        return "No dialogs\n".to_owned();
    }
    let header = ["INDEX", "STATE", "TYPE", "FROM", "TO", "DURATION", "MEDIA", "REASON"];
    let right = [true, false, false, false, false, true, false, false];
    table(look, &header, &right, &dialogs.iter().map(row).collect::<Vec<_>>())
}

fn row(dialog: &Value) -> (Option<Tone>, Vec<String>) {
    let state = text(dialog, "state");
    let medias: Vec<String> = list(dialog, "medias").iter().map(media).collect();
    let cells = vec![
        dialog["index"].to_string(),
        state.clone().into_owned(),
        kind(dialog),
        who(&text(dialog, "from")),
        who(&text(dialog, "to")),
        lasted(dialog),
        medias.join(", "),
        text(dialog, "reason").into_owned(),
    ];
    (tone(&state), cells)
}

/// `server`; `server, trunk` where the SIP trunk is on that side.
fn kind(dialog: &Value) -> String {
    let trunk = if dialog["trunk"] == true { ", trunk" } else { "" };
    format!("{}{trunk}", text(dialog, "type"))
}

fn tone(state: &str) -> Option<Tone> {
    match state {
        "stop" => Some(Tone::Dim),
        "start" => Some(Tone::Good),
        _ => None,
    }
}

/// An identity in few characters: its number or name, and as much of the domain as there is room for.
fn who(identity: &str) -> String {
    let rest = identity.strip_prefix("sip:").or_else(|| identity.strip_prefix("tel:")).unwrap_or(identity);
    let rest = rest.split(';').next().unwrap_or(rest);
    let user = rest.split('@').next().unwrap_or(rest);
    if rest.chars().count() > WHO && user.chars().count() < WHO {
        user.to_owned()
    } else {
        cut(rest, WHO, "..")
    }
}

fn lasted(dialog: &Value) -> String {
    // a duration is never negative; the fraction is of no interest here
    duration(dialog["duration"].as_f64().unwrap_or(0.0) as u64)
}

fn count(media: &Value, name: &str) -> u64 {
    media[name].as_u64().unwrap_or(0)
}

/// What a stream is: its codec without the clock rate, or its kind.
fn name(media: &Value) -> String {
    let codec = text(media, "codec");
    match codec.split('/').next() {
        Some(name) if !name.is_empty() => name.to_owned(),
        _ => text(media, "type").into_owned(),
    }
}

/// What of a stream is withheld by the operator.
fn blocked(media: &Value) -> &'static str {
    match (media["rtp_block"] == true, media["rtcp_block"] == true) {
        (true, true) => "blocked",
        (true, false) => "RTP blocked",
        (false, true) => "RTCP blocked",
        (false, false) => "",
    }
}

fn qos(media: &Value) -> Option<String> {
    let qos = text(media, "qos");
    (!qos.is_empty() && qos != "disabled").then(|| format!("QoS {qos}"))
}

/// `AMR-WB sendrecv 120/118`: codec, direction, RTP packets received and sent if any passed, and what is not usual.
fn media(media: &Value) -> String {
    let mut words = vec![name(media), text(media, "dir").into_owned()];
    let (received, sent) = (count(media, "rtp_recv_count"), count(media, "rtp_send_count"));
    if received + sent > 0 {
        words.push(format!("{received}/{sent}"));
    }
    words.extend(qos(media));
    words.push(blocked(media).to_owned());
    words.retain(|word| !word.is_empty());
    words.join(" ")
}

/// All that is known of one dialog.
fn facts(dialog: &Value, look: &Look) -> String {
    let state = text(dialog, "state");
    let title = format!("Dialog {}  {}", dialog["index"], kind(dialog));
    let painted = tone(&state).map_or_else(|| state.to_string(), |tone| look.paint(tone, &state));
    let mut out = format!("{}  {painted}\n", look.paint(Tone::Bold, &title));
    let verb = if state == "stop" { "lasted" } else { "lasts" };
    let began = dialog["date"].as_i64().map_or(String::new(), |at| look.date(at));
    let mut lines = vec![
        ("From", text(dialog, "from").into_owned()),
        ("To", text(dialog, "to").into_owned()),
        ("Began", format!("{began}, {verb} {}", lasted(dialog))),
        ("Session", text(dialog, "session_id").into_owned()),
    ];
    for (member, words) in [("mt_dialog", "callee's side"), ("mo_dialog", "caller's side")] {
        if dialog[member].is_string() {
            lines.push(("", format!("{} is the {words}", text(dialog, member))));
        }
    }
    for media in list(dialog, "medias") {
        lines.push(("Media", stream(media)));
        lines.extend(packets(media).into_iter().map(|words| ("", words)));
    }
    if dialog["reason"].is_string() {
        lines.push(("Ended", text(dialog, "reason").into_owned()));
    }
    for (name, words) in lines {
        out += &format!("  {name:<8} {words}\n");
    }
    out
}

fn stream(media: &Value) -> String {
    let codec = text(media, "codec");
    let parts = [
        text(media, "type").into_owned(),
        codec.into_owned(),
        text(media, "dir").into_owned(),
        format!("QoS {}", text(media, "qos")),
        blocked(media).to_owned(),
    ];
    parts.into_iter().filter(|p| !p.is_empty()).collect::<Vec<_>>().join(" | ")
}

/// Where a stream's packets go, and how many have passed; nothing when they do not pass here.
fn packets(media: &Value) -> Vec<String> {
    let part = |name: &str, addr: &str, received: &str, sent: &str| {
        let addr = media[addr].as_str().map(super::clean)?;
        Some(format!("{name} to {addr}: {} received, {} sent", count(media, received), count(media, sent)))
    };
    let rtp = part("RTP", "rtp_addr", "rtp_recv_count", "rtp_send_count");
    let rtcp = part("RTCP", "rtcp_addr", "rtcp_recv_count", "rtcp_send_count");
    [rtp, rtcp].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn dialogs() -> Value {
        json!([
            {
                "index": 4, "session_id": "a", "state": "start", "type": "echo", "from": "tel:600", "to": "tel:666",
                "date": 1_608_093_067, "duration": 83.4,
                "medias": [{
                    "type": "audio", "codec": "AMR-WB/16000", "dir": "sendrecv", "qos": "disabled",
                    "rtp_addr": "192.0.2.1:4000", "rtp_recv_count": 120, "rtp_send_count": 118,
                    "rtcp_addr": "192.0.2.1:4001", "rtcp_recv_count": 2, "rtcp_send_count": 1,
                }],
            },
            {
                "index": 12, "session_id": "b", "state": "stop", "type": "server",
                "from": "sip:001010123456789@ims.mnc001.mcc001.3gppnetwork.org", "to": "sip:bob@ims.test;user=phone",
                "date": 1_608_093_067, "duration": 5, "mt_dialog": "c",
                "medias": [{ "type": "audio", "dir": "inactive", "qos": "pending", "rtp_block": true }], "reason": "busy",
            },
        ])
    }

    #[test]
    fn each_side_of_a_call_is_a_row() {
        assert_eq!(
            render(&json!({ "dialogs": dialogs() }), &Look::plain()),
            "INDEX  STATE  TYPE    FROM             TO              DURATION  MEDIA                                   REASON
    4  start  echo    600              666           1 min 23 s  AMR-WB sendrecv 120/118
   12  stop   server  001010123456789  bob@ims.test         5 s  audio inactive QoS pending RTP blocked  busy
"
        );
    }

    #[test]
    fn one_dialog_is_told_at_length_with_its_ladder() {
        let ladder = json!({ "parties": ["600", "imsbox"], "steps": [
            { "timestamp": 0.0, "from": 0, "to": 1, "text": "INVITE (sdp)", "count": 1 },
        ] });
        let shown = |at: usize| {
            let answer = json!({ "dialogs": [dialogs()[at]], "ladder": ladder });
            render(&answer, &Look::plain())
        };
        assert_eq!(
            shown(0),
            "Dialog 4  echo  start
  From     tel:600
  To       tel:666
  Began    2020-12-16 04:31:07, lasts 1 min 23 s
  Session  a
  Media    audio | AMR-WB/16000 | sendrecv | QoS disabled
           RTP to 192.0.2.1:4000: 120 received, 118 sent
           RTCP to 192.0.2.1:4001: 2 received, 1 sent

        600                             imsbox
0.000    |--------- INVITE (sdp) --------->|
"
        );
        assert_eq!(
            shown(1),
            "Dialog 12  server  stop
  From     sip:001010123456789@ims.mnc001.mcc001.3gppnetwork.org
  To       sip:bob@ims.test;user=phone
  Began    2020-12-16 04:31:07, lasted 5 s
  Session  b
           c is the callee's side
  Media    audio | inactive | QoS pending | RTP blocked
  Ended    busy

        600                             imsbox
0.000    |--------- INVITE (sdp) --------->|
"
        );
    }

    #[test]
    fn no_calls_are_said_in_words() {
        assert_eq!(render(&json!({ "dialogs": [] }), &Look::plain()), "No dialogs\n");
    }
}
