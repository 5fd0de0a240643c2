//! The whole service behind one face: inputs are the methods below, outputs go to the context's outbox.

use crate::base::rng::Rng;
use crate::base::time::Instant;
use crate::config::model::Config;
use crate::ims::tokens::Tokens;
use crate::ims::view::{DialogView, UserView};
use crate::proto::cx::Cx;
use crate::proto::flow::{ConnId, Flow};
use crate::proto::media::table::MediaTable;

/// Most media sessions at a time: two sockets each, so 8,192 descriptors.
pub const MAX_MEDIA_SESSIONS: usize = 4096;

/// The IMS core.
#[derive(Debug)]
pub struct Core {
    config: Config,
    media: MediaTable,
    tokens: Tokens,
}

impl Core {
    /// A core with the configured users, none of them registered. The keys of nonces, tags and branches are drawn from `rng`.
    pub fn new(config: Config, rng: &mut Rng) -> Self {
        let media = MediaTable::new(MAX_MEDIA_SESSIONS, config.sip.iter().map(|s| (s.port_min, s.port_max)));
        Core { config, media, tokens: Tokens::new(rng) }
    }

    /// The media sessions; the loop asks them about every RTP and RTCP packet.
    pub fn media_mut(&mut self) -> &mut MediaTable {
        &mut self.media
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Takes one record of the state file, before any other input. A record that does not fit is traced and left out.
    pub fn restore(&mut self, _cx: &mut Cx<'_>, _key: &str, _value: &str) {}

    /// Takes one SIP message: a UDP datagram, or one message cut from a stream.
    pub fn on_sip(&mut self, _cx: &mut Cx<'_>, _flow: Flow, _octets: &[u8]) {}

    /// A stream connection has gone.
    pub fn on_stream_closed(&mut self, _cx: &mut Cx<'_>, _conn: ConnId) {}

    /// A message could not be sent: no route, connection refused, port unreachable.
    pub fn on_send_failed(&mut self, _cx: &mut Cx<'_>, _flow: Flow, _tag: u64) {}

    /// The ports of a media session are open, or could not be opened.
    pub fn on_media_opened(&mut self, _cx: &mut Cx<'_>, _session: u64, _ok: bool) {}

    /// Runs whatever is due at `cx.now`.
    pub fn tick(&mut self, _cx: &mut Cx<'_>) {}

    /// When [`Core::tick`] must be called next, if ever.
    pub fn next_deadline(&self) -> Option<Instant> {
        None
    }

    /// Starts a clean end: ends the calls, stores the state, and pushes `Output::Exit` when that is done or has taken too long.
    pub fn shutdown(&mut self, cx: &mut Cx<'_>) {
        cx.out.push(crate::proto::outbox::Output::Exit);
    }

    /// All users in configuration order, with what is registered.
    pub fn user_views(&self, _now: Instant) -> Vec<UserView> {
        Vec::new()
    }

    /// All calls, also those that ended less than 30 s ago.
    pub fn dialog_views(&self, _now: Instant) -> Vec<DialogView> {
        Vec::new()
    }

    /// Ends the call with this dialog index. The error says, in words, why it could not.
    pub fn stop_dialog(&mut self, _cx: &mut Cx<'_>, index: u32) -> Result<(), String> {
        Err(format!("no dialog {index}"))
    }
}
