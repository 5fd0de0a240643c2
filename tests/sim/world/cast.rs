//! Who takes part: in every other run without IPsec, in the others most of them with it.

use super::need;
use crate::phone::{DOMAIN, Phone, Secret, Style};
use imsbox::config::model::{
    AuthentType, CallSettings, Config, Impu, OperatorCode, SessionTimer, Sim, SimAlgo, SipSocket, Trunk, User,
};
use imsbox::proto::flow::LocalId;
use std::net::SocketAddr;

const K: [u8; 16] =
    [0xfe, 0xc8, 0x6b, 0xa6, 0xeb, 0x70, 0x7e, 0xd0, 0x89, 0x05, 0x75, 0x7b, 0x1b, 0xb4, 0x4b, 0x8f];
const OP: [u8; 16] =
    [0xdb, 0xc5, 0x9a, 0xdc, 0xb6, 0xf9, 0xa0, 0xef, 0x73, 0x54, 0x77, 0xb7, 0xfa, 0xdf, 0x83, 0x74];
const XOR_K: [u8; 16] =
    [0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff];

fn addr(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

const PBX: &str = "10.0.0.50:5060";

fn has_ipsec(seed: u64) -> bool {
    seed / 2 % 2 == 1
}

/// Whether a run has a SIP trunk.
fn has_trunk(seed: u64) -> bool {
    seed / 4 % 2 == 1
}

/// The phones of a run; those whose name begins with u call each other.
pub fn phones(seed: u64) -> Vec<Phone> {
    let (password, milenage, xor) =
        (Secret::Password("secret"), Secret::Milenage { k: K, op: OP }, Secret::Xor { k: XOR_K });
    let mut phones = match has_ipsec(seed) {
        false => vec![
            Phone::new("u0", addr("10.0.0.10:5060"), false, password.clone()),
            Phone::new("u1", addr("10.0.0.11:5061"), false, milenage.clone()).watching().mmtel(),
            Phone::new("u2", addr("[2001:db8::12]:5060"), false, xor.clone()).watching(),
            Phone::new("u3", addr("10.0.0.13:5060"), true, password.clone()).watching().mmtel(),
            Phone::new("u4", addr("10.0.0.14:6000"), false, xor.clone()).mmtel(),
            Phone::new("u5", addr("[2001:db8::15]:5060"), true, milenage.clone()).watching(),
        ],
        true => shielded(&milenage, &xor),
    };
    // one user's two phones, which nobody calls; one of them comes and goes
    phones.extend([
        Phone::new("desk", addr("10.0.0.16:5060"), false, password.clone()).of("duo").watching(),
        Phone::new("pad", addr("10.0.0.17:5060"), true, password).of("duo").watching(),
    ]);
    if has_ipsec(seed) {
        let style = Style { is_bad: true, ..Style::default() };
        phones.push(Phone::new("bad", addr("10.0.0.18:5060"), false, milenage.clone()).shielded(style));
    }
    if has_trunk(seed) {
        phones.push(Phone::new("pbx", addr(PBX), false, Secret::Password("none")).peer());
    }
    phones.extend(needy(seed, &xor));
    let in_need = if has_ipsec(seed) { "u3" } else { "duo" };
    for phone in &mut phones {
        phone.is_beside_need(phone.user == in_need);
        phone.is_helped_by(if need::has_answerer(seed) { need::ANSWERER } else { "" });
    }
    phones.push(Phone::new("away", addr("10.0.0.99:5060"), false, milenage));
    phones
}

/// Two phones without registration, and one with a registration for emergency calls at an address of its own, as phones have one
/// beside the normal one (TS 23.167 4.1).
fn needy(seed: u64, xor: &Secret) -> [Phone; 3] {
    let none = Secret::Password("none");
    let at = addr("10.0.0.20:5060");
    let in_need = match has_ipsec(seed) {
        true => Phone::new("sos", at, false, xor.clone()).of("u3").shielded(Style::default()),
        false => Phone::new("sos", at, false, Secret::Password("secret")).of("duo"),
    };
    [
        Phone::new("lost", addr("10.0.0.21:5060"), false, none.clone()).stranger("35693803-564380-0"),
        Phone::new("late", addr("[2001:db8::22]:5060"), true, none).stranger("35693803-564381-0"),
        in_need.in_need(),
    ]
}

fn shielded(milenage: &Secret, xor: &Secret) -> Vec<Phone> {
    let style = Style::default();
    let renewing = Style { reauthenticates: true, ..style };
    vec![
        Phone::new("u0", addr("10.0.0.10:5060"), false, Secret::Password("secret")),
        Phone::new("u1", addr("[2001:db8::11]:5060"), true, milenage.clone()).watching(),
        Phone::new("u2", addr("10.0.0.12:5060"), false, milenage.clone())
            .shielded(Style { repeats: true, ..style })
            .watching()
            .mmtel(),
        Phone::new("u3", addr("10.0.0.13:5060"), true, xor.clone()).shielded(renewing).watching().mmtel(),
        Phone::new("u4", addr("[2001:db8::14]:5060"), false, milenage.clone())
            .shielded(renewing)
            .watching()
            .mmtel(),
        Phone::new("u5", addr("10.0.0.15:5060"), false, xor.clone())
            .shielded(Style { moves: true, ..renewing }),
    ]
}

pub fn config(seed: u64, phones: &[Phone]) -> Config {
    let socket = |text: &str| SipSocket::new(text.parse().expect("an address"), 5060);
    Config {
        sip: vec![socket("10.0.0.1"), socket("2001:db8::1")],
        echo: [Impu::new("tel:666"), Impu::new("tel:+666")]
            .into_iter()
            .chain(need::echoes())
            .chain((!need::has_answerer(seed)).then(need::help))
            .collect(),
        call: CallSettings {
            session_timer: SessionTimer {
                duration: SessionTimer::default().min,
                refresher_is_uac: seed.is_multiple_of(3),
                ..SessionTimer::default()
            },
            ..CallSettings::default()
        },
        users: phones
            .iter()
            .enumerate()
            .filter(|(_, p)| p.name != "pad" && p.registers() && !p.is_in_need())
            .map(|(i, p)| user(seed, i, p))
            .collect(),
        trunk: phones.iter().any(Phone::is_peer).then(trunk),
        ..Config::default()
    }
}

fn trunk() -> Trunk {
    let domain = "pbx.test".to_owned();
    Trunk { addr: addr(PBX), local: LocalId(0), name: None, domain, tcp_threshold: None, anonymous: true }
}

fn user(seed: u64, index: usize, phone: &Phone) -> User {
    let sim = |algo, k: [u8; 16]| {
        Some(Sim {
            algo,
            k: k.to_vec(),
            amf: [0x90, 0x01],
            sqn: 0,
            force_sqn_resync: false,
            res_len: 8,
            unused: Vec::new(),
        })
    };
    let (sim, password) = match phone.secret() {
        Secret::Password(text) => (None, Some((*text).to_owned())),
        Secret::Milenage { k, op } => {
            let constants =
                std::array::from_fn(|i| if i == 0 { [0; 16] } else { (1u128 << (i - 1)).to_be_bytes() });
            (
                sim(
                    SimAlgo::Milenage { op: OperatorCode::Op(*op), r: [64, 0, 32, 64, 96], c: constants },
                    *k,
                ),
                None,
            )
        }
        Secret::Xor { k } => (sim(SimAlgo::Xor, *k), None),
    };
    User {
        imsi: format!("0010100000000{index:02}"),
        impi: format!("{}@{DOMAIN}", phone.user),
        domain: DOMAIN.to_owned(),
        impus: [format!("sip:{}@{DOMAIN}", phone.user), format!("tel:{}", 100 + index)]
            .map(|uri| Impu { reauthenticate: phone.reauthenticates(), ..Impu::new(uri) })
            .into_iter()
            .chain((phone.name == need::ANSWERER && need::has_answerer(seed)).then(need::help))
            .collect(),
        authent_type: if password.is_some() { AuthentType::Md5 } else { AuthentType::AkaV1 },
        sim,
        password,
        auth_on_register_only: true,
        ..User::default()
    }
}
