//! The requests of [`super`] as octets: the structures of linux/xfrm.h, field by field. Ports, addresses and SPIs are in network
//! byte order, everything else in the host's.

use super::{Action, Algorithms, Bound, Direction, Lifetime, Net, Policy, Replay, Selector, State, StateId};
use crate::netlink::{Batch, Content};
use std::net::IpAddr;
use std::time::Duration;

const NEWSA: u16 = 16;
const DELSA: u16 = 17;
const GETSA: u16 = 18;
const NEWPOLICY: u16 = 19;
const DELPOLICY: u16 = 20;
const GETPOLICY: u16 = 21;
const UPDPOLICY: u16 = 25;
const UPDSA: u16 = 26;
const FLUSHSA: u16 = 28;
const FLUSHPOLICY: u16 = 29;

pub(super) const ALG_AUTH: u16 = 1;
pub(super) const ALG_CRYPT: u16 = 2;
pub(super) const TEMPLATES: u16 = 5;
pub(super) const REPLAY_VALUE: u16 = 10;
const SOURCE_ADDRESS: u16 = 13;
pub(super) const ALG_AEAD: u16 = 18;
pub(super) const ALG_AUTH_TRUNC: u16 = 20;
pub(super) const MARK: u16 = 21;
pub(super) const IF_ID: u16 = 31;

/// Octets of struct xfrm_address_t, which has room for either IP version.
const ADDRESS_LEN: usize = 16;
/// Octets for the name of an algorithm, the last one zero.
pub(super) const NAME_LEN: usize = 64;
/// No limit of octets, packets.
const UNLIMITED: u64 = u64::MAX;
/// Any algorithm.
const ALL_ALGORITHMS: u32 = u32::MAX;
const TRANSPORT: u8 = 0;
pub(super) const BLOCK: u8 = 1;
pub(super) const ESP: u8 = libc::IPPROTO_ESP as u8;

/// XFRM_MSG_NEWSA: struct xfrm_usersa_info and the algorithms.
pub fn add_state(batch: &mut Batch, state: &State<'_>) {
    batch.push(NEWSA, 0, |c| user_sa_info(c, state));
}

/// XFRM_MSG_UPDSA.
pub fn update_state(batch: &mut Batch, state: &State<'_>) {
    batch.push(UPDSA, 0, |c| user_sa_info(c, state));
}

/// XFRM_MSG_DELSA: struct xfrm_usersa_id and the source.
pub fn delete_state(batch: &mut Batch, id: &StateId, bound: Bound) {
    batch.push(DELSA, 0, |c| user_sa_id(c, id, bound));
}

/// XFRM_MSG_GETSA, of one.
pub fn get_state(batch: &mut Batch, id: &StateId, bound: Bound) {
    batch.push(GETSA, 0, |c| user_sa_id(c, id, bound));
}

/// XFRM_MSG_GETSA, of all.
pub fn list_states(batch: &mut Batch) {
    batch.push(GETSA, libc::NLM_F_DUMP as u16, |_| {});
}

/// XFRM_MSG_FLUSHSA: struct xfrm_usersa_flush.
pub fn flush_states(batch: &mut Batch) {
    batch.push(FLUSHSA, 0, |c| c.u8(ESP));
}

/// XFRM_MSG_NEWPOLICY: struct xfrm_userpolicy_info and a template.
pub fn add_policy(batch: &mut Batch, policy: &Policy) {
    batch.push(NEWPOLICY, 0, |c| user_policy_info(c, policy));
}

/// XFRM_MSG_UPDPOLICY.
pub fn update_policy(batch: &mut Batch, policy: &Policy) {
    batch.push(UPDPOLICY, 0, |c| user_policy_info(c, policy));
}

/// XFRM_MSG_DELPOLICY: struct xfrm_userpolicy_id.
pub fn delete_policy(batch: &mut Batch, policy: &Policy) {
    batch.push(DELPOLICY, 0, |c| {
        selector(c, Some(&policy.selector));
        c.u32(0); // index: by selector
        c.u8(direction(policy.direction));
        c.zeros(3);
        bound(c, policy.bound);
    });
}

/// XFRM_MSG_GETPOLICY, of all.
pub fn list_policies(batch: &mut Batch) {
    batch.push(GETPOLICY, libc::NLM_F_DUMP as u16, |_| {});
}

/// XFRM_MSG_FLUSHPOLICY.
pub fn flush_policies(batch: &mut Batch) {
    batch.push(FLUSHPOLICY, 0, |_| {});
}

/// struct xfrm_usersa_info, 224 octets, and attributes.
fn user_sa_info(c: &mut Content<'_>, state: &State<'_>) {
    // The selector stays empty, for any packet: policies select, and a state serves UDP and TCP.
    selector(c, None);
    id(c, state.id.destination, state.id.spi);
    address(c, state.id.source);
    lifetime(c, &state.lifetime);
    c.zeros(32); // struct xfrm_lifetime_cur
    c.zeros(12); // struct xfrm_stats
    c.u32(0); // seq
    c.u32(state.reqid);
    c.u16(family(state.id.destination));
    c.u8(TRANSPORT);
    c.u8(state.replay_window);
    c.u8(0); // flags
    c.zeros(7);
    algorithms(c, &state.algorithms);
    if state.replay != Replay::default() {
        let Replay { sent, received, window } = state.replay;
        c.attribute(REPLAY_VALUE, |c| [sent, received, window].into_iter().for_each(|n| c.u32(n)));
    }
    bound(c, state.bound);
}

