//! Digest authentication in SIP: RFC 3261 22.4 with RFC 2617, RFC 7616 and RFC 8760, and its use with AKA (RFC 3310,
//! RFC 4169).
//!
//! A server writes a [`Challenge`], reads the answer as [`Credentials`] and checks it with [`Credentials::verify`]; AKA
//! adds [`aka::Nonce`] and [`aka::password`]. Nothing here keeps nonces or knows users: whether the nonce is the last
//! one issued, the realm ours and the user known is the caller's to check. Tolerated of real phones: parameters
//! quoted or not whatever the grammar says, answers in the form of RFC 2069, qop without nc and cnonce.

mod algorithm;
mod challenge;
mod credentials;
mod params;
mod response;

pub mod aka;

pub use algorithm::{AkaVersion, Algorithm};
pub use challenge::Challenge;
pub use credentials::Credentials;
pub use params::{Param, Params, digest_params};
pub use response::{HexDigest, Inputs, Protection, Qop, response};

#[cfg(test)]
mod tests;
