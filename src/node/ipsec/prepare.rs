//! What is done about IPsec before the core is made: what the kernel can do is found out, protected ports are opened, and
//! guards are put before the ports. What an earlier run left behind waits until it is known what of it is still in use.

use super::agent::Agent;
use super::survey::{Survey, survey};
use super::{ports, words};
use crate::base::trace::Level;
use crate::config::model::Config;
use crate::ims::security::Ability;
use crate::node::sockets::Sockets;
use crate::proto::flow::LocalId;
use crate::proto::locals::Locals;
use crate::proto::sip::sec_agree::{Policy, Suite};
use platform::xfrm::{Family, Lack, Xfrm};
use std::net::IpAddr;

const NO_ADDRESS: &str = "sip_addr has no address for phones";

/// Something to be told at the start, in the log and to who starts the program; follows `IPsec: `.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Notice {
    /// How much it matters.
    pub level: Level,
    /// What it is.
    pub text: String,
}

/// What was found out and done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Prepared {
    /// For the core.
    pub ability: Ability,
    /// For people, one line each.
    pub notices: Vec<Notice>,
}

/// Prepares IPsec for the addresses of the sockets, if the configuration wants any. Protected ports and the agent come to the
/// sockets. That there is none is no error: phones that do not need it are served.
pub fn prepare(config: &Config, sockets: &mut Sockets) -> Prepared {
    let clear = Locals::clear(config.sip.iter().map(|s| s.addr));
    let is_off = |policy| policy == Policy::Off;
    if is_off(config.ipsec.policy) && config.users.iter().all(|user| is_off(user.ipsec)) {
        let text = "off, as the configuration wants it".to_owned();
        let ability = Ability::none(clear, "`ipsec` is false in the configuration");
        return Prepared { ability, notices: vec![Notice { level: Level::Info, text }] };
    }
    let mut preparation = Preparation { config, locals: clear.clone(), notices: Vec::new() };
    match preparation.run(sockets) {
        Ok(suites) => {
            let Preparation { locals, notices, .. } = preparation;
            Prepared { ability: Ability { locals, suites, lack: None }, notices }
        }
        Err(lack) => {
            sockets.keep_clear();
            preparation.notice(Level::Warn, format!("none: {lack}"));
            Prepared { ability: Ability::none(clear, &lack), notices: preparation.notices }
        }
    }
}

struct Preparation<'a> {
    config: &'a Config,
    locals: Locals,
    notices: Vec<Notice>,
}

