//! What happens, in sentences.

use crate::phone::Phone;
use crate::phone::call::State;
use crate::phone::codec::Codec;
use crate::phone::event::{Ended, Event, Party};
use crate::phone::media::Report;
use crate::phone::reginfo::Change;
use imsbox::base::time::Instant;

/// Tells an event; `None` for one that is not worth a line.
pub fn of_event(event: &Event) -> Option<String> {
    Some(match event {
        Event::Registered { is_refresh: true, secs, .. } => format!("registration refreshed for {secs} s"),
        Event::Registered { identities, secs, .. } => {
            let who =
                if identities.is_empty() { String::new() } else { format!(" as {}", identities.join(", ")) };
            format!("registered{who} for {secs} s")
        }
        Event::NotRegistered(_, words) => format!("not registered: {words}"),
        Event::Deregistered => "deregistered".to_owned(),
        Event::EndedByNetwork(words) => format!("the network has ended the registration, {words}"),
        Event::Notified => return None,
        Event::Incoming(party) => format!("incoming call from {party}"),
        Event::Ringing => "ringing".to_owned(),
        Event::Answered(codecs, party) => {
            let how = |codec: &Codec| match (codec.name(), codec.is_encoded(), codec.is_video()) {
                (name, true, _) => format!(", {name}"),
                (name, _, true) => {
                    format!(", {name} (there is no encoder: packets without pictures are sent)")
                }
                (name, ..) => format!(", {name} (there is no encoder: frames without sound are sent)"),
            };
            let codecs: String = codecs.iter().map(how).collect();
            format!("call with {party} is answered{codecs}")
        }
        Event::Held(true) => "the call is held".to_owned(),
        Event::Held(false) => "the call goes on".to_owned(),
        Event::HeldByThem(true) => "the other side holds the call".to_owned(),
        Event::HeldByThem(false) => "the other side goes on with the call".to_owned(),
        Event::HoldRefused(code) => format!("hold or resume is refused: {code}"),
        Event::Ended(ended) => of_end(ended),
        Event::Texted(to) => format!("text to {to} is taken"),
        Event::TextRefused(_, words) => format!("text is not taken: {words}"),
        Event::Text(party, text) => format!("text from {party}: {}", printable(text)),
        Event::Key(key) => format!("the other side presses {key}"),
        Event::MemoryTold => "the network knows that there is memory for texts".to_owned(),
        Event::Status(party, status) => format!("status of the text to {party}: {status}"),
        Event::NotTaken(party, words) => format!("a text from {party} is not taken: {words}"),
        Event::Notice(words) => words.clone(),
    })
}

/// What is told, safe for a terminal: others have a say in much of it, from reason phrases to names.
pub fn safe(text: &str) -> String {
    let shown = |c: char| if c.is_control() && !matches!(c, '\n' | '\t') { '\u{b7}' } else { c };
    text.chars().map(shown).collect()
}

/// A text of somebody else, safe for a terminal: lines below each other, other control characters as dots.
fn printable(text: &str) -> String {
    let shown = |c: char| if c.is_control() { '\u{b7}' } else { c };
    let lines: Vec<String> = text.lines().map(|line| line.chars().map(shown).collect()).collect();
    lines.join("\n  ")
}

fn of_end(ended: &Ended) -> String {
    let mut text = match (ended.by, ended.code) {
        (_, 200) => format!("call ended: {}", ended.words),
        (Party::We, code) => format!("call ended ({code}): {}", ended.words),
        (Party::They, _) => format!("call ended: {}", ended.words),
    };
    for report in [&ended.report, &ended.video].into_iter().flatten() {
        text += &format!("\n  {}", of_report(report));
    }
    text
}

/// Tells what is known of a stream.
pub fn of_report(report: &Report) -> String {
    let mut text = format!(
        "{}: {} packets sent, {} received, {} lost ({:.1} %), jitter {:.1} ms",
        report.codec.name(),
        report.sent,
        report.received,
        report.lost,
        report.loss_percent(),
        report.jitter_ms
    );
    if report.echoed > 0 {
        text += &match report.echoed == report.received {
            true => ", an echo, bit by bit what was sent".to_owned(),
            false => format!(", an echo, {} of {} bit by bit", report.echoed, report.received),
        };
        text += &report.echo_delay_ms.map_or(String::new(), |ms| format!(", back after {ms:.1} ms at best"));
    }
    if let Some(lost) = report.peer_lost {
        text += &format!("; the other side reports {lost} lost");
    }
    text
}

