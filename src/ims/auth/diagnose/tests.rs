//! Each cause in its words: what is configured, what the client does instead, and what is said of it.

use super::*;
use crate::config::model::Sim;
use crate::crypto::aka::generate;
use crate::ims::auth::card::Card;
use crate::ims::auth::challenge::NonceText;
use crate::ims::subscriber::UserId;
use crate::ims::tests::{K, OP, config, sim};
use crate::proto::sip::digest::{Inputs, Protection, response};
use crate::wire::sip::Index;
use std::net::IpAddr;

const RAND: [u8; 16] = [0x5c; 16];

/// What the client does.
#[derive(Clone)]
struct Client {
    /// The algorithm that it computes.
    algorithm: Algorithm,
    password: Vec<u8>,
    /// The username and the realm that it computes with, and those that it sends.
    username: [&'static str; 2],
    realm: [&'static str; 2],
    /// The whole of response, where it is not the computed one.
    response: Option<&'static str>,
    /// What it sends beside.
    more: &'static str,
    protection: Option<Protection<'static>>,
}

impl Client {
    fn new(algorithm: Algorithm, password: &[u8]) -> Client {
        Client {
            algorithm,
            password: password.to_vec(),
            username: ["001010123456789@ims.test"; 2],
            realm: ["ims.test"; 2],
            response: None,
            more: "",
            protection: None,
        }
    }

    /// One whose SIM is this.
    fn with(algorithm: Algorithm, sim: &Sim) -> Client {
        let vector = generate(&policy::sim(sim).expect("usable keys"), &RAND, 0);
        Client::new(algorithm, &aka_digest::password(algorithm, &vector).expect("an AKA algorithm"))
    }

    fn authorization(&self, nonce: &str) -> String {
        let computed = response(&Inputs {
            algorithm: self.algorithm,
            username: self.username[0].as_bytes(),
            realm: self.realm[0].as_bytes(),
            password: &self.password,
            nonce: nonce.as_bytes(),
            method: b"REGISTER",
            uri: b"sip:ims.test",
            body: b"",
            protection: self.protection,
        });
        let (username, realm, more) = (self.username[1], self.realm[1], self.more);
        let response = self.response.unwrap_or(&computed);
        format!(
            "Digest username=\"{username}\",realm=\"{realm}\",nonce=\"{nonce}\",uri=\"sip:ims.test\",response=\"{response}\"{more}"
        )
    }
}

/// What is said of the client's answer to a challenge of this user.
fn words(profile: &User, challenged: Algorithm, client: &Client) -> String {
    let keys = profile.sim.as_ref().map(|sim| policy::sim(sim).expect("usable keys"));
    let vector = keys.filter(|_| challenged.aka().is_some()).map(|keys| generate(&keys, &RAND, 0x21));
    let nonce = match &vector {
        Some(vector) => aka_digest::nonce(&RAND, &vector.autn),
        None => NonceText::from("00112233445566778899aabbccddeeff").expect("short"),
    };
    let pending = Pending {
        card: Card::common(UserId(0)),
        source: IpAddr::from([10, 0, 0, 1]),
        nonce,
        rand: RAND,
        algorithm: challenged,
        vector,
        expires_at: crate::base::time::Instant::ZERO,
        wrong: 0,
        resyncs: 0,
        accepted_count: 0,
        is_protected: false,
    };
    let text = "REGISTER sip:registrar.test SIP/2.0\r\nTo: <sip:bob@to.test>\r\n\r\n";
    let mut index = Index::new();
    let message = Message::parse(text.as_bytes(), &mut index).expect("a message");
    let header = client.authorization(&nonce);
    wrong_answer(profile, &pending, &Credentials::parse(header.as_bytes()).expect("digest"), &message)
}

/// bob with this SIM.
fn bob(sim: Sim) -> User {
    User { sim: Some(sim), ..config().users.swap_remove(1) }
}

fn with_algo(algo: SimAlgo) -> Sim {
    Sim { algo, ..sim(OperatorCode::Op(OP)) }
}

fn milenage(op: OperatorCode) -> SimAlgo {
    sim(op).algo
}

fn tuak(top: OperatorCodeTuak) -> SimAlgo {
    SimAlgo::Tuak { top, keccak_iter: 1 }
}

const OF_BOB: &str = "for IMSI 001010123456789";

#[test]
fn sims_with_other_keys_than_are_configured() {
    let (op, opc) = (milenage(OperatorCode::Op(OP)), milenage(OperatorCode::Opc(OP)));
    let (top, topc) = (tuak(OperatorCodeTuak::Top([7; 32])), tuak(OperatorCodeTuak::Topc([7; 32])));
    let length = |algo: &SimAlgo, res_len| Sim { res_len, ..with_algo(algo.clone()) };
    let unused = |algo, other: &SimAlgo| Sim { unused: vec![other.clone()], ..with_algo(algo) };
    let plain = |algo: &SimAlgo| with_algo(algo.clone());
    let xor = SimAlgo::Xor;
    for (configured, real, expected) in [
        (plain(&op), plain(&opc), "the configured op is an OPc: configure it as opc"),
        (plain(&opc), plain(&op), "the configured opc is an OP: configure it as op"),
        (plain(&op), plain(&xor), "the SIM uses XOR: configure sim_algo \"xor\""),
        (plain(&top), plain(&topc), "the configured top is a TOPc: configure it as topc"),
        (plain(&topc), plain(&top), "the configured topc is a TOP: configure it as top"),
        (plain(&top), plain(&xor), "the SIM uses XOR: configure sim_algo \"xor\""),
        (
            unused(xor.clone(), &opc),
            plain(&opc),
            "Milenage with an OPc: configure sim_algo \"milenage\" with opc",
        ),
        (
            unused(xor.clone(), &opc),
            plain(&op),
            "Milenage with an OP: configure sim_algo \"milenage\" with op",
        ),
        (unused(op.clone(), &top), plain(&top), "TUAK with a TOP: configure sim_algo \"tuak\" with top"),
        (unused(xor.clone(), &top), plain(&topc), "TUAK with a TOPc: configure sim_algo \"tuak\" with topc"),
        (plain(&xor), length(&xor, 16), "RES has 16 octets: configure res_len 16"),
        (length(&xor, 16), plain(&xor), "RES has 8 octets: configure res_len 8"),
        (plain(&top), length(&top, 4), "RES has 4 octets: configure res_len 4"),
        (length(&op, 4), plain(&op), "RES has 8 octets: configure res_len 8"),
    ] {
        for challenged in [Algorithm::AkaV1Md5, Algorithm::AkaV2Md5, Algorithm::AkaV2Sha256] {
            let said = words(&bob(configured.clone()), challenged, &Client::with(challenged, &real));
            assert!(said.contains("RES does not match, but it does when"), "{expected}: {said}");
            assert!(said.contains(&format!("{expected} {OF_BOB}")), "{expected}: {said}");
        }
    }
    let other_key = Sim { k: vec![9; 16], ..plain(&op) };
    let said = words(&bob(plain(&op)), Algorithm::AkaV1Md5, &Client::with(Algorithm::AkaV1Md5, &other_key));
    assert_eq!(
        said,
        "RES does not match: K or op of IMSI 001010123456789 is not that of the SIM (nor does it when the configured op is an \
         OPc, or when the SIM uses XOR, or when RES has another length)"
    );
}

#[test]
fn clients_that_use_the_right_res_in_another_way() {
    use Algorithm::{AkaV1Md5, AkaV2Md5, AkaV2Sha256, Md5};
    let profile = User { password: Some("pw".into()), ..bob(sim(OperatorCode::Op(OP))) };
    let keys = sim(OperatorCode::Op(OP));
    let xres = generate(&policy::sim(&keys).expect("keys"), &RAND, 0).xres;
    let hex: String = xres.iter().map(|octet| format!("{octet:02x}")).collect();
    let right = Client::with(AkaV1Md5, &keys);
    for (challenged, client, expected) in [
        (
            AkaV2Md5,
            Client::with(AkaV1Md5, &keys),
            "the phone computed AKAv1-MD5 with it, the challenge says AKAv2-MD5",
        ),
        (
            AkaV1Md5,
            Client::with(AkaV2Md5, &keys),
            "the phone computed AKAv2-MD5 with it, the challenge says AKAv1-MD5",
        ),
        (AkaV1Md5, Client::with(AkaV2Sha256, &keys), "computed AKAv2-SHA-256 with it"),
        (AkaV1Md5, Client::new(Md5, hex.as_bytes()), "took it as text of hexadecimal digits"),
        (AkaV1Md5, Client::new(Md5, hex.to_uppercase().as_bytes()), "took it as text of hexadecimal digits"),
        (AkaV1Md5, Client::new(Md5, b""), "computed with an empty password, as for AUTS, but sent no auts"),
        (
            AkaV1Md5,
            Client::new(Md5, b"pw"),
            "answers with pwd, not with a SIM: for a client without one set authent_type \"MD5\"",
        ),
        (
            AkaV1Md5,
            Client { realm: ["registrar.test", "ims.test"], ..right.clone() },
            "RES is right, but the client computed with the realm \"registrar.test\" instead of \"ims.test\"",
        ),
        (
            AkaV1Md5,
            Client { username: ["001010123456789", "001010123456789@ims.test"], ..right.clone() },
            "RES is right, but the client computed with the username 001010123456789 and sent 001010123456789@ims.test",
        ),
        (
            AkaV1Md5,
            Client { more: ",algorithm=SHA-256", ..right.clone() },
            "the answer uses the algorithm SHA-256, the challenge AKAv1-MD5",
        ),
        (
            AkaV1Md5,
            Client { more: ",algorithm=AKAv7-MD5", ..right.clone() },
            "the algorithm AKAv7-MD5, the challenge",
        ),
    ] {
        let said = words(&profile, challenged, &client);
        assert!(said.contains(expected), "{expected}: {said}");
    }
}

#[test]
fn clients_with_passwords() {
    let alice = config().users.swap_remove(0);
    let new =
        |password: &[u8]| Client { username: ["alice@ims.test"; 2], ..Client::new(Algorithm::Md5, password) };
    let right = new(b"secret");
    let counted = |nc: &'static [u8]| Some(Protection { qop: b"auth", nc, cnonce: b"c" });
    let blanks = User { password: Some(" secret ".into()), ..alice.clone() };
    let insists = User { qop: vec!["auth-int".into()], ..alice.clone() };
    for (profile, client, expected) in [
        (&alice, new(b"guess"), "wrong password: the client's is not the pwd of IMPI alice@ims.test"),
        (&alice, new(b""), "the client has an empty password"),
        (&blanks, right.clone(), "the configured pwd has blanks around the client's password"),
        (&alice, Client { response: Some(""), ..right.clone() }, "the answer holds no response"),
        (
            &alice,
            Client { username: ["alice", "alice@ims.test"], ..right.clone() },
            "the password is right, but the client computed with the username alice and sent alice@ims.test",
        ),
        (
            &alice,
            Client { realm: ["to.test", "ims.test"], ..right.clone() },
            "the password is right, but the client computed with the realm \"to.test\" instead of \"ims.test\"",
        ),
        (
            &alice,
            Client { realm: ["", "ims.test"], ..right.clone() },
            "computed with the realm \"\" instead of",
        ),
        (
            &alice,
            Client { more: ",algorithm=SHA-256", ..right.clone() },
            "the answer uses the algorithm SHA-256, the challenge MD5",
        ),
        (
            &alice,
            Client { more: ",qop=conf", ..right.clone() },
            "names the qop conf, which is neither auth nor auth-int",
        ),
        (&insists, right.clone(), "the answer has no qop, and authent_qop asks for auth-int"),
        (
            &insists,
            Client {
                more: ",qop=auth,nc=00000001,cnonce=\"c\"",
                protection: counted(b"00000001"),
                ..right.clone()
            },
            "the answer has qop auth, and authent_qop asks for auth-int",
        ),
        (
            &alice,
            Client { more: ",qop=auth,cnonce=\"c\"", ..new(b"guess") },
            "wrong password: the client's is not the pwd of IMPI alice@ims.test (beside its qop the answer has no nc)",
        ),
        (
            &alice,
            Client { more: ",qop=auth,nc=0x00000001", ..new(b"guess") },
            "has the nc 0x00000001, which is no number of up to 8 hexadecimal digits and no cnonce)",
        ),
    ] {
        let said = words(profile, Algorithm::Md5, &client);
        assert!(said.contains(expected), "{expected}: {said}");
        assert!(!said.contains("secret") && !said.contains("guess"), "{said}");
    }
}

#[test]
fn sims_that_reject_our_autn() {
    for (algo, expected) in [
        (
            milenage(OperatorCode::Op(OP)),
            "K or op of IMSI 001010123456789 is not that of the SIM; compare K digit by digit; if the vendor gives an OPc",
        ),
        (
            milenage(OperatorCode::Opc(OP)),
            "K or opc of IMSI 001010123456789 is not that of the SIM; compare K digit by digit; if the vendor gives an OP, configure it as op",
        ),
        (tuak(OperatorCodeTuak::Top([7; 32])), "whether the vendor gives TOP or TOPc"),
        (SimAlgo::Xor, "an operator's SIM has no XOR, configure sim_algo \"milenage\""),
    ] {
        let silent = Client { response: Some(""), ..Client::new(Algorithm::AkaV1Md5, b"") };
        let said = words(&bob(with_algo(algo)), Algorithm::AkaV1Md5, &silent);
        assert!(said.starts_with("the SIM rejects our AUTN (MAC failure): "), "{said}");
        assert!(said.contains(expected) && said.ends_with("configure isim_auth"), "{said}");
    }
    let said = no_answer(&bob(sim(OperatorCode::Op(OP))), true);
    assert!(said.contains("rejects AUTN and says nothing: then K or op of IMSI 001010123456789"), "{said}");
    assert!(!no_answer(&bob(sim(OperatorCode::Op(OP))), false).contains("AUTN"));
}

#[test]
fn auts_of_other_keys() {
    let profile = bob(sim(OperatorCode::Op(OP)));
    let auts = |opc: &[u8; 16], k: &[u8; 16]| {
        let m = crate::crypto::milenage::Milenage::new(k, opc, &Default::default());
        let own = [0, 0, 0, 0, 0x12, 0x34];
        let mut auts = [0; 14];
        (0..6).for_each(|i| auts[i] = own[i] ^ m.f5_star(&RAND)[i]);
        auts[6..].copy_from_slice(&m.f1_star(&RAND, &own, &[0, 0]));
        auts
    };
    for (auts, expected) in [
        (
            Some(auts(&OP, &K)),
            "MAC-S of AUTS does not match, but it does when the configured op is an OPc: configure it as opc",
        ),
        (
            Some(auts(&OP, &[9; 16])),
            "MAC-S of AUTS does not match: K or op of IMSI 001010123456789 is not that of the SIM",
        ),
        (None, "the auts parameter is not base64 of 14 octets"),
    ] {
        let said = wrong_auts(&profile, &RAND, auts.as_ref());
        assert!(said.starts_with(expected), "{said}");
    }
}
