//! A model MME with phones behind it, for tests of SGs: it has its own small codec, so that a mistake in that of the program does not
//! hide behind itself, and it is strict: what an MME must not get, or not then, fails the test.
//!
//! No socket and no clock: octets of a message go in, those of the answers come out.

use std::collections::BTreeMap;

/// Message types (TS 29.118 9.2).
pub mod kind {
    pub const PAGING_REQUEST: u8 = 0x01;
    pub const PAGING_REJECT: u8 = 0x02;
    pub const SERVICE_REQUEST: u8 = 0x06;
    pub const DOWNLINK: u8 = 0x07;
    pub const UPLINK: u8 = 0x08;
    pub const UPDATE_REQUEST: u8 = 0x09;
    pub const UPDATE_ACCEPT: u8 = 0x0a;
    pub const UPDATE_REJECT: u8 = 0x0b;
    pub const TMSI_COMPLETE: u8 = 0x0c;
    pub const ALERT_REQUEST: u8 = 0x0d;
    pub const ALERT_ACK: u8 = 0x0e;
    pub const UE_ACTIVITY: u8 = 0x10;
    pub const EPS_DETACH: u8 = 0x11;
    pub const EPS_DETACH_ACK: u8 = 0x12;
    pub const IMSI_DETACH: u8 = 0x13;
    pub const IMSI_DETACH_ACK: u8 = 0x14;
    pub const RESET: u8 = 0x15;
    pub const RESET_ACK: u8 = 0x16;
    pub const RELEASE: u8 = 0x1b;
    pub const STATUS: u8 = 0x1d;
    pub const UE_UNREACHABLE: u8 = 0x1f;
}

/// What the MME does about a page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Paged {
    /// The phone answers.
    Answers,
    /// PAGING-REJECT with this cause.
    Rejected(u8),
    /// Nothing comes of it.
    Silent,
}

/// A phone.
#[derive(Debug)]
pub struct Phone {
    pub is_attached: bool,
    /// The cause with which it was last rejected, or told to go.
    pub cause: Option<u8>,
    pub paged: Paged,
    /// Whether the VLR has a connection with it.
    pub is_connected: bool,
    /// It has answered a page, and nothing has come since: the VLR may not know it yet.
    has_answered: bool,
    /// RPDUs that it was sent: texts, and answers to what it sent.
    pub rpdus: Vec<Vec<u8>>,
    /// Whether it has to attach anew.
    pub is_told_to_attach: bool,
    /// Causes of CP-ERRORs.
    pub cp_errors: Vec<u8>,
    /// Its TMSI, and whether it has said that it has none.
    pub tmsi: Option<u32>,
    wants_tmsi: bool,
}

/// The MME.
#[derive(Debug)]
pub struct Mme {
    name: Vec<u8>,
    pub phones: BTreeMap<String, Phone>,
    /// RESET-INDICATIONs of the VLR, and acknowledgements of ours.
    pub resets: usize,
    pub reset_acks: usize,
    pub detach_acks: usize,
    /// Causes of STATUS messages.
    pub statuses: Vec<u8>,
    /// Octets of everything that came, oldest first.
    pub heard: Vec<Vec<u8>>,
}

/// The value of the first element with the tag.
pub fn element(octets: &[u8], tag: u8) -> Option<&[u8]> {
    let mut rest = octets.get(1..)?;
    while let [found, length, behind @ ..] = rest {
        let (value, behind) = behind.split_at_checked(usize::from(*length)).expect("whole elements");
        if *found == tag {
            return Some(value);
        }
        rest = behind;
    }
    assert!(rest.is_empty(), "half an element: {octets:02x?}");
    None
}

/// The digits of an IMSI element.
fn digits(value: &[u8]) -> String {
    assert_eq!(value[0] & 7, 1, "an IMSI: {value:02x?}");
    let nibbles = value.iter().flat_map(|o| [o & 15, o >> 4]).skip(1);
    let is_odd = value[0] & 8 != 0;
    nibbles.take(value.len() * 2 - 1 - usize::from(!is_odd)).map(|n| char::from(b'0' + n)).collect()
}

/// The IMSI of a message.
pub fn imsi(octets: &[u8]) -> String {
    digits(element(octets, 1).unwrap_or_else(|| panic!("no IMSI: {octets:02x?}")))
}

/// A TMSI behind other octets, as a VLR may give it (TS 23.003 2.4).
fn tmsi(before: &[u8], value: &[u8]) -> u32 {
    let value = value.strip_prefix(before).unwrap_or_else(|| panic!("no TMSI: {value:02x?}"));
    let tmsi = u32::from_be_bytes(value.try_into().expect("four octets"));
    assert!(tmsi >> 30 != 3, "an SGSN's: {tmsi:08x}");
    tmsi
}

