//! The program `imsbox`.
#![forbid(unsafe_code)]

fn main() {}
