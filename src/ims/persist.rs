//! The records of the state file that registration needs: bindings and sequence numbers, one JSON object each.
//!
//! Keys are `binding/NUMBER` (eight hexadecimal digits) and `sqn/IMPI`. A record names users by IMPI and times by the wall
//! clock, so that it means the same after a restart with another order of users and another start of the monotonic clock.

use crate::base::arena::Id;
use crate::base::time::{Duration, UnixTime};
use crate::ims::registrar::binding::{Binding, Contact, Origin};
use crate::ims::registrar::route::Route;
use crate::ims::registrar::{Draft, Registrar};
use crate::ims::subscriber::{Subscribers, UserId};
use crate::proto::cx::Cx;
use crate::proto::flow::{Flow, LocalId};
use crate::proto::outbox::Output;
use crate::wire::sip::NameAddr;
use crate::wire::sip::text::lossy;
use serde_json::{Value, json};

/// Prefix of the keys of bindings.
pub const BINDING: &str = "binding/";
/// Prefix of the keys of sequence numbers.
pub const SQN: &str = "sqn/";

/// Stores the SQN of a user's last vector.
pub fn store_sqn(cx: &mut Cx<'_>, impi: &str, sqn: u64) {
    let value = Some(json!({ "sqn": format!("{sqn:012x}") }).to_string());
    cx.out.push(Output::Persist { key: format!("{SQN}{impi}"), value });
}

/// The SQN in a record.
pub fn read_sqn(value: &str) -> Option<u64> {
    let record: Value = serde_json::from_str(value).ok()?;
    u64::from_str_radix(record["sqn"].as_str()?, 16).ok()
}

/// Stores a binding as it is now.
pub fn store_binding(cx: &mut Cx<'_>, subscribers: &Subscribers, registrar: &Registrar, id: Id<Binding>) {
    let Some(binding) = registrar.binding(id) else { return };
    let value = Some(write_binding(cx, subscribers, binding).to_string());
    cx.out.push(Output::Persist { key: binding_key(binding.number), value });
}

/// Deletes the record of a binding that has gone.
pub fn forget_binding(cx: &mut Cx<'_>, number: u32) {
    cx.out.push(Output::Persist { key: binding_key(number), value: None });
}

fn binding_key(number: u32) -> String {
    format!("{BINDING}{number:08x}")
}

fn write_binding(cx: &Cx<'_>, subscribers: &Subscribers, binding: &Binding) -> Value {
    let mut contact = Vec::new();
    binding.contact.write(&mut contact);
    let Origin { impu, call_id, cseq, source, at, path, user_agent, auth } = &binding.origin;
    let profile = subscribers.user(binding.user);
    json!({
        "impi": profile.impi,
        "impu": profile.impus.get(*impu).map(|i| i.uri.as_str()),
        "contact": lossy(&contact),
        "expires": binding.expires_wall(cx.now, cx.wall).as_micros(),
        "local": binding.flow.local.0,
        "transport": binding.flow.transport.via_token(),
        "remote": binding.flow.remote.to_string(),
        "tcp_allowed": binding.tcp_allowed,
        "call_id": lossy(call_id),
        "cseq": cseq,
        "source": source.to_string(),
        "at": at.as_micros(),
        "path": lossy(path),
        "user_agent": user_agent,
        "auth": auth,
    })
}

/// A binding read from a record: its user and number, and what to make it from. The error says what does not fit.
pub fn read_binding(
    cx: &Cx<'_>,
    subscribers: &Subscribers,
    sockets: usize,
    key: &str,
    value: &str,
) -> Result<(UserId, u32, Draft), String> {
    let number = key.strip_prefix(BINDING).and_then(|n| u32::from_str_radix(n, 16).ok());
    let number = number.ok_or("the key is no binding's")?;
    let record: Value = serde_json::from_str(value).map_err(|e| e.to_string())?;
    let text = |name: &str| record[name].as_str().ok_or_else(|| format!("{name} is missing"));
    let impi = text("impi")?;
    let user = subscribers.by_impi(impi.as_bytes()).ok_or_else(|| format!("{impi} is no user any more"))?;
    let contact = NameAddr::parse(text("contact")?.as_bytes()).ok_or("the contact is malformed")?;
    let whole = |name: &str| record[name].as_i64().ok_or_else(|| format!("{name} is missing"));
    let left = whole("expires")?.saturating_sub(cx.wall.as_micros());
    let left = u64::try_from(left).ok().filter(|left| *left > 0).ok_or("it has expired meanwhile")?;
    let local = u8::try_from(whole("local")?).ok().filter(|l| usize::from(*l) < sockets);
    let local = LocalId(local.ok_or("its SIP address is not configured any more")?);
    let address = |name: &str| text(name)?.parse().map_err(|_| format!("{name} is no address"));
    let flow = match text("transport")? {
        "TCP" => Flow::tcp(local, address("remote")?, None),
        _ => Flow::udp(local, address("remote")?),
    };
    let impus = &subscribers.user(user).impus;
    let draft = Draft {
        contact: Contact::new(&contact),
        route: Route { flow, tcp_allowed: record["tcp_allowed"].as_bool().unwrap_or(false) },
        expires_at: cx.now + Duration::from_micros(left),
        origin: Origin {
            // it may have gone from the configuration
            impu: impus.iter().position(|i| Some(i.uri.as_str()) == record["impu"].as_str()).unwrap_or(0),
            call_id: text("call_id")?.as_bytes().into(),
            cseq: u32::try_from(whole("cseq")?).unwrap_or(0),
            source: address("source")?,
            at: UnixTime::from_micros(whole("at")?),
            path: text("path")?.as_bytes().into(),
            user_agent: text("user_agent")?.to_owned(),
            auth: auth_name(text("auth")?),
        },
    };
    Ok((user, number, draft))
}

/// The static name of an authentication.
fn auth_name(name: &str) -> &'static str {
    use crate::proto::sip::digest::Algorithm;
    Algorithm::parse(name.as_bytes()).map_or("none", Algorithm::name)
}
