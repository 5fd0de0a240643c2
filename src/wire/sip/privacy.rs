//! Privacy (RFC 3323 4.2, RFC 3325 9.3): what a caller wants withheld.

use super::text::trim;

/// The levels that a Privacy header asks for; words of extensions are left out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Privacy {
    /// `id`: the asserted identity.
    pub id: bool,
    /// `header`: headers that the user agent cannot hide itself.
    pub header: bool,
    /// `session`: the session's addresses.
    pub session: bool,
    /// `user`: user-level identities.
    pub user: bool,
    /// `history`: whom the request was for before (RFC 7044 10.1).
    pub history: bool,
    /// `none`: nothing at all may be withheld.
    pub none: bool,
    /// `critical`: refuse rather than do less.
    pub critical: bool,
    /// Words of other kinds.
    pub other: bool,
}

impl Privacy {
    /// Parses the header's value; semicolons separate, commas are taken too. Words may come twice.
    pub fn parse(value: &[u8]) -> Privacy {
        let mut privacy = Privacy::default();
        for word in value.split(|o| matches!(o, b';' | b',')).map(trim) {
            privacy.add(word);
        }
        privacy
    }

    /// Whether the caller is to be withheld from the called one (TS 24.229 5.4.3.3: `id`, `user` or `header`).
    pub fn withholds_identity(&self) -> bool {
        !self.none && (self.id || self.user || self.header)
    }

    /// What either asks for.
    pub fn and(self, other: Privacy) -> Privacy {
        Privacy {
            id: self.id || other.id,
            header: self.header || other.header,
            session: self.session || other.session,
            user: self.user || other.user,
            history: self.history || other.history,
            none: self.none || other.none,
            critical: self.critical || other.critical,
            other: self.other || other.other,
        }
    }

    fn add(&mut self, word: &[u8]) {
        let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
        let words = [
            (&mut self.id, "id"),
            (&mut self.header, "header"),
            (&mut self.session, "session"),
            (&mut self.user, "user"),
            (&mut self.history, "history"),
            (&mut self.none, "none"),
            (&mut self.critical, "critical"),
        ];
        match words.into_iter().find(|(_, name)| is(name)) {
            Some((asked, _)) => *asked = true,
            None => self.other |= !word.is_empty(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_once_twice_and_unknown() {
        let p = Privacy::parse(b"id; critical;presence");
        assert!(p.id && p.critical && p.other && p.withholds_identity() && !p.header);
        assert!(!Privacy::parse(b"id;; critical;").other);
        let p = Privacy::parse(b"none;none");
        assert!(p.none && !p.withholds_identity());
        assert!(Privacy::parse(b"USER,header").withholds_identity());
        assert_eq!(Privacy::parse(b""), Privacy::default());
    }
}
