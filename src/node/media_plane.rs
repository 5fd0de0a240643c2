//! The RTP and RTCP sockets, and the path of a packet through them: received into a buffer of the batch, judged by the core's media
//! table, and sent from the same buffer, at once or, where it is to be held back, when it is due. The service knows nothing of it.

use crate::base::arena::{Arena, Id};
use crate::base::time::Instant;
use crate::base::trace::{Dir, Layer, Level, Subject};
use crate::config::model::SipSocket;
use crate::ims::core::{Core, MAX_MEDIA_SESSIONS};
use crate::node::token::{Kind, Source};
use crate::node::world::World;
use crate::proto::flow::LocalId;
use crate::proto::media::held::{Due, Held};
use crate::proto::media::table::PacketVerdict;
use arrayvec::ArrayVec;
use mio::unix::SourceFd;
use mio::{Interest, Registry};
use platform::batch::{BATCH, Datagram, RecvBatch, SendBatch};
use platform::socket::{UdpOptions, bind_udp};
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};

/// The longest media packet that is taken: far above any path's MTU.
const MAX_PACKET: usize = 4096;
/// Packets asked for first: preparing to receive costs something for each.
const FEW: usize = 2;
/// Kernel buffer of each socket: half a second of 4 Mbit/s video.
const KERNEL_BUFFER: usize = 256 * 1024;

/// The port pair of one session.
#[derive(Debug)]
struct Pair {
    session: u64,
    rtp: UdpSocket,
    rtcp: UdpSocket,
}

impl Pair {
    fn socket(&self, rtcp: bool) -> &UdpSocket {
        if rtcp { &self.rtcp } else { &self.rtp }
    }
}

/// All port pairs.
#[derive(Debug)]
pub struct MediaPlane {
    pairs: Arena<Pair>,
    by_session: HashMap<u64, Id<Pair>>,
    /// By `LocalId`: the addresses to try for a pair's sockets, in order.
    hosts: Vec<(IpAddr, Option<IpAddr>)>,
    buffers: RecvBatch,
    /// There once a packet had to be held back.
    held: Option<Held>,
}

impl MediaPlane {
    /// No ports yet; `sip` says on which addresses they will be.
    pub fn new(sip: &[SipSocket]) -> Self {
        let hosts = sip.iter().map(|socket| {
            let (addr, bind) = (socket.addr.ip(), socket.bind.ip());
            // packets of a wildcard bind would leave from any address: the one that phones know is better, if it is ours
            if bind.is_unspecified() { (addr, Some(bind)) } else { (bind, None) }
        });
        MediaPlane {
            pairs: Arena::with_cap(MAX_MEDIA_SESSIONS),
            by_session: HashMap::new(),
            hosts: hosts.collect(),
            buffers: RecvBatch::new(BATCH, MAX_PACKET),
            held: None,
        }
    }

    /// Opens the ports `port` (RTP) and `port + 1` (RTCP) for a session.
    pub fn open(&mut self, session: u64, local: LocalId, port: u16, registry: &Registry) -> io::Result<()> {
        let (host, other) = *self.hosts.get(usize::from(local.0)).ok_or(io::ErrorKind::AddrNotAvailable)?;
        let sockets = match (bind_pair(host, port), other) {
            (Err(e), Some(other)) if e.kind() == io::ErrorKind::AddrNotAvailable => bind_pair(other, port),
            (result, _) => result,
        };
        let (rtp, rtcp) = sockets?;
        let id = self.pairs.insert(Pair { session, rtp, rtcp }).map_err(|_| io::ErrorKind::QuotaExceeded)?;
        let watched = self.watch(id, registry);
        if watched.is_err() {
            self.pairs.remove(id);
        } else if let Some(former) = self.by_session.insert(session, id) {
            self.pairs.remove(former);
        }
        watched
    }

    /// Closes the ports of a session.
    pub fn close(&mut self, session: u64) {
        // a closed descriptor leaves the poll by itself
        if let Some(id) = self.by_session.remove(&session) {
            self.pairs.remove(id);
        }
    }

