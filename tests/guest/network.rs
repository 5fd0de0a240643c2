//! Machines and the wires between them: network namespaces, pairs of veth interfaces, a look at what passes.
//!
//! One machine is the IMS; each phone has a wire of its own to it, and reaches the other phones through it.

use platform::lab::{self, Tap};
use platform::xfrm::Xfrm;
use std::fs;
use std::io::Write;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// How long anything may take before the test fails; nothing waits that long when all is well.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// How long nothing must come for it to be taken as lost.
pub const SILENCE: Duration = Duration::from_millis(300);

/// A machine.
pub struct Machine {
    namespace: PathBuf,
    pub v4: IpAddr,
    pub v6: IpAddr,
    pub xfrm: Xfrm,
}

/// A phone and its wire.
pub struct Link {
    pub phone: Machine,
    pub tap: Tap,
}

/// The IMS's machine and the phones'.
pub struct Network {
    pub core: Machine,
    pub phones: Vec<Link>,
}

/// Runs `ip` of iproute2.
pub fn ip(words: &str) {
    let done = Command::new("ip").args(words.split(' ')).output().expect("iproute2 is there");
    assert!(done.status.success(), "ip {words}: {}", String::from_utf8_lossy(&done.stderr));
}

impl Machine {
    fn new(name: &str, v4: &str, v6: &str) -> Machine {
        let namespace = Path::new("/run/netns").join(name);
        let xfrm = lab::within(&namespace, Xfrm::open).unwrap().unwrap();
        Machine { namespace, v4: v4.parse().unwrap(), v6: v6.parse().unwrap(), xfrm }
    }

    /// Runs something on the machine.
    pub fn within<T: Send>(&self, f: impl FnOnce() -> T + Send) -> T {
        lab::within(&self.namespace, f).unwrap()
    }

    /// Starts a program on the machine.
    pub fn spawn(&self, command: &mut Command) -> Child {
        let name = format!("{command:?}");
        self.within(|| command.spawn()).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    /// The address of a version.
    pub fn address(&self, v6: bool) -> IpAddr {
        if v6 { self.v6 } else { self.v4 }
    }

    /// The namespace's name, for `ip`.
    pub fn name(&self) -> &str {
        self.namespace.file_name().and_then(|n| n.to_str()).unwrap()
    }

    pub fn udp(&self, address: SocketAddr) -> UdpSocket {
        let socket = self.within(|| UdpSocket::bind(address)).unwrap_or_else(|e| panic!("{address}: {e}"));
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket
    }

    pub fn listen(&self, address: SocketAddr) -> TcpListener {
        self.within(|| TcpListener::bind(address)).unwrap_or_else(|e| panic!("{address}: {e}"))
    }

    /// Connects from a port and says something; the connection is up then.
    pub fn say(&self, from: SocketAddr, to: SocketAddr, what: &[u8]) -> TcpStream {
        let mut stream = self.within(|| platform::socket::connect_tcp(from, to)).unwrap();
        stream.set_nonblocking(false).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(what).unwrap_or_else(|e| panic!("{from} to {to}: {e}"));
        stream
    }

    /// Nothing of anybody is in its kernel.
    pub fn assert_empty(&mut self) {
        assert_eq!(self.xfrm.states().unwrap(), []);
        assert_eq!(self.xfrm.policies().unwrap(), []);
    }
}

impl Network {
    /// The IMS's machine and so many phones, for a test of that name.
    pub fn new(name: &str, phones: usize) -> Network {
        assert!(Path::new("/guest").is_dir(), "this is not the guest: run it by scripts/test guest");
        let core = format!("{name}-core");
        ip(&format!("netns add {core}"));
        let namespace = |i| format!("{name}-phone{i}");
        (0..phones).for_each(|i| link(&core, &namespace(i), i));
        let core = Machine::new(&core, "10.9.0.1", "fd09::1");
        core.within(|| {
            for knob in ["ipv4/ip_forward", "ipv6/conf/all/forwarding"] {
                fs::write(format!("/proc/sys/net/{knob}"), "1").unwrap();
            }
        });
        let phones = (0..phones).map(|i| {
            let phone = Machine::new(&namespace(i), &format!("10.9.{i}.2"), &format!("fd09:0:0:{i}::2"));
            let tap = core.within(|| Tap::open(&format!("wire{i}"))).unwrap();
            greet(&core, &phone);
            Link { phone, tap }
        });
        Network { phones: phones.collect(), core }
    }
}

/// Lays the wire to a phone, and gives both ends their addresses.
fn link(core: &str, phone: &str, i: usize) {
    ip(&format!("netns add {phone}"));
    ip(&format!("-n {core} link add wire{i} type veth peer name wire netns {phone}"));
    for (namespace, device, last) in [(core, format!("wire{i}"), 1), (phone, "wire".to_owned(), 2)] {
        ip(&format!("-n {namespace} addr add 10.9.{i}.{last}/24 dev {device}"));
        ip(&format!("-n {namespace} addr add fd09:0:0:{i}::{last}/64 dev {device} nodad"));
        ip(&format!("-n {namespace} link set {device} up"));
    }
    // the IMS's own address is that of the first wire
    ip(&format!("-n {phone} route add default via 10.9.{i}.1"));
    ip(&format!("-n {phone} -6 route add default via fd09:0:0:{i}::1"));
}

/// Finds out neighbours' addresses and waits until the interfaces carry packets, which takes a moment after they went up.
fn greet(core: &Machine, phone: &Machine) {
    for v6 in [false, true] {
        let there = core.udp(SocketAddr::new(core.address(v6), 9));
        let here = phone.udp(SocketAddr::new(phone.address(v6), 9));
        there.set_read_timeout(Some(SILENCE)).unwrap();
        let tries = PATIENCE.as_millis() / SILENCE.as_millis();
        let heard = (0..tries).any(|_| {
            let _ = here.send_to(b"hello", there.local_addr().unwrap());
            there.recv(&mut [0; 8]).is_ok()
        });
        assert!(heard, "no packet gets from {} to {}", phone.address(v6), core.address(v6));
    }
}

/// Asks until the answer is yes.
pub fn until(what: &str, mut ask: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    let nobody = UdpSocket::bind("127.0.0.1:0").unwrap();
    nobody.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    while !ask() {
        assert!(Instant::now() < end, "{what}");
        assert!(nobody.recv(&mut [0; 1]).is_err(), "nobody writes here");
    }
}
