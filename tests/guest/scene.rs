//! A network with the IMS on it, for tests with phones.

use crate::network::{Network, until};
use crate::program::{Ims, Program, Rights, SIP_PORT};
use crate::seen::{Kind, Seen, count, take};
use std::net::SocketAddr;

pub struct Scene {
    // ends before its machines do
    pub ims: Ims,
    pub network: Network,
}

impl Scene {
    /// The IMS with these properties, and so many phones; for a test of that name.
    pub fn new(name: &str, phones: usize, properties: &str) -> Scene {
        Scene::with(name, phones, Rights::Root, properties)
    }

    /// As [`Scene::new`], with an IMS that may do this.
    pub fn with(name: &str, phones: usize, rights: Rights, properties: &str) -> Scene {
        let network = Network::new(name, phones);
        Scene { ims: Ims::start(&network.core, rights, properties), network }
    }

    /// Where phones send what is not protected.
    pub fn pcscf(&self, v6: bool) -> SocketAddr {
        SocketAddr::new(self.network.core.address(v6), SIP_PORT)
    }

    /// Starts the soft UE on a phone's machine.
    pub fn phone(&self, number: usize, v6: bool, options: &[&str], script: &str) -> Program {
        self.ims.phone(&self.network.phones[number].phone, self.pcscf(v6), options, script)
    }

    /// What passed a phone's wire since the last call.
    pub fn seen(&mut self, number: usize) -> Vec<Seen> {
        take(&mut self.network.phones[number])
    }

    /// How many associations the IMS's kernel has.
    pub fn states(&mut self) -> usize {
        self.network.core.xfrm.states().unwrap().len()
    }

    /// The phones have left: all associations go, with the IMS's end all policies, and nothing of anybody is left. The log.
    pub fn ends_clean(mut self) -> String {
        until("the sets of phones that have left go", || self.states() == 0);
        self.stops_clean()
    }

    /// With the IMS's end everything goes from its kernel; nothing is left in the phones'. The log.
    pub fn stops_clean(mut self) -> String {
        for link in &mut self.network.phones {
            link.phone.assert_empty();
        }
        let log = self.ims.stop();
        self.network.core.assert_empty();
        log
    }
}

/// Asserts that of what passed a wire nothing was SIP in clear but the first request and its challenge.
pub fn assert_protected(seen: &[Seen], case: &str) {
    assert!(count(seen, Kind::Esp) > 0, "{case}: no ESP: {seen:#?}");
    assert_eq!(count(seen, Kind::Other), 0, "{case}: {seen:#?}");
    let challenge = seen.iter().position(|s| s.line.starts_with("SIP/2.0 401"));
    let challenge = challenge.unwrap_or_else(|| panic!("{case}: no challenge in clear: {seen:#?}"));
    let (said, after) = seen.split_at(challenge + 1);
    // who waits for long asks again, and is answered again (RFC 3261 17)
    let is_again = |s: &Seen| said.iter().any(|b| (b.from, b.to, b.content) == (s.from, s.to, s.content));
    let clear = after.iter().find(|s| s.kind == Kind::Sip && !is_again(s));
    assert_eq!(clear, None, "{case}: SIP in clear after the 401: {seen:#?}");
    let before: Vec<&Seen> = seen[..challenge].iter().filter(|s| s.kind == Kind::Sip).collect();
    assert!(before[0].line.starts_with("REGISTER "), "{case}: {before:#?}");
    // a later fragment shows no port
    let is_same = |s: &&Seen| s.from == before[0].from && s.to == before[0].to;
    let is_one = before.iter().filter(|s| s.to.1 != 0).all(is_same);
    assert!(is_one, "{case}: {seen:#?}");
    let bare = seen.iter().find(|s| s.kind == Kind::Bare && ![s.from.1, s.to.1].contains(&SIP_PORT));
    assert_eq!(bare, None, "{case}: TCP in clear at a protected port: {seen:#?}");
}
