//! Messages of the remote API (manual 6.1): requests in, responses out, in strict JSON.
//!
//! A request is an object with `message`, or an array of such; the response carries the same `message` and `message_id`,
//! `time` (seconds since the program's start), `utc`, and `error` when something was wrong. Delayed requests are refused. What is
//! to be answered when its outcome is known is [`Pending`] until then.

use crate::api::command::{Awaited, Handler, by_message};
use crate::api::cx::ApiCx;
use crate::ims::sms::OrderId;
use serde_json::{Map, Value, json};

/// Members of a request that ask for something other than one immediate response.
const NOT_SUPPORTED: [&str; 4] = ["start_time", "absolute_time", "loop_count", "loop_delay"];

/// What a request is answered.
#[derive(Debug, PartialEq)]
pub enum Reply {
    /// The response.
    Now(Value),
    /// The response follows.
    Later(Pending),
}

/// A request whose response waits for the outcome of an order (`Core::pop_sms_order`). Who has asked may forget it.
#[derive(Debug, PartialEq)]
pub struct Pending {
    awaited: Awaited,
    /// `message` and `message_id` of the request.
    request: Value,
}

impl Pending {
    /// What it waits for.
    pub fn order(&self) -> OrderId {
        self.awaited.order
    }

    /// The response, once the outcome is known.
    pub fn response(self, cx: &ApiCx<'_>, outcome: Result<(), &str>) -> Value {
        response(cx, &self.request, outcome.map(|()| self.awaited.members).map_err(str::to_owned))
    }
}

/// Carries out the request or requests in `text` and gives each answer to `reply`, in order.
pub fn handle(cx: &mut ApiCx<'_>, text: &[u8], reply: &mut dyn FnMut(Reply)) {
    match serde_json::from_slice::<Value>(text) {
        Ok(Value::Array(requests)) => requests.iter().for_each(|r| reply(respond(cx, r))),
        Ok(request) => reply(respond(cx, &request)),
        Err(e) => reply(Reply::Now(response(cx, &Value::Null, Err(format!("not JSON: {e}"))))),
    }
}

/// What one request is answered.
pub fn respond(cx: &mut ApiCx<'_>, request: &Value) -> Reply {
    let result = match handler(request) {
        Ok(Handler::Now(handler)) => handler(cx, request),
        Ok(Handler::Later(handler)) => match handler(cx, request) {
            Ok(awaited) => return Reply::Later(Pending { awaited, request: Value::Object(echo(request)) }),
            Err(problem) => Err(problem),
        },
        Err(problem) => Err(problem),
    };
    Reply::Now(response(cx, request, result))
}

/// What carries a request out.
fn handler(request: &Value) -> Result<Handler, String> {
    let Some(members) = request.as_object() else {
        return Err("a request must be an object".to_owned());
    };
    let Some(message) = members.get("message").and_then(Value::as_str) else {
        return Err("message is missing".to_owned());
    };
    if let Some(name) = NOT_SUPPORTED.iter().find(|name| members.contains_key(**name)) {
        return Err(format!("{name} is not supported"));
    }
    let command = by_message(message).ok_or_else(|| format!("Unknown message: {message}"))?;
    Ok(command.handler)
}

/// What a response repeats of its request.
fn echo(request: &Value) -> Map<String, Value> {
    let members = ["message", "message_id"].map(|name| Some((name.to_owned(), request.get(name)?.clone())));
    members.into_iter().flatten().collect()
}

