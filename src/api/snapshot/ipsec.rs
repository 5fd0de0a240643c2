//! The answer of `ipsec`: each security association by itself, with its set's state beside it.
//!
//! Members beyond the remote API's: `set`, `impi`, `stage`, `src_port`, `dst_port`, `aalg`, `ealg`, `expires`, `packets`,
//! `octets`, `replayed`, `integrity_failed` (associations); `unknown_spi` and `lack`.

use crate::ims::security::SetView;
use crate::proto::sip::sec_agree::{
    Association, Direction, Encryption, Integrity, Keys, Named, SaCounters, SetCounters, Suite,
};
use serde_json::{Value, json};

/// The answer of `ipsec`. `counted` goes with `sets`: what the kernel counts of each, none where it does not have it whole.
/// `unknown_spi`: ESP packets that came for no association. `lack`: why there is no IPsec here.
pub fn ipsec(
    sets: &[SetView],
    counted: &[Option<SetCounters>],
    unknown_spi: Option<u64>,
    lack: Option<&str>,
) -> Value {
    let sas = sets.iter().zip(counted).flat_map(|(set, counted)| {
        let one = |at: usize| association(set, &set.associations[at], counted.as_ref().map(|all| &all[at]));
        [0, 1, 2, 3].map(one)
    });
    let mut out = json!({ "SAs": sas.collect::<Vec<_>>() });
    if let Some(packets) = unknown_spi {
        out["unknown_spi"] = json!(packets);
    }
    if let Some(why) = lack {
        out["lack"] = json!(why);
    }
    out
}

fn association(set: &SetView, sa: &Association, counted: Option<&SaCounters>) -> Value {
    let (authent_key, cipher_key) = keys(set.suite, &set.keys);
    let mut out = json!({
        "type": if sa.from.is_ipv4() { "IPv4" } else { "IPv6" },
        "dir": match sa.direction {
            Direction::In => "in",
            Direction::Out => "out",
        },
        "spi": sa.spi,
        "ue_id": set.bindings.first(),
        "mode": "transport",
        "src": sa.from.ip().to_string(),
        "src_port": sa.from.port(),
        "dst": sa.to.ip().to_string(),
        "dst_port": sa.to.port(),
        "set": set.number,
        "impi": set.impi,
        "stage": set.stage.name(),
        "expires": set.expires,
        "aalg": set.suite.integrity().name(),
        "ealg": set.suite.encryption().name(),
        "authent_key": hex(authent_key),
        "cipher_key": hex(cipher_key),
    });
    if let Some(counted) = counted {
        out["packets"] = json!(counted.packets);
        out["octets"] = json!(counted.octets);
        out["replayed"] = json!(counted.replayed);
        out["integrity_failed"] = json!(counted.integrity_failed);
    }
    out
}

/// The key of each of the two algorithms; one that does both has its key (and salt) where it is named.
fn keys(suite: Suite, keys: &Keys) -> (&[u8], &[u8]) {
    let (authent, cipher) = match (suite.integrity(), suite.encryption()) {
        (Integrity::AesGmac, _) => (&keys.aead, &keys.encryption),
        (_, Encryption::AesGcm) => (&keys.integrity, &keys.aead),
        _ => (&keys.integrity, &keys.encryption),
    };
    (authent.as_bytes(), cipher.as_bytes())
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ims::security::Stage;
    use crate::proto::sip::sec_agree::{Parameters, associations};

    /// A set of the algorithms, of a phone at 10.0.0.1 (or 2001:db8::1).
    fn set_view(number: u32, integrity: Integrity, encryption: Encryption, ip: &str) -> SetView {
        let ue = Parameters { spi_c: 0x1001, spi_s: 0x1002, port_c: 31_112, port_s: 31_113 };
        let own = Parameters { spi_c: 0x2001, spi_s: 0x2002, port_c: 5100, port_s: 6100 };
        let own_ip = if ip.contains(':') { "2001:db8::fe" } else { "10.0.0.254" };
        let suite = Suite::new(integrity, encryption).expect("a pair that may be used");
        SetView {
            id: u64::from(number) << 32,
            number,
            impi: "001010123456789@ims.mnc001.mcc001.3gppnetwork.org".to_owned(),
            stage: Stage::Active,
            ue,
            own,
            suite,
            keys: suite.keys(&[0xcc; 16], &[0x11; 16]),
            associations: associations(
                ip.parse().expect("an address"),
                &ue,
                own_ip.parse().expect("one"),
                &own,
            ),
            expires: 3552,
            bindings: vec![7],
        }
    }

    #[test]
    fn each_association_has_its_way_its_spi_its_keys_and_its_counters() {
        let set = set_view(3, Integrity::HmacSha1_96, Encryption::AesCbc, "10.0.0.1");
        let counted = SaCounters { packets: 12, octets: 5000, replayed: 1, integrity_failed: 2 };
        let answer = ipsec(&[set], &[Some([counted; 4])], Some(9), None);
        assert_eq!(answer["SAs"].as_array().map(Vec::len), Some(4));
        assert_eq!(
            answer["SAs"][0],
            json!({
                "type": "IPv4", "dir": "in", "spi": 0x2002, "ue_id": 7, "mode": "transport", "src": "10.0.0.1",
                "src_port": 31_112, "dst": "10.0.0.254", "dst_port": 6100, "set": 3,
                "impi": "001010123456789@ims.mnc001.mcc001.3gppnetwork.org", "stage": "active", "expires": 3552,
                "aalg": "hmac-sha-1-96", "ealg": "aes-cbc", "authent_key": format!("{}00000000", "11".repeat(16)),
                "cipher_key": "cc".repeat(16), "packets": 12, "octets": 5000, "replayed": 1, "integrity_failed": 2,
            })
        );
        let ways: Vec<_> = (0..4).map(|at| answer["SAs"][at]["dir"].clone()).collect();
        assert_eq!(
            (ways, &answer["unknown_spi"]),
            (["in", "out", "out", "in"].map(Value::from).to_vec(), &json!(9))
        );
    }

    #[test]
    fn one_algorithm_for_both_has_its_key_where_it_is_named() {
        let of = |integrity, encryption| {
            let set = set_view(1, integrity, encryption, "2001:db8::1");
            let mut sa = ipsec(&[set], &[None], None, Some("no ESP"))["SAs"][3].take();
            assert_eq!((sa["type"].as_str(), sa.get("packets")), (Some("IPv6"), None));
            ["authent_key", "cipher_key"].map(|name| sa[name].take().as_str().map(str::len))
        };
        assert_eq!(of(Integrity::Null, Encryption::AesGcm), [Some(0), Some(40)]);
        assert_eq!(of(Integrity::AesGmac, Encryption::Null), [Some(40), Some(0)]);
        assert_eq!(of(Integrity::HmacMd5_96, Encryption::Null), [Some(32), Some(0)]);
        assert_eq!(ipsec(&[], &[], None, Some("no ESP")), json!({ "SAs": [], "lack": "no ESP" }));
    }
}
