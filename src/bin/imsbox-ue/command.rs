//! What a person or a script tells the phone: one command a line, or several with `;` between them.

use crate::phone::reginfo::Change;
use crate::phone::smsip::Report;
use imsbox::wire::gsm::RpCause;
use imsbox::wire::sip::Uri;
use std::time::Duration;

/// The time that `wait` waits when none is given.
const PATIENCE: Duration = Duration::from_secs(30);

/// What can be waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awaited {
    /// The registration.
    Registered,
    /// A call that comes in.
    Incoming,
    /// The other phone rings.
    Ringing,
    /// The call is answered.
    Answered,
    /// The other side holds the call.
    Held,
    /// The other side holds the call no longer.
    Resumed,
    /// The call has ended.
    Ended,
    /// The registration has ended, whoever did it.
    Unregistered,
    /// The network tells how the registration stands.
    Notified,
    /// A text that comes in.
    Sms,
    /// A key that the other side presses.
    Key,
    /// A text that comes in and is not taken, as `sms-report` says.
    SmsRefused,
    /// A status report on a text of ours.
    SmsStatus,
}

/// The words for what can be waited for.
const AWAITED: [(&str, Awaited); 13] = [
    ("registered", Awaited::Registered),
    ("incoming", Awaited::Incoming),
    ("ringing", Awaited::Ringing),
    ("answered", Awaited::Answered),
    ("held", Awaited::Held),
    ("resumed", Awaited::Resumed),
    ("ended", Awaited::Ended),
    ("unregistered", Awaited::Unregistered),
    ("notified", Awaited::Notified),
    ("sms", Awaited::Sms),
    ("dtmf", Awaited::Key),
    ("sms-refused", Awaited::SmsRefused),
    ("sms-status", Awaited::SmsStatus),
];

impl Awaited {
    /// Its word.
    pub fn name(self) -> &'static str {
        AWAITED.iter().find(|(_, a)| *a == self).map_or("", |(name, _)| name)
    }
}

/// A number that can be expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// The last final response of a registration or a call.
    Code,
    /// Packets sent.
    RtpSent,
    /// Packets received.
    RtpReceived,
    /// Packets lost.
    RtpLost,
    /// Packets lost, in percent.
    RtpLoss,
    /// Jitter in milliseconds.
    Jitter,
    /// Packets that came back as they were sent, in percent of those that came.
    Echo,
    /// The shortest time in which a packet came back, in milliseconds.
    EchoDelay,
    /// Packets of pictures sent.
    VideoSent,
    /// Packets of pictures received.
    VideoReceived,
    /// Packets of pictures lost.
    VideoLost,
    /// Packets of pictures that came back as they were sent, in percent of those that came.
    VideoEcho,
    /// Texts that have come.
    SmsReceived,
    /// Status reports that have come.
    SmsStatuses,
    /// TP-ST of the last status report (TS 23.040 9.2.3.15).
    SmsStatus,
    /// Documents of the reg event that have come.
    Notified,
}

/// The words for the numbers, and the unit that may follow their value.
const METRICS: [(&str, Metric, &str); 16] = [
    ("code", Metric::Code, ""),
    ("rtp-sent", Metric::RtpSent, ""),
    ("rtp-received", Metric::RtpReceived, ""),
    ("rtp-lost", Metric::RtpLost, ""),
    ("rtp-loss", Metric::RtpLoss, "%"),
    ("jitter", Metric::Jitter, "ms"),
    ("echo", Metric::Echo, "%"),
    ("echo-delay", Metric::EchoDelay, "ms"),
    ("video-sent", Metric::VideoSent, ""),
    ("video-received", Metric::VideoReceived, ""),
    ("video-lost", Metric::VideoLost, ""),
    ("video-echo", Metric::VideoEcho, "%"),
    ("sms-received", Metric::SmsReceived, ""),
    ("sms-statuses", Metric::SmsStatuses, ""),
    ("sms-status", Metric::SmsStatus, ""),
    ("notified", Metric::Notified, ""),
];

impl Metric {
    /// Its word and unit.
    pub fn name(self) -> (&'static str, &'static str) {
        METRICS.iter().find(|(_, m, _)| *m == self).map_or(("", ""), |(name, _, unit)| (*name, *unit))
    }
}

