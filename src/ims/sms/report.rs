//! What becomes of a text: delivered, put off or given up, by what its recipient's phone says of it (TS 24.341 5.3.2.4, TS 24.011
//! 7.3.3 and 7.3.4), and the status report to its sender (TS 23.040 9.2.2.3).

use super::answer;
use super::inbox::{Attempt, Way, Why};
use super::promise::{Line, Promise, Reporter, Sender};
use super::submit::new_text;
use super::text::{Submitted, Text};
use super::{Down, Downlink, Sms, address, tell};
use crate::base::time::{Instant, UnixTime};
use crate::base::trace::{Level, Subject};
use crate::ims::core::View;
use crate::ims::identity;
use crate::ims::message::respond;
use crate::ims::subscriber::UserId;
use crate::proto::cx::Cx;
use crate::wire::gsm::failure::FailureCause;
use crate::wire::gsm::tpdu::{DeliverReport, Status, StatusReport};
use crate::wire::gsm::{RpCause, Timestamp};
use smallvec::SmallVec;

/// What a phone says of a text.
#[derive(Clone, Copy, Debug)]
pub(super) enum Verdict {
    /// It has it.
    Taken,
    /// It has not: RP-Cause, and TP-FCS where it says.
    Refused(RpCause, Option<FailureCause>),
}

impl Verdict {
    /// The verdict of an RP-ERROR with the DELIVER-REPORT that it may carry.
    pub(super) fn refused(cause: RpCause, report: Option<&[u8]>) -> Verdict {
        let report = report.and_then(|report| DeliverReport::parse(report, true).ok());
        Verdict::Refused(cause, report.and_then(|report| report.failure))
    }
}

/// What is done about a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Remedy {
    /// It is tried again later.
    Later,
    /// It alone is tried again later; what is behind it goes on.
    Aside,
    /// It waits until the phone has room.
    Memory,
    /// It is given up, with this TP-ST.
    Never(Status),
}

/// TS 24.011 8.2.5.4: causes that pass, and causes that stay. `is_for_sim`: the text is for the SIM (class 2, TS 23.038 4).
fn remedy(cause: RpCause, failure: Option<FailureCause>, is_for_sim: bool) -> Remedy {
    // TS 23.040 9.2.3.22: TP-FCS says more than the cause, which phones choose as they like. D0 to D2 and D4, D5: the SIM cannot
    // take it, which says nothing of other texts
    match failure {
        // but of those that a full SIM is the memory of, where the cause says so, too: they would all be sent for nothing, one by one
        Some(FailureCause::SIM_FULL) if cause == RpCause::MEMORY_EXCEEDED && !is_for_sim => {
            return Remedy::Memory;
        }
        Some(FailureCause(0xd0 | 0xd1 | 0xd2 | 0xd4 | 0xd5)) => return Remedy::Aside,
        Some(FailureCause::MEMORY_EXCEEDED) => return Remedy::Memory,
        _ => {}
    }
    match cause {
        RpCause::MEMORY_EXCEEDED => Remedy::Memory,
        RpCause::DESTINATION_OUT_OF_ORDER
        | RpCause::NETWORK_OUT_OF_ORDER
        | RpCause::TEMPORARY_FAILURE
        | RpCause::CONGESTION
        | RpCause::RESOURCES => Remedy::Later,
        RpCause::UNASSIGNED | RpCause::UNIDENTIFIED | RpCause::UNKNOWN_SUBSCRIBER => {
            Remedy::Never(Status::NOT_OBTAINABLE)
        }
        RpCause::NOT_SUBSCRIBED | RpCause::NOT_IMPLEMENTED => Remedy::Never(Status::INCOMPATIBLE_DESTINATION),
        _ => Remedy::Never(Status::REMOTE_PROCEDURE_ERROR),
    }
}

