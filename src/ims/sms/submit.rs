//! What phones send to the centre: an RP-DATA with an SMS-SUBMIT, a report, or the news that there is memory again (TS 24.341 5.3.3.3,
//! TS 24.011 7.3, TS 23.040 9.2.2.2).

use super::address;
use super::answer::Refusal;
use super::hook;
use super::limits::{MAX_REPETITIONS, MAX_VALIDITY, ONCE_PATIENCE};
use super::promise::{Line, Promise, Sender};
use super::recent::{Noted, Origin, Phone};
use super::report::Verdict;
use super::text::{Submitted, Text};
use super::{Down, Downlink, Sms};
use crate::base::time::{Duration, Instant, UnixTime};
use crate::base::trace::{Level, Subject};
use crate::config::model::FilterAction;
use crate::ims::call::ServerId;
use crate::ims::core::View;
use crate::ims::dispatch::Caller;
use crate::ims::identity::{self, Speaker};
use crate::ims::message::respond;
use crate::ims::subscriber::{Subscribers, Target, UserId};
use crate::proto::cx::Cx;
use crate::wire::gsm::tpdu::Command;
use crate::wire::gsm::{Address, Deliver, Rp, Rpdu, Submit, Timestamp, Validity, rp};
use crate::wire::sip::{HeaderId, Message};
use smallvec::SmallVec;

/// Who submits: a user, by one of the identities.
#[derive(Clone, Copy, Debug)]
pub(super) struct Author<'a> {
    pub(super) user: UserId,
    pub(super) impu: Option<usize>,
    pub(super) imei: Option<&'a str>,
    pub(super) phone: &'a Phone,
    /// When it came.
    pub(super) came: UnixTime,
}

impl<'a> Author<'a> {
    /// Whose references count.
    pub(super) fn origin(self, subs: &Subscribers) -> Origin<'a> {
        let profile = subs.user(self.user);
        let alone = !profile.imsi.is_empty() && !profile.multi_sim;
        Origin { user: self.user, phone: self.phone, alone }
    }

    /// What is remembered of a SUBMIT.
    pub(super) fn submitted(self, submit: &Submit<'_>) -> Submitted {
        Submitted {
            by: self.user,
            impu: self.impu,
            phone: Some(self.phone.clone()),
            reference: submit.reference,
            destination: submit.destination,
            wants_report: submit.status_report,
        }
    }
}

