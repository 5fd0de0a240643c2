//! Short messages above their octets: the parts of long ones put together (TS 23.040 9.2.3.24.1).

pub mod limits;
pub mod reassembly;

pub use reassembly::{Arrival, GivenUp, Reassembler};
