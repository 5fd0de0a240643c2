//! The terminal's modes: saved before a line editor changes them, put back however the program ends.

use std::io::{self, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

/// Whether this process may read from the terminal `fd` without being stopped: it is not a shell's background job.
pub fn is_foreground(fd: BorrowedFd<'_>) -> bool {
    // SAFETY: no memory is passed; the descriptor is open. On what is no terminal tcgetpgrp gives -1, which is no group.
    unsafe { libc::tcgetpgrp(fd.as_raw_fd()) == libc::getpgrp() }
}

/// The modes a terminal had; put back when dropped.
#[derive(Debug)]
pub struct SavedTerminal {
    fd: OwnedFd,
    modes: Modes,
}

/// A termios, which has no Debug of its own.
struct Modes(libc::termios);

impl std::fmt::Debug for Modes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("termios")
    }
}

impl SavedTerminal {
    /// The present modes of the terminal `fd`; fails when it is none.
    pub fn save(fd: BorrowedFd<'_>) -> io::Result<SavedTerminal> {
        let fd = fd.try_clone_to_owned()?;
        let mut modes = MaybeUninit::<libc::termios>::uninit();
        // SAFETY: the kernel writes one termios to the pointer, which is valid for that; the descriptor is open.
        if unsafe { libc::tcgetattr(fd.as_raw_fd(), modes.as_mut_ptr()) } != 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: tcgetattr succeeded, so it has filled the structure in.
        let modes = Modes(unsafe { modes.assume_init() });
        Ok(SavedTerminal { fd, modes })
    }
}

impl Drop for SavedTerminal {
    fn drop(&mut self) {
        // SAFETY: the termios was filled in by tcgetattr and lives through the call; the descriptor is open.
        let rc = unsafe { libc::tcsetattr(self.fd.as_raw_fd(), libc::TCSADRAIN, &raw const self.modes.0) };
        if rc == 0 {
            // line editors switch bracketed paste on; off is harmless when it was not
            let _ = std::fs::File::from(match self.fd.try_clone() {
                Ok(fd) => fd,
                Err(_) => return,
            })
            .write_all(b"\x1b[?2004l");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn what_is_no_terminal_is_refused() {
        let file = std::fs::File::open("/dev/null").unwrap();
        assert!(SavedTerminal::save(file.as_fd()).is_err());
        assert!(!is_foreground(file.as_fd()));
    }
}