/// How a number is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// `<`
    Below,
    /// `<=`
    AtMost,
    /// `=`
    Equal,
    /// `>=`
    AtLeast,
    /// `>`
    Above,
}

const RELATIONS: [(&str, Relation); 5] = [
    ("<=", Relation::AtMost),
    (">=", Relation::AtLeast),
    ("<", Relation::Below),
    (">", Relation::Above),
    ("=", Relation::Equal),
];

impl Relation {
    /// Whether `a` stands so to `b`.
    pub fn holds(self, a: f64, b: f64) -> bool {
        match self {
            Relation::Below => a < b,
            Relation::AtMost => a <= b,
            Relation::Equal => a == b,
            Relation::AtLeast => a >= b,
            Relation::Above => a > b,
        }
    }

    /// Its sign.
    pub fn sign(self) -> &'static str {
        RELATIONS.iter().find(|(_, r)| *r == self).map_or("", |(sign, _)| sign)
    }
}

/// What is expected now.
#[derive(Clone, Debug, PartialEq)]
pub enum Expected {
    /// Whether the phone is registered.
    Registered(bool),
    /// Whether the phone is registered and its messages go through security associations.
    Protected(bool),
    /// Whether there is a call that is answered.
    InCall(bool),
    /// A number.
    Number(Metric, Relation, f64),
    /// Whether the network tells how the registration stands.
    Subscribed(bool),
    /// What it has told last of this phone.
    RegEvent(Change),
    /// What the last text says.
    Sms(String),
    /// The keys that the other side has pressed in the call.
    Keys(String),
}

/// A command.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Register, for so many seconds.
    Register(Option<u32>),
    /// Register for emergency calls.
    RegisterSos(Option<u32>),
    /// Give the registration back.
    Deregister,
    /// Call somebody, to hang up after so long; whether with pictures.
    Call(String, Option<Duration>, bool),
    /// Call an emergency service, to hang up after so long.
    Emergency(String, Option<Duration>),
    /// Send a text to somebody.
    Sms(String, String),
    /// Press keys in the call.
    Press(String),
    /// Send nothing in calls, or go on.
    Mute(bool),
    /// What to say to short messages that come.
    SmsReport(Report),
    /// Whether to ask for status reports.
    SmsStatus(bool),
    /// Tell the network that there is memory for texts again.
    Smma,
    /// Answer the call that rings.
    Answer,
    /// Answer calls by itself after so long, or not.
    AutoAnswer(Option<Duration>),
    /// Reject the call that rings.
    Reject(u16),
    /// End the call.
    HangUp,
    /// Hold the call, or no longer.
    Hold(bool),
    /// Tell how things stand.
    Status,
    /// Tell of the security associations.
    Ipsec,
    /// Wait for something, no longer than this.
    Wait(Awaited, Duration),
    /// Fail unless it is so.
    Expect(Expected),
    /// Do nothing for so long.
    Sleep(Duration),
    /// A command whose failure does not matter.
    Try(Box<Command>),
    /// Tell what can be said.
    Help,
    /// End the call, give the registration back, end.
    Quit,
}

/// The first words of all commands.
pub const VERBS: &[&str] = &[
    "register",
    "deregister",
    "call",
    "video",
    "emergency",
    "sms",
    "dtmf",
    "mute",
    "sms-report",
    "sms-status",
    "smma",
    "answer",
    "auto-answer",
    "reject",
    "hangup",
    "hold",
    "resume",
    "status",
    "ipsec",
    "wait",
    "expect",
    "sleep",
    "try",
    "help",
    "quit",
];

/// What may follow a command, for those whose words are known.
pub fn words_after(verb: &str) -> Vec<&'static str> {
    let metrics = METRICS.iter().map(|(name, ..)| *name);
    match verb {
        "wait" => AWAITED.iter().map(|(name, _)| *name).collect(),
        "expect" => STATES.iter().copied().chain(metrics).collect(),
        "expect reg-event" => Change::names().collect(),
        "auto-answer" | "mute" | "sms-status" => vec!["on", "off"],
        "sms-report" => vec!["ack", "none", "full"],
        "register" => vec!["sos"],
        "emergency" => vec!["sos", "police", "fire", "ambulance"],
        "try" => VERBS.to_vec(),
        _ => Vec::new(),
    }
}

