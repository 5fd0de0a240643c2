//! The clocks: one that never jumps and counts suspended time too, and the wall clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Time since boot, suspended time included (`CLOCK_BOOTTIME`): a registration also ages while a laptop sleeps.
pub fn boot_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes one timespec, which lives through the call.
    let rc = unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut time) };
    assert_eq!(rc, 0, "CLOCK_BOOTTIME exists since Linux 2.6.39");
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Microseconds since 1970-01-01T00:00:00Z; negative before.
pub fn unix_micros() -> i64 {
    let micros = |d: Duration| i64::try_from(d.as_micros()).unwrap_or(i64::MAX);
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => micros(since),
        Err(before) => -micros(before.duration()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boot_time_never_goes_back() {
        let mut last = boot_time();
        assert!(!last.is_zero());
        for _ in 0..1000 {
            let now = boot_time();
            assert!(now >= last);
            last = now;
        }
    }

    #[test]
    fn wall_time_is_in_this_century() {
        assert!(unix_micros() > 1_700_000_000_000_000);
    }
}
