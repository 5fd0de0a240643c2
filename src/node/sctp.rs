//! The SCTP listener of SGs and the associations with MMEs (TS 29.118 6.3).
//!
//! One message of the protocol is one of SCTP. What an MME does not read waits here, in bounds; while something waits for it, it is
//! not read from either, so that it cannot make us answer more than it takes.

use crate::base::arena::{Arena, Id};
use crate::base::time::{Duration, Instant};
use crate::base::trace::{Layer, Level, Subject};
use crate::ims::core::Core;
use crate::node::sctp_queue::{Full, SctpQueue};
use crate::node::start::StartError;
use crate::node::token::{Kind, Source};
use crate::node::world::World;
use crate::proto::sgsap::AssociationId;
use crate::proto::sgsap::limits::{MAX_ASSOCIATIONS, MAX_MESSAGE};
use mio::unix::SourceFd;
use mio::{Interest, Registry};
use platform::sctp::{self, News, Received};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// Associations that are held at most: the core closes those that are too many for it.
const MAX_PEERS: usize = MAX_ASSOCIATIONS + 8;
/// Associations that the kernel keeps for us until we take them.
const BACKLOG: u16 = 64;
/// Messages read from one MME before another source has its turn.
const READ_LIMIT: usize = 64;
/// How long associations wait after the kernel would not give us one.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);
/// The property that gives the address.
const PROPERTY: &str = "sctp_addr";

/// The listener, or why there is none.
#[derive(Debug, Default)]
pub enum SctpEnd {
    /// The configuration wants none.
    #[default]
    Off,
    /// It listens.
    Listening {
        /// The socket.
        socket: OwnedFd,
        /// Its address.
        addr: SocketAddr,
    },
    /// The kernel has no SCTP.
    Lacking {
        /// The address that was to be listened on.
        addr: SocketAddr,
        /// What the kernel said.
        error: io::Error,
    },
}

impl SctpEnd {
    /// Listens on the address, if there is one. A kernel without SCTP is no error: all else is served.
    pub fn open(addr: Option<SocketAddr>) -> Result<SctpEnd, StartError> {
        let Some(addr) = addr else { return Ok(SctpEnd::Off) };
        match sctp::listen(addr, BACKLOG) {
            Ok(socket) => {
                let addr = sctp::local_addr(socket.as_fd()).unwrap_or(addr);
                Ok(SctpEnd::Listening { socket, addr })
            }
            Err(error) if sctp::is_unsupported(&error) => Ok(SctpEnd::Lacking { addr, error }),
            Err(error) => {
                Err(StartError::Bind { property: PROPERTY.to_owned(), transport: "SCTP", addr, error })
            }
        }
    }

    /// A line for people; none when nothing was wanted.
    pub fn words(&self) -> Option<String> {
        match self {
            SctpEnd::Off => None,
            SctpEnd::Listening { addr, .. } => Some(format!("SGs on SCTP {addr}")),
            SctpEnd::Lacking { addr, error } => Some(format!(
                "SGs not on SCTP {addr}: this kernel has no SCTP ({error}), so no MME can connect; `modprobe sctp` as root gives \
                 it, if need be after the package with the kernel's extra modules (kernel-modules-extra, linux-modules-extra)"
            )),
        }
    }
}

/// An association.
#[derive(Debug)]
struct Peer {
    socket: OwnedFd,
    remote: SocketAddr,
    queue: SctpQueue,
    /// The rest of a message that is too long is passed over.
    is_skipping: bool,
    /// There may be something to read that was not, since it does not read itself.
    is_held: bool,
}

/// The listener and all associations.
#[derive(Debug)]
pub struct SctpPlane {
    end: SctpEnd,
    peers: Arena<Peer>,
    buffer: Vec<u8>,
    /// When the listener is to be tried again after it failed.
    accept_again: Option<Instant>,
}

/// What reading once came to.
enum Step {
    More,
    Nothing,
    Close(String),
}

