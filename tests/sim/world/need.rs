//! Who is in need: calls to emergency services (RFC 5031) with a registration, with one for emergency calls and with none, and
//! calls back (RFC 7090).

use super::World;
use crate::phone::{DOMAIN, Help, Outlook, Phone, Wants};
use imsbox::base::time::Duration;
use imsbox::config::model::{Emergency, Impu};

/// How long after its call a stranger can be called back.
const WINDOW: Duration = Duration::from_secs(60);

/// The user that answers emergency calls in some runs.
pub const ANSWERER: &str = "u1";

/// Whether a user answers emergency calls in this run; else the echo does.
pub fn has_answerer(seed: u64) -> bool {
    !(seed / 16).is_multiple_of(2)
}

fn number(uri: &str, is_anonymous: bool, emergency: Emergency) -> Impu {
    let anonymous_callback = WINDOW;
    Impu { anonymous: is_anonymous, authentication: false, emergency, anonymous_callback, ..Impu::new(uri) }
}

/// The service that a user answers, or the echo.
pub fn help() -> Impu {
    number("urn:service:sos", true, Emergency::Any)
}

/// The services that the echo answers in each run. The number is one that phones dial as any other, and that the network takes for an
/// emergency call.
pub fn echoes() -> [Impu; 4] {
    [
        number("urn:service:sos.police", true, Emergency::Any),
        number("urn:service:sos.fire", true, Emergency::Registered),
        number("urn:service:sos.marine", false, Emergency::Any),
        number("tel:911", true, Emergency::Anonymous),
    ]
}

/// What phones dial.
const DIALLED: [&str; 7] = [
    "urn:service:sos",
    "urn:service:sos",
    "urn:service:sos.animal-control",
    "urn:service:sos.police",
    "urn:service:sos.fire",
    "urn:service:sos.marine",
    "tel:911",
];

/// Whether somebody sends, outside of a dialog, what is of a call for help: anybody may make one in clear.
pub fn is_for_help(octets: &str) -> bool {
    let target = octets.split(' ').nth(1).unwrap_or_default();
    DIALLED.contains(&target)
}

impl World {
    /// Somebody calls for help, or is called back.
    pub(super) fn call_for_help(&mut self) {
        match self.rng.below(6) {
            0 | 1 => self.ask_for_help(),
            2 if has_answerer(self.seed) => self.call_back(),
            _ => {}
        }
    }

    fn ask_for_help(&mut self) {
        let is_able = |p: &Phone| {
            p.is_stranger()
                || p.is_registered() && (p.is_in_need() || p.name.starts_with('u') && p.name != ANSWERER)
        };
        let able: Vec<usize> = (0..self.phones.len()).filter(|at| is_able(&self.phones[*at])).collect();
        let caller = able[self.rng.below(able.len() as u64) as usize];
        let to = DIALLED[self.rng.below(DIALLED.len() as u64) as usize];
        let phone = &self.phones[caller];
        let is_normal = !phone.is_stranger() && !phone.is_in_need();
        let outlook = match to {
            "urn:service:sos.fire" | "tel:911" if is_normal => Outlook::Refused(380),
            "urn:service:sos.marine" if phone.is_stranger() => Outlook::Refused(403),
            _ => Outlook::Planned,
        };
        let is_answered = echoes().iter().all(|echo| echo.uri != to) && has_answerer(self.seed);
        let mut order = self.order(to);
        order.help = Some(Help { is_echo: !is_answered, outlook });
        order.cancel = order.cancel.filter(|_| is_answered);
        self.outcome.asked_for_help += 1;
        let mut want = Wants::default();
        self.phones[caller].call(self.now, order, &mut want);
        self.carry(caller, want);
    }

    /// Who answers emergency calls calls somebody who has made one: a phone without registration by its IMEI, another by the
    /// user's name.
    fn call_back(&mut self) {
        let answerer = self.phones.iter().position(|p| p.name == ANSWERER).expect("it takes part");
        if !self.phones[answerer].is_registered() {
            return;
        }
        let needy: Vec<usize> = (0..self.phones.len())
            .filter(|at| self.phones[*at].is_stranger() || self.phones[*at].is_in_need())
            .collect();
        let callee = needy[self.rng.below(needy.len() as u64) as usize];
        let phone = &self.phones[callee];
        let name = if phone.is_stranger() { phone.imei() } else { &phone.user };
        let to = format!("sip:{name}@{DOMAIN}");
        let mut order = self.order(&to);
        order.help = Some(Help { is_echo: false, outlook: self.outlook_of_callback(callee) });
        let mut want = Wants::default();
        self.phones[answerer].call(self.now, order, &mut want);
        self.carry(answerer, want);
    }

    fn outlook_of_callback(&self, callee: usize) -> Outlook {
        let callee = &self.phones[callee];
        let soon = Duration::from_secs(1)..WINDOW - Duration::from_secs(5);
        match callee.helped_since(self.now) {
            _ if !callee.is_stranger() => Outlook::Planned,
            // when exactly its call ended, and the time begins, only the network knows
            Some(since) if soon.contains(&since) => Outlook::Planned,
            // a number that nobody has is one behind the trunk, where there is one
            None if !callee.has_called_for_help() && self.has_trunk() => Outlook::Planned,
            None if !callee.has_called_for_help() => Outlook::Refused(404),
            _ => Outlook::Open,
        }
    }
}
