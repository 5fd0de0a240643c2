//! What the transaction layer costs, from the octets of a message to its verdict, parsing included; against parsing alone.

#[path = "support/sip_layer.rs"]
mod sip_layer;
#[path = "support/timing.rs"]
mod timing;

use imsbox::proto::sip::transaction::{Answer, Verdict};
use imsbox::wire::sip::{Index, Message};
use platform::counting::Counting;
use sip_layer::{SipLayer, answer, dialog, from_peer};
use std::hint::black_box;
use timing::{Bench, Measure};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn parsing(bench: &Bench, octets: &[u8]) -> Measure {
    let mut index = Index::new();
    bench.measure(|| Message::parse(black_box(octets), &mut index).is_ok_and(|m| m.check().is_ok()))
}

fn main() {
    let bench = Bench::from_args();
    repeated_request(&bench);
    repeated_response(&bench);
    ack(&bench);
    whole(&bench);
}

fn repeated_request(bench: &Bench) {
    let what = "absorb a repeated REGISTER, answer again";
    if !bench.wants(what) {
        return;
    }
    let mut layer = SipLayer::new();
    let request = from_peer("REGISTER", "1", "");
    let (Verdict::New(id), _) = layer.on_request(&request) else { panic!("not new") };
    layer.respond(id, 200);
    let limit = parsing(bench, &request);
    let measure = bench.measure(|| assert_eq!(layer.on_request(black_box(&request)), (Verdict::Absorbed, 1)));
    bench.report(what, measure, "parse+check", limit);
}

fn repeated_response(bench: &Bench) {
    let what = "absorb a repeated 486, acknowledge again";
    if !bench.wants(what) {
        return;
    }
    let mut layer = SipLayer::new();
    let response = answer(&layer.send("INVITE"), 486);
    layer.on_response(&response);
    let limit = parsing(bench, &response);
    let measure =
        bench.measure(|| assert_eq!(layer.on_response(black_box(&response)), (Answer::Absorbed, 1)));
    bench.report(what, measure, "parse+check", limit);
}

fn ack(bench: &Bench) {
    let what = "take the ACK of a call, find its dialog";
    if !bench.wants(what) {
        return;
    }
    let mut layer = SipLayer::new();
    let invite = from_peer("INVITE", "1", "");
    let (Verdict::New(id), _) = layer.on_request(&invite) else { panic!("not new") };
    let mut dialog = dialog(&invite);
    layer.respond(id, 200);
    let ack = from_peer("ACK", "2", ";tag=local");
    let limit = parsing(bench, &ack);
    let measure = bench.measure(|| assert!(layer.on_ack(black_box(&ack), &mut dialog)));
    bench.report(what, measure, "parse+check", limit);
}

/// Requests that are under way at once.
const UNDER_WAY: usize = 1000;

fn whole(bench: &Bench) {
    let what = format!("MESSAGE, its 200 and its end, {UNDER_WAY} at once");
    if !bench.wants(&what) {
        return;
    }
    let mut layer = SipLayer::new();
    let request = |n| {
        let one = from_peer("MESSAGE", &format!("branch-{n}"), "");
        // each a request of its own, not the same one by another way (RFC 3261 8.2.2.2)
        String::from_utf8(one).expect("ASCII").replace("Call-ID: ", &format!("Call-ID: {n}-")).into_bytes()
    };
    let requests: Vec<_> = (0..UNDER_WAY).map(request).collect();
    let limit = parsing(bench, &requests[0]);
    let mut batch = || {
        for request in &requests {
            let (Verdict::New(id), _) = layer.on_request(black_box(request)) else { panic!("not new") };
            layer.respond(id, 200);
        }
        assert_eq!(layer.pass(), 0);
    };
    let Measure { median_ns, min_ns, allocations } = bench.measure(&mut batch);
    let each = UNDER_WAY as f64;
    let measure =
        Measure { median_ns: median_ns / each, min_ns: min_ns / each, allocations: allocations / each };
    bench.report(&what, measure, "parse+check", limit);
}
