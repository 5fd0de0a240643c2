//! The phone's own requests until they are answered: client transactions (RFC 3261 17.1, RFC 6026).

use super::message::{Peer, Request, branch, to_tag};
use imsbox::base::time::{Duration, Instant};
use imsbox::wire::sip::text::lossy;
use imsbox::wire::sip::{HeaderId, Message, Method};

/// Retransmissions before a person is told that nobody answers.
const SILENT_RETRIES: u8 = 3;

/// Timers of RFC 3261, all following from T1.
#[derive(Clone, Copy, Debug)]
pub struct Timers {
    /// Round-trip time.
    pub t1: Duration,
}

impl Timers {
    /// The greatest interval of non-INVITE requests and INVITE responses: 4 s with the default T1 of 500 ms.
    pub fn t2(self) -> Duration {
        self.t1 * 8
    }

    /// How long a transaction may take (timers B, F, H), and how long its end is remembered.
    pub fn life(self) -> Duration {
        self.t1 * 64
    }
}

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A registration, its refresh or its end.
    Register,
    /// The INVITE that starts a call.
    Invite,
    /// An INVITE inside the call.
    Reinvite,
    /// An UPDATE.
    Update,
    /// The end of a call; nobody waits for the answer but `quit`.
    Bye,
    /// The end of an INVITE.
    Cancel,
    /// The acknowledgement of a reliable provisional response.
    Prack,
    /// A text.
    Text,
    /// An RPDU that another one answers: RP-DATA or RP-SMMA.
    Short,
    /// An RPDU that answers another one; nobody waits for the SIP answer but `quit`.
    Report,
    /// A subscription to the own registration, or its refresh.
    Subscribe,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing has come.
    Trying,
    /// A provisional response has come.
    Proceeding,
    /// The final response has come: repeated ones are absorbed, an INVITE's are acknowledged again.
    Completed,
}

#[derive(Clone, Debug)]
struct Client {
    branch: String,
    request: Request,
    octets: Vec<u8>,
    peer: Peer,
    purpose: Purpose,
    phase: Phase,
    /// The next retransmission and the interval that leads to it.
    repeat: Option<(Instant, Duration)>,
    repeats: u8,
    ends_at: Instant,
    /// The ACKs that were sent, by To tag.
    acks: Vec<(String, Vec<u8>)>,
}

/// What a response means to the phone.
#[derive(Debug)]
pub enum Heard {
    /// Nothing new.
    Nothing,
    /// A provisional response.
    Provisional(Purpose),
    /// The final response, with the request that it answers and its branch.
    Final(Purpose, Box<Request>, String),
    /// A further 2xx of an INVITE, from another branch of a fork (RFC 3261 13.2.2.4): it is to be acknowledged and ended.
    Fork(Box<Request>, String),
}

/// What the passing of time leads to.
#[derive(Debug, PartialEq, Eq)]
pub enum Passed {
    /// A request has not been answered in time.
    TimedOut(Purpose),
    /// There has been no answer to several repetitions.
    Silent(Purpose),
}

/// Client transactions under way.
#[derive(Debug)]
pub struct Clients {
    timers: Timers,
    list: Vec<Client>,
}

impl Clients {
    /// None yet.
    pub fn new(timers: Timers) -> Self {
        Clients { timers, list: Vec::new() }
    }

    /// Starts a transaction whose octets have been sent; on a reliable transport it is not repeated (17.1.1.2).
    pub fn start(
        &mut self,
        now: Instant,
        branch: String,
        request: Request,
        (peer, octets): (Peer, Vec<u8>),
        purpose: Purpose,
        reliable: bool,
    ) {
        let t1 = self.timers.t1;
        let repeat = (!reliable).then_some((now + t1, t1));
        let (phase, ends_at) = (Phase::Trying, now + self.timers.life());
        let (repeats, acks) = (0, Vec::new());
        self.list.push(Client {
            branch,
            request,
            octets,
            peer,
            purpose,
            phase,
            repeat,
            repeats,
            ends_at,
            acks,
        });
    }

