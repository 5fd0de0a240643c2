//! Status reports and commands.

use super::*;
use crate::wire::gsm::tpdu::command::CommandType;
use crate::wire::gsm::tpdu::{Command, Status, StatusReport, SubmitReport};
use crate::wire::gsm::{Pid, Validity};

/// The STATUS-REPORT in a MESSAGE to a phone.
pub(super) fn status_report(sent: &Sent) -> StatusReport<'_> {
    match rpdu(sent).message {
        Rp::Data { user_data, .. } => StatusReport::parse(user_data).expect("a STATUS-REPORT"),
        other => panic!("RP-DATA expected, got {other:?}"),
    }
}

impl World {
    /// Alice submits a text with a status report wanted.
    pub(super) fn submit_reported(&mut self, reference: u8, validity: Option<Validity>) {
        let tpdu =
            submit_with(reference, BOBS_NUMBER, "x", |s| (s.status_report, s.validity) = (true, validity));
        let call_id = self.send_rp(ALICE, "tel:1", "", &rp_data(reference, &tpdu));
        self.expect_taken(ALICE, &call_id, reference);
    }

    /// Alice gets a status report on what had this reference.
    #[track_caller]
    pub(super) fn expect_status(&mut self, reference: u8, of_command: bool, status: Status) {
        let message = self.expect_where(ALICE, "MESSAGE", |s| s.body[0] == 1);
        let report = status_report(&message);
        let got = (report.reference, report.of_command, report.status, report.recipient.to_string());
        assert_eq!(got, (reference, of_command, status, BOBS_NUMBER.to_owned()));
        assert!(!report.more_messages);
        self.answer(ALICE, &message, 200);
        self.report(ALICE, &message, |reference| up(reference, Rp::Ack { user_data: None }));
    }

    /// A phone deletes what it has submitted with this reference.
    pub(super) fn delete(&mut self, from: Phone, reference: u8, about: u8) -> String {
        self.command_of(from, (reference, CommandType::DELETE), about, false)
    }

    fn command(&mut self, reference: u8, kind: CommandType, about: u8, wants_report: bool) -> String {
        self.command_of(ALICE, (reference, kind), about, wants_report)
    }

    fn command_of(
        &mut self,
        from: Phone,
        (reference, kind): (u8, CommandType),
        about: u8,
        wants_report: bool,
    ) -> String {
        let command = Command {
            status_report: wants_report,
            has_header: false,
            reference,
            pid: Pid::PLAIN,
            command: kind,
            message_number: about,
            destination: Address::of_digits(0x91, "33600000002").expect("a number"),
            data: &[],
        };
        let mut tpdu = Vec::new();
        command.write(&mut tpdu);
        self.send_rp(from, "tel:1", "", &rp_data(reference, &tpdu))
    }
}

#[test]
fn the_sender_is_told_when_the_text_has_arrived() {
    let mut w = World::registered(|_| {});
    w.submit_reported(9, None);
    let text = w.arrives(BOB, "x");
    assert!(deliver(&text).status_report);
    w.pass(Duration::from_secs(2));
    w.report(BOB, &text, |reference| up(reference, Rp::Ack { user_data: None }));
    w.expect_status(9, false, Status::RECEIVED);
    w.expect_nothing();
    w.quiet();
}

#[test]
fn the_sender_is_told_why_the_text_never_arrives() {
    let mut w = World::registered(|_| {});
    w.submit_reported(1, None);
    let text = w.arrives(BOB, "x");
    w.report(BOB, &text, |reference| rp_error(reference, RpCause::UNKNOWN_SUBSCRIBER));
    w.expect_status(1, false, Status::NOT_OBTAINABLE);
    w.deregister(BOB);
    w.submit_reported(2, Some(Validity::Relative(0)));
    w.pass(Duration::from_secs(300));
    w.expect_status(2, false, Status::EXPIRED);
    w.submit_reported(3, None);
    let flushed =
        w.lab.with(|core, cx| core.flush_sms(cx, &crate::ims::sms::Recipient::Any("bob".to_owned())));
    w.sent.extend(flushed.1);
    assert_eq!(flushed.0, Ok(1));
    w.expect_status(3, false, Status::DELETED_BY_ADMINISTRATION);
    w.quiet();
}

#[test]
fn the_answers_of_the_centre_carry_submit_reports() {
    let mut w = World::registered(|_| {});
    w.submit(ALICE, 1, BOBS_NUMBER, "x");
    let ack = w.expect(ALICE, "MESSAGE");
    let Rp::Ack { user_data: Some(report) } = rpdu(&ack).message else { panic!("{:?}", rpdu(&ack)) };
    let report = SubmitReport::parse(report, false).expect("a SUBMIT-REPORT");
    assert_eq!((report.failure, report.timestamp.unix().map(|t| t.as_secs())), (None, Some(1_700_000_000)));
    w.answer(ALICE, &ack, 200);
    w.expect(ALICE, "SIP/2.0 202");
    w.submit(ALICE, 2, "+49", "x");
    let error = w.expect_refused(ALICE, RpCause::UNASSIGNED);
    let Rp::Error { user_data: Some(report), .. } = rpdu(&error).message else {
        panic!("{:?}", rpdu(&error))
    };
    let report = SubmitReport::parse(report, true).expect("a SUBMIT-REPORT");
    assert_eq!(report.failure.map(|f| f.0), Some(0xc3), "invalid SME address");
}

