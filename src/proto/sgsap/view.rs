//! What the operator is shown.

use super::ue::State;
use crate::wire::identities::Imsi;
use crate::wire::sgsap::{Ecgi, Lai, Tai};
use arrayvec::ArrayString;
use std::net::SocketAddr;
use std::time::Duration;

/// An MME.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MmeView {
    /// Its name; none while no message has said it.
    pub name: Option<String>,
    /// Where it is, or was.
    pub remote: SocketAddr,
    /// Whether it is connected.
    pub is_connected: bool,
    /// For how long it has been connected, or away.
    pub since: Duration,
    /// Phones that are attached through it.
    pub ues: usize,
}

/// A phone's attachment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UeView {
    /// The phone.
    pub imsi: Imsi,
    /// Name of its MME, or its address.
    pub mme: String,
    /// Whether that is connected.
    pub is_connected: bool,
    /// State.
    pub state: State,
    /// Temporary identity, once the phone has confirmed it.
    pub tmsi: Option<u32>,
    /// Location area.
    pub lai: Lai,
    /// Tracking area.
    pub tai: Option<Tai>,
    /// Cell.
    pub ecgi: Option<Ecgi>,
    /// Equipment and software.
    pub imeisv: Option<ArrayString<16>>,
}
