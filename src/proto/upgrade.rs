//! When a request for a peer on UDP goes by TCP, for its length (RFC 3261 18.1.1).

/// Whether, and beyond which length.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Upgrade {
    /// Never: the peer takes no TCP, or nobody knows.
    Never,
    /// Beyond the configured length.
    Long,
    /// Beyond this length, octets.
    Over(usize),
}

impl Upgrade {
    /// The length beyond which a request goes by TCP, where `configured` is the configured one; none: it never does.
    pub const fn threshold(self, configured: usize) -> Option<usize> {
        match self {
            Upgrade::Never => None,
            Upgrade::Long => Some(configured),
            Upgrade::Over(octets) => Some(octets),
        }
    }
}

impl From<bool> for Upgrade {
    /// Whether TCP is allowed.
    fn from(allowed: bool) -> Upgrade {
        if allowed { Upgrade::Long } else { Upgrade::Never }
    }
}

#[cfg(test)]
mod tests {
    use super::Upgrade;

    #[test]
    fn a_length_of_its_own_comes_before_the_configured_one() {
        let all = [Upgrade::Never, Upgrade::Long, Upgrade::Over(9), Upgrade::from(true), false.into()];
        assert_eq!(all.map(|u| u.threshold(5)), [None, Some(5), Some(9), Some(5), None]);
    }
}
