//! What the network tells the phone of its registration, and what the phone makes of it.

use super::*;

impl Ims {
    /// Says one command to the monitor, as an operator does.
    fn monitor(&self, command: &[&str]) {
        let socket = self.folder.join("monitor.sock");
        let mut monitor = Command::new(env!("CARGO_BIN_EXE_imsbox"));
        Running::start(monitor.args(["monitor", "--socket"]).arg(socket).args(command)).succeeds();
    }
}

#[test]
fn a_phone_watches_its_registration_over_each_transport() {
    let ims = Ims::start("watch");
    for on in WAYS {
        for who in [ALICE, BOB] {
            let script = "register; wait notified; expect subscribed; expect reg-event registered; status; \
                          register; deregister; wait notified; \
                          expect unsubscribed; expect reg-event unregistered; expect notified 2";
            let text = ims.phone_on(on, who, script).succeeds();
            assert!(
                text.contains("tells of the registration: registered (2 identities, 1 contact, 1 NOTIFY)"),
                "{on}: {text}"
            );
            assert!(text.ends_with("\nderegistered"), "what the phone did itself is no news: {on}: {text}");
        }
    }
    let who = [ALICE, &["--reg-event", "off"]].concat();
    let text =
        ims.phone(&who, "register; sleep 0.2; expect unsubscribed; expect notified 0; status").succeeds();
    assert!(!text.contains("tells of"), "{text}");
}

#[test]
fn what_the_operator_does_to_a_registration_is_told_and_followed() {
    let mut ims = Ims::start("operator");
    for (on, who, uri) in [(WAYS[0], ALICE, "sip:alice@example.org"), (WAYS[3], BOB, "sip:bob@example.org")] {
        let script = "register; wait notified; wait unregistered 60; wait notified; wait registered 60; \
                      wait notified;                       expect reg-event registered; expect subscribed";
        let mut phone = ims.phone_on(on, who, script);
        phone.until("registered as");
        ims.monitor(&["unregister", uri]);
        let text = phone.succeeds();
        let words = "the network has ended the registration, deactivated: registering again\nregistered as";
        assert!(text.contains(words), "{on}: {text}");
    }
    for event in ["rejected", "unregistered"] {
        let script = format!(
            "register; wait notified; wait unregistered 60; expect reg-event {event}; sleep 0.2; \
             expect unregistered; expect unsubscribed; wait notified; register; wait notified; expect reg-event registered"
        );
        let mut phone = ims.phone(ALICE, &script);
        phone.until("registered as");
        ims.monitor(&["unregister", "sip:alice@example.org", event]);
        let text = phone.succeeds();
        assert!(text.contains(&format!("the network has ended the registration, {event}: ")), "{text}");
    }
    let log = ims.stop();
    assert!(!log.contains("NOTIFY was not"), "{log}");
}
