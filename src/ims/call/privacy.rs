//! What a party wants hidden from the other one, and how the headers of a call's past are shown then (RFC 3323, RFC 3325, RFC 7044
//! 10.1, RFC 5806 4).

use crate::wire::sip::{self, Field, HeaderId, Message, NameAddr, list};
use std::borrow::Cow;

/// Stands for an address that is not shown (RFC 3323 4.1.1.3).
pub const ANONYMOUS: &str = "<sip:anonymous@anonymous.invalid>";

/// What the caller, or the answering callee, wants hidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Privacy {
    /// The asserted identity is not shown.
    pub hides_identity: bool,
    /// From is anonymous.
    pub hides_from: bool,
    /// Whom the call was for before is not shown.
    pub hides_history: bool,
    /// Where its media comes from is not shown: it passes through us (RFC 3323 5.2).
    pub hides_media: bool,
    /// The call is refused rather than made with less of that (RFC 3323 5).
    pub is_critical: bool,
    /// It wants something that is not known.
    pub wants_more: bool,
}

impl Privacy {
    /// Nothing of who it is is shown.
    pub const ALL: Privacy = Privacy {
        hides_identity: true,
        hides_from: true,
        hides_history: true,
        hides_media: false,
        is_critical: false,
        wants_more: false,
    };

    /// Whether the party is to be unknown.
    pub fn hides_anything(&self) -> bool {
        self.hides_identity || self.hides_from
    }

    /// Reads the Privacy header; `none` cancels the others.
    pub fn of(msg: &Message<'_>) -> Privacy {
        let asked = msg.headers(HeaderId::Privacy).map(sip::Privacy::parse);
        let asked = asked.fold(sip::Privacy::default(), sip::Privacy::and);
        Privacy {
            hides_identity: asked.withholds_identity(),
            hides_from: !asked.none && (asked.header || asked.user),
            hides_history: !asked.none && (asked.history || asked.header || asked.session),
            hides_media: !asked.none && asked.session,
            is_critical: !asked.none && asked.critical,
            wants_more: !asked.none && asked.other,
        }
    }

    /// What either hides.
    pub fn or(self, other: Privacy) -> Privacy {
        Privacy {
            hides_identity: self.hides_identity || other.hides_identity,
            hides_from: self.hides_from || other.hides_from,
            hides_history: self.hides_history || other.hides_history,
            hides_media: self.hides_media || other.hides_media,
            is_critical: self.is_critical || other.is_critical,
            wants_more: self.wants_more || other.wants_more,
        }
    }

    /// The value of a field as it is shown: in History-Info and Diversion without the addresses that are hidden, by this or by
    /// themselves.
    pub fn shown<'m>(&self, field: Field<'m>) -> Cow<'m, [u8]> {
        let is_diversion = field.id == HeaderId::Other && field.name.eq_ignore_ascii_case(b"Diversion");
        let hides = |entry: &NameAddr<'_>| match field.id {
            HeaderId::HistoryInfo => hides_itself(entry).unwrap_or(self.hides_history),
            _ => is_diversion && entry.params.get("privacy").is_some_and(|p| !p.eq_ignore_ascii_case(b"off")),
        };
        let entries = || list::values(field.value).map(|value| (value, NameAddr::parse(value)));
        if !entries().any(|(_, entry)| entry.as_ref().is_some_and(hides)) {
            return Cow::Borrowed(field.value);
        }
        let mut out = Vec::with_capacity(field.value.len());
        for (value, entry) in entries() {
            if !out.is_empty() {
                out.extend_from_slice(b", ");
            }
            match entry.filter(hides) {
                Some(entry) => {
                    out.extend_from_slice(ANONYMOUS.as_bytes());
                    out.extend_from_slice(entry.params.as_bytes());
                }
                None => out.extend_from_slice(value),
            }
        }
        Cow::Owned(out)
    }
}

