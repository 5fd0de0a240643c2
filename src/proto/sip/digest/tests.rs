//! Digest against the vector files, and the laws of its parser.

use super::*;
use crate::crypto::aka::{Functions, Sim, Vector, generate, resynchronise};
use crate::crypto::hash::Hash;
use crate::crypto::milenage::Constants;
use crate::crypto::tuak::Key;
use crate::crypto::vectors::{array, load, octets, rows, sqn};
use crate::proto::sip::digest::aka;
use serde_json::Value;
use std::num::NonZeroU8;

/// A text field; empty when it is null or absent.
fn text<'a>(row: &'a Value, field: &str) -> &'a str {
    row[field].as_str().unwrap_or_default()
}

fn algorithm(row: &Value) -> Algorithm {
    Algorithm::parse(text(row, "algorithm").as_bytes()).expect("a known algorithm")
}

fn password(row: &Value) -> Vec<u8> {
    match row["password"].as_str() {
        Some(password) => password.as_bytes().to_vec(),
        None => octets(row, "password_hex"),
    }
}

fn body(row: &Value) -> Vec<u8> {
    if row["body_hex"].is_null() { Vec::new() } else { octets(row, "body_hex") }
}

fn protection(row: &Value) -> Option<Protection<'_>> {
    let [qop, nc, cnonce] = ["qop", "nc", "cnonce"].map(|field| row[field].as_str().map(str::as_bytes));
    Some(Protection { qop: qop?, nc: nc?, cnonce: cnonce? })
}

/// The header value that a client with this row would send.
fn authorization(row: &Value) -> String {
    let mut value = "Digest ".to_owned();
    for (name, quoted) in [
        ("username", true),
        ("realm", true),
        ("nonce", true),
        ("uri", true),
        ("response", true),
        ("algorithm", false),
        ("qop", false),
        ("nc", false),
        ("cnonce", true),
    ] {
        if let Some(text) = row[name].as_str() {
            let quote = if quoted { "\"" } else { "" };
            value += &format!("{name}={quote}{text}{quote}, ");
        }
    }
    value.trim_end_matches([',', ' ']).to_owned()
}

fn check(row: &Value, header: &str) {
    let (algorithm, password, body) = (algorithm(row), password(row), body(row));
    let method = text(row, "method").as_bytes();
    let inputs = Inputs {
        algorithm,
        username: text(row, "username").as_bytes(),
        realm: text(row, "realm").as_bytes(),
        password: &password,
        nonce: text(row, "nonce").as_bytes(),
        method,
        uri: text(row, "uri").as_bytes(),
        body: &body,
        protection: protection(row),
    };
    assert_eq!(response(&inputs).as_str(), text(row, "response"), "{}", row["id"]);

    let credentials = Credentials::parse(header.as_bytes()).expect("digest");
    assert_eq!(credentials.algorithm, Some(algorithm), "{}", row["id"]);
    assert!(credentials.verify(algorithm, method, &body, &password), "{}", row["id"]);
    assert!(!credentials.verify(algorithm, b"OPTIONS", &body, &password), "{}: method", row["id"]);
    assert!(!credentials.verify(algorithm, method, &body, b"wrong"), "{}: password", row["id"]);
    let covered = row["qop"] == "auth-int";
    let other_body = credentials.verify(algorithm, method, b"other", &password);
    assert_eq!(other_body, !covered, "{}: body", row["id"]);
    for (old, new) in [("uri=\"", "uri=\"x"), ("nonce=\"", "nonce=\"x"), ("username=\"", "username=\"x")] {
        let bent = header.replacen(old, new, 1);
        let bent = Credentials::parse(bent.as_bytes()).expect("digest");
        assert!(!bent.verify(algorithm, method, &body, &password), "{}: {new}", row["id"]);
    }

    let rspauth = credentials.rspauth(algorithm, &body, &password);
    if row["qop"].is_null() {
        assert_eq!(rspauth, None, "{}", row["id"]);
    } else if let Some(expected) = row["rspauth"].as_str() {
        assert_eq!(rspauth.as_deref(), Some(expected), "{}", row["id"]);
    }
}

