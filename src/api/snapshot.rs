//! The only place where JSON is built: what the service and the log show of themselves, with the names of manual 6.
//!
//! Members beyond the manual: `index`, `reason` and the text of events (dialogs); `id`, `transport`, `remote`, `auth`,
//! `smsip`, `sos`, `user_agent` (bindings); `last_error`, `last_error_date`, `sms_waits`, `sms_retry_in` (users); those of `ipsec`,
//! `attempt` and `sgs` are told
//! there.

mod attempt;
mod ipsec;
mod sgs;

use crate::api::command::{COMMANDS, Command};
use crate::api::cx::LogStatus;
use crate::api::handlers::message_names;
use crate::api::log_options::{LAYER_SETTINGS, LAYERS, LogConfig, Rotate, level_name};
use crate::ims::sms::SmsView;
use crate::ims::view::{BindingView, DialogView, EventView, LadderStep, LadderView, MediaView, UserView};
pub use attempt::attempt;
pub use ipsec::ipsec;
use serde_json::{Map, Value, json};
pub use sgs::{attachment, mmes};

/// One user of `users_get`. `users` and `dialogs` are all there are: a user's dialogs name the other party.
pub fn user(view: &UserView, users: &[UserView], dialogs: &[DialogView]) -> Value {
    let mut out = json!({
        "impi": view.impi,
        "impu": view.impus,
        "force_sms_over_sg": view.force_sms_over_sg,
        "bindings": view.bindings.iter().map(binding).collect::<Vec<_>>(),
        "sms": view.sms.pending,
        "dialogs": dialogs
            .iter()
            .filter(|d| view.dialogs.contains(&d.index))
            .map(|d| json!({ "remote": remote_of(view, d, users), "index": d.index, "session_id": d.session_id }))
            .collect::<Vec<_>>(),
    });
    if let Some(sgs) = &view.sgs {
        out["sgs"] = attachment(sgs);
    }
    if let Some((date, text)) = &view.last_error {
        out["last_error"] = json!(text);
        out["last_error_date"] = json!(date);
    }
    let SmsView { why, retry_in, .. } = &view.sms;
    if let Some(why) = why {
        out["sms_waits"] = json!(why);
    }
    if let Some(secs) = retry_in {
        out["sms_retry_in"] = json!(secs);
    }
    out
}

/// The other party's IMPI, or its IMPU when it is no user of ours.
fn remote_of<'a>(user: &UserView, dialog: &'a DialogView, users: &'a [UserView]) -> &'a str {
    let remote = if user.impus.contains(&dialog.from) { &dialog.to } else { &dialog.from };
    users.iter().find(|u| u.impus.contains(remote)).map_or(remote, |u| &u.impi)
}

fn binding(view: &BindingView) -> Value {
    let mut out = json!({
        "uri": view.uri,
        "id": view.id,
        "impu": view.impus,
        "q": f64::from(view.q) / 1000.0,
        "video": view.video,
        "smsip": view.smsip,
        "expires": view.expires,
        "transport": view.transport,
        "auth": view.auth,
        "user_agent": view.user_agent,
    });
    if let Some(imei) = &view.imei {
        out["imei"] = json!(imei);
    }
    if view.sos {
        out["sos"] = json!(true);
    }
    if view.sms {
        out["sms"] = json!(true);
    }
    if let Some(remote) = view.remote {
        out["remote"] = json!(remote.to_string());
    }
    out
}

/// One dialog of `dialog_get`.
pub fn dialog(view: &DialogView) -> Value {
    let mut out = json!({
        "index": view.index,
        "session_id": view.session_id,
        "state": view.state,
        "type": view.kind,
        "to": view.to,
        "from": view.from,
        "date": view.date,
        "duration": millis(view.duration),
        "event_list": view.events.iter().map(event).collect::<Vec<_>>(),
        "medias": view.medias.iter().map(media).collect::<Vec<_>>(),
    });
    if let Some(peer) = &view.peer_session_id {
        // the server dialog is the caller's leg: its other leg is the mobile terminated one
        let name = if view.kind == "server" { "mt_dialog" } else { "mo_dialog" };
        out[name] = json!(peer);
    }
    if view.is_trunk {
        out["trunk"] = json!(true);
    }
    if !view.reason.is_empty() {
        out["reason"] = json!(view.reason);
    }
    out
}

/// The whole call of a dialog, message by message.
pub fn ladder(view: &LadderView) -> Value {
    json!({ "index": view.index, "parties": view.parties, "steps": view.steps.iter().map(step).collect::<Vec<_>>() })
}

fn step(view: &LadderStep) -> Value {
    let timestamp = millis(view.at);
    match view.ends {
        Some((from, to)) => {
            json!({ "timestamp": timestamp, "from": from, "to": to, "text": view.text, "count": view.times })
        }
        None => json!({ "timestamp": timestamp, "note": view.text }),
    }
}

