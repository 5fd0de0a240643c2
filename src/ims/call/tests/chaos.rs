//! Phones that do anything at any time: whatever they do, nothing panics, every request has one final answer at most, and when
//! they stop, nothing is left of any call.

use super::*;
use crate::base::rng::Rng;
use crate::config::model::MediaRelay;
use crate::wire::sip::text::lossy;
use std::collections::BTreeMap;

/// What phones have seen: enough to send something that fits, or nearly.
#[derive(Default)]
struct Seen {
    /// Requests that a phone may answer, again and again.
    requests: Vec<(Phone, String)>,
    /// Dialog halves, complete or not, with their first branch.
    sides: Vec<(Side, u32)>,
    /// Final answers by phone, Via, CSeq.
    finals: BTreeMap<String, u16>,
}

const PHONES: [Phone; 3] = [ALICE, BOB, BOB_TABLET];

/// How tags begin: behind a contact there may be several phones.
const BEHIND: [&str; 3] = [";tag=T", ";tag=U", ";tag=V"];

fn pick<'a, T>(rng: &mut Rng, all: &'a [T]) -> Option<&'a T> {
    all.get(rng.below(all.len() as u64) as usize)
}

/// Phones take notice of what was sent to them; a part of it is lost.
fn look(w: &mut World, rng: &mut Rng, seen: &mut Seen) {
    while let Some((to, text)) = w.sent.pop_front() {
        let phone = *PHONES.iter().find(|p| p.addr == to).expect("only phones are sent to");
        let mut index = Index::new();
        let msg = Message::parse(text.as_bytes(), &mut index).unwrap();
        // these phones send one CANCEL again and again, also when its transaction is long forgotten
        if msg.status() >= 200 && msg.method() != Method::Cancel {
            let via = lossy(msg.header(HeaderId::Via).unwrap());
            let key = format!("{to} {via} {}", lossy(msg.header(HeaderId::CSeq).unwrap()));
            let before = *seen.finals.entry(key).or_insert(msg.status());
            assert_eq!(before, msg.status(), "two final answers: {text}");
        }
        if rng.below(8) == 0 {
            continue;
        }
        if msg.is_request() {
            if msg.method() == Method::Invite && msg.to().unwrap().tag().is_none() {
                let side = Side::callee(phone, &text);
                let behind = |tag: &str| Side { local: side.local.replace(";tag=T", tag), ..side.clone() };
                seen.sides.extend(BEHIND.map(|tag| (behind(tag), 0)));
            }
            seen.requests.push((phone, text));
        } else if (101..300).contains(&msg.status()) && msg.method() == Method::Invite {
            let call_id = lossy(msg.call_id().unwrap()).into_owned();
            let of_call = |s: &&mut (Side, u32)| s.0.call_id == call_id && s.0.phone.addr == to;
            let mut known: Vec<&mut (Side, u32)> = seen.sides.iter_mut().filter(of_call).collect();
            let tag = header(&text, HeaderId::To);
            match known.iter().position(|(side, _)| !side.remote.contains(";tag=")) {
                Some(at) => known[at].0.learn(&text),
                None if known.iter().any(|(side, _)| side.remote == tag) => {}
                // another early dialog
                None => {
                    let mut other = known.first().map(|(side, branch)| (side.clone(), *branch));
                    other.iter_mut().for_each(|(side, _)| side.learn(&text));
                    seen.sides.extend(other);
                }
            }
        }
    }
}

/// A description: of either family, with a second stream that is there, refused or not named.
fn sdp(rng: &mut Rng) -> String {
    let address = *pick(rng, &["IP4 192.0.2.1", "IP4 192.0.2.1", "IP6 2001:db8::9", "IP4 0.0.0.0"]).unwrap();
    let video = *pick(rng, &["", "", "m=video 4002 RTP/AVP 99\r\n", "m=video 0 RTP/AVP 99\r\n"]).unwrap();
    SDP.replace("IP4 192.0.2.1", address) + video
}

