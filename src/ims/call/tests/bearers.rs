//! Bearers of calls: asked of a policy server when offer and answer are there, and what its answers do to the call.

use super::*;
use crate::config::model::Precondition;
use crate::ims::policy::{Command, Outcome, Server, SessionId};

const VOLTE: &str = ";+g.3gpp.icsi-ref=\"urn%3Aurn-7%3A3gpp-service.ims.icsi.mmtel\"";
const RELIABLE: &str = "Require: 100rel,precondition\r\nRSeq: 1\r\n";

fn waiting(ready: bool) -> String {
    let (direction, local) = if ready { ("sendrecv", "sendrecv") } else { ("inactive", "none") };
    let lines = format!(
        "a={direction}\r\na=curr:qos local {local}\r\na=curr:qos remote none\r\na=des:qos mandatory local sendrecv\r\n"
    );
    SDP.replace("a=sendrecv\r\n", &lines)
}

/// A world with a policy server in which Alice and Bob have VoLTE phones.
fn world(change: impl FnOnce(&mut Config)) -> World {
    let mut w = World::with(change);
    w.core.set_policy_server(Server::External);
    w.register(ALICE, VOLTE);
    w.register(BOB, VOLTE);
    w
}

impl World {
    /// What the policy server is asked.
    fn commands(&mut self) -> Vec<Command> {
        std::iter::from_fn(|| self.core.pop_bearer_command()).collect()
    }

    /// What the policy server is asked for: sessions by the phone's address.
    fn reserved(&mut self) -> Vec<(SessionId, String)> {
        let reserved = |c| match c {
            Command::Reserve { session, needs } => (session, needs.ue.to_string()),
            Command::Release { .. } => panic!("{c:?}"),
        };
        self.commands().into_iter().map(reserved).collect()
    }

    fn decides(&mut self, session: SessionId, outcome: Outcome<'_>) {
        self.input(|core, cx| core.on_bearers(cx, session, outcome));
    }

    /// The QoS state of each dialog's streams.
    fn qos(&self) -> Vec<&'static str> {
        let mut views = self.core.dialog_views(self.now);
        views.sort_by_key(|v| v.index);
        views.iter().flat_map(|v| v.medias.iter().map(|m| m.qos)).collect()
    }
}

/// A call with preconditions up to the reliable 183, and Bob's INVITE.
fn offered(w: &mut World) -> (Side, String) {
    let headers = "Supported: 100rel, precondition\r\n";
    let mut alice = w.invite(ALICE, "sip:bob@ims.test", headers, &waiting(false));
    let invite = w.expect(BOB, "INVITE");
    assert_eq!(w.commands(), [], "there is no answer yet");
    w.answer(BOB, &invite, 183, RELIABLE, &waiting(false));
    alice.learn(&w.expect(ALICE, "SIP/2.0 183"));
    (alice, invite)
}

#[test]
fn both_phones_get_bearers_and_give_them_back() {
    let mut w = world(|_| {});
    let (mut alice, invite) = offered(&mut w);
    assert_eq!(w.qos(), ["pending", "pending"]);
    let reserved = w.reserved();
    assert_eq!(reserved, [(1, "192.0.2.1".to_owned()), (2, "192.0.2.2".to_owned())]);
    w.decides(1, Outcome::Granted);
    assert_eq!(w.qos(), ["erab_set", "pending"]);
    w.decides(2, Outcome::Granted);
    w.request(&mut alice, "PRACK", "RAck: 1 1 INVITE\r\n", "");
    let prack = w.expect(BOB, "PRACK");
    w.answer(BOB, &prack, 200, "", "");
    w.expect(ALICE, "SIP/2.0 200");
    w.request(&mut alice, "UPDATE", "", &waiting(true));
    let update = w.expect(BOB, "UPDATE");
    assert_eq!(w.commands(), [], "an offer is open");
    w.answer(BOB, &update, 200, "", &waiting(true));
    w.expect(ALICE, "SIP/2.0 200");
    assert_eq!(w.reserved(), reserved, "the same sessions, with what is said now");
    w.answer(BOB, &invite, 200, "", "");
    w.expect(ALICE, "SIP/2.0 200");
    w.ack(&alice, 1, "");
    w.expect(BOB, "ACK");
    // a change that is refused changes nothing
    w.request(&mut alice, "UPDATE", "", &SDP.replace("4000", "4002"));
    let update = w.expect(BOB, "UPDATE");
    w.answer(BOB, &update, 488, "", "");
    w.expect(ALICE, "SIP/2.0 488");
    assert_eq!(w.commands(), []);
    w.request(&mut alice, "BYE", "", "");
    assert_eq!(w.commands(), [1, 2].map(|session| Command::Release { session }));
    w.decides(1, Outcome::Lost("too late"));
    w.quiet();
}

#[test]
fn a_bearer_that_cannot_be_had_refuses_the_call_with_580() {
    for session in [1, 2] {
        let mut w = world(|_| {});
        let (_, invite) = offered(&mut w);
        w.decides(session, Outcome::Refused("no resources"));
        w.expect(ALICE, "SIP/2.0 580");
        let cancel = w.expect(BOB, "CANCEL");
        w.answer(BOB, &cancel, 200, "", "");
        w.answer(BOB, &invite, 487, "", "");
        w.expect(BOB, "ACK");
        w.quiet();
    }
}

