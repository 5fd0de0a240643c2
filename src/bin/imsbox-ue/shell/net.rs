//! The phone's sockets, each with a thread that reads it.

use super::Input;
use super::ipsec::Kernel;
use crate::phone::media::{Stream, Wanted};
use crate::phone::message::Peer;
use crate::settings::{Settings, Transport};
use imsbox::proto::sip::framer::{Frame, Framer};
use std::collections::HashMap;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::sync::mpsc::Sender;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How often another port is tried where two have to be free at once.
const TRIES: usize = 50;
/// How long a connection may take to be made, or to take a message.
const PATIENCE: Duration = Duration::from_secs(5);
/// The most octets of a datagram.
pub const DATAGRAM: usize = 65_535;

/// The sockets.
#[derive(Debug)]
pub struct Net {
    /// Where SIP arrives, over UDP and TCP.
    pub local: SocketAddr,
    /// Where sound arrives.
    pub media: SocketAddr,
    /// The port at which pictures arrive.
    pub video_port: u16,
    sound: Pair,
    pictures: Pair,
    sip: UdpSocket,
    pcscf: SocketAddr,
    transport: Transport,
}

impl Net {
    /// Opens everything and begins to read.
    pub fn open(settings: &Settings, inputs: &Sender<Input>) -> Result<Net, String> {
        let wanted = settings.local.filter(|local| !local.ip().is_unspecified());
        let ip = match wanted {
            Some(local) => local.ip(),
            None => leading_to(settings.pcscf).map_err(|e| format!("no way to {}: {e}", settings.pcscf))?,
        };
        let port = settings.local.map_or(0, |local| local.port());
        let (sip, listener) = signalling(ip, port).map_err(|e| match e.kind() {
            ErrorKind::AddrNotAvailable => format!("this machine has no address {ip}"),
            _ => format!("SIP at {ip} port {port}: {e}"),
        })?;
        let pair = || media_pair(ip).map_err(|e| format!("media at {ip}: {e}"));
        let (sound, pictures) = (pair()?, pair()?);
        let addr = |socket: &UdpSocket| socket.local_addr().map_err(|e| e.to_string());
        let (local, media, video_port) = (addr(&sip)?, addr(&sound.rtp)?, addr(&pictures.rtp)?.port());
        let clone = |socket: &UdpSocket| socket.try_clone().map_err(|e| e.to_string());
        read_datagrams(clone(&sip)?, inputs, |_, from, octets| Input::Datagram(from, octets));
        for (stream, pair) in [(Stream::Audio, &sound), (Stream::Video, &pictures)] {
            let rtp = move |at, from, octets| Input::Rtp(stream, at, from, octets);
            read_datagrams(clone(&pair.rtp)?, inputs, rtp);
            read_datagrams(clone(&pair.rtcp)?, inputs, move |_, _, octets| Input::Rtcp(stream, octets));
        }
        let send = inputs.clone();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if send.send(Input::Connected(stream, false)).is_err() {
                    return;
                }
            }
        });
        Ok(Net {
            local,
            media,
            video_port,
            sound,
            pictures,
            sip,
            pcscf: settings.pcscf,
            transport: settings.transport,
        })
    }

    /// Sends a message; the error says what could not be reached.
    pub fn send(
        &self,
        streams: &mut Streams,
        kernel: Option<&Kernel>,
        peer: Peer,
        octets: &[u8],
    ) -> Result<(), String> {
        let (socket, to) = match (peer, self.transport) {
            (Peer::Server, Transport::Tcp) => return streams.send_to_server(octets),
            (Peer::Stream(number), _) => return streams.send(number, octets),
            (Peer::Protected(Transport::Tcp, port, to), _) => {
                return streams.send_protected(SocketAddr::new(self.local.ip(), port), to, octets);
            }
            (Peer::Protected(Transport::Udp, port, to), _) => {
                let socket = kernel.and_then(|kernel| kernel.socket(port));
                (socket.ok_or("the protected port is closed")?, to)
            }
            (Peer::Server, Transport::Udp) => (&self.sip, self.pcscf),
            (Peer::Udp(to), _) => (&self.sip, to),
        };
        socket.send_to(octets, to).map(drop).map_err(|e| format!("{to}: {e}"))
    }

    /// Sends a packet of media. One that cannot be sent is lost, as it may be anywhere.
    pub fn send_media(&self, stream: Stream, wanted: &Wanted) {
        let pair = if stream == Stream::Audio { &self.sound } else { &self.pictures };
        let _ = match wanted {
            Wanted::Rtp(to, octets) => pair.rtp.send_to(octets, to),
            Wanted::Rtcp(to, octets) => pair.rtcp.send_to(octets, to),
        };
    }

    /// The P-CSCF, for a person.
    pub fn server_name(&self) -> String {
        format!("{} ({})", self.pcscf, self.transport.name())
    }
}

