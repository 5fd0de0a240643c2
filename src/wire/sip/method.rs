//! Request methods.

/// A SIP method that we tell apart. Methods are case-sensitive (RFC 3261 7.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[allow(missing_docs, reason = "the variants are the methods' names")]
pub enum Method {
    Invite,
    Ack,
    Bye,
    Cancel,
    Register,
    Options,
    Prack,
    Update,
    Info,
    Message,
    Subscribe,
    Notify,
    Publish,
    Refer,
    /// Any other token.
    Other,
}

impl Method {
    const TABLE: [(Method, &'static str); 14] = [
        (Method::Invite, "INVITE"),
        (Method::Ack, "ACK"),
        (Method::Bye, "BYE"),
        (Method::Cancel, "CANCEL"),
        (Method::Register, "REGISTER"),
        (Method::Options, "OPTIONS"),
        (Method::Prack, "PRACK"),
        (Method::Update, "UPDATE"),
        (Method::Info, "INFO"),
        (Method::Message, "MESSAGE"),
        (Method::Subscribe, "SUBSCRIBE"),
        (Method::Notify, "NOTIFY"),
        (Method::Publish, "PUBLISH"),
        (Method::Refer, "REFER"),
    ];

    /// Whether it can create a dialog (RFC 3261 12, RFC 6665 4.4.1, RFC 3515).
    pub const fn creates_dialog(self) -> bool {
        matches!(self, Method::Invite | Method::Subscribe | Method::Refer | Method::Notify)
    }

    /// The method that a token names.
    pub fn from_token(token: &[u8]) -> Method {
        Self::TABLE.iter().find(|(_, name)| name.as_bytes() == token).map_or(Method::Other, |(m, _)| *m)
    }

    /// The method's name; empty for [`Method::Other`], whose token only the message knows.
    pub fn name(self) -> &'static str {
        Self::TABLE.iter().find(|(m, _)| *m == self).map_or("", |(_, name)| name)
    }
}
