//! How long a contact is registered (RFC 3261 10.2.1.1, 10.3 step 7, 20.10).

use crate::base::time::Duration;
use crate::config::model::RegistrationSettings;
use crate::wire::sip::Params;
use crate::wire::sip::text::decimal_u64;

/// What is taken for an `expires` parameter that is no number (RFC 3261 20.10).
const MALFORMED_SECS: u64 = 3600;

/// What a contact asks for, after the registrar's own limits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expires {
    /// The binding is to go.
    Remove,
    /// It is granted for this time.
    Granted(Duration),
    /// It is shorter than the registrar takes: 423 with Min-Expires.
    TooBrief,
}

/// Decides the lifetime of a contact from its parameters, the request's Expires in seconds, and the settings: the parameter
/// counts before the header, `binding_expires` is the default and the most.
///
/// An `Expires: 0` header takes the contact away even when a stale `expires` parameter stands in it: phones that
/// de-register repeat their Contact as it was.
pub fn granted(params: Params<'_>, header: Option<u32>, settings: &RegistrationSettings) -> Expires {
    if header == Some(0) {
        return Expires::Remove;
    }
    let param = params.get("expires").map(|text| decimal_u64(text).unwrap_or(MALFORMED_SECS));
    let longest = settings.binding_expires;
    let asked = param.or(header.map(u64::from)).map_or(longest, Duration::from_secs);
    match asked {
        Duration::ZERO => Expires::Remove,
        brief if brief < shortest(settings) => Expires::TooBrief,
        enough => Expires::Granted(enough.min(longest)),
    }
}

/// The shortest lifetime that is granted, for Min-Expires. RFC 3261 10.3: an hour is never too brief, whatever the settings say.
pub fn shortest(settings: &RegistrationSettings) -> Duration {
    settings.min_expires.min(settings.binding_expires).min(Duration::from_secs(3600))
}

#[cfg(test)]
mod tests {
    use super::Expires::{Granted, Remove, TooBrief};
    use super::*;

    #[test]
    fn parameter_before_header_before_default_and_never_more_than_the_limit() {
        let settings = RegistrationSettings::default();
        let secs = |n| Granted(Duration::from_secs(n));
        for (params, header, expected) in [
            ("", None, secs(3600)),
            ("", Some(600), secs(600)),
            (";expires=120", Some(600), secs(120)),
            (";EXPIRES = 120", None, secs(120)),
            (";expires=600000", Some(60), secs(3600)),
            ("", Some(u32::MAX), secs(3600)),
            (";expires=99999999999999999999999", None, secs(3600)),
            (";expires=soon", Some(60), secs(3600)),
            (";expires=60", None, secs(60)),
            (";expires=59", None, TooBrief),
            ("", Some(1), TooBrief),
            (";expires=0", Some(600), Remove),
            ("", Some(0), Remove),
            (";expires=600000", Some(0), Remove),
        ] {
            assert_eq!(
                granted(Params::new(params.as_bytes()), header, &settings),
                expected,
                "{params} {header:?}"
            );
        }
    }

    #[test]
    fn a_short_limit_does_not_make_everything_too_brief() {
        let second = Duration::from_secs(1);
        let settings = RegistrationSettings {
            binding_expires: second * 20,
            min_expires: second * 7200,
            ..Default::default()
        };
        assert_eq!(granted(Params::default(), None, &settings), Granted(second * 20));
        assert_eq!(granted(Params::new(b"expires=19"), None, &settings), TooBrief);
    }
}
