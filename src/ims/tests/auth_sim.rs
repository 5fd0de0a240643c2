//! SIMs that check sequence numbers: re-synchronisation, forced or not, and copies of one SIM in several phones.

use super::auth::{bob, nonce};
use super::phone::{Phone, Secret};
use super::{K, Lab, Sent, config};
use crate::base::time::Duration;
use crate::config::model::{Config, SimAlgo};
use crate::crypto::aka::{self, Sim};
use crate::crypto::sqn;
use crate::crypto::xor::Xor;
use crate::ims::auth::policy;
use crate::ims::limits::MAX_PHONES_PER_SIM;
use crate::ims::persist::{self, Numbers};
use crate::ims::subscriber::UserId;
use crate::proto::sip::digest::aka as aka_digest;
use base64::Engine as _;

/// The key of the records of bob's SIM.
const KEY: &str = "sqn/001010123456789@ims.test";

/// bob with an XOR SIM.
fn xor_config(multi_sim: bool) -> Config {
    let mut config = config();
    config.users[1].multi_sim = multi_sim;
    let sim = config.users[1].sim.as_mut().expect("bob has one");
    sim.algo = SimAlgo::Xor;
    config
}

/// A phone with a SIM that takes numbers above its own only.
struct SimPhone {
    phone: Phone,
    sqn_ms: u64,
    /// Synchronisation failures so far.
    resyncs: usize,
}

impl SimPhone {
    fn new(address: &str, imei: &str, sqn_ms: u64) -> SimPhone {
        let sim = policy::sim(xor_config(false).users[1].sim.as_ref().expect("a SIM")).expect("keys");
        let mut phone = Phone { secret: Secret::Sim(sim), ..bob() };
        phone.address = address.into();
        let instance = match imei {
            "" => String::new(),
            imei => format!(";+sip.instance=\"<urn:gsma:imei:{imei}>\""),
        };
        phone.contact = format!("<sip:phone@{address}>{instance}");
        SimPhone { phone, sqn_ms, resyncs: 0 }
    }

    fn sim(&self) -> &Sim {
        let Secret::Sim(sim) = &self.phone.secret else { unreachable!("made with one") };
        sim
    }

    /// What the SIM says to a challenge: AUTS, or nothing when it takes the number.
    fn auts(&mut self, challenge: &Sent) -> Option<[u8; 14]> {
        let (rand, autn) = aka_digest::parse_nonce(nonce(challenge).as_bytes()).expect("RAND and AUTN");
        let xor = Xor::new(&K, &rand);
        let number = number_of(challenge);
        assert_eq!(aka::generate(self.sim(), &rand, number).autn, autn, "MAC-A is right");
        if number > self.sqn_ms {
            self.sqn_ms = number;
            return None;
        }
        self.resyncs += 1;
        let own = sqn::octets(self.sqn_ms);
        let mut auts = [0; 14];
        (0..6).for_each(|i| auts[i] = own[i] ^ xor.f5()[i]);
        auts[6..].copy_from_slice(&xor.f1(&own, &[0, 0]));
        Some(auts)
    }

    /// Registers, with AUTS where the SIM asks for it.
    fn register(&mut self, lab: &mut Lab) -> u16 {
        let mut challenge = self.phone.ask(lab, "");
        for _ in 0..4 {
            let Some(auts) = self.auts(&challenge) else { break };
            let line = auts_line(&challenge, &auts, "");
            challenge = self.phone.ask(lab, &line);
            if challenge.status() != 401 {
                return challenge.status();
            }
        }
        self.phone.answer(lab, &challenge, "").status()
    }
}

fn auts_line(challenge: &Sent, auts: &[u8; 14], response: &str) -> String {
    let auts = base64::engine::general_purpose::STANDARD.encode(auts);
    format!(
        "Authorization: Digest username=\"001010123456789@ims.test\",realm=\"ims.test\",nonce=\"{}\",uri=\"sip:ims.test\",\
         response=\"{response}\",auts=\"{auts}\"\r\n",
        nonce(challenge)
    )
}

/// The number that an XOR SIM finds in a challenge.
fn number_of(challenge: &Sent) -> u64 {
    let (rand, autn) = aka_digest::parse_nonce(nonce(challenge).as_bytes()).expect("RAND and AUTN");
    sqn::from_octets(std::array::from_fn(|i| autn[i] ^ Xor::new(&K, &rand).f5()[i]))
}

/// The numbers that a record reserves.
fn reserved(lab: &Lab, key: &str) -> std::ops::RangeInclusive<u64> {
    let Numbers { last, reserved, .. } = persist::read_sqn(&lab.records[key]).expect("a record");
    last..=reserved
}

const ONE: &str = "86130905-000038-0";
const TWO: &str = "35693803-564380-0";

