//! Carrying out the outbox, in order, at the end of a turn.
//!
//! What happens meanwhile (a port pair is open, a message could not be sent) goes to the core at once, which may want more done:
//! that is the next round, of a bounded number.

use crate::base::time::Duration;
use crate::base::trace::{Layer, Level, Subject};
use crate::node::event_loop::{EXIT_TIMEOUT, Node, Stage, TURN_TIME};
use crate::node::ipsec::agent::Extended;
use crate::proto::flow::{Flow, LocalId, Transport};
use crate::proto::outbox::{Outbox, Output};
use crate::proto::sip::sec_agree::{SaSet, SetCounters};
use platform::batch::{BATCH, SendBatch};
use platform::socket::is_congestion;
use std::io;

/// Rounds of one turn; what the core wants beyond them is done in the next turn, after the sockets had theirs.
const MAX_ROUNDS: usize = 8;

impl Node {
    /// Carries out what the core wants, until it wants nothing more.
    pub(super) fn flush(&mut self) {
        self.install_waiting();
        for _ in 0..MAX_ROUNDS {
            if self.world.out.is_empty() {
                break;
            }
            let out = self.world.out.exchange(std::mem::take(&mut self.flushing));
            self.carry_out(&out);
            self.flushing = out;
            self.flushing.clear();
            self.streams.write_queued(&mut self.core, &mut self.world);
        }
        // what is no answer of the core: line ends that answer pings
        self.streams.write_queued(&mut self.core, &mut self.world);
    }

    fn carry_out(&mut self, out: &Outbox) {
        let items = out.items();
        let mut next = 0;
        while let Some(item) = items.get(next) {
            if let Output::Send { flow: Flow { transport: Transport::Udp, local, .. }, .. } = item {
                next += self.send_datagrams(*local, &items[next..], out);
                continue;
            }
            self.carry_out_one(item, out);
            next += 1;
        }
    }

    /// Sends the datagrams at the start of `items` that leave from one socket, up to a batch. Returns how many items that were.
    fn send_datagrams(&mut self, local: LocalId, items: &[Output], out: &Outbox) -> usize {
        let mut batch = SendBatch::new();
        let mut concerned = [None; BATCH];
        let mut failed = [None; BATCH];
        let Some(port) = self.udp.port(local) else { return 1 };
        for item in items {
            let Output::Send { flow, range, tag } = item else { break };
            if flow.transport != Transport::Udp || flow.local != local || batch.is_full() {
                break;
            }
            concerned[batch.len()] = Some((*flow, *tag));
            port.push(&mut batch, flow.remote, out.bytes(range), *tag);
        }
        let count = batch.len();
        port.send(&mut batch, |index, error| failed[index] = error.raw_os_error());
        for ((flow, tag), code) in concerned.into_iter().flatten().zip(failed) {
            if let Some(code) = code {
                self.on_datagram_refused(flow, tag, &io::Error::from_raw_os_error(code));
            }
        }
        count
    }

    fn on_datagram_refused(&mut self, flow: Flow, tag: u64, error: &io::Error) {
        let text = format_args!("sending to {} by UDP failed: {error}", flow.remote);
        self.world.trace(Layer::Sip, Level::Warn, Subject::None, text);
        // congestion is loss, against which the transaction layer retransmits; all else will fail again
        if tag != 0 && !is_congestion(error) {
            self.core.on_send_failed(&mut self.world.cx(), flow, tag);
        }
    }

    fn carry_out_one(&mut self, item: &Output, out: &Outbox) {
        match item {
            Output::Send { flow, range, tag } => self.send_on_stream(*flow, out.bytes(range), *tag),
            Output::GiveUpConnecting(flow) => {
                self.streams.give_up_connecting(*flow, &mut self.core, &mut self.world);
            }
            Output::CloseStream(conn) => self.streams.finish(*conn, &mut self.core, &mut self.world),
            Output::OpenMedia { session, local, port } => self.open_media(*session, *local, *port),
            Output::CloseMedia { session, .. } => self.media.close(*session),
            Output::SendMedia { session, rtcp, to, range } => {
                let packet = out.bytes(range);
                if self.media.send(*session, *rtcp, *to, packet).is_err() {
                    self.core.media_mut().on_send_lost(*session, packet);
                }
            }
            Output::Persist { ticket, key, value } => match &mut self.storage {
                Some(storage) => storage.put(*ticket, key, value.as_deref()),
                None => self.core.on_durable(&mut self.world.cx(), *ticket),
            },
            Output::InstallSas(set) => self.install_sas(set),
            Output::RestoreSas { set, numbers } => {
                let outcome = self.ipsec.restore(set, numbers);
                self.core.on_sas_restored(&mut self.world.cx(), set.id, outcome);
            }
            Output::ExtendSas { id, lifetime } => self.extend_sas(*id, *lifetime),
            Output::RemoveSas { id } => {
                self.install_if_waiting(*id);
                let counted = self.take_out(*id);
                self.core.on_sas_removed(&mut self.world.cx(), *id, counted);
            }
            Output::SendSgs { association, stream, range } => {
                let octets = out.bytes(range);
                self.sctp.send(*association, *stream, octets, &mut self.core, &mut self.world);
            }
            Output::CloseSgs(association) => self.sctp.drop_association(*association),
            Output::Exit => self.stage = Stage::Leaving { until: self.world.now + EXIT_TIMEOUT },
        }
    }

