//! The digest computation (RFC 7616 3.4, RFC 2617 3.2.2) and its check, without allocation.

use super::algorithm::Algorithm;
use super::credentials::Credentials;
use crate::crypto::compare::constant_time_eq;
use crate::crypto::hash::{Hasher, MAX_LEN, Output};
use crate::crypto::hex;
use arrayvec::ArrayString;
use std::fmt;

/// A response in lower-case hex: 32 or 64 characters.
pub type HexDigest = ArrayString<{ 2 * MAX_LEN }>;

/// Quality of protection (RFC 7616 3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Qop {
    /// `auth`: method and digest-uri are covered.
    Auth,
    /// `auth-int`: the body is covered too.
    AuthInt,
}

impl Qop {
    /// The quality that `name` means, in any case.
    pub fn parse(name: &[u8]) -> Option<Self> {
        [Qop::Auth, Qop::AuthInt].into_iter().find(|qop| name.eq_ignore_ascii_case(qop.name().as_bytes()))
    }

    /// The name that stands in a header.
    pub fn name(self) -> &'static str {
        match self {
            Qop::Auth => "auth",
            Qop::AuthInt => "auth-int",
        }
    }
}

/// What goes into a response that has a quality of protection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protection<'a> {
    /// `qop` as sent.
    pub qop: &'a [u8],
    /// `nc` as sent.
    pub nc: &'a [u8],
    /// `cnonce` without its quotes.
    pub cnonce: &'a [u8],
}

/// All that goes into a response; texts are those between the quotes, hashed as they stand.
#[derive(Clone, Copy)]
pub struct Inputs<'a> {
    /// The algorithm.
    pub algorithm: Algorithm,
    /// `username`.
    pub username: &'a [u8],
    /// `realm`.
    pub realm: &'a [u8],
    /// The password; octets of any value.
    pub password: &'a [u8],
    /// `nonce`.
    pub nonce: &'a [u8],
    /// The request's method; empty for `rspauth`.
    pub method: &'a [u8],
    /// `uri`.
    pub uri: &'a [u8],
    /// The message body, which `auth-int` covers.
    pub body: &'a [u8],
    /// `qop`, `nc` and `cnonce`; without them the response is that of RFC 2069.
    pub protection: Option<Protection<'a>>,
}

impl fmt::Debug for Inputs<'_> {
    /// Shows no password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inputs")
            .field("algorithm", &self.algorithm)
            .field("username", &format_args!("{}", self.username.escape_ascii()))
            .field("realm", &format_args!("{}", self.realm.escape_ascii()))
            .finish_non_exhaustive()
    }
}

/// The `response` of a request (RFC 7616 3.4.1).
pub fn response(inputs: &Inputs<'_>) -> HexDigest {
    hex::encode(&compute(inputs, Escapes::Kept))
}

impl Credentials<'_> {
    /// Whether the response is that of `password` for this request; compared in constant time.
    ///
    /// `algorithm` is the one of the challenge. An answer that names an algorithm with another hash, or none that we
    /// know, fails; so does an unknown `qop`. `body` counts for `auth-int` only. The form is the answer's own choice:
    /// with quality of protection, without (RFC 2069), or naming a qop and yet leaving out nc and cnonce, as some
    /// phones do in either computation.
    pub fn verify(&self, algorithm: Algorithm, method: &[u8], body: &[u8], password: &[u8]) -> bool {
        let Some(algorithm) = self.agreed(algorithm) else { return false };
        let Some(given) = hex::decode::<MAX_LEN>(self.response) else { return false };
        let Some(protection) = self.protection() else { return false };
        let inputs = Inputs { protection, ..self.inputs(algorithm, method, body, password) };
        let bare = Inputs { protection: None, ..inputs };
        let forms = [Some(inputs), self.lacks_counts().then_some(bare)];
        forms.iter().flatten().any(|inputs| {
            // RFC 7616 hashes the text between the quotes; some clients take the escapes out first.
            let as_sent = constant_time_eq(&compute(inputs, Escapes::Kept), &given);
            as_sent || self.has_escapes() && constant_time_eq(&compute(inputs, Escapes::Removed), &given)
        })
    }

    /// `rspauth` of the answer to this request (RFC 7616 3.5), with the answer's own `body`; `None` for a request
    /// without quality of protection, whose client could not check it.
    pub fn rspauth(&self, algorithm: Algorithm, body: &[u8], password: &[u8]) -> Option<HexDigest> {
        let protection = self.protection()?;
        if protection.is_none() || self.nc.is_none() || self.cnonce.is_none() {
            return None;
        }
        let inputs = self.inputs(self.agreed(algorithm)?, b"", body, password);
        Some(response(&Inputs { protection, ..inputs }))
    }

    fn inputs<'a>(
        &'a self,
        algorithm: Algorithm,
        method: &'a [u8],
        body: &'a [u8],
        password: &'a [u8],
    ) -> Inputs<'a> {
        let Credentials { username, realm, nonce, uri, .. } = *self;
        Inputs { algorithm, username, realm, password, nonce, method, uri, body, protection: None }
    }

    /// The algorithm to compute with: the answer's, when its hash is that of the challenge. An AKA version that is not
    /// the challenge's needs no check, as the password settles it.
    fn agreed(&self, challenged: Algorithm) -> Option<Algorithm> {
        match (self.algorithm_name, self.algorithm) {
            (None, _) => Some(challenged),
            (Some(_), given) => given.filter(|given| given.hash() == challenged.hash()),
        }
    }

    /// `Some(None)` without qop, `None` when the qop is not known.
    fn protection(&self) -> Option<Option<Protection<'_>>> {
        let Some(qop) = self.qop else { return Some(None) };
        Qop::parse(qop)?;
        let (nc, cnonce) = (self.nc.unwrap_or_default(), self.cnonce.unwrap_or_default());
        Some(Some(Protection { qop, nc, cnonce }))
    }

    fn lacks_counts(&self) -> bool {
        self.qop.is_some() && self.nc.is_none() && self.cnonce.is_none()
    }

    fn has_escapes(&self) -> bool {
        let texts = [self.username, self.realm, self.nonce, self.uri, self.cnonce.unwrap_or_default()];
        texts.iter().any(|text| text.contains(&b'\\'))
    }
}

