//! What held-back media may take, and what happens beyond it.

/// Packets of all sessions together that are held back at a time; further ones are dropped and counted. A second of 300 voice
/// streams, or a minute of five.
pub const MAX_HELD: usize = 16_384;

/// Packets of one session that are held back at a time; further ones are dropped and counted. A minute of voice and its RTCP.
pub const MAX_HELD_OF_SESSION: u16 = 4096;

/// Octets of the longest packet that is held back; a longer one is dropped and counted. Above any path's MTU but that of jumbo
/// frames. With [`MAX_HELD`]: 32 MiB of address space, of which only what is used at a time becomes memory.
pub const MAX_HELD_LEN: usize = 2048;