#[test]
fn copies_of_a_sim_count_for_themselves() {
    let mut lab = Lab::new(xor_config(true));
    let mut ahead = SimPhone::new("10.0.0.2:5060", ONE, 0x10_0000);
    let mut fresh = SimPhone::new("10.0.0.3:5060", TWO, 0);
    assert_eq!((ahead.register(&mut lab), ahead.resyncs), (200, 1));
    assert_eq!((fresh.register(&mut lab), fresh.resyncs), (200, 0));
    for _ in 0..3 {
        assert_eq!((ahead.register(&mut lab), fresh.register(&mut lab)), (200, 200));
    }
    assert_eq!((ahead.resyncs, fresh.resyncs), (1, 0), "neither is led astray by the other's numbers");
    let own = |imei: &str| format!("{KEY};imei={}", &imei.replace('-', "")[..14]);
    assert!(*reserved(&lab, &own(ONE)).start() > 0x10_0000 && *reserved(&lab, &own(TWO)).end() < 0x1000);
    assert!(reserved(&lab, &own(ONE)).contains(&ahead.sqn_ms));
    assert!(reserved(&lab, &own(TWO)).contains(&fresh.sqn_ms));
    assert_eq!(lab.core.load().bindings, 2);
    // and so it is after a restart
    let records = lab.records.clone();
    let mut lab = Lab::new(xor_config(true));
    records.iter().for_each(|(key, value)| lab.with(|core, cx| core.restore(cx, key, value)).0);
    assert_eq!((ahead.register(&mut lab), fresh.register(&mut lab)), (200, 200));
    assert_eq!((ahead.resyncs, fresh.resyncs), (1, 0));
}

#[test]
fn a_phone_does_not_answer_the_challenge_of_another_with_the_same_sim() {
    let mut lab = Lab::new(xor_config(true));
    let mut one = SimPhone::new("10.0.0.2:5060", ONE, 0);
    let mut two = SimPhone::new("10.0.0.3:5060", TWO, 0);
    let challenge = one.phone.ask(&mut lab, "");
    let others = two.phone.answer(&mut lab, &challenge, "");
    assert_eq!((others.status(), lab.core.load().bindings), (401, 0));
    assert_eq!(one.phone.answer(&mut lab, &challenge, "").status(), 200, "its own is still good");
    assert_eq!(two.phone.answer(&mut lab, &challenge, "").status(), 401);
    assert_eq!(two.phone.answer(&mut lab, &others, "").status(), 200);
}

#[test]
fn a_phone_without_an_imei_and_one_that_leaves_with_a_star_are_served() {
    let mut lab = Lab::new(xor_config(true));
    let mut plain = SimPhone::new("10.0.0.4:5060", "", 0x5_0000);
    assert_eq!((plain.register(&mut lab), plain.resyncs), (200, 1));
    let mut one = SimPhone::new("10.0.0.2:5060", ONE, 0x100);
    assert_eq!((one.register(&mut lab), one.resyncs), (200, 0), "it goes on from the common number");
    one.phone.contact = "*".into();
    let challenge = one.phone.ask(&mut lab, "Expires: 0\r\n");
    assert!(one.auts(&challenge).is_none(), "a number of its own");
    assert_eq!(one.phone.answer(&mut lab, &challenge, "Expires: 0\r\n").status(), 200);
    assert_eq!(lab.core.load().bindings, 1);
}

#[test]
fn strangers_with_invented_imeis_leave_no_trace_and_too_many_phones_push_out_the_oldest() {
    let mut lab = Lab::new(xor_config(true));
    let mut first = SimPhone::new("10.0.0.2:5060", ONE, 0x10_0000);
    assert_eq!(first.register(&mut lab), 200);
    let stored = lab.records.keys().filter(|key| key.starts_with("sqn/")).count();
    for n in 0..200 {
        SimPhone::new("10.0.0.9:5060", &format!("35693803-{n:06}-0"), 0).phone.ask(&mut lab, "");
    }
    assert_eq!(lab.records.keys().filter(|key| key.starts_with("sqn/")).count(), stored);
    assert_eq!((first.register(&mut lab), first.resyncs), (200, 1));
    for n in 0..MAX_PHONES_PER_SIM {
        let address = format!("10.0.1.{}:5060", n + 1);
        let mut other = SimPhone::new(&address, &format!("35693803-{n:06}-0"), 0);
        assert_eq!(other.register(&mut lab), if n < MAX_PHONES_PER_SIM - 1 { 200 } else { 503 }, "{n}");
    }
    assert_eq!(lab.records.keys().filter(|key| key.starts_with("sqn/")).count(), MAX_PHONES_PER_SIM + 1);
    assert_eq!((first.register(&mut lab), first.resyncs), (200, 2), "it tells its number once more");
}

