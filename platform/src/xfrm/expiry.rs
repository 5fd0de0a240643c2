//! What the kernel says of lifetimes that end.

use super::{StateId, decode};
use crate::netlink::Netlink;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

const EXPIRE: u16 = 24;
/// XFRMNLGRP_EXPIRE, group 2, as a bit.
const EXPIRE_GROUP: u32 = 1 << 1;

/// The lifetime of a state that ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Expired {
    /// What the state is, or was, known by.
    pub id: StateId,
    /// Its number.
    pub reqid: u32,
    /// Whether it was the hard one and the state is gone.
    pub hard: bool,
}

/// Tells of lifetimes that end, of whosever states. Its descriptor is readable when there is news.
#[derive(Debug)]
pub struct Expiries {
    netlink: Netlink,
}

impl Expiries {
    /// Listens from now on.
    pub fn listen() -> io::Result<Expiries> {
        Ok(Expiries { netlink: Netlink::open(libc::NETLINK_XFRM, EXPIRE_GROUP)? })
    }

    /// What has ended since the last call. The error `ENOBUFS` says that some news was lost: list the states then.
    pub fn take(&mut self) -> io::Result<Vec<Expired>> {
        let mut news = Vec::new();
        self.netlink.poll(|kind, content| {
            if kind == EXPIRE {
                news.extend(expired(content));
            }
        })?;
        Ok(news)
    }
}

impl AsFd for Expiries {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.netlink.as_fd()
    }
}

/// struct xfrm_user_expire: the state and whether it is gone.
fn expired(content: &[u8]) -> Option<Expired> {
    let state = decode::state(content.get(..decode::STATE_LEN)?)?;
    let hard = *content.get(decode::STATE_LEN)? != 0;
    Some(Expired { id: state.id, reqid: state.reqid, hard })
}
