//! What happens to the phone, in values; `words` makes sentences of them.

use super::codec::Codec;
use super::media::Report;
use imsbox::wire::gsm::tpdu::Status;

/// Who did something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Party {
    /// This phone.
    We,
    /// The other side, or the network for it.
    They,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Ended {
    /// Who ended it.
    pub by: Party,
    /// The final response to the INVITE, 200 for a call that was answered.
    pub code: u16,
    /// Why, in words.
    pub words: String,
    /// Its sound, when there was some.
    pub report: Option<Report>,
    /// Its pictures, when there were some.
    pub video: Option<Report>,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The network has taken the registration, for so many seconds; a refresh tells nothing new.
    Registered {
        /// The identities that belong to it.
        identities: Vec<String>,
        /// How long.
        secs: u32,
        /// Whether it was there already.
        is_refresh: bool,
    },
    /// The registration was refused or lost; the code, when the network gave one.
    NotRegistered(Option<u16>, String),
    /// The registration has been given back.
    Deregistered,
    /// The network has ended the registration: how, and what follows.
    EndedByNetwork(String),
    /// The network has told how the registration stands.
    Notified,
    /// Somebody calls.
    Incoming(String),
    /// The other phone rings.
    Ringing,
    /// A call begins; its codecs, and with whom.
    Answered(Vec<Codec>, String),
    /// We hold the call, or no longer.
    Held(bool),
    /// The other side holds the call, or no longer.
    HeldByThem(bool),
    /// Hold or resume was refused with this code.
    HoldRefused(u16),
    /// The call has ended.
    Ended(Ended),
    /// The network has taken our text to this party.
    Texted(String),
    /// Our text was refused or lost; the code, when there is one.
    TextRefused(Option<u16>, String),
    /// A text from this party.
    Text(String, String),
    /// The other side has pressed this key.
    Key(char),
    /// The network knows that there is memory for texts again.
    MemoryTold,
    /// What has become of our text to this party.
    Status(String, Status),
    /// A text from this party was not taken: what was said.
    NotTaken(String, String),
    /// Something worth knowing.
    Notice(String),
}
