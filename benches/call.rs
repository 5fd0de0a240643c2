//! Calls through the whole core, timers included, from INVITE to the end: between two users, and to the echo number. Time and
//! allocations are those of the core alone; the limit is to parse and check the messages that come in.

#[path = "support/spent.rs"]
mod spent;
#[path = "../tests/support/stage.rs"]
mod stage;
#[path = "support/timing.rs"]
mod timing;

use imsbox::base::time::Duration;
use imsbox::config::model::AuthentType;
use imsbox::wire::sip::{HeaderId, Index, Message, Writer};
use platform::counting::Counting;
use spent::measure_spent;
use stage::{DOMAIN, Stage, address, header};
use std::hint::black_box;
use timing::{Bench, Measure};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Users, all of them registered; the even ones call their neighbours.
const USERS: usize = 1000;

/// Calls by round.
const ROUND: u32 = 500;

/// Virtual time between two calls.
const GAP: Duration = Duration::from_millis(100);

const SDP: &str = "v=0\r\no=rue 3211 3211 IN IP4 10.45.222.27\r\ns=-\r\nc=IN IP4 10.45.222.27\r\nb=AS:41\r\nt=0 0\r\n\
    m=audio 31022 RTP/AVP 107 106 105 104 101 102\r\nb=AS:41\r\nb=RR:1537\r\nb=RS:512\r\na=rtpmap:107 AMR-WB/16000/1\r\n\
    a=fmtp:107 mode-change-capability=2;max-red=0\r\na=rtpmap:106 AMR-WB/16000/1\r\na=fmtp:106 octet-align=1\r\n\
    a=rtpmap:105 AMR/8000/1\r\na=rtpmap:104 AMR/8000/1\r\na=rtpmap:101 telephone-event/16000\r\na=fmtp:101 0-15\r\n\
    a=rtpmap:102 telephone-event/8000\r\na=ptime:20\r\na=maxptime:240\r\na=sendrecv\r\n";

/// One call as its caller knows it.
struct Call {
    user: usize,
    id: u64,
    uri: String,
    to: String,
}