#[test]
fn digest_vectors() {
    let file = load("digest_md5");
    for row in rows(&file, "vectors") {
        check(row, &authorization(row));
    }
}

#[test]
fn aka_digest_vectors() {
    let file = load("aka_digest");
    for row in rows(&file, "vectors") {
        check(row, text(row, "authorization"));
    }
}

#[test]
fn aka_passwords_and_nonces() {
    let file = load("aka_digest");
    let mut passwords = 0;
    for row in rows(&file, "vectors") {
        let algorithm = algorithm(row);
        let nonce = text(row, "nonce").as_bytes();
        // TUAK rows with a MAC longer than the air interface has carry a longer AUTN, of which the nonce shows a part.
        let autn = octets(row, "AUTN");
        let (rand, autn_in_nonce) = aka::parse_nonce(nonce).expect("an AKA nonce");
        assert_eq!(rand, array(row, "RAND"), "{}", row["id"]);
        assert_eq!(autn_in_nonce, autn[..16], "{}", row["id"]);
        if autn.len() == 16 && row["server_data"].is_null() {
            assert_eq!(aka::nonce(&rand, &autn_in_nonce).as_bytes(), nonce, "{}", row["id"]);
        }
        let xres = octets(row, "XRES");
        let (Ok(xres), Ok(ck), Ok(ik)) =
            (xres.as_slice().try_into(), octets(row, "CK").try_into(), octets(row, "IK").try_into())
        else {
            continue;
        };
        let vector = Vector { rand, autn: autn_in_nonce, xres, ck, ik };
        let made = aka::password(algorithm, &vector).expect("AKA");
        if algorithm.aka() == Some(AkaVersion::V2) {
            assert_eq!(&made[..], text(row, "akav2_password").as_bytes(), "{}", row["id"]);
            let derived = |key: &[u8], label: &[u8]| Hash::Md5.hmac(key, label).to_vec();
            assert_eq!(derived(&ik, b"http-digest-akav2-integritykey"), octets(row, "IK_prime"));
            assert_eq!(derived(&ck, b"http-digest-akav2-cipherkey"), octets(row, "CK_prime"));
        }
        if row["AUTS"].is_null() {
            assert_eq!(made[..], password(row), "{}", row["id"]);
            passwords += 1;
        }
    }
    assert_eq!(passwords, 33, "all rows but the eleven with AUTS");
}

#[test]
fn auts_comes_out_of_the_header() {
    let file = load("aka_digest");
    let mut seen = 0;
    for row in rows(&file, "vectors").iter().filter(|row| !row["AUTS"].is_null()) {
        let credentials = Credentials::parse(text(row, "authorization").as_bytes()).expect("digest");
        let auts = credentials.auts.expect("auts");
        assert_eq!(auts, text(row, "auts_param").as_bytes());
        let expected: Option<[u8; 14]> = octets(row, "AUTS").try_into().ok();
        assert_eq!(aka::parse_auts(auts), expected, "{}", row["id"]);
        seen += 1;
    }
    assert_eq!(seen, 11);
}

/// The SIM of a row, where its AUTN is one of the air interface: with a MAC of 8 octets.
fn sim(row: &Value) -> Option<Sim> {
    let functions = match text(row, "aka") {
        "milenage" => Functions::Milenage {
            k: array(row, "K"),
            opc: array(row, "OPc"),
            constants: Constants::default(),
        },
        "xor" => Functions::Xor { k: array(row, "K") },
        _ => {
            let k = octets(row, "K");
            let key = k.as_slice().try_into().map(Key::K128).unwrap_or_else(|_| Key::K256(array(row, "K")));
            let iterations = NonZeroU8::new(row["KeccakIterations"].as_u64()? as u8)?;
            Functions::Tuak { key, topc: array(row, "TOPc"), iterations }
        }
    };
    let sim = Sim::new(functions, array(row, "AMF"), octets(row, "XRES").len()).expect("a good length");
    (octets(row, "AUTN").len() == 16).then_some(sim)
}

