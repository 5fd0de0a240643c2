//! A VLR, a virtual clock, and an MME that speaks in words and in hexadecimal digits.

mod mobility;
mod paging;
mod peer;
mod sms;
mod status;
mod tmsi;

use super::*;
use crate::base::rng::Rng;
use crate::base::time::{Duration, Instant, UnixTime};
use crate::base::trace::Silent;
use crate::proto::cx::Cx;
use crate::proto::outbox::{Outbox, Output};
use crate::wire::identities::Imsi;
use crate::wire::sgsap::{Kind, Message, NodeName, RejectCause, Tag, Writer};
use std::net::SocketAddr;

pub const IMSI: &str = "001010123456789";
pub const OTHER: &str = "001010123456780";
pub const MME: &str = "mmec01.mmegi8001.mme.epc.mnc001.mcc001.3gppnetwork.org";
pub const MME_2: &str = "mmec02.mmegi8001.mme.epc.mnc001.mcc001.3gppnetwork.org";
/// The association of the first MME.
pub const A: AssociationId = AssociationId(1);
/// Another association.
pub const B: AssociationId = AssociationId(2);

/// An RP-DATA to the phone, one of the phone, and answers in both directions.
pub const MT: &[u8] = &[1, 7, 0, 0, 2, 4, 0];
pub const MT_ACK: &[u8] = &[2, 7];
pub const MO: &[u8] = &[0, 9, 0, 0, 2, 1, 0];
pub const MO_ACK: &[u8] = &[3, 9];

pub fn imsi(digits: &str) -> Imsi {
    Imsi::parse(digits.as_bytes()).unwrap()
}

pub fn remote(host: u8) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, host], 29118))
}

pub struct Fixture {
    /// Whether it is for the test to say that what the phone reports is stored.
    pub stores_slowly: bool,
    pub vlr: Vlr,
    pub now: Instant,
    rng: Rng,
    out: Outbox,
    /// What the home says of a phone.
    pub verdict: fn(&Imsi) -> Result<(), RejectCause>,
    closed: Vec<AssociationId>,
}

fn admit(imsi: &Imsi) -> Result<(), RejectCause> {
    match imsi.as_str().starts_with("00101") {
        true => Ok(()),
        false => Err(RejectCause::IMSI_UNKNOWN_IN_HLR),
    }
}

impl Fixture {
    pub fn with(policy: CpPolicy) -> Self {
        Fixture {
            stores_slowly: false,
            vlr: Vlr::new(NodeName::of_text("vlr.ims.example.org").unwrap(), policy),
            now: Instant::ZERO + Duration::from_secs(100),
            rng: Rng::from_seed(1),
            out: Outbox::new(),
            verdict: admit,
            closed: Vec::new(),
        }
    }

    /// Without an MME.
    pub fn new() -> Self {
        Fixture::with(CpPolicy::default())
    }

    /// With an MME that has acknowledged our RESET, and the phone attached.
    pub fn attached() -> Self {
        let mut f = Fixture::new();
        f.attach();
        f
    }

    pub fn attach(&mut self) {
        self.up(A, 1);
        assert_eq!(self.sent(), [hex_of("15021403766c7203696d73076578616d706c65036f7267")]);
        self.name_only(A, Kind::ResetAck, MME);
        self.update(A, MME, IMSI, 1);
        assert_eq!(self.words(), [format!("LOCATION-UPDATE-ACCEPT imsi={IMSI}")]);
        assert_eq!(self.events(), [Event::Reachable { imsi: imsi(IMSI) }]);
    }

