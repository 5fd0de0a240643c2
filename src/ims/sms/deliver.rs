//! The way of a text to its recipient: over IMS to a phone that takes short messages, else over SGs, else as text/plain to soft
//! clients (plain); one at a time and in order (TS 24.341 5.3.3.4.1, TS 23.040 3.2.3).

use super::address;
use super::inbox::{Attempt, Leg, Tried, Way, Why};
use super::limits::{REPORT_PATIENCE, SGS_PATIENCE};
use super::plain::{self, is_soft};
use super::text::Text;
use super::ways::{self, Ways};
use super::write::{self, Head};
use super::{Down, Downlink, Part, Sms, tell};
use crate::base::arena::Id;
use crate::base::trace::Level;
use crate::ims::call::{ClientId, forward};
use crate::ims::core::View;
use crate::ims::identity;
use crate::ims::owner::Owner;
use crate::ims::registrar::Binding;
use crate::ims::registrar::binding::Contact;
use crate::ims::subscriber::UserId;
use crate::proto::cx::Cx;
use crate::proto::sip::transaction::{Answer, Overload, Token, TxEvent};
use crate::proto::upgrade::Upgrade;
use crate::wire::gsm::tpdu::Status;
use crate::wire::gsm::{Direction, Rp, Rpdu};
use crate::wire::sip::Message;
use smallvec::SmallVec;

/// Where the next text may go.
enum Route {
    Ims(Id<Binding>),
    Sgs,
    Plain(SmallVec<[Id<Binding>; 2]>),
}

impl Sms {
    /// Tries what is next for a user, unless something is under way.
    pub(super) fn next(&mut self, view: &mut View<'_>, cx: &mut Cx<'_>, user: UserId) {
        // each step starts an attempt, closes a way or lets a text go
        while self.step(view, cx, user) {}
        self.tidy(cx.now, user);
    }

    /// One step towards the delivery of the next text; whether there is another one.
    fn step(&mut self, view: &mut View<'_>, cx: &mut Cx<'_>, user: UserId) -> bool {
        let Some(inbox) = self.inboxes.get_mut(&user) else { return false };
        if let Some(number) = inbox.expired(cx.now) {
            self.drop_text(view, cx, (user, number), Status::EXPIRED, "given up: it is too old");
            return true;
        }
        if inbox.attempt.is_some()
            || self.unconfirmed.contains(&user)
            || inbox.pause.is_some_and(|pause| pause > cx.now)
        {
            return false;
        }
        if inbox.pause.take().is_some() {
            inbox.stuck.clear();
        }
        let Some(number) = inbox.ready(cx.now) else { return false };
        if inbox.tried.number != number {
            // what has failed for another says nothing of this one
            inbox.tried = Tried { number, ..Tried::default() };
        }
        match self.route(view, cx, user, number) {
            Ok(Route::Ims(contact)) => self.start_ims(view, cx, user, number, contact),
            Ok(Route::Sgs) => self.start_sgs(view, cx, user, number),
            Ok(Route::Plain(contacts)) => self.start_plain(view, cx, user, number, &contacts),
            Err(why) => self.end_round(view, cx, user, number, why),
        }
    }

