//! Challenges and answers: MD5, AKA, replays, wrong keys, re-synchronisation.

use super::phone::{Phone, Secret};
use super::{K, Lab, OP, Sent, config, sim};
use crate::base::time::Duration;
use crate::base::trace::Level;
use crate::config::model::{AuthentType, OperatorCode, OperatorCodeTuak, SimAlgo};
use crate::crypto::aka::{Sim, Vector, generate};
use crate::crypto::milenage::{Constants, Milenage, derive_opc};
use crate::crypto::sqn;
use crate::ims::auth::policy;
use crate::ims::limits::AWAIT_AUTH;
use crate::proto::sip::digest::aka;

fn bob_with(op: OperatorCode) -> Phone {
    let secret = Secret::Sim(policy::sim(&sim(op)).expect("usable keys"));
    Phone::new("001010123456789@ims.test", "sip:001010123456789@ims.test", "10.0.0.2:5060", secret)
}

pub(super) fn bob() -> Phone {
    bob_with(OperatorCode::Op(OP))
}

pub(super) fn nonce(challenge: &Sent) -> String {
    let value = challenge.one("WWW-Authenticate");
    super::phone::param(crate::proto::sip::digest::digest_params(value.as_bytes()).expect("digest"), "nonce")
}

/// The sequence number that bob's SIM finds in a challenge.
pub(super) fn number_of(challenge: &Sent) -> u64 {
    let (rand, autn) = aka::parse_nonce(nonce(challenge).as_bytes()).expect("RAND and AUTN");
    let ak = Milenage::new(&K, &derive_opc(&K, &OP), &Constants::default()).f5(&rand);
    sqn::from_octets(std::array::from_fn(|i| autn[i] ^ ak[i]))
}

#[test]
fn md5_with_the_right_password_registers() {
    let mut lab = Lab::new(config());
    let mut alice = Phone::alice();
    let challenge = alice.ask(&mut lab, "");
    assert_eq!(challenge.status(), 401);
    let value = challenge.one("WWW-Authenticate");
    assert!(value.starts_with("Digest realm=\"ims.test\",nonce=\""), "{value}");
    assert!(value.ends_with("algorithm=MD5"), "{value}");
    assert_eq!(lab.core.load().bindings, 0);
    assert_eq!(alice.answer(&mut lab, &challenge, "").status(), 200);
    assert_eq!(lab.core.user_views(lab.now)[0].bindings[0].auth, "MD5");
    assert!(lab.logged(&["alice@ims.test authenticated (MD5)"]));
}

#[test]
fn aka_with_the_right_keys_registers_and_stores_the_sqn_first() {
    let mut lab = Lab::new(config());
    let mut bob = bob();
    let challenge = bob.ask(&mut lab, "");
    assert!(challenge.one("WWW-Authenticate").ends_with("algorithm=AKAv1-MD5"));
    let record = r#"{"sqn":"000000000021","reserved":"000000000821","at":1700000000000000}"#;
    assert_eq!(lab.records["sqn/001010123456789@ims.test"], record);
    let ok = bob.answer(&mut lab, &challenge, "");
    assert_eq!(ok.status(), 200);
    assert_eq!(ok.one("P-Associated-URI"), "<tel:0600000002>", "the barred identity is not shown");
    assert_eq!(number_of(&bob.ask(&mut lab, "")), 0x42);
    assert_eq!(lab.records["sqn/001010123456789@ims.test"], record, "it is reserved");
}

#[test]
fn autn_carries_the_sqn_that_a_sim_expects() {
    let mut lab = Lab::new(config());
    let challenge = bob().ask(&mut lab, "");
    let (rand, autn) = aka::parse_nonce(nonce(&challenge).as_bytes()).expect("RAND and AUTN");
    let keys = policy::sim(&sim(OperatorCode::Op(OP))).expect("keys");
    assert_eq!(generate(&keys, &rand, sqn::next(0).expect("a number")).autn, autn);
}

#[test]
fn a_nonce_without_count_serves_one_request() {
    let mut lab = Lab::new(config());
    for mut phone in [Phone::alice(), bob()] {
        let challenge = phone.ask(&mut lab, "");
        assert_eq!(phone.answer(&mut lab, &challenge, "").status(), 200);
        let replay = phone.answer(&mut lab, &challenge, "");
        assert_eq!(replay.status(), 401);
        assert_ne!(nonce(&replay), nonce(&challenge));
        let stale = replay.one("WWW-Authenticate").contains("stale=true");
        assert_eq!(stale, matches!(phone.secret, Secret::Password(_)), "the password was right");
    }
}

