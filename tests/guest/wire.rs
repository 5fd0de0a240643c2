//! Two machines whose kernels have agreed, without any SIP: what passes between them, and how it looks on the wire.
//!
//! One machine stands for the P-CSCF, the other for the phone; each has states and policies of its own, as two real ones have.

use crate::network::{Link, Machine, Network, PATIENCE, SILENCE};
use imsbox::proto::sip::sec_agree::{self, Keys, Parameters, Suite, Transform, associations};
use platform::lab::Tap;
use platform::xfrm::{Algorithms, Direction, Lifetime, Protection, Traffic};
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, UdpSocket};
use std::os::fd::AsFd;

/// What every message carries, to be looked for on the wire.
pub const TEXT: &[u8] = b"REGISTER sip:ims.mnc001.mcc001.3gppnetwork.org SIP/2.0";

pub const CK: [u8; 16] = *b"cipher key of AK";
pub const IK: [u8; 16] = *b"integrity key AK";

/// Both machines, the wire between them, and numbers that were not used before.
pub struct Pair {
    pub core: Machine,
    pub phone: Machine,
    pub tap: Tap,
    number: u16,
}

/// One agreement as each side has it in its kernel.
pub struct Agreed {
    pub core: [Traffic; 4],
    pub phone: [Traffic; 4],
}

impl Pair {
    /// Two machines for a test of that name.
    pub fn new(name: &str) -> Pair {
        let Network { core, mut phones } = Network::new(name, 1);
        let Link { phone, tap } = phones.remove(0);
        Pair { core, phone, tap, number: 0 }
    }

    /// The core's address and the phone's.
    pub fn addresses(&self, v6: bool) -> (IpAddr, IpAddr) {
        if v6 { (self.core.v6, self.phone.v6) } else { (self.core.v4, self.phone.v4) }
    }

    /// An agreement with SPIs, ports and numbers that no other has.
    pub fn agree(&mut self, v6: bool) -> Agreed {
        self.number += 1;
        let (core, phone) = self.addresses(v6);
        let side = |from: u32| {
            let first = from + 2 * u32::from(self.number);
            let port = first as u16;
            Parameters { spi_c: 0x1000_0000 + first, spi_s: first, port_c: port, port_s: port + 1 }
        };
        let reqid = 0x0100_0000 + 2 * u32::from(self.number);
        let all = associations(phone, &side(30_000), core, &side(10_000));
        let traffic = |inward: Direction, outward: Direction| {
            let mut index = 0;
            all.map(|a| {
                let direction = match a.direction {
                    sec_agree::Direction::In => inward,
                    sec_agree::Direction::Out => outward,
                };
                index += 1;
                Traffic { direction, from: a.from, to: a.to, spi: a.spi, reqid: reqid + (index - 1) / 2 }
            })
        };
        Agreed { core: traffic(Direction::In, Direction::Out), phone: traffic(Direction::Out, Direction::In) }
    }

    /// Puts an agreement into both kernels.
    pub fn install(&mut self, agreed: &Agreed, suite: Suite) {
        let keys = suite.keys(&CK, &IK);
        self.core.xfrm.install(&agreed.core, &protection(suite, &keys, Lifetime::ENDLESS)).unwrap();
        self.phone.xfrm.install(&agreed.phone, &protection(suite, &keys, Lifetime::ENDLESS)).unwrap();
    }

    /// Takes it out again, whole.
    pub fn remove(&mut self, agreed: &Agreed) {
        for (machine, set) in [(&mut self.core, &agreed.core), (&mut self.phone, &agreed.phone)] {
            let removed = machine.xfrm.remove(set).unwrap();
            assert_eq!((removed.states, removed.policies), (4, 4));
        }
    }