    fn send_on_stream(&mut self, flow: Flow, octets: &[u8], tag: u64) {
        let registry = self.poll.registry();
        let sent = self.streams.send(flow, octets, tag, registry, &mut self.core, &mut self.world);
        if let Err(e) = sent {
            let text = format_args!("sending to {} by TCP failed: {e}", flow.remote);
            self.world.trace(Layer::Sip, Level::Warn, Subject::None, text);
            if tag != 0 {
                self.core.on_send_failed(&mut self.world.cx(), flow, tag);
            }
        }
    }

    /// Installs a set, or lets it wait for the next turn: a crowd of phones must not keep media waiting. Nothing is sent through a
    /// set before the core knows that the kernel has it.
    fn install_sas(&mut self, set: &SaSet) {
        if self.waiting_sets.is_empty() && self.installing < TURN_TIME {
            self.install_now(set);
        } else {
            self.waiting_sets.push_back(Box::new(set.clone()));
        }
    }

    fn install_now(&mut self, set: &SaSet) {
        let began = self.world.clock();
        let outcome = self.ipsec.install(set);
        self.core.on_sas_installed(&mut self.world.cx(), set.id, outcome);
        self.installing += self.world.clock().since(began);
    }

    /// Installs sets that waited, as far as this turn has time.
    fn install_waiting(&mut self) {
        self.installing = Duration::ZERO;
        while self.installing < TURN_TIME {
            let Some(set) = self.waiting_sets.pop_front() else { return };
            self.install_now(&set);
        }
    }

    /// What is wanted of a set comes after its installation.
    fn install_if_waiting(&mut self, id: u64) {
        let at = self.waiting_sets.iter().position(|set| set.id == id);
        if let Some(set) = at.and_then(|at| self.waiting_sets.remove(at)) {
            self.install_now(&set);
        }
    }

    fn extend_sas(&mut self, id: u64, lifetime: Duration) {
        self.install_if_waiting(id);
        match self.ipsec.extend(id, lifetime) {
            Extended::Done(numbers) => {
                if let Some(numbers) = numbers {
                    self.core.on_sas_numbers(&mut self.world.cx(), id, &numbers, false);
                }
            }
            Extended::Lost => self.lose_sas(id),
            Extended::Refused(e) => {
                let text =
                    format_args!("security associations end early: the kernel refuses to extend them: {e}");
                self.world.trace(Layer::Ipsec, Level::Error, Subject::None, text);
            }
        }
    }

    /// The kernel has news of lifetimes that ended.
    pub(super) fn on_sas_ended(&mut self) {
        for id in self.ipsec.ended() {
            self.lose_sas(id);
        }
    }

    fn lose_sas(&mut self, id: u64) {
        self.take_out(id);
        self.core.on_sas_lost(&mut self.world.cx(), id);
    }

    /// Takes a set out of the kernel, connections through it first: what the kernel repeats of them would leave in vain.
    fn take_out(&mut self, id: u64) -> Option<SetCounters> {
        self.streams.write_queued(&mut self.core, &mut self.world);
        for (local, remote) in self.ipsec.connections(id) {
            self.streams.abort(local, remote, &mut self.core, &mut self.world);
        }
        self.ipsec.remove(id)
    }

    fn open_media(&mut self, session: u64, local: LocalId, port: u16) {
        let opened = self.media.open(session, local, port, self.poll.registry());
        if let Err(e) = &opened {
            let text = format_args!("media ports {port} and {} cannot be opened: {e}", port + 1);
            self.world.trace(Layer::Media, Level::Error, Subject::None, text);
        }
        self.core.on_media_opened(&mut self.world.cx(), session, opened.is_ok());
    }
}
