//! Unix stream sockets whose file is never, not even for a moment, open to others than its mode says.

use std::ffi::OsStr;
use std::io;
use std::mem::{offset_of, size_of};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixListener;
use std::path::Path;

/// Listens at `path`, a file that must not exist yet and gets `mode` (less the umask). Non-blocking.
pub fn listen(path: &Path, mode: u32) -> io::Result<UnixListener> {
    // SAFETY: no memory is passed.
    let fd = unsafe {
        libc::socket(libc::AF_UNIX, libc::SOCK_STREAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC, 0)
    };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor has just been opened and nobody else knows it.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    // Linux gives the file that bind makes the mode of the socket's own inode.
    // SAFETY: no memory is passed; the descriptor is open.
    if unsafe { libc::fchmod(fd.as_raw_fd(), mode as libc::mode_t) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let (raw, len) = raw_path(path.as_os_str())?;
    // SAFETY: pointer and length are those of `raw`, which lives through the call; the descriptor is open.
    if unsafe { libc::bind(fd.as_raw_fd(), (&raw const raw).cast(), len) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: no memory is passed; the descriptor is open.
    if unsafe { libc::listen(fd.as_raw_fd(), 16) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(UnixListener::from(fd))
}

fn raw_path(path: &OsStr) -> io::Result<(libc::sockaddr_un, libc::socklen_t)> {
    let mut raw = libc::sockaddr_un { sun_family: libc::AF_UNIX as libc::sa_family_t, sun_path: [0; 108] };
    let octets = path.as_bytes();
    if octets.is_empty() || octets.len() >= raw.sun_path.len() || octets.contains(&0) {
        let why = format!("a socket's path has 1 to {} octets and no NUL", raw.sun_path.len() - 1);
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    for (to, from) in raw.sun_path.iter_mut().zip(octets) {
        *to = *from as libc::c_char;
    }
    let len = offset_of!(libc::sockaddr_un, sun_path) + octets.len() + 1;
    debug_assert!(len <= size_of::<libc::sockaddr_un>());
    Ok((raw, len as libc::socklen_t))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixStream;

    #[test]
    fn the_file_is_private_and_takes_connections() {
        let path = std::env::temp_dir().join(format!("imsbox-listen-{}", std::process::id()));
        let listener = listen(&path, 0o600).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let client = UnixStream::connect(&path).unwrap();
        listener.accept().unwrap();
        drop(client);
        assert_eq!(listen(&path, 0o600).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_path_that_does_not_fit_is_refused() {
        let long = "x".repeat(108);
        for path in ["", &long, "a\0b"] {
            assert_eq!(listen(Path::new(path), 0o600).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        }
    }
}
