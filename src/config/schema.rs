//! The schema: what a property is, in one constant table per place, from which checks, defaults and the reference come.
//!
//! The tables stand in `schema_global`, `schema_user` and `schema_impu`. A default stands there and nowhere else: the
//! typed configuration is built with it.

use super::{schema_global, schema_impu, schema_user};

/// The objects that hold properties.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// The top level.
    Global,
    /// An element of `sip_addr`.
    SipAddr,
    /// `session_expires`.
    SessionExpires,
    /// An element of `custom_headers`.
    CustomHeader,
    /// An element of `ue_db`.
    User,
    /// `isim_auth`.
    IsimAuth,
    /// An element of `impu` or `echo`.
    Impu,
    /// An element of `callflow_modifier`.
    CallflowModifier,
    /// `trunk`.
    Trunk,
    /// `n5`.
    N5,
    /// `com_auth`.
    ComAuth,
    /// `sms_centre_address`.
    SmsCentre,
    /// `sms_message_filter`.
    SmsFilter,
    /// One message of `sms_message_filter`.
    SmsFilterAction,
    /// `license_server`.
    LicenseServer,
}

impl Scope {
    /// All scopes, in the order in which they are printed.
    pub const ALL: [Scope; 15] = [
        Scope::Global,
        Scope::SipAddr,
        Scope::SessionExpires,
        Scope::CustomHeader,
        Scope::User,
        Scope::IsimAuth,
        Scope::Impu,
        Scope::CallflowModifier,
        Scope::Trunk,
        Scope::N5,
        Scope::ComAuth,
        Scope::SmsCentre,
        Scope::SmsFilter,
        Scope::SmsFilterAction,
        Scope::LicenseServer,
    ];

    /// Its properties.
    pub fn properties(self) -> &'static [Property] {
        match self {
            Scope::Global => schema_global::GLOBAL,
            Scope::SipAddr => schema_global::SIP_ADDR,
            Scope::SessionExpires => schema_global::SESSION_EXPIRES,
            Scope::CustomHeader => schema_global::CUSTOM_HEADER,
            Scope::Trunk => schema_global::TRUNK,
            Scope::N5 => schema_global::N5,
            Scope::ComAuth => schema_global::COM_AUTH,
            Scope::SmsCentre => schema_global::SMS_CENTRE,
            Scope::SmsFilter => schema_global::SMS_FILTER,
            Scope::SmsFilterAction => schema_global::SMS_FILTER_ACTION,
            Scope::LicenseServer => schema_global::LICENSE_SERVER,
            Scope::User => schema_user::USER,
            Scope::IsimAuth => schema_user::ISIM_AUTH,
            Scope::Impu => schema_impu::IMPU,
            Scope::CallflowModifier => schema_impu::CALLFLOW_MODIFIER,
        }
    }

    /// Where its properties stand, as a title.
    pub fn title(self) -> &'static str {
        match self {
            Scope::Global => "Top level",
            Scope::SipAddr => "sip_addr[]: a SIP server socket",
            Scope::SessionExpires => "session_expires: the session timer",
            Scope::CustomHeader => "custom_headers[]: a header to add, replace or remove",
            Scope::User => "ue_db[]: a user",
            Scope::IsimAuth => "ue_db[].isim_auth: the ISIM's keys, where they differ from the USIM's",
            Scope::Impu => "ue_db[].impu[] and echo[]: a public identity",
            Scope::CallflowModifier => "impu[].callflow_modifier[]: what happens instead of the normal flow",
            Scope::Trunk => "trunk: the SIP trunk",
            Scope::N5 => "n5: the PCF",
            Scope::ComAuth => "com_auth: the remote API's password",
            Scope::SmsCentre => "sms_centre_address: the address of the SMS centre",
            Scope::SmsFilter => "sms_message_filter: what is done with SMS messages",
            Scope::SmsFilterAction => "sms_message_filter.*: one message",
            Scope::LicenseServer => "license_server: not needed",
        }
    }

    /// The property of a name or of an old spelling of it.
    pub fn find(self, name: &str) -> Option<&'static Property> {
        self.properties().iter().find(|property| property.name == name || property.aliases.contains(&name))
    }
}

/// One property.
#[derive(Clone, Copy, Debug)]
pub struct Property {
    /// Its name.
    pub name: &'static str,
    /// What it may hold.
    pub kind: Kind,
    /// What it is when it is not given.
    pub default: Fallback,
    /// What a number of it counts.
    pub unit: Unit,
    /// Whether it does something.
    pub status: Status,
    /// Whether echo numbers have it built, whatever the status is for users.
    pub echo_built: bool,
    /// Values that are taken but do nothing yet, and the feature that they wait for.
    pub pending_values: &'static [(&'static str, &'static str)],
    /// Old spellings.
    pub aliases: &'static [&'static str],
    /// What it does, in a sentence or two.
    pub doc: &'static str,
}

