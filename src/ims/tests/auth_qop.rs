//! Quality of protection (`authent_qop`): what is offered, what is taken, and counts that are none.

use super::auth::{bob, nonce};
use super::phone::{Phone, Secret};
use super::{Lab, Sent, config};
use crate::proto::sip::digest::{Algorithm, Inputs, Protection, response};

/// alice and bob are offered these.
fn lab(qop: &[&str]) -> Lab {
    let mut config = config();
    config.users.iter_mut().for_each(|user| user.qop = qop.iter().map(|&name| name.to_owned()).collect());
    Lab::new(config)
}

#[test]
fn every_setting_is_offered_as_it_is_configured() {
    for (qop, expected) in [
        (&[][..], "algorithm=MD5"),
        (&["auth"], "qop=\"auth\""),
        (&["auth-int"], "qop=\"auth-int\""),
        (&["auth", "auth-int"], "qop=\"auth,auth-int\""),
    ] {
        let mut lab = lab(qop);
        let challenge = Phone::alice().ask(&mut lab, "");
        assert!(challenge.one("WWW-Authenticate").ends_with(expected), "{}", challenge.text);
    }
}

#[test]
fn auth_int_covers_the_body_for_passwords_and_for_sims() {
    for mut phone in [Phone::alice(), bob()] {
        let mut lab = lab(&["auth", "auth-int"]);
        (phone.qop, phone.nc, phone.body) = ("auth-int", 1, "a body");
        phone.extra = "Content-Type: text/plain\r\n".into();
        let challenge = phone.ask(&mut lab, "");
        let line = phone.authorization(&challenge, "REGISTER", "sip:ims.test");
        let bent = phone.register_text(&line).replace("a body", "b body");
        let again = lab.ask(phone.flow(), bent);
        assert_eq!((again.status(), lab.core.load().bindings), (401, 0), "another body");
        let ok = phone.answer(&mut lab, &again, "");
        assert_eq!(ok.status(), 200);
        assert!(ok.one("Authentication-Info").starts_with("qop=auth-int,rspauth=\""));
    }
}

#[test]
fn a_client_that_answers_without_qop_or_with_less_is_taken_where_more_than_auth_int_is_offered() {
    for offered in [&[][..], &["auth"], &["auth", "auth-int"]] {
        for mut phone in [Phone::alice(), bob()] {
            let mut lab = lab(offered);
            let challenge = phone.ask(&mut lab, "");
            assert_eq!(phone.answer(&mut lab, &challenge, "").status(), 200, "{offered:?}");
            let again = phone.answer(&mut lab, &challenge, "");
            assert_eq!(again.status(), 401, "without a count the nonce serves once");
            phone.nc = 1;
            assert_eq!(phone.answer(&mut lab, &again, "").status(), 200, "{offered:?} with qop auth");
        }
    }
}

#[test]
fn where_only_auth_int_is_offered_nothing_less_will_do() {
    for (nc, found) in [(0, "no qop"), (1, "qop auth")] {
        let mut lab = lab(&["auth-int"]);
        let mut alice = Phone::alice();
        alice.nc = nc;
        let second = alice.register(&mut lab, "");
        assert_eq!(second.status(), 401);
        assert_eq!(alice.answer(&mut lab, &second, "").status(), 403);
        assert!(
            lab.logged(&[&format!("the answer has {found}, and authent_qop asks for auth-int"), "add auth"])
        );
        (alice.qop, alice.nc) = ("auth-int", 1);
        assert_eq!(alice.register(&mut lab, "").status(), 200);
    }
}