#[test]
fn a_nonce_with_count_serves_as_long_as_the_count_rises() {
    let mut lab = Lab::new({
        let mut config = config();
        config.users[0].qop = vec!["auth".into()];
        config
    });
    let mut alice = Phone::alice();
    let challenge = alice.ask(&mut lab, "");
    assert!(challenge.one("WWW-Authenticate").ends_with("qop=\"auth\""));
    alice.nc = 1;
    let ok = alice.answer(&mut lab, &challenge, "");
    assert_eq!(ok.status(), 200);
    assert!(ok.one("Authentication-Info").starts_with("qop=auth,rspauth=\""));
    alice.nc = 2;
    assert_eq!(alice.answer(&mut lab, &challenge, "").status(), 200);
    for replayed in [1, 2] {
        alice.nc = replayed;
        let replay = alice.answer(&mut lab, &challenge, "");
        assert_eq!(replay.status(), 401);
        assert!(replay.one("WWW-Authenticate").contains("stale=true"));
    }
    assert!(lab.logged(&["nonce count 2 again"]));
    // a client that never counts on: nc stays 1, each time with a fresh nonce
    alice.nc = 1;
    assert_eq!(alice.register(&mut lab, "").status(), 200);
}

#[test]
fn reauthenticate_challenges_every_register() {
    let mut config = config();
    config.users[0].qop = vec!["auth".into()];
    config.users[0].impus[0].reauthenticate = true;
    let mut lab = Lab::new(config);
    let mut alice = Phone::alice();
    alice.nc = 1;
    let challenge = alice.ask(&mut lab, "");
    assert_eq!(alice.answer(&mut lab, &challenge, "").status(), 200);
    alice.nc = 2;
    assert_eq!(alice.answer(&mut lab, &challenge, "").status(), 401);
}

#[test]
fn wrong_password_gets_one_fresh_challenge_then_403_and_one_line_of_words() {
    let mut lab = Lab::new(config());
    let mut alice = Phone::alice();
    assert_eq!(alice.register(&mut lab, "").status(), 200);
    alice.secret = Secret::Password("guess");
    let first = alice.ask(&mut lab, "");
    let second = alice.answer(&mut lab, &first, "");
    assert_eq!(second.status(), 401);
    assert_ne!(nonce(&second), nonce(&first));
    assert!(!second.one("WWW-Authenticate").contains("stale"));
    assert_eq!(alice.answer(&mut lab, &second, "").status(), 403);
    let errors = lab.lines(Level::Error);
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(
        errors[0].contains("wrong password: the client's is not the pwd of IMPI alice@ims.test"),
        "{errors:?}"
    );
    assert!(!errors[0].contains("secret") && !errors[0].contains("guess"));
    let view = &lab.core.user_views(lab.now)[0];
    assert!(view.last_error.as_ref().is_some_and(|(_, words)| words.contains("wrong password")));
    assert_eq!(view.bindings.len(), 1, "the older registration stays");
    alice.secret = Secret::Password("secret");
    assert_eq!(alice.register(&mut lab, "").status(), 200, "and the right password still works");
}

#[test]
fn a_client_that_computes_with_another_name_than_it_sends_is_told_apart_from_a_wrong_password() {
    let mut lab = Lab::new(config());
    let mut words = |name: &str, computed: &str| {
        let mut alice = Phone::alice();
        let first = alice.ask(&mut lab, "");
        let (right, other) = match name {
            "realm" => ("realm=\"ims.test\"", format!("realm=\"{computed}\"")),
            _ => ("username=\"alice@ims.test\"", format!("username=\"{computed}\"")),
        };
        let bent = Sent { text: first.text.replace(right, &other), ..first };
        alice.username = if name == "realm" { alice.username } else { computed.to_owned() };
        let line = alice.authorization(&bent, "REGISTER", "sip:10.0.0.254").replace(&other, right);
        let text = alice.register_text(&line).replace("REGISTER sip:ims.test", "REGISTER sip:10.0.0.254");
        assert_eq!(lab.ask(alice.flow(), text).status(), 401);
        lab.core.user_views(lab.now)[0].last_error.clone().expect("kept, should the client give up here").1
    };
    let realm = words("realm", "10.0.0.254");
    assert!(realm.contains("the password is right, but the client computed with the realm"), "{realm}");
    assert!(realm.contains("\"10.0.0.254\" instead of \"ims.test\""), "{realm}");
    let username = words("username", "alice");
    assert!(username.contains("computed with the username alice and sent alice@ims.test"), "{username}");
    assert!(words("realm", "elsewhere").contains("wrong password"));
}

