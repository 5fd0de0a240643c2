//! Checks a document against the schema: unknown properties, kinds, ranges, old spellings, and what is not built yet.
//!
//! What is wrong is reported with its place, all of it at once. What needs more than one property to judge is left to
//! `build`.

use super::diagnostic::{Diagnostics, Severity};
use super::print;
use super::schema::{Fallback, Kind, Property, Scope, Status};
use super::source::{Origin, Sources};
use super::suggest::did_you_mean;
use super::value::{Data, Member, Object, Value};
use super::words::{self, Expected};
use crate::base::ere::Ere;
use std::collections::BTreeMap;

/// Checks the whole document. `complete` is false after a mistake in the syntax: what is missing is then not reported.
pub(super) fn check(document: &Object, complete: bool, sources: &Sources, diagnostics: &mut Diagnostics) {
    let mut checker =
        Checker { sources, diagnostics, complete, pending: BTreeMap::new(), muted: 0, in_echo: false };
    checker.object(document, Scope::Global, Origin::default());
    checker.report_pending();
}

struct Checker<'a> {
    sources: &'a Sources,
    diagnostics: &'a mut Diagnostics,
    complete: bool,
    /// Features that are asked for and not built yet: where first, and the properties that ask.
    pending: BTreeMap<&'static str, (Origin, Vec<String>)>,
    /// Inside a property of a feature that is reported as a whole.
    muted: usize,
    /// Inside `echo`.
    in_echo: bool,
}

