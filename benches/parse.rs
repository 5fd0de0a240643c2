//! Parsing of messages, against the least that any parser must do: find the line ends of the same octets.

#[path = "support/timing.rs"]
mod timing;

use imsbox::wire::sdp::Sdp;
use imsbox::wire::sip::{HeaderId, Index, Message};
use platform::counting::Counting;
use std::hint::black_box;
use std::path::PathBuf;
use timing::Bench;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Messages of each kind that arrives often.
const MESSAGES: [(&str, &str); 5] = [
    ("REGISTER, four security offers", "sip_torture/volte/01_register_initial_ipsec.sip"),
    ("REGISTER, protected", "sip_torture/volte/03_register_auth_protected.sip"),
    ("INVITE, voice", "sip_torture/volte/10_invite_precondition_a.sip"),
    ("180, reliable", "sip_torture/volte/17_180_ringing_reliable.sip"),
    ("BYE", "sip_torture/volte/37_bye_reason.sip"),
];

fn octets(file: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(file);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Finds the line ends of the header and does nothing with them.
fn line_ends(octets: &[u8]) -> usize {
    memchr::memchr_iter(b'\n', octets).fold(0, |sum, at| sum ^ at)
}

/// What a transaction layer asks of each message.
fn identify(m: &Message<'_>) -> bool {
    let via = black_box(m.via()).is_some_and(|v| v.unique_branch().is_some());
    via && m.cseq().is_some() && m.call_id().is_some()
}

fn main() {
    let bench = Bench::from_args();
    let mut index = Index::new();
    for (name, file) in MESSAGES {
        let octets = octets(file);
        let size = octets.len();
        let limit = bench.measure(|| line_ends(black_box(&octets)));
        let mut line = |what: &str, work: &mut dyn FnMut(&Message<'_>) -> bool| {
            let what = format!("{what} {name}, {size} octets");
            if bench.wants(&what) {
                let measure = bench.measure(|| {
                    let m = Message::parse(black_box(&octets), &mut index).expect("a vector parses");
                    work(&m)
                });
                bench.report(&what, measure, "line ends", limit);
            }
        };
        line("parse", &mut |m| m.is_request());
        line("parse+match", &mut |m| identify(m));
        line("parse+check", &mut |m| m.check().is_ok());
    }
    session(&bench);
}

/// The description inside an INVITE.
fn session(bench: &Bench) {
    let octets = octets(MESSAGES[2].1);
    let mut index = Index::new();
    let m = Message::parse(&octets, &mut index).expect("a vector parses");
    let body = m.body_of("application/sdp").expect("an offer");
    let limit = bench.measure(|| line_ends(black_box(body)));
    let what = format!("parse SDP offer, {} octets", body.len());
    if bench.wants(&what) {
        let measure = bench.measure(|| Sdp::parse(black_box(body)).is_ok_and(|s| s.medias().count() > 0));
        bench.report(&what, measure, "line ends", limit);
    }
    let what = "look up one header of 25";
    if bench.wants(what) {
        let measure = bench.measure(|| m.header(black_box(HeaderId::ContentLength)).is_some());
        bench.report(what, measure, "line ends", limit);
    }
}
