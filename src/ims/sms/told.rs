//! What clients of the remote API are told of texts (manual 6.7, event `sms`): each text once, a long one when all its parts have come, or,
//! where they do not, what has come of it.

use super::Sms;
use super::limits::TELL_PATIENCE;
use super::recent::Name;
use crate::ims::core::View;
use crate::ims::event::{Content, Event};
use crate::ims::view::short_identity;
use crate::proto::cx::Cx;
use crate::proto::sms::{Arrival, GivenUp, Reassembler};
use crate::wire::gsm::text::join;
use crate::wire::gsm::{UserData, UserDataBuf};
use std::fmt;

/// Between whom a text goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Heading {
    sender: String,
    destination: String,
    /// The sender's phone where phones share a SIM: each counts its long texts for itself, on whatever way it sends them.
    phone: Option<Name>,
}

impl Heading {
    /// From one URI to another.
    pub(super) fn new(sender: &str, destination: &str, phone: Option<Name>) -> Heading {
        let short = |uri| short_identity(uri).to_owned();
        Heading { sender: short(sender), destination: short(destination), phone }
    }
}

/// Parts of long texts that nobody was told of yet. In number they are as many as the reassembler keeps; the text that has waited longest is
/// told as it is when there are more.
#[derive(Debug)]
pub(super) struct Untold(pub(super) Reassembler<Heading>);

impl Default for Untold {
    fn default() -> Self {
        Untold(Reassembler::with_patience(TELL_PATIENCE))
    }
}

impl fmt::Display for Heading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "from {} to {}", self.sender, self.destination)
    }
}

/// A text, or a part of one, that clients are told of when it is on the disk: before, it may still be refused, and come again.
#[derive(Debug)]
pub(super) struct News {
    heading: Heading,
    parts: Vec<UserDataBuf>,
}

impl Sms {
    /// Tells the remote API's clients of a text that was just taken in: of a part, or of all parts of one.
    pub(super) fn tell_when_stored(&mut self, heading: Heading, parts: Vec<UserDataBuf>) {
        if self.is_listened_to {
            self.promises.add_news(News { heading, parts });
        }
    }

    /// A text is on the disk.
    pub(super) fn tell_news(&mut self, view: &mut View<'_>, cx: &mut Cx<'_>, news: News) {
        match &news.parts[..] {
            [part] => drop(self.tell_clients(view, cx, news.heading, part.view())),
            parts => self.tell_whole(cx, &news.heading, parts),
        }
    }

    /// Tells the remote API's clients of a text, or keeps a part of one until the others have come; what it was.
    pub(super) fn tell_clients(
        &mut self,
        view: &mut View<'_>,
        cx: &mut Cx<'_>,
        heading: Heading,
        data: UserData<'_>,
    ) -> Arrival {
        if !self.is_listened_to {
            return Arrival::Single;
        }
        let arrival = self.untold.0.take(cx.now, heading.clone(), data);
        self.tell_given_up(view, cx);
        match &arrival {
            Arrival::Single => self.tell(cx.wall.as_secs(), &heading, &[data], 0),
            Arrival::Whole(parts) => {
                self.tell(cx.wall.as_secs(), &heading, &views(parts), 0);
                self.forget_held(cx, &heading, parts);
            }
            Arrival::Missing(_) | Arrival::Repeated => {}
        }
        arrival
    }

    /// Tells them of all parts of a text.
    pub(super) fn tell_whole(&mut self, cx: &Cx<'_>, heading: &Heading, parts: &[UserDataBuf]) {
        if self.is_listened_to {
            self.tell(cx.wall.as_secs(), heading, &views(parts), 0);
        }
    }

    /// Tells them of long texts whose other parts are not waited for any more.
    pub(super) fn tell_given_up(&mut self, view: &mut View<'_>, cx: &mut Cx<'_>) {
        while let Some(GivenUp { key, parts, missing, last_at }) = self.untold.0.pop_given_up() {
            if self.is_listened_to {
                let date = cx.wall.as_secs().saturating_sub_unsigned(cx.now.since(last_at).as_secs());
                self.tell(date, &key, &views(&parts), missing);
                self.forget_held(cx, &key, &parts);
            } else {
                self.let_go(view, cx, &key, &parts);
            }
        }
    }

    fn tell(&mut self, date: i64, heading: &Heading, parts: &[UserData<'_>], missing: u8) {
        let content = match join(parts.iter().copied()) {
            Some(text) => Content::Text(text),
            None => Content::Binary(parts.iter().flat_map(|part| part.payload().to_vec()).collect()),
        };
        self.news.push(Event::Sms {
            sender: heading.sender.clone(),
            destination: heading.destination.clone(),
            content,
            dcs: parts.first().map_or(0, |part| part.dcs().0),
            date,
            missing,
        });
    }
}

fn views(parts: &[UserDataBuf]) -> Vec<UserData<'_>> {
    parts.iter().map(UserDataBuf::view).collect()
}
