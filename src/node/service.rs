//! The service manager: readiness, and the watchdog's sign of life.

use crate::base::time::{Duration, Instant};
use platform::notify::Notifier;
use std::io;

/// The notifier, and when it must say next that the loop turns.
#[derive(Debug)]
pub struct Service {
    notifier: Notifier,
    next_alive: Option<Instant>,
}

impl Service {
    /// The service manager that the environment names, if any.
    pub fn from_env(now: Instant) -> io::Result<Self> {
        Ok(Self::new(Notifier::from_env()?, now))
    }

    fn new(notifier: Notifier, now: Instant) -> Self {
        let next_alive = notifier.watchdog().map(|interval| now + half(interval));
        Service { notifier, next_alive }
    }

    /// When the loop must turn, only to say that it does. `None` without a watchdog: an idle program sleeps.
    pub fn deadline(&self) -> Option<Instant> {
        self.next_alive
    }

    /// Says that the loop turns, if it is time. A manager that does not listen is its own affair.
    pub fn end_turn(&mut self, now: Instant) {
        if self.next_alive.is_some_and(|at| at <= now) {
            let _ = self.notifier.alive();
            self.next_alive = self.notifier.watchdog().map(|interval| now + half(interval));
        }
    }

    /// Says that the program serves.
    pub fn ready(&self, status: &str) {
        let _ = self.notifier.ready(status);
    }

    /// Says that the program ends.
    pub fn stopping(&self) {
        let _ = self.notifier.stopping();
    }
}

/// sd_watchdog_enabled(3) recommends half the interval.
fn half(interval: Duration) -> Duration {
    interval / 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};

    #[test]
    fn the_watchdog_is_fed_at_half_its_interval_and_not_before() {
        let name = format!("imsbox-service-{}", std::process::id());
        let manager = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        manager.set_nonblocking(true).unwrap();
        let path = format!("@{name}");
        let notifier = Notifier::new(Some(path.as_ref()), Some(Duration::from_secs(10))).unwrap();
        let mut service = Service::new(notifier, Instant::ZERO);
        let at = |secs| Instant::ZERO + Duration::from_secs(secs);
        assert_eq!(service.deadline(), Some(at(5)));
        service.end_turn(at(4));
        let mut buf = [0; 64];
        assert!(manager.recv(&mut buf).is_err());
        service.end_turn(at(6));
        let n = manager.recv(&mut buf).unwrap();
        assert_eq!(&buf[..n], b"WATCHDOG=1\n");
        assert_eq!(service.deadline(), Some(at(11)));
    }

    #[test]
    fn without_a_manager_there_is_no_deadline() {
        let service = Service::new(Notifier::new(None, None).unwrap(), Instant::ZERO);
        assert_eq!(service.deadline(), None);
    }
}
