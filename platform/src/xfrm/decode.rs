//! The kernel's answers, from octets. Offsets are those of the structures of linux/xfrm.h on machines with 64 bits.

use super::encode::{self, BLOCK, ESP};
use super::{
    Action, Algorithms, Bound, Counters, Direction, Lifetime, Mark, Net, PolicyInfo, Replay, Selector,
    StateId, StateInfo, Template,
};
use crate::netlink::{attributes, u16_at, u32_at, u64_at};
use std::net::IpAddr;
use std::time::Duration;

/// Octets of struct xfrm_usersa_info.
pub(super) const STATE_LEN: usize = 224;
/// Octets of struct xfrm_userpolicy_info.
pub(super) const POLICY_LEN: usize = 168;

/// struct xfrm_usersa_info and attributes; `None` for anything but ESP.
pub(super) fn state(content: &[u8]) -> Option<StateInfo> {
    let rest = content.get(STATE_LEN..)?;
    let family = u16_at(content, 212)?;
    if content[76] != ESP {
        return None;
    }
    let used = u64_at(content, 184)?;
    let mut info = StateInfo {
        id: StateId {
            source: address(content, 80, family)?,
            destination: address(content, 56, family)?,
            spi: be32_at(content, 72)?,
        },
        reqid: u32_at(content, 208)?,
        bound: bound(rest),
        integrity: String::new(),
        encryption: String::new(),
        lifetime: lifetime(content, 96)?,
        added: Duration::from_secs(u64_at(content, 176)?),
        used: (used != 0).then(|| Duration::from_secs(used)),
        counters: Counters {
            octets: u64_at(content, 160)?,
            packets: u64_at(content, 168)?,
            replayed: u32_at(content, 196)?.saturating_add(u32_at(content, 192)?),
            integrity_failed: u32_at(content, 200)?,
        },
        replay: None,
    };
    for (kind, value) in attributes(rest) {
        match kind {
            encode::ALG_AUTH | encode::ALG_AUTH_TRUNC | encode::ALG_AEAD => info.integrity = name(value),
            encode::ALG_CRYPT => info.encryption = name(value),
            encode::REPLAY_VALUE => info.replay = replay(value),
            _ => {}
        }
    }
    Some(info)
}

/// struct xfrm_replay_state.
fn replay(value: &[u8]) -> Option<Replay> {
    Some(Replay { sent: u32_at(value, 0)?, received: u32_at(value, 4)?, window: u32_at(value, 8)? })
}

/// struct xfrm_userpolicy_info and attributes.
pub(super) fn policy(content: &[u8]) -> Option<PolicyInfo> {
    let rest = content.get(POLICY_LEN..)?;
    let direction = match content[160] {
        0 => Some(Direction::In),
        1 => Some(Direction::Out),
        _ => None,
    };
    let template = attributes(rest).find(|(kind, _)| *kind == encode::TEMPLATES);
    let action = match (content[161], template) {
        (BLOCK, _) => Some(Action::Block),
        (_, Some((_, value))) => self::template(value).map(Action::Protect),
        (_, None) => None,
    };
    Some(PolicyInfo {
        selector: selector(content)?,
        direction,
        priority: u32_at(content, 152)?,
        action,
        lifetime: lifetime(content, 56)?,
        bound: bound(rest),
    })
}

/// struct xfrm_selector. One for any address has no family; it is read as of IPv4.
fn selector(bytes: &[u8]) -> Option<Selector> {
    let family = match u16_at(bytes, 40)? {
        0 => libc::AF_INET as u16,
        family => family,
    };
    let port = |at| {
        let mask = u16_at(bytes, at + 2)?;
        Some(if mask == 0 { None } else { Some(u16::from_be(u16_at(bytes, at)?)) })
    };
    Some(Selector {
        destination: Net { address: address(bytes, 0, family)?, prefix: *bytes.get(42)? },
        source: Net { address: address(bytes, 16, family)?, prefix: *bytes.get(43)? },
        destination_port: port(32)?,
        source_port: port(36)?,
        protocol: *bytes.get(44)?,
    })
}

