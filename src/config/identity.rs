//! Identities derived from the IMSI (TS 23.003 clause 13), and the forms in which a configuration writes public ones.

/// The network part of the home domain: `mncXXX.mccYYY`, both three digits.
fn network(mcc: &str, mnc: &str) -> String {
    format!("ims.mnc{mnc:0>3}.mcc{mcc}.3gppnetwork.org")
}

/// The home domain of an IMSI. `hint` is text of the same user (domain, IMPI) that may name the network.
///
/// TS 23.003 13.2: `ims.mnc<MNC>.mcc<MCC>.3gppnetwork.org`, a two-digit MNC with a zero in front. The IMSI does not say
/// how long its MNC is: a name that begins with the IMSI's digits says it, else it is taken as two digits.
pub(super) fn home_domain(imsi: &str, hint: Option<&str>) -> Option<String> {
    let digits = imsi.get(..6)?;
    let named = hint.and_then(named_network).filter(|(mnc, mcc)| {
        let short = mnc.strip_prefix('0').map(|short| format!("{mcc}{short}"));
        digits == format!("{mcc}{mnc}") || short.is_some_and(|short| digits.starts_with(&short))
    });
    Some(match named {
        Some((mnc, mcc)) => network(mcc, mnc),
        None => network(&digits[..3], &digits[3..5]),
    })
}

/// MNC and MCC that a domain or IMPI names as `mncXXX.mccYYY`.
fn named_network(text: &str) -> Option<(&str, &str)> {
    let at = text.find("mnc")?;
    let rest = &text[at + 3..];
    let (mnc, rest) = (rest.get(..3)?, rest.get(3..)?);
    let mcc = rest.strip_prefix(".mcc")?.get(..3)?;
    let digits = |text: &str| text.bytes().all(|octet| octet.is_ascii_digit());
    (digits(mnc) && digits(mcc)).then_some((mnc, mcc))
}

/// Whether a text is an identity as `impu` takes it: a name, or one with the scheme sip, sips, tel or urn.
pub(super) fn is_identity(text: &str) -> bool {
    let (scheme, rest) = split(text);
    let clean = !rest.is_empty()
        && rest.chars().all(|c| !c.is_whitespace() && !c.is_control() && !"<>\"".contains(c));
    clean && (scheme != Scheme::Unknown)
}

/// The scheme of an identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    /// `sip:`, or none.
    Sip,
    /// `sips:`.
    Sips,
    /// `tel:`.
    Tel,
    /// `urn:`.
    Urn,
    /// Something else in front of a colon.
    Unknown,
}

/// The scheme and what follows it.
pub(super) fn split(text: &str) -> (Scheme, &str) {
    let Some((scheme, rest)) = text.split_once(':') else { return (Scheme::Sip, text) };
    match scheme.to_ascii_lowercase().as_str() {
        "sip" => (Scheme::Sip, rest),
        "sips" => (Scheme::Sips, rest),
        "tel" => (Scheme::Tel, rest),
        "urn" => (Scheme::Urn, rest),
        _ => (Scheme::Unknown, text),
    }
}

/// The complete URI of an identity; a SIP one without a host gets `domain`.
pub(super) fn uri(text: &str, domain: &str) -> String {
    let (scheme, rest) = split(text);
    let name = match scheme {
        Scheme::Sip | Scheme::Unknown => "sip",
        Scheme::Sips => "sips",
        Scheme::Tel => return format!("tel:{rest}"),
        Scheme::Urn => return format!("urn:{rest}"),
    };
    if rest.contains('@') { format!("{name}:{rest}") } else { format!("{name}:{rest}@{domain}") }
}

/// Decimal digits plus a number, as many digits as before; none when they would not suffice.
pub(super) fn add_to_digits(digits: &str, number: u64) -> Option<String> {
    let sum = digits.parse::<u128>().ok()?.checked_add(u128::from(number))?;
    let text = format!("{sum:0width$}", width = digits.len());
    (text.len() == digits.len()).then_some(text)
}

