//! The phone's security associations in the kernel, and the ports that they protect.

use super::Input;
use super::ports::{self, Port};
use crate::phone::security::{Installation, Set};
use crate::settings::{Protect, Settings};
use imsbox::proto::sip::sec_agree::{Keys, Suite, Transform};
use platform::xfrm::{
    Action, Algorithms, Bound, Direction, Family, Lack, Lifetime, Policy, Protection, Traffic, Xfrm, guard,
};
use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::ops::RangeInclusive;
use std::sync::mpsc::Sender;
use std::time::Duration;

/// The numbers that tell what is a phone's in a kernel: two for each set, one for each pair of ports.
const REQIDS: RangeInclusive<u32> = 0x5545_0000..=0x5545_ffff;

/// Client ports of sets that are gone which stay open and guarded: the kernel may still have something to say there, such as a
/// reset for what came in just before, which would leave in clear. The end, or more of them, closes the oldest.
const MOST_LEFT: usize = 4;

/// A set whose ports are open; installed when it has traffic.
#[derive(Debug)]
struct Installed {
    number: u32,
    port: Port,
    traffic: Vec<Traffic>,
    suite: Option<(Suite, Keys)>,
}

/// The kernel's IPsec as one phone uses it.
#[derive(Debug)]
pub struct Kernel {
    xfrm: Xfrm,
    local: IpAddr,
    pcscf: IpAddr,
    server: Option<Port>,
    sets: Vec<Installed>,
    /// See [`MOST_LEFT`].
    left: VecDeque<Port>,
    /// The number that the next set has; they begin anywhere, as several phones may have one address.
    next_reqid: u32,
}

/// Opens the kernel's IPsec and finds out which pairs of algorithms it has, best first; what an earlier run left is removed. The
/// error says what is missing. `None` when the settings have it off.
pub fn open(settings: &Settings, local: IpAddr) -> Option<Result<(Kernel, Vec<Suite>), String>> {
    (settings.ipsec.protect != Protect::Off).then(|| try_open(settings, local))
}

fn try_open(settings: &Settings, local: IpAddr) -> Result<(Kernel, Vec<Suite>), String> {
    let pcscf = settings.pcscf.ip();
    if pcscf == local {
        return Err(format!("the P-CSCF is on this machine ({local}), and one kernel cannot hold both ends"));
    }
    let family = Family::of(local);
    let mut xfrm = Xfrm::open().map_err(|e| Lack::of(&e, family).to_string())?;
    xfrm.available(family).map_err(|lack| lack.to_string())?;
    let keys = |suite: &Suite| suite.keys(&[0; 16], &[0; 16]);
    let has = |suite: &Suite| xfrm.probe(family, algorithms(*suite, &keys(suite))).is_ok();
    let suites: Vec<Suite> = settings.ipsec.suites.iter().copied().filter(has).collect();
    if suites.is_empty() {
        return Err("the kernel has none of the algorithms in the settings, nor modules for them".to_owned());
    }
    remove_stale(&mut xfrm, local).map_err(|e| format!("what an earlier run left: {e}"))?;
    let mut octets = [0; 2];
    getrandom::fill(&mut octets).map_err(|e| format!("no randomness: {e}"))?;
    let next_reqid = u32::from(u16::from_ne_bytes(octets));
    Ok((
        Kernel { xfrm, local, pcscf, server: None, sets: Vec::new(), left: VecDeque::new(), next_reqid },
        suites,
    ))
}

/// Removes what a phone has left at this address, of which the ports are nobody's any more.
fn remove_stale(xfrm: &mut Xfrm, local: IpAddr) -> io::Result<()> {
    let guard_priority = guard(SocketAddr::new(local, 1))[0].priority;
    let mut stale = Vec::new();
    let mut alive = Vec::new();
    for found in xfrm.policies()? {
        let (Some(action), Some(direction)) = (found.action, found.direction) else { continue };
        let (net, port) = match direction {
            Direction::In => (found.selector.destination, found.selector.destination_port),
            Direction::Out => (found.selector.source, found.selector.source_port),
        };
        let reqid = match action {
            Action::Protect(template) if REQIDS.contains(&template.reqid) => Some(template.reqid),
            Action::Block if found.priority == guard_priority => None,
            _ => continue,
        };
        let Some(port) = port.filter(|_| net.address == local) else { continue };
        if !ports::is_free(SocketAddr::new(local, port)) {
            alive.extend(reqid);
            continue;
        }
        let (selector, priority, lifetime, bound) =
            (found.selector, found.priority, found.lifetime, found.bound);
        stale.push(Policy { selector, direction, priority, action, lifetime, bound });
    }
    for state in xfrm.states()? {
        let is_here = state.id.source == local || state.id.destination == local;
        if is_here && REQIDS.contains(&state.reqid) && !alive.contains(&state.reqid) {
            xfrm.delete_state(&state.id, state.bound)?;
        }
    }
    for policy in stale {
        xfrm.delete_policy(&policy)?;
    }
    Ok(())
}

