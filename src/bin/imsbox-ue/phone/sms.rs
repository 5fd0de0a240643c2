//! Texts: as short messages where the phone has a SIM (`smsip`), else a MESSAGE each, with plain text in UTF-8 (RFC 3428).

use super::Phone;
use super::client::Purpose;
use super::event::Event;
use super::inbound::Reply;
use super::message::{PLAIN, PLAIN_UTF8, Request, SHORT_MESSAGE, host, refusal, sender};
use super::outgoing::callee_uri;
use super::register::default_identity;
use super::server::ServerId;
use crate::settings::{Transport, Way};
use imsbox::base::time::Instant;
use imsbox::wire::sip::text::lossy;
use imsbox::wire::sip::{HeaderId, Message, Method};

/// RFC 3428 8: the most octets of a MESSAGE over a transport that does not control congestion.
const MOST_OVER_UDP: usize = 1300;
/// The most octets of a text over TCP: what a person may type in one line.
const MOST_TEXT: usize = 16_384;

impl Phone {
    /// Sends a text to a number or a URI.
    pub fn send_text(&mut self, now: Instant, whom: &str, text: &str) -> Result<(), String> {
        let uri = callee_uri(whom, &self.settings.domain)?;
        if text.len() > MOST_TEXT {
            return Err(format!("the text is longer than {MOST_TEXT} octets"));
        }
        // A short message goes to a number (TS 23.040 9.1.2.5).
        if self.settings.sms.way == Way::Short
            && let Some(number) = super::smsip::number_of(&uri)
        {
            return self.send_short(now, number, text);
        }
        let mut request = self.message(uri, PLAIN_UTF8, text.as_bytes().to_vec());
        self.name_access(&mut request);
        let octets = self.octets_of(&request, "z9hG4bK0123456789abcdef").1.len();
        if self.settings.transport == Transport::Udp && octets > MOST_OVER_UDP {
            let over = octets - MOST_OVER_UDP;
            return Err(format!(
                "the text is too long for UDP by {over} octets: make it shorter, or use --tcp"
            ));
        }
        self.send_request(now, request, Purpose::Text);
        Ok(())
    }

    /// A MESSAGE of ours.
    pub(super) fn message(&mut self, uri: String, kind: &'static str, body: Vec<u8>) -> Request {
        let identity = default_identity(&self.registration, &self.settings.impu).to_owned();
        Request {
            method: Method::Message,
            from: format!("<{identity}>;tag={}", super::token(&mut self.rng)),
            to: format!("<{uri}>"),
            uri,
            call_id: format!("{}@{}", super::token(&mut self.rng), host(self.local.ip())),
            cseq: 1,
            route: self.route(),
            headers: vec![("P-Preferred-Identity", format!("<{identity}>"))],
            body,
            kind,
            challenged: 0,
        }
    }

    /// What has become of a text of ours.
    pub(super) fn on_text_answer(&mut self, request: &Request, answer: &Message<'_>) {
        let status = answer.status();
        self.code = Some(status);
        let event = match status {
            200..300 => Event::Texted(request.uri.clone()),
            _ => Event::TextRefused(Some(status), refusal(answer)),
        };
        self.event(event);
    }

    /// A text comes (RFC 3428 7, TS 24.341 5.3.2).
    pub(super) fn on_text(&mut self, now: Instant, id: ServerId, message: &Message<'_>) {
        let party = sender(message);
        if message.has_content_type(SHORT_MESSAGE) && self.settings.sms.takes_short {
            return self.on_rpdu(now, id, message);
        }
        let text = match message.body_of(PLAIN) {
            Some(text) => text,
            None if message.body().is_empty() => b"",
            None => {
                let kind = lossy(message.header(HeaderId::ContentType).unwrap_or(b"an unnamed type"));
                let accept = self.accepted_texts();
                self.event(Event::Notice(format!(
                    "a text from {party} is refused: it is {kind}, not {accept}"
                )));
                let headers = vec![("Accept", accept)];
                return self.respond(now, id, 415, Reply { headers, ..Reply::default() });
            }
        };
        self.respond(now, id, 200, Reply::default());
        self.take_text(party, lossy(text).into_owned());
    }

    /// The types of texts that are taken.
    pub(super) fn accepted_texts(&self) -> String {
        match self.settings.sms.takes_short {
            true => format!("{PLAIN}, {SHORT_MESSAGE}"),
            false => PLAIN.to_owned(),
        }
    }

    /// A text is there.
    pub(super) fn take_text(&mut self, party: String, text: String) {
        self.texts.0 += 1;
        self.texts.1.clone_from(&text);
        self.event(Event::Text(party, text));
    }
}
