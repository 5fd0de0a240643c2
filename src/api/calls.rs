//! The commands that make calls and act on those that are there: `mt_call`, `dialog_set` and its older forms (manual 6.6 and 7).

use crate::api::cx::ApiCx;
use crate::api::handlers::{integer, text};
use crate::base::time::Duration;
use crate::config::read_template;
use crate::ims::call::{Action, Callee, Order, Why};
use crate::ims::view::DialogView;
use crate::wire::sdp::{MediaKind, Template};
use serde_json::{Value, json};
use std::sync::Arc;

/// The actions of `dialog_set`.
pub const ACTIONS: &[&str] =
    &["stop", "hold", "reinvite", "downgrade", "media", "answer", "session-expires-stop"];

/// Longest duration of a call that the network makes: a day.
const MAX_DURATION: Duration = Duration::from_secs(86_400);

/// `mt_call`: calls the user of `impi`, `impu` or `contact`, or whichever of them `callee` is. Gives the session id.
pub fn mt_call(cx: &mut ApiCx<'_>, request: &Value) -> Result<Value, String> {
    let named = |name: &str| text(request, name).map(|t| t.map(str::to_owned));
    let callee = match (named("impi")?, named("impu")?, named("contact")?, named("callee")?) {
        (Some(impi), ..) => Callee::Impi(impi),
        (None, Some(impu), ..) => Callee::Impu(impu),
        (None, None, Some(contact), _) => Callee::Contact(contact),
        (None, None, None, Some(name)) => Callee::Any(name),
        (None, None, None, None) => return Err("impi, impu or contact is missing".to_owned()),
    };
    let order = Order {
        callee,
        caller: named("caller")?,
        media: template(cx, request)?,
        duration: duration(request)?,
        sos: switch(request, "sos")?.unwrap_or(false),
    };
    let (core, mut core_cx) = cx.core_cx();
    let (index, session_id) = core.call(&mut core_cx, order)?;
    Ok(json!({ "session_id": session_id, "index": index }))
}

fn duration(request: &Value) -> Result<Option<Duration>, String> {
    let value = match request.get("duration") {
        None | Some(Value::Null) => return Ok(None),
        Some(value) => value.as_f64().ok_or("duration must be a number")?,
    };
    let in_range = value > 0.0 && value <= MAX_DURATION.as_secs_f64();
    in_range
        .then(|| Some(Duration::from_secs_f64(value)))
        .ok_or_else(|| format!("duration {value}: seconds, above 0 and up to {}", MAX_DURATION.as_secs()))
}

/// `dialog_set`: does `action` to the dialog.
pub fn dialog_set(cx: &mut ApiCx<'_>, request: &Value) -> Result<Value, String> {
    let Some(action) = text(request, "action")? else {
        return Err(format!("action is missing: it is one of {}", ACTIONS.join(", ")));
    };
    let action = match action {
        "stop" => stop(request)?,
        "hold" => Action::Hold(media(request)?),
        "reinvite" => Action::Reinvite(template(cx, request)?),
        "downgrade" => Action::Downgrade(media(request)?.unwrap_or(MediaKind::Video)),
        "media" => block(request)?,
        "answer" => answer(request)?,
        "session-expires-stop" => Action::StopSessionTimer,
        other => return Err(format!("action {other}: it is one of {}", ACTIONS.join(", "))),
    };
    act(cx, request, action)
}

/// `dialog_stop`: the older form of `dialog_set` with `stop`.
pub fn dialog_stop(cx: &mut ApiCx<'_>, request: &Value) -> Result<Value, String> {
    let action = stop(request)?;
    act(cx, request, action)
}

/// `reinvite`: the older form of `dialog_set` with `reinvite`.
pub fn reinvite(cx: &mut ApiCx<'_>, request: &Value) -> Result<Value, String> {
    let action = Action::Reinvite(template(cx, request)?);
    act(cx, request, action)
}