impl Call {
    fn text(&self, stage: &mut Stage, method: &str, cseq: u32, body: &str) -> Vec<u8> {
        let Call { user, id, uri, to } = self;
        let (at, branch) = (address(*user), stage.fresh());
        let content = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        format!(
            "{method} {uri} SIP/2.0\r\nFrom: <sip:001010{user:09}@{DOMAIN}>;tag=rvecbSk{id}\r\nTo: {to}\r\n\
             Contact: <sip:001010{user:09}@{at}>;+g.3gpp.icsi-ref=\"urn%3Aurn-7%3A3gpp-service.ims.icsi.mmtel\";audio;video\r\n\
             P-Access-Network-Info: 3GPP-NR-TDD;utran-cell-id-3gpp=0010100112207A123000\r\n\
             Supported: 100rel,histinfo,join,norefersub,replaces,timer\r\n\
             Allow: INVITE,ACK,OPTIONS,BYE,CANCEL,UPDATE,INFO,PRACK,NOTIFY,MESSAGE,REFER\r\n\
             Call-ID: quecbSk9i{id}@{at}\r\nCSeq: {cseq} {method}\r\nMax-Forwards: 70\r\n\
             Via: SIP/2.0/UDP {at};branch=z9hG4bKswecbCEJ7GcqB{branch};rport\r\nUser-Agent: IM-client/OMA1.0 HW-Rto/V1.0\r\n\
             {content}Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    }

    fn invite(stage: &mut Stage, user: usize, uri: &str) -> Call {
        let call = Call { user, id: stage.fresh(), uri: uri.to_owned(), to: format!("<{uri}>") };
        let text = call.text(stage, "INVITE", 1, SDP);
        stage.send(user, &text);
        call
    }

    /// Takes what the 200 says of the dialog, and acknowledges it.
    fn acknowledge(&mut self, stage: &mut Stage, ok: &[u8]) {
        self.to = header(ok, HeaderId::To);
        let contact = header(ok, HeaderId::Contact);
        self.uri = contact.split(['<', '>']).nth(1).unwrap_or(&contact).to_owned();
        let text = self.text(stage, "ACK", 1, "");
        stage.send(self.user, &text);
    }

    fn hang_up(&self, stage: &mut Stage) {
        let text = self.text(stage, "BYE", 2, "");
        stage.send(self.user, &text);
    }
}

/// The next message that starts like this, wherever it goes; what stands before it is left out.
fn find(stage: &mut Stage, to: usize, start: &str) -> Vec<u8> {
    let all = stage.take();
    let wanted = all.into_iter().find(|s| s.to == address(to) && s.octets.starts_with(start.as_bytes()));
    wanted.unwrap_or_else(|| panic!("no {start} to user {to}")).octets
}

/// The answer of a phone to a request.
fn reply(request: &[u8], status: u16, user: usize, body: &str) -> Vec<u8> {
    let mut index = Index::new();
    let message = Message::parse(request, &mut index).expect("what the core sends parses");
    let mut octets = Vec::new();
    let mut w = Writer::response_to(&mut octets, &message, status, None, None, Some(b"phone"));
    w.copy(&message, HeaderId::RecordRoute).header_fmt("Contact", format_args!("<sip:{}>", address(user)));
    if body.is_empty() {
        w.finish();
    } else {
        w.body(b"application/sdp", body.as_bytes());
    }
    octets
}

/// A call that is answered and ended by its caller. Seven messages come in.
fn between_users(stage: &mut Stage, caller: usize, callee: usize) {
    let mut call = Call::invite(stage, caller, &format!("tel:+336{callee:08}"));
    let invite = find(stage, callee, "INVITE");
    stage.send(callee, &reply(&invite, 180, callee, ""));
    find(stage, caller, "SIP/2.0 180");
    stage.send(callee, &reply(&invite, 200, callee, SDP));
    let ok = find(stage, caller, "SIP/2.0 200");
    call.acknowledge(stage, &ok);
    find(stage, callee, "ACK");
    call.hang_up(stage);
    let bye = find(stage, callee, "BYE");
    stage.send(callee, &reply(&bye, 200, callee, ""));
    stage.pass(GAP);
    stage.take();
}

/// A call to the echo number. Three messages come in.
fn to_echo(stage: &mut Stage, caller: usize) {
    let mut call = Call::invite(stage, caller, "tel:666");
    let ok = find(stage, caller, "SIP/2.0 200");
    call.acknowledge(stage, &ok);
    call.hang_up(stage);
    find(stage, caller, "SIP/2.0 200");
    stage.pass(GAP);
    stage.take();
}

/// Parsing and checking an INVITE and, beside it, messages of a BYE's size.
fn parsing(bench: &Bench, small: f64) -> Measure {
    let mut stage = Stage::new(1, AuthentType::None);
    let call = Call { user: 0, id: 1, uri: "tel:666".to_owned(), to: "<tel:666>".to_owned() };
    let mut index = Index::new();
    let mut one = |text: &[u8]| {
        bench
            .measure(|| Message::parse(black_box(text), &mut index).is_ok_and(|m| m.check().is_ok()))
            .median_ns
    };
    let (invite, bye) = (call.text(&mut stage, "INVITE", 1, SDP), call.text(&mut stage, "BYE", 2, ""));
    let median_ns = one(&invite) + small * one(&bye);
    Measure { median_ns, min_ns: median_ns, allocations: 0.0 }
}

fn main() {
    let bench = Bench::from_args();
    let mut stage = Stage::new(USERS, AuthentType::None);
    (0..USERS).for_each(|user| stage.register(user, AuthentType::None));
    stage.take();
    type Kind = fn(&mut Stage, usize);
    let kinds: [(&str, f64, Kind); 2] = [
        ("call between users, INVITE to end of BYE", 5.0, |stage, user| between_users(stage, user, user + 1)),
        ("call to the echo number, INVITE to end of BYE", 2.0, to_echo),
    ];
    for (what, small, call) in kinds.into_iter().filter(|(what, ..)| bench.wants(what)) {
        let mut user = 0;
        let measure = measure_spent(&bench, ROUND, || {
            let before = stage.spent;
            call(&mut stage, user);
            user = (user + 2) % USERS;
            (stage.spent.nanos - before.nanos, stage.spent.allocations - before.allocations)
        });
        bench.report(what, measure, "parse+check", parsing(&bench, small));
    }
}