    fn input<R>(&mut self, what: impl FnOnce(&mut Vlr, &mut Cx<'_>) -> R) -> R {
        let Fixture { vlr, now, rng, out, .. } = self;
        let (now, wall) = (*now, UnixTime::default());
        what(vlr, &mut Cx { now, wall, rng, out, sink: &mut Silent })
    }

    pub fn up(&mut self, association: AssociationId, host: u8) {
        self.input(|vlr, cx| vlr.on_up(cx, association, remote(host), 10));
    }

    pub fn down(&mut self, association: AssociationId) {
        self.input(|vlr, cx| vlr.on_down(cx, association, "the test said so"));
    }

    /// Lets time pass, as the loop does: from deadline to deadline.
    pub fn pass(&mut self, secs: u64) {
        let until = self.now + Duration::from_secs(secs);
        while let Some(at) = self.vlr.next_deadline().filter(|at| *at <= until) {
            self.now = at;
            self.input(|vlr, cx| vlr.tick(cx));
            assert!(self.vlr.next_deadline().is_none_or(|next| next > at), "a tick leaves nothing due");
        }
        self.now = until;
    }

    pub fn receive(&mut self, association: AssociationId, octets: &[u8]) {
        let verdict = self.verdict;
        self.input(|vlr, cx| vlr.on_message(cx, association, octets, &verdict));
    }

    pub fn receive_hex(&mut self, association: AssociationId, text: &str) {
        self.receive(association, &octets(text));
    }

    pub fn send(&mut self, rpdu: &[u8]) -> Result<(), NotNow> {
        self.send_to(IMSI, rpdu)
    }

    pub fn send_to(&mut self, digits: &str, rpdu: &[u8]) -> Result<(), NotNow> {
        self.input(|vlr, cx| vlr.send(cx, &imsi(digits), rpdu))
    }

    pub fn release(&mut self) {
        self.input(|vlr, cx| vlr.release_quiet(cx));
    }

    /// A message of an MME that holds the phone's IMSI and one more octet.
    pub fn about(&mut self, kind: Kind, tag: Tag, value: u8) {
        let mut out = Vec::new();
        Writer::of(&mut out, kind, &imsi(IMSI)).octet(tag, value);
        self.receive(A, &out);
    }

    pub fn plain(&mut self, kind: Kind) {
        let mut out = Vec::new();
        Writer::of(&mut out, kind, &imsi(IMSI));
        self.receive(A, &out);
    }

    pub fn name_only(&mut self, association: AssociationId, kind: Kind, name: &str) {
        let mut out = Vec::new();
        Writer::new(&mut out, kind).name(Tag::MmeName, &NodeName::of_text(name).unwrap());
        self.receive(association, &out);
    }

    /// A location update of the type.
    pub fn update(&mut self, association: AssociationId, mme: &str, digits: &str, kind: u8) {
        let mut out = Vec::new();
        Writer::of(&mut out, Kind::LocationUpdateRequest, &imsi(digits))
            .name(Tag::MmeName, &NodeName::of_text(mme).unwrap())
            .octet(Tag::UpdateType, kind)
            .element(Tag::Lai, &octets("00f1100001"));
        self.receive(association, &out);
    }

    pub fn detach(&mut self, association: AssociationId, mme: &str, kind: Kind, tag: Tag, value: u8) {
        let mut out = Vec::new();
        Writer::of(&mut out, kind, &imsi(IMSI))
            .name(Tag::MmeName, &NodeName::of_text(mme).unwrap())
            .octet(tag, value);
        self.receive(association, &out);
    }

    /// A CPDU of the phone.
    pub fn uplink(&mut self, cpdu: &[u8]) {
        let mut out = Vec::new();
        Writer::of(&mut out, Kind::UplinkUnitdata, &imsi(IMSI)).element(Tag::NasContainer, cpdu);
        self.receive(A, &out);
        if !self.stores_slowly {
            self.confirm(true);
        }
    }

    /// What follows from the last report is stored, or is not.
    pub fn confirm(&mut self, is_stored: bool) {
        self.input(|vlr, cx| vlr.confirm(cx, &imsi(IMSI), is_stored));
    }

    /// What was sent since this was asked last: association, stream, octets.
    pub fn outputs(&mut self) -> Vec<(AssociationId, u16, Vec<u8>)> {
        let mut found = Vec::new();
        for item in self.out.items() {
            match item {
                Output::SendSgs { association, stream, range } => {
                    found.push((*association, *stream, self.out.bytes(range).to_vec()));
                }
                Output::CloseSgs(association) => self.closed.push(*association),
                other => panic!("{other:?}"),
            }
        }
        self.out.clear();
        found
    }

    /// The same as hexadecimal digits.
    pub fn sent(&mut self) -> Vec<String> {
        self.outputs().iter().map(|(_, _, octets)| hex(octets)).collect()
    }

    /// The same in words.
    pub fn words(&mut self) -> Vec<String> {
        self.outputs().iter().map(|(_, _, octets)| Message::parse(octets).unwrap().to_string()).collect()
    }

    /// The CPDUs that were sent; nothing else may have been.
    pub fn cpdus(&mut self) -> Vec<String> {
        let sent = self.outputs();
        sent.iter()
            .map(|(_, _, octets)| {
                let m = Message::parse(octets).unwrap();
                hex(m.nas_container().unwrap_or_else(|| panic!("{m}")))
            })
            .collect()
    }

    pub fn closed(&mut self) -> Vec<AssociationId> {
        self.outputs();
        std::mem::take(&mut self.closed)
    }

    pub fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.vlr.pop_event()).collect()
    }

    pub fn state(&self) -> Option<State> {
        self.vlr.ue_view(&imsi(IMSI)).map(|ue| ue.state)
    }

    /// The one event: why the phone was not reached.
    pub fn why(&mut self) -> Why {
        match &self.events()[..] {
            [Event::Unreachable { imsi: who, why }] if *who == imsi(IMSI) => *why,
            other => panic!("{other:?}"),
        }
    }
}

pub fn octets(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

pub fn hex(octets: &[u8]) -> String {
    octets.iter().map(|o| format!("{o:02x}")).collect()
}

/// For comparisons with [`Fixture::sent`].
pub fn hex_of(text: &str) -> String {
    text.to_owned()
}

/// A CP-DATA: first octet, then the RPDU.
pub fn data(first: u8, rpdu: &[u8]) -> Vec<u8> {
    [&[first, 1, rpdu.len() as u8], rpdu].concat()
}

pub fn up_event(rpdu: &[u8]) -> Event {
    Event::Rpdu { imsi: imsi(IMSI), rpdu: rpdu.to_vec() }
}
