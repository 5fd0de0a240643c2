//! The data coding scheme (TS 23.038 4): one octet that names alphabet, class and message waiting indications.

/// How the user data is to be read.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Alphabet {
    /// The GSM 7 bit default alphabet.
    Gsm7,
    /// Octets that are no text.
    Octets,
    /// UCS2, read and written as UTF-16 so that characters beyond the first plane pass.
    Ucs2,
}

/// What a message waiting indication is about (TS 23.038 4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Waiting {
    /// Voicemail.
    Voicemail,
    /// Fax.
    Fax,
    /// Electronic mail.
    Email,
    /// Something else.
    Other,
}

/// The coding group: bits 7 to 4.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Group {
    /// General data coding.
    General,
    /// As general, and the message is marked for automatic deletion.
    AutoDelete,
    /// Reserved: read as the default alphabet.
    Reserved,
    /// Message waiting; the text is not stored.
    WaitingDiscard,
    /// Message waiting; the text, in the default alphabet, is stored.
    WaitingStore,
    /// Message waiting; the text, in UCS2, is stored.
    WaitingStoreUcs2,
    /// Data coding and message class.
    Class,
}

/// A TP-DCS.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Dcs(pub u8);

impl Dcs {
    /// The default alphabet, no class.
    pub const GSM7: Dcs = Dcs(0x00);
    /// Octets, no class.
    pub const OCTETS: Dcs = Dcs(0x04);
    /// UCS2, no class.
    pub const UCS2: Dcs = Dcs(0x08);

    /// The coding group.
    pub const fn group(self) -> Group {
        match self.0 >> 4 {
            0x0..=0x3 => Group::General,
            0x4..=0x7 => Group::AutoDelete,
            0xc => Group::WaitingDiscard,
            0xd => Group::WaitingStore,
            0xe => Group::WaitingStoreUcs2,
            0xf => Group::Class,
            _ => Group::Reserved,
        }
    }

    /// Whether the user data is compressed (TS 23.042): it is then octets that only the phones can read.
    pub const fn is_compressed(self) -> bool {
        matches!(self.group(), Group::General | Group::AutoDelete) && self.0 & 0x20 != 0
    }

    /// The alphabet; reserved values are read as the default alphabet (TS 23.038 4).
    pub const fn alphabet(self) -> Alphabet {
        match (self.group(), self.0 >> 2 & 3) {
            (Group::General | Group::AutoDelete, 1) => Alphabet::Octets,
            (Group::General | Group::AutoDelete, 2) => Alphabet::Ucs2,
            (Group::WaitingStoreUcs2, _) => Alphabet::Ucs2,
            (Group::Class, 1 | 3) => Alphabet::Octets,
            _ => Alphabet::Gsm7,
        }
    }

    /// The message class, 0 (shown at once) to 3.
    pub const fn class(self) -> Option<u8> {
        match self.group() {
            Group::General | Group::AutoDelete if self.0 & 0x10 != 0 => Some(self.0 & 3),
            Group::Class => Some(self.0 & 3),
            _ => None,
        }
    }

    /// Whether something waits, and what, when it is a message waiting indication.
    pub const fn waiting(self) -> Option<(bool, Waiting)> {
        let kind = match self.0 & 3 {
            0 => Waiting::Voicemail,
            1 => Waiting::Fax,
            2 => Waiting::Email,
            _ => Waiting::Other,
        };
        match self.group() {
            Group::WaitingDiscard | Group::WaitingStore | Group::WaitingStoreUcs2 => {
                Some((self.0 & 8 != 0, kind))
            }
            _ => None,
        }
    }

    /// Whether TP-UDL counts septets: the default alphabet, not compressed (TS 23.040 9.2.3.16).
    pub fn counts_septets(self) -> bool {
        self.alphabet() == Alphabet::Gsm7 && !self.is_compressed()
    }
}