#[test]
fn silently_a_refusal_is_not_missed_and_a_loss_neither() {
    let mut w = world(|c| c.call.precondition = Precondition::Silent);
    let (mut alice, _) = w.call();
    assert_eq!(w.reserved().len(), 2);
    w.decides(1, Outcome::Refused("no resources"));
    w.decides(2, Outcome::Granted);
    w.decides(2, Outcome::Lost("the phone is gone"));
    assert_eq!((w.states(), w.qos()), (vec!["start", "start"], vec!["required", "required"]));
    w.request(&mut alice, "BYE", "", "");
    w.quiet();
}

#[test]
fn a_call_whose_bearer_is_lost_ends() {
    let mut w = world(|_| {});
    w.call();
    w.decides(1, Outcome::Granted);
    w.decides(1, Outcome::Lost("the phone is gone"));
    let byes = [ALICE, BOB].map(|phone| header(&w.expect(phone, "BYE"), HeaderId::Reason));
    assert!(byes.iter().all(|r| r.starts_with("SIP;cause=503;text=\"the bearer of")), "{byes:?}");
    w.quiet();
}

#[test]
fn off_asks_for_none_and_so_does_a_soft_client() {
    let mut w = world(|c| c.call.precondition = Precondition::Off);
    w.call();
    assert_eq!((w.commands(), w.qos()), (vec![], vec!["disabled", "disabled"]));
    w.core.set_policy_server(Server::External);
    let mut w = world(|_| {});
    w.register(ALICE, "");
    w.call();
    assert_eq!(w.reserved(), [(1, "192.0.2.2".to_owned())]);
    assert_eq!(w.qos(), ["disabled", "pending"]);
}

#[test]
fn the_caller_of_an_echo_number_gets_one() {
    let mut w = world(|_| {});
    let mut alice = w.invite(ALICE, "tel:666", "", SDP);
    alice.learn(&w.expect(ALICE, "SIP/2.0 200"));
    assert_eq!(w.reserved(), [(1, "192.0.2.1".to_owned())]);
    w.ack(&alice, 1, "");
    w.decides(1, Outcome::Granted);
    assert_eq!(w.qos(), ["erab_set"]);
    w.request(&mut alice, "BYE", "", "");
    assert_eq!(w.commands(), [Command::Release { session: 1 }]);
    w.quiet();
}

#[test]
fn a_phone_that_the_network_calls_gets_one_too() {
    use crate::ims::call::{Callee, Order};
    let order = || Order {
        callee: Callee::Any("sip:bob@ims.test".to_owned()),
        caller: None,
        media: None,
        duration: None,
        sos: false,
    };
    for outcome in [Outcome::Granted, Outcome::Refused("no resources")] {
        let mut w = world(|_| {});
        w.input(|core, cx| core.call(cx, order())).unwrap();
        let invite = w.expect(BOB, "INVITE");
        let offer = body(&invite).to_owned();
        let answer = SDP.replace("m=audio 4000 RTP/AVP 0", "m=audio 4000 RTP/AVP 8");
        w.answer(BOB, &invite, 183, "", &answer);
        assert_eq!(w.reserved(), [(1, "192.0.2.2".to_owned())], "{offer}");
        w.decides(1, outcome);
        if outcome == Outcome::Granted {
            assert_eq!(w.qos(), ["erab_set"]);
            w.answer(BOB, &invite, 200, "", &answer);
            w.expect(BOB, "ACK");
            w.input(|core, cx| core.stop_dialog(cx, 10)).unwrap();
        } else {
            let cancel = w.expect(BOB, "CANCEL");
            w.answer(BOB, &cancel, 200, "", "");
            w.answer(BOB, &invite, 487, "", "");
            w.expect(BOB, "ACK");
        }
        w.quiet();
    }
}

#[test]
fn without_a_policy_server_all_is_granted() {
    let mut w = World::new();
    w.register(ALICE, VOLTE);
    w.register(BOB, VOLTE);
    w.call();
    assert_eq!(w.qos(), ["erab_set", "erab_set"]);
}

#[test]
fn a_bearer_that_one_of_several_phones_behind_a_contact_cannot_have_ends_its_early_dialog_alone() {
    let mut w = world(|_| {});
    let (mut alice, invite) = offered(&mut w);
    assert_eq!(w.reserved().len(), 2);
    let own = format!(";tag=T{}", BOB.addr.replace([':', '.'], ""));
    let answer = waiting(false).replace("4000", "5000");
    w.send(BOB, &reply(BOB, &invite, 183, RELIABLE, &answer).replace(&own, ";tag=two"));
    let mut two = alice.clone();
    two.learn(&w.expect(ALICE, "SIP/2.0 183"));
    assert_eq!(w.reserved(), [(3, "192.0.2.1".to_owned()), (4, "192.0.2.2".to_owned())]);
    w.decides(4, Outcome::Refused("no room"));
    let bye = w.expect(BOB, "BYE");
    assert!(header(&bye, HeaderId::To).ends_with(";tag=two"), "{bye}");
    assert!(header(&bye, HeaderId::Reason).contains("580"), "{bye}");
    w.answer(BOB, &bye, 200, "", "");
    w.expect_nothing();
    assert_eq!(w.commands(), [Command::Release { session: 3 }, Command::Release { session: 4 }]);
    w.request(&mut two, "PRACK", "RAck: 1 1 INVITE\r\n", "");
    w.expect(ALICE, "SIP/2.0 481");
    // the other one rings on, and without its bearers it was the last
    w.request(&mut alice, "PRACK", "RAck: 1 1 INVITE\r\n", "");
    let prack = w.expect(BOB, "PRACK");
    w.answer(BOB, &prack, 200, "", "");
    w.expect(ALICE, "SIP/2.0 200");
    w.decides(2, Outcome::Refused("no room"));
    w.expect(BOB, "CANCEL");
    w.expect(ALICE, "SIP/2.0 580");
    w.quiet();
}