impl Sms {
    /// A phone reports on a text: the one whose MESSAGE had the Call-ID `in_reply_to`, else the one with its reference.
    pub(super) fn on_report(
        &mut self,
        view: &mut View<'_>,
        cx: &mut Cx<'_>,
        (user, line, reference): (UserId, Line, u8),
        in_reply_to: Option<&[u8]>,
        verdict: Verdict,
    ) {
        let inbox = self.inboxes.get_mut(&user);
        let found =
            inbox.and_then(|inbox| inbox.attempt.take_if(|a| is_meant(a, &line, reference, in_reply_to)));
        let Some(attempt) = found else {
            return self.on_other_report(view, cx, (user, line, reference), in_reply_to, verdict);
        };
        // its report may overtake the answer to the MESSAGE
        attempt.clients().for_each(|client| view.txs.abandon(client));
        let number = attempt.numbers[0];
        match verdict {
            Verdict::Taken => {
                let ticket = self.delivered(view, cx, user, number, Status::RECEIVED);
                self.promise_reported(view, cx, (user, line), ticket);
                self.next(view, cx, user);
            }
            Verdict::Refused(cause, failure) => {
                let ticket = self.on_refused(view, cx, (user, number), cause, failure);
                self.promise_reported(view, cx, (user, line), ticket);
                self.next(view, cx, user);
            }
        }
    }

    /// A report on nothing that is under way: the MESSAGE that it names may have been given up, and its text is there all the same.
    fn on_other_report(
        &mut self,
        view: &mut View<'_>,
        cx: &mut Cx<'_>,
        (user, line, reference): (UserId, Line, u8),
        in_reply_to: Option<&[u8]>,
        verdict: Verdict,
    ) {
        let inbox = self.inboxes.get_mut(&user);
        let has_texts = inbox.is_some();
        let late = inbox.zip(in_reply_to).and_then(|(inbox, call_id)| {
            let number = inbox.take_late(call_id).filter(|_| matches!(verdict, Verdict::Taken))?;
            Some((number, inbox.attempt.take_if(|attempt| attempt.numbers.contains(&number))))
        });
        if let Some((number, again)) = late {
            again.iter().flat_map(|again| again.clients()).for_each(|client| view.txs.abandon(client));
            let ticket = self.delivered(view, cx, user, number, Status::RECEIVED);
            self.promise_reported(view, cx, (user, line), ticket);
            return self.next(view, cx, user);
        }
        let impi = &view.subs.user(user).impi;
        let words = format_args!("SMS report {reference} of {impi} is of no short message that is under way");
        cx.ims(Level::Info, Subject::None, words);
        match line {
            // it may be of a text that comes again: the phone is not told that its report has arrived
            Line::Ims { tx, .. } if has_texts => {
                respond(view, cx, tx, 481, Some("no short message with this reference is under way"), None);
            }
            // or of one whose end is still on its way to the disk
            Line::Ims { .. } => {
                let ticket = cx.out.last_ticket();
                let is_stored = view.disk.is_durable(ticket);
                self.promise_reported(view, cx, (user, line), (!is_stored).then_some(ticket));
            }
            Line::Sgs => {}
        }
    }

    /// A soft client has taken a text: all its parts are delivered. Other clients that it was sent to keep what they get.
    pub(super) fn on_delivered(&mut self, view: &mut View<'_>, cx: &mut Cx<'_>, user: UserId) {
        let attempt = self.inboxes.get_mut(&user).and_then(|inbox| inbox.attempt.take());
        for number in attempt.map(|attempt| attempt.numbers).unwrap_or_default() {
            // TS 23.040 9.2.3.15: a soft client confirms no short message
            self.delivered(view, cx, user, number, Status::FORWARDED);
        }
        self.next(view, cx, user);
    }

