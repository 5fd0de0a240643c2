//! What the core wants done, in order: the loop carries it out at the end of each turn.
//!
//! Octets of all messages of a turn lie in one buffer that is reused, so a turn allocates nothing after warm-up.

use crate::base::time::Duration;
use crate::proto::flow::{ConnId, Flow, LocalId};
use crate::proto::sgsap::AssociationId;
use crate::proto::sip::sec_agree::{SaSet, SetNumbers};
use std::net::SocketAddr;
use std::ops::Range;

/// Octets that the buffer keeps from turn to turn: two batches of 64 datagrams, answered with 4 KiB each.
const KEPT_OCTETS: usize = 512 * 1024;
/// Outputs that the list keeps room for.
const KEPT_ITEMS: usize = 1024;

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send these octets ([`Outbox::bytes`]) on a flow. Failure comes back as `Core::on_send_failed` with the `tag`.
    Send {
        /// Where to.
        flow: Flow,
        /// What, as a range of the outbox's buffer.
        range: Range<usize>,
        /// Whom a failure concerns: the bits of a client transaction's id, or 0 for nobody.
        tag: u64,
    },
    /// Give up the connection of this flow if it is still being opened: what waits for it comes back as failed.
    GiveUpConnecting(Flow),
    /// Close a stream connection once what was sent on it is written.
    CloseStream(ConnId),
    /// Open an RTP/RTCP port pair for the media session `session` (an id's bits): `port` (even) and `port + 1`, on the
    /// media address of `local`. The outcome comes back as `Core::on_media_opened`.
    OpenMedia {
        /// The media session.
        session: u64,
        /// The SIP socket whose address and port range it uses.
        local: LocalId,
        /// RTP port; RTCP is the next.
        port: u16,
    },
    /// Close the port pair of a media session.
    CloseMedia {
        /// The media session.
        session: u64,
        /// Its socket.
        local: LocalId,
        /// Its RTP port.
        port: u16,
    },
    /// Send one datagram from a media session's port; for packets that are not the echo of one just received.
    SendMedia {
        /// The media session.
        session: u64,
        /// From the RTCP port instead of the RTP port.
        rtcp: bool,
        /// Where to.
        to: SocketAddr,
        /// What.
        range: Range<usize>,
    },
    /// Put a set of security associations and their policies into the kernel. The outcome comes back as
    /// `Core::on_sas_installed`.
    InstallSas(Box<SaSet>),
    /// Take over a set that an earlier run has put into the kernel, or put it there again. The outcome comes back as
    /// `Core::on_sas_restored`.
    RestoreSas {
        /// The set.
        set: Box<SaSet>,
        /// Where its sequence numbers go on.
        numbers: SetNumbers,
    },
    /// Let a set that the kernel has end so long from now. Where its sequence numbers are comes back as `Core::on_sas_numbers`; that
    /// it is not there any more as `Core::on_sas_lost`.
    ExtendSas {
        /// The set.
        id: u64,
        /// Until it ends by itself.
        lifetime: Duration,
    },
    /// Take a set out of the kernel, connections through it first. What it has counted comes back as `Core::on_sas_removed`.
    RemoveSas {
        /// The set.
        id: u64,
    },
    /// Send one message to an MME.
    SendSgs {
        /// Over which association.
        association: AssociationId,
        /// On which of its streams.
        stream: u16,
        /// What.
        range: Range<usize>,
    },
    /// Close the association with an MME.
    CloseSgs(AssociationId),
    /// Store (`Some`) or delete (`None`) a record of the state file. Keys are ordered and prefixed by kind. That it is on the disk comes
    /// back as `Core::on_durable`; that the disk does not take it now, as `Core::on_storage`.
    Persist {
        /// Its number, counted from 1 in the order of all of them; [`Outbox::persist`] gives it.
        ticket: u64,
        /// The record's key.
        key: String,
        /// The record, JSON.
        value: Option<String>,
    },
    /// End the program: everything before this is carried out first.
    Exit,
}

/// The ordered outputs of one turn.
#[derive(Debug, Default)]
pub struct Outbox {
    items: Vec<Output>,
    bytes: Vec<u8>,
    /// Records to be stored or deleted so far, since the program started.
    tickets: u64,
    /// The items before this one have been looked at.
    seen: usize,
}

