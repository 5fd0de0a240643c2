//! The configuration as the service reads it: typed, defaulted, with every address resolved and every identity derived.
//!
//! `schema` says what a file may hold, `load` turns a document into this; nothing below is optional that has a default.

use crate::proto::flow::LocalId;
use crate::proto::media::table::Treatment;
use crate::proto::sip::sec_agree::{Encryption, Integrity, Policy};
use crate::wire::sdp::Template;
pub use crate::wire::sip::CustomHeader;
use crate::wire::sip::Uri;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Everything that a configuration file says.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// The SIP server sockets (`sip_addr`), in file order. At least one.
    pub sip: Vec<SipSocket>,
    /// Global SIP domain for IMPUs and authentication (`domain`), when given.
    pub domain: Option<String>,
    /// SIP transport, timer and header settings.
    pub protocol: SipSettings,
    /// Registration settings.
    pub registration: RegistrationSettings,
    /// IPsec settings.
    pub ipsec: IpsecSettings,
    /// Call settings.
    pub call: CallSettings,
    /// The SIP trunk (`trunk`), when there is one.
    pub trunk: Option<Trunk>,
    /// Where MMEs connect over SCTP, for SGs (`sctp_addr`), when given.
    pub sgs: Option<SocketAddr>,
    /// The SMS centre.
    pub sms: SmsSettings,
    /// Log file and options.
    pub log: LogSettings,
    /// The Unix socket of the monitor (`monitor_socket`), when given.
    pub monitor_socket: Option<PathBuf>,
    /// File that keeps the state over a restart (`ue_db_filename`), resolved against the configuration's folder.
    pub state_file: Option<PathBuf>,
    /// The echo numbers (`echo`).
    pub echo: Vec<Impu>,
    /// The users (`ue_db`), `count` expanded.
    pub users: Vec<User>,
    /// The folder that file names are relative to: the configuration file's.
    pub folder: PathBuf,
}

/// One SIP server socket: UDP and TCP on the same address and port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SipSocket {
    /// The address that phones use; it stands in Via, Contact, Service-Route and SDP.
    pub addr: SocketAddr,
    /// The address to bind (`bind_addr`), `addr` unless given.
    pub bind: SocketAddr,
    /// Lowest media port.
    pub port_min: u16,
    /// Highest media port.
    pub port_max: u16,
    /// Whether this socket faces the SIP trunk.
    pub trunk: bool,
}

/// An outside SIP server that calls go to and come from (`trunk`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trunk {
    /// Its address.
    pub addr: SocketAddr,
    /// The socket that faces it: one of `Config::sip`.
    pub local: LocalId,
    /// The account that our requests name; none: the caller's own number.
    pub name: Option<String>,
    /// The domain of its URIs, with a port unless that is 5060.
    pub domain: String,
    /// Requests longer than this go by TCP, octets; none: as everywhere.
    pub tcp_threshold: Option<usize>,
    /// Whether calls of callers who want to be unknown go to it and are taken from it.
    pub anonymous: bool,
}

/// SIP transport, timer and header settings.
#[derive(Clone, Debug, PartialEq)]
pub struct SipSettings {
    /// Requests longer than this go by TCP where the peer's flow allows it; octets (RFC 3261 18.1.1).
    pub tcp_threshold: usize,
    /// Idle time before TCP keep-alives; zero is off.
    pub tcp_keepalive: Duration,
    /// Unanswered keep-alives before a connection is closed.
    pub tcp_keepcount: u32,
    /// T1 (RFC 3261 17, TS 24.229 table 7.7.1).
    pub timer_t1: Duration,
    /// T2.
    pub timer_t2: Duration,
    /// T4.
    pub timer_t4: Duration,
    /// User-Agent of requests and Server of responses.
    pub user_agent: String,
    /// Whether `user_agent` replaces the far end's User-Agent.
    pub force_user_agent: bool,
    /// Headers to add to, or remove from, what we send.
    pub custom_headers: Vec<CustomHeader>,
}

impl Default for SipSettings {
    fn default() -> Self {
        SipSettings {
            tcp_threshold: 1300,
            tcp_keepalive: Duration::from_secs(900),
            tcp_keepcount: 2,
            timer_t1: Duration::from_secs(2),
            timer_t2: Duration::from_secs(16),
            timer_t4: Duration::from_secs(17),
            user_agent: concat!("imsbox/", env!("CARGO_PKG_VERSION")).to_owned(),
            force_user_agent: true,
            custom_headers: Vec::new(),
        }
    }
}

