//! Header names: long and compact forms (RFC 3261 7.3.3, 20), looked up without case.

/// A header that we know by name.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[allow(missing_docs, reason = "the variants are the headers' names")]
#[repr(u8)]
pub enum HeaderId {
    Accept,
    AcceptContact,
    AcceptEncoding,
    AcceptLanguage,
    AlertInfo,
    Allow,
    AllowEvents,
    AuthenticationInfo,
    Authorization,
    CallId,
    CallInfo,
    CSeq,
    Contact,
    ContentDisposition,
    ContentEncoding,
    ContentId,
    ContentLanguage,
    ContentLength,
    ContentType,
    Date,
    ErrorInfo,
    Event,
    Expires,
    FeatureCaps,
    From,
    Geolocation,
    HistoryInfo,
    InReplyTo,
    InfoPackage,
    Join,
    MaxForwards,
    MinExpires,
    MinSe,
    MimeVersion,
    Organization,
    PAccessNetworkInfo,
    PAssertedIdentity,
    PAssertedService,
    PAssociatedUri,
    PCalledPartyId,
    PChargingFunctionAddresses,
    PChargingVector,
    PEarlyMedia,
    PPreferredIdentity,
    PPreferredService,
    PVisitedNetworkId,
    Path,
    Priority,
    Privacy,
    ProxyAuthenticate,
    ProxyAuthorization,
    ProxyRequire,
    RAck,
    RSeq,
    Reason,
    RecordRoute,
    RecvInfo,
    ReferTo,
    ReferredBy,
    RejectContact,
    Replaces,
    ReplyTo,
    RequestDisposition,
    Require,
    ResourcePriority,
    RetryAfter,
    Route,
    SecurityClient,
    SecurityServer,
    SecurityVerify,
    Server,
    ServiceRoute,
    SessionExpires,
    SessionId,
    Subject,
    SubscriptionState,
    Supported,
    TargetDialog,
    Timestamp,
    To,
    Unsupported,
    UserAgent,
    Via,
    Warning,
    WwwAuthenticate,
    /// Any other header; kept and forwarded under the name it came with.
    Other,
}

const NAMES: [&str; 85] = [
    "Accept",
    "Accept-Contact",
    "Accept-Encoding",
    "Accept-Language",
    "Alert-Info",
    "Allow",
    "Allow-Events",
    "Authentication-Info",
    "Authorization",
    "Call-ID",
    "Call-Info",
    "CSeq",
    "Contact",
    "Content-Disposition",
    "Content-Encoding",
    "Content-ID",
    "Content-Language",
    "Content-Length",
    "Content-Type",
    "Date",
    "Error-Info",
    "Event",
    "Expires",
    "Feature-Caps",
    "From",
    "Geolocation",
    "History-Info",
    "In-Reply-To",
    "Info-Package",
    "Join",
    "Max-Forwards",
    "Min-Expires",
    "Min-SE",
    "MIME-Version",
    "Organization",
    "P-Access-Network-Info",
    "P-Asserted-Identity",
    "P-Asserted-Service",
    "P-Associated-URI",
    "P-Called-Party-ID",
    "P-Charging-Function-Addresses",
    "P-Charging-Vector",
    "P-Early-Media",
    "P-Preferred-Identity",
    "P-Preferred-Service",
    "P-Visited-Network-ID",
    "Path",
    "Priority",
    "Privacy",
    "Proxy-Authenticate",
    "Proxy-Authorization",
    "Proxy-Require",
    "RAck",
    "RSeq",
    "Reason",
    "Record-Route",
    "Recv-Info",
    "Refer-To",
    "Referred-By",
    "Reject-Contact",
    "Replaces",
    "Reply-To",
    "Request-Disposition",
    "Require",
    "Resource-Priority",
    "Retry-After",
    "Route",
    "Security-Client",
    "Security-Server",
    "Security-Verify",
    "Server",
    "Service-Route",
    "Session-Expires",
    "Session-ID",
    "Subject",
    "Subscription-State",
    "Supported",
    "Target-Dialog",
    "Timestamp",
    "To",
    "Unsupported",
    "User-Agent",
    "Via",
    "Warning",
    "WWW-Authenticate",
];

