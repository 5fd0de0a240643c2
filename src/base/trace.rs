//! The trace vocabulary: what the log file, the monitor, the API's log buffer and the golden tests are fed with.
//!
//! A record carries its text as `fmt::Arguments`, so nothing is formatted unless a sink wants it. Line format: `features`
//! of the log are `time [LAYER] dir id message` and, at debug level, the message's content in the lines below.

use crate::base::time::UnixTime;
use std::fmt;
use std::net::SocketAddr;

/// A log layer, as named in `log_options`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Layer {
    /// The service: registrations, calls, messages, and what is wrong with them, in words.
    Ims,
    /// SIP messages.
    Sip,
    /// RTP and RTCP.
    Media,
    /// Diameter Rx.
    Rx,
    /// Diameter Cx.
    Cx,
    /// Security associations with UEs.
    Ipsec,
    /// SGs: MMEs and the texts that go through them.
    Sgsap,
}

impl Layer {
    /// All layers, in the order in which they are listed.
    pub const ALL: [Layer; 7] =
        [Layer::Ims, Layer::Sip, Layer::Media, Layer::Rx, Layer::Cx, Layer::Ipsec, Layer::Sgsap];

    /// The name in `log_options`: lower case.
    pub const fn name(self) -> &'static str {
        match self {
            Layer::Ims => "ims",
            Layer::Sip => "sip",
            Layer::Media => "media",
            Layer::Rx => "rx",
            Layer::Cx => "cx",
            Layer::Ipsec => "ipsec",
            Layer::Sgsap => "sgsap",
        }
    }

    /// The name in a log line: upper case.
    pub const fn tag(self) -> &'static str {
        match self {
            Layer::Ims => "IMS",
            Layer::Sip => "SIP",
            Layer::Media => "MEDIA",
            Layer::Rx => "RX",
            Layer::Cx => "CX",
            Layer::Ipsec => "IPSEC",
            Layer::Sgsap => "SGSAP",
        }
    }
}

/// A verbosity, ordered: a layer set to `Info` takes `Error`, `Warn` and `Info`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum Level {
    /// Nothing is logged.
    None,
    /// Something failed.
    Error,
    /// Something is odd and was worked around. Selected together with `error` in `log_options`.
    Warn,
    /// What happened.
    Info,
    /// What happened, with the content of the messages.
    Debug,
}

/// The direction of a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Dir {
    /// Received.
    From,
    /// Sent.
    To,
    /// Neither.
    None,
}

/// What a record is about: the `id` or `addr` field of the line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Subject {
    /// Nothing in particular: `-`.
    None,
    /// A UE binding (IMS layer) or a SIP dialog (SIP and media layers), by its number; printed as four hexadecimal digits.
    Id(u32),
    /// A peer's transport address (CX and RX layers).
    Addr(SocketAddr),
}

/// One trace record, borrowed from the place that says it.
#[derive(Clone, Copy)]
pub struct Record<'a> {
    /// When.
    pub at: UnixTime,
    /// Which layer.
    pub layer: Layer,
    /// How important.
    pub level: Level,
    /// Which direction.
    pub dir: Dir,
    /// About what.
    pub subject: Subject,
    /// The line's text.
    pub text: fmt::Arguments<'a>,
    /// The content of the message, logged below the line at debug level.
    pub content: &'a [u8],
}

/// Takes trace records.
pub trait Sink {
    /// Whether a record of this layer and level would be kept. Asked before anything is formatted.
    fn wants(&self, layer: Layer, level: Level) -> bool;

    /// Keeps one record.
    fn record(&mut self, record: &Record<'_>);

    /// Whether records of this layer may hold keys (`layer.key=1`). Asked before one is made that does.
    fn shows_keys(&self, _layer: Layer) -> bool {
        false
    }

    /// Hands on what was kept. The loop calls it once, at the end of each turn.
    fn flush(&mut self) {}
}

/// A sink that keeps nothing.
#[derive(Debug, Default)]
pub struct Silent;

impl Sink for Silent {
    fn wants(&self, _: Layer, _: Level) -> bool {
        false
    }
    fn record(&mut self, _: &Record<'_>) {}
}
