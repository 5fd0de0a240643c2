//! The users of all tests, with keys of public test data, and the options by which the soft UE is one of them.

use imsbox::crypto::milenage::{Constants, Milenage};

/// The users as the IMS has them.
pub const USERS: &str = r#"
domain: "example.org",
echo: ["tel:666"],
ue_db: [
  { impi: "alice", pwd: "alice-secret", impu: ["sip:alice", "tel:0001"] },
  { imsi: "001010123456789", sim_algo: "xor", K: "00112233445566778899aabbccddeeff", domain: "ims.mnc001.mcc001.3gppnetwork.org",
    impu: ["001010123456789", "tel:600"] },
  { imsi: "001010000000003", sim_algo: "milenage", K: "fec86ba6eb707ed08905757b1bb44b8f",
    op: "dbc59adcb6f9a0ef735477b7fadf8374", domain: "ims.mnc001.mcc001.3gppnetwork.org", impu: ["001010000000003", "tel:603"] },
  { imsi: "001010000000004", sim_algo: "tuak", K: "abababababababababababababababab",
    top: "5555555555555555555555555555555555555555555555555555555555555555", domain: "ims.mnc001.mcc001.3gppnetwork.org",
    impu: ["001010000000004", "tel:604"] },
],
"#;

/// How a phone goes about it that has no IPsec.
pub const CLEAR: &[&str] = &["--ipsec", "off"];

/// How a phone goes about it that does nothing without IPsec.
pub const REQUIRED: &[&str] = &["--ipsec", "required"];

pub const ALICE: &[&str] = &["--impi", "alice", "--domain", "example.org", "--password", "alice-secret"];

/// TS 35.208, test set 3.
pub const MILENAGE: &[&str] = &[
    "--imsi",
    "001010000000003",
    "--k",
    "fec86ba6eb707ed08905757b1bb44b8f",
    "--op",
    "dbc59adcb6f9a0ef735477b7fadf8374",
];

pub const XOR: &[&str] = &["--imsi", "001010123456789", "--k", "00112233445566778899aabbccddeeff"];

pub const TUAK: &[&str] = &[
    "--imsi",
    "001010000000004",
    "--k",
    "abababababababababababababababab",
    "--top",
    "5555555555555555555555555555555555555555555555555555555555555555",
];

/// A card with Milenage that only the test and the IMS know, no soft UE.
#[derive(Clone, Debug)]
pub struct Card {
    pub imsi: String,
    pub k: [u8; 16],
    pub opc: [u8; 16],
}

impl Card {
    /// One of a row of cards.
    pub fn number(n: usize) -> Card {
        Card { imsi: format!("00101{:010}", 100_000 + n), k: *b"key of test card", opc: *b"opc of test card" }
    }

    /// Its home domain (TS 23.003 13.2).
    pub fn domain(&self) -> String {
        "ims.mnc001.mcc001.3gppnetwork.org".to_owned()
    }

    pub fn registrar(&self) -> String {
        format!("sip:{}", self.domain())
    }

    pub fn impi(&self) -> String {
        format!("{}@{}", self.imsi, self.domain())
    }

    pub fn impu(&self) -> String {
        format!("sip:{}", self.impi())
    }

    /// The card's algorithms.
    pub fn functions(&self) -> Milenage {
        Milenage::new(&self.k, &self.opc, &Constants::default())
    }

    /// Its entry in `ue_db`.
    pub fn entry(&self) -> String {
        let hex = |octets: &[u8; 16]| octets.iter().map(|o| format!("{o:02x}")).collect::<String>();
        format!(
            "{{ imsi: \"{0}\", sim_algo: \"milenage\", K: \"{1}\", opc: \"{2}\", impu: [\"{0}\"], domain: \"{3}\" }},\n",
            self.imsi,
            hex(&self.k),
            hex(&self.opc),
            self.domain()
        )
    }
}

/// The properties of an IMS with these cards alone.
pub fn cards(cards: &[Card]) -> String {
    let entries: String = cards.iter().map(Card::entry).collect();
    format!("domain: \"example.org\", ue_db: [\n{entries}],\n")
}
