//! What a configuration may cost, with the arithmetic, and the words in which exceeding it is refused.
//!
//! A value takes about 100 octets of memory, so [`MAX_EXPANDED`] stands for roughly two million values or a quarter of
//! a gigabyte, whichever a macro, an include or a plain long file asks for. Every refusal is a [`super::Diagnostic`].

/// Longest file, octets. A user entry is about 300 octets long, so this holds some 50,000 of them written out.
pub const MAX_FILE_SIZE: usize = 16 << 20;

/// All files together, octets; a file that is included twice counts twice.
pub const MAX_TOTAL_SIZE: usize = 64 << 20;

/// Files that are read, one that is included twice counted twice.
pub const MAX_FILES: usize = 1000;

/// Files that include each other.
pub const MAX_INCLUDE_DEPTH: usize = 16;

/// Objects, arrays, brackets and signs in each other, counted through macros and includes; also `#if` in `#if`.
pub const MAX_NESTING: usize = 64;

/// What all values together may take after macros and templates are expanded, octets.
pub const MAX_EXPANDED: usize = 256 << 20;

/// What one value is counted as, octets; a string adds its length.
pub const VALUE_COST: usize = 128;

/// Diagnostics that are kept; the rest is counted.
pub const MAX_DIAGNOSTICS: usize = 200;

/// Users, `count` expanded.
pub const MAX_USERS: usize = 100_000;

/// Largest body of an answer (`content`), in octets: it must fit into one SIP message with its headers.
pub const MAX_ANSWER_BODY: usize = 60_000;

/// Longest file of media (`sdp_file`, `mt_call_sdp_file`), octets: a description of four media with a dozen codecs each is a
/// third of that, and it goes into one SIP message.
pub const MAX_SDP_FILE: usize = 16 << 10;

/// Characters of a source line that are shown around the place of an error.
pub const SHOWN_LINE: usize = 110;

/// Macro uses in each other that are told apart in a diagnostic.
pub const MAX_SHOWN_USES: usize = 6;