    /// A phone has room again (TS 24.011 6.3.3.1.4).
    pub(super) fn on_memory_available(&mut self, view: &mut View<'_>, cx: &mut Cx<'_>, user: UserId) {
        let impi = &view.subs.user(user).impi;
        cx.ims(Level::Info, Subject::None, format_args!("SMS for {impi}: the phone has room again"));
        if let Some(inbox) = self.inboxes.get_mut(&user) {
            for text in &mut inbox.texts {
                text.aside_until = Instant::ZERO;
            }
        }
        self.on_reachable(view, cx, user);
    }

    /// Answers a report once what follows from it is on the disk.
    fn promise_reported(
        &mut self,
        view: &mut View<'_>,
        cx: &mut Cx<'_>,
        (user, line): (UserId, Line),
        ticket: Option<u64>,
    ) {
        let reporter = match line {
            Line::Ims { tx, .. } => Reporter::Ims(tx),
            Line::Sgs => Reporter::Sgs(user),
        };
        match ticket {
            None => self.confirm(view, cx, reporter, true),
            Some(_) if view.disk.refusal().is_some() => self.confirm(view, cx, reporter, false),
            Some(_) => {
                if let Reporter::Sgs(user) = reporter {
                    self.unconfirmed.insert(user);
                }
                let ticket = cx.out.last_ticket();
                self.promise(cx, ticket, Promise::Reported(reporter));
            }
        }
    }

    /// Tells a phone that its report is taken, or that it cannot be.
    pub(super) fn confirm(
        &mut self,
        view: &mut View<'_>,
        cx: &mut Cx<'_>,
        reporter: Reporter,
        is_stored: bool,
    ) {
        match reporter {
            Reporter::Ims(tx) if is_stored => answer::accepted(view, cx, tx),
            Reporter::Ims(tx) => answer::storage_fails(view, cx, tx),
            Reporter::Sgs(user) => {
                self.downlinks.push_back(Downlink { user, what: Down::Confirm { is_stored } });
                if self.unconfirmed.remove(&user) {
                    self.next(view, cx, user);
                }
            }
        }
    }

    /// A text has arrived. Gives the ticket of its record's deletion.
    fn delivered(
        &mut self,
        view: &mut View<'_>,
        cx: &mut Cx<'_>,
        user: UserId,
        number: u64,
        status: Status,
    ) -> Option<u64> {
        if let Some(inbox) = self.inboxes.get_mut(&user) {
            inbox.reset();
            inbox.why = None;
        }
        let (text, ticket) = self.take(cx, user, number)?;
        tell(view, cx, &text, Level::Info, format_args!("delivered"));
        self.report_on(view, cx, &text, status);
        Some(ticket)
    }

    /// A phone does not take a text. Gives a ticket where something of that is stored.
    fn on_refused(
        &mut self,
        view: &mut View<'_>,
        cx: &mut Cx<'_>,
        (user, number): (UserId, u64),
        cause: RpCause,
        failure: Option<FailureCause>,
    ) -> Option<u64> {
        let retry_delay = view.config.sms.retry_delay;
        let inbox = self.inboxes.get_mut(&user)?;
        // TS 23.040 9.2.3.12.3: one attempt, whatever comes of it
        let text = inbox.text(number)?;
        let (once, is_for_sim) = (text.once, text.is_for_sim());
        let remedy = match remedy(cause, failure, is_for_sim) {
            Remedy::Never(status) => Remedy::Never(status),
            _ if once => Remedy::Never(Status::RECIPIENT_ERROR),
            other => other,
        };
        match remedy {
            Remedy::Never(status) => {
                inbox.reset();
                let (text, ticket) = self.take(cx, user, number)?;
                let why = Why::Cause(cause, failure);
                tell(view, cx, &text, Level::Warn, format_args!("given up: {why}"));
                self.report_on(view, cx, &text, status);
                return Some(ticket);
            }
            Remedy::Aside => {
                inbox.reset();
                let text = inbox.text_mut(number)?;
                text.aside_until = cx.now + retry_delay;
                inbox.why = Some(Why::Cause(cause, failure));
                self.tell_waiting(view, cx, user, number);
            }
            remedy => {
                let why =
                    if remedy == Remedy::Memory { Why::Full(cause) } else { Why::Cause(cause, failure) };
                self.wait(view, cx, user, number, why);
            }
        }
        None
    }