    /// Takes a response. The ACK to an INVITE's failure is put into `out`, and that of a repeated 2xx.
    pub fn on_response(
        &mut self,
        now: Instant,
        message: &Message<'_>,
        via: impl Fn(Peer, &str) -> String,
        out: &mut Vec<(Peer, Vec<u8>)>,
    ) -> Heard {
        let (branch, method, status) = (branch(message), message.method(), message.status());
        let life = self.timers.life();
        let t2 = self.timers.t2();
        // RFC 3261 17.1.3: the branch and the method of CSeq
        let found = self.list.iter_mut().find(|c| c.branch == branch && c.request.method == method);
        let Some(client) = found else { return Heard::Nothing };
        let is_invite = method == Method::Invite;
        if client.phase == Phase::Completed {
            let tag = to_tag(message);
            return match client.acks.iter().find(|(t, _)| *t == tag) {
                Some((_, ack)) => {
                    out.push((client.peer, ack.clone()));
                    Heard::Nothing
                }
                None if is_invite && (200..300).contains(&status) => {
                    Heard::Fork(Box::new(client.request.clone()), client.branch.clone())
                }
                None => Heard::Nothing,
            };
        }
        if status < 200 {
            client.phase = Phase::Proceeding;
            if is_invite {
                // 17.1.1.2: no more repetitions, and a person decides how long it may ring
                client.repeat = None;
                client.ends_at = now + Duration::from_secs(600);
            } else if let Some((_, interval)) = &mut client.repeat {
                *interval = t2;
            }
            return Heard::Provisional(client.purpose);
        }
        client.phase = Phase::Completed;
        client.repeat = None;
        client.ends_at = now + life;
        if is_invite && status >= 300 {
            let to = lossy(message.header(HeaderId::To).unwrap_or_default()).into_owned();
            let ack = client.request.ack_of_failure(&to).octets(&via(client.peer, &client.branch));
            out.push((client.peer, ack.clone()));
            client.acks.push((to_tag(message), ack));
        }
        Heard::Final(client.purpose, Box::new(client.request.clone()), client.branch.clone())
    }

    /// Remembers the ACK of a 2xx, for when that comes again.
    pub fn remember_ack(&mut self, branch: &str, tag: String, ack: Vec<u8>) {
        if let Some(client) = self.list.iter_mut().find(|c| c.branch == branch) {
            client.acks.push((tag, ack));
        }
    }

    /// Gives an INVITE that was cancelled no more than the time of a transaction (RFC 3261 9.1).
    pub fn shorten(&mut self, now: Instant, branch: &str) {
        let end = now + self.timers.life();
        let open = |c: &&mut Client| c.branch == branch && c.phase != Phase::Completed;
        for client in self.list.iter_mut().filter(|c| c.request.method == Method::Invite).filter(open) {
            client.ends_at = client.ends_at.min(end);
        }
    }

    /// The INVITE of this branch, and whether a provisional response has come to it.
    pub fn invite(&self, branch: &str) -> Option<(&Request, bool)> {
        let found = self.list.iter().find(|c| c.branch == branch && c.request.method == Method::Invite)?;
        Some((&found.request, found.phase == Phase::Proceeding))
    }

    /// Whether a request of this kind waits for its final response.
    pub fn has_open(&self, purpose: Purpose) -> bool {
        self.list.iter().any(|c| c.purpose == purpose && c.phase != Phase::Completed)
    }

    /// Repeats what is due, ends what is over.
    pub fn tick(&mut self, now: Instant, out: &mut Vec<(Peer, Vec<u8>)>) -> Vec<Passed> {
        let mut passed = Vec::new();
        let t2 = self.timers.t2();
        for client in &mut self.list {
            let Some((at, interval)) = client.repeat.filter(|(at, _)| *at <= now && client.ends_at > now)
            else {
                continue;
            };
            out.push((client.peer, client.octets.clone()));
            // 17.1.1.2: INVITE doubles without bound; 17.1.2.2: others up to T2
            let is_invite = client.request.method == Method::Invite;
            let next = if is_invite { interval * 2 } else { (interval * 2).min(t2) };
            client.repeat = Some((at + next, next));
            client.repeats = client.repeats.saturating_add(1);
            if client.repeats == SILENT_RETRIES && client.phase == Phase::Trying {
                passed.push(Passed::Silent(client.purpose));
            }
        }
        self.list.retain(|c| {
            let over = c.ends_at <= now;
            if over && c.phase != Phase::Completed {
                passed.push(Passed::TimedOut(c.purpose));
            }
            !over
        });
        passed
    }

    /// Ends everything that waits for this peer, as when the connection is lost; what for is told.
    pub fn fail_all(&mut self, peer: Peer) -> Vec<Purpose> {
        let lost = |c: &&Client| c.peer == peer && c.phase != Phase::Completed;
        let open: Vec<Purpose> = self.list.iter().filter(lost).map(|c| c.purpose).collect();
        self.list.retain(|c| c.peer != peer);
        open
    }

    /// How long a transaction may take.
    pub fn life(&self) -> Duration {
        self.timers.life()
    }

    /// Where the request of this branch went.
    pub fn peer(&self, branch: &str) -> Option<Peer> {
        self.list.iter().find(|c| c.branch == branch).map(|c| c.peer)
    }

    /// When [`Clients::tick`] has something to do.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.list.iter().map(|c| c.repeat.map_or(c.ends_at, |(at, _)| at.min(c.ends_at))).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use imsbox::wire::sip::Index;

    const T1: Duration = Duration::from_millis(500);

