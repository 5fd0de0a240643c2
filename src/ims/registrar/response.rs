//! The 200 to a REGISTER (RFC 3261 10.3 step 8, RFC 3327, RFC 3608, RFC 7315 4.1, TS 24.229 5.4.1.2.2F).

use super::{Binding, Registrar};
use crate::base::time::{Instant, UnixTime};
use crate::config::model::Config;
use crate::ims::identity;
use crate::ims::subscriber::{Subscribers, UserId};
use crate::wire::identities::imei_of_instance;
use crate::wire::sip::text::lossy;
use crate::wire::sip::{HeaderId, Message, NameAddr, Writer};
use std::fmt;
use std::io::Write as _;
use std::net::SocketAddr;

/// What the answer is made from.
#[derive(Clone, Copy)]
pub struct Granted<'a> {
    /// The bindings.
    pub registrar: &'a Registrar,
    /// The users.
    pub subscribers: &'a Subscribers,
    /// The configuration.
    pub config: &'a Config,
    /// Whose registration it is.
    pub user: UserId,
    /// Our address on the socket that the request came to.
    pub local: SocketAddr,
    /// The value of Authentication-Info, if there is one.
    pub authentication_info: Option<&'a str>,
    /// Monotonic time.
    pub now: Instant,
    /// Wall-clock time.
    pub wall: UnixTime,
}

impl Granted<'_> {
    /// Writes the headers of a 200 that answers `request`.
    pub fn write(&self, w: &mut Writer<'_>, request: &Message<'_>) {
        let mut registered = false;
        let mut value = Vec::with_capacity(256);
        for (_, binding) in self.registrar.of_user(self.user).filter(|(_, b)| b.expires_at > self.now) {
            registered = true;
            if self.concerns(binding, request) {
                value.clear();
                binding.contact.write(&mut value);
                write!(value, ";expires={}", binding.remaining_secs(self.now))
                    .expect("writing to a Vec cannot fail");
                w.header("Contact", &value);
            }
        }
        self.write_path(w, request);
        if registered {
            let imei = request.contacts().flatten().find_map(instance).and_then(imei_of_instance);
            let identities = identity::associated(self.subscribers.user(self.user), imei.as_deref());
            if !identities.is_empty() {
                w.header_fmt("P-Associated-URI", format_args!("<{}>", identities.join(">, <")));
            }
            // RFC 3608: the route of the UE's own requests leads here, and tells that they are originating
            w.header_fmt("Service-Route", format_args!("<sip:orig@{};lr>", self.local));
        }
        if let Some(info) = self.authentication_info {
            w.header("Authentication-Info", info);
        }
        w.header_fmt("Date", format_args!("{}", HttpDate(self.wall)));
        w.header("Supported", "path");
    }

    /// RFC 3327 5.3: Path values come back as they were received; without any, a UE that supports Path is told ours.
    fn write_path(&self, w: &mut Writer<'_>, request: &Message<'_>) {
        if request.header(HeaderId::Path).is_some() {
            w.copy(request, HeaderId::Path);
            return;
        }
        let path = self.config.registration.path.as_str();
        if path.is_empty() || !request.lists(HeaderId::Supported, "path") {
            return;
        }
        if path.starts_with('<') {
            w.header("Path", path);
        } else {
            w.header_fmt("Path", format_args!("<{}>", own_path(self.config, self.local)));
        }
    }

    /// Phones that share a test SIM each see their own contact.
    fn concerns(&self, binding: &Binding, request: &Message<'_>) -> bool {
        let shared = self.subscribers.user(self.user).multi_sim;
        let asking = || request.contacts().flatten().find_map(instance);
        !shared
            || request.call_id() == Some(&binding.origin.call_id)
            || asking() == binding.contact.instance.as_deref()
    }
}

/// The URI that a phone which has registered knows us by from Path, or without one from Service-Route: the last of the values that
/// `path` has. `local` is where the phone sees us.
pub fn own_path(config: &Config, local: SocketAddr) -> String {
    let path = config.registration.path.as_str();
    if let Some((_, last)) = path.rsplit_once('<') {
        return last.split('>').next().unwrap_or_default().to_owned();
    }
    match path {
        "" => format!("sip:orig@{local};lr"),
        path if path.contains(";lr") => path.to_owned(),
        path => format!("{path};lr"),
    }
}

fn instance<'m>(contact: NameAddr<'m>) -> Option<&'m [u8]> {
    contact.params.get("+sip.instance")
}

/// What the log says a binding is.
#[derive(Clone, Copy, Debug)]
pub struct Described<'a>(pub &'a Binding);

impl fmt::Display for Described<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Binding { contact, flow, .. } = self.0;
        write!(f, "{} at {} {}", lossy(&contact.uri), flow.transport.via_token(), flow.remote)
    }
}

/// A date as in `Sat, 13 Nov 2010 23:29:00 GMT` (RFC 3261 20.17).
#[derive(Clone, Copy, Debug)]
pub struct HttpDate(pub UnixTime);

impl fmt::Display for HttpDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
        const MONTHS: [&str; 12] =
            ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        let secs = self.0.as_secs();
        let (days, second) = (secs.div_euclid(86_400), secs.rem_euclid(86_400));
        let (year, month, day) = civil(days);
        write!(
            f,
            "{}, {day:02} {} {year:04} {:02}:{:02}:{:02} GMT",
            DAYS[days.rem_euclid(7) as usize],
            MONTHS[month - 1],
            second / 3600,
            second / 60 % 60,
            second % 60
        )
    }
}

/// Year, month and day of a day counted from 1970-01-01, in the Gregorian calendar: the days of 400 years are one cycle, and
/// counted from March a year's leap day comes last.
fn civil(days: i64) -> (i64, usize, i64) {
    let since_march_0000 = days + 719_468;
    let era = since_march_0000.div_euclid(146_097);
    let day_of_era = since_march_0000.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month as usize, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        for (secs, text) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (1_289_690_940, "Sat, 13 Nov 2010 23:29:00 GMT"),
            (951_827_696, "Tue, 29 Feb 2000 12:34:56 GMT"),
            (4_107_542_399, "Sun, 28 Feb 2100 23:59:59 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
            (-1, "Wed, 31 Dec 1969 23:59:59 GMT"),
        ] {
            assert_eq!(HttpDate(UnixTime::from_micros(secs * 1_000_000)).to_string(), text);
        }
    }
}