    /// Gives a text up: its record goes, and its sender is told if it wants to be.
    pub(super) fn drop_text(
        &mut self,
        view: &mut View<'_>,
        cx: &mut Cx<'_>,
        (user, number): (UserId, u64),
        status: Status,
        words: &str,
    ) -> Option<u64> {
        let (text, ticket) = self.take(cx, user, number)?;
        tell(view, cx, &text, Level::Info, format_args!("{words}"));
        self.report_on(view, cx, &text, status);
        Some(ticket)
    }

    /// Sends the sender of a text the status report that it asked for.
    fn report_on(&mut self, view: &mut View<'_>, cx: &mut Cx<'_>, text: &Text, status: Status) {
        if let Some(submitted) = &text.submitted {
            self.report(view, cx, submitted, text.at, status);
        }
    }

    /// Sends the sender of a SUBMIT that came then the status report that it asked for (TS 23.040 9.2.2.3).
    pub(super) fn report(
        &mut self,
        view: &mut View<'_>,
        cx: &mut Cx<'_>,
        submitted: &Submitted,
        came: UnixTime,
        status: Status,
    ) {
        if submitted.wants_report {
            let at = Timestamp::of_unix(came, 0);
            self.send_report(view, cx, submitted, (submitted.reference, false), at, status);
        }
    }

    /// Sends the sender of a SUBMIT a status report with this TP-MR, on the SUBMIT or on a COMMAND.
    pub(super) fn send_report(
        &mut self,
        view: &mut View<'_>,
        cx: &mut Cx<'_>,
        submitted: &Submitted,
        (reference, of_command): (u8, bool),
        timestamp: Timestamp,
        status: Status,
    ) {
        let report = StatusReport {
            more_messages: false,
            loop_prevention: true,
            of_command,
            reference,
            recipient: submitted.destination,
            timestamp,
            discharge: Timestamp::of_unix(cx.wall, 0),
            status,
            parameters: None,
        };
        let by = submitted.by;
        let profile = view.subs.user(by);
        let from = address::uri_of(&submitted.destination, &profile.domain);
        let impu = submitted.impu.or_else(|| identity::default_impu(profile));
        let to = (by, impu.unwrap_or(0));
        let text = Text {
            // nobody waits for it in the phone
            due_at: cx.now,
            ..new_text(view, cx, to, &from, report.to_vec(), view.config.sms.expires)
        };
        if self.admit(view, by, 1).is_ok() {
            self.store(view, cx, Sender::Inside, SmallVec::from_buf([text]));
        } else if let Some((number, _)) = self.insert(view, cx, text) {
            self.release(cx, by, number);
        } else {
            let words =
                format_args!("SMS status report to {} is left out: there is no room for it", profile.impi);
            cx.ims(Level::Warn, Subject::None, words);
        }
    }
}

/// Whether a report is on this attempt: it names its MESSAGE; or its reference, where it names no MESSAGE or one that cannot be ours, as
/// some phones do. One that names another MESSAGE of ours, of an earlier run perhaps, is on that.
fn is_meant(attempt: &Attempt, line: &Line, reference: u8, in_reply_to: Option<&[u8]>) -> bool {
    match (attempt.way, line) {
        (Way::Ims { call_id, .. }, Line::Ims { .. }) => {
            let is_ours =
                |named: &[u8]| named.len() == call_id.len() && named.iter().all(u8::is_ascii_alphanumeric);
            match in_reply_to {
                Some(named) if is_ours(named) => named == &call_id[..],
                _ => attempt.reference == reference,
            }
        }
        (Way::Sgs, Line::Sgs) => attempt.reference == reference,
        _ => false,
    }
}
