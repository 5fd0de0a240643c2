//! `mme`: the MMEs that connect for SMS over SGs.

use super::{list, text};
use crate::monitor::look::{Look, Tone, duration};
use serde_json::Value;

/// The text for an answer to `mme`.
pub(super) fn render(answer: &Value, look: &Look) -> String {
    let mmes = list(answer, "mmes");
    if mmes.is_empty() {
        return match answer["sctp_addr"].as_str() {
            Some(addr) => format!("no MME has connected to SCTP {}\n", super::clean(addr)),
            None => "no MME can connect: sctp_addr is not set\n".to_owned(),
        };
    }
    let name = |mme: &Value| match mme["name"].is_string() {
        true => text(mme, "name").into_owned(),
        false => "name not known yet".to_owned(),
    };
    let width = mmes.iter().map(|mme| name(mme).chars().count()).max().unwrap_or(0);
    mmes.iter().map(|mme| line(mme, &name(mme), width, look)).collect()
}

fn line(mme: &Value, name: &str, width: usize, look: &Look) -> String {
    let pad = " ".repeat(width - name.chars().count());
    let since = duration(mme["since"].as_u64().unwrap_or(0));
    let state = match mme["connected"] == true {
        true => look.paint(Tone::Good, &format!("connected for {since}")),
        false => look.paint(Tone::Bad, &format!("gone for {since}")),
    };
    let ues = mme["ue_count"].as_u64().unwrap_or(0);
    let plural = if ues == 1 { "" } else { "s" };
    format!("{}{pad}  {}  {state}, {ues} phone{plural}\n", look.paint(Tone::Bold, name), text(mme, "addr"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_mme_has_its_line() {
        let answer = json!({ "mmes": [
            { "name": "mmec01.example.org", "addr": "127.0.0.2:40000", "connected": true, "since": 61, "ue_count": 3 },
            { "name": null, "addr": "127.0.0.3:1", "connected": false, "since": 5, "ue_count": 1 },
        ], "sctp_addr": "127.0.0.1:29118" });
        assert_eq!(
            render(&answer, &Look::plain()),
            "mmec01.example.org  127.0.0.2:40000  connected for 1 min 1 s, 3 phones\n\
             name not known yet  127.0.0.3:1  gone for 5 s, 1 phone\n"
        );
    }

    #[test]
    fn none_is_said_with_what_to_do() {
        let none = |addr| render(&json!({ "mmes": [], "sctp_addr": addr }), &Look::plain());
        assert_eq!(none(json!("127.0.0.1:29118")), "no MME has connected to SCTP 127.0.0.1:29118\n");
        assert_eq!(none(json!(null)), "no MME can connect: sctp_addr is not set\n");
    }
}
