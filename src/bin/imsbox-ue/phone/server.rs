//! Requests that came in, until their answer has arrived: server transactions (RFC 3261 17.2, 13.3.1.4, RFC 3262 3).

use super::client::Timers;
use super::message::{Peer, branch};
use crate::settings::Transport;
use imsbox::base::time::{Duration, Instant};
use imsbox::wire::sip::text::lossy;
use imsbox::wire::sip::{Message, Method, Stored};

/// The most requests that are remembered; the oldest answered ones make room.
const MOST: usize = 256;

/// The number of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerId(u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// No final answer yet.
    Proceeding,
    /// The final answer is sent; for an INVITE it is repeated until its ACK.
    Completed,
    /// The ACK has come.
    Confirmed,
}

#[derive(Debug)]
struct Server {
    id: ServerId,
    branch: String,
    sent_by: String,
    method: Method,
    request: Stored,
    peer: Peer,
    phase: Phase,
    status: u16,
    answer: Vec<u8>,
    /// A reliable provisional response that waits for its PRACK, by RSeq.
    provisional: Option<(u32, Vec<u8>)>,
    /// The number of the one that a final response has overtaken: its PRACK is still to come (RFC 3262 3).
    overtaken: Option<u32>,
    repeat: Option<(Instant, Duration)>,
    ends_at: Option<Instant>,
}

/// What a request that came in is.
#[derive(Debug, PartialEq, Eq)]
pub enum Came {
    /// A new one.
    New(ServerId),
    /// One that was there before: its answer has been sent again.
    Again,
    /// The ACK to the final answer of this INVITE.
    Ack(ServerId),
    /// The CANCEL of this INVITE, which has no final answer yet; the CANCEL is a new request of its own.
    Cancel(ServerId, ServerId),
}

/// What the passing of time leads to.
#[derive(Debug, PartialEq, Eq)]
pub enum Missed {
    /// No ACK has come to the answer with this status (timer H).
    Ack(ServerId, u16),
    /// No PRACK has come (RFC 3262 3).
    Prack(ServerId),
}

/// Server transactions.
#[derive(Debug)]
pub struct Servers {
    timers: Timers,
    list: Vec<Server>,
    next: u64,
}

impl Servers {
    /// None yet.
    pub fn new(timers: Timers) -> Self {
        Servers { timers, list: Vec::new(), next: 0 }
    }

    /// Takes a request that has passed [`Message::check`].
    pub fn on_request(
        &mut self,
        message: &Message<'_>,
        peer: Peer,
        out: &mut Vec<(Peer, Vec<u8>)>,
    ) -> Option<Came> {
        let (branch, method) = (branch(message), message.method());
        let sent_by = message.via().map(|v| format!("{}:{:?}", v.host, v.port)).unwrap_or_default();
        if method == Method::Ack {
            return self.on_ack(message, &branch).map(Came::Ack);
        }
        // RFC 3261 17.2.3: branch, sent-by and method
        let same = |s: &&mut Server| s.branch == branch && s.sent_by == sent_by && s.method == method;
        if let Some(known) = self.list.iter_mut().find(same) {
            if !known.answer.is_empty() && known.phase != Phase::Confirmed {
                out.push((known.peer, known.answer.clone()));
            }
            return Some(Came::Again);
        }
        self.make_room();
        let id = ServerId(self.next);
        self.next += 1;
        let invite = self.list.iter().find(|s| s.branch == branch && s.method == Method::Invite);
        let cancelled =
            invite.filter(|s| method == Method::Cancel && s.phase == Phase::Proceeding).map(|s| s.id);
        self.list.push(Server {
            id,
            branch,
            sent_by,
            method,
            request: Stored::new(message),
            peer,
            phase: Phase::Proceeding,
            status: 0,
            answer: Vec::new(),
            provisional: None,
            overtaken: None,
            repeat: None,
            ends_at: None,
        });
        Some(cancelled.map_or(Came::New(id), |invite| Came::Cancel(id, invite)))
    }

    /// An ACK: that of a failure has the INVITE's branch, that of a success its Call-ID and number (13.2.2.4).
    fn on_ack(&mut self, message: &Message<'_>, branch: &str) -> Option<ServerId> {
        let (call_id, number) = (message.call_id()?, message.cseq()?.number);
        let server = self.list.iter_mut().find(|s| {
            let invite = s.request.message();
            let same_call =
                invite.call_id() == Some(call_id) && invite.cseq().is_some_and(|c| c.number == number);
            s.method == Method::Invite
                && s.phase == Phase::Completed
                && if s.status < 300 { same_call } else { s.branch == branch }
        })?;
        server.phase = Phase::Confirmed;
        server.repeat = None;
        Some(server.id)
    }

