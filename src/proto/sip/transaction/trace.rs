//! Trace lines of the SIP layer: one for each message, in and out.

use crate::base::trace::{Dir, Layer, Level, Subject};
use crate::proto::cx::Cx;
use crate::proto::flow::Flow;
use crate::wire::sip::Message;
use crate::wire::sip::text::{lossy, trim_end, trim_start};

/// The number that the trace lines of one dialog share: 16 bits made of its Call-ID.
pub fn trace_id(call_id: &[u8]) -> u32 {
    let hash = call_id
        .iter()
        .fold(0xcbf2_9ce4_8422_2325u64, |h, &o| (h ^ u64::from(o)).wrapping_mul(0x0000_0100_0000_01b3));
    // the last octets, in which Call-IDs of one phone differ, have reached the low bits only: spread them
    ((hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48) as u32
}

/// The trace id of a message; 0 without a Call-ID.
pub(super) fn trace_id_of(message: &Message<'_>) -> u32 {
    message.call_id().map_or(0, trace_id)
}

/// Traces a message that came.
pub(super) fn received(cx: &mut Cx<'_>, message: &Message<'_>) {
    if cx.sink.wants(Layer::Sip, Level::Info) {
        line(cx, Dir::From, trace_id_of(message), message.octets());
    }
}

/// Sends a message and traces it.
pub(super) fn send(cx: &mut Cx<'_>, flow: Flow, octets: &[u8], tag: u64, id: u32) {
    if cx.sink.wants(Layer::Sip, Level::Info) {
        line(cx, Dir::To, id, octets);
    }
    cx.out.send(flow, octets, tag);
}

/// Traces what is odd about a message or its transport.
pub(super) fn warn(cx: &mut Cx<'_>, id: u32, text: std::fmt::Arguments<'_>) {
    cx.trace(Layer::Sip, Level::Warn, Dir::None, Subject::Id(id), text);
}

fn line(cx: &mut Cx<'_>, dir: Dir, id: u32, octets: &[u8]) {
    let text = trim_start(octets);
    let end = memchr::memchr(b'\n', text).unwrap_or(text.len());
    let start_line = lossy(trim_end(&text[..end]));
    cx.trace_content(Layer::Sip, Level::Info, dir, Subject::Id(id), format_args!("{start_line}"), octets);
}

#[cfg(test)]
mod tests {
    use super::trace_id;

    #[test]
    fn call_ids_that_differ_in_one_octet_have_different_numbers() {
        let ids: std::collections::BTreeSet<u32> =
            (b'0'..=b'9').map(|o| trace_id(&[b'c', b'-', o])).collect();
        assert_eq!(ids.len(), 10);
        assert!(ids.iter().all(|id| *id <= 0xffff));
    }
}
