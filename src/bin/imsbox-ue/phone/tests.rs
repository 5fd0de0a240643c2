//! The phone against another one, against scripted networks, and against rubbish; time is virtual, loss is seeded.

mod calls;
mod emergency;
mod keys;
mod network;
mod pictures;
mod registration;
mod resources;
mod security;
mod smsip;
mod texts;
mod timers;
mod watching;

use super::call::State;
use super::event::{Ended, Event};
use super::media::{Stream, Wanted};
use super::message::Peer;
use super::sound::Sound;
use super::{Output, Phone};
use crate::options;
use crate::settings::{self, Given};
use crate::usim::Taken;
use imsbox::base::rng::Rng;
use imsbox::base::time::{Duration, Instant};
use std::net::SocketAddr;

/// A phone with these options beside a password; `number` tells its addresses apart.
fn phone(number: u8, more: &[(&'static str, &str)]) -> Phone {
    let name = format!("p{number}");
    let other = format!("192.0.2.{}:5060", 3 - number.min(2));
    let mut given = Given::new();
    let own = [
        ("impi", name.as_str()),
        ("domain", "h"),
        ("pcscf", &other),
        ("state", "none"),
        ("reg_event", "off"),
    ];
    let with_password = !more.iter().any(|(name, _)| *name == "K");
    let password = with_password.then_some(("pwd", "secret"));
    for (name, text) in own.iter().chain(&password).chain(more) {
        let option = options::by_name(name).unwrap();
        given.insert(option.name, settings::taken(option, text).unwrap());
    }
    let local: SocketAddr = format!("192.0.2.{number}:5060").parse().unwrap();
    let media = SocketAddr::new(local.ip(), 4000);
    let settings = settings::build(&given).unwrap();
    Phone::new(
        settings,
        Taken::default(),
        local,
        (media, 4002),
        Sound::Tone(0.0),
        Rng::from_seed(u64::from(number)),
    )
}

/// What a phone has said since the last time: messages as text, and events.
fn said(phone: &mut Phone) -> (Vec<String>, Vec<Event>) {
    let (mut messages, mut events) = (Vec::new(), Vec::new());
    while let Some(output) = phone.pop() {
        match output {
            Output::Send(_, octets) => messages.push(String::from_utf8_lossy(&octets).into_owned()),
            Output::Event(event) => events.push(event),
            Output::Media(..) | Output::Recorded(_) | Output::Keep(_) | Output::Ipsec(_) => {}
        }
    }
    (messages, events)
}

/// The value of a header of a message's text.
fn header<'a>(message: &'a str, name: &str) -> &'a str {
    let prefix = format!("{name}: ");
    message.lines().find_map(|l| l.strip_prefix(&prefix)).unwrap_or_default()
}

/// An answer to a request of the phone's.
fn answer(request: &str, status: &str, tag: &str, more: &str) -> Vec<u8> {
    let to = header(request, "To");
    let to = if to.contains(";tag=") || tag.is_empty() { to.to_owned() } else { format!("{to};tag={tag}") };
    let (via, from) = (header(request, "Via"), header(request, "From"));
    let (call_id, cseq) = (header(request, "Call-ID"), header(request, "CSeq"));
    format!(
        "SIP/2.0 {status}\r\nVia: {via}\r\nFrom: {from}\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: {cseq}\r\n{more}\r\n"
    )
    .into_bytes()
}

/// A request of a network, as if in a dialog of its own.
fn request(method: &str, number: u32, to: &str, more: &str, body: &str) -> Vec<u8> {
    let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    format!(
        "{method} sip:p1@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bK{method}{number}\r\n\
         Max-Forwards: 70\r\nFrom: <sip:x@h>;tag=x\r\nTo: {to}\r\nCall-ID: c\r\nCSeq: {number} {method}\r\n\
         Contact: <sip:x@192.0.2.2>\r\n{more}{kind}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