/// From K and SQN to the header and back: the whole of AKA in digest, by our own functions alone.
#[test]
fn the_keys_of_the_vectors_make_their_challenges_and_take_their_answers() {
    let file = load("aka_digest");
    let (mut answers, mut resynchronisations) = (0, 0);
    for row in rows(&file, "vectors").iter() {
        let Some(sim) = sim(row) else { continue };
        let vector = generate(&sim, &array(row, "RAND"), sqn(row, "SQN"));
        assert_eq!(vector.autn, array(row, "AUTN"), "{}", row["id"]);
        assert_eq!(vector.xres[..], octets(row, "XRES"), "{}", row["id"]);
        let credentials = Credentials::parse(text(row, "authorization").as_bytes()).expect("digest");
        let password = aka::password(algorithm(row), &vector).expect("an AKA algorithm");
        let is_right = |password: &[u8]| {
            credentials.verify(algorithm(row), text(row, "method").as_bytes(), &body(row), password)
        };
        match credentials.auts.map(|auts| aka::parse_auts(auts).expect("14 octets")) {
            None => {
                assert!(is_right(&password) && !is_right(b""), "{}", row["id"]);
                answers += 1;
            }
            Some(auts) => {
                let own =
                    resynchronise(&sim, &vector.rand, &auts).map_err(|why| format!("{} {why}", row["id"]));
                assert_eq!(own, Ok(sqn(row, "expect_SQN_MS")));
                assert!(is_right(b""), "{}: RFC 3310 3.4, an empty password", row["id"]);
                resynchronisations += 1;
            }
        }
    }
    assert_eq!((answers, resynchronisations), (30, 9), "all but the five rows whose AUTN is longer");
}

#[test]
fn challenges_of_the_vectors() {
    let file = load("aka_digest");
    for row in rows(&file, "vectors") {
        let qop: &[Qop] = match text(row, "qop") {
            "auth" => &[Qop::Auth],
            "auth-int" => &[Qop::Auth, Qop::AuthInt],
            _ => &[],
        };
        let challenge = Challenge {
            realm: text(row, "realm"),
            nonce: text(row, "nonce"),
            algorithm: algorithm(row),
            qop,
            stale: false,
            opaque: None,
        };
        let mut out = Vec::new();
        challenge.write(&mut out);
        assert_eq!(String::from_utf8_lossy(&out), text(row, "www_authenticate"), "{}", row["id"]);
    }
}

const HEADER: &str = "Digest username=\"bob\",realm=\"biloxi.com\",nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\",\
    uri=\"sip:bob@biloxi.com\",response=\"bf57e4e0d0bffc0fbaedce64d59add5e\"";

fn verify(header: &str, algorithm: Algorithm) -> bool {
    Credentials::parse(header.as_bytes()).expect("digest").verify(algorithm, b"INVITE", b"", b"zanzibar")
}

#[test]
fn an_absent_algorithm_is_the_one_of_the_challenge() {
    assert!(verify(HEADER, Algorithm::Md5));
    assert!(!verify(HEADER, Algorithm::Sha256));
}

#[test]
fn a_weaker_or_unknown_algorithm_than_challenged_is_refused() {
    let with = |name: &str| format!("{HEADER},algorithm={name}");
    assert!(verify(&with("md5"), Algorithm::Md5));
    assert!(verify(&with("\"MD5\""), Algorithm::AkaV1Md5), "the same computation under another name");
    assert!(!verify(&with("MD5"), Algorithm::Sha256));
    assert!(!verify(&with("MD6"), Algorithm::Md5));
}

#[test]
fn qop_without_nc_and_cnonce_is_taken_in_either_computation() {
    assert!(verify(&format!("{HEADER},qop=auth"), Algorithm::Md5), "as RFC 2069");
    let credentials = Credentials::parse(HEADER.as_bytes()).expect("digest");
    let Credentials { username, realm, nonce, uri, .. } = credentials;
    let empty = response(&Inputs {
        algorithm: Algorithm::Md5,
        username,
        realm,
        password: b"zanzibar",
        nonce,
        method: b"INVITE",
        uri,
        body: b"",
        protection: Some(Protection { qop: b"auth", nc: b"", cnonce: b"" }),
    });
    let with_empty = HEADER.replace("bf57e4e0d0bffc0fbaedce64d59add5e", &empty);
    assert!(verify(&format!("{with_empty},qop=auth"), Algorithm::Md5), "with empty fields");
    assert!(!verify(&format!("{HEADER},qop=auth,nc=00000001,cnonce=\"1\""), Algorithm::Md5));
    assert!(!verify(&format!("{HEADER},qop=conf"), Algorithm::Md5), "an unknown qop");
}

