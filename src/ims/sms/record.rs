//! Short messages in the state file: one JSON object each, under `sms/NUMBER` (sixteen hexadecimal digits).

use super::recent::Phone;
use super::text::{Submitted, Text};
use crate::base::time::{Duration, Instant, UnixTime};
use crate::crypto::hex;
use crate::ims::persist::Misfit;
use crate::ims::subscriber::Subscribers;
use crate::proto::cx::Cx;
use crate::wire::gsm::Address;
use crate::wire::gsm::reader::Reader;
use serde_json::{Value, json};

/// Prefix of the keys.
pub const SMS: &str = "sms/";

/// The key of a text.
pub(super) fn key(number: u64) -> String {
    format!("{SMS}{number:016x}")
}

/// A time on this run's clock as wall time.
fn wall(cx: &Cx<'_>, at: Instant) -> i64 {
    (cx.wall + at.since(cx.now)).as_micros()
}

/// The record of a text. Users are named by IMPI and times by the wall clock, so that it means the same after a restart.
pub(super) fn write(cx: &Cx<'_>, subs: &Subscribers, text: &Text) -> String {
    let to = subs.user(text.to);
    let mut record = json!({
        "to": to.impi,
        "impu": to.impus.get(text.impu).map_or("", |impu| &impu.uri),
        "from": text.from,
        "tpdu": octets(&text.tpdu),
        "at": text.at.as_micros(),
        "expires": wall(cx, text.expires_at),
    });
    if text.due_at > cx.now {
        record["due"] = json!(wall(cx, text.due_at));
    }
    for (name, is) in [("sos", text.sos), ("once", text.once), ("plain", text.is_plain)] {
        if is {
            record[name] = json!(true);
        }
    }
    if let Some(submitted) = &text.submitted {
        let mut destination = Vec::new();
        submitted.destination.write_tp(&mut destination);
        let by = subs.user(submitted.by);
        let impu = submitted.impu.and_then(|at| by.impus.get(at));
        record["submitted"] = json!({
            "by": by.impi,
            "as": impu.map(|impu| &impu.uri),
            "phone": submitted.phone.as_ref().map(Phone::write),
            "reference": submitted.reference,
            "destination": octets(&destination),
            "report": submitted.wants_report,
        });
    }
    record.to_string()
}

/// The number in a key; none when it is no text's. The last one of all is none: another must be able to follow.
pub(super) fn number(key: &str) -> Option<u64> {
    let number = u64::from_str_radix(key.strip_prefix(SMS)?, 16).ok()?;
    (number < u64::MAX).then_some(number)
}

/// The text of a record; the error says what does not fit. One for somebody who is no user now is kept for as long as it lives.
pub(super) fn read(cx: &Cx<'_>, subs: &Subscribers, number: u64, value: &str) -> Result<Text, Misfit> {
    let record: Value = serde_json::from_str(value).map_err(Misfit::damaged)?;
    let missing = |name: &str| Misfit::damaged(format_args!("{name} is missing"));
    let text = |name: &str| record[name].as_str().ok_or_else(|| missing(name));
    let time = |name: &str| record[name].as_i64().ok_or_else(|| missing(name));
    let user = |impi: &str| subs.by_impi(impi.as_bytes());
    let left = |until: i64| {
        let micros = until.saturating_sub(cx.wall.as_micros());
        cx.now + Duration::from_micros(u64::try_from(micros).unwrap_or(0))
    };
    let (to, at, expires) = (text("to")?, time("at")?, time("expires")?);
    let uri = text("impu")?;
    let tpdu = text("tpdu")?;
    let tpdu = bytes(tpdu)
        .filter(|tpdu| !tpdu.is_empty())
        .ok_or_else(|| Misfit::damaged("the tpdu is malformed"))?;
    let to = match user(to) {
        Some(to) => to,
        None if expires > cx.wall.as_micros() => return Err(Misfit::NoUser),
        None => return Err(format!("{to} is no user any more, and it has expired").into()),
    };
    let submitted = match &record["submitted"] {
        Value::Null => None,
        value => read_submitted(subs, value),
    };
    Ok(Text {
        number,
        to,
        // it may have gone from the configuration
        impu: subs.user(to).impus.iter().position(|impu| impu.uri == uri).unwrap_or(0),
        from: text("from")?.into(),
        tpdu: tpdu.into(),
        at: UnixTime::from_micros(at),
        expires_at: left(expires),
        due_at: record["due"].as_i64().map_or(cx.now, left),
        aside_until: Instant::ZERO,
        parts_at: Instant::ZERO,
        sos: record["sos"] == true,
        is_plain: record["plain"] == true,
        once: record["once"] == true,
        is_durable: true,
        submitted,
    })
}

/// Who has submitted a text: nobody, when it is no user any more, for then there is nobody to report to.
fn read_submitted(subs: &Subscribers, value: &Value) -> Option<Box<Submitted>> {
    let destination = bytes(value["destination"].as_str()?)?;
    let by = subs.by_impi(value["by"].as_str()?.as_bytes())?;
    let uri = value["as"].as_str();
    Some(Box::new(Submitted {
        by,
        impu: uri.and_then(|uri| subs.user(by).impus.iter().position(|impu| impu.uri == uri)),
        phone: value["phone"].as_str().and_then(Phone::read),
        reference: u8::try_from(value["reference"].as_u64()?).ok()?,
        destination: Address::parse_tp(&mut Reader::new(&destination), "TP-DA").ok()?,
        wants_report: value["report"] == true,
    }))
}

/// Room for the longest TPDU, and then some.
const MAX_OCTETS: usize = 256;

pub(super) fn octets(octets: &[u8]) -> String {
    hex::encode::<{ 2 * MAX_OCTETS }>(octets).as_str().to_owned()
}

pub(super) fn bytes(text: &str) -> Option<Vec<u8>> {
    hex::decode::<MAX_OCTETS>(text.as_bytes()).map(|octets| octets.to_vec())
}
