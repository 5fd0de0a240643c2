//! The terminal's modes: saved before a line editor changes them, put back however the program ends.

use std::io::{self, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

/// Whether this process may read from the terminal `fd` without being stopped: it is not a shell's background job.
pub fn is_foreground(fd: BorrowedFd<'_>) -> bool {
    // SAFETY: no memory is passed; the descriptor is open. On what is no terminal tcgetpgrp gives -1, which is no group.
    unsafe { libc::tcgetpgrp(fd.as_raw_fd()) == libc::getpgrp() }
}

/// The modes a terminal had; put back when dropped. A line that a line editor has begun is ended.
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
        let modes = Modes::of(&fd)?;
        Ok(SavedTerminal { fd, modes })
    }
}

impl Modes {
    fn of(fd: &OwnedFd) -> io::Result<Modes> {
        let mut modes = MaybeUninit::<libc::termios>::uninit();
        // SAFETY: the kernel writes one termios to the pointer, which is valid for that; the descriptor is open.
        if unsafe { libc::tcgetattr(fd.as_raw_fd(), modes.as_mut_ptr()) } != 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: tcgetattr succeeded, so it has filled the structure in.
        Ok(Modes(unsafe { modes.assume_init() }))
    }
}

impl Drop for SavedTerminal {
    fn drop(&mut self) {
        let in_a_line = Modes::of(&self.fd).is_ok_and(|now| now.0.c_lflag != self.modes.0.c_lflag);
        // SAFETY: the termios was filled in by tcgetattr and lives through the call; the descriptor is open.
        let rc = unsafe { libc::tcsetattr(self.fd.as_raw_fd(), libc::TCSADRAIN, &raw const self.modes.0) };
        if rc == 0
            && let Ok(fd) = self.fd.try_clone()
        {
            // line editors switch bracketed paste on; off is harmless when it was not
            let end: &[u8] = if in_a_line { b"\x1b[?2004l\r\n" } else { b"\x1b[?2004l" };
            let _ = std::fs::File::from(fd).write_all(end);
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