    /// The best way that has not failed in this round; else why there is none.
    fn route(&self, view: &View<'_>, cx: &Cx<'_>, user: UserId, number: u64) -> Result<Route, &'static str> {
        let nobody = "the phone is neither registered nor reachable over SGs";
        let found = self.inboxes.get(&user).and_then(|inbox| Some((inbox, inbox.text(number)?)));
        let Some((inbox, text)) = found else { return Err(nobody) };
        let to = (user, text.impu);
        let (ways, there) = (Ways::to(view, to), ways::contacts(view, cx.now, to, text.sos));
        let open = || there.iter().filter(|(id, _)| !inbox.tried.contacts.contains(id));
        if let Some((id, _)) = open().find(|(_, contact)| contact.smsip && ways.over_ims) {
            return Ok(Route::Ims(*id));
        }
        if !inbox.tried.sgs && !view.subs.user(user).imsi.is_empty() {
            return Ok(Route::Sgs);
        }
        let is_for_plain =
            |contact: &Contact| is_soft(contact) || (text.is_plain && ways.is_for_plain(contact));
        let plain = open().filter(|(_, contact)| is_for_plain(contact)).map(|(id, _)| *id);
        let mut plain = plain::first_group(view.registrar, plain);
        if plain.is_empty() {
            plain.extend(inbox.tried.plain.first().copied());
        }
        let is_text = text.is_text();
        if !plain.is_empty() && is_text && ways.plain {
            return Ok(Route::Plain(plain));
        }
        Err(match () {
            () if !ways.plain => "the phone is not reachable over SGs, and force_sms_over_sg is set",
            () if !ways.over_ims => {
                "the phone is not reachable over SGs, and the identity takes no SMS over IMS (sms: false)"
            }
            () if there.is_empty() => nobody,
            () if !is_text => "no contact takes SMS (+g.3gpp.smsip), and it is no text for a soft client",
            () => "no contact takes SMS (+g.3gpp.smsip), and the phone is not reachable over SGs",
        })
    }

    /// No way is left for the next text. Who was asked is asked again later; who was not there is waited for.
    fn end_round(
        &mut self,
        view: &mut View<'_>,
        cx: &mut Cx<'_>,
        user: UserId,
        number: u64,
        why: &'static str,
    ) -> bool {
        let Some(inbox) = self.inboxes.get_mut(&user) else { return false };
        let has_sent = std::mem::take(&mut inbox.tried).has_sent;
        let is_news = has_sent || inbox.why != Some(Why::Nowhere(why));
        if !has_sent {
            inbox.why = Some(Why::Nowhere(why));
        }
        if inbox.text(number).is_some_and(|text| text.once) {
            self.drop_text(
                view,
                cx,
                (user, number),
                Status::NO_RESPONSE,
                "given up: it was to be tried once",
            );
            return true;
        }
        if has_sent {
            inbox.pause = Some(cx.now + view.config.sms.retry_delay);
        } else if let Some(class) = inbox.text(number).map(Text::class) {
            // who is not there for this one may be there for another
            inbox.stuck.push(class);
        }
        if is_news {
            self.tell_waiting(view, cx, user, number);
        }
        !has_sent
    }

    /// Says in the log why a text waits, and until when.
    pub(super) fn tell_waiting(&self, view: &View<'_>, cx: &mut Cx<'_>, user: UserId, number: u64) {
        let found = self.inboxes.get(&user).and_then(|inbox| Some((inbox, inbox.text(number)?)));
        let Some((inbox, text)) = found else { return };
        let why = inbox.why.as_ref().map(ToString::to_string).unwrap_or_default();
        let again_at = inbox.pause.or(Some(text.aside_until).filter(|at| *at > cx.now));
        let until = match again_at {
            Some(at) => format!("next attempt in {} s", at.since(cx.now).as_secs()),
            None => "it is delivered when the phone is there".to_owned(),
        };
        tell(view, cx, text, Level::Info, format_args!("waits: {why}; {until}"));
    }

    /// Notes what is under way.
    pub(super) fn begin(&mut self, cx: &Cx<'_>, user: UserId, attempt: Attempt) {
        if let Some(inbox) = self.inboxes.get_mut(&user) {
            inbox.why = None;
            inbox.attempt = Some(attempt);
        }
        self.touch(user);
        self.set_alarm(cx.now, user);
    }

    pub(super) fn new_attempt(&mut self, cx: &Cx<'_>, numbers: SmallVec<[u64; 1]>, way: Way) -> Attempt {
        self.next_serial = self.next_serial.wrapping_add(1);
        self.next_reference = self.next_reference.wrapping_add(1);
        let (serial, reference) = (self.next_serial, self.next_reference);
        let patience = if matches!(way, Way::Sgs) { SGS_PATIENCE } else { REPORT_PATIENCE };
        let legs = SmallVec::new();
        Attempt { numbers, way, legs, serial, reference, give_up_at: cx.now + patience }
    }

    /// The RP-DATA of a text (TS 24.011 7.3.1.1).
    fn rp_data(&self, view: &View<'_>, user: UserId, number: u64, reference: u8) -> Vec<u8> {
        let Some(inbox) = self.inboxes.get(&user) else { return Vec::new() };
        let has_more = inbox.has_more_than(&[number]);
        let tpdu = inbox.text(number).map(|text| text.tpdu(has_more)).unwrap_or_default();
        let originator = Some(address::centre(&view.config.sms.centre));
        let message = Rp::Data { originator, destination: None, user_data: &tpdu };
        Rpdu { direction: Direction::Down, reference, message }.to_vec()
    }

    /// Sends a text to a contact that takes short messages; whether another way is to be tried.
    fn start_ims(
        &mut self,
        view: &mut View<'_>,
        cx: &mut Cx<'_>,
        user: UserId,
        number: u64,
        contact: Id<Binding>,
    ) -> bool {
        let call_id = view.txs.new_token();
        let one = SmallVec::from_slice(&[number]);
        let mut attempt = self.new_attempt(cx, one, Way::Ims { call_id });
        let rpdu = self.rp_data(view, user, number, attempt.reference);
        let profile = view.subs.user(user);
        let gateway = address::gateway(&view.config.sms.centre, &profile.domain);
        let impu = self.inboxes.get(&user).and_then(|i| i.text(number)).map(|text| text.impu);
        let to = called(profile, impu).unwrap_or_else(|| gateway.clone());
        // with `p_called_party_id` or without: phones answer from the identity that it names
        let party = forced_party(profile, impu).unwrap_or(&to);
        let owner = Owner::Sms(Part { user, serial: attempt.serial, leg: 0 });
        let tokens = (call_id, view.txs.new_token());
        let sent = send(view, cx, contact, owner, (&gateway, &to), tokens, |w, head| {
            write::relay(w, head, None, Some(party), &rpdu);
        });
        match sent {
            Ok(client) => {
                attempt.legs.push(Leg::new(contact, client));
                self.begin(cx, user, attempt);
                false
            }
            Err(_) => self.exclude(user, contact, Why::NoRoom),
        }
    }

    /// Hands a text to SGs, which takes it or says at once that it does not.
    fn start_sgs(&mut self, view: &mut View<'_>, cx: &mut Cx<'_>, user: UserId, number: u64) -> bool {
        let attempt = self.new_attempt(cx, SmallVec::from_slice(&[number]), Way::Sgs);
        let rpdu = self.rp_data(view, user, number, attempt.reference);
        let why = self.inboxes.get_mut(&user).and_then(|inbox| inbox.why.take());
        self.begin(cx, user, attempt);
        // it may turn out that nothing has changed
        if let Some(inbox) = self.inboxes.get_mut(&user) {
            inbox.why = why;
        }
        let profile = view.subs.user(user);
        let text = self.inboxes.get(&user).and_then(|inbox| inbox.text(number));
        let phones = text.and_then(|text| identity::phones_of(profile, text.impu));
        let imeis = phones.map(|phones| phones.into_iter().map(str::to_owned).collect());
        self.downlinks.push_back(Downlink { user, what: Down::Text { imeis, rpdu } });
        false
    }

    /// A contact is not tried again in this round. `true`, as there may be another way.
    pub(super) fn exclude(&mut self, user: UserId, contact: Id<Binding>, why: Why) -> bool {
        if let Some(inbox) = self.inboxes.get_mut(&user) {
            inbox.tried.plain.retain(|other| *other != contact);
            inbox.tried.contacts.push(contact);
            inbox.tried.has_sent = true;
            inbox.why = Some(why);
        }
        true
    }

    /// The way under way has failed: the next one is tried.
    pub(super) fn on_way_failed(&mut self, view: &mut View<'_>, cx: &mut Cx<'_>, user: UserId, why: Why) {
        let Some(inbox) = self.inboxes.get_mut(&user) else { return };
        let Some(attempt) = inbox.attempt.take() else { return };
        inbox.note_late(&attempt);
        attempt.clients().for_each(|client| view.txs.abandon(client));
        let is_absence = matches!(why, Why::Nowhere(_));
        inbox.tried.has_sent |= !is_absence;
        for contact in attempt.contacts() {
            inbox.tried.plain.retain(|other| *other != contact);
            if matches!((&why, attempt.way), (Why::Status(415, _), Way::Ims { .. })) {
                inbox.tried.plain.push(contact);
            }
            inbox.tried.contacts.push(contact);
        }
        inbox.tried.sgs |= matches!(attempt.way, Way::Sgs);
        if !is_absence || inbox.why.is_none() {
            inbox.why = Some(why);
        }
        self.touch(user);
        self.next(view, cx, user);
    }

    /// A contact that a text is under way to does not take it. Others may; when none is left, the way has failed.
    pub(super) fn on_contact_failed(
        &mut self,
        view: &mut View<'_>,
        cx: &mut Cx<'_>,
        (user, contact): (UserId, Id<Binding>),
        why: Why,
    ) {
        let Some(inbox) = self.inboxes.get_mut(&user) else { return };
        let Some(attempt) = &mut inbox.attempt else { return };
        if attempt.contacts().all(|other| other == contact) {
            return self.on_way_failed(view, cx, user, why);
        }
        if let Some(client) = attempt.fail(contact) {
            view.txs.abandon(client);
        }
        inbox.tried.has_sent |= !matches!(why, Why::Nowhere(_));
        inbox.tried.contacts.push(contact);
        self.touch(user);
    }

    /// The answer to a MESSAGE with a text.
    pub fn on_answer(
        &mut self,
        view: &mut View<'_>,
        cx: &mut Cx<'_>,
        part: Part,
        answer: Answer<Owner>,
        msg: &Message<'_>,
    ) {
        if !matches!(answer, Answer::Final { .. }) {
            return;
        }
        let Some(attempt) = self.attempt_of(part) else { return };
        let (way, contact) = (attempt.way, attempt.answered(part.leg));
        let Some(contact) = contact else { return };
        if !(200..300).contains(&msg.status()) {
            let words = forward::phrase(msg).unwrap_or_default().into();
            let why = Why::Status(msg.status(), words);
            return self.on_contact_failed(view, cx, (part.user, contact), why);
        }
        if matches!(way, Way::Plain) {
            self.on_delivered(view, cx, part.user);
        }
    }

    /// Time or a failure has ended the transaction of a MESSAGE with a text.
    pub fn on_tx_event(&mut self, view: &mut View<'_>, cx: &mut Cx<'_>, part: Part, event: TxEvent<Owner>) {
        let why = match event {
            TxEvent::ClientTimeout { .. } => Why::Status(408, "".into()),
            TxEvent::ClientFailed { .. } => Why::Status(480, "the phone cannot be reached".into()),
            TxEvent::ServerTimeout { .. } | TxEvent::ProceedingTimeout { .. } => return,
        };
        let Some(attempt) = self.attempt_of(part) else { return };
        let Some(contact) = attempt.answered(part.leg) else { return };
        self.on_contact_failed(view, cx, (part.user, contact), why);
    }

    /// SGs could not hand the text over; why, in words. `is_there`: the phone is attached, so that it is asked again later and not only
    /// when it is heard of.
    pub fn on_sgs_failed(
        &mut self,
        view: &mut View<'_>,
        cx: &mut Cx<'_>,
        user: UserId,
        why: &str,
        is_there: bool,
    ) {
        let is_over_sgs =
            |inbox: &super::Inbox| inbox.attempt.as_ref().is_some_and(|a| matches!(a.way, Way::Sgs));
        if !self.inboxes.get(&user).is_some_and(is_over_sgs) {
            return;
        }
        let why =
            if is_there { Why::Sgs(why.into()) } else { Why::Nowhere("the phone is not reachable over SGs") };
        self.on_way_failed(view, cx, user, why);
    }

    /// The phone has not reported in time. What it has answered at the SIP level it may have got: it is not sent another way, but
    /// again later.
    pub(super) fn on_silence(&mut self, view: &mut View<'_>, cx: &mut Cx<'_>, user: UserId) {
        let Some(inbox) = self.inboxes.get_mut(&user) else { return };
        let Some(attempt) = &inbox.attempt else { return };
        if matches!(attempt.way, Way::Plain) || attempt.clients().next().is_some() {
            return self.on_way_failed(view, cx, user, Why::Status(408, "".into()));
        }
        let number = attempt.numbers[0];
        if let Some(attempt) = inbox.attempt.take() {
            inbox.note_late(&attempt);
        }
        self.wait(view, cx, user, number, Why::NoReport);
    }

    /// The next attempt for a text comes later; or never, where it was to be tried once.
    pub(super) fn wait(&mut self, view: &mut View<'_>, cx: &mut Cx<'_>, user: UserId, number: u64, why: Why) {
        let Some(inbox) = self.inboxes.get_mut(&user) else { return };
        inbox.tried.has_sent = true;
        inbox.why = Some(why);
        self.touch(user);
        if self.end_round(view, cx, user, number, "") {
            self.next(view, cx, user);
        }
    }

    /// The attempt that a MESSAGE of ours is of, if it is still the one under way.
    fn attempt_of(&mut self, part: Part) -> Option<&mut Attempt> {
        let attempt = self.inboxes.get_mut(&part.user)?.attempt.as_mut()?;
        (attempt.serial == part.serial).then_some(attempt)
    }
}

