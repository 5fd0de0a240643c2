//! The phone's protected ports: UDP and TCP at the server port, which stays, and a UDP port for each set's client port.

use super::Input;
use super::net::DATAGRAM;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
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
        Ok(Port { socket, number, is_closed, reader: Some(reader) })
    }

    /// Its number.
    pub fn number(&self) -> u16 {
        self.number
    }

    /// Closes it, and waits until its reader has let go of it: a guard is needed until then.
    pub fn close(mut self) {
        self.is_closed.store(true, Ordering::Relaxed);
        // it looks every CLOSED_WITHIN
        let _ = self.reader.take().map(JoinHandle::join);
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

/// Opens the server port, or any for 0, for UDP and TCP; it is there until the program ends.
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
    let opened = Port::of(socket, inputs)?;
    let send = inputs.clone();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            if send.send(Input::Connected(stream, true)).is_err() {
                return;
            }
        }
    });
    Ok(opened)
}

/// Whether nobody has this UDP port: what an earlier run left in the kernel for it is of no use to anybody.
pub fn is_free(address: SocketAddr) -> bool {
    UdpSocket::bind(address).is_ok()
}
