//! The properties of a public identity (manual 5.2.1, `impu`), of users and of echo numbers, and of callflow modifiers.

use super::schema::Fallback::{Bool, Nothing, Number, Required, Said, Text};
use super::schema::{Fallback, Kind, Property, Scope, Unit, feature};
use super::schema_global::MEDIA_RELAY;

const fn property(name: &'static str, kind: Kind, default: Fallback, doc: &'static str) -> Property {
    Property::new(name, kind, default, doc)
}

const HOUR: f64 = 3600.0;

/// An element of `impu` or `echo`.
pub const IMPU: &[Property] = &[
    property("impu", Kind::Identity, Required, "The identity: user, sip:user, tel:number or urn:…."),
    property("domain", Kind::Text, Said("the user's domain"), "Domain of this identity."),
    property(
        "match",
        Kind::Pattern,
        Nothing,
        "POSIX extended regular expression: an identity that it matches uses this entry.",
    ),
    property(
        "imei",
        Kind::Digits(14, 16, false),
        Nothing,
        "Only for the phone with this IMEI; with multi_sim.",
    ),
    property(
        "asserted",
        Kind::Bool,
        Bool(false),
        "First in P-Associated-URI, and used as asserted identity.",
    ),
    property("associated", Kind::Bool, Bool(true), "In P-Associated-URI."),
    property("preferred", Kind::Bool, Bool(false), "Preferred identity, and Request-URI of INVITE.")
        .aliases(&["prefered"]),
    property("anonymous", Kind::Bool, Bool(false), "Emergency calls, and to echo numbers any call, are let in without registration; the identity is hidden."),
    property(
        "emergency",
        Kind::Any(&[Kind::Bool, Kind::Word(&["emergency-registration", "anonymous-emergencycall"])]),
        Said("true for urn:service:sos and what is below it"),
        "The identity is an emergency service, so that 112 can be one. With an action, a phone that has registered in the normal \
         way only, and calls it, is told by a 380 (Alternative Service) what to do instead.",
    ),
    property(
        "anonymous_callback",
        Kind::Number(0.0, 86_400.0),
        Number(0.0),
        "How long a caller without registration can be called back after its emergency call, by the number of its IMEI.",
    )
    .unit(Unit::Seconds),
    property(
        "authentication",
        Kind::Bool,
        Bool(true),
        "Requests of, or to, this identity are authenticated.",
    ),
    property("reauthenticate", Kind::Bool, Bool(false), "Challenge every further REGISTER."),
    property("ring_only", Kind::Bool, Bool(false), "Ring and no more."),
    property("display_name", Kind::Text, Nothing, "Display name in SIP headers."),
    property("phone", Kind::Bool, Bool(false), "Add ;user=phone."),
    property(
        "verstat",
        Kind::Any(&[Kind::Text, Kind::Null]),
        Nothing,
        "verstat parameter of P-Asserted-Identity.",
    ),
    property(
        "p_called_party_id",
        Kind::Text,
        Nothing,
        "P-Called-Party-ID to send, whatever the global property says.",
    ),
    property("100rel", Kind::Bool, Bool(true), "Support reliable provisional responses.").but_echo(),
    property("use183", Kind::Bool, Bool(true), "Send 183 Session Progress."),
    property("early_media", Kind::Bool, Bool(true), "Handle early media."),
    property(
        "precondition",
        Kind::Any(&[Kind::Bool, Kind::Word(&["on", "off", "silent"])]),
        Said("the global one"),
        "Preconditions and dedicated bearers: on, off or silent.",
    )
    .pending_values(&[("silent", feature::QOS)])
    .but_echo(),
    property(
        "session_expires",
        Kind::Any(&[Kind::Int(90, 86_400), Kind::Object(Scope::SessionExpires)]),
        Said("the global one"),
        "Session timer of this identity's side of its calls; of an echo number: for callers without one of their own.",
    )
    .unit(Unit::Seconds),
    property("audio", Kind::Bool, Bool(true), "False rejects audio."),
    property("video", Kind::Bool, Bool(true), "False rejects video."),
    property("text", Kind::Bool, Bool(true), "False rejects real-time text."),
    property("code", Kind::Int(-2, 699), Nothing, "Echo: answer with this code instead of 200.")
        .pending(feature::MODIFIER)
        .but_echo(),
    property(
        "content",
        Kind::Any(&[Kind::File, Kind::Null]),
        Nothing,
        "Echo: file that is the body of that answer.",
    )
    .pending(feature::MODIFIER)
    .but_echo(),
    property("content_type", Kind::Text, Nothing, "Echo: its Content-Type.")
        .pending(feature::MODIFIER)
        .but_echo(),
    property("answer_delay", Kind::Number(0.0, HOUR), Number(0.0), "Echo: delay of the answer.")
        .unit(Unit::Seconds),
    property(
        "media_delay",
        Kind::Number(0.0, 60.0),
        Number(0.0),
        "Delay of the media packets that it sends.",
    )
    .unit(Unit::Seconds),
    property("rtp", Kind::Bool, Bool(true), "False does not forward the RTP that it sends."),
    property("rtcp", Kind::Bool, Bool(true), "False does not forward the RTCP that it sends."),
    property(
        "media_relay",
        MEDIA_RELAY,
        Said("the global one"),
        "Media of this identity's calls through imsbox: auto, on, off; of two, on goes before off before auto.",
    ),
    property(
        "sdp_file",
        Kind::File,
        Nothing,
        "Echo: file of the media that are answered and offered; addresses and ports are ours.",
    )
    .aliases(&["sip_file"]),
    property(
        "remote_control",
        Kind::Bool,
        Bool(false),
        "Echo: the call rings until dialog_set answers it, for dialog_timeout.",
    ),
    property(
        "bitrate_factor",
        Kind::Number(0.0, 1000.0),
        Number(1.0),
        "Multiplies the bit rate that is asked for over Rx.",
    )
    .pending(feature::DIAMETER),
    property("sms", Kind::Bool, Bool(true), "False takes no SMS over IMS."),
    property("sms_delay", Kind::Number(0.0, HOUR), Number(0.0), "Wait before an SMS is delivered.")
        .unit(Unit::Seconds),
    property(
        "callflow_modifier",
        Kind::Any(&[
            Kind::Object(Scope::CallflowModifier),
            Kind::List(&Kind::Object(Scope::CallflowModifier), 0, 1000),
        ]),
        Nothing,
        "What happens instead of the normal flow.",
    )
    .pending(feature::MODIFIER),
    property("method", Kind::Text, Nothing, "Old form of callflow_modifier.method.")
        .pending(feature::MODIFIER),
    property("transparent", Kind::Bool, Bool(false), "Old form of callflow_modifier.transparent.")
        .pending(feature::MODIFIER),
];