impl SctpPlane {
    /// Takes the listener over and watches it.
    pub fn new(end: SctpEnd, registry: &Registry) -> io::Result<Self> {
        if let SctpEnd::Listening { socket, .. } = &end {
            let token = Source::fixed(Kind::SctpListener, 0).token();
            registry.register(&mut SourceFd(&socket.as_raw_fd()), token, Interest::READABLE)?;
        }
        Ok(SctpPlane {
            end,
            peers: Arena::with_cap(MAX_PEERS),
            buffer: vec![0; MAX_MESSAGE],
            accept_again: None,
        })
    }

    /// What is listened on, or why not, for people.
    pub fn words(&self) -> Option<String> {
        self.end.words()
    }

    /// Tells the log that there is no SCTP though it is wanted.
    pub fn tell(&self, world: &mut World) {
        if let (SctpEnd::Lacking { .. }, Some(words)) = (&self.end, self.words()) {
            world.trace(Layer::Sgsap, Level::Error, Subject::None, format_args!("{words}"));
        }
    }

    /// Takes new associations. Whether there may be more.
    pub fn accept(&mut self, registry: &Registry, core: &mut Core, world: &mut World) -> bool {
        let SctpEnd::Listening { socket, .. } = &self.end else { return false };
        match sctp::accept(socket.as_fd()) {
            Ok((socket, remote)) => {
                self.admit(socket, remote, registry, core, world);
                true
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => false,
            Err(e) if matches!(e.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted) => {
                true
            }
            Err(e) => {
                let text = format_args!("taking an association failed: {e}");
                world.trace(Layer::Sgsap, Level::Error, Subject::None, text);
                // those that wait give no further edge
                self.accept_again = Some(world.now + ACCEPT_PAUSE);
                false
            }
        }
    }

    /// The listener, if it is time to try it again.
    pub fn ready_again(&mut self, now: Instant) -> Option<Source> {
        self.accept_again.take_if(|at| *at <= now).map(|_| Source::fixed(Kind::SctpListener, 0))
    }

    /// When the listener is to be tried again.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.accept_again
    }

    fn admit(
        &mut self,
        socket: OwnedFd,
        remote: SocketAddr,
        registry: &Registry,
        core: &mut Core,
        world: &mut World,
    ) {
        let streams = sctp::streams(socket.as_fd()).unwrap_or(1);
        let peer = Peer { socket, remote, queue: SctpQueue::default(), is_skipping: false, is_held: false };
        let Ok(id) = self.peers.insert(peer) else {
            let text = format_args!("association refused: {MAX_PEERS} are open, limit MAX_PEERS");
            return world.trace(Layer::Sgsap, Level::Warn, Subject::Addr(remote), text);
        };
        let Some(peer) = self.peers.get(id) else { return };
        let (token, both) = (Source::of(Kind::Sctp, id).token(), Interest::READABLE | Interest::WRITABLE);
        if let Err(e) = registry.register(&mut SourceFd(&peer.socket.as_raw_fd()), token, both) {
            self.peers.remove(id);
            let text = format_args!("association refused: {e}");
            return world.trace(Layer::Sgsap, Level::Error, Subject::Addr(remote), text);
        }
        core.on_sgs_up(&mut world.cx(), association(id), remote, streams);
    }

    /// Reads one association up to a limit. Whether there may be more.
    pub fn drain(&mut self, source: Source, core: &mut Core, world: &mut World) -> bool {
        let Some(id) = self.find(source) else { return false };
        for _ in 0..READ_LIMIT {
            match self.read(id, core, world) {
                Step::More => {}
                Step::Nothing => return false,
                Step::Close(why) => {
                    self.close(id, &why, core, world);
                    return false;
                }
            }
        }
        true
    }