/// What can be expected beside numbers.
const STATES: &[&str] = &[
    "registered",
    "unregistered",
    "in-call",
    "idle",
    "subscribed",
    "unsubscribed",
    "reg-event",
    "sms",
    "dtmf",
];

/// What `help` prints.
pub const HELP: &str = "  register [SECONDS]        register, and wait for the answer
  register sos [SECONDS]    the same for emergency calls only
  deregister                give the registration back; one for emergency calls runs its time in the network
  call WHO [SECONDS]        call a number, a name or a URI; with a time, wait for the call's end
  video WHO [SECONDS]       the same with pictures
  emergency [SERVICE [SECONDS]]
                            call urn:service:sos, or police, fire, … below it, also without registration
  sms WHO TEXT              send a text, in quotes where it has a `;` or a `#`
  dtmf KEYS                 press keys in the call: 0 to 9, *, #, A to D
  mute on|off               send nothing in calls, neither media nor reports, or go on
  sms-report ack|none|full|CAUSE
                            to texts that come say RP-ACK, nothing, RP-ERROR 22 (no memory), or RP-ERROR with this cause
  sms-status on|off         ask for status reports on short messages, or no longer
  smma                      tell the network that there is memory again, and take texts
  answer, reject [CODE]     take or refuse the call that rings; 603 by default
  auto-answer on|off|SECONDS
                            answer calls at once, not, or after so long
  hold, resume              hold the call, or no longer
  hangup                    end the call
  status                    registration, call, streams
  ipsec                     security associations: algorithms, ports, SPIs, packets
  wait EVENT [SECONDS]      registered, incoming, ringing, answered, held, resumed, ended,
                            unregistered, notified (a NOTIFY of the reg event), sms, dtmf (one key),
                            sms-refused (one that is not taken, as sms-report says), sms-status (a status report);
                            30 s by default
  expect registered [ipsec|clear]|unregistered|in-call|idle
  expect subscribed|unsubscribed
                            to the reg event
  expect reg-event EVENT    what it said last: registered, refreshed, shortened, deactivated, rejected, …
  expect sms TEXT           what the last text that came says
  expect dtmf KEYS          all keys that the other side has pressed in the call
  expect NAME OP VALUE      code, sms-received, sms-statuses, sms-status, notified, rtp-sent,
                            rtp-received, rtp-lost, rtp-loss %, jitter ms, echo %, echo-delay ms,
                            video-sent, video-received, video-lost, video-echo %; OP: = < <= > >=
  sleep SECONDS
  try COMMAND               do it, and go on if it fails
  quit                      hang up, deregister, end
";

/// Reads all commands of a text: lines, or pieces between `;`. What follows `#` is a remark. The error names the line.
pub fn parse_all(text: &str) -> Result<Vec<Command>, String> {
    let mut commands = Vec::new();
    for (number, line) in text.lines().enumerate() {
        for piece in pieces(line) {
            let command = parse(piece).map_err(|problem| match text.lines().count() {
                1 => problem,
                _ => format!("line {}: {problem}", number + 1),
            })?;
            commands.extend(command);
        }
    }
    Ok(commands)
}

/// The commands of a line. A `#` begins a remark where a word begins, as numbers may hold one; a `;` inside a URI belongs to
/// it; what is in quotes is text.
fn pieces(line: &str) -> impl Iterator<Item = &str> {
    let quoted = quoted(line);
    let is_text = move |at: usize| quoted.iter().any(|(from, to)| (*from..*to).contains(&at));
    let remark = line
        .match_indices('#')
        .map(|(at, _)| at)
        .filter(|&at| !is_text(at))
        .find(|&at| at == 0 || line[..at].ends_with(|c: char| c.is_whitespace() || c == ';'));
    let mut rest = &line[..remark.unwrap_or(line.len())];
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let begin = line.len() - rest.len() - remark.map_or(0, |at| line.len() - at);
        let end = rest.match_indices(';').map(|(at, _)| at).filter(|at| !is_text(begin + at)).find(|&at| {
            let word = rest[..at].rsplit(char::is_whitespace).next().unwrap_or_default();
            let after = &rest[at + 1..];
            !word.contains(':') || after.is_empty() || after.starts_with(char::is_whitespace)
        });
        let (piece, after) = end.map_or((rest, ""), |at| (&rest[..at], &rest[at + 1..]));
        rest = after;
        Some(piece)
    })
}

