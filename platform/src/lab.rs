//! What tests of packets on a wire need: network namespaces to stand for machines, and a look at the wire between them.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;

/// Runs `f` in the network namespace that the file stands for (`/run/netns/…`), on a thread of its own. Sockets that it opens
/// stay in that namespace.
pub fn within<T: Send>(namespace: &Path, f: impl FnOnce() -> T + Send) -> io::Result<T> {
    let file = File::open(namespace)?;
    std::thread::scope(|scope| {
        let thread = scope.spawn(move || {
            // SAFETY: no memory is passed; the descriptor is open. It is this thread alone that moves, and it ends here.
            if unsafe { libc::setns(file.as_raw_fd(), libc::CLONE_NEWNET) } != 0 {
                return Err(io::Error::last_os_error());
            }
            Ok(f())
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Octets of frames that wait until they are taken, counted as the kernel does (some 800 for a small frame): minutes of a call.
const TAP_BUFFER: libc::c_int = 64 << 20;

/// Everything that comes and goes at a network interface of the calling thread's namespace.
#[derive(Debug)]
pub struct Tap {
    fd: OwnedFd,
}

impl Tap {
    /// Looks at the interface from now on.
    pub fn open(interface: &str) -> io::Result<Tap> {
        let name = CString::new(interface)?;
        // SAFETY: the pointer is that of a string that ends with a zero octet and lives through the call.
        let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
        if index == 0 {
            return Err(io::Error::last_os_error());
        }
        let kind = libc::SOCK_RAW | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
        let protocol = (libc::ETH_P_ALL as u16).to_be();
        // SAFETY: no memory is passed.
        let fd = unsafe { libc::socket(libc::AF_PACKET, kind, 0) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor has just been opened and nobody else knows it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        // SAFETY: sockaddr_ll is plain integers, for which all-zero is valid.
        let mut address: libc::sockaddr_ll = unsafe { zeroed() };
        address.sll_family = libc::AF_PACKET as libc::sa_family_t;
        address.sll_protocol = protocol;
        address.sll_ifindex = index as i32;
        let len = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
        // SAFETY: pointer and length are those of `address`, which lives through the call; the descriptor is open.
        if unsafe { libc::bind(fd.as_raw_fd(), (&raw const address).cast(), len) } != 0 {
            return Err(io::Error::last_os_error());
        }
        crate::sockopt::set(fd.as_fd(), libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, TAP_BUFFER)?;
        Ok(Tap { fd })
    }

    /// The frames seen since the last call, from the Ethernet header on; at most 4 KiB of each. It is an error if one was lost
    /// because the buffer was full: what is missing cannot be said not to have been there.
    pub fn take(&mut self) -> io::Result<Vec<Vec<u8>>> {
        let frames = self.waiting()?;
        match self.lost()? {
            0 => Ok(frames),
            lost => Err(io::Error::other(format!("{lost} frames were lost: take them more often"))),
        }
    }

    /// How many frames were lost since the last call.
    fn lost(&self) -> io::Result<u32> {
        let mut counts = libc::tpacket_stats { tp_packets: 0, tp_drops: 0 };
        let mut len = size_of::<libc::tpacket_stats>() as libc::socklen_t;
        let (level, name) = (libc::SOL_PACKET, libc::PACKET_STATISTICS);
        // SAFETY: pointer and length are those of `counts`, which lives through the call; the descriptor is open.
        let done = unsafe {
            libc::getsockopt(self.fd.as_raw_fd(), level, name, (&raw mut counts).cast(), &raw mut len)
        };
        if done == 0 { Ok(counts.tp_drops) } else { Err(io::Error::last_os_error()) }
    }

    fn waiting(&mut self) -> io::Result<Vec<Vec<u8>>> {
        let mut frames = Vec::new();
        let mut buffer = vec![0u8; 4096];
        loop {
            // SAFETY: pointer and length are those of `buffer`, which lives through the call; the descriptor is open.
            let len = unsafe { libc::recv(self.fd.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), 0) };
            match usize::try_from(len) {
                Ok(len) => frames.push(buffer[..len].to_vec()),
                Err(_) => {
                    let error = io::Error::last_os_error();
                    match error.kind() {
                        io::ErrorKind::WouldBlock => return Ok(frames),
                        io::ErrorKind::Interrupted => {}
                        _ => return Err(error),
                    }
                }
            }
        }
    }
}
