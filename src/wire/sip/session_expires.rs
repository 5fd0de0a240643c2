//! Session-Expires and its refresher (RFC 4028 4). Min-SE has the same form without refresher.

use super::params::Params;
use super::text::decimal;

/// Who refreshes the session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refresher {
    /// The sender of the request.
    Uac,
    /// The one that answers it.
    Uas,
}

impl Refresher {
    /// The parameter's value.
    pub const fn name(self) -> &'static str {
        match self {
            Refresher::Uac => "uac",
            Refresher::Uas => "uas",
        }
    }
}

/// The value of Session-Expires.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SessionExpires {
    /// The session interval.
    pub interval_secs: u32,
    /// Who refreshes; a word that is neither counts as absent.
    pub refresher: Option<Refresher>,
}

impl SessionExpires {
    /// Parses the header's value.
    pub fn parse(value: &[u8]) -> Option<SessionExpires> {
        let (interval, params) = Params::split(value);
        let refresher = params.get("refresher").and_then(|word| {
            let named = |r: &Refresher| word.eq_ignore_ascii_case(r.name().as_bytes());
            [Refresher::Uac, Refresher::Uas].into_iter().find(named)
        });
        Some(SessionExpires { interval_secs: decimal(interval)?, refresher })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_and_without_refresher() {
        let parse = |v: &str| SessionExpires::parse(v.as_bytes()).map(|s| (s.interval_secs, s.refresher));
        assert_eq!(parse("1800"), Some((1800, None)));
        assert_eq!(parse("180 ; Refresher=UAS"), Some((180, Some(Refresher::Uas))));
        assert_eq!(parse("90;refresher=uac;x"), Some((90, Some(Refresher::Uac))));
        assert_eq!(parse("90;refresher=both"), Some((90, None)));
        assert_eq!(parse(";refresher=uac"), None);
        assert_eq!(parse("-1"), None);
    }
}