/// A message: type, then the IMSI if there is one, then elements.
fn message(kind: u8, imsi: Option<&str>, elements: &[(u8, &[u8])]) -> Vec<u8> {
    let mut out = vec![kind];
    if let Some(imsi) = imsi {
        let d: Vec<u8> = imsi.bytes().map(|b| b - b'0').collect();
        let mut value = vec![d[0] << 4 | 1 | if d.len() % 2 == 1 { 8 } else { 0 }];
        value.extend(d[1..].chunks(2).map(|pair| pair[0] | pair.get(1).unwrap_or(&15) << 4));
        out.extend([1, value.len() as u8]);
        out.extend(value);
    }
    for (tag, value) in elements {
        out.extend([*tag, value.len() as u8]);
        out.extend(*value);
    }
    out
}

impl Mme {
    /// An MME of this name with dots.
    pub fn new(name: &str) -> Mme {
        let label = |label: &str| [&[label.len() as u8], label.as_bytes()].concat();
        let name = name.split('.').flat_map(label).collect();
        let phones = BTreeMap::new();
        Mme {
            name,
            phones,
            resets: 0,
            reset_acks: 0,
            detach_acks: 0,
            statuses: Vec::new(),
            heard: Vec::new(),
        }
    }

    /// A phone attaches: LOCATION-UPDATE-REQUEST.
    pub fn attach(&mut self, imsi: &str) -> Vec<u8> {
        self.comes(imsi, false);
        self.request(kind::UPDATE_REQUEST, imsi, &[(0x0a, &[1]), (4, &[0, 0xf1, 0x10, 0, 1])])
    }

    /// The same of a phone that says that it has no valid TMSI.
    pub fn attach_without_tmsi(&mut self, imsi: &str) -> Vec<u8> {
        self.comes(imsi, true);
        self.request(kind::UPDATE_REQUEST, imsi, &[(0x0a, &[1]), (4, &[0, 0xf1, 0x10, 0, 1]), (7, &[0])])
    }

    fn comes(&mut self, imsi: &str, wants_tmsi: bool) {
        let phone = Phone {
            is_attached: false,
            cause: None,
            paged: Paged::Answers,
            is_connected: false,
            has_answered: false,
            rpdus: Vec::new(),
            is_told_to_attach: false,
            cp_errors: Vec::new(),
            tmsi: None,
            wants_tmsi,
        };
        let phone = self.phones.entry(imsi.to_owned()).or_insert(phone);
        (phone.is_told_to_attach, phone.wants_tmsi) = (false, wants_tmsi);
        if wants_tmsi {
            phone.tmsi = None;
        }
    }

    /// A phone leaves: by IMSI-DETACH, or by EPS-DETACH.
    pub fn detach(&mut self, imsi: &str, from_eps: bool) -> Vec<u8> {
        self.phone(imsi).is_attached = false;
        self.phone(imsi).is_connected = false;
        match from_eps {
            true => self.request(kind::EPS_DETACH, imsi, &[(0x10, &[2])]),
            false => self.request(kind::IMSI_DETACH, imsi, &[(0x11, &[1])]),
        }
    }

    /// A phone does something.
    pub fn activity(&self, imsi: &str) -> Vec<u8> {
        message(kind::UE_ACTIVITY, Some(imsi), &[])
    }

    /// The MME cannot reach a phone any more: UE-UNREACHABLE.
    pub fn unreachable(&self, imsi: &str) -> Vec<u8> {
        message(kind::UE_UNREACHABLE, Some(imsi), &[(8, &[6])])
    }

    /// A phone sends an RPDU in a transaction of its own.
    pub fn send(&mut self, imsi: &str, ti: u8, rpdu: &[u8]) -> Vec<u8> {
        self.phone(imsi).is_connected = true;
        let cpdu = [&[ti << 4 | 9, 1, rpdu.len() as u8], rpdu].concat();
        message(kind::UPLINK, Some(imsi), &[(0x16, &cpdu)])
    }

    /// The MME has restarted.
    pub fn reset(&self) -> Vec<u8> {
        message(kind::RESET, None, &[(9, &self.name)])
    }

    pub fn phone(&mut self, imsi: &str) -> &mut Phone {
        self.phones.get_mut(imsi).unwrap_or_else(|| panic!("no phone {imsi}"))
    }

    fn request(&self, kind: u8, imsi: &str, elements: &[(u8, &[u8])]) -> Vec<u8> {
        message(kind, Some(imsi), &[&[(9, &self.name[..])], elements].concat())
    }

