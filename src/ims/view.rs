//! What the service shows of itself: plain owned snapshots, from which `api` builds JSON and the monitor its columns.

use crate::base::time::Instant;
use crate::config::model::User;
use crate::ims::identity;
use crate::ims::registrar::Binding;
use crate::ims::sgs::UeView;
use crate::ims::sms::SmsView;
use crate::proto::media::table::SessionView;
use crate::wire::sip::text::lossy;
use std::net::SocketAddr;

/// One user with its bindings and calls.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct UserView {
    /// Private identity.
    pub impi: String,
    /// Public identities, first the asserted one.
    pub impus: Vec<String>,
    /// SMS over SGs is forced.
    pub force_sms_over_sg: bool,
    /// One for each contact.
    pub bindings: Vec<BindingView>,
    /// The dialogs of this user that go on, by index.
    pub dialogs: Vec<u32>,
    /// How its phone is attached through an MME.
    pub sgs: Option<UeView>,
    /// The last thing that went wrong with this user's registration, in words, and when (Unix seconds).
    pub last_error: Option<(i64, String)>,
    /// The short messages that wait for the user.
    pub sms: SmsView,
}

impl UserView {
    /// A user with these bindings; calls and troubles are for the caller to add.
    pub fn of<'b>(user: &User, bindings: impl Iterator<Item = &'b Binding>, now: Instant) -> UserView {
        let default = identity::default_impu(user);
        let others = (0..user.impus.len()).filter(|&at| Some(at) != default);
        let impus: Vec<String> =
            default.into_iter().chain(others).map(|at| user.impus[at].uri.clone()).collect();
        let registered: Vec<String> =
            user.impus.iter().filter(|i| identity::is_shown(i)).map(|i| i.uri.clone()).collect();
        UserView {
            impi: user.impi.clone(),
            force_sms_over_sg: user.force_sms_over_sg,
            bindings: bindings.map(|b| BindingView::of(b, &registered, now)).collect(),
            impus,
            ..UserView::default()
        }
    }
}

/// One contact binding.
#[derive(Clone, Debug, PartialEq)]
pub struct BindingView {
    /// Contact URI.
    pub uri: String,
    /// The binding's number, as in the log's id field.
    pub id: u32,
    /// IMPUs registered with it.
    pub impus: Vec<String>,
    /// Priority, thousandths.
    pub q: u16,
    /// `video` feature.
    pub video: bool,
    /// `+g.3gpp.smsip` feature.
    pub smsip: bool,
    /// A short message is on its way to it.
    pub sms: bool,
    /// It is registered for emergency calls only (`sos`).
    pub sos: bool,
    /// IMEI from `+sip.instance`.
    pub imei: Option<String>,
    /// Seconds until it expires.
    pub expires: u64,
    /// Transport token, `UDP` or `TCP`.
    pub transport: &'static str,
    /// Where it registered from.
    pub remote: Option<SocketAddr>,
    /// How the user authenticated: `none`, `MD5`, `AKAv1-MD5`, …
    pub auth: &'static str,
    /// User-Agent of the REGISTER.
    pub user_agent: String,
}

impl BindingView {
    fn of(binding: &Binding, registered: &[String], now: Instant) -> BindingView {
        let contact = &binding.contact;
        BindingView {
            uri: lossy(&contact.uri).into_owned(),
            id: binding.number,
            impus: registered.to_vec(),
            q: contact.q,
            video: contact.video,
            smsip: contact.smsip,
            sms: false,
            sos: contact.sos,
            imei: contact.imei.map(|imei| imei.to_string()),
            expires: binding.remaining_secs(now),
            transport: binding.flow.transport.via_token(),
            remote: Some(binding.origin.source),
            auth: binding.origin.auth,
            user_agent: binding.origin.user_agent.clone(),
        }
    }
}

/// One call, or one leg of it.
#[derive(Clone, Debug, PartialEq)]
pub struct DialogView {
    /// The number that `dialog_stop` takes.
    pub index: u32,
    /// Session id.
    pub session_id: String,
    /// `init`, `ringing`, `start`, `hold` or `stop`.
    pub state: &'static str,
    /// `server` (from the caller) and `client` (to a contact of the callee) of a call between users, `echo` or `mt_call`.
    pub kind: &'static str,
    /// Caller IMPU.
    pub from: String,
    /// Callee IMPU.
    pub to: String,
    /// Whether the party whose side this is, is behind the SIP trunk.
    pub is_trunk: bool,
    /// Session id of the other leg, on a call between users.
    pub peer_session_id: Option<String>,
    /// When it began, Unix seconds.
    pub date: i64,
    /// Seconds since it began, or from its beginning to the end once stopped.
    pub duration: f64,
    /// Why it ended, in words; empty while it runs.
    pub reason: String,
    /// Events, oldest first.
    pub events: Vec<EventView>,
    /// Media.
    pub medias: Vec<MediaView>,
}

impl DialogView {
    /// The dialog that a person names: by index, by session id, or with `*` or `last` the one that began last.
    pub fn named<'d>(dialogs: &'d [DialogView], name: &str) -> Option<&'d DialogView> {
        match name {
            "*" | "last" => dialogs.iter().max_by_key(|d| (d.date, d.index)),
            _ => {
                let index = name.parse::<u32>().ok();
                dialogs.iter().find(|d| d.session_id == name || Some(d.index) == index)
            }
        }
    }

    /// The identity of the party whose side this is: the callee on the client side of a call between users, else the caller.
    pub fn party(&self) -> &str {
        if matches!(self.kind, "client" | "mt_call") { &self.to } else { &self.from }
    }
}