/// struct xfrm_usersa_id, 24 octets, and attributes.
fn user_sa_id(c: &mut Content<'_>, id: &StateId, place: Bound) {
    address(c, id.destination);
    c.bytes(&id.spi.to_be_bytes());
    c.u16(family(id.destination));
    c.u8(ESP);
    c.u8(0);
    c.attribute(SOURCE_ADDRESS, |c| address(c, id.source));
    bound(c, place);
}

/// struct xfrm_userpolicy_info, 168 octets, and attributes.
fn user_policy_info(c: &mut Content<'_>, policy: &Policy) {
    selector(c, Some(&policy.selector));
    lifetime(c, &policy.lifetime);
    c.zeros(32); // struct xfrm_lifetime_cur
    c.u32(policy.priority);
    c.u32(0); // index: the kernel's choice
    c.u8(direction(policy.direction));
    c.u8(if policy.action == Action::Block { BLOCK } else { 0 });
    c.zeros(2); // flags, share
    c.zeros(4);
    if let Action::Protect(template) = policy.action {
        // struct xfrm_user_tmpl, 64 octets
        c.attribute(TEMPLATES, |c| {
            id(c, template.destination, template.spi);
            c.u16(family(template.destination));
            c.zeros(2);
            address(c, template.source);
            c.u32(template.reqid);
            c.u8(TRANSPORT);
            c.zeros(3); // share; optional: no; padding
            (0..3).for_each(|_| c.u32(ALL_ALGORITHMS));
        });
    }
    bound(c, policy.bound);
}

/// struct xfrm_selector, 56 octets; all zero for any packet.
fn selector(c: &mut Content<'_>, selector: Option<&Selector>) {
    let Some(s) = selector else { return c.zeros(56) };
    address(c, s.destination.address);
    address(c, s.source.address);
    for port in [s.destination_port, s.source_port] {
        c.bytes(&port.unwrap_or(0).to_be_bytes());
        c.bytes(&if port.is_some() { u16::MAX } else { 0 }.to_be_bytes());
    }
    c.u16(family(s.destination.address));
    let prefix = |net: Net| net.prefix;
    c.u8(prefix(s.destination));
    c.u8(prefix(s.source));
    c.u8(s.protocol);
    c.zeros(3);
    c.zeros(8); // interface, user
}

/// struct xfrm_id, 24 octets.
fn id(c: &mut Content<'_>, destination: IpAddr, spi: u32) {
    address(c, destination);
    c.bytes(&spi.to_be_bytes());
    c.u8(ESP);
    c.zeros(3);
}

/// struct xfrm_lifetime_cfg, 64 octets: octets soft and hard, packets soft and hard, seconds since adding soft and hard, seconds
/// since first use soft and hard. Zero seconds are no limit.
fn lifetime(c: &mut Content<'_>, lifetime: &Lifetime) {
    (0..4).for_each(|_| c.u64(UNLIMITED));
    c.u64(seconds(lifetime.soft));
    c.u64(seconds(lifetime.hard));
    c.zeros(16);
}

/// Rounded up; one at least, since none is no limit.
fn seconds(time: Option<Duration>) -> u64 {
    time.map_or(0, |t| t.as_secs().saturating_add(u64::from(t.subsec_nanos() > 0)).max(1))
}

fn algorithms(c: &mut Content<'_>, algorithms: &Algorithms<'_>) {
    match *algorithms {
        Algorithms::Separate { integrity, integrity_key, icv_bits, encryption, encryption_key } => {
            match icv_bits {
                None => c.attribute(ALG_AUTH, |c| algorithm(c, integrity, integrity_key, None)),
                Some(bits) => {
                    c.attribute(ALG_AUTH_TRUNC, |c| algorithm(c, integrity, integrity_key, Some(bits)));
                }
            }
            c.attribute(ALG_CRYPT, |c| algorithm(c, encryption, encryption_key, None));
        }
        Algorithms::Aead { name, key, icv_bits } => {
            c.attribute(ALG_AEAD, |c| algorithm(c, name, key, Some(icv_bits)));
        }
    }
}

/// struct xfrm_algo; with the length of a check value, struct xfrm_algo_auth or xfrm_algo_aead.
fn algorithm(c: &mut Content<'_>, name: &str, key: &[u8], icv_bits: Option<u16>) {
    let name = &name.as_bytes()[..name.len().min(NAME_LEN - 1)];
    c.bytes(name);
    c.zeros(NAME_LEN - name.len());
    c.u32(key.len() as u32 * 8);
    if let Some(bits) = icv_bits {
        c.u32(u32::from(bits));
    }
    c.bytes(key);
}

fn bound(c: &mut Content<'_>, bound: Bound) {
    if let Some(mark) = bound.mark {
        c.attribute(MARK, |c| {
            c.u32(mark.value);
            c.u32(mark.mask);
        });
    }
    if bound.if_id != 0 {
        c.attribute(IF_ID, |c| c.u32(bound.if_id));
    }
}

/// Four octets of IPv4 have twelve of nothing after them.
fn address(c: &mut Content<'_>, address: IpAddr) {
    match address {
        IpAddr::V4(a) => {
            c.bytes(&a.octets());
            c.zeros(ADDRESS_LEN - 4);
        }
        IpAddr::V6(a) => c.bytes(&a.octets()),
    }
}

pub(super) fn family(address: IpAddr) -> u16 {
    if address.is_ipv4() { libc::AF_INET as u16 } else { libc::AF_INET6 as u16 }
}

fn direction(direction: Direction) -> u8 {
    match direction {
        Direction::In => 0,
        Direction::Out => 1,
    }
}