/// What a property may hold.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// A boolean, or 0 or 1.
    Bool,
    /// A whole number in a range.
    Int(i64, i64),
    /// A number in a range.
    Number(f64, f64),
    /// Any string of one line.
    Text,
    /// Any string.
    Lines,
    /// A POSIX extended regular expression.
    Pattern,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A string of hexadecimal digits, as many as one of these.
    Hex(&'static [usize]),
    /// A string of decimal digits, at least and at most so many. With `true` a `+` may come first.
    Digits(usize, usize, bool),
    /// An IP address with an optional port; the default port.
    Address(u16),
    /// The name of a file, relative to the configuration file.
    File,
    /// A public identity: `user`, `sip:user`, `tel:number` or `urn:…`.
    Identity,
    /// An object.
    Object(Scope),
    /// An array of so many elements, at least and at most.
    List(&'static Kind, usize, usize),
    /// One of these.
    Any(&'static [Kind]),
    /// `null`, which says "none" where leaving the property out says "as it is".
    Null,
    /// Whatever it is, it is not looked at.
    Free,
}

/// What a property is when it is not given.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fallback {
    /// Nothing.
    Nothing,
    /// The property must be given.
    Required,
    /// A boolean.
    Bool(bool),
    /// A number.
    Number(f64),
    /// A string.
    Text(&'static str),
    /// An object with every default of its scope.
    Members(Scope),
    /// Something that depends on other properties, in words.
    Said(&'static str),
}

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Nothing in particular.
    None,
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Milliseconds,
    /// Octets.
    Octets,
}

impl Unit {
    /// The plural: `seconds`.
    pub const fn name(self) -> &'static str {
        match self {
            Unit::None => "",
            Unit::Seconds => "seconds",
            Unit::Milliseconds => "milliseconds",
            Unit::Octets => "octets",
        }
    }
}

/// Whether a property does something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It does.
    Built,
    /// It is taken and will do something with this feature, which is said once.
    Pending(&'static str),
    /// It will never do anything, which is said with this reason.
    Needless(&'static str),
    /// It belongs to the MME, which may share the file; nothing is said.
    Mme,
}

impl Property {
    /// A property that works.
    pub const fn new(name: &'static str, kind: Kind, default: Fallback, doc: &'static str) -> Self {
        let (unit, status, echo_built) = (Unit::None, Status::Built, false);
        Property { name, kind, default, unit, status, echo_built, pending_values: &[], aliases: &[], doc }
    }

    /// The same with a unit.
    pub const fn unit(mut self, unit: Unit) -> Self {
        self.unit = unit;
        self
    }

    /// The same, waiting for a feature.
    pub const fn pending(mut self, feature: &'static str) -> Self {
        self.status = Status::Pending(feature);
        self
    }

    /// The same, which waits for nothing where an echo number has it.
    pub const fn but_echo(mut self) -> Self {
        self.echo_built = true;
        self
    }

    /// The same, not needed.
    pub const fn needless(mut self, why: &'static str) -> Self {
        self.status = Status::Needless(why);
        self
    }

    /// The same, with values that wait for a feature.
    pub const fn pending_values(mut self, values: &'static [(&'static str, &'static str)]) -> Self {
        self.pending_values = values;
        self
    }

    /// The same with old spellings.
    pub const fn aliases(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    /// The same, which is taken from elsewhere when it is not given.
    pub const fn inherited(mut self, from: &'static str) -> Self {
        self.default = Fallback::Said(from);
        self
    }

    /// A property of the MME.
    pub const fn mme(name: &'static str) -> Self {
        let mut property = Property::new(name, Kind::Free, Fallback::Nothing, "Used by the MME only.");
        property.status = Status::Mme;
        property
    }
}

/// The features that are not built yet, as they are named to the user.
pub mod feature {
    /// The Diameter interfaces.
    pub const DIAMETER: &str = "Diameter (Cx, Rx)";
    /// The PCF interface.
    pub const N5: &str = "N5";
    /// MMS.
    pub const MMS: &str = "MMS";
    /// The remote API.
    pub const API: &str = "the remote API";
    /// Callflow modifiers.
    pub const MODIFIER: &str = "the callflow modifier";
    /// Bearers whatever the SDP says.
    pub const QOS: &str = "dedicated bearers";
}
