//! A short message that waits for its recipient.

use super::recent::{Origin, Phone};
use crate::base::time::{Duration, Instant, UnixTime};
use crate::ims::subscriber::UserId;
use crate::wire::gsm::{Address, Concat, Deliver};

/// One short message.
#[derive(Clone, Debug)]
pub(super) struct Text {
    /// Its number, as in the key of its record; it grows, so that the order of texts is that of their numbers.
    pub(super) number: u64,
    /// The recipient.
    pub(super) to: UserId,
    /// Which of the recipient's identities is meant.
    pub(super) impu: usize,
    /// The sender: a URI.
    pub(super) from: Box<str>,
    /// The SMS-DELIVER or SMS-STATUS-REPORT, which says that no more messages wait.
    pub(super) tpdu: Box<[u8]>,
    /// When it came.
    pub(super) at: UnixTime,
    /// When it is given up.
    pub(super) expires_at: Instant,
    /// It is not delivered before (`sms_delay`).
    pub(super) due_at: Instant,
    /// It alone is not tried again before: the phone could not take it, and may take others.
    pub(super) aside_until: Instant,
    /// Until then the other parts of its text are waited for, as its recipient gets them whole.
    pub(super) parts_at: Instant,
    /// It is for the phone's emergency registration.
    pub(super) sos: bool,
    /// It was written as a plain text, and may be shown as one by any phone that takes no short messages.
    pub(super) is_plain: bool,
    /// It is tried once only (TS 23.040 9.2.3.12.3).
    pub(super) once: bool,
    /// Whether its record is on the disk: what is not yet promised to its sender is not delivered.
    pub(super) is_durable: bool,
    /// The SUBMIT that it comes from, when that is one of a user of ours.
    pub(super) submitted: Option<Box<Submitted>>,
}

/// What decides, beside the recipient, on the ways that are open to a text: its identity, whether it is for the emergency
/// registration, whether a soft client can show it, whether it was written as a plain text.
pub(super) type Class = (usize, bool, bool, bool);

/// The SUBMIT of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Submitted {
    /// Its sender.
    pub(super) by: UserId,
    /// The identity by which it was sent, whose phone knows of it.
    pub(super) impu: Option<usize>,
    /// The phone that has sent it, which counts its references for itself; none: that is not known.
    pub(super) phone: Option<Phone>,
    /// TP-MR.
    pub(super) reference: u8,
    /// TP-DA.
    pub(super) destination: Address,
    /// Whether the sender wants a status report.
    pub(super) wants_report: bool,
}

impl Submitted {
    /// Whether it is what the phone calls by this TP-MR and TP-DA, as far as is known.
    pub(super) fn is(&self, from: Origin<'_>, reference: u8, destination: Address) -> bool {
        let is_its = self.phone.as_ref().is_none_or(|phone| phone.is(from.phone, from.alone));
        is_its && (self.by, self.reference, self.destination) == (from.user, reference, destination)
    }
}

/// TP-MMS of a DELIVER or STATUS-REPORT: no more messages wait (TS 23.040 9.2.3.2).
pub(super) const NO_MORE_MESSAGES: u8 = 0x04;

impl Text {
    /// The TPDU as it goes to a phone for which more or no more messages wait.
    pub(super) fn tpdu(&self, has_more: bool) -> Vec<u8> {
        let mut tpdu = self.tpdu.to_vec();
        if let Some(first) = tpdu.first_mut() {
            *first = if has_more { *first & !NO_MORE_MESSAGES } else { *first | NO_MORE_MESSAGES };
        }
        tpdu
    }

    /// The SMS-DELIVER; none of a status report.
    pub(super) fn deliver(&self) -> Option<Deliver<'_>> {
        let is_deliver = self.tpdu.first().is_some_and(|first| first & 3 == 0);
        is_deliver.then(|| Deliver::parse(&self.tpdu).ok()).flatten()
    }

    /// Which part of which long text it is.
    pub(super) fn concat(&self) -> Option<Concat> {
        self.deliver()?.user_data.concat()
    }

    /// Whether a soft client can show it.
    pub(super) fn is_text(&self) -> bool {
        self.deliver().is_some_and(|deliver| deliver.user_data.text().is_some())
    }

    /// Whether it is for the SIM, and no text of the phone's (class 2, TS 23.038 4).
    pub(super) fn is_for_sim(&self) -> bool {
        self.deliver().is_some_and(|deliver| deliver.user_data.dcs().class() == Some(2))
    }

    /// What decides on its ways.
    pub(super) fn class(&self) -> Class {
        (self.impu, self.sos, self.is_text(), self.is_plain)
    }

    /// When it may be delivered.
    pub(super) fn ready_at(&self) -> Instant {
        self.due_at.max(self.aside_until).max(self.parts_at)
    }

    /// How long it has waited.
    pub(super) fn age(&self, wall: UnixTime) -> Duration {
        self.at.until(wall)
    }
}
