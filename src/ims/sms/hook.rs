//! `sms_hook_only`: while clients of the remote API listen, what phones submit is theirs alone (manual 5.2), and nothing is delivered from
//! here.
//!
//! A text is acknowledged when the clients are told of it. A part of a long one cannot wait for that, since a phone sends the next part
//! when it has the acknowledgement of the one before: until the whole is told it is kept in the state file, like everything that is
//! acknowledged and not done yet. Where nobody listens when the wait is over, as after a restart, parts go the way of any other text.

use super::answer::Refusal;
use super::promise::{Promise, Sender};
use super::recent::Phone;
use super::record::{bytes, octets};
use super::submit::{Author, queue_of};
use super::told::Heading;
use super::{Sms, address};
use crate::base::time::UnixTime;
use crate::base::trace::{Level, Subject};
use crate::ims::core::View;
use crate::ims::persist::Misfit;
use crate::ims::subscriber::{Subscribers, UserId};
use crate::proto::cx::Cx;
use crate::proto::sms::Arrival;
use crate::wire::gsm::tpdu::Status;
use crate::wire::gsm::{Concat, Submit, UserDataBuf};
use arrayvec::ArrayString;
use serde_json::{Value, json};
use smallvec::SmallVec;

/// Prefix of the keys in the state file, before sixteen hexadecimal digits.
pub const PART: &str = "sms_part/";

/// A part of a long text that its sender believes taken, and that nobody was told of. There are as many as the reassembler keeps.
#[derive(Debug)]
pub(super) struct HeldPart {
    number: u64,
    by: UserId,
    impu: Option<usize>,
    imei: Option<ArrayString<16>>,
    phone: Phone,
    /// The SMS-SUBMIT.
    tpdu: Box<[u8]>,
    at: UnixTime,
    heading: Heading,
}

impl HeldPart {
    /// Who has sent it, and when.
    fn author(&self) -> Author<'_> {
        let HeldPart { by, impu, imei, phone, at, .. } = self;
        Author { user: *by, impu: *impu, imei: imei.as_deref(), phone, came: *at }
    }

    /// Which part of which long text it is.
    fn concat(&self) -> Option<Concat> {
        Submit::parse(&self.tpdu).ok()?.user_data.concat()
    }

    fn key(&self) -> String {
        format!("{PART}{:016x}", self.number)
    }

    /// Its record. Users are named as in those of texts.
    fn write(&self, subs: &Subscribers) -> String {
        let by = subs.user(self.by);
        let record = json!({
            "by": by.impi,
            "impu": self.impu.and_then(|at| by.impus.get(at)).map(|impu| &impu.uri),
            "imei": self.imei.as_deref(),
            "phone": self.phone.write(),
            "tpdu": octets(&self.tpdu),
            "at": self.at.as_micros(),
        });
        record.to_string()
    }

    /// The part of a record; the error says what does not fit.
    fn read(subs: &Subscribers, key: &str, value: &str) -> Result<HeldPart, Misfit> {
        let number = key.strip_prefix(PART).and_then(|digits| u64::from_str_radix(digits, 16).ok());
        let number = number.filter(|number| *number < u64::MAX).ok_or("the key is no part's")?;
        let record: Value = serde_json::from_str(value).map_err(|e| e.to_string())?;
        let by = record["by"].as_str().ok_or("by is missing")?;
        let by = subs.by_impi(by.as_bytes()).ok_or(Misfit::NoUser)?;
        let tpdu = record["tpdu"].as_str().and_then(bytes).ok_or("the tpdu is malformed")?;
        let submit = Submit::parse(&tpdu).map_err(|fault| fault.to_string())?;
        let uri = record["impu"].as_str();
        let impu = uri.and_then(|uri| subs.user(by).impus.iter().position(|impu| impu.uri == uri));
        let imei = record["imei"].as_str().and_then(|imei| ArrayString::from(imei).ok());
        let phone = match record["phone"].as_str() {
            Some(text) => Phone::read(text).ok_or("the phone is malformed")?,
            None => Phone::attached(imei.as_deref()),
        };
        let heading = heading(subs, (by, impu, imei.as_deref()), &phone, &submit);
        let at = UnixTime::from_micros(record["at"].as_i64().ok_or("at is missing")?);
        Ok(HeldPart { number, by, impu, imei, phone, at, heading, tpdu: tpdu.into() })
    }
}

/// Between whom a submitted text goes.
pub(super) fn heading(
    subs: &Subscribers,
    (user, impu, imei): (UserId, Option<usize>, Option<&str>),
    phone: &Phone,
    submit: &Submit<'_>,
) -> Heading {
    let profile = subs.user(user);
    let destination = address::uri_of(&submit.destination, &profile.domain);
    let name = profile.multi_sim.then(|| phone.name.clone());
    Heading::new(&address::of_user(profile, imei, impu), &destination, name)
}