const IDS: [HeaderId; NAMES.len()] = [
    HeaderId::Accept,
    HeaderId::AcceptContact,
    HeaderId::AcceptEncoding,
    HeaderId::AcceptLanguage,
    HeaderId::AlertInfo,
    HeaderId::Allow,
    HeaderId::AllowEvents,
    HeaderId::AuthenticationInfo,
    HeaderId::Authorization,
    HeaderId::CallId,
    HeaderId::CallInfo,
    HeaderId::CSeq,
    HeaderId::Contact,
    HeaderId::ContentDisposition,
    HeaderId::ContentEncoding,
    HeaderId::ContentId,
    HeaderId::ContentLanguage,
    HeaderId::ContentLength,
    HeaderId::ContentType,
    HeaderId::Date,
    HeaderId::ErrorInfo,
    HeaderId::Event,
    HeaderId::Expires,
    HeaderId::FeatureCaps,
    HeaderId::From,
    HeaderId::Geolocation,
    HeaderId::HistoryInfo,
    HeaderId::InReplyTo,
    HeaderId::InfoPackage,
    HeaderId::Join,
    HeaderId::MaxForwards,
    HeaderId::MinExpires,
    HeaderId::MinSe,
    HeaderId::MimeVersion,
    HeaderId::Organization,
    HeaderId::PAccessNetworkInfo,
    HeaderId::PAssertedIdentity,
    HeaderId::PAssertedService,
    HeaderId::PAssociatedUri,
    HeaderId::PCalledPartyId,
    HeaderId::PChargingFunctionAddresses,
    HeaderId::PChargingVector,
    HeaderId::PEarlyMedia,
    HeaderId::PPreferredIdentity,
    HeaderId::PPreferredService,
    HeaderId::PVisitedNetworkId,
    HeaderId::Path,
    HeaderId::Priority,
    HeaderId::Privacy,
    HeaderId::ProxyAuthenticate,
    HeaderId::ProxyAuthorization,
    HeaderId::ProxyRequire,
    HeaderId::RAck,
    HeaderId::RSeq,
    HeaderId::Reason,
    HeaderId::RecordRoute,
    HeaderId::RecvInfo,
    HeaderId::ReferTo,
    HeaderId::ReferredBy,
    HeaderId::RejectContact,
    HeaderId::Replaces,
    HeaderId::ReplyTo,
    HeaderId::RequestDisposition,
    HeaderId::Require,
    HeaderId::ResourcePriority,
    HeaderId::RetryAfter,
    HeaderId::Route,
    HeaderId::SecurityClient,
    HeaderId::SecurityServer,
    HeaderId::SecurityVerify,
    HeaderId::Server,
    HeaderId::ServiceRoute,
    HeaderId::SessionExpires,
    HeaderId::SessionId,
    HeaderId::Subject,
    HeaderId::SubscriptionState,
    HeaderId::Supported,
    HeaderId::TargetDialog,
    HeaderId::Timestamp,
    HeaderId::To,
    HeaderId::Unsupported,
    HeaderId::UserAgent,
    HeaderId::Via,
    HeaderId::Warning,
    HeaderId::WwwAuthenticate,
];

impl HeaderId {
    /// How many there are, [`HeaderId::Other`] included; below 128.
    pub const COUNT: usize = HeaderId::Other as usize + 1;

