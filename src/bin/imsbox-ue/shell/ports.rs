//! The phone's protected ports: UDP and TCP at the server port, which stays, and a UDP port for each set's client port.

use super::Input;
use super::net::DATAGRAM;
use std::io;
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How often another port is tried where UDP and TCP have to be free at once.
const TRIES: usize = 50;
/// How soon a port is free after it was closed: its reader looks so often.
const CLOSED_WITHIN: Duration = Duration::from_millis(200);

/// A UDP port that is read until it is dropped.
#[derive(Debug)]
pub struct Port {
    socket: UdpSocket,
    number: u16,
    is_closed: Arc<AtomicBool>,
    reader: Option<JoinHandle<()>>,
    acceptor: Option<Acceptor>,
}

impl Port {
    /// Opens a port, or any for 0.
    pub fn open(ip: IpAddr, port: u16, inputs: &Sender<Input>) -> io::Result<Port> {
        Port::of(UdpSocket::bind((ip, port))?, inputs)
    }

    fn of(socket: UdpSocket, inputs: &Sender<Input>) -> io::Result<Port> {
        let number = socket.local_addr()?.port();
        socket.set_read_timeout(Some(CLOSED_WITHIN))?;
        let is_closed = Arc::new(AtomicBool::new(false));
        let (reader, ends, send) = (socket.try_clone()?, is_closed.clone(), inputs.clone());
        let reader = thread::spawn(move || {
            let mut buffer = vec![0; DATAGRAM];
            while !ends.load(Ordering::Relaxed) {
                // no datagram for a while, or an error of one
                let Ok((len, from)) = reader.recv_from(&mut buffer) else { continue };
                if send.send(Input::Protected(number, from, buffer[..len].to_vec())).is_err() {
                    return;
                }
            }
        });
        Ok(Port { socket, number, is_closed, reader: Some(reader), acceptor: None })
    }

    /// Its number.
    pub fn number(&self) -> u16 {
        self.number
    }

    /// Closes it, and waits until its reader has let go of it: a guard is needed until then.
    pub fn close(mut self) {
        self.stop_listening();
        self.is_closed.store(true, Ordering::Relaxed);
        // it looks every CLOSED_WITHIN
        let _ = self.reader.take().map(JoinHandle::join);
    }

    /// Takes no connections any more, and resets those that nobody has taken yet.
    pub fn stop_listening(&mut self) {
        if let Some(Acceptor { listener, thread }) = self.acceptor.take() {
            // without that, it could not be woken from its wait
            if stop(&listener).is_ok() {
                let _ = thread.join();
            }
        }
    }

    /// The socket to send by.
    pub fn socket(&self) -> &UdpSocket {
        &self.socket
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.is_closed.store(true, Ordering::Relaxed);
    }
}

/// What takes the connections of a server port.
#[derive(Debug)]
struct Acceptor {
    listener: TcpListener,
    thread: JoinHandle<()>,
}

impl Acceptor {
    fn start(listener: TcpListener, inputs: &Sender<Input>) -> io::Result<Acceptor> {
        let (accepting, send) = (listener.try_clone()?, inputs.clone());
        let thread = thread::spawn(move || {
            for stream in accepting.incoming().map_while(Result::ok) {
                if send.send(Input::Connected(stream, true)).is_err() {
                    return;
                }
            }
        });
        Ok(Acceptor { listener, thread })
    }
}

/// Ends the listening of all holders of a listener, who wake with an error; what waits to be accepted is reset (listen(2), shutdown(2)).
fn stop(listener: &TcpListener) -> io::Result<()> {
    TcpStream::from(OwnedFd::from(listener.try_clone()?)).shutdown(Shutdown::Both)
}

/// Opens the server port, or any for 0, for UDP and TCP.
pub fn open_server(ip: IpAddr, port: u16, inputs: &Sender<Input>) -> io::Result<Port> {
    let mut tried = 1;
    let (socket, listener) = loop {
        let both = UdpSocket::bind((ip, port)).and_then(|udp| {
            let tcp = TcpListener::bind(udp.local_addr()?)?;
            Ok((udp, tcp))
        });
        match both {
            Ok(both) => break both,
            Err(e) if port != 0 || tried == TRIES => return Err(e),
            Err(_) => tried += 1,
        }
    };
    let mut opened = Port::of(socket, inputs)?;
    opened.acceptor = Some(Acceptor::start(listener, inputs)?);
    Ok(opened)
}

/// Whether nobody has this UDP port: what an earlier run left in the kernel for it is of no use to anybody.
pub fn is_free(address: SocketAddr) -> bool {
    UdpSocket::bind(address).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{ErrorKind, Read as _};
    use std::net::Ipv4Addr;
    use std::sync::mpsc::channel;

    /// Long enough for the most loaded machine: only a failure waits for it.
    const PATIENCE: Duration = Duration::from_secs(60);

    fn connect(to: SocketAddr) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(to)?;
        stream.set_read_timeout(Some(PATIENCE)).map(|()| stream)
    }

    fn is_reset(mut stream: TcpStream) -> bool {
        stream.read(&mut [0; 8]).is_err_and(|e| e.kind() == ErrorKind::ConnectionReset)
    }

    #[test]
    fn a_listener_that_is_stopped_resets_what_it_has_not_accepted_and_wakes_who_waits_for_more() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let at = listener.local_addr().unwrap();
        let waits = connect(at).unwrap();
        stop(&listener).unwrap();
        assert!(is_reset(waits));
        assert_eq!(connect(at).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        // although somebody holds it
        assert!(listener.accept().is_err());
    }

    #[test]
    fn a_closed_server_port_listens_no_more() {
        let (inputs, arrived) = channel();
        let port = open_server(Ipv4Addr::LOCALHOST.into(), 0, &inputs).unwrap();
        let at = SocketAddr::from((Ipv4Addr::LOCALHOST, port.number()));
        let phone = connect(at).unwrap();
        let Ok(Input::Connected(taken, true)) = arrived.recv_timeout(PATIENCE) else {
            panic!("no connection")
        };
        port.close();
        assert_eq!(connect(at).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        assert!(is_free(at));
        // what was accepted is its taker's
        assert_eq!(
            (taken.peer_addr().unwrap(), phone.peer_addr().unwrap()),
            (phone.local_addr().unwrap(), at)
        );
    }
}
