//! What is shown of SGs: `mme`, and the attachment of a user in `users_get`. All members are ours.

use crate::ims::sgs::{MmeView, UeView};
use serde_json::{Value, json};
use std::net::SocketAddr;

/// The answer of `mme`: each MME with its name (none while no message has said it), its address, whether it is connected, for how
/// many seconds it has been so, and its attached phones; and the address to which they connect, none when it is not configured.
pub fn mmes(views: &[MmeView], listening: Option<SocketAddr>) -> Value {
    let mme = |view: &MmeView| {
        json!({
            "name": view.name,
            "addr": view.remote.to_string(),
            "connected": view.is_connected,
            "since": view.since.as_secs(),
            "ue_count": view.ues,
        })
    };
    json!({
        "mmes": views.iter().map(mme).collect::<Vec<_>>(),
        "sctp_addr": listening.map(|addr| addr.to_string()),
    })
}

/// How a user's phone is attached through an MME.
pub fn attachment(view: &UeView) -> Value {
    let mut out = json!({
        "mme": view.mme,
        "connected": view.is_connected,
        "state": view.state.name(),
        "lai": view.lai.to_string(),
    });
    let others = [
        ("tmsi", view.tmsi.map(|tmsi| format!("{tmsi:08x}"))),
        ("tai", view.tai.map(|tai| tai.to_string())),
        ("ecgi", view.ecgi.map(|ecgi| ecgi.to_string())),
        ("imeisv", view.imeisv.map(|imeisv| imeisv.to_string())),
    ];
    for (name, value) in others.into_iter().filter_map(|(name, value)| Some((name, value?))) {
        out[name] = json!(value);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::Duration;
    use crate::ims::sgs::State;
    use crate::wire::identities::Imsi;
    use crate::wire::sgsap::{Lai, Plmn, Tai};

    #[test]
    fn mmes_and_attachments_are_told() {
        let mme = MmeView {
            name: Some("mmec01.example.org".into()),
            remote: "127.0.0.2:40000".parse().unwrap(),
            is_connected: true,
            since: Duration::from_millis(61_500),
            ues: 3,
        };
        assert_eq!(
            mmes(&[mme], Some("127.0.0.1:29118".parse().unwrap())),
            json!({
                "mmes": [{ "name": "mmec01.example.org", "addr": "127.0.0.2:40000", "connected": true, "since": 61, "ue_count": 3 }],
                "sctp_addr": "127.0.0.1:29118",
            })
        );
        let plmn = Plmn::new("001", "01").unwrap();
        let ue = UeView {
            imsi: Imsi::parse(b"001010123456789").unwrap(),
            mme: "mmec01.example.org".into(),
            is_connected: false,
            state: State::Associated,
            tmsi: Some(0x0122_3344),
            lai: Lai { plmn, lac: 1 },
            tai: Some(Tai { plmn, tac: 2 }),
            ecgi: None,
            imeisv: None,
        };
        assert_eq!(
            attachment(&ue),
            json!({
                "mme": "mmec01.example.org", "connected": false, "state": "SGs-ASSOCIATED", "lai": "001-01-0001", "tai": "001-01-0002",
                "tmsi": "01223344",
            })
        );
    }
}