impl Checker<'_> {
    fn say(&mut self, severity: Severity, at: Origin, message: String) {
        self.diagnostics.at(self.sources, severity, at, message);
    }

    fn object(&mut self, object: &Object, scope: Scope, at: Origin) {
        for member in object.members() {
            match scope.find(&member.name) {
                Some(property) => self.member(member, property, object),
                None => self.unknown(member, scope),
            }
        }
        if !self.complete {
            return;
        }
        for property in scope.properties().iter().filter(|property| property.default == Fallback::Required) {
            let given = object.get(property.name).is_some_and(|value| value.data != Data::Null);
            if !given {
                self.missing(property, scope, at);
            }
        }
    }

    fn missing(&mut self, property: &Property, scope: Scope, at: Origin) {
        let message = format!("`{}` is missing: {}", property.name, words::first_sentence(property.doc));
        match scope {
            // No file holds it, so the main one should.
            Scope::Global => {
                let file = self.sources.name(0).display();
                self.diagnostics.say(Severity::Error, format!("{file}: {message}"));
            }
            _ => self.say(Severity::Error, at, message),
        }
    }

    fn unknown(&mut self, member: &Member, scope: Scope) {
        if self.diagnostics.is_full() {
            return self.say(Severity::Warning, member.at, String::new());
        }
        let names = scope.properties().iter().map(|property| property.name);
        let hint = match did_you_mean(&member.name, names) {
            _ if member.name == "include" => "; a file is included by `include \"file\",`".to_owned(),
            Some(known) => format!("; did you mean `{known}`?"),
            None => elsewhere(&member.name, scope),
        };
        self.say(Severity::Warning, member.at, format!("unknown property `{}`{hint}", member.name));
    }

    fn member(&mut self, member: &Member, property: &'static Property, object: &Object) {
        if member.name != property.name {
            self.old_spelling(member, property, object);
        }
        if member.value.data == Data::Null || property.status == Status::Mme {
            return;
        }
        let built_here = self.in_echo && property.echo_built;
        let muted = !built_here && self.say_status(member, property);
        self.in_echo |= property.name == "echo";
        self.muted += usize::from(muted);
        self.value(&member.value, property, &property.kind);
        self.muted -= usize::from(muted);
        self.in_echo &= property.name != "echo";
        let held = if is_off(&member.value.data) { Some("off") } else { member.value.data.as_str() };
        let waits = property.pending_values.iter().find(|(word, _)| !built_here && held == Some(*word));
        if let Some((_, feature)) = waits {
            let value = print::one_line(&member.value.data);
            self.pending(feature, member.at, format!("`{}: {value}`", property.name));
        }
    }

    /// Says that a property does nothing, or nothing yet; whether what is in it waits with it.
    fn say_status(&mut self, member: &Member, property: &'static Property) -> bool {
        let is_off = is_off(&member.value.data);
        match property.status {
            Status::Needless(why) => {
                self.say(Severity::Info, member.at, format!("`{}` has no effect: {why}", property.name));
                true
            }
            Status::Pending(feature) => {
                // What is off anyway waits for nothing.
                if !is_off {
                    self.pending(feature, member.at, format!("`{}`", property.name));
                }
                true
            }
            Status::Built | Status::Mme => false,
        }
    }

    fn old_spelling(&mut self, member: &Member, property: &Property, object: &Object) {
        let message = format!("`{}` is the old spelling of `{}`", member.name, property.name);
        match object.member(property.name) {
            Some(_) => {
                self.say(Severity::Warning, member.at, format!("{message}, which is also given and counts"))
            }
            None => self.say(Severity::Info, member.at, message),
        }
    }

    fn pending(&mut self, feature: &'static str, at: Origin, what: String) {
        if self.muted == 0 {
            let (_, list) = self.pending.entry(feature).or_insert_with(|| (at, Vec::new()));
            if !list.contains(&what) {
                list.push(what);
            }
        }
    }

    fn report_pending(&mut self) {
        let mut pending: Vec<_> = std::mem::take(&mut self.pending).into_iter().collect();
        pending.sort_by_key(|(_, (at, _))| (at.span.file, at.span.start));
        for (feature, (at, list)) in pending {
            let verb = if list.len() == 1 { "has" } else { "have" };
            let message = format!("{feature}: not built yet, so {} {verb} no effect", list.join(", "));
            self.say(Severity::Info, at, message);
        }
    }

    fn value(&mut self, value: &Value, property: &Property, kind: &Kind) {
        if value.data == Data::Invalid {
            return;
        }
        match (kind, &value.data) {
            (Kind::Any(kinds), data) => match kinds.iter().find(|kind| fits(kind, data)) {
                Some(kind) => self.value(value, property, kind),
                None => self.mismatch(value, property, kind),
            },
            (Kind::Object(scope), Data::Object(object)) => self.object(object, *scope, value.at),
            (Kind::List(item, least, most), Data::Array(items)) => {
                if items.len() < *least || items.len() > *most {
                    self.mismatch(value, property, kind);
                }
                for element in items {
                    self.value(element, property, item);
                }
            }
            (_, data) if holds(kind, data) => {}
            _ => self.mismatch(value, property, kind),
        }
    }

    fn mismatch(&mut self, value: &Value, property: &Property, kind: &Kind) {
        let expected = Expected { kind, unit: property.unit, found: &value.data };
        let found = words::found(&value.data);
        let message = match (kind, &value.data) {
            (Kind::Pattern, Data::String(text)) => match Ere::new(text) {
                Err(problem) => format!("expected {expected}, found {found}: {problem}"),
                Ok(_) => return,
            },
            // The digits of a key are tedious to count.
            (Kind::Hex(_), Data::String(text)) => {
                format!("expected {expected}, found {}", words::found_digits(text, 16))
            }
            (Kind::Digits(..), Data::String(text)) => {
                format!("expected {expected}, found {}", words::found_digits(text, 10))
            }
            _ => format!("expected {expected}, found {found}"),
        };
        self.say(Severity::Error, value.at, message);
    }
}

/// Whether a value turns something off.
fn is_off(data: &Data) -> bool {
    matches!(data, Data::Bool(false) | Data::Number(0.0)) || data.as_str() == Some("")
}

