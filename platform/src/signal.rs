//! Signals as a descriptor (signalfd): they are read like any other input, never interrupt anything.

use std::io;
use std::mem::{MaybeUninit, size_of, zeroed};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr::null_mut;

/// A signal that the program acts on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signal {
    /// SIGINT: Ctrl-C.
    Interrupt,
    /// SIGTERM: the service manager stops us.
    Terminate,
    /// SIGHUP: reload, or the terminal has gone.
    Hangup,
    /// SIGUSR1.
    User1,
    /// SIGUSR2.
    User2,
}

impl Signal {
    const ALL: [(Signal, i32); 5] = [
        (Signal::Interrupt, libc::SIGINT),
        (Signal::Terminate, libc::SIGTERM),
        (Signal::Hangup, libc::SIGHUP),
        (Signal::User1, libc::SIGUSR1),
        (Signal::User2, libc::SIGUSR2),
    ];

    fn number(self) -> i32 {
        Self::ALL.iter().find(|(s, _)| *s == self).expect("all are listed").1
    }

    /// The usual name.
    pub const fn name(self) -> &'static str {
        match self {
            Signal::Interrupt => "SIGINT",
            Signal::Terminate => "SIGTERM",
            Signal::Hangup => "SIGHUP",
            Signal::User1 => "SIGUSR1",
            Signal::User2 => "SIGUSR2",
        }
    }
}

/// Keeps these signals from being delivered to the calling thread and to the threads it starts from now on, so that a [`SignalFd`]
/// can take them. To be called before the first thread is started: a thread without the block would take the signal, and the
/// program would end.
pub fn block(signals: &[Signal]) -> io::Result<()> {
    let set = set_of(signals);
    // SAFETY: `set` is initialised and lives through the call; the old mask is not asked for.
    let rc = unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, null_mut()) };
    if rc == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(rc)) }
}

/// Sends a signal to the calling thread alone.
pub fn raise(signal: Signal) -> io::Result<()> {
    // SAFETY: no memory is passed; `raise` addresses the calling thread.
    let rc = unsafe { libc::raise(signal.number()) };
    if rc == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Waits until one of these signals comes, which have to be blocked in all threads ([`block`]); for a thread that does nothing else.
pub fn wait(signals: &[Signal]) -> io::Result<Signal> {
    let (set, mut number) = (set_of(signals), 0);
    // SAFETY: `set` is initialised, `number` takes the signal; both live through the call.
    let rc = unsafe { libc::sigwait(&raw const set, &raw mut number) };
    if rc != 0 {
        return Err(io::Error::from_raw_os_error(rc));
    }
    let (signal, _) =
        Signal::ALL.iter().find(|(_, n)| *n == number).expect("only signals of the set are waited for");
    Ok(*signal)
}

fn set_of(signals: &[Signal]) -> libc::sigset_t {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigemptyset initialises the set, sigaddset then adds valid signal numbers to it; neither can fail on these.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for signal in signals {
            libc::sigaddset(set.as_mut_ptr(), signal.number());
        }
        set.assume_init()
    }
}

/// A descriptor that is readable when a signal has come.
#[derive(Debug)]
pub struct SignalFd(OwnedFd);

impl SignalFd {
    /// Blocks these signals in the calling thread ([`block`]) and takes them from now on.
    pub fn new(signals: &[Signal]) -> io::Result<Self> {
        block(signals)?;
        let set = set_of(signals);
        // SAFETY: `set` is initialised and lives through the call; -1 asks for a new descriptor.
        let fd = unsafe { libc::signalfd(-1, &raw const set, libc::SFD_NONBLOCK | libc::SFD_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor has just been opened and nobody else knows it.
        Ok(SignalFd(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// The next signal that has come, if any.
    pub fn read(&self) -> io::Result<Option<Signal>> {
        // SAFETY: signalfd_siginfo is plain integers, for which all-zero is valid.
        let mut info: libc::signalfd_siginfo = unsafe { zeroed() };
        let size = size_of::<libc::signalfd_siginfo>();
        // SAFETY: the kernel writes at most `size` octets, the size of `info`, which lives through the call.
        let n = unsafe { libc::read(self.0.as_raw_fd(), (&raw mut info).cast(), size) };
        if n < 0 {
            let error = io::Error::last_os_error();
            let nothing = matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted);
            return if nothing { Ok(None) } else { Err(error) };
        }
        Ok(Signal::ALL.iter().find(|(_, number)| *number as u32 == info.ssi_signo).map(|(s, _)| *s))
    }
}

impl AsFd for SignalFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_read_instead_of_ending_the_program() {
        let fd = SignalFd::new(&[Signal::Terminate, Signal::User1]).unwrap();
        assert_eq!(fd.read().unwrap(), None);
        raise(Signal::Terminate).unwrap();
        assert_eq!(fd.read().unwrap(), Some(Signal::Terminate));
        raise(Signal::User1).unwrap();
        assert_eq!(fd.read().unwrap().map(Signal::name), Some("SIGUSR1"));
        assert_eq!(fd.read().unwrap(), None);
    }

    #[test]
    fn a_thread_may_wait_for_a_signal() {
        let signals = [Signal::Hangup, Signal::User2];
        block(&signals).unwrap();
        for signal in signals {
            raise(signal).unwrap();
            assert_eq!(wait(&signals).unwrap(), signal);
        }
    }
}
