//! Wireshark's table of security associations (`esp_sa`): with it a capture of ESP is read like one of SIP.
//!
//! A line has protocol, source, destination, SPI, encryption with key, authentication with key. Not everything is known
//! there: a check value of 160 bits and AES-GMAC are not, and check values of no known algorithm are passed over.

use super::text;
use serde_json::Value;

/// Where the file goes, in its first lines.
const HEADER: &str = "# Security associations for Wireshark: append this to the file esp_sa of its configuration folder (Help > About > \
                      Folders), and\n# turn on \"Attempt to detect/decode encrypted ESP payloads\" of the protocol ESP. These are keys: \
                      keep them to yourself.\n";

/// One line for each association.
pub(super) fn table(sas: &[Value]) -> String {
    if sas.is_empty() {
        return "# No phone has registered through IPsec\n".to_owned();
    }
    sas.iter().fold(HEADER.to_owned(), |out, sa| out + &line(sa) + "\n")
}

fn line(sa: &Value) -> String {
    let (alg, ealg) = (text(sa, "aalg"), text(sa, "ealg"));
    let spi = format!("{:#010x}", sa["spi"].as_u64().unwrap_or(0));
    let names = authentication(&alg).zip(encryption(&ealg));
    let Some((authentication, encryption)) = names else {
        return format!("# {spi}: Wireshark does not know {alg} with {ealg}");
    };
    let key = |name: &str| match text(sa, name).as_ref() {
        "" => String::new(),
        digits => format!("0x{digits}"),
    };
    // the check value of AES-GCM is its own
    let authentication = if ealg == "aes-gcm" { "NULL" } else { authentication };
    let (cipher, authent) = (key("cipher_key"), key("authent_key"));
    let (kind, src, dst) = (text(sa, "type"), text(sa, "src"), text(sa, "dst"));
    format!(r#""{kind}","{src}","{dst}","{spi}","{encryption}","{cipher}","{authentication}","{authent}""#)
}

/// Wireshark's name of an integrity algorithm.
fn authentication(name: &str) -> Option<&'static str> {
    Some(match name {
        "null" => "NULL",
        "hmac-sha-1-96" => "HMAC-SHA-1-96 [RFC2404]",
        "hmac-md5-96" => "HMAC-MD5-96 [RFC2403]",
        "aes-cmac-96" => "ANY 96 bit authentication [no checking]",
        "hmac-md5-128" => "ANY 128 bit authentication [no checking]",
        _ => return None,
    })
}

/// Wireshark's name of an encryption algorithm.
fn encryption(name: &str) -> Option<&'static str> {
    Some(match name {
        "null" => "NULL",
        "aes-cbc" => "AES-CBC [RFC3602]",
        "aes-gcm" => "AES-GCM with 16 octet ICV [RFC4106]",
        "des-ede3-cbc" => "TripleDES-CBC [RFC2451]",
        "blowfish" => "BLOWFISH-CBC [RFC2451]",
        _ => return None,
    })
}