    /// The request.
    pub fn request(&self, id: ServerId) -> Option<Message<'_>> {
        self.list.iter().find(|s| s.id == id).map(|s| s.request.message())
    }

    /// Where its answer goes.
    pub fn peer(&self, id: ServerId) -> Option<Peer> {
        self.list.iter().find(|s| s.id == id).map(|s| s.peer)
    }

    /// Whether a reliable provisional response waits for its PRACK.
    pub fn waits_for_prack(&self, id: ServerId) -> bool {
        self.list.iter().any(|s| s.id == id && s.provisional.is_some())
    }

    /// Whether a final answer has been sent.
    pub fn is_answered(&self, id: ServerId) -> bool {
        self.list.iter().find(|s| s.id == id).is_none_or(|s| s.phase != Phase::Proceeding)
    }

    /// Remembers the answer that was sent, and repeats it as its kind asks. `rseq` makes a provisional one reliable.
    pub fn answered(&mut self, now: Instant, id: ServerId, status: u16, octets: Vec<u8>, rseq: Option<u32>) {
        let timers = self.timers;
        let Some(server) = self.list.iter_mut().find(|s| s.id == id) else { return };
        server.answer = octets.clone();
        server.status = status;
        if status < 200 {
            if let Some(rseq) = rseq {
                server.provisional = Some((rseq, octets));
                server.repeat = Some((now + timers.t1, timers.t1));
                server.ends_at = Some(now + timers.life());
            }
            return;
        }
        server.phase = Phase::Completed;
        server.overtaken = server.provisional.take().map(|(rseq, _)| rseq);
        server.ends_at = Some(now + timers.life());
        // 17.2.1 timer G, 13.3.1.4: until the ACK, over any transport for a success
        let repeats =
            server.method == Method::Invite && (status < 300 || !server.peer.is_reliable(Transport::Udp));
        server.repeat = repeats.then_some((now + timers.t1, timers.t1));
    }

    /// Takes the PRACK of an INVITE's reliable response; whether it fits (RFC 3262 3).
    pub fn on_prack(&mut self, prack: &Message<'_>) -> bool {
        let (Some(rack), Some(call_id)) = (prack.rack(), prack.call_id()) else { return false };
        let fits = |s: &&mut Server| {
            let invite = s.request.message();
            let open = s.provisional.as_ref().map(|(rseq, _)| *rseq).or(s.overtaken);
            open == Some(rack.rseq)
                && invite.call_id() == Some(call_id)
                && invite.cseq().is_some_and(|c| c.number == rack.cseq)
        };
        let Some(server) = self.list.iter_mut().find(fits) else { return false };
        if server.overtaken.take().is_some() {
            return true;
        }
        server.provisional = None;
        server.repeat = None;
        server.ends_at = None;
        true
    }

    /// Repeats what is due, forgets what is over.
    pub fn tick(&mut self, now: Instant, out: &mut Vec<(Peer, Vec<u8>)>) -> Vec<Missed> {
        let (t2, mut missed) = (self.timers.t2(), Vec::new());
        for server in &mut self.list {
            let Some((at, interval)) = server.repeat.filter(|(at, _)| *at <= now) else { continue };
            out.push((server.peer, server.answer.clone()));
            // RFC 3262 3: provisional responses double without bound
            let next = if server.provisional.is_some() { interval * 2 } else { (interval * 2).min(t2) };
            server.repeat = Some((at + next, next));
        }
        self.list.retain_mut(|s| {
            let over = s.ends_at.is_some_and(|at| at <= now);
            if over && s.phase == Phase::Proceeding {
                missed.push(Missed::Prack(s.id));
                (s.provisional, s.repeat, s.ends_at) = (None, None, None);
                return true;
            }
            if over && s.phase == Phase::Completed && s.method == Method::Invite {
                missed.push(Missed::Ack(s.id, s.status));
            }
            !over
        });
        missed
    }

    /// When [`Servers::tick`] has something to do.
    pub fn next_deadline(&self) -> Option<Instant> {
        let times = |s: &Server| [s.repeat.map(|(at, _)| at), s.ends_at];
        self.list.iter().flat_map(times).flatten().min()
    }

    fn make_room(&mut self) {
        if self.list.len() >= MOST
            && let Some(at) = self.list.iter().position(|s| s.phase != Phase::Proceeding)
        {
            self.list.remove(at);
        }
    }
}

