//! The properties of the top level (manual 5.2) and of the objects in it.

use super::model::IpsecSettings;
use super::schema::Fallback::{Bool, Members, Nothing, Number, Required, Said, Text};
use super::schema::{Kind, Property, Scope, Unit, feature};

const fn property(
    name: &'static str,
    kind: Kind,
    default: super::schema::Fallback,
    doc: &'static str,
) -> Property {
    Property::new(name, kind, default, doc)
}

const SIP_ADDR_ITEM: Kind = Kind::Any(&[Kind::Address(5060), Kind::Object(Scope::SipAddr)]);
const WORDS: Kind = Kind::List(&Kind::Text, 0, 1000);
const SESSION: Kind = Kind::Any(&[Kind::Int(90, 86_400), Kind::Object(Scope::SessionExpires)]);
const IMPU_ITEM: Kind = Kind::Any(&[Kind::Identity, Kind::Object(Scope::Impu)]);
const PRECONDITION: Kind = Kind::Any(&[Kind::Bool, Kind::Word(&["on", "off", "silent"])]);
/// As it stands for all, and for one identity.
pub(super) const MEDIA_RELAY: Kind = Kind::Any(&[Kind::Bool, Kind::Word(&["auto", "on", "off"])]);
const IPSEC: Kind = Kind::Any(&[Kind::Bool, Kind::Word(&["off", "optional", "required"])]);
const NO_TUN: &str = "IPsec is the kernel's, without a TUN interface";
const LAST_PORT: i64 = 65_535;
const SERVER_PORTS: i64 = IpsecSettings::SERVER_PORTS as i64;
const CLIENT_PORTS: i64 = IpsecSettings::CLIENT_PORTS as i64;
const DAY: i64 = 86_400;
const WATCHDOG: Kind = Kind::Int(0, 36_000_000);