/// An element of `callflow_modifier`.
pub const CALLFLOW_MODIFIER: &[Property] = &[
    property(
        "method",
        Kind::Word(&[
            "INVITE",
            "UPDATE",
            "CANCEL",
            "BYE",
            "NOTIFY",
            "MESSAGE",
            "ACK",
            "PRACK",
            "INFO",
            "REGISTER",
            "SUBSCRIBE",
            "INVITE.OK",
            "INVITE.TRYING",
            "INVITE.RINGING",
            "INVITE.SESSION_PROGRESS",
            "REGISTER.SOS",
            "REINVITE",
        ]),
        Said("all of them"),
        "The request, or the response to INVITE, that it applies to.",
    ),
    property(
        "log",
        Kind::Any(&[Kind::Bool, Kind::Text]),
        Said("cfm#<n>"),
        "Text in the log; false says nothing.",
    ),
    property("code", Kind::Int(-2, 699), Nothing, "Answer with this code; -1 ignores the message."),
    property("stop", Kind::Bool, Bool(true), "End the dialog or the normal flow."),
    property("dir", Kind::Word(&["tx", "rx", "both"]), Text("both"), "Direction that it applies to."),
    property("transparent", Kind::Bool, Bool(false), "Apply without interrupting the normal flow."),
    property("skip", Kind::Bool, Bool(false), "Do not send the message."),
    property(
        "content",
        Kind::Any(&[Kind::File, Kind::Null]),
        Nothing,
        "File that is the body; null removes the body.",
    ),
    property("content_type", Kind::Text, Nothing, "Content-Type of the body."),
    property(
        "access_network",
        Kind::List(&Kind::Word(&["lte", "nr", "n3gpp"]), 0, 3),
        Nothing,
        "Access networks that it applies to.",
    ),
    property(
        "custom_headers",
        Kind::List(&Kind::Object(Scope::CustomHeader), 0, 1000),
        Nothing,
        "Headers to add, replace or remove.",
    ),
    property("impu", Kind::Text, Nothing, "The other side's identity that it applies to."),
    property("imei", Kind::Text, Nothing, "The other side's IMEI that it applies to."),
    property("ttl", Kind::Int(1, 1_000_000_000), Nothing, "It is gone after so many uses."),
    property("tts", Kind::Int(0, 1_000_000_000), Number(0.0), "The first so many occasions are passed over."),
    property("send_delay", Kind::Number(0.0, 60.0), Number(0.0), "Delay of sending.").unit(Unit::Seconds),
    property("send_retry", Kind::Int(0, 60), Number(0.0), "Forced retransmissions."),
    property("send_retry_delay", Kind::Number(0.0, 60.0), Said("send_delay"), "Time between them.")
        .unit(Unit::Seconds),
    property("ecall.ack", Kind::Text, Nothing, "The ack value of EmergencyCallData.Control."),
];
