//! The handlers of the command table: they read the request's members, act, and answer with a snapshot.

use crate::api::command::{COMMANDS, by_command, by_message};
use crate::api::cx::{ApiCx, apply_log_options};
use crate::api::log_options::{LAYERS, LogConfig, parse_level, parse_rotate};
use crate::api::snapshot;
use crate::base::time::Duration;
use crate::base::trace::{Dir, Layer, Level, Record, Subject};
use crate::ims::attempt::{Attempt, Live, report};
use crate::ims::limits::REAUTHENTICATE_WITHIN;
use crate::ims::registrar::Gone;
use crate::ims::view::DialogView;
use serde_json::{Map, Value, json};
use std::path::PathBuf;

/// `help`: names of messages and events; with `commands` or `command`, the monitor's commands with their help.
pub fn help(_cx: &mut ApiCx<'_>, request: &Value) -> Result<Value, String> {
    match text(request, "command")? {
        Some(name) => {
            let found = by_command(name).or_else(|| by_message(name));
            let found = found.ok_or_else(|| format!("no command {name}; help lists them"))?;
            Ok(json!({ "commands": [snapshot::command(found)] }))
        }
        None => Ok(snapshot::help(flag(request, "commands")?.unwrap_or(false))),
    }
}

/// `log`: applies `options`, if given, and shows the state of the log.
pub fn log(cx: &mut ApiCx<'_>, request: &Value) -> Result<Value, String> {
    if let Some(options) = text(request, "options")? {
        apply_log_options(cx.log, options).map_err(|e| e.to_string())?;
    }
    Ok(snapshot::log_state(cx.log.config(), &cx.log.status()))
}

/// `users_get`: all users, or with `registered_only` those with a binding, or the one that `user` names; with `verbose`, also how
/// their last registration attempt went.
pub fn users_get(cx: &mut ApiCx<'_>, request: &Value) -> Result<Value, String> {
    let registered_only = flag(request, "registered_only")?.unwrap_or(false);
    let (users, dialogs) = (cx.core.user_views(cx.now), cx.core.dialog_views(cx.now));
    let named = match text(request, "user")? {
        Some(name) => Some(cx.core.user_named(name).ok_or_else(|| format!("no user is {name}"))?.to_owned()),
        None => None,
    };
    let shown = users
        .iter()
        .filter(|u| named.as_ref().is_none_or(|impi| u.impi == *impi))
        .filter(|u| !registered_only || !u.bindings.is_empty());
    let is_verbose = flag(request, "verbose")?.unwrap_or(false);
    let mut out = Vec::new();
    for view in shown {
        let mut user = snapshot::user(view, &users, &dialogs);
        if is_verbose {
            // the kernel is not asked about everybody
            user["attempt"] = attempt(cx, &view.impi, named.is_some());
        }
        out.push(user);
    }
    Ok(json!({ "users": out }))
}

/// How the user's last registration attempt went. `ask`: with what the kernel counts at this moment.
fn attempt(cx: &mut ApiCx<'_>, impi: &str, ask: bool) -> Value {
    let attempt = cx.core.attempt(impi);
    let set = attempt.and_then(Attempt::set_id).filter(|_| ask);
    let live = Live {
        counters: set.and_then(|set| cx.sas.counters(set)),
        unknown_spi: set.and_then(|_| cx.sas.unknown_spi()),
    };
    snapshot::attempt(&report(attempt, cx.core.misnamed(), live, cx.wall))
}

/// `ipsec`: all security associations, and what the kernel counts of them.
pub fn ipsec(cx: &mut ApiCx<'_>, _request: &Value) -> Result<Value, String> {
    let sets = cx.core.set_views(cx.now);
    let counted: Vec<_> = sets.iter().map(|set| cx.sas.counters(set.id)).collect();
    Ok(snapshot::ipsec(&sets, &counted, cx.sas.unknown_spi(), cx.core.ipsec_lack()))
}

/// `mme`: the MMEs that are known.
pub fn mme(cx: &mut ApiCx<'_>, _request: &Value) -> Result<Value, String> {
    Ok(snapshot::mmes(&cx.core.mme_views(cx.now), cx.core.config().sgs))
}

