use super::*;
use crate::crypto::milenage::derive_opc;
use crate::crypto::vectors::{array, load, octets, rows, sqn};
use serde_json::Value;

fn milenage(row: &Value) -> Sim {
    let functions =
        Functions::Milenage { k: array(row, "K"), opc: array(row, "OPc"), constants: Constants::default() };
    Sim::new(functions, array(row, "AMF"), 8).expect("8 octets")
}

fn xor_sim(row: &Value) -> Sim {
    let res_len = row["res_len"].as_u64().expect("a length") as usize;
    Sim::new(Functions::Xor { k: array(row, "K") }, array(row, "AMF"), res_len).expect("a good length")
}

/// A TUAK row whose lengths are those of the air interface.
fn tuak(row: &Value) -> Option<Sim> {
    let bits = |name: &str| row["lengths_bits"][name].as_u64().expect("a length") as usize;
    if (bits("MAC"), bits("CK"), bits("IK")) != (64, 128, 128) {
        return None;
    }
    let k = octets(row, "K");
    let key = k.as_slice().try_into().map(Key::K128).unwrap_or_else(|_| Key::K256(array(row, "K")));
    let iterations = NonZeroU8::new(row["KeccakIterations"].as_u64()? as u8)?;
    let functions = Functions::Tuak { key, topc: array(row, "TOPc"), iterations };
    Sim::new(functions, array(row, "AMF"), bits("RES") / 8).ok()
}

fn check(sim: &Sim, row: &Value, res: &str, ck: &str, ik: &str, auts: &str) {
    let rand = array(row, "RAND");
    let vector = generate(sim, &rand, sqn(row, "SQN"));
    assert_eq!(vector.rand, rand, "{}", row["id"]);
    assert_eq!(vector.autn, array(row, "AUTN"), "{}", row["id"]);
    assert_eq!(vector.xres[..], octets(row, res), "{}", row["id"]);
    assert_eq!(vector.ck, array(row, ck), "{}", row["id"]);
    assert_eq!(vector.ik, array(row, ik), "{}", row["id"]);
    let resync = &row["resync"];
    let auts = array(resync, auts);
    assert_eq!(resynchronise(sim, &rand, &auts), Ok(sqn(resync, "SQN_MS")), "{}", row["id"]);
    for bit in 0..auts.len() * 8 {
        let mut bent = auts;
        bent[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(resynchronise(sim, &rand, &bent), Err(WrongMacS), "{} bit {bit}", row["id"]);
    }
}

#[test]
fn milenage_vectors_and_resynchronisation() {
    let file = load("milenage");
    for row in rows(&file, "vectors") {
        check(&milenage(row), row, "f2", "f3", "f4", "AUTS");
    }
}

#[test]
fn xor_vectors_and_resynchronisation() {
    let file = load("xor");
    for row in rows(&file, "vectors") {
        check(&xor_sim(row), row, "RES", "CK", "IK", "AUTS_AK_concealed");
    }
}

#[test]
fn tuak_vectors_and_resynchronisation() {
    let file = load("tuak");
    let sims: Vec<_> =
        rows(&file, "computed_vectors").iter().filter_map(|row| Some((tuak(row)?, row))).collect();
    assert_eq!(sims.len(), 10, "the rows with the lengths of the air interface; `tuak` tests the others");
    for (sim, row) in sims {
        check(&sim, row, "f2", "f3", "f4", "AUTS");
    }
}

#[test]
fn an_auts_for_another_rand_is_refused() {
    let file = load("milenage");
    let row = &rows(&file, "vectors")[0];
    let mut rand: [u8; 16] = array(row, "RAND");
    rand[15] ^= 1;
    assert_eq!(resynchronise(&milenage(row), &rand, &array(&row["resync"], "AUTS")), Err(WrongMacS));
}

#[test]
fn op_in_place_of_opc_gives_another_answer() {
    let file = load("milenage");
    let row = &rows(&file, "vectors")[0];
    let (k, op) = (array(row, "K"), array(row, "OP"));
    let sim = |opc| {
        let functions = Functions::Milenage { k, opc, constants: Constants::default() };
        Sim::new(functions, [0; 2], 8).expect("8 octets")
    };
    let rand = array(row, "RAND");
    assert_ne!(generate(&sim(op), &rand, 0), generate(&sim(derive_opc(&k, &op)), &rand, 0));
}

#[test]
fn lengths_of_res_follow_the_algorithm() {
    let xor = || Functions::Xor { k: [1; 16] };
    let tuak = || Functions::Tuak { key: Key::K128([1; 16]), topc: [0; 32], iterations: NonZeroU8::MIN };
    let milenage = || Functions::Milenage { k: [1; 16], opc: [2; 16], constants: Constants::default() };
    let res_len =
        |functions, len| Sim::new(functions, [0; 2], len).map(|sim| generate(&sim, &[7; 16], 32).xres.len());
    for len in 4..=16 {
        assert_eq!(res_len(xor(), len), Ok(len));
        assert_eq!(res_len(milenage(), len), Ok(len.min(8)));
        let expected = if matches!(len, 4 | 8 | 16) { Ok(len) } else { Err(BadResLen(len)) };
        assert_eq!(res_len(tuak(), len), expected);
    }
    for functions in [xor(), tuak(), milenage()] {
        assert_eq!(res_len(functions.clone(), 0), Err(BadResLen(0)));
        assert_eq!(res_len(functions, 17), Err(BadResLen(17)));
    }
}

#[test]
fn debug_shows_no_key() {
    let functions = Functions::Xor { k: [0xab; 16] };
    let sim = Sim::new(functions, [0x90, 1], 8).expect("8 octets");
    assert_eq!(format!("{sim:?}"), "Sim { functions: Xor, amf: [144, 1], res_len: 8 }");
    let vector = generate(&sim, &[0; 16], 0);
    assert!(format!("{vector:?}").ends_with(", .. }"));
    assert!(!format!("{vector:?}").contains("xres"));
}
