//! One media session: a port pair of ours, the peer's addresses, and what becomes of each packet.
//!
//! # Where packets go: symmetric RTP (RFC 4961) with latching
//! 1. Until a packet came in, the destination is the address of the peer's SDP.
//! 2. The source of the first valid packet becomes the destination (phones behind a NAT announce an address nobody reaches).
//! 3. From then on, packets of another source are dropped, unless
//!    a. the source is the address of the SDP itself: it takes the latch over, for good; or
//!    b. the latched source has been silent for [`RELATCH_AFTER`]: its NAT mapping or the phone's address has changed.
//! 4. A new address in the SDP (re-INVITE, UPDATE) opens the latch again.
//!
//! RTP and RTCP latch apart, each on its port. RTCP on the RTP port (RFC 5761) follows RTP's latch.

use crate::base::time::{Duration, Instant};
use crate::proto::flow::LocalId;
use crate::proto::media::demux::{Kind, classify};
use crate::proto::media::limits::MAX_HELD_OF_SESSION;
use std::fmt;
use std::net::SocketAddr;

/// How long the latched source must be silent before another one is taken: well above a silence-suppressed stream's comfort
/// noise interval and below a caller's patience.
pub const RELATCH_AFTER: Duration = Duration::from_secs(2);

/// What is done with the packets of a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// They go back to where they come from.
    Echo,
    /// They leave from the port of another session, to that session's peer.
    Forward {
        /// The other session.
        to: u64,
    },
}

/// A media direction, as it stands in our SDP (RFC 3264 5.1): what we do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Direction {
    /// We send and receive.
    #[default]
    SendRecv,
    /// We only send.
    SendOnly,
    /// We only receive.
    RecvOnly,
    /// Neither.
    Inactive,
}

impl Direction {
    /// Whether we take packets.
    pub const fn receives(self) -> bool {
        matches!(self, Direction::SendRecv | Direction::RecvOnly)
    }

    /// Whether we send packets.
    pub const fn sends(self) -> bool {
        matches!(self, Direction::SendRecv | Direction::SendOnly)
    }
}

/// The peer's media addresses from its SDP.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Remote {
    /// RTP: `c=` and `m=`.
    pub rtp: SocketAddr,
    /// RTCP: `a=rtcp` (RFC 3605), else RTP's port + 1; RTP's own with `a=rtcp-mux`.
    pub rtcp: SocketAddr,
}

impl Remote {
    /// RTP at `rtp`, RTCP on the port above it.
    pub fn new(rtp: SocketAddr) -> Self {
        Remote { rtp, rtcp: SocketAddr::new(rtp.ip(), rtp.port().saturating_add(1)) }
    }

    /// RTP and RTCP on one port (`a=rtcp-mux`, RFC 5761).
    pub const fn muxed(rtp: SocketAddr) -> Self {
        Remote { rtp, rtcp: rtp }
    }
}

/// Why a packet goes nowhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DropReason {
    /// The session has ended.
    NoSession,
    /// Neither RTP nor RTCP, or cut short.
    NotRtp,
    /// RTP on the RTCP port.
    WrongPort,
    /// Another source than the latched one.
    OtherSource,
    /// The stream does not run in this direction.
    Direction,
    /// The session to forward to has ended.
    NoTarget,
    /// The address to forward to is not known yet.
    NoPeer,
    /// The configuration or the operator lets nothing of this kind pass.
    Blocked,
    /// Packets are to be held back, and there is no room for this one.
    NotHeld,
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DropReason::NoSession => "the session has ended",
            DropReason::NotRtp => "neither RTP nor RTCP",
            DropReason::WrongPort => "RTP on the RTCP port",
            DropReason::OtherSource => "another source sends on this port",
            DropReason::Direction => "the stream does not run in this direction",
            DropReason::NoTarget => "the other session has ended",
            DropReason::NoPeer => "the peer's address is not known",
            DropReason::Blocked => "nothing of its kind may pass",
            DropReason::NotHeld => "there is no room to hold it back",
        })
    }
}

/// What the configuration or the operator does to the packets that come in on a session, on top of its action.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Treatment {
    /// RTP goes nowhere.
    pub rtp_block: bool,
    /// RTCP goes nowhere.
    pub rtcp_block: bool,
    /// What passes is held back for so long.
    pub delay: Duration,
}

/// The counters of a session, in packets.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// RTP received, valid and from the right source.
    pub rtp_recv: u64,
    /// RTP sent.
    pub rtp_send: u64,
    /// RTCP received.
    pub rtcp_recv: u64,
    /// RTCP sent.
    pub rtcp_send: u64,
    /// Received and dropped, whatever the reason.
    pub dropped: u64,
}

/// What a session is called in the log: the number of its SIP dialog and the media type.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Label {
    /// The SIP dialog's number.
    pub dialog: u32,
    /// `audio`, `video` or `text`.
    pub media: &'static str,
}

/// What can be seen of a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SessionView {
    /// Its name in the log.
    pub label: Label,
    /// The SIP socket whose media address it uses.
    pub local: LocalId,
    /// Our RTP port.
    pub port: u16,
    /// Where RTP goes: the latched source, else the peer's SDP.
    pub rtp: Option<SocketAddr>,
    /// Where RTCP goes.
    pub rtcp: Option<SocketAddr>,
    /// Direction.
    pub direction: Direction,
    /// What is done to what comes in.
    pub treatment: Treatment,
    /// Packet counters.
    pub counters: Counters,
    /// When the last valid packet came in, or the opening.
    pub last_activity: Instant,
}