/// The own address on the way to another one. Nothing is sent for that.
fn leading_to(to: SocketAddr) -> std::io::Result<IpAddr> {
    let any: IpAddr = if to.is_ipv4() { [0; 4].into() } else { [0u16; 8].into() };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(to)?;
    Ok(socket.local_addr()?.ip())
}

/// UDP and TCP on one port: a request that is too long for UDP comes over TCP (RFC 3261 18.1.1).
fn signalling(ip: IpAddr, port: u16) -> std::io::Result<(UdpSocket, TcpListener)> {
    again(|| {
        let udp = UdpSocket::bind((ip, port))?;
        let tcp = TcpListener::bind(udp.local_addr()?)?;
        Ok((udp, tcp))
    })
}

/// The sockets of a stream: an even port, and for reports the one above (RFC 3550 11).
#[derive(Debug)]
struct Pair {
    rtp: UdpSocket,
    rtcp: UdpSocket,
}

fn media_pair(ip: IpAddr) -> std::io::Result<Pair> {
    again(|| {
        let rtp = UdpSocket::bind((ip, 0))?;
        let port = rtp.local_addr()?.port();
        if port % 2 == 1 {
            return Err(std::io::Error::other("no even port was free"));
        }
        let rtcp = UdpSocket::bind((ip, port + 1))?;
        Ok(Pair { rtp, rtcp })
    })
}

fn again<T>(mut what: impl FnMut() -> std::io::Result<T>) -> std::io::Result<T> {
    let mut result = what();
    for _ in 1..TRIES {
        if result.is_ok() {
            break;
        }
        result = what();
    }
    result
}

fn read_datagrams(
    socket: UdpSocket,
    inputs: &Sender<Input>,
    make: impl Fn(Instant, SocketAddr, Vec<u8>) -> Input + Send + 'static,
) {
    let send = inputs.clone();
    thread::spawn(move || {
        let mut buffer = vec![0; DATAGRAM];
        loop {
            // an error of one datagram (ICMP) is none of the next
            let Ok((len, from)) = socket.recv_from(&mut buffer) else { continue };
            if send.send(make(Instant::now(), from, buffer[..len].to_vec())).is_err() {
                return;
            }
        }
    });
}

/// Connections, by number.
#[derive(Debug)]
pub struct Streams {
    pcscf: SocketAddr,
    inputs: Sender<Input>,
    open: HashMap<u32, Connection>,
    next: u32,
}

/// A connection and the thread that reads it.
#[derive(Debug)]
struct Connection {
    peer: Peer,
    stream: TcpStream,
    reader: JoinHandle<()>,
}

impl Connection {
    /// Ends it so that its port sends nothing any more: neither a FIN nor what was not confirmed is repeated, which would leave in
    /// clear once the security associations are gone (TS 33.203 7.1).
    fn abort(self) {
        // it may have ended already
        let _ = self.stream.shutdown(Shutdown::Both);
        // the other holder of the socket, which ends now
        let _ = self.reader.join();
    }
}

impl Streams {
    /// None yet.
    pub fn new(pcscf: SocketAddr, inputs: Sender<Input>) -> Streams {
        Streams { pcscf, inputs, open: HashMap::new(), next: 0 }
    }

    /// Where others put what comes in.
    pub fn inputs(&self) -> &Sender<Input> {
        &self.inputs
    }

    /// Takes a connection that somebody has made to us.
    pub fn accept(&mut self, stream: TcpStream, is_protected: bool) {
        let mut peer = Peer::Stream(self.next);
        if is_protected && let (Ok(own), Ok(their)) = (stream.local_addr(), stream.peer_addr()) {
            peer = Peer::Protected(Transport::Tcp, own.port(), their);
        }
        // one that breaks at once is as good as none
        let _ = self.add(peer, stream);
    }

