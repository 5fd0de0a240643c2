//! The records of the state file that registration needs: bindings and sequence numbers, one JSON object each.
//!
//! Bindings behind IPsec name the record of their security associations ([`association`]).
//!
//! Keys are `binding/NUMBER` (eight hexadecimal digits) and `sqn/IMPI`, or `sqn/IMPI;imei=DIGITS` for one of the phones that share
//! a SIM. A record names users by IMPI and times by the wall
//! clock, so that it means the same after a restart with another order of users and another start of the monotonic clock.

pub mod association;

use crate::base::time::{Duration, UnixTime};
use crate::config::model::SipSocket;
use crate::crypto::sqn;
use crate::ims::auth::card::Equipment;
use crate::ims::limits::SQN_RESERVED;
use crate::ims::registrar::Draft;
use crate::ims::registrar::binding::{Binding, Contact, Origin};
use crate::ims::registrar::route::Route;
use crate::ims::security::Security;
use crate::ims::subscriber::{Subscribers, UserId};
use crate::proto::cx::Cx;
use crate::proto::flow::{Flow, LocalId, Transport};
use crate::wire::sip::NameAddr;
use crate::wire::sip::text::lossy;
use serde_json::Value;
use std::fmt;
use std::io::Write as _;
use std::net::SocketAddr;

/// Prefix of the keys of bindings.
pub const BINDING: &str = "binding/";
/// Before the keys of records that cannot be read, and are of what cannot be had again: short messages, sequence numbers. Such a record
/// stays as it is, for people.
pub const DAMAGED: &str = "damaged/";
/// Prefix of the keys of sequence numbers.
pub const SQN: &str = "sqn/";

/// Between IMPI and IMEI in the key of a phone's own sequence number; no IMPI holds it (RFC 7542 2.2).
const IMEI: &str = ";imei=";

/// Why a record of the state file is not taken.
#[derive(Debug, PartialEq, Eq)]
pub enum Misfit {
    /// The configuration does not name its user now: it stays in the file for a start with one that does.
    NoUser,
    /// It is of no use to any configuration, why in words: it is deleted.
    Useless(String),
    /// Nobody can read it, why in words, and nobody makes another: it is set aside under [`DAMAGED`].
    Damaged(String),
}

impl Misfit {
    /// What cannot be read is damaged; the rest as it is.
    pub fn damaged(why: impl ToString) -> Misfit {
        Misfit::Damaged(why.to_string())
    }
}

impl From<String> for Misfit {
    fn from(why: String) -> Self {
        Misfit::Useless(why)
    }
}

impl From<&str> for Misfit {
    fn from(why: &str) -> Self {
        Misfit::Useless(why.to_owned())
    }
}

/// The sequence numbers of a SIM that are used or may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbers {
    /// The SQN of the last vector when the record was written.
    pub last: u64,
    /// The last that may be used on the strength of this record.
    pub reserved: u64,
    /// When it was written; none in records that reserved nothing.
    pub at: Option<UnixTime>,
}

/// Stores the sequence numbers of a user's SIM, or of its copy in a phone. The ticket.
pub fn store_sqn(cx: &mut Cx<'_>, impi: &str, phone: Option<Equipment>, numbers: Numbers) -> u64 {
    let Numbers { last, reserved, at } = numbers;
    let mut record = Record::new();
    record.plain("sqn", format_args!("\"{last:012x}\""));
    record.plain("reserved", format_args!("\"{reserved:012x}\""));
    if let Some(at) = at {
        record.plain("at", format_args!("{}", at.as_micros()));
    }
    cx.out.persist(sqn_key(impi, phone), Some(record.end()))
}

/// Deletes the record of a phone's own SQN.
pub fn forget_sqn(cx: &mut Cx<'_>, impi: &str, phone: Equipment) {
    cx.out.persist(sqn_key(impi, Some(phone)), None);
}

fn sqn_key(impi: &str, phone: Option<Equipment>) -> String {
    match phone {
        Some(phone) => format!("{SQN}{impi}{IMEI}{}", phone.digits()),
        None => format!("{SQN}{impi}"),
    }
}

