//! What comes to the SIP port and is not SIP: told in the log once a minute for each source, and no more.

use crate::base::time::Instant;
use crate::base::trace::{Dir, Layer, Level, Subject};
use crate::ims::limits::{MAX_STRANGERS, STRANGER_QUIET};
use crate::proto::cx::Cx;
use crate::proto::flow::Flow;
use crate::wire::sip::ParseError;
use arrayvec::ArrayVec;
use std::net::IpAddr;

#[derive(Debug)]
struct Stranger {
    ip: IpAddr,
    quiet_until: Instant,
    untold: u32,
}

/// The sources of garbage that were told of lately.
#[derive(Debug, Default)]
pub struct Strangers {
    known: ArrayVec<Stranger, MAX_STRANGERS>,
}

impl Strangers {
    /// Logs octets that are no SIP message, unless their source was told of lately. When more sources send garbage than are
    /// remembered, those beyond are not told of until one is forgotten.
    pub fn tell(&mut self, cx: &mut Cx<'_>, flow: Flow, error: ParseError, octets: &[u8]) {
        let ip = flow.remote.ip();
        let untold = match self.known.iter_mut().find(|s| s.ip == ip) {
            Some(stranger) if stranger.quiet_until > cx.now => {
                stranger.untold = stranger.untold.saturating_add(1);
                return;
            }
            Some(stranger) => {
                stranger.quiet_until = cx.now + STRANGER_QUIET;
                std::mem::take(&mut stranger.untold)
            }
            None => {
                self.known.retain(|s| s.quiet_until > cx.now);
                let stranger = Stranger { ip, quiet_until: cx.now + STRANGER_QUIET, untold: 0 };
                if self.known.try_push(stranger).is_err() {
                    return;
                }
                0
            }
        };
        let text = format_args!(
            "{} octets from {} are not SIP: {error} ({untold} more since the last time)",
            octets.len(),
            flow.remote
        );
        cx.trace_content(Layer::Sip, Level::Warn, Dir::From, Subject::Addr(flow.remote), text, octets);
    }
}
