//! The commands of the SMS centre: `sms`, `sms_flush`, and `user_set` (manual 6.6 and 7).

use crate::api::calls::switch;
use crate::api::command::Awaited;
use crate::api::cx::ApiCx;
use crate::api::handlers::{integer, text};
use crate::base::time::Duration;
use crate::ims::sms::{Content, Order, Recipient};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// Longest TP-User-Data, octets (TS 23.040 9.2.3.16).
const MAX_USER_DATA: usize = 140;

/// `sms`: sends `text`, `binary` (base64) or `binary_hex` to the user of `impi` or `impu`, or whichever of them `user` is.
/// It is answered when the state file has it.
pub fn sms(cx: &mut ApiCx<'_>, request: &Value) -> Result<Awaited, String> {
    let order = Order {
        to: recipient(request)?,
        sender: text(request, "sender")?.filter(|sender| !sender.is_empty()).map(str::to_owned),
        content: content(request)?,
        validity: match integer(request, "validity")? {
            None => None,
            Some(secs) => {
                Some(Duration::from_secs(u64::try_from(secs).map_err(|_| "validity must not be negative")?))
            }
        },
        pid: octet(request, "pid")?.unwrap_or(0),
        dcs: octet(request, "dcs")?,
        sos: switch(request, "sos")?.unwrap_or(false),
    };
    let (core, mut core_cx) = cx.core_cx();
    let ordered = core.send_sms(&mut core_cx, &order)?;
    Ok(Awaited { order: ordered.id, members: json!({ "parts": ordered.parts }) })
}

/// `sms_flush`: forgets what waits for the user of `impi` or `impu`.
pub fn sms_flush(cx: &mut ApiCx<'_>, request: &Value) -> Result<Value, String> {
    let to = recipient(request)?;
    let (core, mut core_cx) = cx.core_cx();
    let count = core.flush_sms(&mut core_cx, &to)?;
    Ok(json!({ "count": count }))
}

/// `user_set`: changes what can be changed of the user of `impi` while the program runs.
pub fn user_set(cx: &mut ApiCx<'_>, request: &Value) -> Result<Value, String> {
    let impi = text(request, "impi")?.ok_or("impi is missing")?.to_owned();
    let forced = switch(request, "force_sms_over_sg")?;
    let (core, mut core_cx) = cx.core_cx();
    core.set_user(&mut core_cx, &impi, forced)?;
    Ok(json!({}))
}

fn recipient(request: &Value) -> Result<Recipient, String> {
    let named = |name: &str| text(request, name).map(|t| t.map(str::to_owned));
    match (named("impi")?, named("impu")?, named("user")?) {
        (Some(impi), ..) => Ok(Recipient::Impi(impi)),
        (None, Some(impu), _) => Ok(Recipient::Impu(impu)),
        (None, None, Some(name)) => Ok(Recipient::Any(name)),
        (None, None, None) => Err("impi or impu is missing".to_owned()),
    }
}

fn content(request: &Value) -> Result<Content, String> {
    if let Some(text) = text(request, "text")? {
        return Ok(Content::Text(text.to_owned()));
    }
    let octets = match (text(request, "binary")?, text(request, "binary_hex")?) {
        (Some(base64), _) => STANDARD.decode(base64).map_err(|why| format!("binary is no base64: {why}"))?,
        (None, Some(hex)) => hex_octets(hex)?,
        (None, None) => return Err("text, binary or binary_hex is missing".to_owned()),
    };
    if octets.len() > MAX_USER_DATA {
        return Err(format!("{} octets: a short message has {MAX_USER_DATA} at most", octets.len()));
    }
    let has_header = switch(request, "tp_udhi_present")?.unwrap_or(false);
    Ok(Content::Octets { octets, length: octet(request, "tp_udl")?, has_header })
}

fn hex_octets(hex: &str) -> Result<Vec<u8>, String> {
    let digits: Option<Vec<u8>> =
        hex.chars().map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok())).collect();
    let digits = digits
        .filter(|digits| digits.len() % 2 == 0)
        .ok_or("binary_hex is no even number of hexadecimal digits")?;
    Ok(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

fn octet(request: &Value, name: &str) -> Result<Option<u8>, String> {
    let value = integer(request, name)?;
    value.map(|value| u8::try_from(value).map_err(|_| format!("{name} {value}: 0 to 255"))).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_short_message_says_is_read_in_each_form() {
        let octets = |octets: &[u8], length, has_header| Content::Octets {
            octets: octets.to_vec(),
            length,
            has_header,
        };
        for (request, said) in [
            (json!({ "text": "x", "binary": "AQI=" }), Content::Text("x".to_owned())),
            (json!({ "binary": "AQI=" }), octets(&[1, 2], None, false)),
            (
                json!({ "binary_hex": "0aFf", "tp_udl": 2, "tp_udhi_present": true }),
                octets(&[10, 255], Some(2), true),
            ),
        ] {
            assert_eq!(content(&request), Ok(said), "{request}");
        }
        for (request, words) in [
            (json!({}), "text, binary or binary_hex is missing"),
            (json!({ "binary_hex": "0" }), "binary_hex is no even number"),
            (json!({ "binary_hex": "0g" }), "binary_hex is no even number"),
            (json!({ "binary": "%" }), "binary is no base64"),
            (json!({ "binary_hex": "00".repeat(141) }), "141 octets: a short message has 140"),
            (json!({ "binary": "AQI=", "tp_udl": 256 }), "tp_udl 256: 0 to 255"),
            (json!({ "text": 5 }), "text must be a string"),
        ] {
            assert!(content(&request).is_err_and(|e| e.starts_with(words)), "{request}");
        }
    }

    #[test]
    fn a_recipient_is_named_by_the_private_identity_first() {
        let named = |request: Value| recipient(&request);
        assert_eq!(named(json!({ "impi": "a", "impu": "b" })), Ok(Recipient::Impi("a".to_owned())));
        assert_eq!(named(json!({ "impu": "b", "user": "c" })), Ok(Recipient::Impu("b".to_owned())));
        assert_eq!(named(json!({ "user": "c" })), Ok(Recipient::Any("c".to_owned())));
        assert_eq!(named(json!({})), Err("impi or impu is missing".to_owned()));
    }
}