/// `dialog_answer`: the older form of `dialog_set` with `answer`.
pub fn dialog_answer(cx: &mut ApiCx<'_>, request: &Value) -> Result<Value, String> {
    let action = answer(request)?;
    act(cx, request, action)
}

fn act(cx: &mut ApiCx<'_>, request: &Value, action: Action) -> Result<Value, String> {
    let index = dialog(cx, request)?;
    let (core, mut core_cx) = cx.core_cx();
    core.set_dialog(&mut core_cx, index, action)?;
    Ok(json!({}))
}

/// The index of the dialog that `session_id`, `dialog` or `index` names; `*` and `last` are the one that began last.
fn dialog(cx: &ApiCx<'_>, request: &Value) -> Result<u32, String> {
    let name = match (text(request, "session_id")?, text(request, "dialog")?) {
        (Some(name), _) | (None, Some(name)) => name,
        (None, None) => {
            let index = integer(request, "index")?.ok_or("session_id or index is missing")?;
            return u32::try_from(index).map_err(|_| format!("no dialog {index}"));
        }
    };
    let dialogs = cx.core.dialog_views(cx.now);
    Ok(DialogView::named(&dialogs, name).ok_or_else(|| format!("no dialog {name}"))?.index)
}

fn stop(request: &Value) -> Result<Action, String> {
    let owned = |name: &str| text(request, name).map(|t| t.map(str::to_owned));
    let cause = code(request)?;
    Ok(Action::Stop(Why { cause, text: owned("reason")?, protocol: owned("reason_protocol")? }))
}

fn answer(request: &Value) -> Result<Action, String> {
    Ok(Action::Answer(code(request)?.unwrap_or(200)))
}

fn code(request: &Value) -> Result<Option<u16>, String> {
    match integer(request, "code")? {
        None => Ok(None),
        Some(code) => match u16::try_from(code) {
            Ok(code @ 0..=999) => Ok(Some(code)),
            _ => Err(format!("code {code}: 0 to 999")),
        },
    }
}

fn block(request: &Value) -> Result<Action, String> {
    let (rtp, rtcp) = (switch(request, "rtp")?, switch(request, "rtcp")?);
    if rtp.is_none() && rtcp.is_none() {
        return Err("rtp or rtcp is missing: whether it passes".to_owned());
    }
    Ok(Action::Media { media: media(request)?, rtp, rtcp })
}

/// The kind of media that `media` names.
fn media(request: &Value) -> Result<Option<MediaKind>, String> {
    match text(request, "media")? {
        None => Ok(None),
        Some("audio") => Ok(Some(MediaKind::Audio)),
        Some("video") => Ok(Some(MediaKind::Video)),
        Some("text") => Ok(Some(MediaKind::Text)),
        Some(other) => Err(format!("media {other}: audio, video or text")),
    }
}

/// The media of the file that `sdp_file`, in older clients `sip_file`, names; `-` is none.
fn template(cx: &ApiCx<'_>, request: &Value) -> Result<Option<Arc<Template>>, String> {
    let name = text(request, "sdp_file")?.or(text(request, "sip_file")?);
    match name.filter(|name| !name.is_empty() && *name != "-") {
        None => Ok(None),
        Some(name) => read_template(cx.files, &cx.core.config().folder.join(name)).map(Some),
    }
}

/// A boolean, or a word for one, if it is there.
pub(super) fn switch(request: &Value, name: &str) -> Result<Option<bool>, String> {
    let value = match request.get(name) {
        None | Some(Value::Null) => return Ok(None),
        Some(value) => value,
    };
    let on = match value {
        Value::Bool(on) => Some(*on),
        Value::String(word) => match word.as_str() {
            "on" | "true" | "1" => Some(true),
            "off" | "false" | "0" => Some(false),
            _ => None,
        },
        other => other.as_u64().filter(|n| *n <= 1).map(|n| n == 1),
    };
    on.map(Some).ok_or_else(|| format!("{name} must be a boolean: on or off"))
}
