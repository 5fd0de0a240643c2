//! Answers that are lost, requests that cross, and phones that come back from elsewhere.

use super::auth::bob;
use super::phone::Phone;
use super::{Lab, config};
use crate::ims::view::BindingView;

fn bindings(lab: &Lab, user: usize) -> Vec<BindingView> {
    lab.core.user_views(lab.now)[user].bindings.clone()
}

#[test]
fn a_phone_whose_200_was_lost_registers_with_its_next_cseq() {
    let mut lab = Lab::new(config());
    for (user, mut phone) in [Phone::alice(), bob()].into_iter().enumerate() {
        let challenge = phone.ask(&mut lab, "");
        assert_eq!(phone.answer(&mut lab, &challenge, "").status(), 200, "this one is lost");
        let again = phone.answer(&mut lab, &challenge, "");
        assert_eq!(again.status(), 401, "the nonce has served");
        assert_eq!(phone.answer(&mut lab, &again, "").status(), 200);
        assert_eq!(bindings(&lab, user).len(), 1);
        assert_eq!(lab.core.user_views(lab.now)[user].last_error, None);
    }
}

#[test]
fn registers_that_cross_end_in_one_binding_of_the_later_one() {
    let mut lab = Lab::new(config());
    for (user, mut phone) in [Phone::alice(), bob()].into_iter().enumerate() {
        let (first, second) = (phone.ask(&mut lab, ""), phone.ask(&mut lab, ""));
        let early = phone.authorization(&first, "REGISTER", "sip:ims.test");
        let early = phone.register_text(&format!("{early}Expires: 100\r\n"));
        let late = phone.authorization(&second, "REGISTER", "sip:ims.test");
        let late = phone.register_text(&format!("{late}Expires: 200\r\n"));
        assert_eq!(lab.ask(phone.flow(), late).status(), 200);
        // RFC 3261 10.3 step 7
        assert_eq!(lab.ask(phone.flow(), early).status(), 500);
        let bound = bindings(&lab, user);
        assert_eq!((bound.len(), bound[0].expires), (1, 200));
    }
}

#[test]
fn a_phone_that_comes_back_by_another_way_has_one_binding_there() {
    let mut lab = Lab::new(config());
    let instance = "+sip.instance=\"<urn:gsma:imei:86130905-000038-0>\"";
    let at = |address: &str, tcp: bool| {
        let mut phone = Phone { tcp, ..bob() };
        phone.call_id = format!("{}-{address}", phone.call_id);
        (phone.address, phone.contact) = (address.to_owned(), format!("<sip:b@{address}>;{instance}"));
        phone
    };
    // from there; by TCP; from elsewhere after a reboot, with a Call-ID and CSeq of its own
    for (address, tcp, transport) in
        [("10.0.0.2:5060", false, "UDP"), ("10.0.0.2:5060", true, "TCP"), ("10.0.7.7:40000", false, "UDP")]
    {
        let mut phone = at(address, tcp);
        let ok = phone.register(&mut lab, "");
        assert_eq!((ok.status(), ok.flow), (200, phone.flow()));
        let bound = bindings(&lab, 1);
        assert_eq!((bound.len(), bound[0].transport), (1, transport));
        assert_eq!((&bound[0].uri, bound[0].id), (&format!("sip:b@{address}"), 1), "the same binding");
    }
}
