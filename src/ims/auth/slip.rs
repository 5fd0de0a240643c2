//! The usual slips in provisioning a SIM, as the SIM that would be there without the slip.

use crate::config::model::{OperatorCode, OperatorCodeTuak, Sim, SimAlgo};

/// What the SIM may be, should its keys not fit.
#[derive(Debug)]
pub struct Slip {
    /// What it is taken for, as in "when the configured op is an OPc".
    pub what: &'static str,
    /// The same for all slips of its kind, as in "when RES has another length".
    pub kind: &'static str,
    /// What to do about it.
    pub remedy: &'static str,
    /// The SIM as it would be.
    pub sim: Sim,
}

/// The slips that are possible with what is configured; those of a kind stand together.
pub fn slips(sim: &Sim) -> Vec<Slip> {
    let with = |algo| Sim { algo, ..sim.clone() };
    let mut slips: Vec<Slip> = Vec::new();
    let mut push = |what, remedy, algo| slips.push(Slip { what, kind: what, remedy, sim: with(algo) });
    if let Some((what, remedy, algo)) = other_code(&sim.algo) {
        push(what, remedy, algo);
    }
    if sim.algo != SimAlgo::Xor && sim.k.len() == 16 {
        push("the SIM uses XOR", "configure sim_algo \"xor\"", SimAlgo::Xor);
    }
    for algo in &sim.unused {
        for algo in [Some(algo.clone()), other_code(algo).map(|(_, _, algo)| algo)].into_iter().flatten() {
            match &algo {
                SimAlgo::Milenage { op: OperatorCode::Op(_), .. } => {
                    push("the SIM uses Milenage with an OP", "configure sim_algo \"milenage\" with op", algo);
                }
                SimAlgo::Milenage { .. } => {
                    push(
                        "the SIM uses Milenage with an OPc",
                        "configure sim_algo \"milenage\" with opc",
                        algo,
                    );
                }
                SimAlgo::Tuak { top: OperatorCodeTuak::Top(_), .. } => {
                    push("the SIM uses TUAK with a TOP", "configure sim_algo \"tuak\" with top", algo);
                }
                SimAlgo::Tuak { .. } => {
                    push("the SIM uses TUAK with a TOPc", "configure sim_algo \"tuak\" with topc", algo);
                }
                SimAlgo::Xor => {}
            }
        }
    }
    slips.extend(other_lengths(sim));
    slips
}

/// The operator code taken for the one already made with K, or the reverse: what it is then, the remedy, and the algorithm.
fn other_code(algo: &SimAlgo) -> Option<(&'static str, &'static str, SimAlgo)> {
    Some(match algo {
        SimAlgo::Milenage { op, r, c } => {
            let milenage = |op| SimAlgo::Milenage { op, r: *r, c: *c };
            match op {
                OperatorCode::Op(code) => {
                    ("the configured op is an OPc", "configure it as opc", milenage(OperatorCode::Opc(*code)))
                }
                OperatorCode::Opc(code) => {
                    ("the configured opc is an OP", "configure it as op", milenage(OperatorCode::Op(*code)))
                }
            }
        }
        SimAlgo::Tuak { top, keccak_iter } => {
            let tuak = |top| SimAlgo::Tuak { top, keccak_iter: *keccak_iter };
            match top {
                OperatorCodeTuak::Top(code) => (
                    "the configured top is a TOPc",
                    "configure it as topc",
                    tuak(OperatorCodeTuak::Topc(*code)),
                ),
                OperatorCodeTuak::Topc(code) => (
                    "the configured topc is a TOP",
                    "configure it as top",
                    tuak(OperatorCodeTuak::Top(*code)),
                ),
            }
        }
        SimAlgo::Xor => return None,
    })
}

/// RES of the other usual lengths. Milenage has 8 octets to give (TS 35.206 4.1).
fn other_lengths(sim: &Sim) -> impl Iterator<Item = Slip> {
    const LENGTHS: [(usize, &str, &str); 3] = [
        (4, "RES has 4 octets", "configure res_len 4"),
        (8, "RES has 8 octets", "configure res_len 8"),
        (16, "RES has 16 octets", "configure res_len 16"),
    ];
    let longest = if matches!(sim.algo, SimAlgo::Milenage { .. }) { 8 } else { 16 };
    LENGTHS.into_iter().filter(move |(len, ..)| *len != sim.res_len && *len <= longest).map(
        |(res_len, what, remedy)| {
            let sim = Sim { res_len, ..sim.clone() };
            Slip { what, kind: "RES has another length", remedy, sim }
        },
    )
}