/// Where quotes begin that begin a word, and where the ones end that end it.
fn quoted(line: &str) -> Vec<(usize, usize)> {
    let (mut found, mut from) = (Vec::new(), 0);
    while let Some(open) = line[from..].find('"').map(|at| from + at) {
        from = open + 1;
        if !line[..open].ends_with(char::is_whitespace) {
            continue;
        }
        let ends = |at: &usize| line[at + 1..].chars().next().is_none_or(|c| c.is_whitespace() || c == ';');
        if let Some(close) = line[from..].match_indices('"').map(|(at, _)| from + at).find(ends) {
            found.push((open, close));
            from = close + 1;
        }
    }
    found
}

/// What follows so many words, without the quotes around it.
fn text_after(line: &str, words: usize) -> Option<String> {
    let mut rest = line.trim();
    for _ in 0..words {
        rest = rest.split_once(char::is_whitespace)?.1.trim_start();
    }
    let inner = rest.strip_prefix('"').and_then(|r| r.strip_suffix('"')).unwrap_or(rest);
    (!inner.is_empty()).then(|| inner.to_owned())
}

/// Reads one command; `None` for an empty line.
pub fn parse(line: &str) -> Result<Option<Command>, String> {
    let mut words = line.split_whitespace();
    let Some(verb) = words.next() else { return Ok(None) };
    if verb == "try" {
        let inner = line.trim_start().strip_prefix("try").unwrap_or_default();
        return Ok(parse(inner)?.map(|c| Command::Try(Box::new(c))));
    }
    let words: Vec<&str> = words.collect();
    match (verb, words.as_slice(), text_after(line, 2)) {
        ("sms", [who, _, ..], Some(text)) => return Ok(Some(Command::Sms((*who).to_owned(), text))),
        ("expect", ["sms", ..], Some(text)) => return Ok(Some(Command::Expect(Expected::Sms(text)))),
        _ => {}
    }
    let command = match (verb, words.as_slice()) {
        ("register", []) => Command::Register(None),
        ("register", ["sos"]) => Command::RegisterSos(None),
        ("register", ["sos", secs]) => Command::RegisterSos(Some(number(secs)?)),
        ("register", [secs] | ["expires", secs]) => Command::Register(Some(number(secs)?)),
        ("deregister", []) => Command::Deregister,
        ("emergency", []) => Command::Emergency(service("sos")?, None),
        ("emergency", [word]) => Command::Emergency(service(word)?, None),
        ("emergency", [word, secs]) => Command::Emergency(service(word)?, Some(seconds(secs)?)),
        ("call" | "video", [who]) => Command::Call((*who).to_owned(), None, verb == "video"),
        ("call" | "video", [who, secs]) => {
            Command::Call((*who).to_owned(), Some(seconds(secs)?), verb == "video")
        }
        ("dtmf", [keys]) => Command::Press((*keys).to_owned()),
        ("mute", ["on"]) => Command::Mute(true),
        ("mute", ["off"]) => Command::Mute(false),
        ("sms-report", [word]) => Command::SmsReport(report(word)?),
        ("sms-status", ["on"]) => Command::SmsStatus(true),
        ("sms-status", ["off"]) => Command::SmsStatus(false),
        ("smma", []) => Command::Smma,
        ("answer", []) => Command::Answer,
        ("auto-answer", ["on"]) => Command::AutoAnswer(Some(Duration::ZERO)),
        ("auto-answer", ["off"]) => Command::AutoAnswer(None),
        ("auto-answer", [secs]) => Command::AutoAnswer(Some(seconds(secs)?)),
        ("reject", []) => Command::Reject(603),
        ("reject", [code]) => Command::Reject(number(code)?),
        ("hangup", []) => Command::HangUp,
        ("hold", []) => Command::Hold(true),
        ("resume", []) => Command::Hold(false),
        ("status", []) => Command::Status,
        ("ipsec", []) => Command::Ipsec,
        ("wait", [what]) => Command::Wait(awaited(what)?, PATIENCE),
        ("wait", [what, secs]) => Command::Wait(awaited(what)?, seconds(secs)?),
        ("expect", words) => Command::Expect(expected(words)?),
        ("sleep", [secs]) => Command::Sleep(seconds(secs)?),
        ("help", []) => Command::Help,
        ("quit" | "exit", []) => Command::Quit,
        _ => {
            return Err(match usage(verb) {
                Some(usage) => format!("expected `{usage}`"),
                None => format!("`{}` is no command; help shows all of them", line.trim()),
            });
        }
    };
    Ok(Some(command))
}

