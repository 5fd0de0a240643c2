//! The users of all tests, with keys of public test data, and the options by which the soft UE is one of them.

/// The users as the IMS has them.
pub const USERS: &str = r#"
domain: "example.org",
echo: ["tel:666"],
ue_db: [
  { impi: "alice", pwd: "alice-secret", impu: ["sip:alice", "tel:0001"] },
  { imsi: "001010123456789", sim_algo: "xor", K: "00112233445566778899aabbccddeeff", impu: ["001010123456789", "tel:600"] },
  { imsi: "001010000000003", sim_algo: "milenage", K: "fec86ba6eb707ed08905757b1bb44b8f",
    op: "dbc59adcb6f9a0ef735477b7fadf8374", impu: ["001010000000003", "tel:603"] },
  { imsi: "001010000000004", sim_algo: "tuak", K: "abababababababababababababababab",
    top: "5555555555555555555555555555555555555555555555555555555555555555", impu: ["001010000000004", "tel:604"] },
],
"#;

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
