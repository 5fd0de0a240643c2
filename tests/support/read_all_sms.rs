//! Reads octets with every parser of the short message protocols: none may panic, and what one has read it reads again when it
//! is written.

use imsbox::wire::gsm::cp::Cp;
use imsbox::wire::gsm::{Carrier, Cpdu, Direction, Rp, Rpdu, Tpdu, UserData};
use std::hint::black_box;

/// Reads `octets` as a CPDU, as an RPDU and as every TPDU, with what is inside.
pub fn pdu(octets: &[u8]) {
    if let Ok(read) = Cpdu::parse(octets) {
        let again = read.to_vec();
        assert_eq!(Cpdu::parse(&again), Ok(read));
        if let Cp::Data(inner) = read.message {
            rpdu(inner);
        }
    }
    rpdu(octets);
    tpdus(octets);
}

fn rpdu(octets: &[u8]) {
    let Ok(read) = Rpdu::parse(octets) else { return };
    let again = read.to_vec();
    // RP-SMMA has one way only.
    if read.message != Rp::Smma {
        assert_eq!(Rpdu::parse(&again), Ok(read), "{octets:02x?}");
    }
    match read.message {
        Rp::Data { originator, destination, user_data } => {
            black_box((originator.map(|a| a.to_string()), destination.and_then(|a| a.number())));
            tpdus(user_data);
        }
        Rp::Ack { user_data } | Rp::Error { user_data, .. } => tpdus(user_data.unwrap_or_default()),
        Rp::Smma => {}
    }
}

fn tpdus(octets: &[u8]) {
    for direction in [Direction::Up, Direction::Down] {
        for carrier in [Carrier::Data, Carrier::Ack, Carrier::Error] {
            let Ok(read) = Tpdu::parse(octets, direction, carrier) else { continue };
            let again = read.to_vec();
            assert_eq!(Tpdu::parse(&again, direction, carrier), Ok(read), "{octets:02x?}");
            look(&read);
        }
    }
}

/// Looks at everything that is computed from the fields.
fn look(tpdu: &Tpdu<'_>) {
    match tpdu {
        Tpdu::Deliver(d) => {
            black_box((d.originator.to_string(), d.timestamp.to_string(), d.timestamp.unix()));
            user_data(d.user_data);
        }
        Tpdu::Submit(s) => {
            black_box((s.destination.number(), s.validity.and_then(|v| v.end(Default::default()))));
            user_data(s.user_data);
        }
        Tpdu::StatusReport(s) => {
            black_box((s.recipient.to_string(), s.discharge.unix(), s.status.to_string()));
            s.parameters.and_then(|p| p.user_data).into_iter().for_each(user_data);
        }
        Tpdu::SubmitReport(s) => s.parameters.user_data.into_iter().for_each(user_data),
        Tpdu::DeliverReport(d) => d.parameters.user_data.into_iter().for_each(user_data),
        Tpdu::Command(c) => {
            black_box((c.destination.to_string(), c.header().map(|h| h.elements().count())));
        }
    }
}

fn user_data(read: UserData<'_>) {
    black_box((read.text(), read.concat(), read.header().map(|h| (h.ports(), h.elements().count()))));
    assert_eq!(read.to_buf().view(), read);
}
