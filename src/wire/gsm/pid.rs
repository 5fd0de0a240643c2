//! The protocol identifier (TS 23.040 9.2.3.9).

/// A TP-PID.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Pid(pub u8);

impl Pid {
    /// Nothing special: from one phone to another.
    pub const PLAIN: Pid = Pid(0x00);
    /// Short message type 0: acknowledged, neither shown nor stored.
    pub const TYPE_0: Pid = Pid(0x40);
    /// Return call message.
    pub const RETURN_CALL: Pid = Pid(0x5f);
    /// (U)SIM data download.
    pub const SIM_DOWNLOAD: Pid = Pid(0x7f);

    /// Whether the phone acknowledges it and says nothing about it.
    pub const fn is_type_0(self) -> bool {
        self.0 == Pid::TYPE_0.0
    }

    /// The replace type 1 to 7: it takes the place of a message of the same type, sender and service centre.
    pub const fn replaces(self) -> Option<u8> {
        match self.0 {
            0x41..=0x47 => Some(self.0 - 0x40),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replace_types() {
        assert_eq!([0x40, 0x41, 0x47, 0x48].map(|pid| Pid(pid).replaces()), [None, Some(1), Some(7), None]);
        assert!(Pid::TYPE_0.is_type_0() && !Pid::PLAIN.is_type_0());
    }
}
