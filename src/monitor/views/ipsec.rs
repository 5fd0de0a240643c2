//! `ipsec`: each set of security associations, what goes through it, and what the kernel counts beside.

use super::{list, text, wireshark};
use crate::monitor::look::{Look, Tone, duration, table};
use serde_json::Value;

/// Associations of a set (TS 33.203 7.1).
const SAS_PER_SET: usize = 4;

/// The text for an answer to `ipsec`; the request says whether keys are shown, and whether it is Wireshark that reads.
pub(super) fn render(request: &Value, answer: &Value, look: &Look) -> String {
    let sas = list(answer, "SAs");
    if request["wireshark"] == true {
        return match sas.is_empty() && answer["lack"].is_string() {
            true => format!("# No IPsec: {}\n", text(answer, "lack")),
            false => wireshark::table(sas),
        };
    }
    let sets: Vec<&[Value]> = sas.chunk_by(|a, b| a["set"] == b["set"]).collect();
    let mut out = String::new();
    for set in &sets {
        out += &render_set(set, request["keys"] == true, look);
        out.push('\n');
    }
    if answer["lack"].is_string() {
        out += &look.paint(Tone::Bad, &format!("No IPsec: {}", text(answer, "lack")));
        out.push('\n');
    } else if sets.is_empty() {
        out += "No phone has registered through IPsec\n";
    } else {
        let plural = if sets.len() == 1 { "" } else { "s" };
        out += &format!("{} set{plural}, {} security associations\n", sets.len(), sas.len());
    }
    out + &unknown(answer["unknown_spi"].as_u64().unwrap_or(0), look)
}

/// What came for no association: since the machine started, so that it may be of phones that have registered anew since.
fn unknown(packets: u64, look: &Look) -> String {
    let words = match packets {
        0 => return String::new(),
        1 => "1 ESP packet has".to_owned(),
        many => format!("{many} ESP packets have"),
    };
    let words = format!(
        "{words} come for no security association since the machine started: a phone has one that is not here any more, \
         or another than was agreed\n"
    );
    look.paint(Tone::Dim, words.trim_end()) + "\n"
}

fn render_set(set: &[Value], with_keys: bool, look: &Look) -> String {
    let Some(first) = set.first() else { return String::new() };
    let stage = text(first, "stage");
    let tone = match stage.as_ref() {
        "active" => Tone::Good,
        "old" | "leaving" | "removing" => Tone::Dim,
        _ => Tone::Bold,
    };
    let binding = first["ue_id"].as_u64().map_or(String::new(), |id| format!(" | binding {id:04x}"));
    let mut out = format!(
        "{}  {}\n  Set {} | {}{binding} | ends in {}\n",
        look.paint(Tone::Bold, &text(first, "impi")),
        look.paint(tone, &stage),
        first["set"],
        algorithms(first),
        duration(first["expires"].as_u64().unwrap_or(0)),
    );
    let is_in = first["dir"] == "in";
    let (ue, own) = if is_in { ("src", "dst") } else { ("dst", "src") };
    out += &format!("  Phone {} | here {}\n", text(first, ue), text(first, own));
    if with_keys {
        for (name, what) in [("authent_key", "Integrity key "), ("cipher_key", "Encryption key")] {
            let key = text(first, name);
            out +=
                &format!("  {what}  {}\n", if key.is_empty() { "none".into() } else { format!("0x{key}") });
        }
    }
    if !set.iter().any(|sa| sa["packets"].is_u64()) {
        out += &look.paint(Tone::Bad, "  The kernel does not have it whole");
        out.push('\n');
    }
    debug_assert!(set.len() <= SAS_PER_SET);
    let header = ["  PHONE", "", "HERE", "SPI", "PACKETS", "OCTETS", "REPLAYED", "WRONG KEY"];
    let right = [true, false, false, false, true, true, true, true];
    out + &table(look, &header, &right, &set.iter().map(row).collect::<Vec<_>>())
}

fn algorithms(sa: &Value) -> String {
    format!("{} with {}", text(sa, "ealg"), text(sa, "aalg"))
}