/// `dialog_get`: all dialogs, the one with `session_id` (`*` and `last`: the one that began last), or the one that `dialog`
/// names, with its call's ladder.
pub fn dialog_get(cx: &mut ApiCx<'_>, request: &Value) -> Result<Value, String> {
    let session = text(request, "session_id")?;
    let mut dialogs = cx.core.dialog_views(cx.now);
    dialogs.sort_by_key(|d| (d.date, d.index));
    if let Some(name) = text(request, "dialog")? {
        let found = DialogView::named(&dialogs, name).ok_or_else(|| format!("no dialog {name}"))?;
        let ladder = cx.core.ladder(found.index).as_ref().map(snapshot::ladder);
        return Ok(json!({ "dialogs": [snapshot::dialog(found)], "ladder": ladder }));
    }
    let shown: Vec<&DialogView> = match session {
        None => dialogs.iter().collect(),
        Some(id) => DialogView::named(&dialogs, id).into_iter().collect(),
    };
    Ok(json!({ "dialogs": shown.into_iter().map(snapshot::dialog).collect::<Vec<_>>() }))
}

/// `unregister`: takes the binding with this contact `uri` away, or all of a user; `event` tells the phone why.
pub fn unregister(cx: &mut ApiCx<'_>, request: &Value) -> Result<Value, String> {
    let uri = text(request, "uri")?.ok_or("uri is missing")?;
    let event = text(request, "event")?.unwrap_or(Gone::Deactivated.name());
    let why = Gone::ALL.into_iter().find(|gone| gone.name() == event);
    let why =
        why.ok_or_else(|| format!("event {event}: it is one of {}", Gone::ALL.map(Gone::name).join(", ")))?;
    let (core, mut core_cx) = cx.core_cx();
    core.unregister(&mut core_cx, uri, why)?;
    Ok(json!({}))
}

/// `reauthenticate`: lets the bindings that `uri` names end within `seconds`, so that the phones authenticate again.
pub fn reauthenticate(cx: &mut ApiCx<'_>, request: &Value) -> Result<Value, String> {
    let uri = text(request, "uri")?.ok_or("uri is missing")?;
    let within = match integer(request, "seconds")? {
        None => REAUTHENTICATE_WITHIN,
        Some(secs) => Duration::from_secs(u64::try_from(secs).map_err(|_| "seconds must not be negative")?),
    };
    let (core, mut core_cx) = cx.core_cx();
    core.reauthenticate(&mut core_cx, uri, within)?;
    Ok(json!({}))
}

/// `quit`: starts the clean end of the program.
pub fn quit(cx: &mut ApiCx<'_>, _request: &Value) -> Result<Value, String> {
    let (core, mut core_cx) = cx.core_cx();
    core_cx.ims(Level::Info, Subject::None, format_args!("quit by command"));
    core.shutdown(&mut core_cx);
    Ok(json!({}))
}

/// `config_get`: what can be changed while running.
pub fn config_get(cx: &mut ApiCx<'_>, _request: &Value) -> Result<Value, String> {
    Ok(snapshot::config(cx.log.config()))
}

/// `config_set`: changes `logs`, wholly or not at all.
pub fn config_set(cx: &mut ApiCx<'_>, request: &Value) -> Result<Value, String> {
    let carried = ["message", "message_id", "logs"];
    if let Some(other) = members(request, "request")?.keys().find(|k| !carried.contains(&k.as_str())) {
        return Err(format!("{other} cannot be changed while running"));
    }
    if let Some(logs) = request.get("logs") {
        let mut config = cx.log.config().clone();
        set_logs(&mut config, members(logs, "logs")?)?;
        cx.log.configure(config);
    }
    Ok(json!({}))
}

