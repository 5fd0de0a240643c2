//! The four security associations of one agreement (TS 33.203 7.1), as the P-CSCF sees them.

use super::choose::Parameters;
use std::net::{IpAddr, SocketAddr};

/// Which way an association carries packets, for the P-CSCF.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// From the UE.
    In,
    /// To the UE.
    Out,
}

/// One security association: ESP in transport mode between two ports, for UDP and TCP alike.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Association {
    /// Which way.
    pub direction: Direction,
    /// Who sends.
    pub from: SocketAddr,
    /// Who receives; the SPI is its own.
    pub to: SocketAddr,
    /// The SPI, in host byte order.
    pub spi: u32,
}

/// The associations between the two sides, in the order of TS 33.203 7.1: the pair between the UE's client and the P-CSCF's
/// server port, then the pair between the P-CSCF's client and the UE's server port.
pub fn associations(ue_ip: IpAddr, ue: &Parameters, own_ip: IpAddr, own: &Parameters) -> [Association; 4] {
    let (uc, us) = (SocketAddr::new(ue_ip, ue.port_c), SocketAddr::new(ue_ip, ue.port_s));
    let (pc, ps) = (SocketAddr::new(own_ip, own.port_c), SocketAddr::new(own_ip, own.port_s));
    [
        Association { direction: Direction::In, from: uc, to: ps, spi: own.spi_s },
        Association { direction: Direction::Out, from: ps, to: uc, spi: ue.spi_c },
        Association { direction: Direction::Out, from: pc, to: us, spi: ue.spi_s },
        Association { direction: Direction::In, from: us, to: pc, spi: own.spi_c },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_spi_is_the_receivers_for_the_port_it_receives_at() {
        let ue = Parameters { spi_c: 1, spi_s: 2, port_c: 31_112, port_s: 31_113 };
        let own = Parameters { spi_c: 3, spi_s: 4, port_c: 5062, port_s: 5063 };
        let all = associations("192.0.2.77".parse().unwrap(), &ue, "192.0.2.1".parse().unwrap(), &own);
        let text = all.map(|a| format!("{:?} {} {} {}", a.direction, a.from, a.to, a.spi));
        assert_eq!(
            text,
            [
                "In 192.0.2.77:31112 192.0.2.1:5063 4",
                "Out 192.0.2.1:5063 192.0.2.77:31112 1",
                "Out 192.0.2.1:5062 192.0.2.77:31113 2",
                "In 192.0.2.77:31113 192.0.2.1:5062 3",
            ]
        );
    }
}