/// Registration settings.
#[derive(Clone, Debug, PartialEq)]
pub struct RegistrationSettings {
    /// Default and longest registration (`binding_expires`).
    pub binding_expires: Duration,
    /// Shortest registration that is granted; less is answered 423 (RFC 3261 10.3).
    pub min_expires: Duration,
    /// Subscription duration; zero takes the UE's (`subscribe_expires`).
    pub subscribe_expires: Duration,
    /// Challenge REGISTER only (`auth_on_register_only`).
    pub auth_on_register_only: bool,
    /// Challenge with 407 instead of 401 (`proxy_auth`).
    pub proxy_auth: bool,
    /// The Path header of REGISTER responses for UEs that support it (`path`); empty is none.
    pub path: String,
}

impl Default for RegistrationSettings {
    fn default() -> Self {
        RegistrationSettings {
            binding_expires: Duration::from_secs(3600),
            min_expires: Duration::from_secs(60),
            subscribe_expires: Duration::ZERO,
            auth_on_register_only: true,
            proxy_auth: false,
            path: "sip:ims.mnc001.mcc001.3gppnetwork.org".to_owned(),
        }
    }
}

/// IPsec between the phones and us (RFC 3329, TS 33.203).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IpsecSettings {
    /// Whether it is used (`ipsec`), for users who do not say otherwise.
    pub policy: Policy,
    /// Integrity algorithms, best first (`ipsec_aalg_list`); they decide among pairs of the same encryption.
    pub integrity: Vec<Integrity>,
    /// Encryption algorithms, best first (`ipsec_ealg_list`).
    pub encryption: Vec<Encryption>,
    /// The first protected server port of each address (`ipsec_port_s`); 0 leaves the choice to the kernel.
    pub port_s: u16,
    /// The first protected client port of each address (`ipsec_port_c`); 0 leaves the choice to the kernel.
    pub port_c: u16,
}

impl IpsecSettings {
    /// Protected server ports of each address, from `port_s` on: a UE that comes back with the same port while its old
    /// associations live gets another one.
    pub const SERVER_PORTS: u16 = 2;

    /// Protected client ports of each server port, from `port_c` on: those of the first server port come first. A renewed
    /// set of associations takes another one.
    pub const CLIENT_PORTS: u16 = 4;
}

impl Default for IpsecSettings {
    fn default() -> Self {
        IpsecSettings {
            policy: Policy::Optional,
            integrity: Integrity::ALL.to_vec(),
            encryption: Encryption::ALL.to_vec(),
            port_s: 6100,
            port_c: 5100,
        }
    }
}

/// Session timer settings (`session_expires`, RFC 4028).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionTimer {
    /// Session-Expires.
    pub duration: Duration,
    /// Min-SE.
    pub min: Duration,
    /// Whether the caller's side refreshes (`refresher: "uac"`).
    pub refresher_is_uac: bool,
    /// Whether UPDATE refreshes (`method: "update"`), else re-INVITE.
    pub with_update: bool,
    /// Whether the refresher is imposed in requests that we send.
    pub force: bool,
}

impl Default for SessionTimer {
    fn default() -> Self {
        SessionTimer {
            duration: Duration::from_secs(1800),
            min: Duration::from_secs(90),
            refresher_is_uac: true,
            with_update: true,
            force: true,
        }
    }
}

/// How preconditions and dedicated bearers are handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Precondition {
    /// As the UE asks.
    #[default]
    On,
    /// Never.
    Off,
    /// A bearer whatever the SDP says.
    Silent,
}

/// Whether media between users passes through us (`media_relay`, a property of ours).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum MediaRelay {
    /// Where it would not arrive otherwise, or something is to be done to it.
    #[default]
    Auto,
    /// Always.
    On,
    /// Never.
    Off,
}

