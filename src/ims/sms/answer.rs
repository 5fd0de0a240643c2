//! How a sender is answered: 202 and RP-ACK or RP-ERROR in a MESSAGE of our own to a phone (TS 24.341 5.3.3.4.2), over SGs in the phone's
//! own CP transaction, a plain response to a soft client.

use super::address;
use super::promise::{Line, Sender};
use super::write::{self, Head};
use super::{Down, Downlink, Sms};
use crate::base::time::UnixTime;
use crate::base::trace::{Level, Subject};
use crate::ims::call::ServerId;
use crate::ims::core::View;
use crate::ims::identity;
use crate::ims::message::respond;
use crate::ims::owner::Owner;
use crate::ims::subscriber::UserId;
use crate::proto::cx::Cx;
use crate::proto::upgrade::Upgrade;
use crate::wire::gsm::failure::FailureCause;
use crate::wire::gsm::tpdu::{Parameters, SubmitReport};
use crate::wire::gsm::{Direction, Rp, RpCause, Rpdu, Timestamp};

/// Why nothing is taken while the disk refuses, for people.
pub(super) const DISK_FAILS: &str = "the disk does not take it; try again later";

/// Why a short message is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// RP-Cause (TS 24.011 8.2.5.4).
    pub(super) cause: RpCause,
    /// TP-FCS (TS 23.040 9.2.3.22) of the SUBMIT-REPORT, where it says more.
    pub(super) failure: Option<FailureCause>,
    /// The status for a soft client.
    pub(super) status: u16,
    pub(super) words: &'static str,
}

impl Refusal {
    pub(super) const DISK: Refusal =
        Refusal::new(RpCause::TEMPORARY_FAILURE, Some(FailureCause::SC_FAILURE), 503, DISK_FAILS);
    /// TS 24.011 table 8.4: 22 is a phone's own memory, 42 that the service cannot be given now.
    pub(super) const NO_ROOM: Refusal =
        Refusal::new(RpCause::CONGESTION, Some(FailureCause::SC_BUSY), 503, "too many short messages wait");
    pub(super) const TOO_LONG: Refusal = Refusal::new(
        RpCause::REJECTED,
        None,
        413,
        "the text is too long for short messages: 255 parts at most",
    );
    pub(super) const UNKNOWN: Refusal =
        Refusal::new(RpCause::UNASSIGNED, Some(FailureCause::INVALID_ADDRESS), 404, "nobody has this number");
    /// TS 24.011 E-2: 28, unidentified subscriber, would be the sender.
    pub(super) const INCOMPLETE: Refusal = Refusal::new(
        RpCause::UNASSIGNED,
        Some(FailureCause::INVALID_ADDRESS),
        484,
        "the number is incomplete",
    );
    pub(super) const MALFORMED: Refusal = Refusal::new(
        RpCause::PROTOCOL,
        Some(FailureCause::UNSPECIFIED),
        400,
        "the short message is malformed",
    );
    pub(super) const TYPE: Refusal = Refusal::new(
        RpCause::NOT_IMPLEMENTED,
        Some(FailureCause::TPDU_NOT_SUPPORTED),
        400,
        "phones submit and command, and nothing else",
    );
    pub(super) const DUPLICATE: Refusal = Refusal::new(
        RpCause::REJECTED,
        Some(FailureCause::DUPLICATE),
        400,
        "the same short message waits already",
    );
    pub(super) const CONFIGURED: Refusal =
        Refusal::new(RpCause::REJECTED, None, 403, "the configuration says so");

    /// No text with that reference waits, or it is on its way already.
    pub(super) const COMMAND: Refusal = Refusal::new(
        RpCause::REJECTED,
        Some(FailureCause::COMMAND_REFUSED),
        400,
        "no short message with this reference waits",
    );
    pub(super) const COMMAND_TYPE: Refusal =
        Refusal::new(RpCause::REJECTED, Some(FailureCause::COMMAND), 400, "there is no such command");

    pub(super) const fn new(
        cause: RpCause,
        failure: Option<FailureCause>,
        status: u16,
        words: &'static str,
    ) -> Self {
        Refusal { cause, failure, status, words }
    }
}

/// Answers a MESSAGE 202: the relay layer answers in its own (TS 24.341 5.3.3.4.2).
pub(super) fn accepted(view: &mut View<'_>, cx: &mut Cx<'_>, tx: ServerId) {
    respond(view, cx, tx, 202, None, None);
}