/// The IMPI, and the phone if there is one, in a key without its prefix.
pub fn read_sqn_key(name: &str) -> (&str, Option<Equipment>) {
    match name.rsplit_once(IMEI) {
        Some((impi, imei)) => (impi, Equipment::of_imei(imei)),
        None => (name, None),
    }
}

/// The sequence numbers in a record. One without a reserve is of a program that used up to [`SQN_RESERVED`] more than it says.
pub fn read_sqn(value: &str) -> Option<Numbers> {
    let record: Value = serde_json::from_str(value).ok()?;
    let number = |name: &str| u64::from_str_radix(record[name].as_str()?, 16).ok().map(|n| n & sqn::MAX);
    let last = number("sqn")?;
    let reserved = number("reserved").or_else(|| sqn::after(last, SQN_RESERVED)).unwrap_or(sqn::MAX);
    Some(Numbers { last, reserved, at: record["at"].as_i64().map(UnixTime::from_micros) })
}

/// What records name: users by IMPI, sockets by address, sets of security associations by number.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    subscribers: &'a Subscribers,
    sockets: &'a [SipSocket],
    security: &'a Security,
}

impl<'a> Known<'a> {
    /// Those of a service.
    pub fn of(subscribers: &'a Subscribers, sockets: &'a [SipSocket], security: &'a Security) -> Known<'a> {
        Known { subscribers, sockets, security }
    }
}

/// Stores a binding as it is now. One whose security associations have just gone cannot be reached any more, in clear least of all.
pub fn store_binding(cx: &mut Cx<'_>, known: &Known<'_>, binding: &Binding) {
    if binding.set.is_some_and(|id| known.security.set(id).is_none()) {
        return forget_binding(cx, binding.number);
    }
    let value = Some(write_binding(cx, known, binding));
    cx.out.persist(binding_key(binding.number), value);
}

/// Deletes the record of a binding that has gone.
pub fn forget_binding(cx: &mut Cx<'_>, number: u32) {
    cx.out.persist(binding_key(number), None);
}

fn binding_key(number: u32) -> String {
    format!("{BINDING}{number:08x}")
}

fn write_binding(cx: &Cx<'_>, known: &Known<'_>, binding: &Binding) -> String {
    let mut contact = Vec::with_capacity(256);
    binding.contact.write(&mut contact);
    let Origin { impu, call_id, cseq, source, at, path, user_agent, auth } = &binding.origin;
    let mut record = Record::new();
    let profile = known.subscribers.user(binding.user);
    record.text("impi", &profile.impi);
    record.text("impu", profile.impus.get(*impu).map_or("", |impu| &impu.uri));
    record.text("contact", &lossy(&contact));
    record.plain("expires", format_args!("{}", binding.expires_wall(cx.now, cx.wall).as_micros()));
    record.text("transport", binding.flow.transport.via_token());
    match binding.set.and_then(|id| known.security.set(id)) {
        Some(set) => record.plain("association", format_args!("{}", set.number)),
        None => {
            let local = known.sockets.get(usize::from(binding.flow.local.0)).map(|socket| socket.addr);
            let local = local.expect("a flow is of one of our sockets");
            record.plain("local", format_args!("\"{local}\""));
            record.plain("remote", format_args!("\"{}\"", binding.flow.remote));
            record.plain("tcp_allowed", format_args!("{}", binding.tcp_allowed));
        }
    }
    record.text("call_id", &lossy(call_id));
    record.plain("cseq", format_args!("{cseq}"));
    record.plain("source", format_args!("\"{source}\""));
    record.plain("at", format_args!("{}", at.as_micros()));
    record.text("path", &lossy(path));
    record.text("user_agent", user_agent);
    record.text("auth", auth);
    record.end()
}

/// A JSON object that is being written.
struct Record(Vec<u8>);

impl Record {
    fn new() -> Record {
        Record(Vec::with_capacity(768))
    }

    fn text(&mut self, name: &str, value: &str) {
        self.plain(name, format_args!(""));
        serde_json::to_writer(&mut self.0, value).expect("writing to a Vec cannot fail");
    }