/// The identity that a text is for, as it is shown; the default one where that is not to be seen.
pub(super) fn called(profile: &crate::config::model::User, impu: Option<usize>) -> Option<String> {
    let named = impu.and_then(|at| profile.impus.get(at)).filter(|impu| identity::is_shown(impu));
    named.or_else(|| identity::default_impu(profile).map(|at| &profile.impus[at])).map(identity::uri_of)
}

/// P-Called-Party-ID of what is for an identity, where the configuration forces one.
pub(super) fn forced_party(profile: &crate::config::model::User, impu: Option<usize>) -> Option<&str> {
    profile.impus.get(impu?)?.p_called_party_id.as_deref()
}

/// Sends a MESSAGE to a contact, from one URI to another, with this Call-ID and From tag.
pub(super) fn send(
    view: &mut View<'_>,
    cx: &mut Cx<'_>,
    contact: Id<Binding>,
    owner: Owner,
    (from, to): (&str, &str),
    (call_id, tag): (Token, Token),
    write: impl FnOnce(crate::wire::sip::Writer<'_>, &Head<'_>),
) -> Result<ClientId, Overload> {
    let binding = view.registrar.binding(contact).ok_or(Overload::Transactions)?;
    let head = Head { from, to, route: &binding.origin.path, call_id, tag, settings: &view.config.protocol };
    let (flow, upgrade, uri) = (binding.flow, Upgrade::from(binding.tcp_allowed), &binding.contact.uri);
    view.txs.request(cx, flow, b"MESSAGE", uri, upgrade, owner, |w| write(w, &head))
}