/// Answers the MESSAGE with a report that the disk does not take.
pub(super) fn storage_fails(view: &mut View<'_>, cx: &mut Cx<'_>, tx: ServerId) {
    respond(view, cx, tx, 503, Some(DISK_FAILS), None);
}

/// The SUBMIT-REPORT (TS 23.040 9.2.2.2a) on what came then: a status report names the same moment.
fn report(came: UnixTime, failure: Option<FailureCause>) -> Vec<u8> {
    let timestamp = Timestamp::of_unix(came, 0);
    let report = SubmitReport { failure, timestamp, parameters: Parameters::NONE };
    let mut octets = Vec::new();
    report.write(&mut octets);
    octets
}

impl Sms {
    /// Tells a sender that its text is taken.
    pub(super) fn accept(&mut self, view: &mut View<'_>, cx: &mut Cx<'_>, sender: Sender) {
        match sender {
            Sender::Inside => {}
            Sender::Operator(order) => self.orders.note(order, Ok(())),
            Sender::Plain(tx) => accepted(view, cx, tx),
            Sender::Phone { user, line, reference, came, .. } => {
                let report = report(came, None);
                self.reply(view, cx, (user, line, reference), Rp::Ack { user_data: Some(&report) });
            }
        }
    }

    /// Tells a sender that its text is not taken, and why.
    pub(super) fn refuse(&mut self, view: &mut View<'_>, cx: &mut Cx<'_>, sender: Sender, refusal: Refusal) {
        match sender {
            Sender::Inside => {}
            Sender::Operator(order) => self.orders.note(order, Err(refusal.words)),
            Sender::Plain(tx) => respond(view, cx, tx, refusal.status, Some(refusal.words), None),
            Sender::Phone { user, line, reference, came, noted } => {
                if let Some(noted) = noted {
                    self.recent.forget(noted);
                }
                let cause = view.config.sms.forced_rp_cause.map_or(refusal.cause, RpCause);
                let report = refusal.failure.map(|failure| report(came, Some(failure)));
                let impi = &view.subs.user(user).impi;
                let words = refusal.words;
                cx.ims(
                    Level::Info,
                    Subject::None,
                    format_args!("SMS from {impi} refused with RP-ERROR {cause}: {words}"),
                );
                let error = Rp::Error { cause, diagnostic: None, user_data: report.as_deref() };
                self.reply(view, cx, (user, line, reference), error);
            }
        }
    }

    /// Sends the answer of the relay layer to a phone.
    pub(super) fn reply(
        &mut self,
        view: &mut View<'_>,
        cx: &mut Cx<'_>,
        (user, line, reference): (UserId, Line, u8),
        message: Rp<'_>,
    ) {
        let rpdu = Rpdu { direction: Direction::Down, reference, message }.to_vec();
        let (tx, contact, call_id) = match line {
            Line::Sgs => return self.downlinks.push_back(Downlink { user, what: Down::Answer(rpdu) }),
            Line::Ims { tx, contact, call_id } => (tx, contact, call_id),
        };
        accepted(view, cx, tx);
        // a phone that has gone meanwhile asks again when it is back
        let Some(binding) = view.registrar.binding(contact) else { return };
        let profile = view.subs.user(user);
        let gateway = address::gateway(&view.config.sms.centre, &profile.domain);
        let to = identity::default_impu(profile)
            .map_or_else(|| gateway.clone(), |at| identity::uri_of(&profile.impus[at]));
        let head = Head {
            from: &gateway,
            to: &to,
            route: &binding.origin.path,
            call_id: view.txs.new_token(),
            tag: view.txs.new_token(),
            settings: &view.config.protocol,
        };
        let (flow, upgrade, uri) = (binding.flow, Upgrade::from(binding.tcp_allowed), &binding.contact.uri);
        let sent = view.txs.request(cx, flow, b"MESSAGE", uri, upgrade, Owner::None, |w| {
            write::relay(w, &head, Some(&call_id), None, &rpdu);
        });
        if sent.is_err() {
            let impi = &profile.impi;
            let words = format_args!("SMS of {impi}: no room for a transaction with its RP-ACK or RP-ERROR");
            cx.ims(Level::Warn, Subject::Id(binding.number), words);
        }
    }
}