    fn read(&mut self, id: Id<Peer>, core: &mut Core, world: &mut World) -> Step {
        let Some(peer) = self.peers.get_mut(id) else { return Step::Nothing };
        if !peer.queue.is_empty() {
            peer.is_held = true;
            return Step::Nothing;
        }
        match sctp::receive(peer.socket.as_fd(), &mut self.buffer) {
            Ok(Received::Message { len, is_end }) => {
                let is_whole = is_end && !peer.is_skipping;
                if is_whole {
                    core.on_sgs_message(&mut world.cx(), association(id), &self.buffer[..len]);
                } else if !peer.is_skipping {
                    let text = format_args!("a message with more than {MAX_MESSAGE} octets is left out");
                    world.trace(Layer::Sgsap, Level::Warn, Subject::Addr(peer.remote), text);
                }
                peer.is_skipping = !is_end;
                Step::More
            }
            Ok(Received::News(News::Restarted)) => {
                peer.queue.clear();
                let (remote, streams) = (peer.remote, sctp::streams(peer.socket.as_fd()).unwrap_or(1));
                core.on_sgs_down(&mut world.cx(), association(id), "the MME started it anew");
                core.on_sgs_up(&mut world.cx(), association(id), remote, streams);
                Step::More
            }
            Ok(Received::News(News::Lost)) => Step::Close("the MME does not answer, or broke it off".into()),
            Ok(Received::End | Received::News(News::Ended)) => Step::Close("the MME ended it".into()),
            Ok(Received::News(News::Up | News::ShuttingDown | News::Other)) => Step::More,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Step::Nothing,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => Step::More,
            Err(e) => Step::Close(e.to_string()),
        }
    }

    /// One association can be written again. The source, if it should be read, too.
    pub fn on_writable(&mut self, source: Source, core: &mut Core, world: &mut World) -> Option<Source> {
        let id = self.find(source)?;
        let peer = self.peers.get_mut(id)?;
        let Peer { socket, queue, is_held, .. } = peer;
        match queue.write(|octets, stream| sctp::send(socket.as_fd(), octets, stream, 0)) {
            Ok(()) if queue.is_empty() && std::mem::take(is_held) => Some(source),
            Ok(()) => None,
            Err(e) => {
                self.close(id, &e.to_string(), core, world);
                None
            }
        }
    }

    /// Sends a message (payload protocol 0: TS 29.118 6.3), or lets it wait.
    pub fn send(
        &mut self,
        to: AssociationId,
        stream: u16,
        octets: &[u8],
        core: &mut Core,
        world: &mut World,
    ) {
        let id = Id::from_bits(to.0);
        let Some(Peer { socket, queue, .. }) = self.peers.get_mut(id) else { return };
        let pushed = queue.push(octets, stream);
        let sent = pushed.map_err(|Full| io::Error::other("too much waits for an MME that does not read"));
        let sent =
            sent.and_then(|()| queue.write(|octets, stream| sctp::send(socket.as_fd(), octets, stream, 0)));
        if let Err(e) = sent {
            self.close(id, &e.to_string(), core, world);
        }
    }

    /// Closes an association that the core does not want.
    pub fn drop_association(&mut self, association: AssociationId) {
        self.peers.remove(Id::from_bits(association.0));
    }

    /// Closes an association: what was sent is still delivered, if the MME is there.
    fn close(&mut self, id: Id<Peer>, why: &str, core: &mut Core, world: &mut World) {
        if self.peers.remove(id).is_some() {
            core.on_sgs_down(&mut world.cx(), association(id), why);
        }
    }

    fn find(&self, source: Source) -> Option<Id<Peer>> {
        self.peers.id_at(source.slot).filter(|id| Source::of(Kind::Sctp, *id) == source)
    }
}

fn association(id: Id<Peer>) -> AssociationId {
    AssociationId(id.to_bits())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_without_sctp_is_told_in_words_with_what_to_do() {
        let addr = "127.0.0.1:29118".parse().unwrap();
        let error = io::Error::from_raw_os_error(93);
        let words = SctpEnd::Lacking { addr, error }.words().unwrap();
        for part in ["127.0.0.1:29118", "no SCTP", "modprobe sctp"] {
            assert!(words.contains(part), "{words}");
        }
        assert_eq!(SctpEnd::open(None).unwrap().words(), None);
    }

    #[test]
    fn an_address_is_listened_on_or_said_why_not() {
        // whether this kernel has SCTP or not
        match SctpEnd::open(Some("127.0.0.1:0".parse().unwrap())).unwrap() {
            SctpEnd::Off => panic!("it was wanted"),
            end @ SctpEnd::Listening { .. } => {
                assert!(end.words().unwrap().starts_with("SGs on SCTP 127.0.0.1:"))
            }
            end @ SctpEnd::Lacking { .. } => assert!(end.words().unwrap().starts_with("SGs not on SCTP")),
        }
    }
}
