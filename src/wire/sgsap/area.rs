//! Where a phone is: location area (TS 24.008 10.5.1.3), tracking area (TS 24.301 9.9.3.32), cell (TS 29.118 9.4.3a).

use std::fmt;

/// A network, as it is coded: three octets of digits. One with digits that are none is kept and shown as it came.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Plmn([u8; 3]);

impl Plmn {
    /// The code of a network of three digits and two or three.
    pub fn new(mcc: &str, mnc: &str) -> Option<Plmn> {
        let digits = |text: &str| text.bytes().all(|o| o.is_ascii_digit());
        if mcc.len() != 3 || !(2..=3).contains(&mnc.len()) || !digits(mcc) || !digits(mnc) {
            return None;
        }
        let (c, n) = (mcc.as_bytes(), mnc.as_bytes());
        let pair = |low: u8, high: u8| (low - b'0') | (high - b'0') << 4;
        let third = n.get(2).map_or(0xf0, |digit| (digit - b'0') << 4);
        Some(Plmn([pair(c[0], c[1]), (c[2] - b'0') | third, pair(n[0], n[1])]))
    }
}

impl fmt::Display for Plmn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c] = self.0;
        write!(f, "{:x}{:x}{:x}-{:x}{:x}", a & 15, a >> 4, b & 15, c & 15, c >> 4)?;
        if b >> 4 == 15 { Ok(()) } else { write!(f, "{:x}", b >> 4) }
    }
}

/// A location area.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Lai {
    /// Network.
    pub plmn: Plmn,
    /// Location area code.
    pub lac: u16,
}

/// A tracking area.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Tai {
    /// Network.
    pub plmn: Plmn,
    /// Tracking area code.
    pub tac: u16,
}

/// A cell of E-UTRAN.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Ecgi {
    /// Network.
    pub plmn: Plmn,
    /// E-UTRAN cell identity, 28 bits.
    pub eci: u32,
}

/// A network and a number of two octets.
fn area(value: &[u8]) -> Option<(Plmn, u16)> {
    let [a, b, c, high, low] = *value else { return None };
    Some((Plmn([a, b, c]), u16::from_be_bytes([high, low])))
}

fn area_octets(plmn: Plmn, code: u16) -> [u8; 5] {
    let ([a, b, c], [high, low]) = (plmn.0, code.to_be_bytes());
    [a, b, c, high, low]
}

impl Lai {
    /// Reads an element's value.
    pub fn parse(value: &[u8]) -> Option<Lai> {
        area(value).map(|(plmn, lac)| Lai { plmn, lac })
    }

    /// The element's value.
    pub fn octets(self) -> [u8; 5] {
        area_octets(self.plmn, self.lac)
    }
}

impl Tai {
    /// Reads an element's value.
    pub fn parse(value: &[u8]) -> Option<Tai> {
        area(value).map(|(plmn, tac)| Tai { plmn, tac })
    }

    /// The element's value.
    pub fn octets(self) -> [u8; 5] {
        area_octets(self.plmn, self.tac)
    }
}

impl Ecgi {
    /// Reads an element's value; the four spare bits are left out.
    pub fn parse(value: &[u8]) -> Option<Ecgi> {
        let [a, b, c, cell @ ..] = value else { return None };
        let cell: [u8; 4] = cell.try_into().ok()?;
        Some(Ecgi { plmn: Plmn([*a, *b, *c]), eci: u32::from_be_bytes(cell) & 0x0fff_ffff })
    }

    /// The element's value.
    pub fn octets(self) -> [u8; 7] {
        let ([a, b, c], [e, f, g, h]) = (self.plmn.0, self.eci.to_be_bytes());
        [a, b, c, e, f, g, h]
    }
}

impl fmt::Display for Lai {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:04x}", self.plmn, self.lac)
    }
}

impl fmt::Display for Tai {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:04x}", self.plmn, self.tac)
    }
}

impl fmt::Display for Ecgi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:07x}", self.plmn, self.eci)
    }
}