/// What a TPDU of a phone asks of the centre.
enum Asked<'a> {
    Submit(Submit<'a>),
    Command(Command<'a>),
}

impl<'a> Asked<'a> {
    fn parse(tpdu: &'a [u8]) -> Result<Self, Refusal> {
        let asked = match tpdu.first().map(|first| first & 3) {
            Some(1) => Submit::parse(tpdu).map(Asked::Submit),
            Some(2) => Command::parse(tpdu).map(Asked::Command),
            Some(_) => return Err(Refusal::TYPE),
            None => return Err(Refusal::MALFORMED),
        };
        asked.map_err(|_| Refusal::MALFORMED)
    }
}

impl Sms {
    /// A MESSAGE with an RPDU, whatever its Request-URI: phones have many forms of the centre's, and it is meant all the same.
    pub fn on_message(
        &mut self,
        view: &mut View<'_>,
        cx: &mut Cx<'_>,
        tx: ServerId,
        msg: &Message<'_>,
        caller: Caller,
    ) {
        let (Some(user), Some(contact)) = (caller.user, caller.binding) else {
            let words = "short messages are for registered phones; REGISTER comes first";
            return respond(view, cx, tx, 403, Some(words), None);
        };
        let Some(binding) = view.registrar.binding(contact) else { return };
        let (imei, phone) = (binding.contact.imei, Phone::of_contact(&binding.contact));
        let impu = identity::speaking(view.subs, Speaker { user, imei: imei.as_deref(), called: None }, msg);
        let takes = |at: usize| view.subs.user(user).impus[at].sms;
        if !impu.is_none_or(takes) {
            let words = "the identity has no SMS over IMS (sms: false)";
            return respond(view, cx, tx, 403, Some(words), None);
        }
        let Some(call_id) = msg.call_id() else { return };
        let line = Line::Ims { tx, contact, call_id: call_id.into() };
        let author = Author { user, impu, imei: imei.as_deref(), phone: &phone, came: cx.wall };
        self.on_rpdu(view, cx, author, line, msg.header(HeaderId::InReplyTo), msg.body());
    }

    /// An RPDU of a phone over SGs, with its IMEISV if the MME has told it.
    pub fn on_uplink(
        &mut self,
        view: &mut View<'_>,
        cx: &mut Cx<'_>,
        (user, imeisv): (UserId, Option<&str>),
        rpdu: &[u8],
    ) {
        let impu = identity::default_of(view.subs.user(user), imeisv);
        let phone = Phone::attached(imeisv);
        let author = Author { user, impu, imei: imeisv, phone: &phone, came: cx.wall };
        self.on_rpdu(view, cx, author, Line::Sgs, None, rpdu);
        // of a report from which nothing follows, and of one that was answered already, this says nothing new
        if !self.unconfirmed.contains(&user) {
            self.downlinks.push_back(Downlink { user, what: Down::Confirm { is_stored: true } });
        }
    }

    fn on_rpdu(
        &mut self,
        view: &mut View<'_>,
        cx: &mut Cx<'_>,
        author: Author<'_>,
        line: Line,
        in_reply_to: Option<&[u8]>,
        octets: &[u8],
    ) {
        let user = author.user;
        let rpdu = match (Rpdu::parse(octets), rp::reference_of(octets)) {
            (Ok(rpdu), _) => rpdu,
            // TS 24.011 9.3: a report is not answered by another
            (Err(_), Some(reference)) if !is_report(octets) => {
                let cause =
                    Rpdu::parse(octets).err().map_or(Refusal::MALFORMED.cause, |fault| fault.rp_cause());
                let refusal = Refusal { cause, failure: None, ..Refusal::MALFORMED };
                let sender = Sender::Phone { user, line, reference, came: cx.wall, noted: None };
                return self.refuse(view, cx, sender, refusal);
            }
            (Err(fault), _) => {
                let words = format!("the RPDU is malformed: {fault}");
                return self.pass_over(view, cx, line, 400, &words);
            }
        };
        let reference = rpdu.reference;
        match rpdu.message {
            Rp::Data { user_data, .. } => match self.filters.rp_data.next() {
                FilterAction::Treat => self.on_tpdu(view, cx, author, (line, reference), user_data),
                FilterAction::Ignore => self.pass_over(view, cx, line, 202, "ignored: sms_message_filter"),
                FilterAction::Reject => {
                    let sender = Sender::Phone { user, line, reference, came: cx.wall, noted: None };
                    self.refuse(view, cx, sender, Refusal::CONFIGURED);
                }
            },
            Rp::Ack { .. } => match self.filters.rp_ack.next() {
                FilterAction::Treat => {
                    self.on_report(view, cx, (user, line, reference), in_reply_to, Verdict::Taken);
                }
                FilterAction::Ignore => self.pass_over(view, cx, line, 202, "ignored: sms_message_filter"),
                FilterAction::Reject => self.pass_over(view, cx, line, 403, "the configuration says so"),
            },
            Rp::Error { cause, user_data, .. } => {
                let verdict = Verdict::refused(cause, user_data);
                self.on_report(view, cx, (user, line, reference), in_reply_to, verdict);
            }
            Rp::Smma => {
                self.reply(view, cx, (user, line, reference), Rp::Ack { user_data: None });
                self.on_memory_available(view, cx, user);
            }
        }
    }

    /// Does nothing with an RPDU; a MESSAGE has its answer all the same.
    fn pass_over(&mut self, view: &mut View<'_>, cx: &mut Cx<'_>, line: Line, status: u16, words: &str) {
        if let Line::Ims { tx, .. } = line {
            respond(view, cx, tx, status, Some(words).filter(|_| status >= 300), None);
        }
    }

    /// A TPDU of a phone.
    fn on_tpdu(
        &mut self,
        view: &mut View<'_>,
        cx: &mut Cx<'_>,
        author: Author<'_>,
        (line, reference): (Line, u8),
        tpdu: &[u8],
    ) {
        let user = author.user;
        let sender = |came, noted| Sender::Phone { user, line, reference, came, noted };
        let asked = match Asked::parse(tpdu) {
            Ok(asked) => asked,
            Err(refusal) => return self.refuse(view, cx, sender(cx.wall, None), refusal),
        };
        let origin = author.origin(view.subs);
        if let Some((first, came)) = self.recent.find(cx.now, origin, reference, tpdu) {
            // its sender has missed the RP-ACK, and gets another
            let impi = &view.subs.user(user).impi;
            let done = match asked {
                Asked::Submit(_) => "delivered",
                Asked::Command(_) => "carried out",
            };
            let words = format_args!("SMS of {impi} came again: it is acknowledged again, and {done} once");
            cx.ims(Level::Info, Subject::None, words);
            return self.accept_again(view, cx, sender(came, None), first);
        }
        let noted = self.recent.note((cx.now, cx.wall), origin, reference, tpdu);
        match asked {
            Asked::Submit(submit) if view.config.sms.hook_only && self.is_listened_to => {
                self.hand_over(view, cx, author, sender(cx.wall, noted), &submit);
            }
            Asked::Submit(submit) => self.on_submit(view, cx, author, sender(cx.wall, noted), &submit),
            Asked::Command(command) => self.on_command(view, cx, author, sender(cx.wall, noted), &command),
        }
    }

    /// An SMS-SUBMIT that is for a user or an echo number.
    pub(super) fn on_submit(
        &mut self,
        view: &mut View<'_>,
        cx: &mut Cx<'_>,
        author: Author<'_>,
        sender: Sender,
        submit: &Submit<'_>,
    ) {
        let profile = view.subs.user(author.user);
        let from = address::of_user(profile, author.imei, author.impu);
        let destination = address::uri_of(&submit.destination, &profile.domain);
        let (to, impu, from) = match address::lookup(view.subs, &submit.destination, &profile.domain) {
            Target::User { user, impu } => (user, impu, from),
            Target::Echo(number) => {
                let echo = &view.config.echo[number];
                if echo.code.is_some_and(|code| code >= 300) {
                    return self.refuse(view, cx, sender, Refusal::CONFIGURED);
                }
                // what an echo number gets comes back in kind
                (author.user, author.impu.unwrap_or(0), echo.uri.clone())
            }
            Target::Unknown => {
                let (status, _) = view.subs.refusal(destination.as_bytes());
                let refusal = if status == 484 { Refusal::INCOMPLETE } else { Refusal::UNKNOWN };
                return self.refuse(view, cx, sender, refusal);
            }
        };
        if submit.reject_duplicates && self.holds(to, author.origin(view.subs), submit) {
            return self.refuse(view, cx, sender, Refusal::DUPLICATE);
        }
        let deliver = Deliver {
            more_messages: false,
            loop_prevention: false,
            status_report: submit.status_report,
            reply_path: submit.reply_path,
            originator: address::of_uri(&from),
            pid: submit.pid,
            timestamp: Timestamp::of_unix(author.came, 0),
            user_data: submit.user_data,
        };
        let (lives, once) = lifetime(view, author.came, submit.validity);
        let age = author.came.until(cx.wall);
        let text = Text {
            at: author.came,
            once,
            // what is not kept at all has its one attempt
            expires_at: cx.now + if lives.is_zero() { ONCE_PATIENCE } else { lives.saturating_sub(age) },
            submitted: Some(Box::new(author.submitted(submit))),
            ..new_text(view, cx, (to, impu), &from, deliver.to_vec(), lives)
        };
        if self.take_in(view, cx, sender, [text]) {
            let Author { user, impu, imei, phone, .. } = author;
            let heading = hook::heading(view.subs, (user, impu, imei), phone, submit);
            self.tell_when_stored(heading, vec![submit.user_data.to_buf()]);
        }
    }

    /// Whether a text with the same TP-MR of the same phone to the same destination waits (TS 23.040 9.2.3.25).
    fn holds(&self, to: UserId, from: Origin<'_>, submit: &Submit<'_>) -> bool {
        let is_same = |text: &Text| {
            let same = |s: &Submitted| s.is(from, submit.reference, submit.destination);
            text.submitted.as_deref().is_some_and(same)
        };
        self.inboxes.get(&to).is_some_and(|inbox| inbox.texts.iter().any(is_same))
    }

    /// Takes texts in that belong together, all or none; their sender is answered when they are on the disk. `false`: it is refused.
    pub(super) fn take_in(
        &mut self,
        view: &mut View<'_>,
        cx: &mut Cx<'_>,
        sender: Sender,
        texts: impl IntoIterator<Item = Text>,
    ) -> bool {
        let texts: SmallVec<[Text; 1]> = texts.into_iter().collect();
        let Some(to) = texts.first().map(|text| text.to) else { return false };
        if let Err(refusal) = self.admit(view, to, texts.len()) {
            self.refuse(view, cx, sender, refusal);
            return false;
        }
        self.store(view, cx, sender, texts);
        true
    }

    /// Whether so many texts to a user can be taken in now.
    pub(super) fn admit(&self, view: &View<'_>, to: UserId, count: usize) -> Result<(), Refusal> {
        if view.disk.refusal().is_some() {
            return Err(Refusal::DISK);
        }
        let has_room = self.has_promise() && self.has_room(to, count);
        if has_room { Ok(()) } else { Err(Refusal::NO_ROOM) }
    }

    /// Puts texts for which there is room into their inbox; their sender is told when they are on the disk.
    pub(super) fn store(
        &mut self,
        view: &View<'_>,
        cx: &mut Cx<'_>,
        sender: Sender,
        texts: SmallVec<[Text; 1]>,
    ) {
        let mut last = 0;
        let mut taken = SmallVec::new();
        for text in texts {
            let to = text.to;
            let Some((number, ticket)) = self.insert(view, cx, text) else { continue };
            taken.push((to, number));
            last = ticket;
        }
        self.promise(cx, last, Promise::taken(sender, taken));
    }

    /// Tells a sender that all is taken once everything that went to the disk so far is there.
    pub(super) fn accept_when_stored(&mut self, view: &mut View<'_>, cx: &mut Cx<'_>, sender: Sender) {
        let ticket = cx.out.last_ticket();
        if view.disk.refusal().is_some() {
            self.refuse(view, cx, sender, Refusal::DISK);
        } else if view.disk.is_durable(ticket) {
            self.accept(view, cx, sender);
        } else if !self.has_promise() {
            self.refuse(view, cx, sender, Refusal::NO_ROOM);
        } else {
            self.promise(cx, ticket, Promise::taken(sender, SmallVec::new()));
        }
    }

    /// Who repeats a text shares the fate of the first.
    fn accept_again(&mut self, view: &mut View<'_>, cx: &mut Cx<'_>, sender: Sender, first: Noted) {
        match self.promises.repeated(first) {
            Some(again) if again.len() < MAX_REPETITIONS => again.push(sender),
            Some(_) => self.refuse(view, cx, sender, Refusal::NO_ROOM),
            None => self.accept(view, cx, sender),
        }
    }
}

/// In whose queue a text waits that a user submits to this address: nobody's, where nobody has it.
pub(super) fn queue_of(subs: &Subscribers, by: UserId, destination: &Address) -> Option<UserId> {
    match address::lookup(subs, destination, &subs.user(by).domain) {
        Target::User { user, .. } => Some(user),
        // what an echo number gets waits for its sender
        Target::Echo(_) => Some(by),
        Target::Unknown => None,
    }
}

/// How long a text is kept from when it came, and whether it is to be tried once: TP-VP comes before `sms_expires`.
fn lifetime(view: &View<'_>, came: UnixTime, validity: Option<Validity>) -> (Duration, bool) {
    let end = validity.and_then(|validity| validity.end(came));
    let lives = end.map_or(view.config.sms.expires, |end| came.until(end)).min(MAX_VALIDITY);
    (lives, lives.is_zero() || validity.is_some_and(Validity::is_single_shot))
}

/// A text that is not in its inbox yet.
pub(super) fn new_text(
    view: &View<'_>,
    cx: &Cx<'_>,
    (to, impu): (UserId, usize),
    from: &str,
    tpdu: Vec<u8>,
    lives: Duration,
) -> Text {
    let delay = view.subs.user(to).impus.get(impu).map_or(Duration::ZERO, |impu| impu.sms_delay);
    Text {
        number: 0,
        to,
        impu,
        from: from.into(),
        tpdu: tpdu.into(),
        at: cx.wall,
        expires_at: cx.now + if lives.is_zero() { ONCE_PATIENCE } else { lives },
        due_at: cx.now + delay,
        aside_until: Instant::ZERO,
        parts_at: Instant::ZERO,
        sos: false,
        is_plain: false,
        // what is not kept at all is tried once
        once: lives.is_zero(),
        is_durable: false,
        submitted: None,
    }
}

/// Whether an RPDU is, by its type, a report.
fn is_report(octets: &[u8]) -> bool {
    octets.first().is_some_and(|kind| matches!(kind & 7, 2..=5))
}