/// The first struct xfrm_user_tmpl, if it is of ESP.
fn template(bytes: &[u8]) -> Option<Template> {
    let family = u16_at(bytes, 24)?;
    if *bytes.get(20)? != ESP {
        return None;
    }
    Some(Template {
        destination: address(bytes, 0, family)?,
        spi: be32_at(bytes, 16)?,
        source: address(bytes, 28, family)?,
        reqid: u32_at(bytes, 44)?,
    })
}

/// struct xfrm_lifetime_cfg, of which only the seconds since adding are read.
fn lifetime(bytes: &[u8], at: usize) -> Option<Lifetime> {
    let seconds = |at| Some(Some(u64_at(bytes, at)?).filter(|s| *s != 0).map(Duration::from_secs));
    Some(Lifetime { soft: seconds(at + 32)?, hard: seconds(at + 40)? })
}

fn bound(rest: &[u8]) -> Bound {
    let mut bound = Bound::default();
    for (kind, value) in attributes(rest) {
        match kind {
            encode::MARK => {
                let mark = || Some(Mark { value: u32_at(value, 0)?, mask: u32_at(value, 4)? });
                bound.mark = mark().filter(|m| *m != Mark::default());
            }
            encode::IF_ID => bound.if_id = u32_at(value, 0).unwrap_or(0),
            _ => {}
        }
    }
    bound
}

/// Whether a state has these algorithms with these keys.
pub(super) fn has_algorithms(content: &[u8], algorithms: &Algorithms<'_>) -> bool {
    let rest = content.get(STATE_LEN..).unwrap_or_default();
    let has = |kind, name: &str, key: &[u8], icv: Option<u16>| {
        let value = attributes(rest).find(|(k, _)| *k == kind).map(|(_, value)| value);
        value.is_some_and(|value| is_algorithm(value, name, key, icv))
    };
    match *algorithms {
        Algorithms::Separate { integrity, integrity_key, icv_bits, encryption, encryption_key } => {
            let kind = if icv_bits.is_some() { encode::ALG_AUTH_TRUNC } else { encode::ALG_AUTH };
            has(kind, integrity, integrity_key, icv_bits)
                && has(encode::ALG_CRYPT, encryption, encryption_key, None)
        }
        Algorithms::Aead { name, key, icv_bits } => has(encode::ALG_AEAD, name, key, Some(icv_bits)),
    }
}

/// Whether this is struct xfrm_algo, or with the length of a check value xfrm_algo_auth or xfrm_algo_aead, of that algorithm.
fn is_algorithm(value: &[u8], wanted: &str, key: &[u8], icv_bits: Option<u16>) -> bool {
    let lengths = encode::NAME_LEN;
    let keys = lengths + if icv_bits.is_some() { 8 } else { 4 };
    let is_icv = icv_bits.is_none_or(|bits| u32_at(value, lengths + 4) == Some(u32::from(bits)));
    let found = value.get(keys..keys + key.len());
    let is_long = u32_at(value, lengths) == Some(key.len() as u32 * 8);
    name(value) == wanted && is_icv && is_long && found == Some(key)
}

fn name(algorithm: &[u8]) -> String {
    let end = algorithm.iter().position(|c| *c == 0).unwrap_or(algorithm.len());
    String::from_utf8_lossy(&algorithm[..end]).into_owned()
}

fn address(bytes: &[u8], at: usize, family: u16) -> Option<IpAddr> {
    let bytes = bytes.get(at..)?;
    match i32::from(family) {
        libc::AF_INET => Some(IpAddr::from(*bytes.first_chunk::<4>()?)),
        libc::AF_INET6 => Some(IpAddr::from(*bytes.first_chunk::<16>()?)),
        _ => None,
    }
}

fn be32_at(bytes: &[u8], at: usize) -> Option<u32> {
    u32_at(bytes, at).map(u32::from_be)
}
