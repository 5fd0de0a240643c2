//! What is answered before any handler sees it, and who may call.

use super::phone::Phone;
use super::{Lab, config, udp};
use crate::base::time::Duration;
use crate::base::trace::{Layer, Level};
use crate::config::model::{AuthentType, Impu};
use crate::proto::outbox::Output;

fn options(headers: &str) -> String {
    Phone::alice().request("OPTIONS", "sip:ims.test", "sip:ims.test", headers)
}

#[test]
fn options_is_answered_to_anybody() {
    let mut lab = Lab::new(config());
    let ok = lab.ask(udp("10.9.9.9:5060"), options(""));
    assert_eq!(ok.status(), 200);
    assert!(ok.one("Allow").contains("PRACK") && ok.one("Supported").contains("100rel"));
    assert_eq!(ok.one("Accept"), "application/sdp");
    assert_eq!(ok.one("Server"), lab.core.config().protocol.user_agent);
}

#[test]
fn wrong_method_version_scheme_and_extension_get_their_status() {
    let mut lab = Lab::new(config());
    let flow = udp("10.0.0.1:5060");
    let mut alice = Phone::alice();
    let mut ask = |text: String| lab.ask(flow, text);
    let unknown = ask(alice.request("FETCH", "sip:ims.test", "sip:ims.test", ""));
    assert_eq!(unknown.status(), 501);
    let refer = ask(alice.request("REFER", "sip:ims.test", "sip:ims.test", ""));
    assert_eq!(refer.status(), 405);
    assert!(refer.one("Allow").contains("INVITE"));
    assert_eq!(ask(alice.request("INVITE", "http://ims.test", "sip:ims.test", "")).status(), 416);
    assert_eq!(ask(options("").replace("sip:ims.test SIP/2.0", "sip:ims.test SIP/3.0")).status(), 505);
    let extension =
        ask(alice.request("OPTIONS", "sip:h", "sip:h", "Require: 100rel, x-one\r\nProxy-Require: X-Two\r\n"));
    assert_eq!((extension.status(), extension.one("Unsupported")), (420, "x-one, X-Two"));
    let tolerated =
        alice.request("OPTIONS", "sip:h", "sip:h", "Require: sec-agree,path\r\nProxy-Require: sec-agree\r\n");
    assert_eq!(ask(tolerated).status(), 200);
    assert_eq!(ask(alice.request("BYE", "sip:h", "sip:h", "")).status(), 481);
    assert_eq!(ask(alice.request("SUBSCRIBE", "sip:h", "sip:h", "Event: presence\r\n")).status(), 489);
    let hops =
        alice.request("INVITE", "tel:666", "tel:666", "").replace("Max-Forwards: 70", "Max-Forwards: 0");
    assert_eq!(ask(hops).status(), 483);
    assert_eq!(ask(options("").replace("Max-Forwards: 70", "Max-Forwards: 0")).status(), 200, "it ends here");
    let bad = ask(options("").replace("CSeq: 1 OPTIONS", "CSeq: 1 INVITE"));
    assert_eq!(bad.status(), 400);
    assert!(bad.text.starts_with("SIP/2.0 400 CSeq method differs from request method\r\n"), "{}", bad.text);
    assert_eq!(bad.one("Warning"), "399 imsbox \"CSeq method differs from request method\"");
}

#[test]
fn bodies_and_answers_that_are_not_sdp_are_refused_by_name() {
    let mut lab = Lab::new(config());
    let mut alice = Phone::alice();
    let mut ask = |headers: &str, body: &str| {
        let head = alice.request("INVITE", "tel:666", "tel:666", headers);
        let length = format!("Content-Length: {}\r\n\r\n{body}", body.len());
        lab.ask(udp("10.0.0.1:5060"), head.replace("Content-Length: 0\r\n\r\n", &length))
    };
    let text = ask("Content-Type: text/plain\r\n", "hello");
    assert_eq!((text.status(), text.one("Accept")), (415, "application/sdp"));
    let zipped = ask("Content-Type: application/sdp\r\nContent-Encoding: gzip\r\n", "x");
    assert_eq!((zipped.status(), zipped.one("Accept-Encoding")), (415, "identity"));
    assert_eq!(ask("Accept: text/nothing\r\n", "").status(), 406);
    // those that may pass are stopped by the next check: nobody has registered
    for fine in [
        "Content-Type: text/plain\r\nContent-Disposition: render;handling=optional\r\n",
        "Content-Type: application/SDP ;x=y\r\nAccept: application/3gpp-ims+xml, application/sdp\r\n",
        "Content-Type: multipart/mixed;boundary=b\r\nAccept: */*\r\n",
    ] {
        assert_eq!(ask(fine, "x").status(), 403, "{fine}");
    }
}

