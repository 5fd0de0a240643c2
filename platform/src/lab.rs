//! What tests of packets on a wire need: network namespaces to stand for machines, and a look at the wire between them.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
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
        Ok(Tap { fd })
    }

    /// The frames seen since the last call, from the Ethernet header on; at most 4 KiB of each.
    pub fn take(&mut self) -> io::Result<Vec<Vec<u8>>> {
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
