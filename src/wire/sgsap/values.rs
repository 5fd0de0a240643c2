//! Elements of one octet that choose among a few meanings.

/// What a phone is paged for, or answers a page for (TS 29.118 9.4.17).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Service {
    /// A call by CS fallback.
    CsCall,
    /// A text.
    Sms,
    /// A value of later versions.
    Other(u8),
}

impl Service {
    /// Reads the value.
    pub const fn of_code(code: u8) -> Service {
        match code {
            1 => Service::CsCall,
            2 => Service::Sms,
            other => Service::Other(other),
        }
    }

    /// The value.
    pub const fn code(self) -> u8 {
        match self {
            Service::CsCall => 1,
            Service::Sms => 2,
            Service::Other(code) => code,
        }
    }

    /// What it means.
    pub const fn text(self) -> &'static str {
        match self {
            Service::CsCall => "CS call",
            Service::Sms => "SMS",
            Service::Other(_) => "reserved",
        }
    }
}

/// What a location update is (TS 29.118 9.4.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UpdateType {
    /// IMSI attach.
    ImsiAttach,
    /// Normal; values that are not defined count as this one.
    Normal,
}

impl UpdateType {
    /// Reads the value.
    pub const fn of_code(code: u8) -> UpdateType {
        if code == 1 { UpdateType::ImsiAttach } else { UpdateType::Normal }
    }

    /// What it means.
    pub const fn text(self) -> &'static str {
        match self {
            UpdateType::ImsiAttach => "IMSI attach",
            UpdateType::Normal => "normal location update",
        }
    }
}

/// Why a phone left EPS (TS 29.118 9.4.7).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EpsDetach {
    /// The network detached it.
    Network,
    /// The phone went.
    Ue,
    /// EPS is not allowed for it.
    NotAllowed,
    /// Not defined; counts as the phone's.
    Other,
}

impl EpsDetach {
    /// Reads the value.
    pub const fn of_code(code: u8) -> EpsDetach {
        match code {
            1 => EpsDetach::Network,
            2 => EpsDetach::Ue,
            3 => EpsDetach::NotAllowed,
            _ => EpsDetach::Other,
        }
    }

    /// What it means.
    pub const fn text(self) -> &'static str {
        match self {
            EpsDetach::Network => "network initiated",
            EpsDetach::Ue => "UE initiated",
            EpsDetach::NotAllowed => "EPS services not allowed",
            EpsDetach::Other => "unspecified",
        }
    }
}

/// Why a phone left the other services (TS 29.118 9.4.8).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NonEpsDetach {
    /// The phone said so.
    Explicit,
    /// The phone left both.
    Combined,
    /// The network has not heard of it for long.
    Implicit,
    /// Not defined; counts as explicit.
    Other,
}

impl NonEpsDetach {
    /// Reads the value.
    pub const fn of_code(code: u8) -> NonEpsDetach {
        match code {
            1 => NonEpsDetach::Explicit,
            2 => NonEpsDetach::Combined,
            3 => NonEpsDetach::Implicit,
            _ => NonEpsDetach::Other,
        }
    }

    /// What it means.
    pub const fn text(self) -> &'static str {
        match self {
            NonEpsDetach::Explicit => "explicit UE initiated",
            NonEpsDetach::Combined => "combined UE initiated",
            NonEpsDetach::Implicit => "implicit network initiated",
            NonEpsDetach::Other => "unspecified",
        }
    }
}
