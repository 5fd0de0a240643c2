//! The ways to a user's phones: what may come to them over IMS, over SGs, and as a plain text. Whether a text is kept and where it goes are
//! decided by the same, so that what is accepted has a way some day.

use super::plain::is_soft;
use crate::base::arena::Id;
use crate::base::time::Instant;
use crate::ims::core::View;
use crate::ims::identity;
use crate::ims::registrar::Binding;
use crate::ims::registrar::binding::Contact;
use crate::ims::subscriber::UserId;
use smallvec::SmallVec;

/// The ways that the configuration leaves to an identity of a user.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ways {
    /// Short messages over IMS: neither `force_sms_over_sg` nor `sms: false` forbids them.
    pub(super) over_ims: bool,
    /// Plain texts: `force_sms_over_sg` does not forbid them.
    pub(super) plain: bool,
    /// Over SGs: imsbox listens to MMEs, and the phone that attaches with the IMSI is the user's.
    over_sgs: bool,
}

impl Ways {
    /// Those to an identity.
    pub(super) fn to(view: &View<'_>, (user, impu): (UserId, usize)) -> Ways {
        let profile = view.subs.user(user);
        let takes_sms = profile.impus.get(impu).is_none_or(|impu| impu.sms);
        let has_imsi = !profile.imsi.is_empty() && view.subs.by_imsi(&profile.imsi) == Some(user);
        Ways {
            over_ims: takes_sms && !profile.force_sms_over_sg,
            plain: !profile.force_sms_over_sg,
            over_sgs: has_imsi && view.config.sgs.is_some(),
        }
    }

    /// Whether a phone that is not there may get a text when it is, whatever it turns out to be: what takes no short messages over IMS
    /// gets them over SGs, and where there is no SGs as plain texts.
    pub(super) fn has_any(self) -> bool {
        self.plain || self.over_sgs
    }

    /// Whether a contact takes plain texts, too: a soft client, or a phone with instant messages (OMA SIMPLE IM, CPM). A phone of a network
    /// operator without them may take one and not show it: it gets them so where there is no other way to it.
    pub(super) fn is_for_plain(self, contact: &Contact) -> bool {
        let is_im = contact.params().iter().any(|p| {
            let value = p.value.unwrap_or_default().to_ascii_lowercase();
            p.name.eq_ignore_ascii_case(b"+g.oma.sip-im")
                || memchr::memmem::find(&value, b"oma.cpm.msg").is_some()
        });
        let takes_short = self.over_sgs || (self.over_ims && contact.smsip);
        is_im || is_soft(contact) || !takes_short
    }
}

/// The contacts of a user that an identity is for, those of the highest q first; of those of an emergency registration, the newest.
pub(super) fn contacts<'a>(
    view: &View<'a>,
    now: Instant,
    (user, impu): (UserId, usize),
    sos: bool,
) -> SmallVec<[(Id<Binding>, &'a Contact); 4]> {
    let targets = match sos {
        true => view.registrar.emergency_targets(user, now),
        false => view.registrar.targets(user, now),
    };
    let phones = identity::phones_of(view.subs.user(user), impu);
    let is_for = |binding: &&Binding| {
        phones.as_ref().is_none_or(|imeis| imeis.iter().any(|imei| binding.has_imei(imei)))
    };
    let found = |id| Some((id, &view.registrar.binding(id).filter(is_for)?.contact));
    targets.into_iter().filter_map(found).collect()
}
