//! The way of a text to its recipient: over IMS to a phone that takes short messages, else over SGs, else as text/plain to a soft
//! client; one at a time and in order (TS 24.341 5.3.3.4.1, TS 23.040 3.2.3).

use super::address;
use super::inbox::{Attempt, Tried, Way, Why};
use super::limits::{PARTS_PATIENCE, REPORT_PATIENCE, SGS_PATIENCE};
use super::text::Text;
use super::write::{self, Head};
use super::{Down, Downlink, Part, Sms, tell};
use crate::base::arena::Id;
use crate::base::time::Duration;
use crate::base::trace::Level;
use crate::ims::call::{ClientId, forward};
use crate::ims::core::View;
use crate::ims::identity;
use crate::ims::owner::Owner;
use crate::ims::registrar::Binding;
use crate::ims::registrar::binding::Contact;
use crate::ims::subscriber::UserId;
use crate::proto::cx::Cx;
use crate::proto::sip::transaction::{Answer, Overload, TxEvent};
use crate::proto::upgrade::Upgrade;
use crate::wire::gsm::text::join;
use crate::wire::gsm::tpdu::Status;
use crate::wire::gsm::{Direction, Rp, Rpdu};
use crate::wire::sip::Message;
use smallvec::SmallVec;

/// Where the next text may go.
enum Route {
    Ims(Id<Binding>),
    Sgs,
    Plain(Id<Binding>),
}