impl Preparation<'_> {
    fn notice(&mut self, level: Level, text: String) {
        self.notices.push(Notice { level, text });
    }

    /// Does it all. The pairs of algorithms that there are, else why there is no IPsec.
    fn run(&mut self, sockets: &mut Sockets) -> Result<Vec<Suite>, String> {
        let (addresses, family) = self.addresses()?;
        let mut xfrm = Xfrm::open().map_err(|e| Lack::of(&e, family).to_string())?;
        let (addresses, family) = self.possible(&mut xfrm, addresses)?;
        let found = survey(&mut xfrm, family, &self.config.ipsec);
        let suites = self.judge(found)?;
        let addresses = self.open_ports(sockets, addresses)?;
        sockets.agent = Agent::new(xfrm, &self.locals).map_err(|e| format!("the kernel refuses: {e}"))?;
        self.tell(&addresses, suites.len());
        Ok(suites)
    }

    /// The different addresses that phones know and that the kernel can protect, each with the first socket that has it; and the IP
    /// version of the first.
    fn addresses(&mut self) -> Result<(Vec<(LocalId, IpAddr)>, Family), String> {
        let mut addresses: Vec<(LocalId, IpAddr)> = Vec::new();
        let mut reasons: Vec<String> = Vec::new();
        let sockets = self.locals.iter().zip(&self.config.sip).filter(|(_, socket)| !socket.trunk);
        for (id, ip) in sockets.map(|((id, local), _)| (id, local.own.ip())) {
            match unsuitable(ip) {
                Some(reason) if !reasons.contains(&reason) => reasons.push(reason),
                None if !addresses.iter().any(|(_, known)| *known == ip) => addresses.push((id, ip)),
                _ => {}
            }
        }
        let first = addresses.first().map(|(_, ip)| Family::of(*ip));
        let none = || if reasons.is_empty() { NO_ADDRESS.to_owned() } else { reasons.join("; ") };
        let family = first.ok_or_else(none)?;
        reasons.into_iter().for_each(|reason| self.notice(Level::Info, format!("none at {reason}")));
        Ok((addresses, family))
    }

    /// The addresses of the IP versions that the kernel has ESP for, and one of these versions.
    fn possible(
        &mut self,
        xfrm: &mut Xfrm,
        mut addresses: Vec<(LocalId, IpAddr)>,
    ) -> Result<(Vec<(LocalId, IpAddr)>, Family), String> {
        let mut reason = None;
        for (family, name) in [(Family::V4, "IPv4"), (Family::V6, "IPv6")] {
            if !addresses.iter().any(|(_, ip)| Family::of(*ip) == family) {
                continue;
            }
            if let Err(lack) = xfrm.available(family) {
                addresses.retain(|(_, ip)| Family::of(*ip) != family);
                if addresses.is_empty() {
                    return Err(lack.to_string());
                }
                reason = Some(format!("none for {name}: {lack}"));
            }
        }
        reason.into_iter().for_each(|text| self.notice(Level::Warn, text));
        let family = addresses.first().map(|(_, ip)| Family::of(*ip)).ok_or(NO_ADDRESS)?;
        Ok((addresses, family))
    }

    fn judge(&mut self, survey: Survey) -> Result<Vec<Suite>, String> {
        let lacking = words::lacking(&survey);
        if survey.has.is_empty() {
            let none = "ipsec_aalg_list and ipsec_ealg_list leave no pair of algorithms";
            return Err(lacking.map_or(none.to_owned(), |lacking| format!("{none}: {lacking}")));
        }
        if let Some(lacking) = lacking {
            self.notice(Level::Warn, format!("{lacking}; phones get other algorithms"));
        }
        Ok(survey.has)
    }

    /// Opens the protected ports. The addresses that have any.
    fn open_ports(
        &mut self,
        sockets: &mut Sockets,
        addresses: Vec<(LocalId, IpAddr)>,
    ) -> Result<Vec<IpAddr>, String> {
        let mut first_problem = None;
        let mut usable = Vec::new();
        for (clear, ip) in addresses {
            let problems = ports::open(sockets, &mut self.locals, clear, ip, &self.config.ipsec);
            usable.extend(self.locals.servers_of(ip).next().map(|_| ip));
            first_problem = first_problem.or_else(|| problems.first().cloned());
            problems.into_iter().for_each(|text| self.notice(Level::Warn, text));
        }
        if usable.is_empty() {
            // said once, as the reason
            self.notices.retain(|n| Some(&n.text) != first_problem.as_ref());
            return Err(first_problem.unwrap_or_else(|| NO_ADDRESS.to_owned()));
        }
        Ok(usable)
    }

    fn tell(&mut self, addresses: &[IpAddr], pairs: usize) {
        let places: Vec<String> = addresses
            .iter()
            .map(|ip| {
                let servers = self.locals.servers_of(*ip).filter_map(|id| self.locals.get(id));
                let ports: Vec<String> = servers.map(|local| local.own.port().to_string()).collect();
                format!("{ip} ports {}", ports.join(", "))
            })
            .collect();
        let text = format!("at {}; {pairs} pairs of algorithms", places.join(", at "));
        self.notices.insert(0, Notice { level: Level::Info, text });
    }
}

/// Why there are no security associations at an address.
fn unsuitable(ip: IpAddr) -> Option<String> {
    let why = match ip {
        // `disable_xfrm` of the interface lo
        _ if ip.is_loopback() => "the kernel protects nothing that stays on this machine",
        _ if ip.is_unspecified() => "phones cannot be told of this address",
        _ => return None,
    };
    Some(format!("{ip}: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::model::{SipSocket, User};

    fn prepared(config: &mut Config) -> (Prepared, usize) {
        if config.sip.is_empty() {
            config.sip = vec![SipSocket::new("127.0.0.1".parse().unwrap(), 0); 2];
        }
        let mut sockets = Sockets::open(&mut config.sip).unwrap();
        let prepared = prepare(config, &mut sockets);
        assert!(prepared.ability.lack.is_some() && prepared.ability.suites.is_empty());
        (prepared, sockets.udp.len())
    }

    #[test]
    fn a_machine_that_talks_to_itself_has_none_and_says_why() {
        let (prepared, sockets) = prepared(&mut Config::default());
        let why = "127.0.0.1: the kernel protects nothing that stays on this machine";
        assert_eq!(prepared.ability.lack.as_deref(), Some(why));
        let notice = Notice { level: Level::Warn, text: format!("none: {why}") };
        assert_eq!((prepared.notices, prepared.ability.locals.iter().count(), sockets), (vec![notice], 2, 2));
    }

    #[test]
    fn a_trunk_has_none() {
        let sip = vec![SipSocket { trunk: true, ..SipSocket::new("127.0.0.1".parse().unwrap(), 0) }];
        let mut config = Config { sip, ..Config::default() };
        assert_eq!(prepared(&mut config).0.ability.lack.as_deref(), Some(NO_ADDRESS));
    }

    #[test]
    fn it_is_off_when_nobody_wants_it_and_one_user_is_enough() {
        let mut config = Config::default();
        config.ipsec.policy = Policy::Off;
        let off = |user| User { ipsec: user, ..User::default() };
        config.users = vec![off(Policy::Off)];
        assert!(prepared(&mut config).0.notices[0].text.starts_with("off, "));
        config.users.push(off(Policy::Required));
        assert!(prepared(&mut config).0.notices[0].text.starts_with("none: "));
    }
}