impl Outbox {
    /// An empty outbox.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an output without octets.
    pub fn push(&mut self, output: Output) {
        self.items.push(output);
    }

    /// Adds a message to be sent, copied into the outbox's buffer.
    pub fn send(&mut self, flow: Flow, message: &[u8], tag: u64) {
        let range = self.append(message);
        self.items.push(Output::Send { flow, range, tag });
    }

    /// Adds a record to be stored (`Some`) or deleted (`None`). Its ticket: what must not be said before the record is on the disk
    /// waits until `Core::on_durable` names this number or a greater one.
    pub fn persist(&mut self, key: String, value: Option<String>) -> u64 {
        self.tickets += 1;
        self.items.push(Output::Persist { ticket: self.tickets, key, value });
        self.tickets
    }

    /// The ticket that was given last; 0 before the first.
    pub fn last_ticket(&self) -> u64 {
        self.tickets
    }

    /// Gives what is to be done away in exchange for an empty outbox, which goes on counting.
    pub fn exchange(&mut self, mut empty: Outbox) -> Outbox {
        empty.tickets = self.tickets;
        std::mem::replace(self, empty)
    }

    /// Copies octets into the buffer and returns where they are, for an output that names a range.
    pub fn append(&mut self, octets: &[u8]) -> Range<usize> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(octets);
        start..self.bytes.len()
    }

    /// The outputs, in order.
    pub fn items(&self) -> &[Output] {
        &self.items
    }

    /// The items that were added since this was asked last, as a range of [`Outbox::items`].
    pub fn take_unseen(&mut self) -> Range<usize> {
        std::mem::replace(&mut self.seen, self.items.len())..self.items.len()
    }

    /// The octets that a range of an output names.
    pub fn bytes(&self, range: &Range<usize>) -> &[u8] {
        &self.bytes[range.clone()]
    }

    /// Whether nothing is to be done.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Forgets everything, keeping the buffers but for what a flood made them grow to.
    pub fn clear(&mut self) {
        self.items.clear();
        self.seen = 0;
        self.items.shrink_to(KEPT_ITEMS);
        self.bytes.clear();
        self.bytes.shrink_to(KEPT_OCTETS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_new_is_told_once() {
        let mut out = Outbox::new();
        out.push(Output::Exit);
        assert_eq!((out.take_unseen(), out.take_unseen()), (0..1, 1..1));
        out.push(Output::Exit);
        assert_eq!(out.take_unseen(), 1..2);
        out.clear();
        out.push(Output::Exit);
        assert_eq!(out.take_unseen(), 0..1);
    }

    #[test]
    fn tickets_count_on_through_outboxes_that_take_turns() {
        let mut out = Outbox::new();
        let tickets = [out.persist("a".to_owned(), None), out.persist("b".to_owned(), Some("{}".to_owned()))];
        assert_eq!((tickets, out.last_ticket()), ([1, 2], 2));
        let mut given = out.exchange(Outbox::new());
        assert!(out.is_empty() && given.items().len() == 2);
        assert_eq!(out.persist("c".to_owned(), None), 3);
        given.clear();
        let given = out.exchange(given);
        assert!(matches!(given.items(), [Output::Persist { ticket: 3, .. }]));
        assert_eq!((out.last_ticket(), out.persist("d".to_owned(), None)), (3, 4));
    }

    #[test]
    fn a_flood_leaves_no_memory_behind_and_usual_turns_allocate_nothing() {
        let mut out = Outbox::new();
        let flow = Flow::udp(LocalId(0), "127.0.0.1:5060".parse().unwrap());
        for _ in 0..10_000 {
            out.send(flow, &[b'x'; 1000], 0);
        }
        out.clear();
        let kept = (out.items.capacity(), out.bytes.capacity());
        assert_eq!(kept, (KEPT_ITEMS, KEPT_OCTETS));
        out.send(flow, &[b'x'; 1000], 0);
        out.clear();
        assert_eq!((out.items.capacity(), out.bytes.capacity()), kept);
    }
}