    /// The header that a name, long or compact, stands for.
    pub fn from_name(name: &[u8]) -> HeaderId {
        if let [letter] = name {
            return Self::from_compact(letter.to_ascii_lowercase());
        }
        let bucket = BUCKETS[usize::from(bucket_of(name))];
        bucket
            .iter()
            .take_while(|&&row| row != NO_ROW)
            .find(|&&row| NAMES[usize::from(row)].as_bytes().eq_ignore_ascii_case(name))
            .map_or(HeaderId::Other, |&row| IDS[usize::from(row)])
    }

    /// The long name; empty for [`HeaderId::Other`].
    pub fn name(self) -> &'static str {
        NAMES.get(self as usize).copied().unwrap_or("")
    }

    fn from_compact(letter: u8) -> HeaderId {
        match letter {
            b'a' => HeaderId::AcceptContact,
            b'u' => HeaderId::AllowEvents,
            b'i' => HeaderId::CallId,
            b'm' => HeaderId::Contact,
            b'e' => HeaderId::ContentEncoding,
            b'l' => HeaderId::ContentLength,
            b'c' => HeaderId::ContentType,
            b'o' => HeaderId::Event,
            b'f' => HeaderId::From,
            b'r' => HeaderId::ReferTo,
            b'b' => HeaderId::ReferredBy,
            b'j' => HeaderId::RejectContact,
            b'd' => HeaderId::RequestDisposition,
            b'x' => HeaderId::SessionExpires,
            b's' => HeaderId::Subject,
            b'k' => HeaderId::Supported,
            b't' => HeaderId::To,
            b'v' => HeaderId::Via,
            _ => HeaderId::Other,
        }
    }
}

const BUCKET_COUNT: usize = 64;
const BUCKET_DEPTH: usize = 6;
const NO_ROW: u8 = u8::MAX;
const BUCKETS: [[u8; BUCKET_DEPTH]; BUCKET_COUNT] = fill_buckets();

/// Spreads names by length, first and last letter, each without case.
const fn bucket_of(name: &[u8]) -> u8 {
    if name.is_empty() {
        return 0;
    }
    let first = name[0].to_ascii_lowercase() as usize;
    let last = name[name.len() - 1].to_ascii_lowercase() as usize;
    ((name.len() * 5 + first * 3 + last * 7) % BUCKET_COUNT) as u8
}

const fn fill_buckets() -> [[u8; BUCKET_DEPTH]; BUCKET_COUNT] {
    let mut buckets = [[NO_ROW; BUCKET_DEPTH]; BUCKET_COUNT];
    let mut row = 0;
    while row < NAMES.len() {
        let bucket = bucket_of(NAMES[row].as_bytes()) as usize;
        let mut place = 0;
        while buckets[bucket][place] != NO_ROW {
            place += 1; // a full bucket fails the build here
        }
        buckets[bucket][place] = row as u8;
        row += 1;
    }
    buckets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_in_any_case() {
        for (row, name) in NAMES.iter().enumerate() {
            assert_eq!(IDS[row].name(), *name);
            assert_eq!(HeaderId::from_name(name.as_bytes()), IDS[row]);
            assert_eq!(HeaderId::from_name(name.to_uppercase().as_bytes()), IDS[row]);
            assert_eq!(HeaderId::from_name(name.to_lowercase().as_bytes()), IDS[row]);
        }
    }

    #[test]
    fn every_known_name_is_a_token() {
        assert!(NAMES.iter().all(|n| super::super::text::is_token(n.as_bytes())));
        assert!(HeaderId::COUNT < 128 && HeaderId::COUNT == NAMES.len() + 1);
    }

    #[test]
    fn compact_forms_and_strangers() {
        assert_eq!(HeaderId::from_name(b"V"), HeaderId::Via);
        assert_eq!(HeaderId::from_name(b"x"), HeaderId::SessionExpires);
        assert_eq!(HeaderId::from_name(b"z"), HeaderId::Other);
        assert_eq!(HeaderId::from_name(b"P-TTA-VoLTE-Info"), HeaderId::Other);
        assert_eq!(HeaderId::from_name(b""), HeaderId::Other);
    }
}