#[test]
fn all_reports_on_a_text_name_the_moment_when_it_came() {
    let mut w = World::registered(|_| {});
    let came = Some(1_700_000_000);
    let secs = |at: crate::wire::gsm::Timestamp| at.unix().map(|at| at.as_secs());
    let submitted = |sent: &Sent| {
        let Rp::Ack { user_data: Some(report) } = rpdu(sent).message else { panic!("{:?}", rpdu(sent)) };
        secs(SubmitReport::parse(report, false).expect("a SUBMIT-REPORT").timestamp)
    };
    w.lab.disk = crate::ims::tests::DiskPace::Late;
    let tpdu = submit_with(9, BOBS_NUMBER, "x", |s| s.status_report = true);
    w.send_rp(ALICE, "tel:1", "", &rp_data(9, &tpdu));
    w.pass(Duration::from_secs(3));
    let sent = w.lab.sync();
    w.sent.extend(sent);
    w.lab.disk = crate::ims::tests::DiskPace::AtOnce;
    let ack = w.expect(ALICE, "MESSAGE");
    assert_eq!(submitted(&ack), came);
    w.answer(ALICE, &ack, 200);
    w.expect(ALICE, "SIP/2.0 202");
    w.pass(Duration::from_secs(3));
    w.send_rp(ALICE, "tel:1", "", &rp_data(9, &tpdu));
    let ack = w.expect(ALICE, "MESSAGE");
    assert_eq!(submitted(&ack), came, "also of a repetition");
    w.answer(ALICE, &ack, 200);
    w.expect(ALICE, "SIP/2.0 202");
    let text = w.arrives(BOB, "x");
    assert_eq!(secs(deliver(&text).timestamp), came);
    w.report(BOB, &text, |reference| up(reference, Rp::Ack { user_data: None }));
    let report = w.expect(ALICE, "MESSAGE");
    assert_eq!(secs(status_report(&report).timestamp), came);
    assert_eq!(secs(status_report(&report).discharge), came.map(|at| at + 6));
    w.answer(ALICE, &report, 200);
    w.report(ALICE, &report, |reference| up(reference, Rp::Ack { user_data: None }));
    w.quiet();
}

#[test]
fn a_command_that_comes_again_is_acknowledged_again_and_done_once() {
    let mut w = World::with(|_| {});
    w.register(ALICE, VOLTE);
    w.submit_reported(1, None);
    for (reference, kind) in [(10, CommandType::ENQUIRY), (11, CommandType::DELETE)] {
        let call_id = w.command(reference, kind, 1, false);
        w.expect_status(
            if kind == CommandType::DELETE { 1 } else { reference },
            kind == CommandType::ENQUIRY,
            if kind == CommandType::DELETE { Status::DELETED_BY_SENDER } else { Status::TRYING_NO_RESPONSE },
        );
        w.expect_taken(ALICE, &call_id, reference);
        let call_id = w.command(reference, kind, 1, false);
        w.expect_taken(ALICE, &call_id, reference);
        w.expect_nothing();
    }
    // what was refused is not taken for done
    for _ in 0..2 {
        w.command(12, CommandType::DELETE, 1, false);
        w.expect_refused(ALICE, RpCause::REJECTED);
    }
    w.quiet();
}

#[test]
fn a_command_that_comes_again_waits_for_the_disk_with_the_first() {
    let mut w = World::with(|_| {});
    w.register(ALICE, VOLTE);
    w.submit_reported(1, None);
    w.lab.disk = crate::ims::tests::DiskPace::Late;
    let first = w.command(11, CommandType::CANCEL_STATUS_REPORT, 1, false);
    let again = w.command(11, CommandType::CANCEL_STATUS_REPORT, 1, false);
    w.expect_nothing();
    let sent = w.lab.sync();
    w.sent.extend(sent);
    w.lab.disk = crate::ims::tests::DiskPace::AtOnce;
    w.expect_taken(ALICE, &first, 11);
    w.expect_taken(ALICE, &again, 11);
    w.expect_nothing();
    w.quiet();
}

#[test]
fn a_sender_enquires_deletes_and_changes_its_mind_about_reports() {
    let mut w = World::with(|_| {});
    w.register(ALICE, VOLTE);
    w.submit_reported(1, None);
    w.submit_reported(2, None);
    let call_id = w.command(10, CommandType::ENQUIRY, 1, true);
    w.expect_status(10, true, Status::TRYING_NO_RESPONSE);
    w.expect_taken(ALICE, &call_id, 10);
    let call_id = w.command(11, CommandType::DELETE, 1, true);
    w.expect_status(1, false, Status::DELETED_BY_SENDER);
    w.expect_status(11, true, Status::DELETED_BY_SENDER);
    w.expect_taken(ALICE, &call_id, 11);
    let call_id = w.command(12, CommandType::CANCEL_STATUS_REPORT, 2, false);
    w.expect_taken(ALICE, &call_id, 12);
    assert_eq!(w.waiting(), 1);
    w.register(BOB, VOLTE);
    w.is_delivered(BOB, "x");
    w.expect_nothing();
    w.quiet();
}

#[test]
fn commands_about_nothing_are_refused_and_enquiries_told() {
    let mut w = World::registered(|_| {});
    let call_id = w.command(1, CommandType::ENQUIRY, 7, true);
    w.expect_status(1, true, Status::DOES_NOT_EXIST);
    w.expect_taken(ALICE, &call_id, 1);
    for kind in [
        CommandType::DELETE,
        CommandType::CANCEL_STATUS_REPORT,
        CommandType::ENABLE_STATUS_REPORT,
        CommandType(9),
    ] {
        w.command(2, kind, 7, false);
        w.expect_refused(ALICE, RpCause::REJECTED);
    }
    w.submitted(ALICE, 3, BOBS_NUMBER, "x");
    w.command(4, CommandType::DELETE, 3, false);
    w.expect_refused(ALICE, RpCause::REJECTED);
    w.is_delivered(BOB, "x");
    w.quiet();
}