fn row(sa: &Value) -> (Option<Tone>, Vec<String>) {
    let is_in = sa["dir"] == "in";
    let (ue, own, arrow) =
        if is_in { ("src_port", "dst_port", "->") } else { ("dst_port", "src_port", "<-") };
    let count = |name: &str| sa[name].as_u64().map_or_else(|| "-".to_owned(), |n| n.to_string());
    let wrong = ["replayed", "integrity_failed"].iter().any(|name| sa[*name].as_u64() > Some(0));
    let cells = vec![
        format!("  {}", sa[ue]),
        arrow.to_owned(),
        sa[own].to_string(),
        format!("{:#010x}", sa["spi"].as_u64().unwrap_or(0)),
        count("packets"),
        count("octets"),
        count("replayed"),
        count("integrity_failed"),
    ];
    (wrong.then_some(Tone::Bad), cells)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// The associations of a set, as the server gives them; packets and wrong check values of each, where the kernel has them.
    fn set(number: u32, (alg, ealg): (&str, &str), counted: Option<[(u64, u32); 4]>) -> Vec<Value> {
        let (ue, own) =
            if number < 10 { ("10.0.0.1", "10.0.0.254") } else { ("2001:db8::1", "2001:db8::fe") };
        let ways = [
            ("in", 31_112, 6100, 0x2002),
            ("out", 31_112, 6100, 0x1001),
            ("out", 31_113, 5100, 0x1002),
            ("in", 31_113, 5100, 0x2001),
        ];
        let one = |(at, (dir, ue_port, own_port, spi)): (usize, (&str, u16, u16, u32))| {
            let ([src, dst], [src_port, dst_port]) = match dir {
                "in" => ([ue, own], [ue_port, own_port]),
                _ => ([own, ue], [own_port, ue_port]),
            };
            let mut sa = json!({
                "dir": dir, "spi": spi, "ue_id": 7, "src": src, "src_port": src_port, "dst": dst, "dst_port": dst_port,
                "set": number, "impi": "alice@ims.test", "stage": "active", "expires": 3552, "aalg": alg, "ealg": ealg,
                "authent_key": "11", "cipher_key": "",
            });
            if let Some((packets, wrong)) = counted.map(|all| all[at]) {
                sa["packets"] = json!(packets);
                sa["octets"] = json!(430 * packets);
                sa["replayed"] = json!(0);
                sa["integrity_failed"] = json!(wrong);
            }
            sa
        };
        ways.into_iter().enumerate().map(one).collect()
    }

    #[test]
    fn each_set_is_a_block_and_the_end_sums_up() {
        let counted = Some([(12, 0), (0, 0), (11, 0), (1, 7)]);
        let sas =
            [set(3, ("hmac-sha-1-96", "aes-cbc"), counted), set(12, ("null", "aes-gcm"), None)].concat();
        let answer = json!({ "SAs": sas, "unknown_spi": 2 });
        assert_eq!(
            render(&json!({ "message": "ipsec" }), &answer, &Look::plain()),
            "alice@ims.test  active\n\
             \x20 Set 3 | aes-cbc with hmac-sha-1-96 | binding 0007 | ends in 59 min 12 s\n\
             \x20 Phone 10.0.0.1 | here 10.0.0.254\n\
             \x20 PHONE      HERE  SPI         PACKETS  OCTETS  REPLAYED  WRONG KEY\n\
             \x20 31112  ->  6100  0x00002002       12    5160         0          0\n\
             \x20 31112  <-  6100  0x00001001        0       0         0          0\n\
             \x20 31113  <-  5100  0x00001002       11    4730         0          0\n\
             \x20 31113  ->  5100  0x00002001        1     430         0          7\n\
             \n\
             alice@ims.test  active\n\
             \x20 Set 12 | aes-gcm with null | binding 0007 | ends in 59 min 12 s\n\
             \x20 Phone 2001:db8::1 | here 2001:db8::fe\n\
             \x20 The kernel does not have it whole\n\
             \x20 PHONE      HERE  SPI         PACKETS  OCTETS  REPLAYED  WRONG KEY\n\
             \x20 31112  ->  6100  0x00002002        -       -         -          -\n\
             \x20 31112  <-  6100  0x00001001        -       -         -          -\n\
             \x20 31113  <-  5100  0x00001002        -       -         -          -\n\
             \x20 31113  ->  5100  0x00002001        -       -         -          -\n\
             \n\
             2 sets, 8 security associations\n\
             2 ESP packets have come for no security association since the machine started: a phone has one that is not \
             here any more, or another than was agreed\n"
        );
    }

    #[test]
    fn keys_are_shown_when_asked_for() {
        let answer = json!({ "SAs": set(3, ("hmac-md5-96", "null"), None) });
        let plain = render(&json!({}), &answer, &Look::plain());
        let keys = render(&json!({ "keys": true }), &answer, &Look::plain());
        assert!(!plain.contains("0x11\n"), "{plain}");
        assert!(keys.contains("\n  Integrity key   0x11\n  Encryption key  none\n"), "{keys}");
    }

    #[test]
    fn nothing_is_said_in_words() {
        let say = |answer: Value| render(&json!({}), &answer, &Look::plain());
        assert_eq!(say(json!({ "SAs": [], "unknown_spi": 0 })), "No phone has registered through IPsec\n");
        assert_eq!(say(json!({ "SAs": [], "lack": "run it as root" })), "No IPsec: run it as root\n");
        let table = render(&json!({ "wireshark": true }), &json!({ "SAs": [] }), &Look::plain());
        assert_eq!(table, "# No phone has registered through IPsec\n");
        let lack = json!({ "SAs": [], "lack": "run it as root" });
        let table = render(&json!({ "wireshark": true }), &lack, &Look::plain());
        assert_eq!(table, "# No IPsec: run it as root\n");
    }
}
