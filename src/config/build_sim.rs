//! A SIM's keys and algorithm from `ue_db`, where `isim_auth` overrides what the ISIM has of its own.

use super::build::Builder;
use super::model::{OperatorCode, OperatorCodeTuak, Sim, SimAlgo};
use super::schema::Scope;
use super::section::{Section, octets};

/// Rotation constants r1 to r5 (TS 35.206 4.1).
const R: [u8; 5] = [64, 0, 32, 64, 96];

/// Addition constants c1 to c5 (TS 35.206 4.1), of which only the last octet differs.
const C_LAST: [u8; 5] = [0, 1, 2, 4, 8];

impl Builder<'_> {
    /// The keys of a user's ISIM, or none where there is no `K`.
    pub(super) fn sim(&mut self, user: &Section<'_>) -> Option<Sim> {
        let keys = Keys { user: *user, isim: user.section("isim_auth", Scope::IsimAuth) };
        let algo_name = keys.of(&["sim_algo"]).text("sim_algo")?;
        let holder = keys.of(&["K"]);
        let k = holder.hex("K")?;
        if k.len() == 32 && algo_name != "tuak" {
            self.error(
                holder.at("K"),
                format!("{algo_name} needs a key of 32 hexadecimal digits; 64 are for tuak"),
            );
            return None;
        }
        let algo = match algo_name {
            "milenage" => self.milenage(&keys)?,
            "tuak" => self.tuak(&keys)?,
            _ => SimAlgo::Xor,
        };
        let mut unused = Vec::new();
        if algo_name != "milenage" && k.len() == 16 && keys.has(&["op", "opc"]) {
            self.warn_unused(user, &keys, &["op", "opc"], "milenage");
            unused.extend(self.milenage(&keys));
        }
        if algo_name != "tuak" && keys.has(&["top", "topc"]) {
            self.warn_unused(user, &keys, &["top", "topc"], "tuak");
            unused.extend(self.tuak(&keys));
        }
        let force_sqn_resync = user.bool("force_sqn_resync");
        let res_len = self.res_len(&keys, algo_name);
        Some(Sim { algo, k, amf: amf(user), sqn: sqn(user), force_sqn_resync, res_len, unused })
    }

    /// Says that an operator code is without effect because the algorithm that it is for is not named, when none is.
    fn warn_unused(&mut self, user: &Section<'_>, keys: &Keys<'_>, codes: &[&str], algo: &str) {
        let holder = keys.of(codes);
        let named = user.is_given("sim_algo") || keys.isim.is_some_and(|isim| isim.is_given("sim_algo"));
        let given = codes.iter().find(|code| holder.is_given(code)).filter(|_| !named);
        if let Some(code) = given {
            let message = format!(
                "`{code}` is not used: without `sim_algo: \"{algo}\"` the SIM is taken for one with XOR"
            );
            self.warn(holder.at(code), message);
        }
    }

    fn milenage(&mut self, keys: &Keys<'_>) -> Option<SimAlgo> {
        let code = self.operator_code(keys, "milenage", "op", "opc")?;
        let op = match code {
            (true, octets) => OperatorCode::Opc(octets.try_into().ok()?),
            (false, octets) => OperatorCode::Op(octets.try_into().ok()?),
        };
        let mut r = R;
        for (constant, value) in r.iter_mut().zip(keys.of(&["r"]).items("r")) {
            *constant = value.data.as_number()? as u8;
        }
        let mut c = C_LAST.map(|last| u128::from(last).to_be_bytes());
        for (constant, value) in c.iter_mut().zip(keys.of(&["c"]).items("c")) {
            *constant = octets(value.data.as_str()?)?.try_into().ok()?;
        }
        Some(SimAlgo::Milenage { op, r, c })
    }

    fn tuak(&mut self, keys: &Keys<'_>) -> Option<SimAlgo> {
        let code = self.operator_code(keys, "tuak", "top", "topc")?;
        let top = match code {
            (true, octets) => OperatorCodeTuak::Topc(octets.try_into().ok()?),
            (false, octets) => OperatorCodeTuak::Top(octets.try_into().ok()?),
        };
        Some(SimAlgo::Tuak { top, keccak_iter: keys.of(&["keccak_iter"]).count("keccak_iter") as u32 })
    }

    /// The operator code and whether it is the one already made with K.
    fn operator_code(
        &mut self,
        keys: &Keys<'_>,
        algo: &str,
        plain: &str,
        made: &str,
    ) -> Option<(bool, Vec<u8>)> {
        let holder = keys.of(&[plain, made]);
        if holder.is_wrong(plain) || holder.is_wrong(made) {
            return None;
        }
        match (holder.hex(plain), holder.hex(made)) {
            (None, None) => {
                self.error(holder.at, format!("{algo} needs `{plain}` or `{made}`"));
                None
            }
            (Some(_), Some(octets)) => {
                self.warn(holder.at(plain), format!("`{plain}` is not used because `{made}` is given too"));
                Some((true, octets))
            }
            (None, Some(octets)) => Some((true, octets)),
            (Some(octets), None) => Some((false, octets)),
        }
    }

    /// TUAK: 4, 8 or 16 octets (manual 5.2.1). Milenage has 8 octets of RES to give.
    fn res_len(&mut self, keys: &Keys<'_>, algo: &str) -> usize {
        let holder = keys.of(&["res_len"]);
        let length = holder.count("res_len") as usize;
        match algo {
            "tuak" if ![4, 8, 16].contains(&length) => {
                self.error(
                    holder.at("res_len"),
                    format!("with tuak RES has 4, 8 or 16 octets, not {length}"),
                );
            }
            "milenage" if length > 8 => {
                self.error(
                    holder.at("res_len"),
                    format!("with milenage RES has at most 8 octets, not {length}"),
                );
            }
            _ => {}
        }
        length
    }
}

/// The USIM's properties and the ISIM's.
struct Keys<'a> {
    user: Section<'a>,
    isim: Option<Section<'a>>,
}

impl<'a> Keys<'a> {
    /// Whether any of these properties is given.
    fn has(&self, names: &[&str]) -> bool {
        let holder = self.of(names);
        names.iter().any(|name| holder.is_given(name))
    }

    /// The section that gives any of these properties: the ISIM's first. `op` and `opc` go together, so that an `op` of
    /// the ISIM is not outdone by an `opc` of the USIM.
    fn of(&self, names: &[&str]) -> Section<'a> {
        match self.isim {
            Some(isim) if names.iter().any(|name| isim.is_given(name)) => isim,
            _ => self.user,
        }
    }
}

fn amf(user: &Section<'_>) -> [u8; 2] {
    match user.text_if_given("amf").and_then(octets).as_deref() {
        Some(&[high, low]) => [high, low],
        _ => (user.number("amf") as u16).to_be_bytes(),
    }
}

fn sqn(user: &Section<'_>) -> u64 {
    let octets = user.hex("sqn").unwrap_or_default();
    octets.iter().fold(0, |number, octet| number << 8 | u64::from(*octet))
}