/// The top level.
pub const GLOBAL: &[Property] = &[
    property("log_filename", Kind::File, Nothing, "The log file, relative to the configuration file."),
    property(
        "log_options",
        Kind::Lines,
        Text(""),
        "Comma-separated assignments: <layer>.level=none|error|info|debug, <layer>.max_size=<octets>, <layer>.key=0|1 (keys of IPsec), \
         time=sec|short|full, time.us=0|1, file.rotate=<size>[K|M|G], file.path=<folder>, append=0|1. Layers: ims, sip, \
         media, rx, cx, ipsec, all.",
    ),
    property("log_sync", Kind::Bool, Bool(false), "Write every log line at once; slower."),
    property("monitor_socket", Kind::File, Nothing, "Unix socket at which `imsbox monitor` reaches a running imsbox."),
    property(
        "sip_addr",
        Kind::Any(&[Kind::Address(5060), Kind::Object(Scope::SipAddr), Kind::List(&SIP_ADDR_ITEM, 1, 64)]),
        Required,
        "The SIP server sockets, UDP and TCP: addresses with an optional port (5060), or objects.",
    ),
    property(
        "domain",
        Kind::Text,
        Said("derived from each user's IMSI"),
        "SIP domain of identities and authentication, where a user has none of its own.",
    ),
    property(
        "tcp_threshold",
        Kind::Int(0, 65_535),
        Number(1300.0),
        "Requests longer than this go over TCP instead of UDP, where the phone's registration allows it.",
    )
    .unit(Unit::Octets),
    property("tcp_keepalive", Kind::Int(0, DAY), Number(900.0), "Idle time before TCP keep-alives; 0 turns them off.")
        .unit(Unit::Seconds),
    property(
        "tcp_keepcount",
        Kind::Int(1, 127),
        Number(2.0),
        "Unanswered TCP keep-alives before the connection is closed.",
    ),
    property("timer_t1", Kind::Number(0.01, 64.0), Number(2.0), "SIP timer T1: the round-trip estimate.")
        .unit(Unit::Seconds),
    property("timer_t2", Kind::Number(0.01, 64.0), Number(16.0), "SIP timer T2: the longest retransmission interval.")
        .unit(Unit::Seconds),
    property("timer_t4", Kind::Number(0.01, 64.0), Number(17.0), "SIP timer T4: how long a message stays in the network.")
        .unit(Unit::Seconds),
    property("user_agent", Kind::Text, Said("imsbox/<version>"), "User-Agent of requests, Server of responses."),
    property("force_user_agent", Kind::Bool, Bool(true), "Replace the far end's User-Agent; false forwards it."),
    property(
        "custom_headers",
        Kind::List(&Kind::Object(Scope::CustomHeader), 0, 1000),
        Nothing,
        "Headers to add to, replace in or remove from the messages that are sent.",
    ),
    property("binding_expires", Kind::Int(1, 864_000), Number(3600.0), "Duration of a registration, default and longest.")
        .unit(Unit::Seconds),
    property(
        "auth_on_register_only",
        Kind::Bool,
        Bool(true),
        "Authenticate REGISTER only. A user can say otherwise.",
    ),
    property("proxy_auth", Kind::Bool, Bool(false), "Challenge with 407 and Proxy-Authenticate instead of 401."),
    property(
        "path",
        Kind::Text,
        Text("sip:ims.mnc001.mcc001.3gppnetwork.org"),
        "Path header of REGISTER responses for phones that support it; empty leaves it out.",
    ),
    property("p_called_party_id", Kind::Bool, Bool(false), "Send P-Called-Party-ID in INVITE and MESSAGE."),
    property("dialog_timeout", Kind::Int(1, DAY), Number(30.0), "A call without activity for so long is ended.")
        .unit(Unit::Seconds),
    property(
        "session_expires",
        SESSION,
        Members(Scope::SessionExpires),
        "The session timer of each side of a call (RFC 4028): an object, or its duration alone.",
    )
    .unit(Unit::Seconds),
    property(
        "media_relay",
        MEDIA_RELAY,
        Text("auto"),
        "Media between users through imsbox: auto (where one phone has IPv4 and the other IPv6, or an identity's media_delay, \
         rtp or rtcp want it), on, off. true is on, false is off.",
    ),
    property("100rel", Kind::Bool, Bool(true), "Support reliable provisional responses."),
    property("use183", Kind::Bool, Bool(true), "Send 183 Session Progress."),
    property("early_media", Kind::Bool, Bool(true), "Handle early media."),
    property("allow_held_invite", Kind::Bool, Bool(true), "A call may start on hold; false un-holds it."),
    property(
        "precondition",
        PRECONDITION,
        Text("on"),
        "Preconditions and dedicated bearers: on (as the phone asks), off, silent (a bearer whatever the SDP says). \
         true is on, false is off.",
    )
    .pending_values(&[("silent", feature::QOS)]),
    property(
        "echo",
        Kind::Any(&[Kind::Identity, Kind::Object(Scope::Impu), Kind::List(&IMPU_ITEM, 0, 10_000)]),
        Nothing,
        "The numbers that answer and send back what they hear: identities or objects.",
    ),
    property("ue_db", Kind::List(&Kind::Object(Scope::User), 0, 1_000_000), Nothing, "The users."),
    property(
        "ue_db_filename",
        Kind::File,
        Nothing,
        "File that keeps registrations, their security associations, SQNs and what is pending over a restart; print it with imsbox db dump.",
    ),
    property(
        "ipsec",
        IPSEC,
        Text("optional"),
        "IPsec with phones (RFC 3329, TS 33.203): off, optional (with every phone that offers it), required (nobody \
         registers without it). true is optional, false is off. A user can say otherwise.",
    ),
    property(
        "ipsec_aalg_list",
        WORDS,
        Said("all that the kernel has, in the order of this text"),
        "Integrity algorithms, best first: aes-gmac, hmac-sha-1-160, hmac-sha-1-96, aes-cmac-96, hmac-md5-128, \
         hmac-md5-96, \"null\" (which is for aes-gcm). They decide where the encryption is the same.",
    ),
    property(
        "ipsec_ealg_list",
        WORDS,
        Said("all that the kernel has, in the order of this text"),
        "Encryption algorithms, best first: aes-gcm, aes-cbc, des-ede3-cbc, blowfish, \"null\". With \"null\" first what \
         goes through can be read in a capture.",
    ),
    property(
        "ipsec_port_s",
        Kind::Int(0, LAST_PORT - SERVER_PORTS + 1),
        Number(6100.0),
        "First of the 2 protected server ports of each address of sip_addr; 0 leaves the choice to the kernel.",
    ),
    property(
        "ipsec_port_c",
        Kind::Int(0, LAST_PORT - SERVER_PORTS * CLIENT_PORTS + 1),
        Number(5100.0),
        "First of the 8 protected client ports of each address of sip_addr; 0 leaves the choice to the kernel.",
    ),
    property("ipsec_mtu", Kind::Int(68, 65_535), Number(1400.0), "MTU of another IMS server's IPsec interface.")
        .unit(Unit::Octets)
        .needless("the kernel's IPsec has no interface of its own; the MTU is that of the route to the phone (ip route)"),
    property("ipsec_ifname", Kind::Text, Nothing, "TUN interface of another IMS server's IPsec.").needless(NO_TUN),
    property("ipsec_netns", Kind::Text, Nothing, "Network namespace of that interface.").needless(NO_TUN),
    property("ipsec_tun_setup_script_filename", Kind::File, Nothing, "Script that sets that interface up.")
        .needless(NO_TUN),
    property("sctp_addr", Kind::Address(29_118), Nothing, "Where MMEs connect over SCTP, for SMS over SGs."),
    property("cx_server_addr", Kind::Address(3868), Nothing, "The HSS.").pending(feature::DIAMETER),
    property("cx_bind_addr", Kind::Address(0), Said("sctp_addr"), "Local address of the Cx connection.")
        .pending(feature::DIAMETER),
    property("cx_origin_realm", Kind::Text, Text("amarisoft.com"), "Origin-Realm of Cx.").pending(feature::DIAMETER),
    property("cx_origin_host", Kind::Text, Text("ims.amarisoft.com"), "Origin-Host of Cx.").pending(feature::DIAMETER),
    property("cx_watchdog_duration", WATCHDOG, Number(0.0), "Device watchdog timer Tw of Cx; 0 is off.")
        .unit(Unit::Milliseconds)
        .pending(feature::DIAMETER),
    property("rx_server_addr", Kind::Address(3868), Said("cx_server_addr"), "The PCRF.").pending(feature::DIAMETER),
    property("rx_bind_addr", Kind::Address(0), Said("cx_bind_addr"), "Local address of the Rx connection.")
        .pending(feature::DIAMETER),
    property("rx_origin_realm", Kind::Text, Text("amarisoft.com"), "Origin-Realm of Rx.").pending(feature::DIAMETER),
    property("rx_origin_host", Kind::Text, Text("ims.amarisoft.com"), "Origin-Host of Rx.").pending(feature::DIAMETER),
    property("rx_watchdog_duration", WATCHDOG, Number(0.0), "Device watchdog timer Tw of Rx; 0 is off.")
        .unit(Unit::Milliseconds)
        .pending(feature::DIAMETER),
    property("use_n5", Kind::Bool, Bool(false), "Use N5 instead of Rx.").pending(feature::N5),
    property("n5", Kind::Object(Scope::N5), Nothing, "The PCF that N5 speaks to.").pending(feature::N5),
    property("trunk", Kind::Object(Scope::Trunk), Nothing, "The SIP trunk: an outside SIP server to which unknown callees go, and whose calls are taken."),
    property("subscribe_expires", Kind::Int(0, 864_000), Number(0.0), "Longest duration of subscriptions; 0 takes the phone's.")
        .unit(Unit::Seconds),
    property("mt_call_sdp_file", Kind::File, Nothing, "Media offered in calls that the network makes (mt_call): a file of m=, b= and a= lines; addresses and ports are ours."),
    property("com_addr", Kind::Address(9003), Nothing, "Where the remote API (WebSocket) listens.")
        .pending(feature::API),
    property("com_name", Kind::Text, Text("IMS"), "Name of this server in the remote API.").pending(feature::API),
    property("com_ssl_certificate", Kind::File, Nothing, "Certificate; turns TLS on.").pending(feature::API),
    property("com_ssl_key", Kind::File, Nothing, "Private key of the certificate.").pending(feature::API),
    property("com_ssl_peer_verify", Kind::Bool, Bool(false), "Ask clients for a certificate.").pending(feature::API),
    property("com_ssl_ca", Kind::File, Nothing, "CA by which clients are verified.").pending(feature::API),
    property("com_auth", Kind::Object(Scope::ComAuth), Nothing, "Password of the remote API.").pending(feature::API),
    property("com_log_lock", Kind::Bool, Bool(false), "The remote API may not change the log options.")
        .pending(feature::API)
        .aliases(&["com_logs_lock"]),
    property("com_log_us", Kind::Bool, Bool(false), "Time stamps of log_get in microseconds.").pending(feature::API),
    property("com_log_count", Kind::Int(4096, 2_097_152), Number(8192.0), "Log records kept for log_get.")
        .pending(feature::API),
    property("sim_events", Kind::List(&Kind::Free, 0, 100_000), Nothing, "Remote API requests executed at start.")
        .pending(feature::API),
    property("sim_events_loop_count", Kind::Int(0, 1_000_000), Number(0.0), "How often each of them is repeated.")
        .pending(feature::API),
    property("sim_events_loop_delay", Kind::Number(0.1, 86_400.0), Nothing, "Time between two repetitions.")
        .unit(Unit::Seconds)
        .pending(feature::API),
    property("sms_expires", Kind::Int(0, 31_536_000), Number(86_400.0), "How long an undelivered SMS is kept.")
        .unit(Unit::Seconds),
    property("sms_retry_delay", Kind::Int(0, DAY), Number(60.0), "Time between two attempts to deliver an SMS.")
        .unit(Unit::Seconds),
    property("sms_hook_only", Kind::Bool, Bool(false), "Hand SMS to the remote API's clients only.")
        .pending(feature::API),
    property("sms_centre_address", Kind::Object(Scope::SmsCentre), Nothing, "Address of the SMS centre."),
    property("sms_message_filter", Kind::Object(Scope::SmsFilter), Nothing, "Treat, ignore or reject SMS messages."),
    property("sms_forced_cp_cause", Kind::Int(0, 255), Number(0.0), "CP error cause to send instead; 0 is off."),
    property("sms_forced_rp_cause", Kind::Int(0, 255), Number(0.0), "RP error cause to send instead; 0 is off."),
    property("mms_server_bind_addr", Kind::Address(80), Nothing, "Where the MMS centre listens.")
        .pending(feature::MMS),
    property("mms_expires", Kind::Int(0, 31_536_000), Number(86_400.0), "How long an undelivered MMS is kept.")
        .unit(Unit::Seconds)
        .pending(feature::MMS),
    property("license_server", Kind::Object(Scope::LicenseServer), Nothing, "Licence server of another IMS server.")
        .needless("imsbox needs no licence"),
];