/// Where an unknown property would be known.
fn elsewhere(name: &str, scope: Scope) -> String {
    let other = Scope::ALL.into_iter().find(|other| *other != scope && other.find(name).is_some());
    other.map_or(String::new(), |other| match other {
        Scope::Global => "; it belongs to the top level".to_owned(),
        other => format!("; it belongs to {}", other.title().split(':').next().unwrap_or_default()),
    })
}

/// Whether a value is of the form that a kind has, its range aside. This picks the one of several kinds that is meant.
pub(super) fn fits(kind: &Kind, data: &Data) -> bool {
    match kind {
        Kind::Bool => data.as_bool().is_some(),
        Kind::Int(..) | Kind::Number(..) => matches!(data, Data::Number(_)),
        Kind::Text
        | Kind::Lines
        | Kind::Pattern
        | Kind::Word(_)
        | Kind::Hex(_)
        | Kind::Digits(..)
        | Kind::Address(_)
        | Kind::File
        | Kind::Identity => matches!(data, Data::String(_)),
        Kind::Object(_) => matches!(data, Data::Object(_)),
        Kind::List(..) => matches!(data, Data::Array(_)),
        Kind::Any(kinds) => kinds.iter().any(|kind| fits(kind, data)),
        Kind::Null => matches!(data, Data::Null),
        Kind::Free => true,
    }
}

/// Whether a scalar is what a kind allows, range and all.
pub(super) fn holds(kind: &Kind, data: &Data) -> bool {
    match (kind, data) {
        (Kind::Bool, data) => data.as_bool().is_some(),
        (Kind::Int(least, most), Data::Number(value)) => {
            value.fract() == 0.0 && (*least as f64..=*most as f64).contains(value)
        }
        (Kind::Number(least, most), Data::Number(value)) => (*least..=*most).contains(value),
        (Kind::Text, Data::String(text)) => !text.contains(['\r', '\n', '\0']),
        (Kind::Pattern, Data::String(text)) => Ere::new(text).is_ok(),
        (Kind::File, Data::String(text)) => !text.is_empty() && !text.contains('\0'),
        (Kind::Word(words), Data::String(text)) => words.contains(&text.as_str()),
        (Kind::Hex(lengths), Data::String(text)) => {
            let digits = words::hex_digits(text);
            lengths.contains(&digits.len()) && digits.bytes().all(|octet| octet.is_ascii_hexdigit())
        }
        (Kind::Digits(least, most, plus), Data::String(text)) => {
            let digits = if *plus { text.strip_prefix('+').unwrap_or(text) } else { text };
            (*least..=*most).contains(&digits.len()) && digits.bytes().all(|octet| octet.is_ascii_digit())
        }
        (Kind::Address(port), Data::String(text)) => super::address::parse(text, *port).is_some(),
        (Kind::Identity, Data::String(text)) => super::identity::is_identity(text),
        (Kind::Null, Data::Null) | (Kind::Lines, Data::String(_)) | (Kind::Free, _) => true,
        _ => false,
    }
}