/// alice's answer with this nc and cnonce, whatever they are, computed as they stand.
fn odd_answer(lab: &mut Lab, alice: &mut Phone, challenge: &Sent, nc: &str, cnonce: Option<&str>) -> Sent {
    let nonce = nonce(challenge);
    let response = response(&Inputs {
        algorithm: Algorithm::Md5,
        username: b"alice@ims.test",
        realm: b"ims.test",
        password: b"secret",
        nonce: nonce.as_bytes(),
        method: b"REGISTER",
        uri: b"sip:ims.test",
        body: b"",
        protection: Some(Protection {
            qop: b"auth",
            nc: nc.as_bytes(),
            cnonce: cnonce.unwrap_or_default().as_bytes(),
        }),
    });
    let cnonce = cnonce.map(|cnonce| format!(",cnonce=\"{cnonce}\"")).unwrap_or_default();
    let line = format!(
        "Authorization: Digest username=\"alice@ims.test\",realm=\"ims.test\",nonce=\"{nonce}\",uri=\"sip:ims.test\",\
         response=\"{response}\",qop=auth,nc={nc}{cnonce}\r\n"
    );
    alice.ask(lab, &line)
}

#[test]
fn counts_that_are_none_serve_once_and_are_told() {
    let long = "f".repeat(4000);
    for nc in ["1x", "-1", "0x00000001", "000000001", "\u{e9}", &long] {
        let mut lab = lab(&["auth"]);
        let mut alice = Phone::alice();
        let challenge = alice.ask(&mut lab, "");
        assert_eq!(odd_answer(&mut lab, &mut alice, &challenge, nc, Some("c")).status(), 200, "{nc}");
        assert!(lab.logged(&["alice@ims.test: nc ", "is no hexadecimal number, so its nonce serves once"]));
        assert!(lab.log.0.iter().all(|(_, line)| line.len() < 500));
        assert_eq!(odd_answer(&mut lab, &mut alice, &challenge, nc, Some("c")).status(), 401, "{nc}");
    }
}

#[test]
fn counts_may_leave_gaps_and_cnonces_may_be_missing_empty_or_long() {
    let mut lab = lab(&["auth"]);
    let mut alice = Phone::alice();
    let challenge = alice.ask(&mut lab, "");
    let long = "c".repeat(3000);
    for (nc, cnonce, status) in [
        ("00000001", Some("c"), 200),
        ("00000002", None, 200),
        ("5", Some(""), 200),
        ("0000000A", Some(&long[..]), 200),
        ("0000000a", Some("c"), 401),
        ("00000009", Some("c"), 401),
        ("ffffffff", Some("c"), 200),
        ("ffffffff", Some("d"), 401),
        ("nonsense", Some("c"), 401),
    ] {
        assert_eq!(odd_answer(&mut lab, &mut alice, &challenge, nc, cnonce).status(), status, "{nc}");
    }
    assert!(lab.logged(&["nonce count 10 again, a replay"]));
    assert!(lab.logged(&["an answer without a nonce count to a nonce that has served"]));
    assert_eq!(alice.register(&mut lab, "").status(), 200);
}

#[test]
fn one_challenge_is_sent_whatever_a_password_user_could_do_and_sha_256_on_request() {
    let mut lab = Lab::new(config());
    let mut alice = Phone::alice();
    let challenge = alice.ask(&mut lab, "");
    assert!(challenge.one("WWW-Authenticate").contains("algorithm=MD5"), "RFC 8760 2.3 would allow two");
    let wish = "Authorization: Digest username=\"alice@ims.test\",realm=\"ims.test\",nonce=\"\",uri=\"sip:ims.test\",\
                response=\"\",algorithm=SHA-256\r\n";
    let challenge = alice.ask(&mut lab, wish);
    assert!(challenge.one("WWW-Authenticate").contains("algorithm=SHA-256"));
    assert_eq!(alice.answer(&mut lab, &challenge, "").status(), 200);
    assert_eq!(lab.core.user_views(lab.now)[0].bindings[0].auth, "SHA-256");
    // an answer that falls back to the weaker one is none
    let challenge = alice.ask(&mut lab, wish);
    let weaker = Sent { text: challenge.text.replace("SHA-256", "MD5"), ..challenge };
    assert_eq!(alice.answer(&mut lab, &weaker, "").status(), 401);
    assert!(lab.logged(&["the answer uses the algorithm MD5, the challenge SHA-256"]));
    alice.secret = Secret::Password("guess");
    assert_eq!(alice.register(&mut lab, "").status(), 401);
}