/// An element of `sip_addr`.
pub const SIP_ADDR: &[Property] = &[
    property(
        "addr",
        Kind::Address(5060),
        Required,
        "The address that phones use, with an optional port (5060).",
    ),
    property(
        "bind_addr",
        Kind::Address(0),
        Said("addr"),
        "The local address to listen at, where it is another one.",
    ),
    property("port_min", Kind::Int(1024, 65_535), Number(10_000.0), "Lowest UDP port of media."),
    property("port_max", Kind::Int(1024, 65_535), Number(20_000.0), "Highest UDP port of media."),
    property(
        "trunk",
        Kind::Bool,
        Bool(false),
        "This socket is the one towards the SIP trunk; else the first of the trunk's IP version is.",
    ),
];

/// `session_expires`.
pub const SESSION_EXPIRES: &[Property] = &[
    property("duration", Kind::Int(90, 86_400), Number(1800.0), "Session-Expires.").unit(Unit::Seconds),
    property("min", Kind::Int(90, 86_400), Number(90.0), "Min-SE.").unit(Unit::Seconds),
    property("refresher", Kind::Word(&["uac", "uas"]), Text("uac"), "Which side refreshes the session."),
    property(
        "method",
        Kind::Word(&["update", "invite"]),
        Text("update"),
        "The request that refreshes the session.",
    ),
    property("force", Kind::Bool, Bool(true), "Impose the refresher in requests that are sent."),
];

