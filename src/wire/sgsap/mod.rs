//! SGsAP (TS 29.118 8 and 9): the messages between an MME and the VLR, that is us.
//!
//! [`Message`] is a view of the octets: parsing checks what is mandatory and copies nothing. [`Writer`] makes messages. All
//! messages of the protocol are read and named; those of CS fallback can be written too, though nobody here asks for it.

mod area;
mod cause;
mod element;
mod error;
mod identity;
mod kind;
mod message;
mod name;
mod text;
mod values;
mod writer;

pub use area::{Ecgi, Lai, Plmn, Tai};
pub use cause::{RejectCause, SgsCause};
pub use element::Tag;
pub use error::{Problem, SgsapError};
pub use identity::{MobileIdentity, encode_imsi, imeisv};
pub use kind::{Kind, Sender};
pub use message::Message;
pub use name::{Name, NodeName};
pub use text::Details;
pub use values::{EpsDetach, NonEpsDetach, Service, UpdateType};
pub use writer::Writer;

#[cfg(test)]
mod tests;
