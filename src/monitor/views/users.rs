//! `users`: each user, its identities, its bindings, and what last went wrong.

use super::{attempt, list, text};
use crate::monitor::look::{Look, Tone, duration};
use serde_json::Value;

/// Identities that one line shows; the rest is counted.
const IMPUS_SHOWN: usize = 4;

/// The text for an answer to `users_get`.
pub(super) fn render(answer: &Value, look: &Look) -> String {
    let users = list(answer, "users");
    let registered = users.iter().filter(|u| !list(u, "bindings").is_empty()).count();
    let mut out = String::new();
    let width = users.iter().map(|u| text(u, "impi").chars().count()).max().unwrap_or(0);
    for user in users {
        out += &render_user(user, width, look);
        if user["attempt"].is_object() {
            out += &attempt::render(&user["attempt"], users.len() == 1, look);
        }
    }
    let plural = if users.len() == 1 { "" } else { "s" };
    out + &format!("{} user{plural}, {registered} registered\n", users.len())
}

fn render_user(user: &Value, width: usize, look: &Look) -> String {
    let bindings = list(user, "bindings");
    let impi = text(user, "impi");
    let pad = " ".repeat(width - impi.chars().count());
    let mut out = match bindings.is_empty() {
        true => look.paint(Tone::Dim, &format!("{impi}{pad}  not registered")) + "\n",
        false => {
            format!("{}{pad}  {}\n", look.paint(Tone::Bold, &impi), look.paint(Tone::Good, "registered"))
        }
    };
    if !bindings.is_empty() {
        out += &format!("  IMPU     {}\n", impus(user));
    }
    for binding in bindings {
        out += &format!("  Binding  {}\n           {}\n", text(binding, "uri"), facts(binding));
    }
    if user["sgs"].is_object() {
        out += &format!("  SGs      {}\n", attachment(&user["sgs"]));
    }
    for dialog in list(user, "dialogs") {
        out += &format!("  Dialog   {} with {}\n", dialog["index"], text(dialog, "remote"));
    }
    out += &sms(user);
    if user["last_error"].is_string() {
        let date = user["last_error_date"].as_i64().map_or(String::new(), |at| format!("{} ", look.date(at)));
        let problem = format!("{date}{}", text(user, "last_error"));
        out += &format!("  Error    {}\n", look.paint(Tone::Bad, &problem));
    }
    out
}

/// How a phone is attached through an MME, in one line.
fn attachment(sgs: &Value) -> String {
    let mut facts = vec![text(sgs, "mme").into_owned()];
    if sgs["connected"] != true {
        facts.push("MME not connected".to_owned());
    }
    if text(sgs, "state") == "SGs-NULL" {
        facts.push("not confirmed since the MME restarted".to_owned());
    }
    for (member, name) in [
        ("lai", "location area"),
        ("tai", "tracking area"),
        ("ecgi", "cell"),
        ("tmsi", "TMSI"),
        ("imeisv", "IMEISV"),
    ] {
        if sgs[member].is_string() {
            facts.push(format!("{name} {}", text(sgs, member)));
        }
    }
    facts.join(" | ")
}

/// How many short messages wait, and why the next one does.
fn sms(user: &Value) -> String {
    let count = match user["sms"].as_u64() {
        None | Some(0) => return String::new(),
        Some(1) => "1 waits".to_owned(),
        Some(count) => format!("{count} wait"),
    };
    let why = match text(user, "sms_waits").as_ref() {
        "" => " | one is on its way".to_owned(),
        why => format!(" | {why}"),
    };
    let retry = user["sms_retry_in"].as_u64().map(|secs| format!(" | next attempt in {}", duration(secs)));
    format!("  SMS      {count}{why}{}\n", retry.unwrap_or_default())
}