    /// Sends one packet from a session's port.
    pub fn send(&self, session: u64, rtcp: bool, to: SocketAddr, packet: &[u8]) -> io::Result<()> {
        let pair = self.by_session.get(&session).and_then(|id| self.pairs.get(*id));
        pair.ok_or(io::ErrorKind::NotConnected)?.socket(rtcp).send_to(packet, to).map(drop)
    }

    /// Passes a batch of packets of one socket on. Whether there may be more.
    pub fn drain(&mut self, source: Source, core: &mut Core, world: &mut World) -> bool {
        let id = self.pairs.id_at(source.slot).filter(|id| Source::of(source.kind, *id) == source);
        let Some(pair) = id.and_then(|id| self.pairs.get(id)) else { return false };
        let rtcp = source.kind == Kind::Rtcp;
        // a stream has one packet for us at most times: many are asked for only where there are some
        for most in [FEW, BATCH] {
            match self.buffers.recv(pair.socket(rtcp).as_fd(), most) {
                Ok(n) => {
                    let exits = Exits { pairs: &self.pairs, by_session: &self.by_session, own: Some(pair) };
                    let entry = (pair.session, rtcp);
                    pass_on(&self.buffers, exits, entry, &mut self.held, core, world);
                    if n < most {
                        return false; // there are no more, and the poll will tell of the next one
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return false,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => {
                    let text = format_args!("receiving failed: {e}");
                    world.trace(Layer::Media, Level::Error, Subject::None, text);
                    return false;
                }
            }
        }
        true
    }

    /// When [`MediaPlane::release`] must be called next, if ever.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.held.as_ref()?.next_deadline()
    }

    /// Sends the held packets that are due.
    pub fn release(&mut self, core: &mut Core, world: &mut World) {
        let Some(held) = &mut self.held else { return };
        let mut due: ArrayVec<Due, BATCH> = ArrayVec::new();
        loop {
            due.extend(std::iter::from_fn(|| held.due(world.now)).take(BATCH));
            if due.is_empty() {
                return;
            }
            let exits = Exits { pairs: &self.pairs, by_session: &self.by_session, own: None };
            let mut departure = Departure::new(exits);
            for entry in &due {
                let packet = held.packet(entry);
                let verdict = core.media_mut().on_due(entry.session, entry.rtcp, packet);
                departure.add(verdict, packet, core);
            }
            departure.leave(core);
            due.drain(..).for_each(|entry| held.free(entry));
        }
    }

    fn watch(&self, id: Id<Pair>, registry: &Registry) -> io::Result<()> {
        let Some(pair) = self.pairs.get(id) else { return Ok(()) };
        for (kind, socket) in [(Kind::Rtp, &pair.rtp), (Kind::Rtcp, &pair.rtcp)] {
            let token = Source::of(kind, id).token();
            registry.register(&mut SourceFd(&socket.as_raw_fd()), token, Interest::READABLE)?;
        }
        Ok(())
    }
}

/// RTP on `port`, RTCP on the next (RFC 3550 11).
fn bind_pair(host: IpAddr, port: u16) -> io::Result<(UdpSocket, UdpSocket)> {
    let options = UdpOptions { buffer: KERNEL_BUFFER, errors: false, local_address: false };
    let rtcp_port = port.checked_add(1).ok_or(io::ErrorKind::InvalidInput)?;
    let rtp = bind_udp(SocketAddr::new(host, port), options)?;
    Ok((rtp, bind_udp(SocketAddr::new(host, rtcp_port), options)?))
}

/// The ports by which packets may leave.
struct Exits<'a> {
    pairs: &'a Arena<Pair>,
    by_session: &'a HashMap<u64, Id<Pair>>,
    /// The pair that most leave by, if that is known.
    own: Option<&'a Pair>,
}