/// How a command is written, as the help has it.
fn usage(verb: &str) -> Option<&'static str> {
    let forms = HELP.lines().filter_map(|line| line.trim_start().split("  ").next());
    let mut single = forms.flat_map(|forms| forms.split(", "));
    single.find(|form| form.split(' ').next() == Some(verb))
}

/// The URN of an emergency service (RFC 5031 4.2): as it is, or by its last word.
fn service(word: &str) -> Result<String, String> {
    let urn = match word {
        "sos" => "urn:service:sos".to_owned(),
        word if word.contains(':') => word.to_owned(),
        word => format!("urn:service:sos.{word}"),
    };
    match Uri::parse(urn.as_bytes()).is_some_and(|uri| uri.is_sos()) && !word.starts_with(char::is_numeric) {
        true => Ok(urn),
        false => Err(format!(
            "`{word}` is no emergency service: sos, police, fire, ambulance, … or a urn:service:sos"
        )),
    }
}

/// What is said to short messages that come.
fn report(word: &str) -> Result<Report, String> {
    match word {
        "ack" => Ok(Report::Ack),
        "none" => Ok(Report::Nothing),
        "full" => Ok(Report::Error(RpCause::MEMORY_EXCEEDED)),
        cause => match cause.parse() {
            Ok(cause @ 1..=127) => Ok(Report::Error(RpCause(cause))),
            _ => Err(format!("`{word}` is none of ack, none, full and no RP cause from 1 to 127")),
        },
    }
}

fn number<N: TryFrom<u32>>(text: &str) -> Result<N, String> {
    let number = text.parse().ok().filter(|n: &u32| *n < 604_801).and_then(|n| n.try_into().ok());
    number.ok_or_else(|| format!("`{text}` is no number that fits"))
}

fn seconds(text: &str) -> Result<Duration, String> {
    let secs: f64 =
        text.trim_end_matches('s').parse().map_err(|_| format!("`{text}` is no time in seconds"))?;
    match (0.0..=604_800.0).contains(&secs) {
        true => Ok(Duration::from_secs_f64(secs)),
        false => Err(format!("{text} is no time from 0 to 604800 seconds")),
    }
}

fn awaited(word: &str) -> Result<Awaited, String> {
    let found = AWAITED.iter().find(|(name, _)| *name == word);
    found.map(|(_, awaited)| *awaited).ok_or_else(|| {
        let names: Vec<&str> = AWAITED.iter().map(|(name, _)| *name).collect();
        format!("`{word}` cannot be waited for: {}", names.join(", "))
    })
}

