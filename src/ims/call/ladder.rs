//! A whole call as one ladder: the events of all its sides, merged in the order in which they happened.

use super::history::{Event, History, Way, What};
use super::session::{Call, Party};
use super::state::State;
use crate::ims::view::{LadderStep, LadderView, short_identity};

/// The ladder of a call.
pub(super) fn of(call: &Call) -> LadderView {
    let caller = (&call.history, label(&call.caller, &call.caller.uri));
    let several = call.legs.len() > 1;
    let callees = call.legs.iter().map(|leg| {
        // contacts of one identity differ in where they are
        let name = if several { &leg.history.target } else { call.callee.uri.as_str() };
        (&leg.history, label(&call.callee, name))
    });
    // a call of our own has no caller out there, and an echo call no callee
    let has_messages = |(history, _): &(&History, String)| history.events().any(is_message);
    let us = usize::from(has_messages(&caller));
    let mut sides: Vec<(&History, String)> =
        std::iter::once(caller).chain(callees).filter(has_messages).collect();
    let mut steps: Vec<(u32, LadderStep)> = Vec::new();
    // each side has noted the changes of state, which are the whole call's
    steps.extend(call.history.events().filter(|e| !is_message(e)).map(|e| (e.order, change(call, e))));
    for (at, (history, name)) in sides.iter().enumerate() {
        let column = at + usize::from(at >= us);
        steps.extend(gap(history, name));
        steps.extend(history.events().filter_map(|e| Some((e.order, message(history, us, column, e)?))));
    }
    steps.sort_by_key(|(order, _)| *order);
    sides.insert(us, (&call.history, "imsbox".to_owned()));
    LadderView {
        index: call.history.index,
        parties: sides.into_iter().map(|(_, name)| name).collect(),
        steps: steps.into_iter().map(|(_, step)| step).collect(),
    }
}

/// What a party's column is called.
fn label(party: &Party, name: &str) -> String {
    let trunk = if party.is_trunk { " (trunk)" } else { "" };
    format!("{}{trunk}", short_identity(name))
}

fn is_message(event: &Event) -> bool {
    matches!(event.what, What::Message(_))
}

fn message(history: &History, us: usize, party: usize, event: &Event) -> Option<LadderStep> {
    let What::Message(passed) = event.what else { return None };
    let ends = if passed.way == Way::Sent { (us, party) } else { (party, us) };
    let text = history.text(&passed);
    Some(LadderStep { at: event.at.as_secs_f64(), ends: Some(ends), text, times: event.times })
}

/// A change of state, in words; the last with why the call ended.
fn change(call: &Call, event: &Event) -> LadderStep {
    let text = match (event.state, &call.ended) {
        (State::Stop, Some(ended)) => format!("stop: {}", ended.reason),
        (state, _) => state.name().to_owned(),
    };
    LadderStep { at: event.at.as_secs_f64(), ends: None, text, times: 1 }
}

/// Says that steps of a side are missing, before the first that follows them.
fn gap(history: &History, name: &str) -> Option<(u32, LadderStep)> {
    let after = history.after_gap()?;
    let text = match history.forgotten() {
        1 => format!("1 step with {name} is not shown"),
        n => format!("{n} steps with {name} are not shown"),
    };
    Some((after.order, LadderStep { at: after.at.as_secs_f64(), ends: None, text, times: 1 }))
}
