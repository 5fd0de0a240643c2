//! The service manager's notification socket and watchdog (sd_notify(3), sd_watchdog_enabled(3)).

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// The service manager, if we run under one.
#[derive(Debug)]
pub struct Notifier {
    socket: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
}

impl Notifier {
    /// Reads `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID`. Without them, every message goes nowhere.
    pub fn from_env() -> io::Result<Self> {
        let text = |name| env::var(name).ok();
        let watchdog = watchdog(text("WATCHDOG_USEC"), text("WATCHDOG_PID"), std::process::id());
        Self::new(env::var_os("NOTIFY_SOCKET").as_deref(), watchdog)
    }

    /// A notifier for the socket at `path` (`@name` is an abstract one) whose manager wants a sign of life every `watchdog`.
    pub fn new(path: Option<&OsStr>, watchdog: Option<Duration>) -> io::Result<Self> {
        let socket = match path.map(OsStr::as_bytes) {
            None | Some([]) => None,
            Some([b'@', name @ ..]) => Some(SocketAddr::from_abstract_name(name)?),
            Some(path) => Some(SocketAddr::from_pathname(OsStr::from_bytes(path))?),
        };
        let socket = match socket {
            None => None,
            Some(addr) => {
                let socket = UnixDatagram::unbound()?;
                socket.set_nonblocking(true)?;
                Some((socket, addr))
            }
        };
        Ok(Notifier { watchdog: watchdog.filter(|_| socket.is_some()), socket })
    }

    /// How often [`Notifier::alive`] must be called, at least; `None`: never.
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// The service is up; `status` is one line for people.
    pub fn ready(&self, status: &str) -> io::Result<()> {
        self.send(&format!("READY=1\nSTATUS={status}\n"))
    }

    /// The service is going down.
    pub fn stopping(&self) -> io::Result<()> {
        self.send("STOPPING=1\n")
    }

    /// The loop is turning.
    pub fn alive(&self) -> io::Result<()> {
        self.send("WATCHDOG=1\n")
    }

    fn send(&self, message: &str) -> io::Result<()> {
        match &self.socket {
            Some((socket, addr)) => socket.send_to_addr(message.as_bytes(), addr).map(drop),
            None => Ok(()),
        }
    }
}

/// The watchdog's interval, when it is meant for the process `pid`.
fn watchdog(usec: Option<String>, pid: Option<String>, own_pid: u32) -> Option<Duration> {
    let usec: u64 = usec?.parse().ok().filter(|u| *u > 0)?;
    let is_ours = pid.is_none_or(|p| p.parse() == Ok(own_pid));
    is_ours.then_some(Duration::from_micros(usec))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receive(socket: &UnixDatagram) -> String {
        let mut buf = [0; 256];
        let n = socket.recv(&mut buf).unwrap();
        String::from_utf8(buf[..n].to_vec()).unwrap()
    }

    #[test]
    fn messages_reach_an_abstract_and_a_named_socket() {
        let name = format!("imsbox-notify-{}", std::process::id());
        let path = env::temp_dir().join(&name);
        let named = UnixDatagram::bind(&path).unwrap();
        let abstracted = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        let at_name = format!("@{name}");
        for (given, socket) in [(path.as_os_str(), &named), (OsStr::new(&at_name), &abstracted)] {
            let notifier = Notifier::new(Some(given), Some(Duration::from_secs(1))).unwrap();
            assert_eq!(notifier.watchdog(), Some(Duration::from_secs(1)));
            notifier.ready("2 users").unwrap();
            assert_eq!(receive(socket), "READY=1\nSTATUS=2 users\n");
            notifier.alive().unwrap();
            assert_eq!(receive(socket), "WATCHDOG=1\n");
            notifier.stopping().unwrap();
            assert_eq!(receive(socket), "STOPPING=1\n");
        }
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn without_a_manager_nothing_is_sent_and_no_watchdog_runs() {
        let notifier = Notifier::new(None, Some(Duration::from_secs(1))).unwrap();
        assert_eq!(notifier.watchdog(), None);
        notifier.ready("").unwrap();
    }

    #[test]
    fn the_watchdog_of_another_process_is_not_ours() {
        let text = |t: &str| Some(t.to_owned());
        assert_eq!(watchdog(text("2000000"), None, 7), Some(Duration::from_secs(2)));
        assert_eq!(watchdog(text("2000000"), text("7"), 7), Some(Duration::from_secs(2)));
        assert_eq!(watchdog(text("2000000"), text("8"), 7), None);
        assert_eq!(watchdog(text("0"), None, 7), None);
        assert_eq!(watchdog(text("x"), None, 7), None);
        assert_eq!(watchdog(None, None, 7), None);
    }
}
