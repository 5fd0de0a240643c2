//! Session descriptions (RFC 8866), as offers and answers (RFC 3264) of real phones.
//!
//! A description is read where it lies: no copy, no allocation. Order of lines and stray white space are taken as they come;
//! what must be right is what a call needs: `v=0`, every `m=` line, every `c=` line.

pub mod attribute;
pub mod edit;
pub mod media;
pub mod precondition;
pub mod session;
pub mod template;
pub mod writer;

pub use attribute::{Direction, Fmtp, RtpMap};
pub use media::{Media, MediaKind};
pub use session::{Sdp, SdpError};
pub use template::Template;
pub use writer::SdpWriter;
