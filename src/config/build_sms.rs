//! The SMS centre's settings: `sms_*`.

use super::model::{CentreAddress, FilterAction, FilterRule, SmsFilter, SmsSettings};
use super::schema::Scope;
use super::section::Section;
use super::value::Data;
use std::time::Duration;

/// The settings of the top level.
pub(super) fn settings(top: &Section<'_>) -> SmsSettings {
    SmsSettings {
        expires: top.seconds("sms_expires"),
        // a text that is tried again at once, for as long as it is kept, would leave no time for anything else
        retry_delay: top.seconds("sms_retry_delay").max(Duration::from_secs(1)),
        hook_only: top.bool("sms_hook_only"),
        centre: top.section("sms_centre_address", Scope::SmsCentre).map(|s| centre(&s)).unwrap_or_default(),
        filter: top.section("sms_message_filter", Scope::SmsFilter).map(|s| filter(&s)).unwrap_or_default(),
        forced_cp_cause: cause(top, "sms_forced_cp_cause"),
        forced_rp_cause: cause(top, "sms_forced_rp_cause"),
    }
}

/// 0 switches it off.
fn cause(top: &Section<'_>, name: &str) -> Option<u8> {
    u8::try_from(top.count(name)).ok().filter(|cause| *cause != 0)
}

/// `sms_centre_address`. A number with a `+` is international, whatever is said beside it.
fn centre(section: &Section<'_>) -> CentreAddress {
    let number = section.text("number");
    let is_international = number.is_some_and(|number| number.starts_with('+'));
    let ton = match section.text("type_of_number") {
        Some("international") => 1,
        _ if is_international => 1,
        Some("national") => 2,
        _ => 0,
    };
    // TS 24.008 10.5.4.7
    let npi = match section.text("numbering_plan") {
        Some("national") => 8,
        Some("private") => 9,
        _ => 0,
    };
    let digits = number.map(|number| number.trim_start_matches('+').to_owned()).filter(|d| !d.is_empty());
    CentreAddress { digits, ton, npi }
}

fn filter(section: &Section<'_>) -> SmsFilter {
    let [cp_data, cp_ack, rp_data, rp_ack] =
        ["cp_data", "cp_ack", "rp_data", "rp_ack"].map(|name| rule(section, name));
    SmsFilter { cp_data, cp_ack, rp_data, rp_ack }
}

/// A word, or an object with `action` and `ttl`.
fn rule(section: &Section<'_>, name: &str) -> FilterRule {
    let Some(value) = section.value(name) else { return FilterRule::default() };
    match &value.data {
        Data::Object(object) => {
            let rule = Section::new(object, Scope::SmsFilterAction, value.at);
            let times = rule.is_given("ttl").then(|| u32::try_from(rule.count("ttl")).unwrap_or(u32::MAX));
            FilterRule { action: action(rule.text("action")), times }
        }
        data => FilterRule { action: action(data.as_str()), times: None },
    }
}

fn action(word: Option<&str>) -> FilterAction {
    match word {
        Some("ignore") => FilterAction::Ignore,
        Some("reject") => FilterAction::Reject,
        _ => FilterAction::Treat,
    }
}
