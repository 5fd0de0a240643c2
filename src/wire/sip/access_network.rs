//! P-Access-Network-Info (RFC 7315 5.4): over what a phone, or the network for it, says that it is reached.

use super::params::Params;

/// One value: an access type or class and what is said of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AccessNetwork<'a> {
    /// Access type or class as it came: `3GPP-E-UTRAN-FDD`, `IEEE-802.11`, `ADSL`, ….
    pub access: &'a [u8],
    /// Parameters as they came.
    pub params: Params<'a>,
}

/// The parameters that name a cell, by radio technology (RFC 7315 5.4.4).
const CELL_PARAMS: [&str; 2] = ["utran-cell-id-3gpp", "cgi-3gpp"];

impl<'a> AccessNetwork<'a> {
    /// Parses one value; white space behind semicolons is taken. Any word is an access type.
    pub fn parse(value: &'a [u8]) -> Option<AccessNetwork<'a>> {
        let (access, params) = Params::split(value);
        (!access.is_empty()).then_some(AccessNetwork { access, params })
    }

    /// The cell, in digits as they came: MCC, MNC, area and cell identity. Some phones send a digit more or less.
    pub fn cell_id(&self) -> Option<&'a [u8]> {
        CELL_PARAMS.iter().find_map(|name| self.params.get(name)).filter(|id| !id.is_empty())
    }

    /// The wireless LAN's address (`i-wlan-node-id`).
    pub fn wlan_node(&self) -> Option<&'a [u8]> {
        self.params.get("i-wlan-node-id")
    }

    /// Whether the network says it, not the phone (`network-provided`).
    pub fn is_network_provided(&self) -> bool {
        self.params.has("network-provided")
    }

    /// Whether it is 3GPP radio.
    pub fn is_3gpp(&self) -> bool {
        self.access.get(..5).is_some_and(|p| p.eq_ignore_ascii_case(b"3GPP-"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cell_wlan_and_odd_ones() {
        let a = AccessNetwork::parse(b"3GPP-E-UTRAN-TDD; utran-cell-id-3gpp=00101113B1499403").unwrap();
        assert!(a.is_3gpp() && !a.is_network_provided());
        assert_eq!(a.cell_id(), Some(&b"00101113B1499403"[..]));
        let a = AccessNetwork::parse(b"IEEE-802.11;i-wlan-node-id=02005e000001;network-provided").unwrap();
        assert!(!a.is_3gpp() && a.is_network_provided());
        assert_eq!((a.cell_id(), a.wlan_node()), (None, Some(&b"02005e000001"[..])));
        let a = AccessNetwork::parse(b"3GPP-GERAN;cgi-3gpp=\"00101000a00ff\"").unwrap();
        assert_eq!(a.cell_id(), Some(&b"00101000a00ff"[..]));
        assert_eq!(AccessNetwork::parse(b";x=y"), None);
    }
}
