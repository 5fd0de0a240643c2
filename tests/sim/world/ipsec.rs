//! IPsec in a run: the kernel, what leaves protected, what the sets must be like, and who forges packets.

use super::need::is_for_help;
use super::{Arrival, Flow, LocalId, Way, World};
use crate::kernel::{Esp, Told};
use crate::phone::DOMAIN;
use crate::text::{Text, parameter};
use imsbox::ims::security::{SetView, Stage};
use imsbox::proto::flow::ConnId;
use imsbox::proto::locals::Locals;
use imsbox::proto::outbox::Output;
use std::net::SocketAddr;

/// The SPIs of forged offers begin here.
const FORGED_SPI: u32 = 0xf000_0000;

/// Messages that are kept for who reads them.
const OVERHEARD: usize = 24;

/// Two sockets, and the protected ports of each.
pub fn locals() -> Locals {
    let ips = ["10.0.0.1", "2001:db8::1"].map(|ip| ip.parse().expect("an address"));
    let at = |ip, port| SocketAddr::new(ip, port);
    let mut locals = Locals::clear(ips.map(|ip| at(ip, 5060)));
    for (clear, ip) in (0..).map(LocalId).zip(ips) {
        for (server, client) in [(6100, 5100), (6101, 5104)] {
            let clients: Vec<SocketAddr> = (client..client + 4).map(|port| at(ip, port)).collect();
            locals.add_protected(clear, at(ip, server), &clients).expect("there are few");
        }
    }
    locals
}

pub fn local_at(locals: &Locals, addr: SocketAddr) -> LocalId {
    locals.iter().find(|(_, l)| l.own == addr).expect("associations are of our ports").0
}

/// TS 24.229 5.1.1.2.2: requests inside say what was agreed; ACK and CANCEL need not.
pub fn with_agreement(octets: String, agreed: &str) -> String {
    let text = Text::read(octets.as_bytes());
    if text.code() != 0 || matches!(text.method(), "ACK" | "CANCEL" | "REGISTER") {
        return octets;
    }
    let lines =
        format!("\r\nRequire: sec-agree\r\nProxy-Require: sec-agree\r\nSecurity-Verify: {agreed}\r\n");
    octets.replacen("\r\n", &lines, 1)
}

/// A request of the same dialog, later than all that its sender has sent.
fn next_in_dialog(heard: &str, method: &str, number: u64) -> String {
    let text = Text::read(heard.as_bytes());
    let cseq = format!("CSeq: {} {}", text.cseq(), text.method());
    let later = heard.replace(&cseq, &format!("CSeq: {} {method}", 1000 + number));
    later.replacen(text.method(), method, 1).replace("branch=", &format!("branch=z9hG4bKforged{number}x"))
}

impl World {
    pub(super) fn command_kernel(&mut self, output: &Output) {
        if let Output::RemoveSas { id } = output {
            let ends = self.kernel.ends(*id);
            self.close(|way| way.1.is_some_and(|way| ends.contains(&way)));
        }
        self.kernel.command(self.now, &mut self.rng, &self.net.faults, output);
    }

    pub(super) fn kernel_tells(&mut self) {
        let mut has_told = false;
        while let Some(told) = self.kernel.pop(self.now) {
            has_told = true;
            self.with_core(|core, cx| match told {
                Told::Installed(id, outcome) => core.on_sas_installed(cx, id, outcome),
                Told::Removed(id, counted) => core.on_sas_removed(cx, id, counted),
                Told::Lost(id) => core.on_sas_lost(cx, id),
            });
        }
        if has_told {
            self.sets_agree();
        }
    }

    /// The kernel holds what the core knows, and no phone has more sets than it can have reasons for.
    fn sets_agree(&self) {
        let views = self.core.set_views(self.now);
        if let Some(held) = self.kernel.settled() {
            let mut known: Vec<u64> = views.iter().map(|v| v.id).collect();
            known.sort_unstable();
            assert_eq!(held, known, "the kernel holds, and the core knows: {views:?}");
        }
        for phone in &self.phones {
            let of_phone = |v: &&_| {
                let v: &SetView = v;
                let is_its = v.associations[0].from.ip() == phone.clear_addr().ip();
                is_its && v.impi.starts_with(&format!("{}@", phone.user)) && v.ue.spi_c < FORGED_SPI
            };
            let count = |stage| views.iter().filter(of_phone).filter(|v| v.stage == stage).count();
            assert!(count(Stage::Active) <= 1, "{}: two sets in use: {views:?}", phone.name);
            let own = views.iter().filter(of_phone).filter(|v| v.stage != Stage::Removing).count();
            // the old one, the one in use, the offered one
            let most = if self.net.faults.is_none() && self.is_perfect { 3 } else { 8 };
            assert!(own <= most, "{}: {own} sets: {views:?}", phone.name);
        }
        self.bindings_are_carried(&views);
    }

    /// What is registered through IPsec is reached through a set that lives, and through that alone.
    fn bindings_are_carried(&self, views: &[SetView]) {
        let users = self.core.user_views(self.now);
        for phone in self.phones.iter().filter(|p| p.addr != p.clear_addr()) {
            let impi = format!("{}@{DOMAIN}", phone.user);
            let user = users.iter().find(|u| u.impi == impi).expect("each phone is somebody's");
            let is_open =
                |v: &&SetView| !matches!(v.stage, Stage::Installing | Stage::Offered | Stage::Removing);
            let carried = views.iter().filter(|v| v.impi == impi).filter(is_open).map(|v| v.bindings.len());
            assert_eq!(user.bindings.len(), carried.sum::<usize>(), "{impi}: bindings that no set carries");
        }
    }