/// Call settings.
#[derive(Clone, Debug, PartialEq)]
pub struct CallSettings {
    /// A call is ended after this long without activity (`dialog_timeout`).
    pub dialog_timeout: Duration,
    /// Session timer.
    pub session_timer: SessionTimer,
    /// `100rel`.
    pub reliable_provisional: bool,
    /// `use183`.
    pub use183: bool,
    /// `early_media`.
    pub early_media: bool,
    /// `allow_held_invite`.
    pub allow_held_invite: bool,
    /// `precondition`.
    pub precondition: Precondition,
    /// `p_called_party_id`.
    pub p_called_party_id: bool,
    /// `media_relay`.
    pub media_relay: MediaRelay,
    /// `mt_call_sdp_file`: the media offered in calls that the network makes, when given.
    pub mt_call_sdp: Option<Arc<Template>>,
}

impl Default for CallSettings {
    fn default() -> Self {
        CallSettings {
            dialog_timeout: Duration::from_secs(30),
            session_timer: SessionTimer::default(),
            reliable_provisional: true,
            use183: true,
            early_media: true,
            allow_held_invite: true,
            precondition: Precondition::On,
            p_called_party_id: false,
            media_relay: MediaRelay::Auto,
            mt_call_sdp: None,
        }
    }
}

/// The SMS centre (`sms_*`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmsSettings {
    /// How long an undelivered SMS is kept whose sender does not say (`sms_expires`).
    pub expires: Duration,
    /// Time between two attempts to deliver an SMS (`sms_retry_delay`).
    pub retry_delay: Duration,
    /// SMS are handed to the remote API's clients only, while there are some (`sms_hook_only`).
    pub hook_only: bool,
    /// `sms_centre_address`.
    pub centre: CentreAddress,
    /// `sms_message_filter`.
    pub filter: SmsFilter,
    /// The CP cause that replaces ours (`sms_forced_cp_cause`).
    pub forced_cp_cause: Option<u8>,
    /// The RP cause that replaces ours (`sms_forced_rp_cause`).
    pub forced_rp_cause: Option<u8>,
}

impl SmsSettings {
    /// `sms_retry_delay` where it is not given: a phone that was in a lift is out of it, and one that answers nothing is asked
    /// 1,440 times a day.
    pub const RETRY_DELAY: Duration = Duration::from_secs(60);
}

impl Default for SmsSettings {
    fn default() -> Self {
        SmsSettings {
            expires: Duration::from_secs(86_400),
            retry_delay: SmsSettings::RETRY_DELAY,
            hook_only: false,
            centre: CentreAddress::default(),
            filter: SmsFilter::default(),
            forced_cp_cause: None,
            forced_rp_cause: None,
        }
    }
}

/// The address of the SMS centre, as phones see it (TS 24.011 8.2.5.1).
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct CentreAddress {
    /// Its digits, without `+`; none when no number is given.
    pub digits: Option<String>,
    /// Type of number: 0 unknown, 1 international, 2 national.
    pub ton: u8,
    /// Numbering plan: 0 unknown, 8 national, 9 private.
    pub npi: u8,
}

/// What is done with the messages of the relay and connection protocols (`sms_message_filter`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct SmsFilter {
    /// CP-DATA of phones.
    pub cp_data: FilterRule,
    /// CP-ACK of phones.
    pub cp_ack: FilterRule,
    /// RP-DATA of phones.
    pub rp_data: FilterRule,
    /// RP-ACK of phones.
    pub rp_ack: FilterRule,
}

/// What is done with one kind of message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct FilterRule {
    /// What is done.
    pub action: FilterAction,
    /// With how many of them, after which they are treated; none: with all.
    pub times: Option<u32>,
}

/// What is done with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum FilterAction {
    /// It is processed.
    #[default]
    Treat,
    /// It is passed over, as if it had not come.
    Ignore,
    /// It is refused.
    Reject,
}

/// Log settings.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct LogSettings {
    /// The log file (`log_filename`), resolved against the configuration's folder.
    pub filename: Option<PathBuf>,
    /// `log_options`, unparsed: its own small language is `api::log_options`'s, which the monitor's `log` command shares.
    pub options: String,
    /// Write every line at once (`log_sync`).
    pub sync: bool,
}

/// The least authentication that a user must pass, weakest first (`authent_type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum AuthentType {
    /// None.
    None,
    /// Digest with a password.
    Md5,
    /// AKAv1-MD5 (RFC 3310).
    #[default]
    AkaV1,
    /// AKAv2-MD5 (RFC 4169).
    AkaV2,
    /// AKAv2-SHA-256.
    AkaV2Sha256,
}

