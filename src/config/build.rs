//! The typed configuration from a checked document: the top level, and what takes more than one property to judge.

use super::Files;
use super::address;
use super::build_sms;
use super::diagnostic::{Diagnostics, Severity};
use super::model::*;
use super::schema::Scope;
use super::section::Section;
use super::source::{Origin, Sources};
use super::value::{Data, Value};
use crate::wire::sdp::Template;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// A configuration being built.
pub(super) struct Builder<'a> {
    /// Where the contents of files come from that are needed as they are.
    pub files: &'a dyn Files,
    pub sources: &'a Sources,
    pub diagnostics: &'a mut Diagnostics,
    /// The folder of the main file, to which file names are relative.
    pub folder: &'a Path,
    /// Where each SIP socket stands.
    pub sockets_at: Vec<Origin>,
    /// Private identities seen, and where.
    pub impis: BTreeMap<String, Origin>,
    /// Public identities of users seen, and where.
    pub impus: BTreeMap<String, Origin>,
}

/// Builds the configuration. What is wrong is reported; the result counts only when no error was.
pub(super) fn build(
    document: &Value,
    path: &Path,
    files: &dyn Files,
    sources: &Sources,
    diagnostics: &mut Diagnostics,
) -> Config {
    let empty = super::value::Object::default();
    let top = Section::new(document.data.as_object().unwrap_or(&empty), Scope::Global, document.at);
    let folder = path.parent().unwrap_or(Path::new(""));
    let (impis, impus) = (BTreeMap::new(), BTreeMap::new());
    let mut builder = Builder { files, sources, diagnostics, folder, sockets_at: Vec::new(), impis, impus };
    let mut config = Config {
        sip: builder.sip_sockets(&top),
        domain: top.string("domain").filter(|domain| !domain.is_empty()),
        protocol: builder.protocol(&top),
        registration: registration(&top),
        ipsec: builder.ipsec(&top),
        call: builder.call(&top),
        trunk: None,
        // the check has found nothing wrong with it; the port is that of TS 29.118 6.3
        sgs: top.text("sctp_addr").and_then(|text| address::parse(text, 29_118)),
        sms: build_sms::settings(&top),
        log: LogSettings {
            filename: builder.file(&top, "log_filename"),
            options: top.text("log_options").unwrap_or_default().to_owned(),
            sync: top.bool("log_sync"),
        },
        monitor_socket: builder.file(&top, "monitor_socket"),
        state_file: builder.file(&top, "ue_db_filename"),
        echo: Vec::new(),
        users: Vec::new(),
        folder: folder.to_owned(),
    };
    config.trunk = builder.trunk(&top, &config.sip);
    builder.check_ports_beside(&top, &config.ipsec, &config.sip);
    config.users = builder.users(&top);
    let first_domain = config.users.first().map(|user| user.domain.clone());
    let domain = config.domain.clone().or(first_domain).unwrap_or_else(|| "localhost".to_owned());
    config.echo = builder.echo(&top, &domain);
    config
}