    /// Who is registered through IPsec has the set that it thinks it has.
    pub(super) fn sets_are_held(&self) {
        for phone in self.phones.iter().filter(|p| p.is_registered()) {
            let Some(spi) = phone.active_spi() else { continue };
            let held = self.kernel.spis_of(phone.clear_addr().ip());
            assert!(held.contains(&spi), "{}: the kernel has not SPI {spi}, but {held:?}", phone.name);
        }
    }

    /// The way that a message takes, and its ESP: `None` in clear, or when the kernel has no association for it.
    pub(super) fn protect(&mut self, phone: usize, flow: Flow, text: &Text) -> (Way, Option<Esp>) {
        let to = &self.phones[phone];
        let is_protected = self.locals.is_protected(flow.local);
        let server = text.get("Security-Server");
        if text.code() == 401 && !server.is_empty() {
            let spi = |name| parameter(server, name).and_then(|n| n.parse().ok()).unwrap_or(0);
            let is_held = self.kernel.has_taken(spi("spi-c"), spi("spi-s"));
            assert!(is_held, "{}: a challenge before the kernel has its set: {server}", to.name);
        }
        if !is_protected {
            let is_plain = to.addr == to.clear_addr();
            let answers_clear = text.code() != 0 && self.checks.came_from(text.branch(), to.clear_addr());
            let is_register = text.method() == "REGISTER";
            assert!(is_plain || answers_clear && is_register, "{} to {} in clear", text.start, to.name);
            return ((phone, None), None);
        }
        assert!(to.addr != to.clear_addr(), "{} to {} through IPsec of another", text.start, to.name);
        let alive = self.conns.iter().find(|(_, conn)| flow.conn == Some(ConnId(**conn)));
        let own = self.locals.get(flow.local).expect("it is one of ours").own;
        let ends = alive.and_then(|(way, _)| way.1).unwrap_or((own, flow.remote));
        ((phone, Some(ends)), self.kernel.seal(ends.0, ends.1))
    }

    pub(super) fn overhear(&mut self, phone: usize, octets: &str) {
        // a REGISTER that was heard names SPIs and ports; calls for help are taken in clear as well
        if octets.starts_with("REGISTER") || is_for_help(octets) {
            return;
        }
        if self.overheard.len() == OVERHEARD {
            self.overheard.pop_front();
        }
        self.overheard.push_back((phone, octets.to_owned()));
    }

    /// Somebody writes a phone's address on packets in clear; he has read what phones sent, where ESP does not hide it.
    pub(super) fn forge(&mut self) {
        if self.rng.below(1000) < self.net.faults.kernel_loses {
            self.kernel.lose(self.now, &mut self.rng);
        }
        if self.overheard.is_empty() || self.rng.below(1000) >= self.net.faults.forgery {
            return;
        }
        let (phone, heard) = self.overheard[self.rng.below(self.overheard.len() as u64) as usize].clone();
        self.outcome.forged += 1;
        let text = Text::read(heard.as_bytes());
        let number = self.outcome.forged;
        let again = |from: &str, to: &str| heard.replace(from, to);
        let octets = match (text.code(), self.rng.below(6)) {
            (1.., _) => again(":6100", ":5060").replace(":6101", ":5060"),
            (_, 0) => self.forged_register(phone, number),
            (_, 1) if text.method() == "INVITE" => again("INVITE", "CANCEL"),
            (_, 1 | 2) => heard.clone(),
            // the dialog is right, and the branch new
            // the dialog is right, the branch and the CSeq are new
            (_, 3) => next_in_dialog(&heard, "BYE", number),
            (_, 4) => next_in_dialog(&heard, "INVITE", number),
            _ => again(text.method(), "ACK"),
        };
        if text.code() == 0 {
            self.checks.forger_sent(&octets);
        }
        let port = [self.phones[phone].clear_addr().port(), self.phones[phone].addr.port(), 30_000];
        let port = port[self.rng.below(3) as usize];
        let from = SocketAddr::new(self.phones[phone].addr.ip(), port);
        self.net.at(self.now, Arrival::Forged { from, octets: octets.into_bytes() });
    }

    fn forged_register(&self, phone: usize, number: u64) -> String {
        let (user, addr) = (&self.phones[phone].user, self.phones[phone].clear_addr());
        let (spi, port) = (FORGED_SPI + 2 * number as u32, 50_000 + 2 * number);
        format!(
            "REGISTER sip:{DOMAIN} SIP/2.0\r\nVia: SIP/2.0/UDP {addr};branch=z9hG4bKforged{number}\r\nMax-Forwards: 70\r\n\
             From: <sip:{user}@{DOMAIN}>;tag=f\r\nTo: <sip:{user}@{DOMAIN}>\r\nCall-ID: forged{number}\r\nCSeq: 1 REGISTER\r\n\
             Contact: <sip:f@{addr}>;expires=0\r\nSecurity-Client: ipsec-3gpp;alg=hmac-sha-1-96;spi-c={spi};spi-s={};\
             port-c={port};port-s={}\r\nContent-Length: 0\r\n\r\n",
            spi + 1,
            port + 1,
        )
    }
}
