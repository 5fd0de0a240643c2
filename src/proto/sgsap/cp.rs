//! The connection protocol of one phone (TS 24.011 5): transactions that it started, and the one that we started.
//!
//! A transaction holds one relay message and its answer. Every CP-DATA is acknowledged; what is not is repeated. A CP-DATA of
//! the phone acknowledges ours in the same transaction (5.3.2.1), and in a new one the last of its former ones (5.4).

use super::event::Why;
use super::limits::{CONFIRM_PATIENCE, MAX_MO_TRANSACTIONS};
use super::policy::{Action, CpPolicy};
use super::timers::Timer;
use crate::base::time::Instant;
use crate::wire::gsm::Malformed;
use crate::wire::gsm::cp::{Cp, CpCause, Cpdu, Transaction as Ti, transaction_of};

/// Where CPDUs go.
pub(super) type Send<'a> = &'a mut dyn FnMut(&[u8]);

/// Message types of the relay protocol from a phone (TS 24.011 8.2.2).
const RP_DATA: u8 = 0;
const RP_ACK: u8 = 2;
const RP_ERROR: u8 = 4;
const RP_SMMA: u8 = 6;

/// What comes of a CPDU, or of a timer.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum CpEvent {
    /// An RPDU for the SMS centre.
    Up {
        /// The RPDU.
        rpdu: Vec<u8>,
        /// Whether it answers our RP-DATA.
        is_answer: bool,
    },
    /// Our RP-DATA came to nothing.
    MtFailed(Why),
    /// A message of the phone came to nothing.
    MoFailed(Why),
}

/// A transaction.
#[derive(Debug)]
struct Transaction {
    ti: u8,
    is_ours: bool,
    /// Type and reference of the relay message that it was started for.
    rp: [u8; 2],
    /// Our last CP-DATA.
    data: Vec<u8>,
    stage: Stage,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    /// Our CP-DATA is not acknowledged yet.
    WaitAck { repeated: u8, until: Instant },
    /// The connection is established: the answer of the other side's relay layer is waited for.
    Established { until: Instant },
    /// The phone's answer to our RP-DATA has come, and is acknowledged when what follows from it is stored.
    Unconfirmed { until: Instant },
}

impl Transaction {
    fn until(&self) -> Instant {
        match self.stage {
            Stage::WaitAck { until, .. } | Stage::Established { until } | Stage::Unconfirmed { until } => {
                until
            }
        }
    }

    /// The transaction in a message of ours.
    fn ti(&self) -> Ti {
        Ti { value: self.ti, to_originator: !self.is_ours }
    }

    /// Whether it ends with the acknowledgement of our last CP-DATA.
    fn is_last_ack(&self) -> bool {
        !self.is_ours && matches!(self.stage, Stage::WaitAck { .. })
    }

    fn failed(&self, why: Why) -> CpEvent {
        if self.is_ours { CpEvent::MtFailed(why) } else { CpEvent::MoFailed(why) }
    }
}

/// The transactions of one phone.
#[derive(Debug, Default)]
pub(super) struct CpEntity {
    transactions: Vec<Transaction>,
    /// The transaction of ours that ended last with a report, and whether what follows from that is stored: the phone may have missed our
    /// acknowledgement.
    reported: Option<(u8, bool)>,
    next_ti: u8,
}

impl CpEntity {
    /// Whether no transaction goes on.
    pub(super) fn is_idle(&self) -> bool {
        self.transactions.is_empty()
    }

    /// Forgets all transactions; a report that has come counts, and the phone that repeats it has its acknowledgement when what follows
    /// from it is stored.
    pub(super) fn clear(&mut self) {
        let unconfirmed = self.transactions.iter().find(|t| matches!(t.stage, Stage::Unconfirmed { .. }));
        self.reported = unconfirmed.map(|t| (t.ti, false)).or(self.reported);
        self.transactions.clear();
    }