    /// Takes a message of the VLR; gives what the MME and the phone answer.
    pub fn on_message(&mut self, octets: &[u8]) -> Vec<Vec<u8>> {
        self.heard.push(octets.to_vec());
        match octets[0] {
            kind::RESET => {
                element(octets, 2).expect("a VLR name");
                self.resets += 1;
                vec![message(kind::RESET_ACK, None, &[(9, &self.name)])]
            }
            kind::RESET_ACK => {
                element(octets, 2).expect("a VLR name");
                self.reset_acks += 1;
                Vec::new()
            }
            kind::EPS_DETACH_ACK | kind::IMSI_DETACH_ACK => {
                self.detach_acks += 1;
                Vec::new()
            }
            kind::STATUS => {
                element(octets, 0x1b).expect("an erroneous message");
                self.statuses.push(element(octets, 8).expect("a cause")[0]);
                Vec::new()
            }
            _ => self.on_phones_message(octets),
        }
    }

    fn on_phones_message(&mut self, octets: &[u8]) -> Vec<Vec<u8>> {
        let imsi = imsi(octets);
        let cause = |tag| element(octets, tag).map(|value| value[0]);
        let phone = self.phone(&imsi);
        match octets[0] {
            kind::UPDATE_ACCEPT => {
                assert_eq!(element(octets, 4), Some(&[0, 0xf1, 0x10, 0, 1][..]), "the area of the request");
                (phone.is_attached, phone.cause) = (true, None);
                let Some(identity) = element(octets, 0x0e) else { return Vec::new() };
                assert!(std::mem::take(&mut phone.wants_tmsi), "it has not asked for one: {phone:?}");
                phone.tmsi = Some(tmsi(&[0xf4], identity));
                vec![message(kind::TMSI_COMPLETE, Some(&imsi), &[])]
            }
            kind::UPDATE_REJECT => {
                (phone.is_attached, phone.cause) = (false, cause(0x0f));
                Vec::new()
            }
            kind::PAGING_REQUEST => {
                if phone.is_connected && phone.has_answered {
                    return Vec::new();
                }
                assert!(phone.is_attached && !phone.is_connected, "a page for {phone:?}");
                assert_eq!(element(octets, 0x20), Some(&[2][..]), "for SMS");
                element(octets, 2).expect("a VLR name");
                if let Some(value) = element(octets, 3) {
                    assert_eq!(phone.tmsi, Some(tmsi(&[], value)), "it has another TMSI, or none");
                }
                match phone.paged {
                    Paged::Answers => {
                        (phone.is_connected, phone.has_answered) = (true, true);
                        vec![message(kind::SERVICE_REQUEST, Some(&imsi), &[(0x20, &[2])])]
                    }
                    Paged::Rejected(cause) => {
                        vec![message(kind::PAGING_REJECT, Some(&imsi), &[(8, &[cause])])]
                    }
                    Paged::Silent => Vec::new(),
                }
            }
            kind::ALERT_REQUEST => vec![message(kind::ALERT_ACK, Some(&imsi), &[])],
            kind::DOWNLINK => {
                assert!(phone.is_connected, "it was released, or never paged: {phone:?}");
                phone.has_answered = false;
                let cpdu = element(octets, 0x16).expect("a NAS container");
                let answers = phone.on_cpdu(cpdu);
                answers.iter().map(|cpdu| message(kind::UPLINK, Some(&imsi), &[(0x16, cpdu)])).collect()
            }
            kind::RELEASE => {
                (phone.is_connected, phone.cause) = (false, cause(8));
                phone.is_told_to_attach = phone.cause.is_some();
                Vec::new()
            }
            other => panic!("message type {other:#04x}: {octets:02x?}"),
        }
    }
}

impl Phone {
    /// Takes a CPDU (TS 24.011 8.1): every CP-DATA is acknowledged, and a text is taken.
    fn on_cpdu(&mut self, cpdu: &[u8]) -> Vec<Vec<u8>> {
        let (first, back) = (cpdu[0], cpdu[0] ^ 0x80);
        assert_eq!(first & 15, 9, "short messages: {cpdu:02x?}");
        match cpdu[1] {
            1 => {
                let rpdu = &cpdu[3..];
                assert_eq!(usize::from(cpdu[2]), rpdu.len());
                self.rpdus.push(rpdu.to_vec());
                let ack = vec![back, 4];
                // our transaction: an answer; theirs: an RP-DATA, which is answered by RP-ACK with its reference
                match first & 0x80 != 0 {
                    true => vec![ack],
                    false => vec![ack, vec![back, 1, 2, 2, rpdu[1]]],
                }
            }
            4 => Vec::new(),
            16 => {
                self.cp_errors.push(cpdu[2]);
                Vec::new()
            }
            other => panic!("CP message {other}: {cpdu:02x?}"),
        }
    }
}