/// What an entry of History-Info says of itself, in a Privacy header inside its URI (RFC 7044 10.1.2).
fn hides_itself(entry: &NameAddr<'_>) -> Option<bool> {
    let headers = entry.uri?.headers;
    let mut fields = headers.split(|&o| o == b'&').filter_map(|field| {
        let at = memchr::memchr(b'=', field)?;
        Some((&field[..at], &field[at + 1..]))
    });
    let (_, words) = fields.find(|(name, _)| name.eq_ignore_ascii_case(b"Privacy"))?;
    Some(!words.eq_ignore_ascii_case(b"none"))
}

/// Headers by which a caller who wants to be unknown would be known (RFC 3323 5.3, RFC 3892 7.1, RFC 8224 4).
pub fn tells_of_sender(field: Field<'_>) -> bool {
    use HeaderId as H;
    let names = ["Identity", "Identity-Info"];
    match field.id {
        H::Subject | H::CallInfo | H::Organization | H::ReplyTo | H::InReplyTo | H::ReferredBy => true,
        H::UserAgent | H::Server => true,
        H::Other => names.iter().any(|name| field.name.eq_ignore_ascii_case(name.as_bytes())),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::sip::Index;

    /// The fields of a message with these lines, and what it wants hidden.
    fn with(lines: &str, look: impl FnOnce(&Message<'_>)) {
        let text = format!("INVITE tel:1 SIP/2.0\r\n{lines}\r\n");
        let mut index = Index::new();
        look(&Message::parse(text.as_bytes(), &mut index).unwrap());
    }

    fn asked(value: &str) -> (bool, bool, bool) {
        let mut got = (false, false, false);
        with(&format!("Privacy: {value}\r\n"), |msg| {
            let p = Privacy::of(msg);
            got = (p.hides_identity, p.hides_from, p.hides_history);
        });
        got
    }

    #[test]
    fn privacy_words() {
        assert_eq!(asked("id"), (true, false, false));
        assert_eq!(asked("header; ID"), (true, true, true));
        assert_eq!(asked("user"), (true, true, false));
        assert_eq!(asked("none;none"), (false, false, false));
        assert_eq!(asked("session;critical"), (false, false, true));
        assert_eq!(asked("history"), (false, false, true));
    }

    fn shown(privacy: Privacy, line: &str) -> String {
        let mut got = String::new();
        with(&format!("{line}\r\n"), |msg| {
            let field = msg.fields().next().unwrap();
            got = String::from_utf8(privacy.shown(field).into_owned()).unwrap();
        });
        got
    }

    #[test]
    fn history_is_shown_as_it_came_unless_hidden() {
        let (open, all) = (Privacy::default(), Privacy::ALL);
        let value = "<sip:a@h>;index=1 ,\"B\" <sip:b@h?Reason=SIP%3Bcause%3D302>;index=1.1;mp=1";
        assert_eq!(shown(open, &format!("History-Info: {value}")), value);
        assert_eq!(
            shown(all, &format!("History-Info: {value}")),
            format!("{ANONYMOUS};index=1, {ANONYMOUS};index=1.1;mp=1")
        );
        let own = "<sip:a@h?Reason=x&privacy=history>;index=1, <sip:b@h?Privacy=none>;index=1.1";
        let hidden = format!("{ANONYMOUS};index=1, <sip:b@h?Privacy=none>;index=1.1");
        assert_eq!(shown(open, &format!("History-Info: {own}")), hidden);
        assert_eq!(
            shown(all, &format!("History-Info: {own}")),
            hidden,
            "RFC 7044 10.1.2: none is for others, too"
        );
    }

    #[test]
    fn a_diversion_is_hidden_by_its_own_wish() {
        let value = "<tel:+1>;reason=unconditional;privacy=off, <tel:+2>;privacy=\"full\";reason=user-busy";
        let hidden = format!(
            "<tel:+1>;reason=unconditional;privacy=off, {ANONYMOUS};privacy=\"full\";reason=user-busy"
        );
        assert_eq!(shown(Privacy::default(), &format!("diversion: {value}")), hidden);
        assert_eq!(
            shown(Privacy::ALL, "Diversion: <tel:+1>;reason=deflection"),
            "<tel:+1>;reason=deflection"
        );
        assert_eq!(shown(Privacy::ALL, "X-Other: <tel:+1>;privacy=full"), "<tel:+1>;privacy=full");
    }
}
