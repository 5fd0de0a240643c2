//! The last registration attempt of a user: `attempt` of `users_get` with `verbose`.
//!
//! `steps` have `name`, `state` (`ok`, `failed`, `not yet`, `not needed`), `utc` in seconds where it is known, and `text`; `trouble`
//! is the first of them that failed or is missing, with `cause` and `cure` in words.

use crate::ims::attempt::{Report, StepView};
use serde_json::{Value, json};

/// An attempt.
pub fn attempt(report: &Report) -> Value {
    let mut out = json!({ "steps": report.steps.iter().map(step).collect::<Vec<_>>() });
    if let Some(trouble) = &report.trouble {
        out["trouble"] = json!({ "step": trouble.step, "cause": trouble.cause, "cure": trouble.cure });
    }
    out
}

fn step(view: &StepView) -> Value {
    let mut out = json!({ "name": view.name, "state": view.state.name() });
    if let Some(at) = view.at {
        out["utc"] = json!((at.as_micros() / 1000) as f64 / 1000.0);
    }
    if !view.text.is_empty() {
        out["text"] = json!(view.text);
    }
    out
}
