//! Public identities of users and of the echo service, from their string and object forms.

use super::build::{Builder, media_relay, precondition};
use super::diagnostic::Severity;
use super::identity;
use super::limits::MAX_ANSWER_BODY;
use super::model::{AnswerBody, Emergency, Impu};
use super::schema::Scope;
use super::section::Section;
use super::value::{Data, Value};
use crate::proto::media::table::Treatment;

impl Builder<'_> {
    /// The echo numbers.
    pub(super) fn echo(&mut self, top: &Section<'_>, domain: &str) -> Vec<Impu> {
        let mut echo = Vec::new();
        for item in top.items("echo") {
            let Some(impu) = self.impu(item, domain) else { continue };
            if let Some(other) = self.impus.insert(impu.uri.clone(), item.at) {
                let note = ("the other one is here".to_owned(), other);
                let message = format!("{} is there twice; the first one counts", impu.uri);
                self.diagnostics.at_with(self.sources, Severity::Warning, item.at, message, &[note]);
            }
            echo.push(impu);
        }
        echo
    }

    /// One identity; a SIP one gets `domain` unless it says its own.
    pub(super) fn impu(&mut self, item: &Value, domain: &str) -> Option<Impu> {
        let section = match &item.data {
            Data::String(text) if identity::is_identity(text) => {
                return Some(Impu::new(identity::uri(text, domain)));
            }
            Data::Object(object) => Section::new(object, Scope::Impu, item.at),
            _ => return None,
        };
        let own_domain = section.text("domain").filter(|domain| !domain.is_empty());
        let domain = own_domain.unwrap_or(domain);
        let uri = identity::uri(section.text("impu")?, domain);
        let emergency = emergency(&section, &uri);
        if emergency == Emergency::No && section.number("anonymous_callback") > 0.0 {
            self.warn(
                section.at("anonymous_callback"),
                "this identity is no emergency service, so nobody is called back: give `emergency: true` too",
            );
        }
        Some(Impu {
            domain: own_domain.map(str::to_owned),
            pattern: section.string("match"),
            barred: false,
            asserted: section.bool("asserted"),
            associated: section.bool("associated"),
            preferred: section.bool("preferred"),
            anonymous: section.bool("anonymous"),
            anonymous_callback: section.seconds("anonymous_callback"),
            emergency,
            authentication: section.bool("authentication"),
            ring_only: section.bool("ring_only"),
            imei: section.string("imei"),
            display_name: section.string("display_name"),
            code: self.answer_code(&section),
            content: self.answer_content(&section),
            answer_delay: section.seconds("answer_delay"),
            remote_control: section.bool("remote_control"),
            sdp: self.template(&section, "sdp_file"),
            phone: section.bool("phone"),
            verstat: section.string("verstat"),
            reauthenticate: section.bool("reauthenticate"),
            p_called_party_id: section.string("p_called_party_id"),
            reliable_provisional: section.bool("100rel"),
            use183: section.bool("use183"),
            early_media: section.bool("early_media"),
            audio: section.bool("audio"),
            video: section.bool("video"),
            text: section.bool("text"),
            sms: section.bool("sms"),
            sms_delay: section.seconds("sms_delay"),
            packets: Treatment {
                rtp_block: !section.bool("rtp"),
                rtcp_block: !section.bool("rtcp"),
                delay: section.seconds("media_delay"),
            },
            media_relay: media_relay(&section),
            session_timer: self.session_timer(&section),
            precondition: precondition(&section),
            uri,
        })
    }

    fn answer_code(&mut self, section: &Section<'_>) -> Option<u16> {
        let code = section.value("code")?.data.as_number()?;
        if code < 100.0 {
            self.warn(
                section.at("code"),
                "a code below 100 is the callflow modifier's, which is not built yet",
            );
            return None;
        }
        Some(code as u16)
    }

    /// `content` with its `content_type`, which must come with it (manual 5.2.1).
    fn answer_content(&mut self, section: &Section<'_>) -> Option<AnswerBody> {
        let file = self.file(section, "content")?;
        let Some(content_type) = section.string("content_type") else {
            self.error(section.at("content"), "`content` needs a `content_type`");
            return None;
        };
        match self.files.read(&file) {
            Ok(octets) if octets.len() > MAX_ANSWER_BODY => {
                let words = format!("{} is longer than {MAX_ANSWER_BODY} octets", file.display());
                self.error(section.at("content"), words);
                None
            }
            Ok(octets) => Some(AnswerBody { file, content_type, octets }),
            Err(why) => {
                self.error(section.at("content"), format!("cannot read {}: {why}", file.display()));
                None
            }
        }
    }
}

/// `emergency`: whether, or the action that other calls are answered with; of itself a service URN is one.
fn emergency(section: &Section<'_>, uri: &str) -> Emergency {
    let Some(value) = section.value("emergency") else { return Emergency::of(uri) };
    match value.data.as_str() {
        Some("emergency-registration") => Emergency::Registered,
        Some(_) => Emergency::Anonymous,
        None if value.data.as_bool() == Some(true) => Emergency::Any,
        None => Emergency::No,
    }
}