/// The authentication functions of a SIM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SimAlgo {
    /// The test algorithm of TS 34.108 8.1.2.
    Xor,
    /// TS 35.206.
    Milenage {
        /// Whether and how the operator code is given.
        op: OperatorCode,
        /// Rotation constants r1..r5, in bits.
        r: [u8; 5],
        /// Addition constants c1..c5.
        c: [[u8; 16]; 5],
    },
    /// TS 35.231.
    Tuak {
        /// TOP or TOPc, 32 octets.
        top: OperatorCodeTuak,
        /// Keccak iterations.
        keccak_iter: u32,
    },
}

/// Milenage operator code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperatorCode {
    /// OP, from which OPc follows.
    Op([u8; 16]),
    /// OPc.
    Opc([u8; 16]),
}

/// TUAK operator code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperatorCodeTuak {
    /// TOP, from which TOPc follows.
    Top([u8; 32]),
    /// TOPc.
    Topc([u8; 32]),
}

/// Key material and authentication functions of one SIM application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sim {
    /// The algorithm with its constants.
    pub algo: SimAlgo,
    /// K: 16 octets, or 32 for TUAK-256.
    pub k: Vec<u8>,
    /// Authentication management field.
    pub amf: [u8; 2],
    /// First sequence number, 48 bits.
    pub sqn: u64,
    /// The SIM tells its sequence number at its first challenge (`force_sqn_resync`).
    pub force_sqn_resync: bool,
    /// Length of RES in octets.
    pub res_len: usize,
    /// The algorithms that the entry has an operator code for but does not name, for a diagnosis.
    pub unused: Vec<SimAlgo>,
}

/// One user (`ue_db` entry).
#[derive(Clone, Debug, PartialEq, Default)]
pub struct User {
    /// IMSI digits; empty when the user is known by `nai` or IMPI only.
    pub imsi: String,
    /// Private identity, given or derived (TS 23.003 13.3).
    pub impi: String,
    /// Home domain: the user's, else the global one, else derived from the IMSI (TS 23.003 13.2).
    pub domain: String,
    /// Public identities, given or derived, never none. The one that follows from the IMSI (or, without one, from the
    /// IMPI) is always there: where it is not among the given ones it comes last, and is `barred` unless it is the only
    /// one or the user name of a password user.
    pub impus: Vec<Impu>,
    /// SIM keys, the ISIM's where `isim_auth` gives them; none for password users.
    pub sim: Option<Sim>,
    /// Password (`pwd`).
    pub password: Option<String>,
    /// Least authentication.
    pub authent_type: AuthentType,
    /// `authent_qop`: offered qop values, empty for none.
    pub qop: Vec<String>,
    /// `auth_on_register_only`, the user's else the global one.
    pub auth_on_register_only: bool,
    /// `proxy_auth`, the user's else the global one.
    pub proxy_auth: bool,
    /// Several UEs may share the IMSI (`multi_sim`).
    pub multi_sim: bool,
    /// Whether IPsec is used with the user's phones: `ipsec`, the user's else the global one.
    pub ipsec: Policy,
    /// `force_sms_over_sg`.
    pub force_sms_over_sg: bool,
    /// `msisdn` digits, when given.
    pub msisdn: Option<String>,
    /// `mt_call_sdp_file` of this user, when given.
    pub mt_call_sdp: Option<Arc<Template>>,
}

