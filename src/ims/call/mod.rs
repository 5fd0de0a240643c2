//! Sessions between users, and with the echo service.

use crate::base::arena::Id;
use crate::base::time::Instant;
use crate::ims::core::View;
use crate::ims::dispatch::Caller;
use crate::ims::owner::Owner;
use crate::ims::registrar::Removed;
use crate::ims::view::DialogView;
use crate::proto::cx::Cx;
use crate::proto::flow::Flow;
use crate::proto::media::table::MediaTable;
use crate::proto::sip::transaction::{Answer, ServerTx, TxEvent};
use crate::wire::sip::Message;

/// A call.
#[derive(Debug)]
pub struct Call {}

/// What of a call a transaction belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Part {
    /// The call.
    pub call: Id<Call>,
    /// Which of its legs.
    pub leg: u8,
}

/// All calls.
#[derive(Debug, Default)]
pub struct Calls {}

impl Calls {
    /// An INVITE that starts a call; the caller has been identified.
    pub fn on_invite(
        &mut self,
        view: &mut View<'_>,
        cx: &mut Cx<'_>,
        tx: Id<ServerTx<Owner>>,
        _msg: &Message<'_>,
        _caller: Caller,
    ) {
        view.txs.respond(cx, tx, 480, None, b"none", |w| w.finish());
    }

    /// A request with a To tag that is no REGISTER and no SUBSCRIBE.
    pub fn on_in_dialog(
        &mut self,
        view: &mut View<'_>,
        cx: &mut Cx<'_>,
        tx: Id<ServerTx<Owner>>,
        _msg: &Message<'_>,
        _flow: Flow,
    ) {
        view.txs.respond(cx, tx, 481, None, b"", |w| w.finish());
    }

    /// The ACK of a 2xx, or a stray one.
    pub fn on_ack(&mut self, _view: &mut View<'_>, _cx: &mut Cx<'_>, _msg: &Message<'_>) {}

    /// The CANCEL of an INVITE without a final response; answered 200 already.
    pub fn on_cancel(
        &mut self,
        _view: &mut View<'_>,
        _cx: &mut Cx<'_>,
        _invite: Id<ServerTx<Owner>>,
        _msg: &Message<'_>,
    ) {
    }

    /// A response to a request of a call: `answer` is Provisional, Final or Repeat2xx.
    pub fn on_answer(
        &mut self,
        _view: &mut View<'_>,
        _cx: &mut Cx<'_>,
        _part: Part,
        _answer: Answer<Owner>,
        _msg: &Message<'_>,
    ) {
    }

    /// A transaction of a call ended without a response.
    pub fn on_tx_event(
        &mut self,
        _view: &mut View<'_>,
        _cx: &mut Cx<'_>,
        _part: Part,
        _event: TxEvent<Owner>,
    ) {
    }

    /// The ports of a media session are open, or could not be opened.
    pub fn on_media_opened(&mut self, _view: &mut View<'_>, _cx: &mut Cx<'_>, _session: u64, _ok: bool) {}

    /// A binding has gone.
    pub fn on_binding_removed(&mut self, _view: &mut View<'_>, _cx: &mut Cx<'_>, _removed: Removed) {}

    /// Runs whatever is due.
    pub fn tick(&mut self, _view: &mut View<'_>, _cx: &mut Cx<'_>) {}

    /// When [`Calls::tick`] must be called next.
    pub fn next_deadline(&self) -> Option<Instant> {
        None
    }

    /// Ends the call with this dialog index.
    pub fn stop(&mut self, _view: &mut View<'_>, _cx: &mut Cx<'_>, index: u32) -> Result<(), String> {
        Err(format!("no dialog {index}"))
    }

    /// All calls.
    pub fn views(&self, _media: &MediaTable, _now: Instant) -> Vec<DialogView> {
        Vec::new()
    }

    /// Ends every call.
    pub fn shutdown(&mut self, _view: &mut View<'_>, _cx: &mut Cx<'_>) {}

    /// Whether no call waits for anything.
    pub fn is_idle(&self) -> bool {
        true
    }
}
