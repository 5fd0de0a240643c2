//! What the monitor shows of calls.

use super::*;

#[test]
fn a_call_is_two_dialogs_that_name_each_other() {
    let mut w = World::registered();
    let (mut alice, _) = w.call();
    w.pass(Duration::from_secs(2));
    let views = w.core.dialog_views(w.now);
    let [server, client] = &views[..] else { panic!("{views:#?}") };
    assert_eq!((server.kind, client.kind), ("server", "client"));
    assert_eq!((server.index, client.index), (10, 11));
    assert_eq!(server.peer_session_id.as_ref(), Some(&client.session_id));
    assert_eq!(client.peer_session_id.as_ref(), Some(&server.session_id));
    assert_eq!((server.from.as_str(), server.to.as_str()), ("sip:alice@ims.test", "tel:+33600000002"));
    assert_eq!((server.date, server.duration), (1_700_000_000, 2.0));
    let shown = |v: &crate::ims::view::DialogView| {
        v.events.iter().map(|e| format!("{} {} {}", e.kind, e.state, e.text)).collect::<Vec<_>>()
    };
    assert_eq!(
        shown(server),
        [
            "recv init INVITE",
            "send init 180 INVITE",
            "state ringing ",
            "send ringing 200 INVITE",
            "state start ",
            "recv start ACK"
        ]
    );
    assert_eq!(
        shown(client),
        [
            "send init INVITE",
            "recv init 180 INVITE",
            "state ringing ",
            "recv ringing 200 INVITE",
            "state start ",
            "send start ACK"
        ]
    );
    let of_users = |w: &World| w.core.user_views(w.now).into_iter().map(|u| u.dialogs).collect::<Vec<_>>();
    assert_eq!(of_users(&w)[..2], [vec![10], vec![11]], "each party has its own side");
    w.request(&mut alice, "BYE", "", "");
    assert!(of_users(&w).iter().all(Vec::is_empty), "a user's dialogs are those that go on");
    w.pass(Duration::from_secs(29));
    assert_eq!(w.states(), ["stop", "stop"]);
    assert_eq!(w.core.dialog_views(w.now)[0].duration, 2.0, "the clock has stopped");
    w.pass(Duration::from_secs(1));
    assert_eq!(w.states(), [""; 0]);
    w.quiet();
}

#[test]
fn the_log_tells_a_call_in_words() {
    let mut w = World::registered();
    let (mut alice, _) = w.call();
    w.request(&mut alice, "BYE", "", "");
    let calls: Vec<&String> = w.lines.0.iter().filter(|l| l.starts_with("call ")).collect();
    assert_eq!(
        calls,
        [
            "call 10: sip:alice@ims.test calls tel:+33600000002",
            "call 10: tel:+33600000002 rings",
            "call 10: tel:+33600000002 answered",
            "call 10: ended: the caller hung up"
        ]
    );
}
