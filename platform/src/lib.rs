//! The kernel boundary of imsbox: every libc call and every `unsafe` block of the program.
//!
//! Safe functions that take `BorrowedFd`, plain structs and `io::Result`; no trait objects, no builders. Each `unsafe`
//! block says why it is sound. Not here: the loop, any SIP word, any policy.