#[test]
fn calls_come_from_registered_contacts_only() {
    let mut lab = Lab::new(config());
    let mut alice = Phone::alice();
    let text = alice.request("INVITE", "tel:0600000002", "tel:0600000002", "");
    let refused = lab.ask(alice.flow(), text);
    assert!(refused.text.starts_with("SIP/2.0 403 Not registered\r\n"), "{}", refused.text);
    assert!(refused.one("Warning").contains("10.0.0.1:5060 has no registration"));
    assert!(lab.logged(&["INVITE refused", "10.0.0.1:5060 has no registration"]));
}

#[test]
fn users_who_need_not_prove_anything_and_open_echo_numbers_need_no_registration() {
    let mut config = config();
    config.users[0].authent_type = AuthentType::None;
    let mut sos = Impu::new("urn:service:sos");
    sos.anonymous = true;
    config.echo.push(sos);
    let mut lab = Lab::new(config);
    let mut alice = Phone::alice();
    let from_alice = alice.request("INVITE", "tel:0600000002", "tel:0600000002", "");
    assert!(lab.on_sip(alice.flow(), from_alice).iter().all(|s| s.status() != 403));
    let mut stranger = Phone::alice();
    stranger.aor = "sip:anonymous@anonymous.invalid".into();
    stranger.call_id = "anonymous".into();
    let emergency = stranger.request("INVITE", "urn:service:sos", "urn:service:sos", "");
    assert!(lab.on_sip(udp("10.0.0.7:5060"), emergency).iter().all(|s| s.status() != 403));
    let other = stranger.request("INVITE", "tel:666", "tel:666", "");
    assert_eq!(lab.ask(udp("10.0.0.7:5060"), other).status(), 403);
}

#[test]
fn calls_are_challenged_too_where_the_settings_say_so() {
    let mut config = config();
    config.users[0].auth_on_register_only = false;
    let mut lab = Lab::new(config);
    let mut alice = Phone::alice();
    assert_eq!(alice.register(&mut lab, "").status(), 200);
    let invite = alice.request("INVITE", "tel:0600000002", "tel:0600000002", "");
    let challenge = lab.ask(alice.flow(), invite);
    assert_eq!(challenge.status(), 407);
    let line = alice.authorization(&challenge, "INVITE", "tel:0600000002");
    let again = alice.request("INVITE", "tel:0600000002", "tel:0600000002", &line);
    assert!(lab.on_sip(alice.flow(), again).iter().all(|s| !matches!(s.status(), 403 | 407)));
}

#[test]
fn keep_alives_and_garbage_are_not_answered_and_garbage_is_told_once_a_minute() {
    struct Sip(usize);
    impl crate::base::trace::Sink for Sip {
        fn wants(&self, layer: Layer, _: Level) -> bool {
            layer == Layer::Sip
        }
        fn record(&mut self, _: &crate::base::trace::Record<'_>) {
            self.0 += 1;
        }
    }
    let mut lab = Lab::new(config());
    let mut lines = Sip(0);
    let mut feed = |lab: &mut Lab, octets: &[u8]| {
        let (now, wall) = (lab.now, lab.wall);
        let (_, sent) = lab.with(|core, cx| {
            let mut cx = crate::proto::cx::Cx { now, wall, rng: cx.rng, out: cx.out, sink: &mut lines };
            core.on_sip(&mut cx, udp("10.0.0.1:5060"), octets);
        });
        assert_eq!(sent, []);
        lines.0
    };
    assert_eq!(feed(&mut lab, b"\r\n\r\n"), 0);
    for _ in 0..5 {
        assert_eq!(feed(&mut lab, b"GET / HTTP/1.1\r\n\r\n"), 1);
    }
    lab.pass(Duration::from_secs(61));
    assert_eq!(feed(&mut lab, b"garbage"), 2);
}

#[test]
fn the_end_refuses_newcomers_and_comes_at_once_when_nobody_calls() {
    let mut lab = Lab::new(config());
    lab.with(|core, cx| core.shutdown(cx));
    assert!(lab.exited);
    lab.exited = false;
    let refused = Phone::alice().ask(&mut lab, "");
    assert_eq!(refused.status(), 503);
    let (_, sent) = lab.with(|core, cx| {
        core.shutdown(cx);
        assert!(!cx.out.items().contains(&Output::Exit), "said once");
    });
    assert_eq!(sent, []);
}