fn impus(user: &Value) -> String {
    let all: Vec<_> = list(user, "impu").iter().filter_map(Value::as_str).map(super::clean).collect();
    let shown = all.iter().take(IMPUS_SHOWN).map(|i| i.as_ref()).collect::<Vec<_>>().join(", ");
    match all.len().saturating_sub(IMPUS_SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// What is known of a binding, in one line.
fn facts(binding: &Value) -> String {
    let mut facts =
        vec![format!("{} {}", text(binding, "transport"), text(binding, "remote")).trim().to_owned()];
    facts.push(format!("expires in {}", duration(binding["expires"].as_u64().unwrap_or(0))));
    facts.push(match text(binding, "auth").as_ref() {
        "none" | "" => "not authenticated".to_owned(),
        auth => auth.to_owned(),
    });
    if binding["imei"].is_string() {
        facts.push(format!("IMEI {}", text(binding, "imei")));
    }
    if let Some(q) = binding["q"].as_f64().filter(|q| *q != 1.0) {
        facts.push(format!("q {q}"));
    }
    for (member, name) in [("sos", "for emergency calls"), ("video", "video"), ("smsip", "SMS")] {
        if binding[member] == true {
            facts.push(name.to_owned());
        }
    }
    let agent = text(binding, "user_agent");
    if !agent.is_empty() {
        facts.push(agent.into_owned());
    }
    facts.join(" | ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn answer() -> Value {
        json!({ "users": [
            {
                "impi": "alice@ims.example.org",
                "impu": ["sip:alice@ims.example.org", "tel:600"],
                "bindings": [{
                    "uri": "sip:alice@192.0.2.1:5060\u{1b}[2J", "id": 1, "q": 0.5, "video": true, "smsip": true,
                    "sos": true, "imei": "35-209900-176148-1", "expires": 3552, "transport": "UDP", "remote": "192.0.2.1:5060",
                    "auth": "AKAv1-MD5", "user_agent": "Phone/1",
                }],
                "dialogs": [{ "remote": "bob@ims.example.org", "index": 4 }],
            },
            {
                "impi": "bob@ims.example.org", "impu": ["tel:601"], "bindings": [], "dialogs": [],
                "sgs": { "mme": "mmec01.example.org", "connected": false, "state": "SGs-NULL", "lai": "001-01-0001", "tai": "001-01-0002", "tmsi": "01223344" },
                "last_error": "wrong password", "last_error_date": 1_608_093_067,
                "sms": 2, "sms_waits": "the phone does not answer", "sms_retry_in": 59,
            },
        ] })
    }

    #[test]
    fn registered_users_show_their_bindings_and_others_what_went_wrong() {
        assert_eq!(
            render(&answer(), &Look::plain()),
            "alice@ims.example.org  registered\n\
             \x20 IMPU     sip:alice@ims.example.org, tel:600\n\
             \x20 Binding  sip:alice@192.0.2.1:5060?[2J\n\
             \x20          UDP 192.0.2.1:5060 | expires in 59 min 12 s | AKAv1-MD5 | IMEI 35-209900-176148-1 | q 0.5 \
             | for emergency calls | video | SMS | Phone/1\n\
             \x20 Dialog   4 with bob@ims.example.org\n\
             bob@ims.example.org    not registered\n\
             \x20 SGs      mmec01.example.org | MME not connected | not confirmed since the MME restarted \
             | location area 001-01-0001 | tracking area 001-01-0002 | TMSI 01223344\n\
             \x20 SMS      2 wait | the phone does not answer | next attempt in 59 s\n\
             \x20 Error    2020-12-16 04:31:07 wrong password\n\
             2 users, 1 registered\n"
        );
    }

    #[test]
    fn on_a_terminal_the_unregistered_are_dimmed() {
        let text = render(&answer(), &Look { colours: true, ..Look::plain() });
        assert!(text.contains("\x1b[2mbob@ims.example.org    not registered\x1b[0m\n"), "{text}");
    }

    #[test]
    fn nobody_is_said_too() {
        assert_eq!(render(&json!({ "users": [] }), &Look::plain()), "0 users, 0 registered\n");
    }
}