/// One half of a session: RTP or RTCP.
#[derive(Clone, Copy, Debug, Default)]
struct Path {
    announced: Option<SocketAddr>,
    latched: Option<(SocketAddr, Instant)>,
}

impl Path {
    fn destination(&self) -> Option<SocketAddr> {
        // RFC 3264 8.4: an old peer holds by announcing 0.0.0.0, and wants neither RTP nor RTCP then
        if self.announced.is_some_and(|a| a.ip().is_unspecified()) {
            return None;
        }
        self.latched.map(|(source, _)| source).or(self.announced)
    }

    fn announce(&mut self, address: Option<SocketAddr>) {
        if self.announced != address {
            *self = Path { announced: address, latched: None };
        }
    }

    /// Whether a valid packet of this source is taken; moves the latch (rules 2 and 3 of the module).
    fn admit(&mut self, now: Instant, from: SocketAddr) -> bool {
        let admitted = match self.latched {
            None => true,
            Some((source, seen)) => {
                source == from || self.announced == Some(from) || now.since(seen) >= RELATCH_AFTER
            }
        };
        if admitted {
            self.latched = Some((from, now));
        }
        admitted
    }
}

/// A session as the table keeps it.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) label: Label,
    pub(super) local: LocalId,
    pub(super) port: u16,
    pub(super) action: Action,
    pub(super) direction: Direction,
    pub(super) treatment: Treatment,
    rtp: Path,
    rtcp: Path,
    pub(super) counters: Counters,
    last_activity: Instant,
    /// How many packets are held back.
    held: u16,
    /// Until when the last one that came in was held back: no later one passes it by, whatever becomes of the delay.
    held_until: Instant,
}

impl Session {
    /// A session that echoes and has no peer yet.
    pub(super) fn new(now: Instant, local: LocalId, port: u16) -> Self {
        Session {
            label: Label::default(),
            local,
            port,
            action: Action::Echo,
            direction: Direction::default(),
            treatment: Treatment::default(),
            rtp: Path::default(),
            rtcp: Path::default(),
            counters: Counters::default(),
            last_activity: now,
            held: 0,
            held_until: now,
        }
    }

    pub(super) fn announce(&mut self, remote: Option<Remote>) {
        self.rtp.announce(remote.map(|r| r.rtp));
        self.rtcp.announce(remote.map(|r| r.rtcp));
    }

    pub(super) fn view(&self) -> SessionView {
        SessionView {
            label: self.label,
            local: self.local,
            port: self.port,
            rtp: self.rtp.destination(),
            rtcp: self.rtcp.destination(),
            direction: self.direction,
            treatment: self.treatment,
            counters: self.counters,
            last_activity: self.last_activity,
        }
    }

    /// Whether the peer takes RTCP on its RTP port (RFC 5761 5.1.1).
    pub(super) fn is_muxed(&self) -> bool {
        self.rtp.announced.is_some() && self.rtp.announced == self.rtcp.announced
    }

    /// Admits a packet and counts it as received, or says why not.
    pub(super) fn receive(
        &mut self,
        now: Instant,
        rtcp: bool,
        from: SocketAddr,
        packet: &[u8],
    ) -> Result<Kind, DropReason> {
        let kind = classify(packet).ok_or(DropReason::NotRtp)?;
        if rtcp && kind == Kind::Rtp {
            return Err(DropReason::WrongPort);
        }
        let path = if rtcp { &mut self.rtcp } else { &mut self.rtp };
        if !path.admit(now, from) {
            return Err(DropReason::OtherSource);
        }
        self.last_activity = now;
        match kind {
            Kind::Rtp => self.counters.rtp_recv += 1,
            Kind::Rtcp => self.counters.rtcp_recv += 1,
        }
        let blocked = match kind {
            Kind::Rtp => self.treatment.rtp_block,
            Kind::Rtcp => self.treatment.rtcp_block,
        };
        if blocked {
            return Err(DropReason::Blocked);
        }
        // RFC 8866 6.7: the direction is the media's; RTCP runs whatever it is, even on an inactive stream
        if kind == Kind::Rtcp || self.direction.receives() { Ok(kind) } else { Err(DropReason::Direction) }
    }

    /// Until when a packet that came in now is to be held back; `None`: it passes at once.
    pub(super) fn hold(&mut self, now: Instant) -> Result<Option<Instant>, DropReason> {
        let until = (now + self.treatment.delay).max(self.held_until);
        if until <= now {
            return Ok(None);
        }
        if self.held >= MAX_HELD_OF_SESSION {
            return Err(DropReason::NotHeld);
        }
        self.held += 1;
        self.held_until = until;
        Ok(Some(until))
    }

    /// A packet is held back no more.
    pub(super) fn let_go(&mut self) {
        self.held = self.held.saturating_sub(1);
    }

    /// Counts a packet as sent and says where it goes, or why it does not.
    pub(super) fn send(&mut self, kind: Kind, rtcp: bool) -> Result<SocketAddr, DropReason> {
        if kind == Kind::Rtp && !self.direction.sends() {
            return Err(DropReason::Direction);
        }
        let path = if rtcp { &self.rtcp } else { &self.rtp };
        let to = path.destination().ok_or(DropReason::NoPeer)?;
        match kind {
            Kind::Rtp => self.counters.rtp_send += 1,
            Kind::Rtcp => self.counters.rtcp_send += 1,
        }
        Ok(to)
    }
}