#[test]
fn wrong_keys_are_named_and_op_for_opc_is_recognised() {
    let mut lab = Lab::new(config());
    let refused = |lab: &mut Lab, mut phone: Phone| {
        let second = phone.register(lab, "");
        assert_eq!(second.status(), 401);
        assert_eq!(phone.answer(lab, &second, "").status(), 403);
    };
    // the SIM holds as OPc what the configuration calls OP
    refused(&mut lab, bob_with(OperatorCode::Opc(OP)));
    assert!(lab.logged(&[
        "RES does not match",
        "but it does when the configured op is an OPc: configure it as opc for IMSI 001010123456789"
    ]));
    lab.log.0.clear();
    refused(&mut lab, bob_with(OperatorCode::Op([7; 16])));
    assert!(lab.logged(&[
        "RES does not match",
        "K or op of IMSI 001010123456789",
        "nor does it when the configured op is an OPc"
    ]));
    lab.log.0.clear();
    let xor = crate::config::model::Sim { algo: SimAlgo::Xor, ..sim(OperatorCode::Op(OP)) };
    let mut phone = bob();
    phone.secret = Secret::Sim(policy::sim(&xor).expect("keys"));
    refused(&mut lab, phone);
    assert!(lab.logged(&["but it does when the SIM uses XOR: configure sim_algo"]));
}

#[test]
fn a_sim_that_rejects_autn_is_told_in_words() {
    let mut lab = Lab::new(config());
    let mut phone = bob();
    let empty = |challenge: &Sent| {
        format!(
            "Authorization: Digest username=\"001010123456789@ims.test\",realm=\"ims.test\",nonce=\"{}\",response=\"\"\r\n",
            nonce(challenge)
        )
    };
    let first = phone.ask(&mut lab, "");
    let second = phone.ask(&mut lab, &empty(&first));
    assert_eq!(second.status(), 401);
    assert_eq!(phone.ask(&mut lab, &empty(&second)).status(), 403);
    assert!(lab.logged(&[
        "rejects our AUTN (MAC failure)",
        "K or op of IMSI 001010123456789 is not that of the SIM"
    ]));
}

/// AUTS of a SIM with these keys whose SQN is `sqn_ms`.
fn auts(rand: &[u8; 16], sqn_ms: u64, opc: &[u8; 16]) -> String {
    use base64::Engine as _;
    let m = Milenage::new(&K, opc, &Constants::default());
    let sqn = sqn::octets(sqn_ms);
    let ak = m.f5_star(rand);
    let mut octets: Vec<u8> = sqn.iter().zip(ak).map(|(s, a)| s ^ a).collect();
    octets.extend(m.f1_star(rand, &sqn, &[0, 0]));
    base64::engine::general_purpose::STANDARD.encode(octets)
}

pub(super) fn with_auts(challenge: &Sent, sqn_ms: u64, opc: &[u8; 16]) -> String {
    let nonce = nonce(challenge);
    let (rand, _) = aka::parse_nonce(nonce.as_bytes()).expect("RAND");
    format!(
        "Authorization: Digest username=\"001010123456789@ims.test\",realm=\"ims.test\",nonce=\"{nonce}\",response=\"\",\
         auts=\"{}\"\r\n",
        auts(&rand, sqn_ms, opc)
    )
}

#[test]
fn a_sim_ahead_of_us_resynchronises_and_registers() {
    let mut lab = Lab::new(config());
    let mut phone = bob();
    let first = phone.ask(&mut lab, "");
    let line = with_auts(&first, 0x1000, &derive_opc(&K, &OP));
    let second = phone.ask(&mut lab, &line);
    assert_eq!(second.status(), 401);
    let (rand, autn) = aka::parse_nonce(nonce(&second).as_bytes()).expect("RAND and AUTN");
    let keys: Sim = policy::sim(&sim(OperatorCode::Op(OP))).expect("keys");
    let expected: Vector = generate(&keys, &rand, sqn::next(0x1000).expect("a number"));
    assert_eq!(autn, expected.autn, "the next vector continues from the SIM's number");
    assert_eq!(phone.answer(&mut lab, &second, "").status(), 200);
    assert!(lab.logged(&["SQN re-synchronised to 000000001000"]));
    // the same AUTS again, for a nonce that has been used: a plain challenge, and the number stays
    assert_eq!(number_of(&phone.ask(&mut lab, &line)), 0x1042);
    let record = r#"{"sqn":"000000001021","reserved":"000000001821","at":1700000000000000}"#;
    assert_eq!(lab.records["sqn/001010123456789@ims.test"], record);
}