fn expected(words: &[&str]) -> Result<Expected, String> {
    match words {
        ["registered"] => return Ok(Expected::Registered(true)),
        ["registered", "ipsec"] => return Ok(Expected::Protected(true)),
        ["registered", "clear"] => return Ok(Expected::Protected(false)),
        ["unregistered"] => return Ok(Expected::Registered(false)),
        ["subscribed"] => return Ok(Expected::Subscribed(true)),
        ["unsubscribed"] => return Ok(Expected::Subscribed(false)),
        ["reg-event", word] => {
            let change = Change::from_name(word).ok_or(format!("`{word}` is no event of a registration"))?;
            return Ok(Expected::RegEvent(change));
        }
        ["dtmf", keys] => return Ok(Expected::Keys((*keys).to_owned())),
        ["in-call"] => return Ok(Expected::InCall(true)),
        ["idle"] => return Ok(Expected::InCall(false)),
        _ => {}
    }
    let text = words.concat();
    let Some((_, metric, unit)) =
        METRICS.iter().filter(|(name, ..)| text.starts_with(name)).max_by_key(|(name, ..)| name.len())
    else {
        return Err(format!("`{}` cannot be expected", words.join(" ")));
    };
    let rest = &text[metric.name().0.len()..];
    let found = RELATIONS.iter().find_map(|(sign, relation)| Some((*relation, rest.strip_prefix(sign)?)));
    let (relation, value) = found.unwrap_or((Relation::Equal, rest));
    let value = value.strip_suffix(unit).unwrap_or(value);
    let value = value.parse().map_err(|_| format!("`{}`: expected a number", words.join(" ")))?;
    Ok(Expected::Number(*metric, relation, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(line: &str) -> Command {
        parse(line).unwrap().unwrap()
    }

    #[test]
    fn every_command_is_understood() {
        let secs = Duration::from_secs;
        let number = |metric, value| Command::Expect(Expected::Number(metric, Relation::Equal, value));
        for (line, command) in [
            ("register", Command::Register(None)),
            ("register expires 60", Command::Register(Some(60))),
            (
                " call  +15550002 1.5 ",
                Command::Call("+15550002".into(), Some(Duration::from_millis(1500)), false),
            ),
            ("call sip:bob@h", Command::Call("sip:bob@h".into(), None, false)),
            ("video bob 3", Command::Call("bob".into(), Some(secs(3)), true)),
            ("register sos", Command::RegisterSos(None)),
            ("register sos 60", Command::RegisterSos(Some(60))),
            ("emergency", Command::Emergency("urn:service:sos".into(), None)),
            ("emergency police 3", Command::Emergency("urn:service:sos.police".into(), Some(secs(3)))),
            (
                "emergency urn:service:sos.ecall.manual",
                Command::Emergency("urn:service:sos.ecall.manual".into(), None),
            ),
            ("expect video-lost 0", number(Metric::VideoLost, 0.0)),
            ("sms +15550002 see  you", Command::Sms("+15550002".into(), "see  you".into())),
            ("sms bob \" 5\" \"", Command::Sms("bob".into(), " 5\" ".into())),
            ("expect sms see you", Command::Expect(Expected::Sms("see you".into()))),
            ("expect sms-received 2", number(Metric::SmsReceived, 2.0)),
            ("wait sms", Command::Wait(Awaited::Sms, PATIENCE)),
            ("dtmf 12*#a", Command::Press("12*#a".into())),
            ("mute on", Command::Mute(true)),
            ("wait dtmf 5", Command::Wait(Awaited::Key, secs(5))),
            ("expect dtmf 5", Command::Expect(Expected::Keys("5".into()))),
            (
                "expect echo-delay >= 500 ms",
                Command::Expect(Expected::Number(Metric::EchoDelay, Relation::AtLeast, 500.0)),
            ),
            ("auto-answer on", Command::AutoAnswer(Some(Duration::ZERO))),
            ("auto-answer 2s", Command::AutoAnswer(Some(secs(2)))),
            ("reject 486", Command::Reject(486)),
            ("resume", Command::Hold(false)),
            ("wait ended", Command::Wait(Awaited::Ended, PATIENCE)),
            ("wait ringing 3", Command::Wait(Awaited::Ringing, secs(3))),
            ("ipsec", Command::Ipsec),
            ("expect registered ipsec", Command::Expect(Expected::Protected(true))),
            ("expect registered clear", Command::Expect(Expected::Protected(false))),
            ("expect subscribed", Command::Expect(Expected::Subscribed(true))),
            ("expect reg-event shortened", Command::Expect(Expected::RegEvent(Change::Shortened))),
            ("expect unregistered", Command::Expect(Expected::Registered(false))),
            ("try deregister", Command::Try(Box::new(Command::Deregister))),
            ("exit", Command::Quit),
        ] {
            assert_eq!(one(line), command, "{line}");
        }
    }

    #[test]
    fn numbers_are_expected_with_and_without_spaces_and_units() {
        for (line, metric, relation, value) in [
            ("expect code 486", Metric::Code, Relation::Equal, 486.0),
            ("expect rtp-loss < 1%", Metric::RtpLoss, Relation::Below, 1.0),
            ("expect rtp-lost=0", Metric::RtpLost, Relation::Equal, 0.0),
            ("expect rtp-received >= 90", Metric::RtpReceived, Relation::AtLeast, 90.0),
            ("expect jitter <=20ms", Metric::Jitter, Relation::AtMost, 20.0),
            ("expect echo > 99.5 %", Metric::Echo, Relation::Above, 99.5),
        ] {
            assert_eq!(one(line), Command::Expect(Expected::Number(metric, relation, value)), "{line}");
        }
        assert!(Relation::AtMost.holds(1.0, 1.0) && !Relation::Below.holds(1.0, 1.0));
    }

    #[test]
    fn a_text_has_lines_pieces_and_remarks() {
        let text = "# a script\nregister; call *21# 2;status # and so on\n\ncall tel:1;phone-context=h;\n";
        let commands = parse_all(text).unwrap();
        assert_eq!(commands.len(), 4);
        assert_eq!(commands[1], Command::Call("*21#".into(), Some(Duration::from_secs(2)), false));
        assert_eq!(commands[3], Command::Call("tel:1;phone-context=h".into(), None, false));
    }

    #[test]
    fn a_text_in_quotes_may_hold_anything() {
        let text =
            "sms a \"one; two # three\"; sms b it's 5\" long; sms c \"open # remark\nsms d \"x\" # \"y\"";
        let texts: Vec<Command> = parse_all(text).unwrap();
        let sms = |who: &str, text: &str| Command::Sms(who.into(), text.into());
        let expected =
            [sms("a", "one; two # three"), sms("b", "it's 5\" long"), sms("c", "\"open"), sms("d", "x")];
        assert_eq!(texts, expected);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (text, problem) in [
            ("fly", "`fly` is no command; help shows all of them"),
            ("register\nwait rain", "line 2: `rain` cannot be waited for: registered, incoming,"),
            ("sleep x", "`x` is no time in seconds"),
            ("sleep -1", "-1 is no time from 0"),
            ("expect rain", "`rain` cannot be expected"),
            ("expect reg-event rain", "`rain` is no event of a registration"),
            ("expect code x", "`code x`: expected a number"),
            ("call", "expected `call WHO [SECONDS]`"),
            ("video 1 2 3", "expected `video WHO [SECONDS]`"),
            ("register 1 2", "expected `register [SECONDS]`"),
            ("emergency 112", "`112` is no emergency service: sos, police,"),
            ("emergency tel:112", "`tel:112` is no emergency service"),
            ("emergency sos 1 2", "expected `emergency [SERVICE [SECONDS]]`"),
            ("reject 486 now", "expected `reject [CODE]`"),
            ("hold on", "expected `hold`"),
            ("resume on", "expected `resume`"),
            ("auto-answer", "expected `auto-answer on|off|SECONDS`"),
            ("dtmf", "expected `dtmf KEYS`"),
            ("mute", "expected `mute on|off`"),
            ("wait", "expected `wait EVENT [SECONDS]`"),
            // no other code, though it has the same low 16 bits
            ("reject 66022", "`66022` is no number that fits"),
            ("sms bob", "expected `sms WHO TEXT`"),
        ] {
            let error = parse_all(text).unwrap_err();
            assert!(error.starts_with(problem), "{text}: {error}");
        }
    }

    #[test]
    fn what_is_completed_is_understood() {
        for word in words_after("expect") {
            let more = match word {
                "reg-event" => " registered",
                "dtmf" => " 1#",
                "sms" => " hello",
                _ if STATES.contains(&word) => "",
                _ => " 1",
            };
            one(&format!("expect {word}{more}"));
        }
        for word in words_after("expect reg-event") {
            one(&format!("expect reg-event {word}"));
        }
        for word in words_after("wait") {
            one(&format!("wait {word}"));
        }
    }

    #[test]
    fn the_help_names_every_word() {
        for name in AWAITED.iter().map(|a| a.0).chain(METRICS.iter().map(|m| m.0)) {
            assert!(HELP.contains(name), "{name}");
        }
        for word in ["wait", "expect", "auto-answer"].into_iter().flat_map(words_after) {
            assert!(HELP.contains(word), "{word}");
        }
        assert!(words_after("call").is_empty());
        for verb in VERBS.iter().filter(|verb| **verb != "help") {
            assert!(HELP.contains(verb), "{verb}");
        }
    }
}