impl<'a> Exits<'a> {
    fn pair(&self, session: u64) -> Option<&'a Pair> {
        match self.own {
            Some(own) if own.session == session => Some(own),
            _ => self.pairs.get(*self.by_session.get(&session)?),
        }
    }

    /// Sends a batch from a session's port; what is lost is taken back from the counters.
    fn send(&self, batch: &mut SendBatch<'_>, session: u64, rtcp: bool, core: &mut Core) {
        match self.pair(session) {
            Some(pair) => batch.send(pair.socket(rtcp).as_fd(), |_, packet, _| {
                core.media_mut().on_send_lost(session, packet);
            }),
            None => batch.clear(), // closed within this turn, and its counters with it
        }
    }
}

/// Packets on their way out: as many at once as leave by one port.
struct Departure<'a> {
    exits: Exits<'a>,
    /// Session, and whether by its RTCP port.
    exit: (u64, bool),
    batch: SendBatch<'a>,
}

impl<'a> Departure<'a> {
    fn new(exits: Exits<'a>) -> Self {
        Departure { exits, exit: (0, false), batch: SendBatch::new() }
    }

    /// Adds a packet if it is to be sent.
    fn add(&mut self, verdict: PacketVerdict, packet: &'a [u8], core: &mut Core) {
        let PacketVerdict::Send { session, rtcp, to } = verdict else { return };
        if (session, rtcp) != self.exit {
            self.leave(core);
            self.exit = (session, rtcp);
        }
        self.batch.push(to, None, packet);
    }

    /// Sends what was added.
    fn leave(&mut self, core: &mut Core) {
        if !self.batch.is_empty() {
            self.exits.send(&mut self.batch, self.exit.0, self.exit.1, core);
        }
    }
}

/// Judges each packet that came in by a session's port, and sends it on or keeps it.
fn pass_on(
    buffers: &RecvBatch,
    exits: Exits<'_>,
    (session, rtcp): (u64, bool),
    held: &mut Option<Held>,
    core: &mut Core,
    world: &mut World,
) {
    let is_traced = world.log.wants(Layer::Media, Level::Debug);
    let mut departure = Departure::new(exits);
    for datagram in buffers.datagrams() {
        // what is cut short is no packet: the table counts it as one of those
        let packet = if datagram.truncated { &[] } else { datagram.octets };
        let verdict = core.media_mut().on_packet(world.now, session, rtcp, datagram.from, packet);
        if is_traced {
            trace_packet(session, rtcp, &datagram, verdict, core, world);
        }
        if let PacketVerdict::Hold { until } = verdict
            && !held.get_or_insert_with(Held::new).keep(until, session, rtcp, packet)
        {
            core.media_mut().on_not_held(session);
        }
        departure.add(verdict, packet, core);
    }
    departure.leave(core);
}

fn trace_packet(
    session: u64,
    rtcp: bool,
    datagram: &Datagram<'_>,
    verdict: PacketVerdict,
    core: &mut Core,
    world: &mut World,
) {
    let label = core.media_mut().view(session).map(|view| view.label).unwrap_or_default();
    let (subject, protocol) = (Subject::Id(label.dialog), if rtcp { "RTCP" } else { "RTP" });
    let (from, len, media) = (datagram.from, datagram.octets.len(), label.media);
    let mut cx = world.cx();
    match verdict {
        PacketVerdict::Send { to, .. } => {
            let text = format_args!("{protocol}/{media} {len} octets from {from}");
            cx.trace_content(Layer::Media, Level::Debug, Dir::From, subject, text, datagram.octets);
            let text = format_args!("{protocol}/{media} {len} octets to {to}");
            cx.trace(Layer::Media, Level::Debug, Dir::To, subject, text);
        }
        PacketVerdict::Hold { until } => {
            let delay = until.since(cx.now).as_millis();
            let text = format_args!("{protocol}/{media} {len} octets from {from}, held back for {delay} ms");
            cx.trace_content(Layer::Media, Level::Debug, Dir::From, subject, text, datagram.octets);
        }
        PacketVerdict::Drop(why) => {
            let text = format_args!("{protocol}/{media} {len} octets from {from} dropped: {why}");
            cx.trace_content(Layer::Media, Level::Debug, Dir::From, subject, text, datagram.octets);
        }
    }
}
