//! Whose SIM answers a challenge: the user's, and where several phones use copies of one SIM (`multi_sim`), that of one phone.
//!
//! Such phones are told apart by the IMEI in their instance id (RFC 7254, TS 24.229 5.1.1.2.1). Each SIM counts its sequence
//! numbers for itself, so each has its own challenges and numbers; where no IMEI is known it is the user's common card.

use crate::config::model::User;
use crate::ims::subscriber::UserId;
use crate::wire::identities::imei_of_instance;
use crate::wire::sip::{Message, NameAddr};
use arrayvec::ArrayString;
use std::net::IpAddr;

/// The digits of an IMEI that count, TAC and serial number (TS 23.003 6.2.1), as a number below 10^14.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Equipment(u64);

impl Equipment {
    /// The equipment with this IMEI; `None` when it has fewer than 14 decimal digits.
    pub fn of_imei(imei: &str) -> Option<Equipment> {
        let mut digits = imei.bytes().filter(|o| *o != b'-').take(14);
        let number = digits.try_fold((0u64, 0), |(number, count), octet| {
            octet.is_ascii_digit().then(|| (number * 10 + u64::from(octet - b'0'), count + 1))
        });
        number.filter(|(_, count)| *count == 14).map(|(number, _)| Equipment(number))
    }

    /// Its 14 digits.
    pub fn digits(self) -> String {
        format!("{:014}", self.0)
    }
}

/// A SIM: a user's, in one phone where phones share it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Card {
    /// The user.
    pub user: UserId,
    /// The phone that it is in; none where that is not known or does not matter.
    pub phone: Option<Equipment>,
}

impl Card {
    /// The card of a user whose phones are not told apart.
    pub const fn common(user: UserId) -> Card {
        Card { user, phone: None }
    }

    /// The card that a request comes from: the message's own instance id tells, else what is known of its sender.
    pub fn of(profile: &User, claim: &Claim, message: &Message<'_>) -> Card {
        let imei = || {
            let instance =
                message.contacts().flatten().find_map(|c: NameAddr<'_>| c.params.get("+sip.instance"));
            instance.and_then(imei_of_instance).or(claim.imei)
        };
        let phone = profile.multi_sim.then(imei).flatten();
        Card { user: claim.user, phone: phone.and_then(|imei| Equipment::of_imei(&imei)) }
    }

    /// The card in eight octets; no two of a user have the same.
    pub fn octets(self) -> [u8; 8] {
        self.phone.map_or(u64::MAX, |phone| phone.0).to_le_bytes()
    }
}

/// A request that says to be a user's, as far as it is known without a look at its credentials.
#[derive(Clone, Copy, Debug)]
pub struct Claim {
    /// The user.
    pub user: UserId,
    /// The IMEI of the registration that it comes from, if there is one.
    pub imei: Option<ArrayString<16>>,
    /// The host that sent it.
    pub source: IpAddr,
    /// Whether every nonce serves one request.
    pub fresh_each_time: bool,
    /// Whether it came through security associations of the user.
    pub is_protected: bool,
    /// Whether a challenge of AKA goes with security associations, through which alone its answer counts.
    pub is_offered: bool,
    /// Whether a wrong answer is not challenged again.
    pub is_last: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::sip::Index;

    #[test]
    fn an_imei_counts_without_its_last_digit() {
        let same = ["86130905-000038-0", "861309050000381", "86130905000038"];
        for imei in same {
            assert_eq!(Equipment::of_imei(imei).map(Equipment::digits).as_deref(), Some("86130905000038"));
        }
        assert_eq!(
            Equipment::of_imei("00000000000000").map(Equipment::digits).as_deref(),
            Some("00000000000000")
        );
        for imei in ["", "8613090500003", "8613090500003a0"] {
            assert_eq!(Equipment::of_imei(imei), None, "{imei}");
        }
    }

    #[test]
    fn phones_count_where_they_share_a_sim_and_the_message_before_the_registration() {
        let text = |contact: &str| format!("REGISTER sip:h SIP/2.0\r\nContact: {contact}\r\n\r\n");
        let card = |multi_sim, contact: &str, imei: Option<&str>| {
            let text = text(contact);
            let mut index = Index::new();
            let message = Message::parse(text.as_bytes(), &mut index).expect("a message");
            let imei = imei.map(|imei| ArrayString::from(imei).expect("short"));
            let claim = Claim {
                user: UserId(7),
                imei,
                source: IpAddr::from([10, 0, 0, 1]),
                fresh_each_time: false,
                is_protected: false,
                is_offered: false,
                is_last: false,
            };
            Card::of(&User { multi_sim, ..User::default() }, &claim, &message).phone.map(Equipment::digits)
        };
        let with = "<sip:a@h>;+sip.instance=\"<urn:gsma:imei:86130905-000038-0>\"";
        let known = Some("356938035643800");
        assert_eq!(card(true, with, known).as_deref(), Some("86130905000038"));
        assert_eq!(card(true, "*", known).as_deref(), Some("35693803564380"));
        assert_eq!(card(true, "<sip:a@h>;+sip.instance=\"<urn:uuid:1>\"", None), None);
        assert_eq!(card(false, with, known), None);
    }
}