fn event(view: &EventView) -> Value {
    let mut out = json!({ "type": view.kind, "timestamp": millis(view.timestamp), "state": view.state });
    if !view.text.is_empty() {
        out["text"] = json!(view.text);
    }
    out
}

fn media(view: &MediaView) -> Value {
    let mut out = json!({
        "type": view.kind,
        "codec": view.codec,
        "qos": view.qos,
        "dir": view.dir,
        "rtp_recv_count": view.rtp_recv_count,
        "rtp_send_count": view.rtp_send_count,
        "rtcp_recv_count": view.rtcp_recv_count,
        "rtcp_send_count": view.rtcp_send_count,
    });
    for (name, addr) in [("rtp_addr", view.rtp_addr), ("rtcp_addr", view.rtcp_addr)] {
        if let Some(addr) = addr {
            out[name] = json!(addr.to_string());
        }
    }
    for (name, is_blocked) in [("rtp_block", view.rtp_block), ("rtcp_block", view.rtcp_block)] {
        if is_blocked {
            out[name] = json!(true);
        }
    }
    out
}

/// The answer of `config_get`.
pub fn config(log: &LogConfig) -> Value {
    json!({ "type": "IMS", "name": "IMS", "version": env!("CARGO_PKG_VERSION"), "logs": logs(log) })
}

/// The log configuration: `logs` of `config_get` and `config_set`.
pub fn logs(log: &LogConfig) -> Value {
    let layers: Map<String, Value> = LAYERS
        .iter()
        .zip(&log.layers)
        .map(|(name, layer)| {
            let settings = json!({
                "level": level_name(layer.level),
                "max_size": layer.max_size,
                "payload": layer.payload,
                "key": layer.key,
                "crypto": layer.crypto,
                "verbose": layer.verbose,
            });
            ((*name).to_owned(), settings)
        })
        .collect();
    let mut out = json!({ "layers": layers });
    match log.rotate {
        Some(Rotate::Size(n)) => out["rotate"] = json!(n),
        Some(Rotate::Count(n)) => out["rotate_count"] = json!(n),
        None => {}
    }
    if let Some(path) = &log.path {
        out["path"] = json!(path.to_string_lossy());
    }
    out
}

/// The answer of `log`: the configuration as options and by layer, and how the file fares.
pub fn log_state(log: &LogConfig, status: &LogStatus) -> Value {
    let mut out = json!({ "options": log.to_string(), "logs": logs(log), "dropped": status.dropped, "failed": status.failed });
    if let Some(file) = &status.file {
        out["file"] = json!(file.to_string_lossy());
    }
    if let Some(error) = &status.last_error {
        out["last_error"] = json!(error);
    }
    out
}

/// The answer of `help`; with `commands`, also the monitor's commands and what log options are completed from.
pub fn help(commands: bool) -> Value {
    let mut out = json!({ "messages": message_names().collect::<Vec<_>>(), "events": [] });
    if commands {
        let listed = COMMANDS.iter().filter(|c| c.command.is_some());
        out["commands"] = json!(listed.map(command).collect::<Vec<_>>());
        out["log_layers"] = json!(LAYERS);
        out["log_settings"] = json!(LAYER_SETTINGS);
    }
    out
}

/// One entry of the command table, as the monitor's client needs it.
pub fn command(entry: &Command) -> Value {
    let args: Vec<Value> = entry
        .args
        .iter()
        .map(|a| {
            let mut arg = json!({
                "name": a.name, "kind": a.kind.name(), "optional": a.optional, "complete": a.complete.name(),
            });
            if !a.complete.words().is_empty() {
                arg["words"] = json!(a.complete.words());
            }
            arg
        })
        .collect();
    json!({
        "name": entry.command.unwrap_or(entry.message),
        "message": entry.message,
        "args": args,
        "help": entry.help,
        "details": entry.details,
    })
}

