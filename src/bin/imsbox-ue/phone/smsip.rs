//! SMS over IP as a handset does it (TS 24.341 5.3.1, 5.3.2): each RPDU in a MESSAGE, those of a phone to the public service
//! identity of its service centre, the answers to whom the network names.
//!
//! One message of ours at a time (TS 24.011 2.1): the next one, or the next part of a long text, follows the RP-ACK. It shares
//! with the server how octets are read and written, and nothing else.

use super::Phone;
use super::client::Purpose;
use super::event::Event;
use super::inbound::Reply;
use super::message::{Request, SHORT_MESSAGE, refusal, sender, text};
use super::server::{ServerId, call_id};
use crate::settings::Centre;
use imsbox::base::rng::Rng;
use imsbox::base::time::{Duration, Instant};
use imsbox::proto::sms::{Arrival, Reassembler};
use imsbox::wire::gsm::concat::Reference;
use imsbox::wire::gsm::tpdu::Status;
use imsbox::wire::gsm::user_data::UserDataBuf;
use imsbox::wire::gsm::{
    Address, Carrier, Deliver, DeliverReport, Direction, FailureCause, Parameters, Rp, RpCause, Rpdu,
    StatusReport, Submit, Tpdu, UserData, text as texts,
};
use imsbox::wire::sip::text::lossy;
use imsbox::wire::sip::{HeaderId, Message, NameAddr, Uri};
use imsbox::wire::telephone::{Number, Telephone};
use std::collections::VecDeque;

/// TR1M: how long a phone waits for the RP-ACK (TS 24.011 10: 35 to 45 s).
const TR1M: Duration = Duration::from_secs(40);

/// What the phone says to short messages that come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// RP-ACK.
    Ack,
    /// Nothing, as a phone that has lost its radio.
    Nothing,
    /// RP-ERROR with this cause.
    Error(RpCause),
}

/// A short message of ours that waits for its turn.
#[derive(Debug)]
struct Waiting {
    destination: Address,
    user_data: UserDataBuf,
    is_last: bool,
}

/// What is under way.
#[derive(Debug)]
struct Open {
    reference: u8,
    call_id: String,
    /// To whom the last part of a text goes; `None` for another part.
    text_to: Option<String>,
    is_smma: bool,
    /// Whether the SIP answer has come.
    is_taken: bool,
    /// Whether the RP-ACK has come.
    is_acked: bool,
    until: Instant,
}

/// The short messages of a phone.
#[derive(Debug)]
pub struct ShortMessages {
    /// RP-Message-Reference of the next RPDU of ours.
    reference: u8,
    /// TP-MR of the next SUBMIT; on a card it outlives the phone (TS 23.040 9.2.3.6).
    message: u8,
    /// Reference of the next long text.
    concat: u8,
    waiting: VecDeque<Waiting>,
    open: Option<Open>,
    joiner: Reassembler<Address>,
    report: Report,
    wants_status: bool,
    /// The status reports that have come: how many, and the last one.
    statuses: (u32, Option<Status>),
}

impl ShortMessages {
    /// None yet. References begin anywhere, so that a phone that starts again repeats none.
    pub fn new(rng: &mut Rng) -> ShortMessages {
        let [reference, message, concat, ..] = rng.next_u64().to_be_bytes();
        ShortMessages {
            reference,
            message,
            concat,
            waiting: VecDeque::new(),
            open: None,
            joiner: Reassembler::default(),
            report: Report::Ack,
            wants_status: false,
            statuses: (0, None),
        }
    }

    /// Whether something waits for the network.
    pub fn is_busy(&self) -> bool {
        self.open.is_some() || !self.waiting.is_empty()
    }

    /// When [`Phone::tick`] has something to do.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.open.as_ref().map(|open| open.until)
    }

    /// How many status reports have come.
    pub fn statuses(&self) -> u32 {
        self.statuses.0
    }

    /// What the last status report says.
    pub fn last_status(&self) -> Option<Status> {
        self.statuses.1
    }

    fn next_reference(&mut self) -> u8 {
        next(&mut self.reference)
    }
}

/// The number, and one more for the next time.
fn next(counter: &mut u8) -> u8 {
    let this = *counter;
    *counter = counter.wrapping_add(1);
    this
}