    /// When [`CpEntity::tick`] is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.transactions.iter().map(Transaction::until).min()
    }

    /// Starts a transaction for an RP-DATA.
    pub(super) fn start(&mut self, now: Instant, rpdu: &[u8], send: Send<'_>) {
        self.reported = None;
        let ti = self.next_ti;
        self.next_ti = (ti + 1) % 7;
        let data = write(Ti { value: ti, to_originator: false }, Cp::Data(rpdu));
        send(&data);
        let stage = Stage::WaitAck { repeated: 0, until: now + Timer::Tc1.duration() };
        self.transactions.push(Transaction { ti, is_ours: true, rp: rp_of(rpdu), data, stage });
    }

    /// Answers a message of the phone in its own transaction. False: none waits for it.
    pub(super) fn answer(&mut self, now: Instant, rpdu: &[u8], send: Send<'_>) -> bool {
        let [_, reference] = rp_of(rpdu);
        let waits = |t: &&mut Transaction| {
            !t.is_ours && t.rp[1] == reference && matches!(t.stage, Stage::Established { .. })
        };
        let Some(transaction) = self.transactions.iter_mut().find(waits) else { return false };
        transaction.data = write(transaction.ti(), Cp::Data(rpdu));
        send(&transaction.data);
        transaction.stage = Stage::WaitAck { repeated: 0, until: now + Timer::Tc1.duration() };
        true
    }

    /// Takes a CPDU of the phone.
    pub(super) fn on_cpdu(
        &mut self,
        now: Instant,
        octets: &[u8],
        policy: &mut CpPolicy,
        send: Send<'_>,
    ) -> Option<CpEvent> {
        let cpdu = match read(octets) {
            Ok(cpdu) => cpdu,
            Err(fault) => {
                send(&write(answered(octets)?, Cp::Error(policy.cause(fault.cp_cause()))));
                return None;
            }
        };
        let action = match cpdu.message {
            Cp::Data(_) => policy.data.take(),
            Cp::Ack => policy.ack.take(),
            Cp::Error(_) => Action::Treat,
        };
        match action {
            Action::Ignore => return None,
            Action::Reject => return self.refuse(cpdu.transaction, policy.cause(CpCause::PROTOCOL), send),
            Action::Treat => {}
        }
        match cpdu.message {
            Cp::Data(rpdu) if cpdu.transaction.to_originator => {
                self.on_answer(now, cpdu.transaction, rpdu, policy, send)
            }
            Cp::Data(rpdu) => self.on_data(now, cpdu.transaction, rpdu, policy, send),
            Cp::Ack => self.on_ack(now, cpdu.transaction),
            // 9.2.2: an error in a transaction that is not known is ignored
            Cp::Error(cause) => self.take(cpdu.transaction).map(|t| t.failed(Why::CpError(cause))),
        }
    }

    /// Repeats and gives up what is due; to be called until it gives nothing more.
    pub(super) fn tick(&mut self, now: Instant, policy: &CpPolicy, send: Send<'_>) -> Option<CpEvent> {
        while let Some(at) = self.transactions.iter().position(|t| t.until() <= now) {
            let transaction = &mut self.transactions[at];
            match transaction.stage {
                Stage::WaitAck { repeated, .. } if repeated < Timer::Tc1.repetitions() => {
                    send(&transaction.data);
                    let until = now + Timer::Tc1.duration();
                    transaction.stage = Stage::WaitAck { repeated: repeated + 1, until };
                }
                // 5.3.2.1: given up, and the layer above is told
                Stage::WaitAck { .. } => {
                    return Some(self.transactions.remove(at).failed(Why::Expired(Timer::Tc1)));
                }
                Stage::Unconfirmed { .. } => self.confirm(false, policy, send),
                // 6.3.1: the layer above waited in vain, and has the connection broken off (5.3.3)
                Stage::Established { .. } => {
                    let transaction = self.transactions.remove(at);
                    let cause = policy.cause(CpCause::NETWORK_FAILURE);
                    send(&write(transaction.ti(), Cp::Error(cause)));
                    let timer = if transaction.is_ours { Timer::Tr1n } else { Timer::Tr2n };
                    return Some(transaction.failed(Why::Expired(timer)));
                }
            }
        }
        None
    }

    /// The transaction that a message of the phone names.
    fn find(&mut self, ti: Ti) -> Option<&mut Transaction> {
        self.transactions.iter_mut().find(|t| t.ti == ti.value && t.is_ours == ti.to_originator)
    }

    fn take(&mut self, ti: Ti) -> Option<Transaction> {
        let at = self.transactions.iter().position(|t| t.ti == ti.value && t.is_ours == ti.to_originator)?;
        Some(self.transactions.remove(at))
    }

    /// Answers by CP-ERROR, which ends the transaction.
    fn refuse(&mut self, ti: Ti, cause: CpCause, send: Send<'_>) -> Option<CpEvent> {
        send(&write(ti.reversed(), Cp::Error(cause)));
        self.take(ti).map(|t| t.failed(Why::Aborted(cause)))
    }

    /// CP-DATA in a transaction that we started: it should hold the answer to our RP-DATA. A report of another message is ignored (9.3.2).
    fn on_answer(
        &mut self,
        now: Instant,
        ti: Ti,
        rpdu: &[u8],
        policy: &CpPolicy,
        send: Send<'_>,
    ) -> Option<CpEvent> {
        let [kind, reference] = rp_of(rpdu);
        let Some(transaction) = self.find(ti) else {
            // the phone repeats what it has no acknowledgement for; else 9.2.2
            let answer = match self.reported.filter(|(reported, _)| *reported == ti.value) {
                Some((_, true)) => Cp::Ack,
                Some((_, false)) => return None,
                None => Cp::Error(policy.cause(CpCause::INVALID_TRANSACTION)),
            };
            send(&write(ti.reversed(), answer));
            return None;
        };
        if matches!(transaction.stage, Stage::Unconfirmed { .. }) {
            return None;
        }
        let is_its = transaction.rp[1] == reference;
        if !matches!(kind, RP_ACK | RP_ERROR) {
            return self.refuse(ti, policy.cause(CpCause::STATE), send);
        }
        if !is_its {
            send(&write(ti.reversed(), Cp::Ack));
            return self.on_ack(now, ti);
        }
        transaction.stage = Stage::Unconfirmed { until: now + CONFIRM_PATIENCE };
        Some(CpEvent::Up { rpdu: rpdu.to_vec(), is_answer: true })
    }

    /// What follows from the phone's answer to our RP-DATA is stored, or cannot be: its CP-DATA is acknowledged, or the transaction
    /// broken off. Nothing happens where no answer waits.
    pub(super) fn confirm(&mut self, is_stored: bool, policy: &CpPolicy, send: Send<'_>) {
        let waits = |t: &Transaction| matches!(t.stage, Stage::Unconfirmed { .. });
        let Some(at) = self.transactions.iter().position(waits) else {
            // its transaction has gone with the association
            let waited = self.reported.take_if(|(_, was_stored)| !*was_stored);
            self.reported = waited.filter(|_| is_stored).map(|(ti, _)| (ti, true)).or(self.reported);
            return;
        };
        let transaction = self.transactions.remove(at);
        let message = match is_stored {
            true => Cp::Ack,
            false => Cp::Error(policy.cause(CpCause::NETWORK_FAILURE)),
        };
        send(&write(transaction.ti(), message));
        self.reported = is_stored.then_some((transaction.ti, true));
    }

    /// CP-DATA in a transaction that the phone starts, or repeats the start of.
    fn on_data(
        &mut self,
        now: Instant,
        ti: Ti,
        rpdu: &[u8],
        policy: &CpPolicy,
        send: Send<'_>,
    ) -> Option<CpEvent> {
        let rp = rp_of(rpdu);
        if self.find(ti).is_some_and(|t| t.rp == rp) {
            // it has missed our acknowledgement
            send(&write(ti.reversed(), Cp::Ack));
            return None;
        }
        if !matches!(rp[0], RP_DATA | RP_SMMA) {
            return self.refuse(ti, policy.cause(CpCause::STATE), send);
        }
        // a phone that was switched off begins anew with the identifiers that it had used
        self.take(ti);
        // 5.4: a new message acknowledges the last CP-DATA of the one before
        self.transactions.retain(|t| !t.is_last_ack());
        if self.transactions.iter().filter(|t| !t.is_ours).count() >= MAX_MO_TRANSACTIONS {
            return self.refuse(ti, policy.cause(CpCause::CONGESTION), send);
        }
        send(&write(ti.reversed(), Cp::Ack));
        let stage = Stage::Established { until: now + Timer::Tr2n.duration() };
        self.transactions.push(Transaction { ti: ti.value, is_ours: false, rp, data: Vec::new(), stage });
        Some(CpEvent::Up { rpdu: rpdu.to_vec(), is_answer: false })
    }

    fn on_ack(&mut self, now: Instant, ti: Ti) -> Option<CpEvent> {
        let transaction = self.find(ti)?;
        if transaction.is_last_ack() {
            self.take(ti);
        } else if let Stage::WaitAck { .. } = transaction.stage {
            transaction.stage = Stage::Established { until: now + Timer::Tr1n.duration() };
        }
        None
    }
}

/// Reads a CPDU whose RPDU has a type and a reference.
fn read(octets: &[u8]) -> Result<Cpdu<'_>, Malformed> {
    match Cpdu::parse(octets)? {
        Cpdu { message: Cp::Data(rpdu), .. } if rpdu.len() < 2 => Err(Malformed::Length("CP-User-Data")),
        cpdu => Ok(cpdu),
    }
}

/// The transaction in the CP-ERROR for octets that cannot be read. None where they are ignored: too short (9.2.1), of another
/// protocol, or with the reserved identifier.
fn answered(octets: &[u8]) -> Option<Ti> {
    let ti = transaction_of(octets)?;
    (octets.len() >= 2 && ti.value != Ti::RESERVED).then(|| ti.reversed())
}

fn write(ti: Ti, message: Cp<'_>) -> Vec<u8> {
    Cpdu { transaction: ti, message }.to_vec()
}

/// Message type and reference of an RPDU, which has two octets at least.
fn rp_of(rpdu: &[u8]) -> [u8; 2] {
    [rpdu.first().map_or(0, |o| o & 7), rpdu.get(1).copied().unwrap_or_default()]
}
