//! Many phones with IPsec at once.

use crate::client::Client;
use crate::network::ip;
use crate::people::{Card, cards};
use crate::scene::Scene;
use imsbox::proto::sip::sec_agree::{Encryption, Integrity, Suite};
use std::net::Ipv4Addr;
use std::time::Instant;

/// How many register.
const PHONES: usize = 2000;

#[test]
fn thousands_of_phones_register_and_each_has_four_associations() {
    let all: Vec<Card> = (0..PHONES).map(Card::number).collect();
    let mut scene = Scene::new("load", 1, &cards(&all));
    // each has an address of its own, as phones have
    let phone = scene.network.phones[0].phone.name().to_owned();
    ip(&format!("-n {phone} route add local 10.10.0.0/16 dev lo"));
    ip(&format!("-n {} route add 10.10.0.0/16 via 10.9.0.2", scene.network.core.name()));
    let suite = Suite::new(Integrity::HmacSha1_96, Encryption::AesCbc).unwrap();
    let began = Instant::now();
    for (n, card) in all.iter().enumerate() {
        let address = Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 10, 0, 1)) + n as u32);
        let mut client = Client::new(
            &scene.network.phones[0].phone,
            address.into(),
            scene.network.core.v4,
            card.clone(),
            suite,
        );
        client.register();
    }
    // how fast that is, is the machine's affair: the guest's kernel is some ten times slower than a real one
    eprintln!("{PHONES} phones registered in {:?}", began.elapsed());
    assert_eq!(scene.states(), 4 * PHONES);
    let users = scene.ims.monitor(&["users"]);
    assert!(
        users.contains(&format!("{PHONES} users, {PHONES} registered")),
        "{}",
        users.lines().last().unwrap()
    );
    scene.network.phones[0].phone.xfrm.flush().unwrap();
    // all go with the IMS
    scene.ims.stop();
    scene.network.core.assert_empty();
}