#[test]
fn auts_of_other_keys_and_endless_auts_are_refused() {
    let mut lab = Lab::new(config());
    let mut phone = bob();
    let first = phone.ask(&mut lab, "");
    assert_eq!(phone.ask(&mut lab, &with_auts(&first, 0x1000, &OP)).status(), 403);
    assert!(lab.logged(&[
        "MAC-S of AUTS does not match",
        "but it does when the configured op is an OPc: configure it as opc"
    ]));
    let opc = derive_opc(&K, &OP);
    let mut challenge = phone.ask(&mut lab, "");
    for round in 1..=3 {
        let line = with_auts(&challenge, round << 20, &opc);
        challenge = phone.ask(&mut lab, &line);
    }
    assert_eq!(challenge.status(), 403);
    assert!(lab.logged(&["asks for SQN again and again"]));
}

#[test]
fn a_challenge_is_forgotten_after_its_time() {
    let mut lab = Lab::new(config());
    let mut alice = Phone::alice();
    let challenge = alice.ask(&mut lab, "");
    assert_eq!(lab.core.load().challenges, 1);
    lab.pass(AWAIT_AUTH + Duration::from_secs(1));
    assert_eq!(lab.core.load().challenges, 0);
    assert!(lab.logged(&["alice@ims.test has not answered its challenge"]));
    let late = alice.answer(&mut lab, &challenge, "");
    assert_eq!(late.status(), 401);
    assert!(late.one("WWW-Authenticate").contains("stale=true"));
}

#[test]
fn the_nonce_of_one_user_does_not_serve_another() {
    let mut lab = Lab::new(config());
    let challenge = bob().ask(&mut lab, "");
    let mut alice = Phone::alice();
    let line = alice.authorization(&challenge_as_md5(&challenge), "REGISTER", "sip:ims.test");
    assert_eq!(alice.ask(&mut lab, &line).status(), 401);
    assert_eq!(lab.core.load().bindings, 0);
}

fn challenge_as_md5(challenge: &Sent) -> Sent {
    Sent { text: challenge.text.replace("AKAv1-MD5", "MD5"), ..challenge.clone() }
}

#[test]
fn proxy_auth_uses_the_other_family_of_headers() {
    let mut config = config();
    config.users[0].proxy_auth = true;
    let mut lab = Lab::new(config);
    let mut alice = Phone::alice();
    let challenge = alice.ask(&mut lab, "");
    assert_eq!(challenge.status(), 407);
    assert_eq!(alice.answer(&mut lab, &challenge, "").status(), 200);
}

#[test]
fn the_weakest_sufficient_algorithm_is_the_default_and_a_stronger_wish_is_granted() {
    let mut config = config();
    config.users[1].authent_type = AuthentType::Md5;
    config.users[1].password = Some("pw".into());
    let mut lab = Lab::new(config);
    let mut phone = bob();
    assert!(phone.ask(&mut lab, "").text.contains("algorithm=MD5\r\n"));
    let wish = |algorithm: &str| {
        format!(
            "Authorization: Digest username=\"001010123456789@ims.test\",realm=\"ims.test\",nonce=\"\",uri=\"sip:ims.test\",\
             response=\"\",algorithm={algorithm}\r\n"
        )
    };
    assert!(phone.ask(&mut lab, &wish("AKAv1-MD5")).text.contains("algorithm=AKAv1-MD5"));
    assert!(phone.ask(&mut lab, &wish("SHA-256")).text.contains("algorithm=SHA-256"));
    let mut strict = Lab::new(super::config());
    assert!(phone.ask(&mut strict, &wish("MD5")).text.contains("algorithm=AKAv1-MD5"), "never weaker");
    let v2 = phone.ask(&mut strict, &wish("AKAv2-MD5"));
    assert!(v2.text.contains("algorithm=AKAv2-MD5"));
    assert_eq!(phone.answer(&mut strict, &v2, "").status(), 200);
}