fn set_logs(config: &mut LogConfig, logs: &Map<String, Value>) -> Result<(), String> {
    for (name, value) in logs {
        match name.as_str() {
            "layers" => {
                for (layer, settings) in members(value, "logs.layers")? {
                    set_layer(config, layer, settings)?;
                }
            }
            "rotate" => {
                config.rotate = parse_rotate(&scalar(value)).map_err(|e| format!("logs.rotate: {e}"))?
            }
            "rotate_count" => {
                let count = format!("#{}", scalar(value));
                config.rotate = parse_rotate(&count).map_err(|e| format!("logs.rotate_count: {e}"))?;
            }
            "path" => config.path = Some(PathBuf::from(scalar(value))).filter(|p| !p.as_os_str().is_empty()),
            // older clients leave "layers" out
            layer => set_layer(config, layer, value)?,
        }
    }
    Ok(())
}

fn set_layer(config: &mut LogConfig, layer: &str, settings: &Value) -> Result<(), String> {
    let chosen = match LAYERS.iter().position(|l| *l == layer) {
        Some(index) => &mut config.layers[index..=index],
        None if layer == "all" => &mut config.layers[..],
        None => return Err(format!("logs: unknown layer {layer}")),
    };
    for (setting, value) in members(settings, layer)? {
        for layer_config in chosen.iter_mut() {
            let assigned = layer_config.assign(setting, &scalar(value));
            assigned.map_err(|e| format!("logs: {layer}.{setting}: {e}"))?;
        }
    }
    Ok(())
}

/// `log_set`: adds a line, flushes, rotates, cuts.
pub fn log_set(cx: &mut ApiCx<'_>, request: &Value) -> Result<Value, String> {
    if let Some(line) = text(request, "log")? {
        let layer = text(request, "layer")?.ok_or("layer is missing")?;
        let found = Layer::ALL.into_iter().find(|l| l.name() == layer);
        let layer = found.ok_or_else(|| format!("unknown layer {layer}"))?;
        let level = parse_level(text(request, "level")?.ok_or("level is missing")?)?;
        let dir = match text(request, "dir")? {
            None => Dir::None,
            Some("FROM") => Dir::From,
            Some("TO") => Dir::To,
            Some(other) => return Err(format!("unknown dir {other}")),
        };
        let id = integer(request, "ue_id")?.and_then(|id| u32::try_from(id).ok());
        let subject = id.map_or(Subject::None, Subject::Id);
        if cx.log.wants(layer, level) {
            let text = format_args!("{line}");
            cx.log.record(&Record { at: cx.wall, layer, level, dir, subject, text, content: &[] });
        }
    }
    if flag(request, "rotate")?.unwrap_or(false) {
        cx.log.rotate();
    }
    if flag(request, "cut")?.unwrap_or(false) {
        cx.log.cut();
    }
    if flag(request, "flush")?.unwrap_or(false) {
        cx.log.flush();
    }
    Ok(json!({}))
}

/// A string member, if it is there.
pub(super) fn text<'a>(request: &'a Value, name: &str) -> Result<Option<&'a str>, String> {
    match request.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(format!("{name} must be a string")),
    }
}

/// A boolean member, if it is there.
fn flag(request: &Value, name: &str) -> Result<Option<bool>, String> {
    match request.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match (value.as_bool(), value.as_u64()) {
            (Some(on), _) => Ok(Some(on)),
            (None, Some(n @ 0..=1)) => Ok(Some(n == 1)),
            _ => Err(format!("{name} must be a boolean")),
        },
    }
}

/// A whole number, if it is there.
pub(super) fn integer(request: &Value, name: &str) -> Result<Option<i64>, String> {
    match request.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_i64().map(Some).ok_or_else(|| format!("{name} must be a whole number")),
    }
}

fn members<'a>(value: &'a Value, name: &str) -> Result<&'a Map<String, Value>, String> {
    value.as_object().ok_or_else(|| format!("{name} must be an object"))
}

/// A string, number or boolean as the text that `log_options` has for it.
fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(on) => u8::from(*on).to_string(),
        other => other.to_string(),
    }
}

/// The names of all messages, for `help`.
pub fn message_names() -> impl Iterator<Item = &'static str> {
    COMMANDS.iter().map(|c| c.message)
}