/// An identity counted up: its IMSI where it holds one, else its last run of digits before the host.
///
/// None where it has no digits to count, or too few.
pub(super) fn count_up(text: &str, imsi: &str, number: u64) -> Option<String> {
    if !imsi.is_empty() && text.contains(imsi) {
        return Some(text.replacen(imsi, &add_to_digits(imsi, number)?, 1));
    }
    let user = text.find('@').unwrap_or(text.len());
    let end = text[..user].rfind(|c: char| c.is_ascii_digit())? + 1;
    let start = text[..end]
        .rfind(|c: char| !c.is_ascii_digit())
        .map_or(0, |at| at + text[at..].chars().next().map_or(1, char::len_utf8));
    Some(format!("{}{}{}", &text[..start], add_to_digits(&text[start..end], number)?, &text[end..]))
}

/// A key, counted up as one big-endian number; it starts again at zero after its last value.
pub(super) fn add_to_key(key: &mut [u8], number: u64) {
    let mut carry = number;
    for octet in key.iter_mut().rev() {
        let sum = u64::from(*octet) + (carry & 0xff);
        *octet = sum as u8;
        carry = (carry >> 8) + (sum >> 8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_home_domain_pads_a_short_network_code() {
        let domain = |imsi, hint| home_domain(imsi, hint).unwrap();
        assert_eq!(domain("001010123456789", None), "ims.mnc001.mcc001.3gppnetwork.org");
        assert_eq!(domain("310150123456789", None), "ims.mnc015.mcc310.3gppnetwork.org");
        assert_eq!(
            domain("310150123456789", Some("310150123456789@ims.mnc150.mcc310.3gppnetwork.org")),
            "ims.mnc150.mcc310.3gppnetwork.org"
        );
        // A name of another network says nothing of this one.
        assert_eq!(
            domain("310150123456789", Some("ims.mnc001.mcc001.3gppnetwork.org")),
            "ims.mnc015.mcc310.3gppnetwork.org"
        );
        assert_eq!(home_domain("00101", None), None);
    }

    #[test]
    fn identities_become_complete_uris() {
        for (text, expected) in [
            ("alice", "sip:alice@example.org"),
            ("sip:alice", "sip:alice@example.org"),
            ("SIP:alice@other.org", "sip:alice@other.org"),
            ("sips:alice", "sips:alice@example.org"),
            ("tel:+33123456789", "tel:+33123456789"),
            ("urn:service:sos", "urn:service:sos"),
            ("+331", "sip:+331@example.org"),
        ] {
            assert!(is_identity(text), "{text}");
            assert_eq!(uri(text, "example.org"), expected);
        }
        for text in ["", "sip:", "tel:", "http://x", "two words", "<sip:x>"] {
            assert!(!is_identity(text), "{text}");
        }
    }

    #[test]
    fn identities_count_up() {
        for (text, expected) in [
            (
                "001010000000009@ims.mnc001.mcc001.3gppnetwork.org",
                Some("001010000000012@ims.mnc001.mcc001.3gppnetwork.org"),
            ),
            ("tel:0600000001", Some("tel:0600000004")),
            ("sip:user9x", None),
            ("user08x", Some("user11x")),
            ("alice", None),
            ("alice@host1", None),
            ("é1", Some("é4")),
        ] {
            assert_eq!(count_up(text, "001010000000009", 3).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_key_counts_up_with_carry() {
        let mut key = [0, 0xff, 0xfe];
        add_to_key(&mut key, 3);
        assert_eq!(key, [1, 0, 1]);
        add_to_key(&mut key, 0x01_00_00);
        assert_eq!(key, [2, 0, 1]);
        let mut last = [0xff; 16];
        add_to_key(&mut last, 1);
        assert_eq!(last, [0; 16]);
    }
}
