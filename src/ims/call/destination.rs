//! Where the first request of a leg goes.

use super::session::{Party, Waiting};
use crate::base::arena::Id;
use crate::ims::core::View;
use crate::ims::emergency::callback::{Recallable, Stranger};
use crate::ims::registrar::binding::Binding;
use crate::ims::trunk::Trunk;
use crate::proto::cx::Cx;
use crate::proto::flow::Flow;
use crate::proto::upgrade::Upgrade;

/// Whom a leg reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ims) enum Destination {
    /// A contact of a user.
    Contact(Id<Binding>),
    /// The SIP trunk.
    Trunk,
    /// Who has made an emergency call without registration.
    Stranger(Id<Recallable>),
}

impl Destination {
    /// The contact, where it is one.
    pub(in crate::ims) fn contact(self) -> Option<Id<Binding>> {
        match self {
            Destination::Contact(id) => Some(id),
            Destination::Trunk | Destination::Stranger(_) => None,
        }
    }

    /// The flow to the phone, where it is one and is still there.
    pub(in crate::ims) fn phone(self, view: &View<'_>) -> Option<Flow> {
        match self {
            Destination::Contact(id) => Some(view.registrar.binding(id)?.flow),
            Destination::Stranger(id) => Some(view.callbacks.stranger(id)?.route.flow),
            Destination::Trunk => None,
        }
    }

    /// Whether it is a phone that has registered for emergency calls, or has made one without registration.
    pub(in crate::ims) fn is_in_need(self, view: &View<'_>) -> bool {
        match self {
            Destination::Contact(id) => view.registrar.binding(id).is_some_and(|b| b.contact.sos),
            Destination::Stranger(_) => true,
            Destination::Trunk => false,
        }
    }

    /// The way there, for a callee; none when the contact has gone meanwhile.
    pub(in crate::ims) fn way<'v>(self, view: &View<'v>, cx: &Cx<'_>, callee: &'v Party) -> Option<Way<'v>> {
        match self {
            Destination::Contact(id) => view.registrar.binding(id).map(Way::to_contact),
            Destination::Stranger(id) => view.callbacks.stranger(id).map(Way::to_stranger),
            Destination::Trunk => view.trunk.map(|trunk| {
                let (flow, upgrade) = trunk.way(cx.now);
                let (uri, route) = (callee.uri.as_bytes(), &[][..]);
                Way { flow, upgrade, uri, route, is_mmtel: false, trunk: Some(trunk), imei: None }
            }),
        }
    }
}

/// The way to a destination.
#[derive(Clone, Copy, Debug)]
pub(in crate::ims) struct Way<'a> {
    /// Where requests go.
    pub(in crate::ims) flow: Flow,
    /// When a long request goes by TCP instead.
    pub(in crate::ims) upgrade: Upgrade,
    /// The Request-URI.
    pub(in crate::ims) uri: &'a [u8],
    /// Route values; empty: none.
    pub(in crate::ims) route: &'a [u8],
    /// A VoLTE phone is there (TS 24.173).
    pub(in crate::ims) is_mmtel: bool,
    /// The trunk, where it leads there.
    pub(in crate::ims) trunk: Option<&'a Trunk>,
    /// The IMEI of the phone there, when it is known.
    pub(in crate::ims) imei: Option<&'a str>,
}

impl<'a> Way<'a> {
    /// The way to who has called without registration.
    fn to_stranger(stranger: &'a Stranger) -> Way<'a> {
        Way {
            flow: stranger.route.flow,
            upgrade: stranger.route.tcp_allowed.into(),
            uri: &stranger.contact.uri,
            route: &[],
            is_mmtel: stranger.contact.mmtel,
            imei: Some(&stranger.imei),
            trunk: None,
        }
    }

    /// The way to a contact.
    fn to_contact(binding: &'a Binding) -> Way<'a> {
        Way {
            flow: binding.flow,
            upgrade: binding.tcp_allowed.into(),
            uri: &binding.contact.uri,
            // RFC 3327 5.3: the way back that the REGISTER has recorded
            route: &binding.origin.path,
            is_mmtel: binding.contact.mmtel,
            trunk: None,
            imei: binding.contact.imei.as_deref(),
        }
    }
}

/// The destinations of the best group, those of equal q; they are no longer waiting.
pub(in crate::ims) fn next_group(waiting: &mut Waiting) -> Option<smallvec::SmallVec<[Destination; 4]>> {
    let &(_, q) = waiting.first()?;
    let size = waiting.iter().take_while(|(_, other)| *other == q).count();
    Some(waiting.drain(..size).map(|(to, _)| to).collect())
}