    /// Sends UDP each way that it is used: requests from the phone, requests to it, and its responses.
    pub fn exchange_udp(&self, agreed: &Agreed) {
        let [to_server, _, to_phone, to_client] = agreed.core;
        let (ps, pc) = (self.core.udp(to_server.to), self.core.udp(to_client.to));
        let (uc, us) = (self.phone.udp(to_server.from), self.phone.udp(to_client.from));
        for (from, to, port) in [(&uc, &ps, to_server.to), (&pc, &us, to_phone.to), (&us, &pc, to_client.to)]
        {
            from.send_to(TEXT, port).unwrap();
            let mut buffer = [0; 100];
            let (len, sender) = to.recv_from(&mut buffer).unwrap_or_else(|e| panic!("UDP to {port}: {e}"));
            assert_eq!((&buffer[..len], sender), (TEXT, from.local_addr().unwrap()));
        }
    }

    /// Opens a TCP connection each way, and talks both ways on it.
    pub fn exchange_tcp(&self, agreed: &Agreed) {
        let [to_server, _, to_phone, _] = agreed.core;
        for (server, client, traffic) in
            [(&self.core, &self.phone, to_server), (&self.phone, &self.core, to_phone)]
        {
            let listener = server.listen(traffic.to);
            let mut calling = client.say(traffic.from, traffic.to, TEXT);
            let (mut called, from) = listener.accept().unwrap();
            assert_eq!(from, traffic.from);
            called.set_read_timeout(Some(PATIENCE)).unwrap();
            let mut buffer = vec![0; TEXT.len()];
            called.read_exact(&mut buffer).unwrap();
            assert_eq!(buffer, TEXT);
            called.write_all(TEXT).unwrap();
            calling.read_exact(&mut buffer).unwrap();
            assert_eq!(buffer, TEXT);
            // cut, and known to be cut, so that nothing is repeated when the associations are gone
            calling.shutdown(Shutdown::Write).unwrap();
            assert_eq!(called.read(&mut buffer).unwrap(), 0);
            platform::socket::set_abortive(called.as_fd()).unwrap();
            drop(called);
            assert_eq!(calling.read(&mut buffer).unwrap_err().kind(), ErrorKind::ConnectionReset);
        }
    }

    /// Whether a datagram from one machine's port arrives at the other's.
    pub fn gets_through(&self, from: &UdpSocket, to: &UdpSocket) -> bool {
        to.set_read_timeout(Some(SILENCE)).unwrap();
        // a policy that blocks refuses to send at all
        let sent = from.send_to(TEXT, to.local_addr().unwrap()).is_ok();
        sent && to.recv(&mut [0; 100]).is_ok()
    }

    /// The IP packets on the wire since the last call; address resolution left out.
    pub fn packets(&mut self) -> Vec<Packet> {
        self.tap.take().unwrap().iter().filter_map(|frame| Packet::of(frame)).collect()
    }
}

/// An IP packet on the wire.
#[derive(Debug)]
pub struct Packet {
    /// The IP protocol.
    pub protocol: u8,
    /// Whether [`TEXT`] can be read in it.
    pub is_readable: bool,
}

impl Packet {
    fn of(frame: &[u8]) -> Option<Packet> {
        // neighbours and multicast listeners of IPv6: ICMPv6, also behind a hop-by-hop header
        const ICMPV6: [u8; 2] = [58, 0];
        let protocol = match frame.get(12..14)? {
            [0x08, 0x00] => *frame.get(23)?,
            [0x86, 0xdd] => *frame.get(20)?,
            _ => return None,
        };
        let is_readable = frame.windows(TEXT.len()).any(|w| w == TEXT);
        (!ICMPV6.contains(&protocol) || is_readable).then_some(Packet { protocol, is_readable })
    }
}

/// What the kernel is told of a suite.
pub fn protection(suite: Suite, keys: &Keys, lifetime: Lifetime) -> Protection<'_> {
    let algorithms = match suite.transform() {
        Transform::Separate { integrity, icv_bits, encryption } => Algorithms::Separate {
            integrity,
            integrity_key: keys.integrity.as_bytes(),
            icv_bits: Some(icv_bits),
            encryption,
            encryption_key: keys.encryption.as_bytes(),
        },
        Transform::Aead { name, icv_bits } => Algorithms::Aead { name, key: keys.aead.as_bytes(), icv_bits },
    };
    Protection { algorithms, lifetime }
}