impl Builder<'_> {
    pub(super) fn error(&mut self, at: Origin, message: impl Into<String>) {
        self.diagnostics.at(self.sources, Severity::Error, at, message);
    }

    pub(super) fn warn(&mut self, at: Origin, message: impl Into<String>) {
        self.diagnostics.at(self.sources, Severity::Warning, at, message);
    }

    /// A file name, relative to the main file's folder.
    pub(super) fn file(&self, section: &Section<'_>, name: &str) -> Option<PathBuf> {
        section.text(name).map(|text| self.folder.join(text))
    }

    /// The media that a file describes.
    pub(super) fn template(&mut self, section: &Section<'_>, name: &str) -> Option<Arc<Template>> {
        let file = self.file(section, name)?;
        match super::read_template(self.files, &file) {
            Ok(template) => Some(template),
            Err(why) => {
                self.error(section.at(name), why);
                None
            }
        }
    }

    fn sip_sockets(&mut self, top: &Section<'_>) -> Vec<SipSocket> {
        let mut sockets: Vec<SipSocket> = Vec::new();
        for item in top.items("sip_addr") {
            let Some(socket) = self.sip_socket(item) else { continue };
            if sockets.iter().any(|other| other.bind == socket.bind && socket.bind.port() != 0) {
                self.error(item.at, format!("{} is listened at twice", socket.bind));
                continue;
            }
            sockets.push(socket);
            self.sockets_at.push(item.at);
        }
        sockets
    }

    fn sip_socket(&mut self, item: &Value) -> Option<SipSocket> {
        let default_port = 5060;
        let section = match &item.data {
            Data::String(text) => {
                let addr = address::parse(text, default_port)?;
                self.check_reachable(addr, item.at);
                return Some(SipSocket::new(addr.ip(), addr.port()));
            }
            Data::Object(object) => Section::new(object, Scope::SipAddr, item.at),
            _ => return None,
        };
        let addr = address::parse(section.text("addr")?, default_port)?;
        let bind = match section.text("bind_addr") {
            Some(text) => address::parse(text, addr.port())?,
            None => addr,
        };
        let (port_min, port_max) = (section.port("port_min"), section.port("port_max"));
        self.check_reachable(addr, section.at("addr"));
        if addr.is_ipv4() != bind.is_ipv4() {
            self.error(section.at("bind_addr"), "`addr` and `bind_addr` are of different IP versions");
        }
        if port_min >= port_max {
            let at = if section.is_given("port_max") { "port_max" } else { "port_min" };
            self.error(
                section.at(at),
                format!("`port_max` ({port_max}) must be above `port_min` ({port_min})"),
            );
        }
        Some(SipSocket { addr, bind, port_min, port_max, trunk: section.bool("trunk") })
    }

    fn check_reachable(&mut self, addr: std::net::SocketAddr, at: Origin) {
        if addr.ip().is_unspecified() {
            let message = format!(
                "phones are told this address and cannot reach {}; write the real one here and this one as `bind_addr`",
                addr.ip()
            );
            self.warn(at, message);
        }
    }

    fn protocol(&mut self, top: &Section<'_>) -> SipSettings {
        let (timer_t1, timer_t2) = (top.seconds("timer_t1"), top.seconds("timer_t2"));
        if timer_t2 < timer_t1 && !top.is_wrong("timer_t1") && !top.is_wrong("timer_t2") {
            let at = if top.is_given("timer_t2") { "timer_t2" } else { "timer_t1" };
            self.error(top.at(at), "`timer_t2` must not be shorter than `timer_t1`");
        }
        SipSettings {
            tcp_threshold: top.count("tcp_threshold") as usize,
            tcp_keepalive: top.seconds("tcp_keepalive"),
            tcp_keepcount: top.count("tcp_keepcount") as u32,
            timer_t1,
            timer_t2,
            timer_t4: top.seconds("timer_t4"),
            user_agent: top.string("user_agent").unwrap_or_else(|| SipSettings::default().user_agent),
            force_user_agent: top.bool("force_user_agent"),
            custom_headers: self.custom_headers(top),
        }
    }

    fn custom_headers(&mut self, top: &Section<'_>) -> Vec<CustomHeader> {
        let mut headers = Vec::new();
        for item in top.items("custom_headers") {
            let Data::Object(object) = &item.data else { continue };
            let section = Section::new(object, Scope::CustomHeader, item.at);
            let Some(name) = section.string("name") else { continue };
            // RFC 3261 25.1: a header name is a token.
            let is_token = |octet: u8| octet.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&octet);
            if name.is_empty() || !name.bytes().all(is_token) {
                self.error(section.at("name"), format!("`{name}` is not the name of a header"));
                continue;
            }
            if CustomHeader::is_fixed(&name) {
                self.warn(
                    section.at("name"),
                    format!("`{name}` stays as it is: no message is read without it"),
                );
                continue;
            }
            let methods: Vec<String> = section
                .items("methods")
                .iter()
                .filter_map(|value| value.data.as_str())
                .map(str::to_owned)
                .collect();
            let codes: Vec<u16> = section
                .items("codes")
                .iter()
                .filter_map(|value| value.data.as_number())
                .map(|code| code as u16)
                .collect();
            if methods.is_empty() && codes.is_empty() {
                self.warn(item.at, "this header goes nowhere: it has neither `methods` nor `codes`");
            }
            let value = section.string("value");
            // Without a value the header is removed, which is a replacement by nothing.
            let replace = section.bool("replace") || value.is_none();
            headers.push(CustomHeader { name, value, replace, methods, codes });
        }
        headers
    }

    fn call(&mut self, top: &Section<'_>) -> CallSettings {
        CallSettings {
            dialog_timeout: top.seconds("dialog_timeout"),
            session_timer: self.session_timer(top).unwrap_or_default(),
            reliable_provisional: top.bool("100rel"),
            use183: top.bool("use183"),
            early_media: top.bool("early_media"),
            allow_held_invite: top.bool("allow_held_invite"),
            precondition: precondition(top).unwrap_or_default(),
            p_called_party_id: top.bool("p_called_party_id"),
            media_relay: media_relay(top).unwrap_or_default(),
            mt_call_sdp: self.template(top, "mt_call_sdp_file"),
        }
    }

    /// `session_expires` of a section: an object, or a number that is its duration.
    pub(super) fn session_timer(&mut self, section: &Section<'_>) -> Option<SessionTimer> {
        let value = section.value("session_expires")?;
        let empty = super::value::Object::default();
        let object = value.data.as_object().unwrap_or(&empty);
        let timer = Section::new(object, Scope::SessionExpires, value.at);
        let duration = match value.data.as_number() {
            Some(seconds) => Duration::from_secs_f64(seconds),
            None => timer.seconds("duration"),
        };
        let min = timer.seconds("min");
        if duration < min {
            let (duration, min) = (duration.as_secs(), min.as_secs());
            self.error(value.at, format!("the duration ({duration}) must not be below the minimum ({min})"));
        }
        Some(SessionTimer {
            duration,
            min,
            refresher_is_uac: timer.text("refresher") == Some("uac"),
            with_update: timer.text("method") == Some("update"),
            force: timer.bool("force"),
        })
    }
}