/// Tells how things stand.
pub fn of_status(phone: &Phone, now: Instant) -> String {
    let registration = phone.registration();
    let mut text = match registration.remaining(now) {
        Some(left) if registration.is_on() => {
            let who = registration.identities.join(", ");
            let kind = if registration.is_for_emergency() { " for emergency calls" } else { "" };
            format!("registered{kind} for {} s more: {who}", left.as_secs())
        }
        _ if registration.is_busy() => "registering".to_owned(),
        _ => "not registered".to_owned(),
    };
    let watching = phone.watching();
    if watching.is_on() {
        let (identities, contacts) = watching.seen;
        let last = watching.last.map_or("nothing", Change::name);
        text += &format!(
            "\nthe network tells of the registration: {last} ({}, {}, {})",
            counted(identities, "identity", "identities"),
            counted(contacts, "contact", "contacts"),
            counted(watching.notified as usize, "NOTIFY", "NOTIFYs"),
        );
    }
    match phone.current_call() {
        None => text += "\nno call",
        Some(call) => {
            let state = match call.state {
                State::Calling(_) => "calling",
                State::Cancelling(..) => "giving up calling",
                State::Ringing(_) => "ringing here:",
                State::Up => "in a call with",
            };
            text += &format!("\n{state} {}", call.party);
            if let Some(resources) = call.resources.filter(|_| !call.is_up()) {
                let there = |is_there: bool| if is_there { "there" } else { "missing" };
                let (ours, theirs) = (there(resources.local), there(resources.remote));
                text += &format!(", our resources are {ours}, theirs {theirs}");
            }
            if let Some(session) = call.timing.session {
                let who = if session.is_ours { "we refresh" } else { "the other side refreshes" };
                text += &format!(", session of {} s that {who}", session.secs);
            }
            if call.is_held {
                text += ", held";
            }
            if call.is_held_by_them {
                text += ", held by the other side";
            }
        }
    }
    for report in [phone.report(), phone.video_report()].iter().flatten() {
        text += &format!("\n  {}", of_report(report));
    }
    text
}

fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_says_loss_jitter_and_echo() {
        let mut report = Report {
            codec: Codec::Pcma,
            sent: 100,
            received: 90,
            lost: 10,
            jitter_ms: 0.26,
            echoed: 90,
            echo_delay_ms: Some(2.04),
            peer_lost: Some(1),
        };
        assert_eq!(
            of_report(&report),
            "PCMA: 100 packets sent, 90 received, 10 lost (10.0 %), jitter 0.3 ms, an echo, bit by bit what was sent, \
             back after 2.0 ms at best; the other side reports 1 lost"
        );
        (report.echoed, report.echo_delay_ms, report.peer_lost) = (89, None, None);
        assert!(of_report(&report).ends_with("an echo, 89 of 90 bit by bit"));
    }

    #[test]
    fn a_text_cannot_play_with_the_terminal() {
        let text = of_event(&Event::Text("bob".to_owned(), "a\x1b[2J\r\nb".to_owned())).unwrap();
        assert_eq!(text, "text from bob: a\u{b7}[2J\n  b");
        assert_eq!(safe("403 \x1b[2J\u{9b}2J\nno\t1"), "403 \u{b7}[2J\u{b7}2J\nno\t1");
    }

    #[test]
    fn one_is_not_many() {
        assert_eq!(counted(1, "identity", "identities"), "1 identity");
        assert_eq!(counted(0, "contact", "contacts"), "0 contacts");
    }

    #[test]
    fn ends_say_who_and_why() {
        let end = |by, code, words: &str| {
            of_event(&Event::Ended(Ended { by, code, words: words.to_owned(), report: None, video: None }))
                .unwrap()
        };
        assert_eq!(end(Party::They, 486, "486 Busy Here"), "call ended: 486 Busy Here");
        assert_eq!(end(Party::We, 487, "cancelled"), "call ended (487): cancelled");
        assert_eq!(end(Party::We, 200, "we hung up"), "call ended: we hung up");
    }
}
