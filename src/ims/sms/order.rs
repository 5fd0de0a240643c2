//! Short messages that the operator sends (manual 6.6 and 7, `sms`).

use super::Sms;
use super::address::{self, OPERATOR};
use super::limits::{MAX_ORDER, MAX_OUTCOMES, MAX_VALIDITY};
use super::promise::Sender;
use super::submit::new_text;
use super::text::Text;
use crate::base::time::Duration;
use crate::ims::core::View;
use crate::ims::identity;
use crate::ims::subscriber::{Subscribers, UserId};
use crate::proto::cx::Cx;
use crate::wire::gsm::reader::Reader;
use crate::wire::gsm::{Address, Dcs, Deliver, Pid, Reference, Timestamp, UserData, UserDataBuf, text};
use crate::wire::sip::Uri;
use smallvec::SmallVec;
use std::collections::VecDeque;

/// A short message that is to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Whom it is for.
    pub to: Recipient,
    /// Who sends it, as the phone sees it: a number, a name, or a URI; none: the centre.
    pub sender: Option<String>,
    /// What it says.
    pub content: Content,
    /// How long it is kept; none: `sms_expires`.
    pub validity: Option<Duration>,
    /// TP-PID.
    pub pid: u8,
    /// TP-DCS; none: that of the text, or octets.
    pub dcs: Option<u8>,
    /// To the phone's emergency registration instead of the others.
    pub sos: bool,
}

/// An order that is not answered yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OrderId(u64);

/// An order on its way to the disk: [`Sms::pop_order`] says when its texts are there, or that they are not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ordered {
    /// Its name.
    pub id: OrderId,
    /// How many short messages it takes.
    pub parts: usize,
}

/// The orders whose outcome is known, and nobody has asked for it yet.
#[derive(Debug, Default)]
pub(super) struct Orders {
    last: u64,
    known: VecDeque<(OrderId, Result<(), &'static str>)>,
}

impl Orders {
    fn next(&mut self) -> OrderId {
        self.last += 1;
        OrderId(self.last)
    }

    /// An order's texts are on the disk, or are not taken: why, in words.
    pub(super) fn note(&mut self, id: OrderId, outcome: Result<(), &'static str>) {
        if self.known.len() == MAX_OUTCOMES {
            self.known.pop_front();
        }
        self.known.push_back((id, outcome));
    }
}

/// Whom a short message is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recipient {
    /// The user with this private identity.
    Impi(String),
    /// The user with this public identity.
    Impu(String),
    /// The user with this private, else public identity.
    Any(String),
}

/// What a short message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A text, in as many parts as it takes.
    Text(String),
    /// TP-User-Data as it is.
    Octets {
        /// The octets, header included.
        octets: Vec<u8>,
        /// TP-UDL; none: their number.
        length: Option<u8>,
        /// Whether they begin with a header (TP-UDHI).
        has_header: bool,
    },
}

/// The user whom a name means, and the identity; the error says in words that there is none.
pub(super) fn recipient(subs: &Subscribers, to: &Recipient) -> Result<(UserId, usize), String> {
    let private = |name: &str| {
        let user = subs.by_impi(name.as_bytes())?;
        Some((user, identity::default_impu(subs.user(user)).unwrap_or(0)))
    };
    let public = |name: &str| {
        let spellings =
            [name.to_owned(), format!("tel:{name}"), format!("sip:{name}@localhost"), format!("sip:{name}")];
        spellings.iter().find_map(|uri| subs.lookup_user(&Uri::parse(uri.as_bytes())?))
    };
    match to {
        Recipient::Impi(name) => {
            private(name).ok_or_else(|| format!("no user has the private identity {name}"))
        }
        Recipient::Impu(name) => public(name).ok_or_else(|| format!("no user has the identity {name}")),
        Recipient::Any(name) => {
            private(name).or_else(|| public(name)).ok_or_else(|| format!("no user is {name}"))
        }
    }
}

impl Sms {
    /// The next order whose texts are on the disk, or are not taken, with why in words. Without a state file that is known with the
    /// input itself.
    pub fn pop_order(&mut self) -> Option<(OrderId, Result<(), &'static str>)> {
        self.orders.known.pop_front()
    }