/// The Call-ID of a message, for a comparison; empty when there is none.
pub fn call_id(message: &Message<'_>) -> String {
    message.call_id().map_or(String::new(), |c| lossy(c).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use imsbox::wire::sip::Index;

    const T1: Duration = Duration::from_millis(500);

    fn take(servers: &mut Servers, method: &str, branch: &str, more: &str) -> (Option<Came>, usize) {
        let number = if method == "PRACK" { 2 } else { 1 };
        let octets = format!(
            "{method} sip:a@h SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK{branch}\r\nFrom: <sip:a@h>;tag=1\r\n\
             To: <sip:b@h>\r\nCall-ID: c\r\nCSeq: {number} {method}\r\n{more}\r\n"
        );
        let mut index = Index::new();
        let message = Message::parse(octets.as_bytes(), &mut index).unwrap();
        let mut out = Vec::new();
        if method == "PRACK" {
            return (None, usize::from(servers.on_prack(&message)));
        }
        (servers.on_request(&message, Peer::Server, &mut out), out.len())
    }

    fn invited() -> (Servers, ServerId) {
        let mut servers = Servers::new(Timers { t1: T1 });
        let (Some(Came::New(id)), 0) = take(&mut servers, "INVITE", "a", "") else { panic!() };
        (servers, id)
    }

    fn sent(servers: &mut Servers) -> (Vec<u64>, Vec<Missed>) {
        let (mut times, mut missed) = (Vec::new(), Vec::new());
        while let Some(at) = servers.next_deadline() {
            let mut out = Vec::new();
            missed.extend(servers.tick(at, &mut out));
            times.extend(out.iter().map(|_| at.as_nanos() / 1_000_000));
        }
        (times, missed)
    }

    #[test]
    fn a_request_that_comes_again_has_its_answer_again() {
        let (mut servers, id) = invited();
        assert_eq!(take(&mut servers, "INVITE", "a", ""), (Some(Came::Again), 0), "nothing to say yet");
        servers.answered(Instant::ZERO, id, 180, b"180".to_vec(), None);
        assert_eq!(take(&mut servers, "INVITE", "a", ""), (Some(Came::Again), 1));
        assert!(!servers.is_answered(id));
    }

    #[test]
    fn an_answered_invite_is_repeated_until_its_ack() {
        let (mut servers, id) = invited();
        servers.answered(Instant::ZERO, id, 200, b"200".to_vec(), None);
        let (times, missed) = sent(&mut servers);
        assert_eq!(times[..5], [500, 1500, 3500, 7500, 11_500]);
        assert_eq!(missed, [Missed::Ack(id, 200)]);

        let (mut servers, id) = invited();
        servers.answered(Instant::ZERO, id, 200, b"200".to_vec(), None);
        assert_eq!(take(&mut servers, "ACK", "other", "").0, Some(Came::Ack(id)));
        assert_eq!(sent(&mut servers), (vec![], vec![]));
    }

    #[test]
    fn the_ack_of_a_failure_has_the_branch_of_the_invite() {
        let (mut servers, id) = invited();
        servers.answered(Instant::ZERO, id, 486, b"486".to_vec(), None);
        assert_eq!(take(&mut servers, "ACK", "other", "").0, None);
        assert_eq!(take(&mut servers, "ACK", "a", "").0, Some(Came::Ack(id)));
    }

    #[test]
    fn a_cancel_finds_its_invite_while_that_has_no_answer() {
        let (mut servers, id) = invited();
        let (Some(Came::Cancel(_, invite)), 0) = take(&mut servers, "CANCEL", "a", "") else { panic!() };
        assert_eq!(invite, id);
        let (mut servers, id) = invited();
        servers.answered(Instant::ZERO, id, 200, b"200".to_vec(), None);
        assert!(matches!(take(&mut servers, "CANCEL", "a", "").0, Some(Came::New(_))));
    }

    #[test]
    fn a_reliable_response_is_repeated_until_its_prack() {
        let (mut servers, id) = invited();
        servers.answered(Instant::ZERO, id, 180, b"180".to_vec(), Some(7));
        assert_eq!(take(&mut servers, "PRACK", "b", "RAck: 8 1 INVITE\r\n").1, 0, "another RSeq");
        assert_eq!(take(&mut servers, "PRACK", "b", "RAck: 7 1 INVITE\r\n").1, 1);
        assert_eq!(take(&mut servers, "PRACK", "b", "RAck: 7 1 INVITE\r\n").1, 0, "once is enough");
        assert_eq!(servers.next_deadline(), None);

        let (mut servers, id) = invited();
        servers.answered(Instant::ZERO, id, 180, b"180".to_vec(), Some(7));
        servers.answered(Instant::ZERO, id, 200, b"200".to_vec(), None);
        assert_eq!(take(&mut servers, "PRACK", "b", "RAck: 7 1 INVITE\r\n").1, 1, "overtaken by the answer");
        assert_eq!(take(&mut servers, "PRACK", "c", "RAck: 7 1 INVITE\r\n").1, 0);
        assert_eq!(sent(&mut servers).1, [Missed::Ack(id, 200)], "which is repeated all the same");

        let (mut servers, id) = invited();
        servers.answered(Instant::ZERO, id, 180, b"180".to_vec(), Some(7));
        let (times, missed) = sent(&mut servers);
        assert_eq!(times, [500, 1500, 3500, 7500, 15_500, 31_500]);
        assert_eq!(missed, [Missed::Prack(id)]);
    }
}