fn answer(w: &mut World, rng: &mut Rng, seen: &Seen) {
    const STATUSES: [u16; 14] = [100, 180, 183, 183, 200, 200, 200, 302, 404, 408, 481, 486, 491, 603];
    let Some((phone, request)) = pick(rng, &seen.requests).cloned() else { return };
    if request.starts_with("ACK") {
        return;
    }
    let status = *pick(rng, &STATUSES).unwrap();
    let headers = match rng.below(3) {
        0 => "Require: 100rel\r\nRSeq: 1\r\n",
        1 => "Session-Expires: 90;refresher=uac\r\n",
        _ => "",
    };
    let body = if rng.below(2) == 0 { sdp(rng) } else { String::new() };
    let text = reply(phone, &request, status, headers, &body);
    let tag = if header(&request, HeaderId::To).contains(";tag=") {
        BEHIND[0]
    } else {
        pick(rng, &BEHIND).unwrap()
    };
    w.send(phone, &text.replacen(BEHIND[0], tag, 1));
}

fn speak(w: &mut World, rng: &mut Rng, seen: &mut Seen) {
    const METHODS: [&str; 9] = ["INVITE", "BYE", "BYE", "UPDATE", "PRACK", "INFO", "ACK", "ACK", "CANCEL"];
    let at = rng.below(seen.sides.len().max(1) as u64) as usize;
    let Some((side, first_branch)) = seen.sides.get_mut(at) else { return };
    let body = if rng.below(2) == 0 { sdp(rng) } else { String::new() };
    match *pick(rng, &METHODS).unwrap() {
        "ACK" => w.ack(side, side.cseq - rng.below(u64::from(side.cseq.min(2))) as u32, &body),
        "CANCEL" if *first_branch == 0 => {}
        "CANCEL" => {
            let mut cancel = side.clone();
            cancel.remote = side.remote.split(";tag=").next().unwrap().to_owned();
            let text = cancel.text("CANCEL", 1, *first_branch, "", "");
            w.send(side.phone, &text);
        }
        method => {
            let headers = if method == "PRACK" { "RAck: 1 1 INVITE\r\n" } else { "" };
            w.request(side, method, headers, &body);
        }
    }
}

fn begin(w: &mut World, rng: &mut Rng, seen: &mut Seen) {
    const WHOM: [&str; 4] = ["sip:bob@ims.test", "tel:+33600000001", "tel:666", "tel:666"];
    let uri = *pick(rng, &WHOM).unwrap();
    let from = *pick(rng, &PHONES).unwrap();
    let branch = w.branch();
    let mut side = Side {
        phone: from,
        call_id: format!("call{branch}"),
        local: format!("<sip:{}@ims.test>;tag=L{branch}", from.user),
        remote: format!("<{uri}>"),
        target: uri.to_owned(),
        cseq: 1,
    };
    let body = if rng.below(4) == 0 { String::new() } else { sdp(rng) };
    let headers = format!("Contact: <sip:{}@{}>\r\nSupported: 100rel\r\n", from.user, from.addr);
    let text = side.text("INVITE", 1, branch, &headers, &body);
    w.send(from, &text);
    side.cseq = 1;
    seen.sides.push((side, branch));
}

fn run(seed: u64) {
    let mut rng = Rng::from_seed(seed);
    let relay = *pick(&mut rng, &[MediaRelay::Auto, MediaRelay::On, MediaRelay::On]).unwrap();
    let mut w = World::with(|c| c.call.media_relay = relay);
    PHONES.iter().for_each(|p| w.register(*p, if seed.is_multiple_of(2) { ";q=0.5" } else { "" }));
    let mut seen = Seen::default();
    for _ in 0..150 {
        match rng.below(10) {
            0 => begin(&mut w, &mut rng, &mut seen),
            1..=4 => answer(&mut w, &mut rng, &seen),
            5..=7 => speak(&mut w, &mut rng, &mut seen),
            8 => w.pass(Duration::from_millis(rng.below(3000))),
            _ => {
                w.ports_open = *pick(&mut rng, &[Some(true), Some(true), Some(false), None]).unwrap();
                let asked = std::mem::take(&mut w.asked);
                for session in asked {
                    w.input(|core, cx| core.on_media_opened(cx, session, true));
                }
            }
        }
        look(&mut w, &mut rng, &mut seen);
    }
    w.pass(Duration::from_secs(40));
    for view in w.core.dialog_views(w.now) {
        let _ = w.input(|core, cx| core.stop_dialog(cx, view.index));
    }
    w.quiet();
}

#[test]
fn whatever_phones_do_nothing_is_left() {
    for seed in 0..96 {
        let result = std::panic::catch_unwind(|| run(seed));
        assert!(result.is_ok(), "seed {seed}");
    }
}