fn registration(top: &Section<'_>) -> RegistrationSettings {
    let defaults = RegistrationSettings::default();
    let binding_expires = top.seconds("binding_expires");
    RegistrationSettings {
        binding_expires,
        min_expires: defaults.min_expires.min(binding_expires),
        subscribe_expires: top.seconds("subscribe_expires"),
        auth_on_register_only: top.bool("auth_on_register_only"),
        proxy_auth: top.bool("proxy_auth"),
        path: top.text("path").unwrap_or_default().to_owned(),
    }
}

/// `media_relay` of a section: a word, or a boolean that stands for `on` or `off`.
pub(super) fn media_relay(section: &Section<'_>) -> Option<MediaRelay> {
    let value = section.value("media_relay")?;
    if let Some(on) = value.data.as_bool() {
        return Some(if on { MediaRelay::On } else { MediaRelay::Off });
    }
    match value.data.as_str()? {
        "on" => Some(MediaRelay::On),
        "off" => Some(MediaRelay::Off),
        _ => Some(MediaRelay::Auto),
    }
}

/// `precondition` of a section: a word, or a boolean that stands for `on` or `off`.
pub(super) fn precondition(section: &Section<'_>) -> Option<Precondition> {
    let value = section.value("precondition")?;
    if let Some(on) = value.data.as_bool() {
        return Some(if on { Precondition::On } else { Precondition::Off });
    }
    match value.data.as_str()? {
        "on" => Some(Precondition::On),
        "off" => Some(Precondition::Off),
        _ => Some(Precondition::Silent),
    }
}