fn response(cx: &ApiCx<'_>, request: &Value, result: Result<Value, String>) -> Value {
    let mut out = echo(request);
    out.insert("time".to_owned(), json!((cx.now.as_nanos() / 1_000_000) as f64 / 1000.0));
    out.insert("utc".to_owned(), json!((cx.wall.as_micros() / 1000) as f64 / 1000.0));
    match result {
        Ok(Value::Object(members)) => out.extend(members),
        Ok(other) => {
            out.insert("result".to_owned(), other);
        }
        Err(problem) => {
            out.insert("error".to_owned(), json!(problem));
        }
    }
    Value::Object(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::cx::{LogStatus, Logs, NoSets};
    use crate::api::log_options::{LogConfig, Rotate};
    use crate::base::rng::Rng;
    use crate::base::time::{Duration, Instant, UnixTime};
    use crate::base::trace::{Layer, Level, Record, Sink};
    use crate::config::MemoryFiles;
    use crate::config::model::{AuthentType, Config, Impu, SipSocket, User};
    use crate::ims::core::Core;
    use crate::ims::disk::Condition;
    use crate::proto::cx::Cx;
    use crate::proto::flow::{Flow, LocalId};
    use crate::proto::outbox::{Outbox, Output};

    #[derive(Default)]
    struct FakeLog {
        config: LogConfig,
        lines: Vec<String>,
        done: Vec<&'static str>,
    }

    impl Sink for FakeLog {
        fn wants(&self, layer: Layer, level: Level) -> bool {
            self.config.layer(layer).takes(level)
        }
        fn record(&mut self, record: &Record<'_>) {
            self.lines.push(format!("{} {:?} {}", record.layer.tag(), record.subject, record.text));
        }
        fn flush(&mut self) {
            self.done.push("flush");
        }
    }

    impl Logs for FakeLog {
        fn config(&self) -> &LogConfig {
            &self.config
        }
        fn configure(&mut self, config: LogConfig) {
            self.config = config;
        }
        fn cut(&mut self) {
            self.done.push("cut");
        }
        fn rotate(&mut self) {
            self.done.push("rotate");
        }
        fn status(&self) -> LogStatus {
            LogStatus { file: Some("/tmp/ims.log".into()), ..LogStatus::default() }
        }
    }

    struct World {
        core: Core,
        /// Of requests whose responses follow.
        pending: Vec<Pending>,
        log: FakeLog,
        rng: Rng,
        out: Outbox,
        files: MemoryFiles,
        now: Instant,
    }

    impl World {
        fn new() -> World {
            let user = User {
                impi: "001010123456789@ims.mnc001.mcc001.3gppnetwork.org".to_owned(),
                impus: vec![Impu::new("tel:600")],
                authent_type: AuthentType::None,
                ..User::default()
            };
            let sip = vec![SipSocket::new("10.0.0.254".parse().unwrap(), 5060)];
            let config = Config { users: vec![user], sip, ..Config::default() };
            World {
                core: Core::new(config, &mut Rng::from_seed(0)),
                pending: Vec::new(),
                log: FakeLog::default(),
                rng: Rng::from_seed(1),
                out: Outbox::new(),
                files: MemoryFiles::default()
                    .with("good.sdp", "m=audio 1 RTP/AVP 8\r\n")
                    .with("bad.sdp", "hello"),
                now: Instant::from_nanos(1_234_567_890),
            }
        }

        /// Lets so many milliseconds pass.
        fn pass(&mut self, millis: u64) {
            let end = self.now + Duration::from_millis(millis);
            let World { core, rng, out, log, now, .. } = self;
            while let Some(at) = core.next_deadline().filter(|at| *at <= end) {
                *now = at.max(*now);
                let wall = UnixTime::from_micros(1_608_093_067_123_456);
                core.tick(&mut Cx { now: *now, wall, rng, out, sink: log });
            }
            *now = end;
        }

        fn with<R>(&mut self, act: impl FnOnce(&mut ApiCx<'_>) -> R) -> R {
            let mut cx = ApiCx {
                core: &mut self.core,
                log: &mut self.log,
                sas: &mut NoSets,
                files: &self.files,
                now: self.now,
                wall: UnixTime::from_micros(1_608_093_067_123_456),
                rng: &mut self.rng,
                out: &mut self.out,
            };
            act(&mut cx)
        }

        /// The responses that come at once; the others are pending.
        fn ask(&mut self, request: &str) -> Vec<Value> {
            let (mut replies, mut pending) = (Vec::new(), Vec::new());
            let mut take = |reply| match reply {
                Reply::Now(response) => replies.push(response),
                Reply::Later(later) => pending.push(later),
            };
            self.with(|cx| handle(cx, request.as_bytes(), &mut take));
            self.pending.extend(pending);
            replies
        }

        /// The responses to what was pending and has its outcome.
        fn settled(&mut self) -> Vec<Value> {
            let mut responses = Vec::new();
            while let Some((order, outcome)) = self.core.pop_sms_order() {
                let at =
                    self.pending.iter().position(|pending| pending.order() == order).expect("somebody asked");
                let pending = self.pending.remove(at);
                responses.push(self.with(|cx| pending.response(cx, outcome)));
            }
            responses
        }

        /// What the disk says, which has all that was put.
        fn disk(&mut self, act: impl FnOnce(&mut Core, &mut Cx<'_>, u64)) {
            let ticket = self.out.last_ticket();
            self.with(|cx| {
                let (core, mut cx) = cx.core_cx();
                act(core, &mut cx, ticket);
            });
        }

        fn one(&mut self, request: &str) -> Value {
            let mut replies = self.ask(request);
            assert_eq!(replies.len(), 1);
            replies.remove(0)
        }

        fn error(&mut self, request: &str) -> String {
            self.one(request)["error"].as_str().expect("an error").to_owned()
        }
    }

    /// Manual 6.6: for 30 s after its end the dialog can be named, by its index, its session id, or as the last.
    fn assert_named_for_a_while(w: &mut World, id: &str) {
        w.pass(29_999);
        for name in ["10", "last", "*", id] {
            let found = w.one(&format!(r#"{{"message":"dialog_get","dialog":"{name}"}}"#));
            assert_eq!(found["dialogs"][0]["state"], "stop", "{found}");
            assert!(found["ladder"].is_object(), "{found}");
        }
        w.pass(1);
        for name in ["10", "last"] {
            let why = w.error(&format!(r#"{{"message":"dialog_get","dialog":"{name}"}}"#));
            assert_eq!(why, format!("no dialog {name}"));
        }
        assert_eq!(w.one(r#"{"message":"dialog_get"}"#)["dialogs"], json!([]));
    }

    #[test]
    fn a_call_is_ordered_and_acted_on() {
        let mut w = World::new();
        for (request, why) in [
            ("", "impi, impu or contact is missing"),
            (r#","callee":"7""#, "no contact and no user is 7"),
            (r#","impi":"x@y""#, "no user has the private identity x@y"),
            (r#","contact":"sip:x@y""#, "no contact is sip:x@y"),
            (r#","impu":"tel:600""#, "the callee is not registered"),
            (r#","impu":"tel:600","duration":0"#, "duration 0: seconds, above 0 and up to 86400"),
            (r#","impu":"tel:600","duration":"long""#, "duration must be a number"),
            (r#","impu":"tel:600","sos":"maybe""#, "sos must be a boolean: on or off"),
            (r#","impu":"tel:600","sdp_file":"none.sdp""#, "cannot read none.sdp: no such file"),
            (
                r#","impu":"tel:600","sip_file":"bad.sdp""#,
                "bad.sdp is no description of media: line 1: \"hello\" is not letter=value",
            ),
            (r#","impu":7"#, "impu must be a string"),
        ] {
            assert_eq!(w.error(&format!(r#"{{"message":"mt_call"{request}}}"#)), why);
        }
        let phone = Flow::udp(LocalId(0), "10.0.0.1:5060".parse().unwrap());
        let register = "REGISTER sip:x SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK1\r\nFrom: <tel:600>;tag=1\r\nTo: <tel:600>\r\n\
            Call-ID: 1\r\nCSeq: 1 REGISTER\r\nContact: <sip:p@10.0.0.1>\r\nExpires: 3600\r\nContent-Length: 0\r\n\r\n";
        let World { core, rng, out, log, now, .. } = &mut w;
        let mut cx =
            Cx { now: *now, wall: UnixTime::from_micros(1_608_093_067_123_456), rng, out, sink: log };
        core.on_sip(&mut cx, phone, register.as_bytes());
        core.on_durable(&mut cx, u64::MAX);
        let made = w.one(r#"{"message":"mt_call","impu":"tel:600","sdp_file":"good.sdp","duration":5}"#);
        assert!(made["session_id"].as_str().is_some_and(|id| id.len() > 10), "{made}");
        let id = made["session_id"].clone();
        assert_eq!(w.one(r#"{"message":"dialog_get"}"#)["dialogs"][0]["session_id"], id);
        for (request, why) in [
            (
                r#""session_id":"last""#,
                "action is missing: it is one of stop, hold, reinvite, downgrade, media, answer, session-expires-stop",
            ),
            (
                r#""session_id":"*","action":"fly""#,
                "action fly: it is one of stop, hold, reinvite, downgrade, media, answer, session-expires-stop",
            ),
            (r#""action":"stop""#, "session_id or index is missing"),
            (r#""action":"stop","dialog":"7""#, "no dialog 7"),
            (
                r#""action":"hold","index":10"#,
                "dialog 10: the call is in state init: it has to be answered first",
            ),
            (r#""action":"hold","index":10,"media":"smell""#, "media smell: audio, video or text"),
            (r#""action":"media","index":10"#, "rtp or rtcp is missing: whether it passes"),
            (r#""action":"answer","index":10"#, "dialog 10: only a call to an echo number is answered here"),
            (r#""action":"stop","index":10,"code":1000"#, "code 1000: 0 to 999"),
            (
                r#""action":"stop","index":10,"reason_protocol":"a b""#,
                "dialog 10: reason_protocol \"a b\" is no protocol: SIP, Q.850 and the like",
            ),
        ] {
            assert_eq!(w.error(&format!(r#"{{"message":"dialog_set",{request}}}"#)), why);
        }
        let done = w.one(
            r#"{"message":"dialog_set","session_id":"last","action":"stop","code":480,"reason":"enough"}"#,
        );
        assert_eq!(done.get("error"), None, "{done}");
        assert_eq!(
            w.one(r#"{"message":"dialog_get"}"#)["dialogs"][0]["reason"],
            "ended by the operator: enough"
        );
        assert_eq!(w.error(r#"{"message":"reinvite","dialog":"last"}"#), "dialog 10 has ended already");
        assert_eq!(w.error(r#"{"message":"dialog_answer","dialog":"last"}"#), "dialog 10 has ended already");
        assert_named_for_a_while(&mut w, id.as_str().unwrap());
    }

    #[test]
    fn a_short_message_is_answered_when_the_disk_has_it() {
        let mut w = World::new();
        let text = "x".repeat(200);
        let replies = w.ask(&format!(
            r#"[{{"message":"sms","user":"600","text":"{text}","message_id":7}},{{"message":"help","message_id":8}}]"#
        ));
        assert_eq!((replies.len(), &replies[0]["message_id"]), (1, &json!(8)), "{replies:?}");
        assert_eq!(w.settled(), [] as [Value; 0]);
        w.disk(|core, cx, ticket| core.on_durable(cx, ticket));
        let settled = w.settled();
        let answer = &settled[0];
        assert_eq!(
            (&answer["message"], &answer["message_id"], &answer["parts"]),
            (&json!("sms"), &json!(7), &json!(2))
        );
        assert_eq!((answer["time"].is_f64(), answer.get("error"), w.pending.len()), (true, None, 0));
    }

    #[test]
    fn a_short_message_that_the_disk_does_not_take_is_an_error_in_words() {
        let words = "the disk does not take it; try again later";
        let ask = r#"{"message":"sms","impi":"001010123456789@ims.mnc001.mcc001.3gppnetwork.org","text":"x","message_id":1}"#;
        for refuses in [true, false] {
            let mut w = World::new();
            assert_eq!(w.error(r#"{"message":"sms","user":"601","text":"x"}"#), "no user is 601");
            assert_eq!(w.ask(ask), [] as [Value; 0]);
            if refuses {
                w.disk(|core, cx, _| core.on_storage(cx, Condition::Refuses("no space left".to_owned())));
                assert_eq!(w.error(ask), words, "at once");
            } else {
                w.pass(15_000);
            }
            let settled = w.settled();
            assert_eq!((&settled[0]["error"], &settled[0]["message_id"]), (&json!(words), &json!(1)));
            assert_eq!((settled.len(), settled[0].get("parts"), w.core.load().sms), (1, None, 0));
        }
    }

    #[test]
    fn a_response_carries_message_id_and_time() {
        let reply = World::new().one(r#"{"message":"config_get","message_id":{"any":[1]}}"#);
        assert_eq!(reply["message"], "config_get");
        assert_eq!(reply["message_id"], json!({"any":[1]}));
        assert_eq!(reply["time"], 1.234);
        assert_eq!(reply["utc"], 1_608_093_067.123);
        assert_eq!(reply.get("error"), None);
    }

    #[test]
    fn what_is_wrong_is_said_in_error() {
        let mut w = World::new();
        let reply = w.one(r#"{"message_id":"foo","message":"bar"}"#);
        assert_eq!(reply["error"], "Unknown message: bar");
        assert_eq!((&reply["message"], &reply["message_id"]), (&json!("bar"), &json!("foo")));
        assert!(w.error("{\"message\":").starts_with("not JSON"));
        assert_eq!(w.error("7"), "a request must be an object");
        assert_eq!(w.error("{}"), "message is missing");
        assert_eq!(w.error(r#"{"message":"quit","start_time":3}"#), "start_time is not supported");
        assert!(w.out.is_empty());
        assert_eq!(w.error(r#"{"message":"dialog_stop"}"#), "session_id or index is missing");
        assert_eq!(w.error(r#"{"message":"dialog_stop","index":77}"#), "no dialog 77");
        assert_eq!(w.error(r#"{"message":"dialog_stop","index":"1"}"#), "index must be a whole number");
        assert_eq!(w.error(r#"{"message":"dialog_stop","session_id":"x"}"#), "no dialog x");
        assert_eq!(w.error(r#"{"message":"dialog_get","dialog":"last"}"#), "no dialog last");
        assert_eq!(w.error(r#"{"message":"dialog_get","dialog":7}"#), "dialog must be a string");
        // a filter that nothing passes is no mistake
        assert_eq!(w.one(r#"{"message":"dialog_get","session_id":"x"}"#)["dialogs"], json!([]));
    }

    #[test]
    fn an_array_of_requests_is_answered_one_by_one() {
        let replies =
            World::new().ask(r#"[{"message":"help","message_id":1},{"message":"x","message_id":2}]"#);
        assert_eq!(replies.iter().map(|r| r["message_id"].clone()).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn help_lists_messages_and_explains_commands() {
        let mut w = World::new();
        let reply = w.one(r#"{"message":"help"}"#);
        let messages: Vec<&str> =
            reply["messages"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        for name in [
            "help",
            "config_get",
            "config_set",
            "log_set",
            "users_get",
            "dialog_get",
            "mt_call",
            "dialog_set",
            "dialog_stop",
            "quit",
        ] {
            assert!(messages.contains(&name), "{name}");
        }
        assert!(reply["events"].is_array());
        let reply = w.one(r#"{"message":"help","commands":true}"#);
        assert!(reply["commands"].as_array().unwrap().iter().all(|c| c["help"].is_string()));
        let reply = w.one(r#"{"message":"help","command":"dialog_stop"}"#);
        assert_eq!(reply["commands"][0]["args"][0]["name"], "index");
        assert_eq!(w.error(r#"{"message":"help","command":"fly"}"#), "no command fly; help lists them");
    }

    #[test]
    fn log_shows_and_changes_the_options() {
        let mut w = World::new();
        let reply = w.one(r#"{"message":"log","options":"sip.level=debug,file.rotate=now,file=cut"}"#);
        assert_eq!(reply["logs"]["layers"]["sip"]["level"], "debug");
        assert_eq!(reply["file"], "/tmp/ims.log");
        assert_eq!(w.log.done, ["rotate", "cut"]);
        assert!(w.error(r#"{"message":"log","options":"sip.level=loud"}"#).contains("character 11"));
        assert_eq!(w.log.config.layer(Layer::Sip).level, Level::Debug);
    }

    #[test]
    fn config_set_takes_what_config_get_gives() {
        let mut w = World::new();
        w.log.config =
            LogConfig::parse("sip.level=debug,sip.max_size=1,file.rotate=4K,file.path=old").unwrap().0;
        let logs = w.one(r#"{"message":"config_get"}"#)["logs"].clone();
        let before = std::mem::take(&mut w.log.config);
        let reply = w.one(&json!({"message": "config_set", "logs": logs}).to_string());
        assert_eq!(reply.get("error"), None);
        assert_eq!(w.log.config, before);
    }

    #[test]
    fn config_set_is_all_or_nothing_and_knows_its_layers() {
        let mut w = World::new();
        w.one(r#"{"message":"config_set","logs":{"layers":{"all":{"level":"info"}},"rotate_count":5}}"#);
        assert!(w.log.config.layers.iter().all(|l| l.level == Level::Info));
        assert_eq!(w.log.config.rotate, Some(Rotate::Count(5)));
        w.one(r#"{"message":"config_set","logs":{"sip":{"level":"debug","payload":true}}}"#);
        assert_eq!(w.log.config.layer(Layer::Sip).level, Level::Debug);
        let before = w.log.config.clone();
        for (logs, problem) in [
            (r#"{"layers":{"sip":{"level":"none"},"foo":{"level":"info"}}}"#, "logs: unknown layer foo"),
            (r#"{"layers":{"sip":{"level":"none","colour":1}}}"#, "logs: sip.colour: unknown setting"),
            (r#"{"layers":{"sip":{"max_size":"x"}}}"#, "logs: sip.max_size: expected a number"),
            (r#"{"rotate":"x"}"#, "logs.rotate: expected"),
            ("3", "logs must be an object"),
        ] {
            let error = w.error(&format!(r#"{{"message":"config_set","logs":{logs}}}"#));
            assert!(error.starts_with(problem), "{error}");
            assert_eq!(w.log.config, before);
        }
        let error = w.error(r#"{"message":"config_set","binding_expires":60}"#);
        assert_eq!(error, "binding_expires cannot be changed while running");
    }

    #[test]
    fn log_set_adds_a_line_and_governs_the_file() {
        let mut w = World::new();
        w.one(r#"{"message":"log_set","log":"hello","layer":"ims","level":"error","dir":"TO","ue_id":7}"#);
        w.one(r#"{"message":"log_set","log":"too quiet","layer":"ims","level":"debug"}"#);
        assert_eq!(w.log.lines, ["IMS Id(7) hello"]);
        w.one(r#"{"message":"log_set","flush":true,"rotate":1,"cut":true}"#);
        assert_eq!(w.log.done, ["rotate", "cut", "flush"]);
        assert_eq!(w.error(r#"{"message":"log_set","log":"x"}"#), "layer is missing");
        assert_eq!(w.error(r#"{"message":"log_set","log":"x","layer":"ims"}"#), "level is missing");
        assert!(
            w.error(r#"{"message":"log_set","log":"x","layer":"y","level":"info"}"#)
                .contains("unknown layer")
        );
        assert_eq!(w.error(r#"{"message":"log_set","cut":"yes"}"#), "cut must be a boolean");
    }

    #[test]
    fn unregister_takes_a_binding_away_and_says_why_it_cannot() {
        let mut w = World::new();
        let from = "10.0.0.1:5060".parse().unwrap();
        let (now, wall) = (Instant::ZERO, UnixTime::from_micros(0));
        let mut cx = Cx { now, wall, rng: &mut w.rng, out: &mut w.out, sink: &mut w.log };
        let register = "REGISTER sip:x SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1\r\nFrom: <tel:600>;tag=1\r\n\
                        To: <tel:600>\r\nCall-ID: 1\r\nCSeq: 1 REGISTER\r\nContact: <sip:10.0.0.1>\r\n\r\n";
        w.core.on_sip(&mut cx, Flow::udp(LocalId(0), from), register.as_bytes());
        let ask = |event: &str, uri: &str| format!(r#"{{"message":"unregister","uri":"{uri}"{event}}}"#);
        assert_eq!(w.error(r#"{"message":"unregister"}"#), "uri is missing");
        let events = "deactivated, rejected, probation, unregistered, expired";
        let error = w.error(&ask(r#","event":"shortened""#, "sip:10.0.0.1"));
        assert_eq!(error, format!("event shortened: it is one of {events}"));
        assert_eq!(w.error(&ask("", "sip:10.0.0.2")), "no contact and no user is sip:10.0.0.2");
        assert_eq!(w.core.load().bindings, 1);
        assert_eq!(w.one(&ask(r#","event":"rejected""#, "sip:10.0.0.1")).get("error"), None);
        assert_eq!(w.core.load().bindings, 0);
        let error = w.error(&ask("", "tel:600"));
        assert_eq!(error, "001010123456789@ims.mnc001.mcc001.3gppnetwork.org is not registered");
    }

    #[test]
    fn ipsec_lists_the_security_associations() {
        let mut w = World::new();
        let reply = w.one(r#"{"message":"ipsec"}"#);
        assert_eq!((&reply["SAs"], reply.get("unknown_spi")), (&json!([]), None));
    }

    #[test]
    fn users_are_found_by_any_name_and_say_how_their_last_attempt_went() {
        let mut w = World::new();
        let impi = "001010123456789@ims.mnc001.mcc001.3gppnetwork.org";
        for name in [impi, "001010123456789", "tel:600", "600", "600@anywhere"] {
            let reply = w.one(&json!({ "message": "users_get", "user": name }).to_string());
            assert_eq!(reply["users"][0]["impi"], impi, "{name}");
            assert_eq!(reply["users"][0].get("attempt"), None);
        }
        assert_eq!(w.error(r#"{"message":"users_get","user":"601"}"#), "no user is 601");
        let reply = w.one(r#"{"message":"users_get","verbose":true}"#);
        let attempt = &reply["users"][0]["attempt"];
        assert_eq!((&attempt["steps"], &attempt["trouble"]["step"]), (&json!([]), &json!("REGISTER seen")));
    }

    #[test]
    fn reauthenticate_lets_a_binding_end_soon_and_says_why_it_cannot() {
        let mut w = World::new();
        let from = "10.0.0.1:5060".parse().unwrap();
        let (now, wall) = (Instant::ZERO, UnixTime::from_micros(0));
        let mut cx = Cx { now, wall, rng: &mut w.rng, out: &mut w.out, sink: &mut w.log };
        let register = "REGISTER sip:x SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1\r\nFrom: <tel:600>;tag=1\r\n\
                        To: <tel:600>\r\nCall-ID: 1\r\nCSeq: 1 REGISTER\r\nContact: <sip:10.0.0.1>\r\n\r\n";
        w.core.on_sip(&mut cx, Flow::udp(LocalId(0), from), register.as_bytes());
        let expires =
            |w: &World| w.core.user_views(Instant::from_nanos(1_234_567_890))[0].bindings[0].expires;
        assert_eq!(expires(&w), 3599);
        let ask = |more: &str| format!(r#"{{"message":"reauthenticate","uri":"sip:10.0.0.1"{more}}}"#);
        assert_eq!(w.error(r#"{"message":"reauthenticate"}"#), "uri is missing");
        assert_eq!(w.error(&ask(r#","seconds":-1"#)), "seconds must not be negative");
        assert_eq!(w.error(&ask(r#","seconds":"soon""#)), "seconds must be a whole number");
        assert_eq!(
            w.error(&ask(r#","seconds":9"#)),
            "9 s is too soon: no phone registers again in less than 10 s"
        );
        assert_eq!(w.one(&ask("")).get("error"), None);
        assert_eq!(expires(&w), 240);
        assert_eq!(w.one(&ask(r#","seconds":60"#)).get("error"), None);
        assert_eq!(expires(&w), 60);
        assert_eq!(w.error(&ask("")), "every registration of sip:10.0.0.1 ends within 240 s anyway");
    }

    #[test]
    fn quit_asks_the_core_to_end() {
        let mut w = World::new();
        assert_eq!(w.one(r#"{"message":"quit"}"#).get("error"), None);
        assert_eq!(w.out.items().last(), Some(&Output::Exit));
    }
}