impl Sms {
    /// Gives the API's clients a submitted text. Its sender is answered when they have it, or when it is safe that they or somebody
    /// else will.
    pub(super) fn hand_over(
        &mut self,
        view: &mut View<'_>,
        cx: &mut Cx<'_>,
        author: Author<'_>,
        sender: Sender,
        submit: &Submit<'_>,
    ) {
        let Author { user, impu, imei, phone, .. } = author;
        let heading = heading(view.subs, (user, impu, imei), phone, submit);
        let is_part = submit.user_data.concat().is_some_and(|concat| concat.total > 1);
        if is_part && view.disk.refusal().is_some() {
            return self.refuse(view, cx, sender, Refusal::DISK);
        }
        if is_part && !self.has_promise() {
            return self.refuse(view, cx, sender, Refusal::NO_ROOM);
        }
        match self.tell_clients(view, cx, heading.clone(), submit.user_data) {
            // told is done: what the disk does with the parts that were kept is no matter of the sender's
            Arrival::Single | Arrival::Whole(_) => self.accept(view, cx, sender),
            Arrival::Repeated => {
                // its sender may not have been told because the disk did not take it
                let is_it =
                    |held: &&HeldPart| held.heading == heading && held.concat() == submit.user_data.concat();
                if let Some(held) = self.held_parts.iter().find(is_it) {
                    cx.out.persist(held.key(), Some(held.write(view.subs)));
                }
                self.accept_when_stored(view, cx, sender);
            }
            Arrival::Missing(_) => {
                let imei = imei.and_then(|imei| ArrayString::from(imei).ok());
                let (number, at, tpdu) = (self.next_number, cx.wall, submit.to_vec().into());
                self.next_number += 1;
                let part = HeldPart { number, by: user, impu, imei, phone: phone.clone(), tpdu, at, heading };
                let ticket = cx.out.persist(part.key(), Some(part.write(view.subs)));
                self.held_parts.push(part);
                self.promise(cx, ticket, Promise::taken(sender, SmallVec::new()));
            }
        }
    }

    /// Takes a part of the state file in, before any other input; the error says why it cannot.
    pub fn restore_part(
        &mut self,
        cx: &Cx<'_>,
        subs: &Subscribers,
        key: &str,
        value: &str,
    ) -> Result<(), Misfit> {
        // its sender has been told that it is safe: what cannot be read is set aside
        let part = HeldPart::read(subs, key, value).map_err(|misfit| match misfit {
            Misfit::Useless(why) => Misfit::damaged(why),
            other => other,
        });
        if let Some(number) = key.strip_prefix(PART).and_then(|n| u64::from_str_radix(n, 16).ok()) {
            self.next_number = self.next_number.max(number.saturating_add(1));
        }
        let part = part?;
        if !self.wait_for_others(cx, &part) {
            return Err(Misfit::damaged("it is no part of a text, or one that is there already"));
        }
        self.held_parts.push(part);
        Ok(())
    }

    /// Lets a part wait for the others, once more; whether it does.
    fn wait_for_others(&mut self, cx: &Cx<'_>, part: &HeldPart) -> bool {
        let Ok(submit) = Submit::parse(&part.tpdu) else { return false };
        let arrival = self.untold.0.take(cx.now, part.heading.clone(), submit.user_data);
        matches!(arrival, Arrival::Missing(_))
    }

    /// The parts that are held of a long text, which are held no longer.
    fn take_held(&mut self, heading: &Heading, parts: &[UserDataBuf]) -> Vec<HeldPart> {
        let Some(of) = parts.first().and_then(|part| part.view().concat()) else { return Vec::new() };
        let is_of_it = |held: &mut HeldPart| {
            let is = |concat: Concat| (concat.reference, concat.total) == (of.reference, of.total);
            held.heading == *heading && held.concat().is_some_and(is)
        };
        self.held_parts.extract_if(.., is_of_it).collect()
    }

    /// Clients have been told of a long text: its parts need not be kept.
    pub(super) fn forget_held(&mut self, cx: &mut Cx<'_>, heading: &Heading, parts: &[UserDataBuf]) {
        for part in self.take_held(heading, parts) {
            cx.out.persist(part.key(), None);
        }
    }

    /// Nobody is there who could be told of what has come of a long text: its parts go the way of any text, from when they came.
    pub(super) fn let_go(
        &mut self,
        view: &mut View<'_>,
        cx: &mut Cx<'_>,
        heading: &Heading,
        parts: &[UserDataBuf],
    ) {
        for part in self.take_held(heading, parts) {
            let Ok(submit) = Submit::parse(&part.tpdu) else { continue };
            let author = part.author();
            let to = queue_of(view.subs, part.by, &submit.destination);
            let has_room = self.has_promise() && to.is_none_or(|to| self.has_room(to, 1));
            let is_now = view.disk.refusal().is_none() && has_room;
            let is_young = part.at + view.config.sms.expires > cx.wall;
            if !is_now && is_young && self.wait_for_others(cx, &part) {
                self.held_parts.push(part);
                continue;
            }
            let before = self.held;
            self.on_submit(view, cx, author, Sender::Inside, &submit);
            if self.held == before {
                let words = format_args!(
                    "SMS {heading} is given up: no client has asked for it, and it cannot be delivered"
                );
                cx.ims(Level::Warn, Subject::None, words);
                let status = if to.is_some() { Status::EXPIRED } else { Status::NOT_OBTAINABLE };
                self.report(view, cx, &author.submitted(&submit), part.at, status);
            }
            cx.out.persist(part.key(), None);
        }
    }
}
