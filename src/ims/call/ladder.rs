//! A whole call as one ladder: the events of all its sides, merged in the order in which they happened.

use super::history::{Event, History, Way, What};
use super::session::Call;
use super::state::State;
use super::tag::Side;
use crate::ims::view::{LadderStep, LadderView, short_identity};

/// Our column.
const US: usize = 1;

/// The ladder of a call.
pub(super) fn of(call: &Call) -> LadderView {
    let caller = short_identity(&call.caller.uri).to_owned();
    let mut parties = vec![caller, "imsbox".to_owned()];
    let several = call.legs.len() > 1;
    let called = call.legs.iter().filter(|l| l.history.events().any(is_message));
    parties.extend(called.map(|leg| {
        // contacts of one identity differ in where they are
        let name = if several { &leg.history.target } else { call.callee.uri.as_str() };
        short_identity(name).to_owned()
    }));
    let mut steps: Vec<(u32, LadderStep)> = Vec::new();
    note_forgotten(call, &mut steps);
    let callers = call.history.events().map(|e| (0, e));
    let with_messages = call.legs.iter().filter(|l| l.history.events().any(is_message)).enumerate();
    let callees = with_messages.flat_map(|(n, leg)| leg.history.events().map(move |e| (US + 1 + n, e)));
    for (party, event) in callers.chain(callees) {
        // a change of state is the whole call's: each side has noted it
        if is_message(event) || party == 0 {
            steps.push((event.order, step(call, party, event)));
        }
    }
    steps.sort_by_key(|(order, _)| *order);
    LadderView { index: call.history.index, parties, steps: steps.into_iter().map(|(_, s)| s).collect() }
}

fn is_message(event: &Event) -> bool {
    matches!(event.what, What::Message(_))
}

fn step(call: &Call, party: usize, event: &Event) -> LadderStep {
    let at = event.at.as_secs_f64();
    match event.what {
        What::State => LadderStep { at, ends: None, text: words(call, event.state), times: 1 },
        What::Message(passed) => {
            let ends = if passed.way == Way::Sent { (US, party) } else { (party, US) };
            LadderStep { at, ends: Some(ends), text: passed.to_string(), times: event.times }
        }
    }
}

fn words(call: &Call, state: State) -> String {
    match (state, &call.ended) {
        (State::Stop, Some(ended)) => format!("stop: {}", ended.reason),
        _ => state.name().to_owned(),
    }
}

/// Says where messages are missing, on each side that has forgotten some.
fn note_forgotten(call: &Call, steps: &mut Vec<(u32, LadderStep)>) {
    let mut note = |history: &History, who: &str| {
        let Some(after) = history.after_gap() else { return };
        let text = match history.forgotten() {
            1 => format!("1 message between imsbox and {who} is not shown"),
            n => format!("{n} messages between imsbox and {who} are not shown"),
        };
        steps.push((after.order, LadderStep { at: after.at.as_secs_f64(), ends: None, text, times: 1 }));
    };
    note(&call.history, short_identity(&call.party(Side::Caller).uri));
    call.legs.iter().for_each(|l| note(&l.history, short_identity(&call.party(Side::Callee).uri)));
}