    /// Who is at the other end of a connection.
    pub fn peer(&self, number: u32) -> Peer {
        self.open.get(&number).map_or(Peer::Stream(number), |c| c.peer)
    }

    /// Forgets a connection; who was at its other end.
    pub fn close(&mut self, number: u32) -> Peer {
        self.open.remove(&number).map_or(Peer::Stream(number), |c| c.peer)
    }

    /// Ends what goes out from this protected port.
    pub fn close_from(&mut self, port: u16) {
        self.abort_all(|peer| matches!(peer, Peer::Protected(_, from, _) if from == port));
    }

    /// Ends every connection of a protected port.
    pub fn close_protected(&mut self) {
        self.abort_all(|peer| matches!(peer, Peer::Protected(..)));
    }

    fn abort_all(&mut self, is_it: impl Fn(Peer) -> bool) {
        self.open.extract_if(|_, c| is_it(c.peer)).for_each(|(_, c)| c.abort());
    }

    fn number(&self, peer: Peer) -> Option<u32> {
        self.open.iter().find(|(_, c)| c.peer == peer).map(|(number, _)| *number)
    }

    fn send_to_server(&mut self, octets: &[u8]) -> Result<(), String> {
        let number = match self.number(Peer::Server) {
            Some(number) => number,
            None => {
                let named = |e: std::io::Error| format!("no connection to {}: {e}", self.pcscf);
                let stream = TcpStream::connect_timeout(&self.pcscf, PATIENCE).map_err(named)?;
                self.add(Peer::Server, stream).map_err(|e| e.to_string())?
            }
        };
        self.send(number, octets)
    }

    /// Sends through the connection between these ports, which is made if there is none.
    fn send_protected(&mut self, from: SocketAddr, to: SocketAddr, octets: &[u8]) -> Result<(), String> {
        let peer = Peer::Protected(Transport::Tcp, from.port(), to);
        let number = match self.number(peer) {
            Some(number) => number,
            None => {
                let named =
                    |e: std::io::Error| format!("no connection to {to} from port {}: {e}", from.port());
                let stream = platform::socket::connect_tcp(from, to).map_err(named)?;
                // the first write waits until the connection is there, as long as any write may take
                stream.set_nonblocking(false).map_err(named)?;
                self.add(peer, stream).map_err(named)?
            }
        };
        self.send(number, octets).map_err(|words| format!("{to} from port {}: {words}", from.port()))
    }

    fn send(&mut self, number: u32, octets: &[u8]) -> Result<(), String> {
        let connection = self.open.get_mut(&number).ok_or("the connection has gone")?;
        connection.stream.write_all(octets).map_err(|e| {
            self.close(number);
            format!("the connection is lost: {e}")
        })
    }

    fn add(&mut self, peer: Peer, stream: TcpStream) -> std::io::Result<u32> {
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(PATIENCE))?;
        if matches!(peer, Peer::Protected(..)) {
            platform::socket::set_abortive(stream.as_fd())?;
        }
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        let (readable, send) = (stream.try_clone()?, self.inputs.clone());
        let reader = thread::spawn(move || read_stream(readable, number, &send));
        self.open.insert(number, Connection { peer, stream, reader });
        Ok(number)
    }
}

fn read_stream(mut stream: TcpStream, number: u32, inputs: &Sender<Input>) {
    let mut framer = Framer::new();
    let words = loop {
        match stream.read(framer.room()) {
            Ok(0) => break "the other side has closed the connection".to_owned(),
            Ok(len) => framer.received(len),
            Err(e) => break format!("the connection is lost: {e}"),
        }
        let ended = loop {
            match framer.next_frame() {
                Ok(Some(Frame::Message(octets))) => {
                    if inputs.send(Input::Message(number, octets.to_vec())).is_err() {
                        return;
                    }
                }
                // RFC 5626 4.4.1
                Ok(Some(Frame::Ping)) => {
                    if stream.write_all(b"\r\n").is_err() {
                        break Some("the connection is lost".to_owned());
                    }
                }
                Ok(None) => break None,
                Err(e) => break Some(format!("what comes on the connection is no SIP: {e}")),
            }
        };
        if let Some(words) = ended {
            let _ = stream.shutdown(Shutdown::Both);
            break words;
        }
    };
    // the shell may have ended
    let _ = inputs.send(Input::Closed(number, words));
}