#[test]
fn a_forced_resynchronisation_makes_the_sim_tell_its_number_once() {
    let mut config = xor_config(false);
    config.users[1].sim.as_mut().expect("a SIM").force_sqn_resync = true;
    let mut lab = Lab::new(config.clone());
    let mut phone = SimPhone::new("10.0.0.2:5060", "", 0x777);
    assert_eq!((phone.register(&mut lab), phone.resyncs), (200, 1));
    assert!(lab.logged(&["SQN re-synchronised to 000000000777"]));
    assert_eq!((phone.register(&mut lab), phone.resyncs), (200, 1), "then it counts on");
    assert!(reserved(&lab, KEY).contains(&phone.sqn_ms) && phone.sqn_ms < 0x1000);
    // elsewhere meanwhile, and we start again
    phone.sqn_ms = 0x9_0000;
    let records = lab.records.clone();
    let mut lab = Lab::new(config.clone());
    records.iter().for_each(|(key, value)| lab.with(|core, cx| core.restore(cx, key, value)).0);
    assert_eq!((phone.register(&mut lab), phone.resyncs), (200, 2));
    // copies of a SIM, each for itself
    config.users[1].multi_sim = true;
    let mut lab = Lab::new(config);
    let mut phones = [("10.0.0.2:5060", ONE, 0x1000), ("10.0.0.3:5060", TWO, 0x80_0000)]
        .map(|(address, imei, sqn_ms)| SimPhone::new(address, imei, sqn_ms));
    for _ in 0..2 {
        assert!(phones.iter_mut().all(|phone| phone.register(&mut lab) == 200 && phone.resyncs == 1));
    }
}

#[test]
fn a_sim_that_takes_any_number_registers_although_a_resynchronisation_is_forced() {
    let mut config = xor_config(false);
    config.users[1].sim.as_mut().expect("a SIM").force_sqn_resync = true;
    let mut lab = Lab::new(config);
    let mut careless = SimPhone::new("10.0.0.2:5060", "", 0).phone;
    assert_eq!(careless.register(&mut lab, "").status(), 200);
    assert_eq!(careless.register(&mut lab, "").status(), 200);
    assert_eq!(
        *reserved(&lab, KEY).start(),
        sqn::next(0).expect("a number"),
        "from now on the numbers count"
    );
}

/// RFC 3310 3.4 computes the response with an empty password; phones send an empty one, too, or none. MAC-S is the proof.
#[test]
fn auts_is_taken_with_every_response_that_phones_send_with_it() {
    use crate::proto::sip::digest::{Algorithm, Inputs, response};
    for form in ["empty password", "", "0123456789abcdef0123456789abcdef"] {
        let mut lab = Lab::new(xor_config(false));
        let mut phone = SimPhone::new("10.0.0.2:5060", "", 0x4_0000);
        let challenge = phone.phone.ask(&mut lab, "");
        let auts = phone.auts(&challenge).expect("the SIM is ahead");
        let nonce = nonce(&challenge);
        let computed = response(&Inputs {
            algorithm: Algorithm::AkaV1Md5,
            username: b"001010123456789@ims.test",
            realm: b"ims.test",
            password: b"",
            nonce: nonce.as_bytes(),
            method: b"REGISTER",
            uri: b"sip:ims.test",
            body: b"",
            protection: None,
        });
        let text = if form == "empty password" { &computed[..] } else { form };
        let next = phone.phone.ask(&mut lab, &auts_line(&challenge, &auts, text));
        assert_eq!(next.status(), 401, "{form}");
        assert!(phone.auts(&next).is_none(), "{form}: the number follows the SIM's");
        assert_eq!(phone.phone.answer(&mut lab, &next, "").status(), 200, "{form}");
        assert_eq!(lab.logged(&["response beside auts"]), form.len() == 32, "{form}");
    }
}

#[test]
fn an_auts_is_heard_once_and_not_for_another_challenge() {
    let mut lab = Lab::new(xor_config(false));
    let mut phone = SimPhone::new("10.0.0.2:5060", "", 0x4_0000);
    let challenge = phone.phone.ask(&mut lab, "");
    let auts = phone.auts(&challenge).expect("the SIM is ahead");
    let line = auts_line(&challenge, &auts, "");
    let next = phone.phone.ask(&mut lab, &line);
    let repeated = phone.phone.ask(&mut lab, &line);
    assert_eq!(repeated.status(), 401, "a repetition is a new attempt");
    assert!(number_of(&repeated) > number_of(&next), "and does not set the number back");
    let bent = auts_line(&next, &auts, "");
    assert_eq!(phone.phone.ask(&mut lab, &bent).status(), 403, "of another RAND");
    assert!(lab.logged(&["MAC-S of AUTS does not match"]));
    lab.pass(Duration::from_secs(1));
    assert!(lab.core.user_views(lab.now)[UserId(1).0 as usize].last_error.is_some());
}
