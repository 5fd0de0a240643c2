//! SIP messages (RFC 3261): an index of spans over the receive buffer, typed views of single header values, and a writer.
//!
//! Parsing allocates nothing and never panics. It is lenient where phones are known to differ from the grammar; what makes a
//! request unusable is kept as a [`Defect`](error::Defect), so that it can still be answered 400 with a reason.

pub mod access_network;
pub mod contact;
pub mod custom;
pub mod error;
pub mod header;
pub mod list;
pub mod message;
pub mod method;
pub mod multipart;
pub mod name_addr;
pub mod params;
pub mod privacy;
pub mod rack;
pub mod reason;
pub mod retry_after;
pub mod sec_agree;
pub mod session_expires;
pub mod span;
pub mod status;
pub mod subscription_state;
pub mod text;
pub mod uri;
pub mod via;
mod views;
pub mod writer;

pub use access_network::AccessNetwork;
pub use contact::{Contact, Imei};
pub use custom::{Custom, CustomHeader};
pub use error::{Defect, ParseError};
pub use header::HeaderId;
pub use message::{Field, Index, Message, Stored};
pub use method::Method;
pub use multipart::{Part, Parts};
pub use name_addr::NameAddr;
pub use params::Params;
pub use privacy::Privacy;
pub use rack::RAck;
pub use reason::Reason;
pub use retry_after::RetryAfter;
pub use sec_agree::Mechanism;
pub use session_expires::{Refresher, SessionExpires};
pub use subscription_state::SubscriptionState;
pub use uri::{Host, Scheme, Uri};
pub use via::Via;
pub use writer::Writer;