fn millis(secs: f64) -> f64 {
    (secs * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user_view(impi: &str, impu: &str, dialogs: &[u32]) -> UserView {
        UserView {
            impi: impi.to_owned(),
            impus: vec![impu.to_owned()],
            dialogs: dialogs.to_vec(),
            ..UserView::default()
        }
    }

    fn dialog_view(index: u32, kind: &'static str) -> DialogView {
        DialogView {
            index,
            session_id: format!("s{index}"),
            state: "start",
            kind,
            from: "tel:600".to_owned(),
            to: "tel:601".to_owned(),
            is_trunk: false,
            peer_session_id: None,
            date: 1_608_093_067,
            duration: 1.234_56,
            reason: String::new(),
            events: Vec::new(),
            medias: Vec::new(),
        }
    }

    #[test]
    fn a_user_has_the_members_of_the_manual() {
        let mut a = user_view("a@x", "tel:600", &[4]);
        a.bindings.push(BindingView {
            uri: "sip:a@192.0.2.1".to_owned(),
            id: 3,
            impus: vec!["tel:600".to_owned()],
            q: 500,
            video: true,
            smsip: true,
            sms: true,
            sos: true,
            imei: Some("35-0".to_owned()),
            expires: 3599,
            transport: "UDP",
            remote: Some("192.0.2.1:5060".parse().unwrap()),
            auth: "AKAv1-MD5",
            user_agent: "ua".to_owned(),
        });
        a.last_error = Some((7, "wrong RES".to_owned()));
        let users = [a, user_view("b@x", "tel:601", &[4])];
        let dialogs = [dialog_view(4, "server"), dialog_view(5, "echo")];
        assert_eq!(
            user(&users[0], &users, &dialogs),
            json!({
                "impi": "a@x", "impu": ["tel:600"], "force_sms_over_sg": false, "sms": 0,
                "bindings": [{
                    "uri": "sip:a@192.0.2.1", "id": 3, "impu": ["tel:600"], "q": 0.5, "video": true, "smsip": true, "sms": true,
                    "expires": 3599, "transport": "UDP", "auth": "AKAv1-MD5", "user_agent": "ua", "imei": "35-0",
                    "sos": true, "remote": "192.0.2.1:5060",
                }],
                "dialogs": [{ "remote": "b@x", "index": 4, "session_id": "s4" }],
                "last_error": "wrong RES", "last_error_date": 7,
            })
        );
        assert_eq!(user(&users[1], &users, &dialogs)["dialogs"][0]["remote"], "a@x");
    }

    #[test]
    fn a_dialog_has_the_members_of_the_manual() {
        let mut view = dialog_view(4, "server");
        view.peer_session_id = Some("s5".to_owned());
        view.events.push(EventView {
            kind: "recv",
            timestamp: 0.5,
            state: "init",
            text: "INVITE".to_owned(),
        });
        view.medias.push(MediaView {
            kind: "audio",
            qos: "disabled",
            dir: "sendrecv",
            rtp_addr: Some("[2001:db8::1]:10000".parse().unwrap()),
            rtp_recv_count: 1,
            rtp_send_count: 2,
            rtcp_addr: None,
            rtcp_recv_count: 3,
            rtcp_send_count: 4,
            codec: "AMR/8000".to_owned(),
            rtp_block: false,
            rtcp_block: true,
        });
        assert_eq!(
            dialog(&view),
            json!({
                "index": 4, "session_id": "s4", "state": "start", "type": "server", "to": "tel:601", "from": "tel:600",
                "date": 1_608_093_067, "duration": 1.235, "mt_dialog": "s5",
                "event_list": [{ "type": "recv", "timestamp": 0.5, "state": "init", "text": "INVITE" }],
                "medias": [{
                    "type": "audio", "codec": "AMR/8000", "qos": "disabled", "dir": "sendrecv", "rtp_recv_count": 1, "rtp_send_count": 2,
                    "rtcp_recv_count": 3, "rtcp_send_count": 4, "rtp_addr": "[2001:db8::1]:10000", "rtcp_block": true,
                }],
            })
        );
        view.kind = "client";
        view.is_trunk = true;
        view.reason = "BYE".to_owned();
        assert_eq!(dialog(&view)["mo_dialog"], "s5");
        assert_eq!(dialog(&view)["reason"], "BYE");
        assert_eq!(dialog(&view)["trunk"], true);
    }

    #[test]
    fn a_ladder_is_its_parties_and_its_steps() {
        let step = |at: f64, ends, text: &str| LadderStep { at, ends, text: text.to_owned(), times: 2 };
        let steps = vec![step(0.000_4, Some((0, 1)), "INVITE (sdp)"), step(1.0, None, "ringing")];
        let view = LadderView { index: 10, parties: vec!["a".to_owned(), "imsbox".to_owned()], steps };
        assert_eq!(
            ladder(&view),
            json!({ "index": 10, "parties": ["a", "imsbox"], "steps": [
                { "timestamp": 0.0, "from": 0, "to": 1, "text": "INVITE (sdp)", "count": 2 },
                { "timestamp": 1.0, "note": "ringing" },
            ] })
        );
    }

    #[test]
    fn a_dialog_with_a_stranger_names_the_identity() {
        let users = [user_view("a@x", "tel:600", &[4])];
        assert_eq!(user(&users[0], &users, &[dialog_view(4, "server")])["dialogs"][0]["remote"], "tel:601");
    }
}