/// A default in the notation of the configuration.
pub(super) fn fallback_text(fallback: Fallback) -> Option<String> {
    match fallback {
        Fallback::Bool(value) => Some(value.to_string()),
        Fallback::Number(value) => Some(print::number(value)),
        Fallback::Text(text) => Some(print::quoted(text)),
        Fallback::Nothing | Fallback::Required | Fallback::Said(_) | Fallback::Members(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::MemoryFiles;
    use crate::config::document::{self, Read};
    use std::path::Path;

    /// Errors about a property of a scope with this value, missing ones aside.
    fn errors(scope: Scope, name: &str, value: &str) -> String {
        let mut text = format!("{}: {value}", print::property_name(name));
        let mut at = scope;
        // The way to the scope from the top level.
        while at != Scope::Global {
            let (outer, way) = match at {
                Scope::SipAddr => (Scope::Global, "sip_addr: [{ @ }]"),
                Scope::SessionExpires => (Scope::Global, "session_expires: { @ }"),
                Scope::CustomHeader => (Scope::Global, "custom_headers: [{ @ }]"),
                Scope::User => (Scope::Global, "ue_db: [{ @ }]"),
                Scope::IsimAuth => (Scope::User, "isim_auth: { @ }"),
                Scope::Impu => (Scope::User, "impu: { @ }"),
                Scope::CallflowModifier => (Scope::Impu, "callflow_modifier: { @ }"),
                Scope::Trunk => (Scope::Global, "trunk: { @ }"),
                Scope::N5 => (Scope::Global, "n5: { @ }"),
                Scope::ComAuth => (Scope::Global, "com_auth: { @ }"),
                Scope::SmsCentre => (Scope::Global, "sms_centre_address: { @ }"),
                Scope::SmsFilter => (Scope::Global, "sms_message_filter: { @ }"),
                Scope::SmsFilterAction => (Scope::SmsFilter, "cp_data: { @ }"),
                Scope::LicenseServer => (Scope::Global, "license_server: { @ }"),
                Scope::Global => unreachable!("the loop ends there"),
            };
            text = way.replace('@', &text);
            at = outer;
        }
        let files = MemoryFiles::default().with("a", text.clone());
        let Read { document, sources, mut diagnostics, .. } = document::read(Path::new("a"), &files);
        let document = document.expect("a document");
        check(document.data.as_object().expect("an object"), false, &sources, &mut diagnostics);
        let bad = diagnostics.finish().into_iter().filter(|diagnostic| diagnostic.severity < Severity::Info);
        bad.map(|diagnostic| format!("{diagnostic}\n")).collect()
    }

    /// Good and bad texts of a value.
    type Examples = (Vec<String>, Vec<String>);

    /// Values that a kind takes, and values that it must refuse.
    fn examples(kind: &Kind) -> Examples {
        match kind {
            Kind::Bool => plain(&["true", "false", "0", "1"], &["2", "\"true\"", "[]"]),
            Kind::Int(least, most) => {
                let (good, bad) = ([least, most], [least - 1, most + 1]);
                let (good, bad) = (good.map(ToString::to_string), bad.map(|value| value.to_string()));
                plain(&[&good[0], &good[1]], &[&bad[0], &bad[1], "\"1\"", "2.5", "{}"])
            }
            Kind::Number(least, most) => {
                let (below, above) = (format!("{least} - 0.001"), format!("{most} + 0.5"));
                plain(&[&least.to_string(), &most.to_string()], &[&below, &above, "\"1\"", "1*I", "{}"])
            }
            Kind::Object(_) => plain(&["{}"], &["5.5", "[]", "\"a b\"", "true"]),
            Kind::List(item, least, most) => lists(examples(item), *least, *most),
            Kind::Any(kinds) => {
                (kinds.iter().flat_map(|kind| examples(kind).0).collect(), vec!["1.5*I".to_owned()])
            }
            Kind::Null => plain(&["null"], &["1.5*I"]),
            Kind::Free => plain(&["{a: [1]}"], &[]),
            _ => string_examples(kind),
        }
    }

    fn string_examples(kind: &Kind) -> Examples {
        match kind {
            Kind::Text => strings(&["", "abc"], &["a\nb"]),
            Kind::Lines => strings(&["", "a\nb"], &[]),
            Kind::Pattern => strings(&["", "^tel:\\+33", "^sip:(a|b){1,3}"], &["(", "[a", "a{2,1}", "*)"]),
            Kind::File => strings(&["/tmp/a b", "a"], &["", "a\0"]),
            Kind::Word(words) => strings(words, &["", "maybe"]),
            Kind::Hex(lengths) => {
                let good: Vec<String> =
                    lengths.iter().flat_map(|n| ["aF".repeat(n / 2), "09".repeat(n / 2)]).collect();
                let bad: Vec<String> =
                    lengths.iter().flat_map(|n| ["a".repeat(n - 1), "g".repeat(*n)]).collect();
                let refs =
                    |texts: &[String]| strings(&texts.iter().map(String::as_str).collect::<Vec<_>>(), &[]).0;
                (refs(&good), refs(&bad))
            }
            Kind::Digits(least, most, plus) => {
                let (short, long) = ("1".repeat(least - 1), "1".repeat(most + 1));
                let plus_form = format!("+{}", "1".repeat(*least));
                let mut good = vec!["0".repeat(*least), "9".repeat(*most)];
                let mut bad = vec![short, long, "1a".to_owned()];
                if *plus { &mut good } else { &mut bad }.push(plus_form);
                let refs =
                    |texts: &[String]| strings(&texts.iter().map(String::as_str).collect::<Vec<_>>(), &[]).0;
                (refs(&good), refs(&bad))
            }
            Kind::Address(_) => {
                strings(&["127.0.0.1", "[::1]:80", "::1"], &["localhost", "", "1.2.3.4:99999"])
            }
            _ => strings(&["a", "sip:a", "tel:+1", "urn:service:sos"], &["", "mailto:a", "a b"]),
        }
    }

    fn plain(good: &[&str], bad: &[&str]) -> Examples {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        (owned(good), owned(bad))
    }

    /// Quoted; what is no string is refused too.
    fn strings(good: &[&str], bad: &[&str]) -> Examples {
        let quote = |texts: &[&str]| texts.iter().map(|text| print::quoted(text)).collect::<Vec<_>>();
        let mut bad = quote(bad);
        bad.extend(["5.5".to_owned(), "[5.5]".to_owned()]);
        (quote(good), bad)
    }

    /// Arrays of good elements, and arrays of a bad one, too short and too long.
    fn lists((good, bad): Examples, least: usize, most: usize) -> Examples {
        let times = |item: &str, count: usize| format!("[{}]", vec![item; count].join(", "));
        let length = least.max(1);
        let mut wrong: Vec<String> = bad.iter().map(|item| times(item, length)).collect();
        if least > 0 {
            wrong.push(times(&good[0], least - 1));
        }
        if most < 1000 {
            wrong.push(times(&good[0], most + 1));
        }
        (good.iter().map(|item| times(item, length)).collect(), wrong)
    }

    fn all() -> impl Iterator<Item = (Scope, &'static Property)> {
        let of = |scope: Scope| scope.properties().iter().map(move |property| (scope, property));
        Scope::ALL.into_iter().flat_map(of)
    }

    #[test]
    fn every_property_takes_its_default_and_what_its_kind_allows() {
        for (scope, property) in all() {
            let default = fallback_text(property.default);
            for value in examples(&property.kind).0.into_iter().chain(default) {
                let wrong = errors(scope, property.name, &value);
                assert!(wrong.is_empty(), "{}: {value}\n{wrong}", property.name);
            }
        }
    }

    #[test]
    fn every_property_refuses_what_its_kind_does_not_allow() {
        for (scope, property) in all().filter(|(_, property)| property.status != Status::Mme) {
            for value in examples(&property.kind).1 {
                let wrong = errors(scope, property.name, &value);
                assert!(wrong.contains("expected "), "{}: {value}\n{wrong}", property.name);
            }
        }
    }

    #[test]
    fn old_spellings_are_taken() {
        let mut count = 0;
        for (scope, property) in all() {
            for alias in property.aliases {
                count += 1;
                assert_eq!(errors(scope, alias, &examples(&property.kind).0[0]), "", "{alias}");
            }
        }
        assert!(count >= 3);
    }

    #[test]
    fn the_tables_are_in_order() {
        for scope in Scope::ALL {
            let mut names: Vec<&str> = scope.properties().iter().map(|property| property.name).collect();
            names.extend(scope.properties().iter().flat_map(|property| property.aliases));
            let count = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), count, "{scope:?} has a name twice");
        }
        for (scope, property) in all() {
            assert!(property.doc.ends_with('.') || property.doc.ends_with('…'), "{}", property.name);
            if let Fallback::Text(text) = property.default
                && let Kind::Word(words) = property.kind
            {
                assert!(words.contains(&text), "{scope:?} {}", property.name);
            }
        }
    }

    #[test]
    fn every_property_of_the_manual_is_known() {
        const MANUAL: &str = "log_filename log_options log_sync sip_addr sctp_addr cx_server_addr cx_bind_addr cx_origin_realm \
            cx_origin_host cx_watchdog_duration rx_server_addr rx_bind_addr rx_origin_realm rx_origin_host \
            rx_watchdog_duration domain tcp_threshold session_expires 100rel precondition p_called_party_id ipsec \
            ipsec_aalg_list ipsec_ealg_list dialog_timeout auth_on_register_only com_addr com_name com_ssl_certificate \
            com_ssl_key com_ssl_peer_verify com_auth license_server sms_expires sms_hook_only binding_expires \
            subscribe_expires user_agent timer_t1 timer_t2 timer_t4 custom_headers sms_retry_delay echo mt_call_sdp_file \
            sms_message_filter sms_forced_cp_cause sms_forced_rp_cause mms_server_bind_addr mms_expires ue_db \
            ue_db_filename use_n5 n5 tcp_keepalive tcp_keepcount use183 allow_held_invite \
            ipsec_tun_setup_script_filename ipsec_mtu ipsec_ifname ipsec_netns proxy_auth trunk com_ssl_ca com_log_lock \
            com_logs_lock com_log_us com_log_count sim_events sim_events_loop_count sim_events_loop_delay \
            force_user_agent early_media path sms_centre_address monitor_socket";
        const USER: &str = "imsi nai multi_sim impi impu res_len authent_type authent_qop proxy_auth pwd mt_call_sdp_file \
            domain auth_on_register_only force_sms_over_sg sim_algo K op opc r c top topc keccak_iter amf sqn \
            force_sqn_resync msisdn count isim_auth";
        const IMPU: &str = "impu imei code content content_type anonymous authentication ring_only precondition 100rel \
            asserted associated display_name domain p_called_party_id anonymous_callback use183 preferred prefered verstat \
            phone early_media answer_delay sms_delay media_delay remote_control sdp_file session_expires bitrate_factor \
            audio video text rtp rtcp sms reauthenticate match callflow_modifier method transparent";
        const MODIFIER: &str = "method log code stop dir transparent skip content content_type access_network \
            custom_headers impu imei ttl tts send_delay send_retry send_retry_delay ecall.ack";
        for (scope, names) in [
            (Scope::Global, MANUAL),
            (Scope::SipAddr, "addr bind_addr port_min port_max trunk"),
            (Scope::SessionExpires, "duration min refresher method force"),
            (Scope::CustomHeader, "name value replace methods codes"),
            (Scope::User, USER),
            (Scope::IsimAuth, "sim_algo K op opc r c top topc keccak_iter res_len"),
            (Scope::Impu, IMPU),
            (Scope::CallflowModifier, MODIFIER),
            (Scope::Trunk, "addr name domain tcp_threshold anonymous"),
            (Scope::N5, "api_root transaction_timeout bind_addr"),
            (Scope::ComAuth, "passfile password unsecure"),
            (Scope::SmsCentre, "type_of_number numbering_plan number"),
            (Scope::SmsFilter, "cp_data cp_ack rp_data rp_ack"),
            (Scope::SmsFilterAction, "action ttl"),
            (Scope::LicenseServer, "server_addr name tag"),
        ] {
            for name in names.split_whitespace() {
                assert!(scope.find(name).is_some(), "{scope:?} {name}");
            }
        }
    }
}