impl Kernel {
    /// Opens the ports of a set: its client port and, if it is not open yet, the server port. Nothing passes them until the set
    /// is installed.
    pub fn open_ports(
        &mut self,
        set: u32,
        client: Option<u16>,
        server: Option<u16>,
        inputs: &Sender<Input>,
    ) -> Result<(u16, u16), String> {
        let named = |what: &str, port: Option<u16>, e: &dyn std::fmt::Display| match port {
            Some(port) => format!("{what} port {port}: {e}"),
            None => format!("{what} port: {e}"),
        };
        let server_port = match &self.server {
            Some(port) => port.number(),
            None => {
                let port = ports::open_server(self.local, server.unwrap_or(0), inputs)
                    .map_err(|e| named("server", server, &e))?;
                let number = port.number();
                self.guard(number).map_err(|e| named("server", Some(number), &e))?;
                self.server = Some(port);
                number
            }
        };
        let left = self.left.iter().position(|port| Some(port.number()) == client);
        let port = match left.and_then(|at| self.left.remove(at)) {
            Some(port) => port,
            None => Port::open(self.local, client.unwrap_or(0), inputs)
                .map_err(|e| named("client", client, &e))?,
        };
        let number = port.number();
        self.guard(number).map_err(|e| named("client", Some(number), &e))?;
        self.sets.push(Installed { number: set, port, traffic: Vec::new(), suite: None });
        Ok((number, server_port))
    }

    /// Lets nothing in clear through a port.
    fn guard(&mut self, port: u16) -> io::Result<()> {
        let policies = guard(SocketAddr::new(self.local, port));
        let guarded = policies.iter().try_for_each(|policy| self.xfrm.update_policy(policy));
        if guarded.is_err() {
            // the port is not used: what is told is why it is not
            let _ = self.unguard(port);
        }
        guarded
    }

    /// Closes a port and takes its guard away, in this order: what the kernel says as it closes does not leave in clear.
    fn close(&mut self, port: Port) -> io::Result<()> {
        let number = port.number();
        port.close();
        self.unguard(number)
    }

    fn unguard(&mut self, port: u16) -> io::Result<()> {
        let policies = guard(SocketAddr::new(self.local, port));
        let removed = policies.iter().map(|policy| self.xfrm.delete_policy(policy).map(drop));
        removed.fold(Ok(()), Result::and)
    }

    /// Installs a set; one that it replaces is removed before.
    pub fn install(&mut self, wanted: Installation) -> Result<(), String> {
        let (local, pcscf, reqid) = (self.local, self.pcscf, self.take_reqid());
        let set = self.sets.iter_mut().find(|s| s.number == wanted.number).ok_or("the set has no ports")?;
        if !set.traffic.is_empty() {
            self.xfrm.remove(&set.traffic).map_err(|e| e.to_string())?;
            set.traffic.clear();
        }
        let mut traffic = Vec::new();
        for (at, way) in wanted.ways.iter().enumerate() {
            let (own, their) = (SocketAddr::new(local, way.ours), SocketAddr::new(pcscf, way.theirs));
            let (direction, from, to) = match way.is_outgoing {
                true => (Direction::Out, own, their),
                false => (Direction::In, their, own),
            };
            traffic.push(Traffic { direction, from, to, spi: way.spi, reqid: reqid + at as u32 / 2 });
        }
        let protection = protection(wanted.suite, &wanted.keys, wanted.lifetime);
        self.xfrm.install(&traffic, &protection).map_err(|e| format!("the kernel refuses: {e}"))?;
        (set.traffic, set.suite) = (traffic, Some((wanted.suite, wanted.keys)));
        Ok(())
    }

    fn take_reqid(&mut self) -> u32 {
        let pairs = (REQIDS.end() - REQIDS.start()).div_ceil(2);
        self.next_reqid = (self.next_reqid + 1) % pairs;
        REQIDS.start() + 2 * self.next_reqid
    }

