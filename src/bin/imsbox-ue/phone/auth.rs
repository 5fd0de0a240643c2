//! The phone's answers to challenges: digest with a password (RFC 2617, RFC 7616) or with the card (RFC 3310, RFC 4169).

use crate::settings::Secret;
use crate::usim::{Answer, Card, Taken};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use imsbox::base::rng::Rng;
use imsbox::crypto::hex;
use imsbox::proto::sip::digest::{self, Algorithm, Inputs, Protection, Qop, digest_params};
use imsbox::wire::sip::text::lossy;
use imsbox::wire::sip::{HeaderId, Message};

/// A challenge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// The protection space.
    pub realm: String,
    /// The nonce.
    pub nonce: String,
    /// The algorithm.
    pub algorithm: Algorithm,
    /// The quality of protection that is chosen of those offered.
    pub qop: Option<Qop>,
    /// A text to return.
    pub opaque: Option<String>,
    /// Whether only the nonce of the last answer was wrong.
    pub stale: bool,
    /// Whether it came in Proxy-Authenticate.
    pub is_proxy: bool,
}

/// The challenges of a 401 or 407 whose algorithm is known, in order.
pub fn challenges(message: &Message<'_>) -> Vec<Challenge> {
    let of = |id, is_proxy| message.headers(id).filter_map(move |value| read(value, is_proxy));
    of(HeaderId::WwwAuthenticate, false).chain(of(HeaderId::ProxyAuthenticate, true)).collect()
}

fn read(value: &[u8], is_proxy: bool) -> Option<Challenge> {
    let params = digest_params(value)?;
    let get = |name: &str| {
        let mut params = params.clone();
        params.find(|p| p.name.eq_ignore_ascii_case(name.as_bytes())).map(|p| lossy(p.value).into_owned())
    };
    let algorithm = match get("algorithm") {
        Some(name) => Algorithm::parse(name.as_bytes())?,
        None => Algorithm::Md5,
    };
    let offered = get("qop").unwrap_or_default();
    let has = |qop: Qop| offered.split(',').any(|word| Qop::parse(word.trim().as_bytes()) == Some(qop));
    Some(Challenge {
        realm: get("realm")?,
        nonce: get("nonce")?,
        algorithm,
        qop: [Qop::Auth, Qop::AuthInt].into_iter().find(|q| has(*q)),
        opaque: get("opaque"),
        stale: get("stale").is_some_and(|s| s.eq_ignore_ascii_case("true")),
        is_proxy,
    })
}

/// What the phone has to say to a challenge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The password of the digest.
    Password(Vec<u8>),
    /// What the card has made of the challenge.
    Card {
        /// The password of the digest.
        password: Vec<u8>,
        /// The cipher key.
        ck: [u8; 16],
        /// The integrity key.
        ik: [u8; 16],
    },
    /// The card asks for a newer number (RFC 3310 3.4): the base64 text of AUTS, the number that came and the card's own.
    Synchronise(String, u64, u64),
    /// The card does not know the network: it has other keys.
    WrongMac,
}

/// Who proves.
#[derive(Debug)]
pub enum Prover {
    /// With a password.
    Password(String),
    /// With a card.
    Card(Box<Card>),
}

impl Prover {
    /// From the settings, with the numbers that the card has taken before.
    pub fn new(secret: &Secret, taken: Taken) -> Prover {
        match secret {
            Secret::Password(password) => Prover::Password(password.clone()),
            Secret::Card(functions, res_len) => {
                Prover::Card(Box::new(Card::new(functions.clone(), *res_len, taken)))
            }
        }
    }

    /// The card, if there is one.
    pub fn card(&self) -> Option<&Card> {
        match self {
            Prover::Card(card) => Some(card),
            Prover::Password(_) => None,
        }
    }

