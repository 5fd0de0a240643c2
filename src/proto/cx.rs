//! The one context through which time, randomness, output and tracing reach the state machines.

use crate::base::rng::Rng;
use crate::base::time::{Instant, UnixTime};
use crate::base::trace::{Dir, Layer, Level, Record, Sink, Subject};
use crate::proto::outbox::Outbox;
use std::fmt;

/// What a handler may use of the world during one input.
pub struct Cx<'a> {
    /// The monotonic time of this turn.
    pub now: Instant,
    /// The wall-clock time of this turn.
    pub wall: UnixTime,
    /// Randomness.
    pub rng: &'a mut Rng,
    /// Where outputs go.
    pub out: &'a mut Outbox,
    /// Where trace records go.
    pub sink: &'a mut dyn Sink,
}

impl Cx<'_> {
    /// Traces one line; free of cost when no sink wants it.
    pub fn trace(
        &mut self,
        layer: Layer,
        level: Level,
        dir: Dir,
        subject: Subject,
        text: fmt::Arguments<'_>,
    ) {
        self.trace_content(layer, level, dir, subject, text, &[]);
    }

    /// Traces one line with the message it speaks of.
    pub fn trace_content(
        &mut self,
        layer: Layer,
        level: Level,
        dir: Dir,
        subject: Subject,
        text: fmt::Arguments<'_>,
        content: &[u8],
    ) {
        if self.sink.wants(layer, level) {
            self.sink.record(&Record { at: self.wall, layer, level, dir, subject, text, content });
        }
    }

    /// Traces a line of the IMS layer about a binding or nothing in particular.
    pub fn ims(&mut self, level: Level, subject: Subject, text: fmt::Arguments<'_>) {
        self.trace(Layer::Ims, level, Dir::None, subject, text);
    }
}