    /// Lets a set live for so long from now on.
    pub fn extend(&mut self, number: u32, lifetime: Duration) -> Result<(), String> {
        let Some(set) = self.sets.iter().find(|s| s.number == number) else { return Ok(()) };
        let Some((suite, keys)) = &set.suite else { return Ok(()) };
        self.xfrm
            .extend(&set.traffic, &protection(*suite, keys, lifetime))
            .map(drop)
            .map_err(|e| e.to_string())
    }

    /// Removes a set, as far as it is there; its client port is closed later. Whatever the kernel says of one thing, the rest goes
    /// too.
    pub fn remove(&mut self, number: u32) -> Result<(), String> {
        let Some(at) = self.sets.iter().position(|s| s.number == number) else { return Ok(()) };
        let set = self.sets.remove(at);
        let removed = self.xfrm.remove(&set.traffic).map(drop);
        self.left.push_back(set.port);
        let closed = self.close_left(MOST_LEFT);
        removed.and(closed).map_err(|e| e.to_string())
    }

    /// Closes ports that are left until there are no more than so many.
    fn close_left(&mut self, most: usize) -> io::Result<()> {
        let mut closed = Ok(());
        while self.left.len() > most {
            let Some(port) = self.left.pop_front() else { break };
            closed = closed.and(self.close(port));
        }
        closed
    }

    /// Takes no connections at the server port any more.
    pub fn stop_listening(&mut self) {
        if let Some(port) = &mut self.server {
            port.stop_listening();
        }
    }

    /// Removes everything: the end. Guards go last.
    pub fn remove_all(&mut self) -> Result<(), String> {
        let numbers: Vec<u32> = self.sets.iter().map(|s| s.number).collect();
        let removed = numbers.into_iter().map(|number| self.remove(number)).fold(Ok(()), Result::and);
        let closed = self.close_left(0);
        let unguarded = self.server.take().map_or(Ok(()), |port| self.close(port));
        removed.and(closed.and(unguarded).map_err(|e| e.to_string()))
    }

    /// The client port of a set.
    pub fn client_port(&self, number: u32) -> Option<u16> {
        self.sets.iter().find(|s| s.number == number).map(|s| s.port.number())
    }

    /// The UDP socket of a protected port.
    pub fn socket(&self, port: u16) -> Option<&UdpSocket> {
        let all = self.sets.iter().map(|s| &s.port).chain(&self.server);
        all.into_iter().find(|p| p.number() == port).map(Port::socket)
    }

    /// The set as the kernel has it: a line for each association with its packets.
    pub fn describe(&mut self, set: &Set) -> String {
        let mut text = String::new();
        let Some(installed) = self.sets.iter().find(|s| s.number == set.number) else { return text };
        for traffic in installed.traffic.clone() {
            let direction = if traffic.direction == Direction::Out { "out" } else { "in " };
            let counters = match self.xfrm.get_state(&traffic.state_id(), Bound::default()) {
                Ok(Some(info)) => {
                    let c = info.counters;
                    let bad = match (c.replayed, c.integrity_failed) {
                        (0, 0) => String::new(),
                        (replayed, wrong) => {
                            format!(", {replayed} replayed, {wrong} with a wrong check value")
                        }
                    };
                    format!("{} packets, {} octets{bad}", c.packets, c.octets)
                }
                Ok(None) => "not in the kernel any more".to_owned(),
                Err(e) => e.to_string(),
            };
            text += &format!(
                "\n  {direction} {} -> {}, SPI {}: {counters}",
                traffic.from, traffic.to, traffic.spi
            );
        }
        text
    }
}

fn protection(suite: Suite, keys: &Keys, lifetime: Duration) -> Protection<'_> {
    Protection { algorithms: algorithms(suite, keys), lifetime: Lifetime::hard(lifetime) }
}

fn algorithms(suite: Suite, keys: &Keys) -> Algorithms<'_> {
    match suite.transform() {
        Transform::Separate { integrity, icv_bits, encryption } => Algorithms::Separate {
            integrity,
            integrity_key: keys.integrity.as_bytes(),
            icv_bits: Some(icv_bits),
            encryption,
            encryption_key: keys.encryption.as_bytes(),
        },
        Transform::Aead { name, icv_bits } => Algorithms::Aead { name, key: keys.aead.as_bytes(), icv_bits },
    }
}