/// Whether a contact takes texts as they are: no phone of a network operator, whose texts are short messages, and which may take a
/// plain one without showing it.
pub(super) fn is_soft(contact: &Contact) -> bool {
    !contact.smsip && !contact.mmtel
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
            Ok(Route::Plain(contact)) => self.start_plain(view, cx, user, number, contact),
            Err(why) => self.end_round(view, cx, user, number, why),
        }
    }

    /// The best way that has not failed in this round; else why there is none.
    fn route(&self, view: &View<'_>, cx: &Cx<'_>, user: UserId, number: u64) -> Result<Route, &'static str> {
        let nobody = "the phone is neither registered nor reachable over SGs";
        let found = self.inboxes.get(&user).and_then(|inbox| Some((inbox, inbox.text(number)?)));
        let Some((inbox, text)) = found else { return Err(nobody) };
        let profile = view.subs.user(user);
        let impu = profile.impus.get(text.impu);
        let targets = match text.sos {
            true => view.registrar.emergency_targets(user, cx.now),
            false => view.registrar.targets(user, cx.now),
        };
        let reaches = |binding: &Binding| {
            let tied = impu.and_then(|impu| identity::tied_to(profile, impu));
            tied.is_none_or(|imei| binding.has_imei(imei))
        };
        let open = |takes: fn(&Contact) -> bool| {
            let is_open = |id: &&Id<Binding>| {
                let binding = view.registrar.binding(**id);
                !inbox.tried.contacts.contains(id) && binding.is_some_and(|b| takes(&b.contact) && reaches(b))
            };
            targets.iter().find(is_open).copied()
        };
        let over_ims = !profile.force_sms_over_sg && impu.is_none_or(|impu| impu.sms);
        if let Some(contact) = open(|contact| contact.smsip).filter(|_| over_ims) {
            return Ok(Route::Ims(contact));
        }
        if !inbox.tried.sgs && !profile.imsi.is_empty() {
            return Ok(Route::Sgs);
        }
        let is_text = text.is_plain();
        let soft = open(is_soft).or(inbox.tried.plain.first().copied());
        if let Some(contact) = soft.filter(|_| is_text && !profile.force_sms_over_sg) {
            return Ok(Route::Plain(contact));
        }
        Err(match () {
            () if profile.force_sms_over_sg => {
                "the phone is not reachable over SGs, and force_sms_over_sg is set"
            }
            () if !impu.is_none_or(|impu| impu.sms) => {
                "the phone is not reachable over SGs, and the identity takes no SMS over IMS (sms: false)"
            }
            () if targets.is_empty() => nobody,
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
    fn begin(&mut self, cx: &Cx<'_>, user: UserId, attempt: Attempt) {
        if let Some(inbox) = self.inboxes.get_mut(&user) {
            inbox.why = None;
            inbox.attempt = Some(attempt);
        }
        self.touch(user);
        self.set_alarm(cx.now, user);
    }

    fn new_attempt(&mut self, cx: &Cx<'_>, numbers: SmallVec<[u64; 1]>, way: Way) -> Attempt {
        self.next_serial = self.next_serial.wrapping_add(1);
        self.next_reference = self.next_reference.wrapping_add(1);
        let (serial, reference) = (self.next_serial, self.next_reference);
        let patience = if matches!(way, Way::Sgs) { SGS_PATIENCE } else { REPORT_PATIENCE };
        Attempt { numbers, way, serial, reference, give_up_at: cx.now + patience }
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
        let way = Way::Ims { to: contact, client: None, call_id };
        let mut attempt = self.new_attempt(cx, SmallVec::from_slice(&[number]), way);
        let rpdu = self.rp_data(view, user, number, attempt.reference);
        let profile = view.subs.user(user);
        let gateway = address::gateway(&view.config.sms.centre, &profile.domain);
        let impu = self.inboxes.get(&user).and_then(|i| i.text(number)).map(|text| text.impu);
        let to = called(profile, impu).unwrap_or_else(|| gateway.clone());
        let owner = Owner::Sms(Part { user, serial: attempt.serial });
        let sent = send(view, cx, contact, owner, (&gateway, &to), call_id, |w, head| {
            write::relay(w, head, None, Some(&to), &rpdu);
        });
        match sent {
            Ok(client) => {
                attempt.way = Way::Ims { to: contact, client: Some(client), call_id };
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
        let impu = text.and_then(|text| profile.impus.get(text.impu));
        let imei = impu.and_then(|impu| identity::tied_to(profile, impu)).map(str::to_owned);
        self.downlinks.push_back(Downlink { user, what: Down::Text { imei, rpdu } });
        false
    }

    /// Sends a text, with the parts that belong to it, to a soft client; whether something else is to be tried.
    fn start_plain(
        &mut self,
        view: &mut View<'_>,
        cx: &mut Cx<'_>,
        user: UserId,
        number: u64,
        contact: Id<Binding>,
    ) -> bool {
        let numbers = match self.parts(cx, user, number) {
            Ok(numbers) => numbers,
            Err(wait) => {
                // the others may come; until then what is behind it goes on
                if let Some(text) = self.inboxes.get_mut(&user).and_then(|inbox| inbox.text_mut(number)) {
                    text.parts_at = cx.now + wait;
                }
                return true;
            }
        };
        let Some((from, impu, body)) = self.whole(user, &numbers) else { return false };
        let to = called(view.subs.user(user), Some(impu)).unwrap_or_else(|| from.to_string());
        let mut attempt = self.new_attempt(cx, numbers, Way::Plain { to: contact, client: None });
        let owner = Owner::Sms(Part { user, serial: attempt.serial });
        let call_id = view.txs.new_token();
        let sent =
            send(view, cx, contact, owner, (&from, &to), call_id, |w, head| write::plain(w, head, &body));
        match sent {
            Ok(client) => {
                attempt.way = Way::Plain { to: contact, client: Some(client) };
                self.begin(cx, user, attempt);
                false
            }
            Err(_) => self.exclude(user, contact, Why::NoRoom),
        }
    }

    /// Sender, identity and text of parts in their order.
    fn whole(&self, user: UserId, numbers: &[u64]) -> Option<(Box<str>, usize, String)> {
        let inbox = self.inboxes.get(&user)?;
        let texts = || numbers.iter().filter_map(|number| inbox.text(*number));
        let first = texts().next()?;
        let body = join(texts().filter_map(|text| text.deliver()).map(|deliver| deliver.user_data))?;
        Some((first.from.clone(), first.impu, body))
    }

    /// The parts of the long text that a text is of, in their order, as far as they are there; an error is how long the rest is waited for.
    fn parts(&self, cx: &Cx<'_>, user: UserId, number: u64) -> Result<SmallVec<[u64; 1]>, Duration> {
        let found = self.inboxes.get(&user).and_then(|inbox| Some((inbox, inbox.text(number)?)));
        let alone = SmallVec::from_slice(&[number]);
        let Some((inbox, first)) = found else { return Ok(alone) };
        let Some(concat) = first.concat() else { return Ok(alone) };
        // octets are none of its parts, whatever their reference: a soft client cannot show them
        let is_of_it = |text: &&Text| {
            let other = text.concat();
            text.is_durable
                && text.is_plain()
                && text.from == first.from
                && text.impu == first.impu
                && other
                    .is_some_and(|other| (other.reference, other.total) == (concat.reference, concat.total))
        };
        let mut parts: Vec<(u8, u64)> = Vec::new();
        for text in inbox.texts.iter().filter(is_of_it) {
            let place = text.concat().map_or(0, |concat| concat.number);
            if !parts.iter().any(|(other, _)| *other == place) {
                parts.push((place, text.number));
            }
        }
        let age = first.age(cx.wall);
        if parts.len() < usize::from(concat.total) && age < PARTS_PATIENCE {
            return Err(PARTS_PATIENCE - age);
        }
        parts.sort_unstable();
        Ok(parts.into_iter().map(|(_, number)| number).collect())
    }

    /// The last part of a long text has come: those before it wait no longer.
    pub(super) fn release_parts(&mut self, cx: &Cx<'_>, user: UserId, number: u64) {
        let Ok(numbers) = self.parts(cx, user, number) else { return };
        let Some(inbox) = self.inboxes.get_mut(&user) else { return };
        for number in numbers {
            if let Some(text) = inbox.text_mut(number) {
                text.parts_at = cx.now;
            }
        }
    }

    /// A contact is not tried again in this round. `true`, as there may be another way.
    fn exclude(&mut self, user: UserId, contact: Id<Binding>, why: Why) -> bool {
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
        if let Some(client) = attempt.way.client() {
            view.txs.abandon(client);
        }
        let is_absence = matches!(why, Why::Nowhere(_));
        inbox.tried.has_sent |= !is_absence;
        match attempt.way.contact() {
            Some(contact) => {
                inbox.tried.plain.retain(|other| *other != contact);
                match &why {
                    Why::Status(415, _) if matches!(attempt.way, Way::Ims { .. }) => {
                        inbox.tried.plain.push(contact)
                    }
                    _ => {}
                }
                inbox.tried.contacts.push(contact);
            }
            None => inbox.tried.sgs = true,
        }
        if !is_absence || inbox.why.is_none() {
            inbox.why = Some(why);
        }
        self.touch(user);
        self.next(view, cx, user);
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
        attempt.way.forget_client();
        if !(200..300).contains(&msg.status()) {
            let words = forward::phrase(msg).unwrap_or_default().into();
            return self.on_way_failed(view, cx, part.user, Why::Status(msg.status(), words));
        }
        if matches!(attempt.way, Way::Plain { .. }) {
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
        attempt.way.forget_client();
        self.on_way_failed(view, cx, part.user, why);
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
        match attempt.way {
            Way::Ims { client: None, .. } | Way::Sgs => {}
            Way::Ims { .. } | Way::Plain { .. } => {
                return self.on_way_failed(view, cx, user, Why::Status(408, "".into()));
            }
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
fn called(profile: &crate::config::model::User, impu: Option<usize>) -> Option<String> {
    let named = impu.and_then(|at| profile.impus.get(at)).filter(|impu| identity::is_shown(impu));
    named.or_else(|| identity::default_impu(profile).map(|at| &profile.impus[at])).map(identity::uri_of)
}

/// Sends a MESSAGE to a contact, from one URI to another.
fn send(
    view: &mut View<'_>,
    cx: &mut Cx<'_>,
    contact: Id<Binding>,
    owner: Owner,
    (from, to): (&str, &str),
    call_id: crate::proto::sip::transaction::Token,
    write: impl FnOnce(crate::wire::sip::Writer<'_>, &Head<'_>),
) -> Result<ClientId, Overload> {
    let binding = view.registrar.binding(contact).ok_or(Overload::Transactions)?;
    let tag = view.txs.new_token();
    let head = Head { from, to, route: &binding.origin.path, call_id, tag, settings: &view.config.protocol };
    let (flow, upgrade, uri) = (binding.flow, Upgrade::from(binding.tcp_allowed), &binding.contact.uri);
    view.txs.request(cx, flow, b"MESSAGE", uri, upgrade, owner, |w| write(w, &head))
}