    /// The first challenge that can be answered; the error says why none can.
    pub fn choose(&self, challenges: Vec<Challenge>) -> Result<Challenge, String> {
        let names: Vec<&str> = challenges.iter().map(|c| c.algorithm.name()).collect();
        let words = match (self, names.as_slice()) {
            (_, []) => "the network asks for authentication without a challenge that is known".to_owned(),
            (Prover::Card(_), _) => format!("the network asks for {}, the phone has a SIM", names.join(", ")),
            (Prover::Password(_), _) => {
                format!("the network asks for {}, the phone has a password only", names.join(", "))
            }
        };
        let fits = |c: &Challenge| c.algorithm.aka().is_some() == matches!(self, Prover::Card(_));
        challenges.into_iter().find(fits).ok_or(words)
    }

    /// Answers a challenge; the error says what is wrong with it.
    pub fn prove(&mut self, challenge: &Challenge) -> Result<Proof, String> {
        let card = match self {
            Prover::Password(password) => return Ok(Proof::Password(password.clone().into_bytes())),
            Prover::Card(card) => card,
        };
        let (rand, autn) = digest::aka::parse_nonce(challenge.nonce.as_bytes())
            .ok_or("the nonce of the challenge does not hold RAND and AUTN")?;
        Ok(match card.authenticate(&rand, &autn) {
            Answer::Taken(vector) => {
                let password = digest::aka::password(challenge.algorithm, &vector)
                    .ok_or("the algorithm of the challenge is not AKA")?;
                Proof::Card { password: password.to_vec(), ck: vector.ck, ik: vector.ik }
            }
            Answer::Synchronise { auts, came, highest } => {
                Proof::Synchronise(STANDARD.encode(auts), came, highest)
            }
            Answer::WrongMac => Proof::WrongMac,
        })
    }
}

/// An answer that goes into requests, and again into later ones while the nonce serves.
#[derive(Clone, Debug)]
pub struct Credentials {
    challenge: Challenge,
    proof: Proof,
    count: u32,
}

impl Credentials {
    /// The proof for a challenge.
    pub fn new(challenge: Challenge, proof: Proof) -> Credentials {
        Credentials { challenge, proof, count: 0 }
    }

    /// Whether they hold a real answer, so that a later request may carry them too.
    pub fn is_answer(&self) -> bool {
        matches!(self.proof, Proof::Password(_) | Proof::Card { .. })
    }

    /// CK and IK, if the card has taken the challenge.
    pub fn keys(&self) -> Option<([u8; 16], [u8; 16])> {
        match &self.proof {
            Proof::Card { ck, ik, .. } => Some((*ck, *ik)),
            _ => None,
        }
    }

