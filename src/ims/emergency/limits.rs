//! What is kept of emergency calls at most.

/// Callers without registration that can be called back at a time; beyond it the one whose time ends first is forgotten. At
/// about 2 KB each, of which a Contact may be most: 0.5 MB. Strangers choose who they are, so that they can fill it.
pub const MAX_CALLBACKS: usize = 256;