/// An element of `custom_headers`; of those in a callflow modifier too, where `methods` and `codes` mean nothing.
pub const CUSTOM_HEADER: &[Property] = &[
    property("name", Kind::Text, Required, "Name of the header."),
    property(
        "value",
        Kind::Any(&[Kind::Text, Kind::Null]),
        Nothing,
        "Its value; without one the header is removed.",
    ),
    property("replace", Kind::Bool, Bool(false), "Keep one occurrence only."),
    property(
        "methods",
        Kind::Any(&[Kind::Text, Kind::List(&Kind::Text, 0, 100)]),
        Nothing,
        "Requests that it goes into: a method or several, * for all.",
    ),
    property(
        "codes",
        Kind::Any(&[Kind::Int(0, 699), Kind::List(&Kind::Int(0, 699), 0, 100)]),
        Nothing,
        "Responses that it goes into: a code or several, 0 for all; with methods too, responses to those.",
    ),
];

/// `trunk`.
pub const TRUNK: &[Property] = &[
    property(
        "addr",
        Kind::Address(5060),
        Required,
        "Its address, with an optional port (5060); names are not looked up. What comes from this address is taken \
         unauthenticated, and the trunk must take calls so.",
    ),
    property(
        "name",
        Kind::Text,
        Nothing,
        "Account at the trunk: the user in From of calls to it; else the caller's number is.",
    ),
    property("domain", Kind::Text, Said("addr"), "SIP domain of the trunk: of callees, and in From."),
    property(
        "tcp_threshold",
        Kind::Int(0, 65_535),
        Number(0.0),
        "Requests to it that are longer go by TCP; 0 is the global one.",
    )
    .unit(Unit::Octets),
    property(
        "anonymous",
        Kind::Bool,
        Bool(false),
        "Forward anonymous calls, to it and from it; else they are refused with 433.",
    ),
];