    /// The header for a request.
    pub fn header(
        &mut self,
        impi: &str,
        method: &str,
        uri: &str,
        body: &[u8],
        rng: &mut Rng,
    ) -> (&'static str, String) {
        let challenge = &self.challenge;
        let name = if challenge.is_proxy { "Proxy-Authorization" } else { "Authorization" };
        let mut value = format!(
            "Digest username=\"{impi}\",realm=\"{}\",nonce=\"{}\",uri=\"{uri}\",algorithm={}",
            challenge.realm,
            challenge.nonce,
            challenge.algorithm.name()
        );
        if let Some(opaque) = &challenge.opaque {
            value += &format!(",opaque=\"{opaque}\"");
        }
        let password: &[u8] = match &self.proof {
            Proof::Password(password) | Proof::Card { password, .. } => password,
            // RFC 3310 3.4: computed with an empty password
            Proof::Synchronise(auts, ..) => {
                value += &format!(",auts=\"{auts}\"");
                b""
            }
            // TS 24.229 5.1.1.5.3: neither a response nor AUTS
            Proof::WrongMac => return (name, value + ",response=\"\""),
        };
        self.count += 1;
        let (count, nonce) = (format!("{:08x}", self.count), rng.next_u64().to_be_bytes());
        let cnonce = hex::encode::<16>(&nonce);
        let protection = challenge.qop.map(|qop| Protection {
            qop: qop.name().as_bytes(),
            nc: count.as_bytes(),
            cnonce: cnonce.as_bytes(),
        });
        let response = digest::response(&Inputs {
            algorithm: challenge.algorithm,
            username: impi.as_bytes(),
            realm: challenge.realm.as_bytes(),
            nonce: challenge.nonce.as_bytes(),
            uri: uri.as_bytes(),
            method: method.as_bytes(),
            body,
            password,
            protection,
        });
        value += &format!(",response=\"{}\"", response.as_str());
        if let Some(qop) = challenge.qop {
            value += &format!(",qop={},nc={count},cnonce=\"{cnonce}\"", qop.name());
        }
        (name, value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use imsbox::proto::sip::digest::Credentials as Received;
    use imsbox::wire::sip::Index;

    fn from(headers: &str) -> Vec<Challenge> {
        let octets = format!("SIP/2.0 401 x\r\n{headers}\r\n");
        let mut index = Index::new();
        challenges(&Message::parse(octets.as_bytes(), &mut index).unwrap())
    }

    #[test]
    fn challenges_are_read_and_unknown_algorithms_left_out() {
        let found = from(
            "WWW-Authenticate: Digest realm=\"r\",nonce=\"n1\",algorithm=SHA-3\r\n\
             WWW-Authenticate: Digest realm=\"r\",nonce=\"n2\",qop=\"auth-int,auth\",stale=TRUE,opaque=\"o\"\r\n\
             Proxy-Authenticate: Digest realm=\"r\",nonce=\"n3\",algorithm=AKAv1-MD5\r\n",
        );
        assert_eq!(found.len(), 2);
        assert_eq!(
            (found[0].algorithm, found[0].qop, found[0].stale),
            (Algorithm::Md5, Some(Qop::Auth), true)
        );
        assert_eq!((found[1].nonce.as_str(), found[1].is_proxy), ("n3", true));
        let prover = Prover::Password("p".to_owned());
        assert_eq!(prover.choose(found.clone()).unwrap().nonce, "n2");
        let words = prover.choose(found[1..].to_vec()).unwrap_err();
        assert_eq!(words, "the network asks for AKAv1-MD5, the phone has a password only");
    }

    #[test]
    fn the_server_side_finds_the_answer_right() {
        for qop in ["", ",qop=\"auth\"", ",qop=\"auth-int\""] {
            for algorithm in ["MD5", "SHA-256", "MD5-sess"] {
                let text = format!(
                    "WWW-Authenticate: Digest realm=\"r\",nonce=\"n\",algorithm={algorithm}{qop}\r\n"
                );
                let challenge = from(&text).remove(0);
                if qop.is_empty() && challenge.algorithm.is_session() {
                    continue; // needs a cnonce
                }
                let known = challenge.algorithm;
                let mut credentials = Credentials::new(challenge, Proof::Password(b"secret".to_vec()));
                let mut rng = Rng::from_seed(1);
                for count in 1..=2 {
                    let (name, value) = credentials.header("alice", "INVITE", "sip:h", b"v=0", &mut rng);
                    assert_eq!(name, "Authorization");
                    let received = Received::parse(value.as_bytes()).unwrap();
                    assert!(received.verify(known, b"INVITE", b"v=0", b"secret"), "{value}");
                    assert!(!received.verify(known, b"INVITE", b"v=0", b"other"));
                    assert_eq!(received.nonce_count(), (!qop.is_empty()).then_some(count));
                }
            }
        }
    }

    #[test]
    fn a_card_that_does_not_know_the_network_sends_an_empty_response() {
        let challenge =
            from("WWW-Authenticate: Digest realm=\"r\",nonce=\"n\",algorithm=AKAv1-MD5\r\n").remove(0);
        let mut rng = Rng::from_seed(1);
        let mut header =
            |proof| Credentials::new(challenge.clone(), proof).header("a", "REGISTER", "u", b"", &mut rng).1;
        let value = header(Proof::WrongMac);
        let received = Received::parse(value.as_bytes()).unwrap();
        assert_eq!((received.response, received.auts), (&b""[..], None));
        let value = header(Proof::Synchronise("QUJD".to_owned(), 1, 2));
        let received = Received::parse(value.as_bytes()).unwrap();
        assert_eq!(received.auts, Some(&b"QUJD"[..]));
        assert!(received.verify(Algorithm::AkaV1Md5, b"REGISTER", b"", b""));
    }
}