#[test]
fn upper_case_response_is_taken_and_other_lengths_are_not() {
    let response = "bf57e4e0d0bffc0fbaedce64d59add5e";
    assert!(verify(&HEADER.replace(response, &response.to_uppercase()), Algorithm::Md5));
    for bent in ["", "bf57", "bf57e4e0d0bffc0fbaedce64d59add5e00", "bf57e4e0d0bffc0fbaedce64d59add5f", "zz"] {
        assert!(!verify(&HEADER.replace(response, bent), Algorithm::Md5), "{bent}");
    }
    let long = "0".repeat(4000);
    assert!(!verify(&HEADER.replace(response, &long), Algorithm::Md5));
}

#[test]
fn escaped_names_verify_as_sent_and_as_meant() {
    for hashed in [br#"DOM\\bo\"b"#.as_slice(), br#"DOM\bo"b"#] {
        let made = response(&Inputs {
            algorithm: Algorithm::Md5,
            username: hashed,
            realm: b"biloxi.com",
            password: b"zanzibar",
            nonce: b"n",
            method: b"INVITE",
            uri: b"sip:biloxi.com",
            body: b"",
            protection: None,
        });
        let header = format!(
            "Digest username=\"DOM\\\\bo\\\"b\",realm=\"biloxi.com\",nonce=\"n\",uri=\"sip:biloxi.com\",response={made}"
        );
        assert!(verify(&header, Algorithm::Md5), "{}", hashed.escape_ascii());
    }
}

#[test]
fn debug_of_inputs_shows_no_password() {
    let inputs = Inputs {
        algorithm: Algorithm::Md5,
        username: b"u",
        realm: b"r",
        password: b"zanzibar",
        nonce: b"",
        method: b"",
        uri: b"",
        body: b"",
        protection: None,
    };
    assert_eq!(format!("{inputs:?}"), "Inputs { algorithm: Md5, username: u, realm: r, .. }");
}

/// Everything that may be done with a value somebody sent.
fn exercise(value: &[u8]) {
    if let Some(credentials) = Credentials::parse(value) {
        let _ = credentials.verify(Algorithm::Md5, b"REGISTER", b"body", b"secret");
        let _ = credentials.rspauth(Algorithm::AkaV1Md5, b"", b"secret");
        let _ = credentials.nonce_count();
        let _ = aka::parse_nonce(credentials.nonce);
        let _ = credentials.auts.and_then(aka::parse_auts);
    }
}

#[test]
fn truncation_and_bit_flips_never_panic() {
    let file = load("aka_digest");
    let escaped = br#"Digest username="a\"b\\",cnonce="\",qop="auth-int",nc=1"#.to_vec();
    let values = rows(&file, "vectors").iter().map(|row| text(row, "authorization").as_bytes().to_vec());
    for value in values.step_by(7).chain([escaped]) {
        for end in 0..=value.len() {
            exercise(&value[..end]);
        }
        for bit in 0..value.len() * 8 {
            let mut bent = value.clone();
            bent[bit / 8] ^= 1 << (bit % 8);
            exercise(&bent);
        }
    }
}

#[test]
fn a_changed_response_never_verifies() {
    let file = load("aka_digest");
    let row = &rows(&file, "vectors")[0];
    let (header, given) = (text(row, "authorization"), text(row, "response"));
    for at in 0..given.len() {
        let mut bent = given.as_bytes().to_vec();
        bent[at] = if bent[at] == b'0' { b'1' } else { b'0' };
        let bent = header.replace(given, std::str::from_utf8(&bent).expect("hex"));
        let credentials = Credentials::parse(bent.as_bytes()).expect("digest");
        assert!(!credentials.verify(algorithm(row), b"REGISTER", b"", &password(row)), "digit {at}");
    }
}