/// One public identity (IMPU), of a user or of the echo service.
#[derive(Clone, Debug, PartialEq)]
pub struct Impu {
    /// The identity: a complete URI (`sip:user@domain`, `tel:+33…`, `urn:service:sos`).
    pub uri: String,
    /// `domain`, when given: a SIP identity has it in `uri`, the SIP form of a number takes it.
    pub domain: Option<String>,
    /// POSIX extended regular expression over an IMPU in a header (`match`), when given.
    pub pattern: Option<String>,
    /// The identity is usable in REGISTER only and never asserted (TS 23.003 13.4B).
    pub barred: bool,
    /// First in P-Associated-URI and used in P-Asserted-Identity.
    pub asserted: bool,
    /// Whether it stands in P-Associated-URI.
    pub associated: bool,
    /// Preferred identity.
    pub preferred: bool,
    /// Anonymous callers are let in / the identity is hidden.
    pub anonymous: bool,
    /// How long an anonymous caller can be called back after its call (`anonymous_callback`); zero: not at all.
    pub anonymous_callback: Duration,
    /// `emergency`.
    pub emergency: Emergency,
    /// Whether requests of, or to, this identity are authenticated.
    pub authentication: bool,
    /// Ring and no more.
    pub ring_only: bool,
    /// Only UEs with this IMEI.
    pub imei: Option<String>,
    /// Display name.
    pub display_name: Option<String>,
    /// Echo: answer with this code instead of 200.
    pub code: Option<u16>,
    /// Echo: the body that goes with `code`.
    pub content: Option<AnswerBody>,
    /// Echo: delay of the 200.
    pub answer_delay: Duration,
    /// Echo: the operator answers (`remote_control`).
    pub remote_control: bool,
    /// Echo: the media that are answered and offered (`sdp_file`), when given.
    pub sdp: Option<Arc<Template>>,
    /// `;user=phone` is added.
    pub phone: bool,
    /// `verstat` parameter of P-Asserted-Identity.
    pub verstat: Option<String>,
    /// `reauthenticate`: challenge every re-REGISTER.
    pub reauthenticate: bool,
    /// `p_called_party_id`: the value that is forced, when given.
    pub p_called_party_id: Option<String>,
    /// `100rel` for this identity.
    pub reliable_provisional: bool,
    /// `use183`.
    pub use183: bool,
    /// `early_media` for this identity.
    pub early_media: bool,
    /// `audio`: false rejects that media.
    pub audio: bool,
    /// `video`: false rejects that media.
    pub video: bool,
    /// `text`: false rejects that media.
    pub text: bool,
    /// `sms`: false takes no SMS over IMS.
    pub sms: bool,
    /// `sms_delay`: how long an SMS to it waits before it is delivered.
    pub sms_delay: Duration,
    /// `rtp`, `rtcp`, `media_delay`: what is done to the media packets that this identity sends.
    pub packets: Treatment,
    /// `media_relay` for calls of this identity, when given.
    pub media_relay: Option<MediaRelay>,
    /// Session timer of this identity, when given.
    pub session_timer: Option<SessionTimer>,
    /// Precondition mode of this identity, when given.
    pub precondition: Option<Precondition>,
}

/// Whether an identity is an emergency service, and which calls to it are told to come another way (`emergency`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Emergency {
    /// It is none.
    #[default]
    No,
    /// Calls are taken however they come.
    Any,
    /// A phone that has not registered for emergency calls is to do that first (`emergency-registration`).
    Registered,
    /// A phone that has not registered for emergency calls is to call without registration (`anonymous-emergencycall`).
    Anonymous,
}

impl Emergency {
    /// What an identity is that does not say: an emergency service if it is named as one (RFC 5031 4.2).
    pub fn of(uri: &str) -> Emergency {
        let is_sos = Uri::parse(uri.as_bytes()).is_some_and(|uri| uri.is_sos());
        if is_sos { Emergency::Any } else { Emergency::No }
    }
}

/// A body for an answer (`content`, `content_type`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnswerBody {
    /// The file that it comes from.
    pub file: PathBuf,
    /// Content-Type.
    pub content_type: String,
    /// What the file held when the configuration was read.
    pub octets: Vec<u8>,
}

impl Impu {
    /// An identity with every default.
    pub fn new(uri: impl Into<String>) -> Self {
        let uri = uri.into();
        Impu {
            emergency: Emergency::of(&uri),
            uri,
            domain: None,
            pattern: None,
            barred: false,
            asserted: false,
            associated: true,
            preferred: false,
            anonymous: false,
            anonymous_callback: Duration::ZERO,
            authentication: true,
            ring_only: false,
            imei: None,
            display_name: None,
            code: None,
            content: None,
            answer_delay: Duration::ZERO,
            remote_control: false,
            sdp: None,
            phone: false,
            verstat: None,
            reauthenticate: false,
            p_called_party_id: None,
            reliable_provisional: true,
            use183: true,
            early_media: true,
            audio: true,
            video: true,
            text: true,
            sms: true,
            sms_delay: Duration::ZERO,
            packets: Treatment::default(),
            media_relay: None,
            session_timer: None,
            precondition: None,
        }
    }
}

impl SipSocket {
    /// A socket on `ip:port` with the default media ports.
    pub fn new(ip: IpAddr, port: u16) -> Self {
        let addr = SocketAddr::new(ip, port);
        SipSocket { addr, bind: addr, port_min: 10_000, port_max: 20_000, trunk: false }
    }
}
