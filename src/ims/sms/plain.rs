//! The way of a text to soft clients, which get it as it is, a long one whole.
//!
//! A user's soft clients are asked as a proxy asks contacts (RFC 3261 16.6): those of the highest q together, so that each of them shows the text,
//! as it does one that another client sends; the next ones when all of these have failed. One that takes it is enough: then it is delivered
//! and never sent again, though the others may still answer the MESSAGE that they have.

use super::deliver::{called, forced_party, send};
use super::inbox::{Leg, Way, Why};
use super::limits::PARTS_PATIENCE;
use super::text::Text;
use super::write::{self, Head};
use super::{Part, Sms};
use crate::base::arena::Id;
use crate::base::time::Duration;
use crate::ims::core::View;
use crate::ims::owner::Owner;
use crate::ims::registrar::binding::Contact;
use crate::ims::registrar::{Binding, Registrar};
use crate::ims::subscriber::UserId;
use crate::proto::cx::Cx;
use crate::wire::gsm::text::join;
use crate::wire::sip::Writer;
use smallvec::SmallVec;

/// Whether a contact takes texts as they are: no phone of a network operator, whose texts are short messages, and which may take a
/// plain one without showing it.
pub(super) fn is_soft(contact: &Contact) -> bool {
    !contact.smsip && !contact.mmtel
}

/// Of contacts in the order of their q, highest first, those with the highest.
pub(super) fn first_group(
    registrar: &Registrar,
    contacts: impl Iterator<Item = Id<Binding>>,
) -> SmallVec<[Id<Binding>; 2]> {
    let q_of = |id: &Id<Binding>| registrar.binding(*id).map(|binding| binding.contact.q);
    let mut contacts = contacts.peekable();
    let highest = contacts.peek().and_then(q_of);
    contacts.take_while(|id| q_of(id) == highest).collect()
}

impl Sms {
    /// Sends a text, with the parts that belong to it, to soft clients; whether something else is to be tried.
    pub(super) fn start_plain(
        &mut self,
        view: &mut View<'_>,
        cx: &mut Cx<'_>,
        user: UserId,
        number: u64,
        contacts: &[Id<Binding>],
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
        let profile = view.subs.user(user);
        let to = called(profile, Some(impu)).unwrap_or_else(|| from.to_string());
        let party = forced_party(profile, Some(impu)).or(view.config.call.p_called_party_id.then_some(&*to));
        let mut attempt = self.new_attempt(cx, numbers, Way::Plain);
        // all contacts are sent the same Call-ID and From tag, so that one that is reached twice can tell (RFC 3261 8.2.2.2)
        let tokens = (view.txs.new_token(), view.txs.new_token());
        for contact in contacts {
            let leg = u8::try_from(attempt.legs.len()).expect("contacts are capped far below 256");
            let owner = Owner::Sms(Part { user, serial: attempt.serial, leg });
            let write = |w: Writer<'_>, head: &Head<'_>| write::plain(w, head, party, &body);
            match send(view, cx, *contact, owner, (&from, &to), tokens, write) {
                Ok(client) => attempt.legs.push(Leg::new(*contact, client)),
                Err(_) => drop(self.exclude(user, *contact, Why::NoRoom)),
            }
        }
        let is_sent = !attempt.legs.is_empty();
        if is_sent {
            self.begin(cx, user, attempt);
        }
        !is_sent
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
            text.is_text()
                && text.from == first.from
                && text.impu == first.impu
                && other
                    .is_some_and(|other| (other.reference, other.total) == (concat.reference, concat.total))
        };
        let mut parts: Vec<(u8, u64)> = Vec::new();
        // those that the disk is about to have come with the last of them
        if inbox.texts.iter().filter(is_of_it).any(|text| !text.is_durable) {
            return Err(PARTS_PATIENCE);
        }
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
}
