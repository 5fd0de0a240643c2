//! The records of sets of security associations that carry registrations, keys included: `association/NUMBER`, read before the
//! bindings, which name them by their number.

use super::Record;
use crate::crypto::hex;
use crate::crypto::ipsec_keys::{Key, MAX_LEN};
use crate::ims::security::{Kept, Set};
use crate::ims::subscriber::Subscribers;
use crate::proto::cx::Cx;
use crate::proto::sip::sec_agree::{
    Agreement, Choice, Encryption, Integrity, Keys, Named as _, Parameters, SaNumbers, SetNumbers, Suite,
};
use crate::wire::sip::text::lossy;
use serde_json::Value;
use std::net::IpAddr;

/// Prefix of the keys.
pub const ASSOCIATION: &str = "association/";

/// The names of what is secret in a record.
pub const SECRETS: [&str; 3] = ["integrity_key", "encryption_key", "aead_key"];

/// Stores a set as it is now.
pub fn store(cx: &mut Cx<'_>, subscribers: &Subscribers, set: &Set) {
    let value = write(subscribers, set);
    cx.out.persist(key(set.number), Some(value));
}

/// Deletes the record of a set.
pub fn forget(cx: &mut Cx<'_>, number: u32) {
    cx.out.persist(key(number), None);
}

fn key(number: u32) -> String {
    format!("{ASSOCIATION}{number:08x}")
}

fn write(subscribers: &Subscribers, set: &Set) -> String {
    let Choice { suite, ue, prot, mode } = *set.agreement.choice();
    let mut record = Record::new();
    record.text("impi", &subscribers.user(set.user).impi);
    for (name, p) in [("own", set.agreement.own()), ("ue", &ue)] {
        let Parameters { spi_c, spi_s, port_c, port_s } = p;
        record.plain(name, format_args!("[{spi_c},{spi_s},{port_c},{port_s}]"));
    }
    record.plain("own_ip", format_args!("\"{}\"", set.own_ip));
    record.plain("ue_ip", format_args!("\"{}\"", set.ue_ip()));
    record.text("alg", suite.integrity().name());
    record.text("ealg", suite.encryption().name());
    record.plain("prot", format_args!("{prot}"));
    record.plain("mod", format_args!("{mode}"));
    record.text("offers", &lossy(set.agreement.offers()));
    record.plain("reqid", format_args!("{}", set.reqid));
    let [a, b, c, d] = set.numbers.map(|n| [n.sent, n.received, n.window]);
    record.plain("numbers", format_args!("[{a:?},{b:?},{c:?},{d:?}]"));
    let Keys { integrity, encryption, aead } = &set.keys;
    for (name, key) in SECRETS.into_iter().zip([integrity, encryption, aead]) {
        record.text(name, &digits(key));
    }
    record.end()
}

fn digits(key: &Key) -> arrayvec::ArrayString<{ 2 * MAX_LEN }> {
    hex::encode(key.as_bytes())
}

/// A set read from its record. The error says what does not fit.
pub fn read(subscribers: &Subscribers, key: &str, value: &str) -> Result<Kept, String> {
    let number = key.strip_prefix(ASSOCIATION).and_then(|n| u32::from_str_radix(n, 16).ok());
    let number = number.ok_or("the key is no set's")?;
    let record: Value = serde_json::from_str(value).map_err(|e| e.to_string())?;
    let lacks = |name: &str| format!("{name} is missing or malformed");
    let text = |name: &str| record[name].as_str().ok_or_else(|| lacks(name));
    let impi = text("impi")?;
    let user = subscribers.by_impi(impi.as_bytes()).ok_or_else(|| format!("{impi} is no user any more"))?;
    let ip = |name: &str| text(name)?.parse::<IpAddr>().map_err(|_| lacks(name));
    let (own, ue) = (parameters(&record["own"]), parameters(&record["ue"]));
    let (own, ue) = (own.ok_or_else(|| lacks("own"))?, ue.ok_or_else(|| lacks("ue"))?);
    let integrity = Integrity::by_name(text("alg")?.as_bytes()).map_err(|_| lacks("alg"))?;
    let encryption = Encryption::by_name(text("ealg")?.as_bytes()).map_err(|_| lacks("ealg"))?;
    let suite = Suite::new(integrity, encryption).ok_or_else(|| lacks("ealg"))?;
    let flag = |name: &str| record[name].as_bool().unwrap_or(false);
    let choice = Choice { suite, ue, prot: flag("prot"), mode: flag("mod") };
    let offers = text("offers")?.as_bytes();
    Ok(Kept {
        number,
        user,
        agreement: Agreement::new(choice, own, std::iter::once(offers)),
        keys: keys(&record, suite).ok_or("the keys are no keys of its algorithms")?,
        own_ip: ip("own_ip")?,
        ue_ip: ip("ue_ip")?,
        reqid: record["reqid"].as_u64().and_then(|n| u32::try_from(n).ok()).ok_or_else(|| lacks("reqid"))?,
        numbers: numbers(&record["numbers"]).ok_or_else(|| lacks("numbers"))?,
    })
}

fn numbers(value: &Value) -> Option<SetNumbers> {
    let number = |at: usize, n: usize| u32::try_from(value.get(at)?.get(n)?.as_u64()?).ok();
    let of = |at| Some(SaNumbers { sent: number(at, 0)?, received: number(at, 1)?, window: number(at, 2)? });
    Some([of(0)?, of(1)?, of(2)?, of(3)?])
}

fn parameters(value: &Value) -> Option<Parameters> {
    let number = |at: usize| value.get(at)?.as_u64();
    let spi = |at| u32::try_from(number(at)?).ok();
    let port = |at| u16::try_from(number(at)?).ok().filter(|port| *port != 0);
    Some(Parameters { spi_c: spi(0)?, spi_s: spi(1)?, port_c: port(2)?, port_s: port(3)? })
}

fn keys(record: &Value, suite: Suite) -> Option<Keys> {
    let octets = |name: &str| hex::decode::<MAX_LEN>(record[name].as_str()?.as_bytes());
    let [integrity, encryption, aead] = SECRETS.map(octets);
    suite.keys_of(&integrity?, &encryption?, &aead?)
}