/// What happens to the escapes of quoted strings.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Escapes {
    Kept,
    Removed,
}

fn compute(inputs: &Inputs<'_>, escapes: Escapes) -> Output {
    let a1 = hex_of(&a1(inputs, escapes));
    let a2 = hex_of(&a2(inputs, escapes));
    let mut hasher = inputs.algorithm.hash().start();
    hasher.update(a1.as_bytes());
    hasher.update(b":");
    text(&mut hasher, inputs.nonce, escapes);
    if let Some(Protection { qop, nc, cnonce }) = inputs.protection {
        hasher.update(b":");
        hasher.update(nc);
        hasher.update(b":");
        text(&mut hasher, cnonce, escapes);
        hasher.update(b":");
        hasher.update(qop);
    }
    hasher.update(b":");
    hasher.update(a2.as_bytes());
    hasher.finish()
}

/// H(A1) (RFC 7616 3.4.2).
fn a1(inputs: &Inputs<'_>, escapes: Escapes) -> Output {
    let mut hasher = inputs.algorithm.hash().start();
    text(&mut hasher, inputs.username, escapes);
    hasher.update(b":");
    text(&mut hasher, inputs.realm, escapes);
    hasher.update(b":");
    hasher.update(inputs.password);
    let secret = hasher.finish();
    if !inputs.algorithm.is_session() {
        return secret;
    }
    let mut hasher = inputs.algorithm.hash().start();
    hasher.update(hex_of(&secret).as_bytes());
    hasher.update(b":");
    text(&mut hasher, inputs.nonce, escapes);
    hasher.update(b":");
    text(&mut hasher, inputs.protection.map_or(b"", |protection| protection.cnonce), escapes);
    hasher.finish()
}

/// H(A2) (RFC 7616 3.4.3).
fn a2(inputs: &Inputs<'_>, escapes: Escapes) -> Output {
    let mut hasher = inputs.algorithm.hash().start();
    hasher.update(inputs.method);
    hasher.update(b":");
    text(&mut hasher, inputs.uri, escapes);
    if inputs.protection.and_then(|protection| Qop::parse(protection.qop)) == Some(Qop::AuthInt) {
        hasher.update(b":");
        hasher.update(hex_of(&inputs.algorithm.hash().of(&[inputs.body])).as_bytes());
    }
    hasher.finish()
}

fn hex_of(output: &Output) -> HexDigest {
    hex::encode(output)
}

/// Hashes the text of a quoted string.
fn text(hasher: &mut Hasher, mut text: &[u8], escapes: Escapes) {
    if escapes == Escapes::Removed {
        while let Some(at) = text.iter().position(|b| *b == b'\\') {
            hasher.update(&text[..at]);
            // The character behind a backslash stands for itself, a backslash too.
            let behind = text.len().min(at + 2);
            hasher.update(&text[at + 1..behind]);
            text = &text[behind..];
        }
    }
    hasher.update(text);
}