/// The number that a URI is, as it was dialled.
pub fn number_of(uri: &str) -> Option<Number> {
    Uri::parse(uri.as_bytes()).and_then(|uri| Telephone::of(&uri)).map(|telephone| telephone.number)
}

/// Who an address is, for a person.
fn named(address: &Address) -> String {
    if address.is_empty() { "an unknown party".to_owned() } else { address.to_string() }
}

/// User data for a person: its text, or its octets.
fn shown(parts: &[UserData<'_>]) -> String {
    texts::join(parts.iter().copied()).unwrap_or_else(|| {
        let octets = parts.iter().flat_map(|part| part.payload());
        octets.map(|octet| format!("{octet:02x}")).collect()
    })
}

impl Phone {
    /// The short messages.
    pub fn short_messages(&self) -> &ShortMessages {
        &self.short
    }

    /// What the phone says from now on to short messages that come.
    pub fn set_report(&mut self, report: Report) {
        self.short.report = report;
    }

    /// Whether the phone asks for status reports from now on.
    pub fn set_wants_status(&mut self, wants: bool) {
        self.short.wants_status = wants;
    }

    /// Sends a text as a short message, or as many as it takes.
    pub(super) fn send_short(&mut self, now: Instant, number: Number, text: &str) -> Result<(), String> {
        let destination =
            Address::of_number(&number).ok_or(format!("{number} is too long for a short message"))?;
        let reference = Reference::Eight(next(&mut self.short.concat));
        let parts = texts::split(text, reference).ok_or("the text takes more than 255 short messages")?;
        let last = parts.len() - 1;
        let waiting = |(at, user_data)| Waiting { destination, user_data, is_last: at == last };
        self.short.waiting.extend(parts.into_iter().enumerate().map(waiting));
        self.send_next_short(now);
        Ok(())
    }

    /// Tells the network that there is memory again (TS 24.011 7.3.2); messages that come are taken from now on.
    pub fn send_smma(&mut self, now: Instant) -> Result<(), String> {
        if self.short.open.is_some() {
            return Err("a short message is under way".to_owned());
        }
        self.short.report = Report::Ack;
        self.send_rpdu(now, None, true, Rp::Smma);
        Ok(())
    }

    fn send_next_short(&mut self, now: Instant) {
        if self.short.open.is_some() {
            return;
        }
        let Some(Waiting { destination, user_data, is_last }) = self.short.waiting.pop_front() else {
            return;
        };
        let reference = next(&mut self.short.message);
        let status_report = self.short.wants_status && is_last;
        let submit = Submit { status_report, ..Submit::new(reference, destination, user_data.view()) };
        let tpdu = submit.to_vec();
        let destination_of_rp = Some(self.settings.sms.centre.address);
        let rp = Rp::Data { originator: None, destination: destination_of_rp, user_data: &tpdu };
        self.send_rpdu(now, is_last.then(|| named(&destination)), false, rp);
    }

    /// Sends an RPDU that is answered by another one (TS 24.341 5.3.1.2).
    fn send_rpdu(&mut self, now: Instant, text_to: Option<String>, is_smma: bool, message: Rp<'_>) {
        let reference = self.short.next_reference();
        let octets = Rpdu { direction: Direction::Up, reference, message }.to_vec();
        let Centre { uri, .. } = &self.settings.sms.centre;
        let mut request = self.message(uri.clone(), SHORT_MESSAGE, octets);
        add_preferences(&mut request);
        self.short.open = Some(Open {
            reference,
            call_id: request.call_id.clone(),
            text_to,
            is_smma,
            is_taken: false,
            is_acked: false,
            until: now + TR1M,
        });
        self.send_request(now, request, Purpose::Short);
    }

    /// The SIP answer to an RPDU of ours.
    pub(super) fn on_short_answer(&mut self, now: Instant, request: &Request, answer: &Message<'_>) {
        let status = answer.status();
        let Some(open) = self.short.open.as_mut().filter(|open| open.call_id == request.call_id) else {
            return;
        };
        self.code = Some(status);
        open.is_taken = true;
        match status {
            200..300 => self.settle_short(now),
            _ => self.fail_short(now, Some(status), refusal(answer)),
        }
    }

    /// The SIP answer to a report of ours.
    pub(super) fn on_report_answer(&mut self, answer: &Message<'_>) {
        if answer.status() >= 300 {
            let words = refusal(answer);
            self.event(Event::Notice(format!("the report on a text is refused: {words}")));
        }
    }

    /// What is under way is done when both have come, the SIP answer and the RP-ACK, in whichever order.
    fn settle_short(&mut self, now: Instant) {
        let Some(open) = self.short.open.take_if(|open| open.is_taken && open.is_acked) else { return };
        match open.text_to {
            Some(whom) => self.event(Event::Texted(whom)),
            None if open.is_smma => self.event(Event::MemoryTold),
            None => {}
        }
        self.send_next_short(now);
    }

    /// What is under way has failed, and what is left of its text with it.
    pub(super) fn fail_short(&mut self, now: Instant, code: Option<u16>, words: String) {
        let Some(open) = self.short.open.take() else { return };
        if open.text_to.is_none() && !open.is_smma {
            while self.short.waiting.pop_front().is_some_and(|waiting| !waiting.is_last) {}
        }
        self.event(Event::TextRefused(code, words));
        self.send_next_short(now);
    }

    /// Time has passed.
    pub(super) fn tick_short(&mut self, now: Instant) {
        if self.short.open.as_ref().is_some_and(|open| open.until <= now) {
            self.fail_short(now, None, format!("no RP-ACK within {} s", TR1M.as_secs()));
        }
    }

    /// A MESSAGE with an RPDU comes.
    pub(super) fn on_rpdu(&mut self, now: Instant, id: ServerId, message: &Message<'_>) {
        let rpdu = match Rpdu::parse(message.body()) {
            Ok(rpdu) if rpdu.direction == Direction::Down => rpdu,
            Ok(_) => return self.refuse_rpdu(now, id, message, "an RPDU that only phones send"),
            Err(error) => return self.refuse_rpdu(now, id, message, &error.to_string()),
        };
        self.respond(now, id, 200, Reply::default());
        match rpdu.message {
            Rp::Data { originator, destination: None, user_data } if originator.is_some() => {
                self.on_short(now, rpdu.reference, user_data, message);
            }
            Rp::Data { .. } => {
                self.notice("RP-DATA has no originator, or a destination, which goes to the network only");
                self.send_report(now, rpdu.reference, message, Err(RpCause::MANDATORY_INFORMATION));
            }
            Rp::Ack { user_data } => self.on_rp_answer(now, rpdu.reference, message, user_data, None),
            Rp::Error { cause, user_data, .. } => {
                self.on_rp_answer(now, rpdu.reference, message, user_data, Some(cause));
            }
            Rp::Smma => {}
        }
    }

    fn notice(&mut self, words: &str) {
        self.event(Event::Notice(words.to_owned()));
    }

    fn refuse_rpdu(&mut self, now: Instant, id: ServerId, message: &Message<'_>, words: &str) {
        let party = sender(message);
        self.notice(&format!("a short message from {party} is refused: {words}"));
        self.respond(now, id, 400, Reply::default());
    }

    /// RP-ACK or RP-ERROR. In-Reply-To says what it answers (TS 24.341 5.3.1.3), else the reference does.
    fn on_rp_answer(
        &mut self,
        now: Instant,
        reference: u8,
        message: &Message<'_>,
        report: Option<&[u8]>,
        cause: Option<RpCause>,
    ) {
        let carrier = if cause.is_some() { Carrier::Error } else { Carrier::Ack };
        if let Some(Err(error)) = report.map(|report| Tpdu::parse(report, Direction::Down, carrier)) {
            self.notice(&format!("the report of the service centre cannot be read: {error}"));
        }
        let in_reply_to = text(message, HeaderId::InReplyTo);
        let answers = |open: &&mut Open| match in_reply_to.as_str() {
            "" => open.reference == reference,
            call_id => open.call_id == call_id && open.reference == reference,
        };
        let Some(open) = self.short.open.as_mut().filter(answers) else {
            return self.notice("a report came of a short message that nobody waits for");
        };
        match cause {
            Some(cause) => self.fail_short(now, None, format!("RP-ERROR {cause}")),
            None => {
                open.is_acked = true;
                self.settle_short(now);
            }
        }
    }

    /// RP-DATA (TS 24.341 5.3.2.4).
    fn on_short(&mut self, now: Instant, reference: u8, tpdu: &[u8], message: &Message<'_>) {
        let taken = match Tpdu::parse(tpdu, Direction::Down, Carrier::Data) {
            Ok(Tpdu::Deliver(deliver)) => self.on_deliver(now, &deliver),
            Ok(Tpdu::StatusReport(report)) => self.on_status_report(&report),
            Ok(_) => {
                self.notice("a report came in RP-DATA");
                Err(RpCause::SEMANTIC)
            }
            Err(error) => {
                self.notice(&format!("a short message cannot be read: {error}"));
                Err(RpCause::PROTOCOL)
            }
        };
        if self.short.report != Report::Nothing {
            self.send_report(now, reference, message, taken);
        }
    }

    fn on_deliver(&mut self, now: Instant, deliver: &Deliver<'_>) -> Result<(), RpCause> {
        let party = named(&deliver.originator);
        if let Report::Error(cause) = self.short.report {
            self.event(Event::NotTaken(party, format!("RP-ERROR {cause}")));
            return Err(cause);
        }
        // TS 23.040 9.2.3.9: acknowledged, and that is all
        if deliver.pid.is_type_0() {
            return Ok(());
        }
        let of_parts =
            |parts: &[UserDataBuf]| shown(&parts.iter().map(UserDataBuf::view).collect::<Vec<_>>());
        let arrival = self.short.joiner.take(now, deliver.originator, deliver.user_data);
        // a person would rather read half of a text than nothing
        while let Some(incomplete) = self.short.joiner.pop_given_up() {
            self.take_text(named(&incomplete.key), of_parts(&incomplete.parts));
        }
        match arrival {
            Arrival::Missing(_) | Arrival::Repeated => {}
            Arrival::Single => self.take_text(party, shown(&[deliver.user_data])),
            Arrival::Whole(parts) => self.take_text(party, of_parts(&parts)),
        }
        Ok(())
    }

    fn on_status_report(&mut self, report: &StatusReport<'_>) -> Result<(), RpCause> {
        self.short.statuses.0 += 1;
        self.short.statuses.1 = Some(report.status);
        self.event(Event::Status(named(&report.recipient), report.status));
        Ok(())
    }

    /// Sends RP-ACK or RP-ERROR to who the network says the MESSAGE is from (TS 24.341 5.3.2.4).
    fn send_report(
        &mut self,
        now: Instant,
        reference: u8,
        message: &Message<'_>,
        taken: Result<(), RpCause>,
    ) {
        let whom = [HeaderId::PAssertedIdentity, HeaderId::From];
        let mut named = whom.into_iter().flat_map(|id| message.values(id)).filter_map(NameAddr::parse);
        let Some(uri) = named.next().map(|name| lossy(name.uri_text).into_owned()) else { return };
        let failure = taken.err().map(|cause| match cause {
            RpCause::MEMORY_EXCEEDED => FailureCause::MEMORY_EXCEEDED,
            _ => FailureCause::UNSPECIFIED,
        });
        let mut tpdu = Vec::new();
        DeliverReport { failure, parameters: Parameters::NONE }.write(&mut tpdu);
        let user_data = Some(tpdu.as_slice());
        let answer = match taken {
            Ok(()) => Rp::Ack { user_data },
            Err(cause) => Rp::Error { cause, diagnostic: None, user_data },
        };
        let octets = Rpdu { direction: Direction::Up, reference, message: answer }.to_vec();
        let mut request = self.message(uri, SHORT_MESSAGE, octets);
        add_preferences(&mut request);
        request.headers.push(("In-Reply-To", call_id(message)));
        self.send_request(now, request, Purpose::Report);
    }
}

/// TS 24.341 5.3.1.2: one service centre, and one that takes short messages.
fn add_preferences(request: &mut Request) {
    request.headers.push(("Request-Disposition", "no-fork".to_owned()));
    request.headers.push(("Accept-Contact", "*;+g.3gpp.smsip;require;explicit".to_owned()));
    request.headers.push(("Allow", "MESSAGE".to_owned()));
    request.headers.push(("Content-Transfer-Encoding", "binary".to_owned()));
}