/// Something that happened in a dialog's life.
#[derive(Clone, Debug, PartialEq)]
pub struct EventView {
    /// `state`, `send` or `recv`.
    pub kind: &'static str,
    /// Seconds since the dialog began.
    pub timestamp: f64,
    /// The state at that time; for `send` and `recv`, see `text`.
    pub state: &'static str,
    /// The message, `INVITE` or `200 INVITE`, for `send` and `recv`.
    pub text: String,
}

/// A whole call, message by message, as it looks from here.
#[derive(Clone, Debug, PartialEq)]
pub struct LadderView {
    /// The index of the call's first dialog.
    pub index: u32,
    /// Who takes part: the caller, this server, then the callee, or each of its contacts that was called.
    pub parties: Vec<String>,
    /// What happened, oldest first.
    pub steps: Vec<LadderStep>,
}

/// A message of a call, or a note between messages.
#[derive(Clone, Debug, PartialEq)]
pub struct LadderStep {
    /// Seconds since the call's creation.
    pub at: f64,
    /// A message's sender and receiver, by their place among the parties; none for a note.
    pub ends: Option<(usize, usize)>,
    /// `INVITE (sdp)`, `183 INVITE (sdp, rel 1)`, or a note's words.
    pub text: String,
    /// How often the message was seen.
    pub times: u16,
}

/// An identity without scheme and parameters: `+33600000001`, `alice@ims.test`.
pub fn short_identity(uri: &str) -> &str {
    let schemes = ["sip:", "sips:", "tel:"];
    let rest = schemes.iter().find_map(|scheme| uri.strip_prefix(scheme)).unwrap_or(uri);
    rest.split(';').next().unwrap_or(rest)
}

/// One media stream of a dialog.
#[derive(Clone, Debug, PartialEq)]
pub struct MediaView {
    /// `audio`, `video` or `text`.
    pub kind: &'static str,
    /// What the last answer chose, `AMR-WB/16000`; empty before there is one.
    pub codec: String,
    /// `disabled`, `required`, `pending` or `erab_set`.
    pub qos: &'static str,
    /// `sendrecv`, `sendonly`, `recvonly` or `inactive`.
    pub dir: &'static str,
    /// Where RTP goes, when the media passes through us.
    pub rtp_addr: Option<SocketAddr>,
    /// RTP packets received.
    pub rtp_recv_count: u64,
    /// RTP packets sent.
    pub rtp_send_count: u64,
    /// Where RTCP goes.
    pub rtcp_addr: Option<SocketAddr>,
    /// RTCP packets received.
    pub rtcp_recv_count: u64,
    /// RTCP packets sent.
    pub rtcp_send_count: u64,
    /// RTP that comes in is not passed on.
    pub rtp_block: bool,
    /// Nor is RTCP.
    pub rtcp_block: bool,
}

impl MediaView {
    /// A stream whose packets do not pass here, or have not yet.
    pub fn new(kind: &'static str, dir: &'static str) -> Self {
        MediaView {
            kind,
            codec: String::new(),
            qos: "disabled",
            dir,
            rtp_addr: None,
            rtp_recv_count: 0,
            rtp_send_count: 0,
            rtcp_addr: None,
            rtcp_recv_count: 0,
            rtcp_send_count: 0,
            rtp_block: false,
            rtcp_block: false,
        }
    }

    /// The stream with what the media table knows of its packets.
    #[must_use]
    pub fn with_packets(self, session: &SessionView) -> Self {
        let SessionView { rtp, rtcp, counters, treatment, .. } = session;
        MediaView {
            rtp_addr: *rtp,
            rtp_recv_count: counters.rtp_recv,
            rtp_send_count: counters.rtp_send,
            rtcp_addr: *rtcp,
            rtcp_recv_count: counters.rtcp_recv,
            rtcp_send_count: counters.rtcp_send,
            rtp_block: treatment.rtp_block,
            rtcp_block: treatment.rtcp_block,
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dialog(index: u32, session_id: &str, date: i64) -> DialogView {
        DialogView {
            index,
            session_id: session_id.to_owned(),
            state: "start",
            kind: "echo",
            from: String::new(),
            to: String::new(),
            is_trunk: false,
            peer_session_id: None,
            date,
            duration: 0.0,
            reason: String::new(),
            events: Vec::new(),
            medias: Vec::new(),
        }
    }

    #[test]
    fn a_dialog_is_named_by_index_by_session_id_or_as_the_latest() {
        let all = [dialog(20, "bbb", 7), dialog(10, "aaa", 7), dialog(30, "ccc", 6)];
        let named = |name| DialogView::named(&all, name).map(|d| d.index);
        assert_eq!(["10", "aaa", "last", "*"].map(named), [Some(10), Some(10), Some(20), Some(20)]);
        assert_eq!(["1", "", "AAA", "-10"].map(named), [None; 4]);
        assert_eq!(DialogView::named(&[], "last"), None);
    }

    #[test]
    fn identities_are_shown_without_what_people_do_not_dial() {
        for (uri, short) in [
            ("tel:+33600000001", "+33600000001"),
            ("sip:alice@ims.test;user=phone", "alice@ims.test"),
            ("sips:a@b", "a@b"),
            ("urn:service:sos", "urn:service:sos"),
            ("", ""),
        ] {
            assert_eq!(short_identity(uri), short);
        }
    }
}