    /// A value that is JSON already.
    fn plain(&mut self, name: &str, value: fmt::Arguments<'_>) {
        let before = if self.0.is_empty() { '{' } else { ',' };
        write!(self.0, "{before}\"{name}\":{value}").expect("writing to a Vec cannot fail");
    }

    fn end(mut self) -> String {
        self.0.push(b'}');
        String::from_utf8(self.0).expect("made of texts")
    }
}

/// A binding read from a record: its user and number, and what to make it from. The error says what does not fit.
pub fn read_binding(
    cx: &Cx<'_>,
    known: &Known<'_>,
    key: &str,
    value: &str,
) -> Result<(UserId, u32, Draft), String> {
    let number = key.strip_prefix(BINDING).and_then(|n| u32::from_str_radix(n, 16).ok());
    let number = number.ok_or("the key is no binding's")?;
    let record: Value = serde_json::from_str(value).map_err(|e| e.to_string())?;
    let text = |name: &str| text(&record, name);
    let impi = text("impi")?;
    let user =
        known.subscribers.by_impi(impi.as_bytes()).ok_or_else(|| format!("{impi} is no user any more"))?;
    let contact = NameAddr::parse(text("contact")?.as_bytes()).ok_or("the contact is malformed")?;
    let whole = |name: &str| record[name].as_i64().ok_or_else(|| format!("{name} is missing"));
    let left = whole("expires")?.saturating_sub(cx.wall.as_micros());
    let left = u64::try_from(left).ok().filter(|left| *left > 0).ok_or("it has expired meanwhile")?;
    let impus = &known.subscribers.user(user).impus;
    let draft = Draft {
        contact: Contact::new(&contact),
        route: read_route(known, user, &record)?,
        expires_at: cx.now + Duration::from_micros(left),
        origin: Origin {
            // it may have gone from the configuration
            impu: impus.iter().position(|i| Some(i.uri.as_str()) == record["impu"].as_str()).unwrap_or(0),
            call_id: text("call_id")?.as_bytes().into(),
            cseq: u32::try_from(whole("cseq")?).unwrap_or(0),
            source: address(&record, "source")?,
            at: UnixTime::from_micros(whole("at")?),
            path: text("path")?.as_bytes().into(),
            user_agent: text("user_agent")?.to_owned(),
            auth: auth_name(text("auth")?),
        },
    };
    Ok((user, number, draft))
}

/// Where requests for a binding go: through its security associations, or from a socket to an address.
fn read_route(known: &Known<'_>, user: UserId, record: &Value) -> Result<Route, String> {
    let transport = match text(record, "transport")? {
        "TCP" => Transport::Tcp,
        _ => Transport::Udp,
    };
    if let Some(number) = record["association"].as_u64() {
        let set = u32::try_from(number).ok().and_then(|number| known.security.restored(number));
        let (id, set) =
            set.filter(|(_, set)| set.user == user).ok_or("its security associations are lost")?;
        return Ok(Route { flow: set.ways.to_ue(transport), tcp_allowed: false, set: Some(id) });
    }
    let addr = address(record, "local")?;
    let local = known.sockets.iter().position(|socket| socket.addr == addr);
    let local = local.and_then(|at| u8::try_from(at).ok());
    let local = LocalId(local.ok_or_else(|| format!("{addr} is not configured any more"))?);
    let remote = address(record, "remote")?;
    let flow = match transport {
        Transport::Tcp => Flow::tcp(local, remote, None),
        Transport::Udp => Flow::udp(local, remote),
    };
    Ok(Route { flow, tcp_allowed: record["tcp_allowed"].as_bool().unwrap_or(false), set: None })
}

fn text<'r>(record: &'r Value, name: &str) -> Result<&'r str, String> {
    record[name].as_str().ok_or_else(|| format!("{name} is missing"))
}

fn address(record: &Value, name: &str) -> Result<SocketAddr, String> {
    text(record, name)?.parse().map_err(|_| format!("{name} is no address"))
}

/// The static name of an authentication.
fn auth_name(name: &str) -> &'static str {
    use crate::proto::sip::digest::Algorithm;
    Algorithm::parse(name.as_bytes()).map_or("none", Algorithm::name)
}