/// `n5`.
pub const N5: &[Property] = &[
    property("api_root", Kind::Text, Required, "http://host:port or https://host:port of the PCF."),
    property(
        "transaction_timeout",
        Kind::Int(1, 15_000),
        Number(4000.0),
        "How long an answer is waited for.",
    )
    .unit(Unit::Milliseconds),
    property("bind_addr", Kind::Address(0), Said("cx_bind_addr"), "Local address."),
];

/// `com_auth`.
pub const COM_AUTH: &[Property] = &[
    property("passfile", Kind::File, Nothing, "File that holds the password."),
    property("password", Kind::Text, Nothing, "The password, where there is no file."),
    property("unsecure", Kind::Bool, Bool(false), "Let the password be sent in the clear."),
];

/// `sms_centre_address`.
pub const SMS_CENTRE: &[Property] = &[
    property(
        "type_of_number",
        Kind::Word(&["unknown", "international", "national"]),
        Text("unknown"),
        "Type of number.",
    ),
    property(
        "numbering_plan",
        Kind::Word(&["unknown", "national", "private"]),
        Text("unknown"),
        "Numbering plan.",
    ),
    property("number", Kind::Digits(1, 20, true), Nothing, "The number."),
];

const FILTER: Kind =
    Kind::Any(&[Kind::Word(&["treat", "ignore", "reject"]), Kind::Object(Scope::SmsFilterAction)]);

/// `sms_message_filter`.
pub const SMS_FILTER: &[Property] = &[
    property("cp_data", FILTER, Text("treat"), "CP-DATA of phones over SGs."),
    property("cp_ack", FILTER, Text("treat"), "CP-ACK of phones over SGs."),
    property("rp_data", FILTER, Text("treat"), "RP-DATA."),
    property("rp_ack", FILTER, Text("treat"), "RP-ACK."),
];

/// One message of `sms_message_filter`.
pub const SMS_FILTER_ACTION: &[Property] = &[
    property("action", Kind::Word(&["treat", "ignore", "reject"]), Text("treat"), "What is done with it."),
    property("ttl", Kind::Int(1, 1_000_000), Nothing, "How many times; without it, always."),
];

/// `license_server`.
pub const LICENSE_SERVER: &[Property] = &[
    property("server_addr", Kind::Text, Nothing, "Address of the licence server."),
    property("name", Kind::Text, Nothing, "Text shown by the licence server."),
    property("tag", Kind::Text, Nothing, "Licence tag."),
];