    /// Takes a text of the operator's in. The error says in words why it cannot be sent.
    pub fn order(&mut self, view: &mut View<'_>, cx: &mut Cx<'_>, order: &Order) -> Result<Ordered, String> {
        let to = recipient(view.subs, &order.to)?;
        if order.validity.is_some_and(|validity| validity > MAX_VALIDITY) {
            return Err(format!("validity: {} seconds at most", MAX_VALIDITY.as_secs()));
        }
        let from = match &order.sender {
            Some(sender) => sender.clone(),
            None => default_sender(view),
        };
        let originator = address::of_uri(&from);
        let tpdus = self.tpdus(cx, order, originator)?;
        self.admit(view, to.0, tpdus.len()).map_err(|refusal| refusal.words.to_owned())?;
        let lives = order.validity.unwrap_or(view.config.sms.expires);
        let domain = &view.subs.user(to.0).domain;
        let from = match Uri::parse(from.as_bytes()) {
            Some(_) => from,
            None => address::uri_of(&originator, domain),
        };
        let texts: SmallVec<[Text; 1]> = tpdus
            .into_iter()
            .map(|tpdu| Text { sos: order.sos, ..new_text(view, cx, to, &from, tpdu, lives) })
            .collect();
        let ordered = Ordered { id: self.orders.next(), parts: texts.len() };
        self.store(view, cx, Sender::Operator(ordered.id), texts);
        Ok(ordered)
    }

    /// The DELIVERs of an order.
    fn tpdus(&mut self, cx: &Cx<'_>, order: &Order, originator: Address) -> Result<Vec<Vec<u8>>, String> {
        let deliver = |data: UserData<'_>| {
            let deliver = Deliver {
                more_messages: false,
                loop_prevention: false,
                status_report: false,
                reply_path: false,
                originator,
                pid: Pid(order.pid),
                timestamp: Timestamp::of_unix(cx.wall, 0),
                user_data: data,
            };
            deliver.to_vec()
        };
        match &order.content {
            Content::Text(text) => {
                let parts = self.split(text)?;
                Ok(parts.iter().map(|part| with_dcs(deliver(part.view()), originator, order.dcs)).collect())
            }
            Content::Octets { octets, length, has_header } => {
                let dcs = order.dcs.map_or(Dcs::OCTETS, Dcs);
                let count =
                    u8::try_from(octets.len()).map_err(|_| "binary: 140 octets at most".to_owned())?;
                let counted: Vec<u8> = [&[length.unwrap_or(count)], &octets[..]].concat();
                let mut reader = Reader::new(&counted);
                let data = UserData::parse(dcs, *has_header, &mut reader)
                    .map_err(|fault| format!("binary: {fault}"))?;
                if !reader.is_empty() {
                    return Err("tp_udl does not fit the number of octets".to_owned());
                }
                Ok(vec![deliver(data)])
            }
        }
    }

    /// A text in parts, which have a reference of their own.
    pub(super) fn split(&mut self, text: &str) -> Result<Vec<UserDataBuf>, String> {
        if text.len() > MAX_ORDER {
            return Err("the text is too long".to_owned());
        }
        self.next_concat = self.next_concat.wrapping_add(1);
        text::split(text, Reference::Eight(self.next_concat))
            .ok_or_else(|| "the text takes more than 255 parts".to_owned())
    }
}

/// A DELIVER with the data coding scheme that the operator answers for, whatever the text is written in.
fn with_dcs(mut tpdu: Vec<u8>, originator: Address, dcs: Option<u8>) -> Vec<u8> {
    let mut address = Vec::new();
    originator.write_tp(&mut address);
    // TS 23.040 9.2.2.1: first octet, TP-OA, TP-PID, TP-DCS
    if let (Some(dcs), Some(octet)) = (dcs, tpdu.get_mut(1 + address.len() + 1)) {
        *octet = dcs;
    }
    tpdu
}

/// Who sends what the operator sends without saying for whom.
fn default_sender(view: &View<'_>) -> String {
    let centre = &view.config.sms.centre;
    match (&centre.digits, centre.ton) {
        (Some(digits), 1) => format!("+{digits}"),
        (Some(digits), _) => digits.clone(),
        (None, _) => OPERATOR.to_owned(),
    }
}