#[test]
fn every_algorithm_of_a_sim_registers_with_every_version_of_aka() {
    let (r, c) = match sim(OperatorCode::Op(OP)).algo {
        SimAlgo::Milenage { r, c, .. } => (r, c),
        other => panic!("{other:?}"),
    };
    let milenage = SimAlgo::Milenage { op: OperatorCode::Opc(OP), r, c };
    let tuak = SimAlgo::Tuak { top: OperatorCodeTuak::Top([7; 32]), keccak_iter: 2 };
    let algorithms = [(milenage, 16), (SimAlgo::Xor, 16), (tuak.clone(), 16), (tuak, 32)];
    for (algo, key_length) in algorithms {
        for (authent_type, name) in [
            (AuthentType::AkaV1, "AKAv1-MD5"),
            (AuthentType::AkaV2, "AKAv2-MD5"),
            (AuthentType::AkaV2Sha256, "AKAv2-SHA-256"),
        ] {
            let mut config = config();
            let card = config.users[1].sim.as_mut().expect("bob has a SIM");
            (card.algo, card.k) = (algo.clone(), vec![0x5a; key_length]);
            let secret = Secret::Sim(policy::sim(card).expect("usable keys"));
            config.users[1].authent_type = authent_type;
            let mut lab = Lab::new(config);
            let mut phone = Phone { secret, ..bob() };
            let challenge = phone.ask(&mut lab, "");
            assert!(challenge.text.contains(&format!("algorithm={name}\r\n")), "{}", challenge.text);
            assert_eq!(phone.answer(&mut lab, &challenge, "").status(), 200, "{algo:?} {name}");
        }
    }
}

#[test]
fn a_user_without_keys_is_told_as_such() {
    let mut config = config();
    config.users[1].sim = None;
    let mut lab = Lab::new(config);
    assert_eq!(bob().ask(&mut lab, "").status(), 500);
    assert!(lab.logged(&["IMPI 001010123456789@ims.test has neither a password nor SIM keys"]));
}

/// Every setting of the authentication of one identity, and of the user.
#[test]
fn an_identity_without_authentication_registers_unproven_and_the_others_do_not() {
    let mut config = config();
    config.users[0].impus[1].authentication = false;
    let mut lab = Lab::new(config);
    let mut open = Phone::alice();
    open.aor = "tel:+33600000001".into();
    assert_eq!(open.ask(&mut lab, "").status(), 200);
    assert_eq!(lab.core.user_views(lab.now)[0].bindings[0].auth, "none");
    assert_eq!(Phone::alice().ask(&mut lab, "").status(), 401);
    let mut config = super::config();
    config.users.iter_mut().for_each(|user| user.authent_type = AuthentType::None);
    let mut lab = Lab::new(config);
    assert_eq!((bob().ask(&mut lab, "").status(), Phone::alice().ask(&mut lab, "").status()), (200, 200));
}

/// manual 5.2.1: none < MD5 < AKAv1 < AKAv2, and AKAv2-SHA-256 above; what is proposed below the least is raised to it.
#[test]
fn the_order_of_levels_holds_for_every_proposal() {
    const LEVELS: [(AuthentType, &str); 4] = [
        (AuthentType::Md5, "MD5"),
        (AuthentType::AkaV1, "AKAv1-MD5"),
        (AuthentType::AkaV2, "AKAv2-MD5"),
        (AuthentType::AkaV2Sha256, "AKAv2-SHA-256"),
    ];
    for (least, (authent_type, weakest)) in LEVELS.into_iter().enumerate() {
        let mut config = config();
        config.users[1].authent_type = authent_type;
        config.users[1].password = Some("pw".into());
        let mut lab = Lab::new(config);
        let mut offered = |algorithm: &str| {
            let wish = format!(
                "Authorization: Digest username=\"001010123456789@ims.test\",realm=\"ims.test\",nonce=\"\",\
                 uri=\"sip:ims.test\",response=\"\",algorithm={algorithm}\r\n"
            );
            let value = bob().ask(&mut lab, &wish);
            let params = crate::proto::sip::digest::digest_params(value.one("WWW-Authenticate").as_bytes());
            super::phone::param(params.expect("digest"), "algorithm")
        };
        for (level, (_, proposed)) in LEVELS.into_iter().enumerate() {
            assert_eq!(offered(proposed), if level < least { weakest } else { proposed }, "{authent_type:?}");
        }
        assert_eq!(offered("SHA-256"), if least == 0 { "SHA-256" } else { weakest });
        assert_eq!(offered("AKAv9-MD5"), weakest, "one that nobody knows");
    }
}
