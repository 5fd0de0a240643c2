//! SIP messages (RFC 3261): an index of spans over the receive buffer, typed views of single header values, and a writer.
//!
//! Parsing allocates nothing and never panics. It is lenient where phones are known to differ from the grammar; what makes a
//! request unusable is kept as a [`Defect`](error::Defect), so that it can still be answered 400 with a reason.

pub mod error;
pub mod header;
pub mod list;
pub mod message;
pub mod method;
pub mod name_addr;
pub mod params;
pub mod span;
pub mod status;
pub mod text;
pub mod uri;
pub mod via;
pub mod writer;

pub use error::{Defect, ParseError};
pub use header::HeaderId;
pub use message::{Index, Message, Stored};
pub use method::Method;
pub use name_addr::NameAddr;
pub use params::Params;
pub use uri::{Host, Scheme, Uri};
pub use via::Via;
pub use writer::Writer;