    fn request(method: Method) -> Request {
        Request {
            method,
            uri: "sip:b@h".to_owned(),
            from: "<sip:a@h>;tag=1".to_owned(),
            to: "<sip:b@h>".to_owned(),
            call_id: "c".to_owned(),
            cseq: 1,
            route: Vec::new(),
            headers: Vec::new(),
            body: Vec::new(),
            kind: "",
            challenged: 0,
        }
    }

    fn started(method: Method, purpose: Purpose) -> Clients {
        let mut clients = Clients::new(Timers { t1: T1 });
        clients.start(
            Instant::ZERO,
            "z9hG4bKa".to_owned(),
            request(method),
            (Peer::Server, b"it".to_vec()),
            purpose,
            false,
        );
        clients
    }

    fn hear(clients: &mut Clients, status: u16, tag: &str, method: &str) -> (Heard, Vec<(Peer, Vec<u8>)>) {
        let octets = format!(
            "SIP/2.0 {status} x\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKa\r\nFrom: <sip:a@h>;tag=1\r\n\
             To: <sip:b@h>;tag={tag}\r\nCall-ID: c\r\nCSeq: 1 {method}\r\n\r\n"
        );
        let mut index = Index::new();
        let message = Message::parse(octets.as_bytes(), &mut index).unwrap();
        let mut out = Vec::new();
        let heard = clients.on_response(Instant::ZERO, &message, |_, b| format!("via {b}"), &mut out);
        (heard, out)
    }

    /// The times in milliseconds at which something is sent, until the transaction ends, and what passed at last.
    fn sent(clients: &mut Clients) -> (Vec<u64>, Vec<Passed>) {
        let (mut times, mut passed) = (Vec::new(), Vec::new());
        while let Some(at) = clients.next_deadline() {
            let mut out = Vec::new();
            passed.extend(clients.tick(at, &mut out));
            times.extend(out.iter().map(|_| at.as_nanos() / 1_000_000));
        }
        (times, passed)
    }

    #[test]
    fn an_invite_is_repeated_ever_more_slowly_for_32_seconds() {
        let (times, passed) = sent(&mut started(Method::Invite, Purpose::Invite));
        assert_eq!(times, [500, 1500, 3500, 7500, 15_500, 31_500]);
        assert_eq!(passed, [Passed::Silent(Purpose::Invite), Passed::TimedOut(Purpose::Invite)]);
    }

    #[test]
    fn another_request_is_repeated_every_four_seconds_in_the_end() {
        let (times, passed) = sent(&mut started(Method::Register, Purpose::Register));
        assert_eq!(times[..5], [500, 1500, 3500, 7500, 11_500]);
        assert_eq!(times.last(), Some(&31_500));
        assert_eq!(passed.last(), Some(&Passed::TimedOut(Purpose::Register)));
    }

    #[test]
    fn a_provisional_response_ends_the_repetitions_of_an_invite() {
        let mut clients = started(Method::Invite, Purpose::Invite);
        assert!(matches!(hear(&mut clients, 100, "", "INVITE").0, Heard::Provisional(Purpose::Invite)));
        assert_eq!(clients.invite("z9hG4bKa").map(|(_, proceeding)| proceeding), Some(true));
        assert_eq!(sent(&mut clients).0, [0; 0]);
    }

    #[test]
    fn a_failure_is_acknowledged_each_time_it_comes() {
        let mut clients = started(Method::Invite, Purpose::Invite);
        let (heard, out) = hear(&mut clients, 486, "t", "INVITE");
        assert!(matches!(heard, Heard::Final(Purpose::Invite, ..)));
        let text = String::from_utf8(out[0].1.clone()).unwrap();
        assert!(text.starts_with("ACK sip:b@h SIP/2.0\r\nVia: via z9hG4bKa\r\n"), "{text}");
        assert!(text.contains("To: <sip:b@h>;tag=t\r\n") && text.contains("CSeq: 1 ACK"), "{text}");
        let (heard, again) = hear(&mut clients, 486, "t", "INVITE");
        assert!(matches!(heard, Heard::Nothing) && again == out);
        assert_eq!(sent(&mut clients).1, [], "it was answered");
    }

    #[test]
    fn a_success_that_comes_again_has_its_ack_and_another_one_is_a_fork() {
        let mut clients = started(Method::Invite, Purpose::Invite);
        assert!(matches!(hear(&mut clients, 200, "t", "INVITE").0, Heard::Final(..)));
        clients.remember_ack("z9hG4bKa", "t".to_owned(), b"ack".to_vec());
        let (heard, out) = hear(&mut clients, 200, "t", "INVITE");
        assert!(matches!(heard, Heard::Nothing) && out == [(Peer::Server, b"ack".to_vec())]);
        assert!(matches!(hear(&mut clients, 200, "u", "INVITE").0, Heard::Fork(..)));
    }

    #[test]
    fn a_response_to_something_else_means_nothing() {
        let mut clients = started(Method::Invite, Purpose::Invite);
        assert!(matches!(hear(&mut clients, 200, "t", "BYE").0, Heard::Nothing));
    }
}
