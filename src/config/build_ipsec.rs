//! IPsec (`ipsec` and its companions): whether it is used, with which algorithms, at which ports.

use super::build::Builder;
use super::model::{IpsecSettings, SipSocket};
use super::schema::Scope;
use super::section::Section;
use super::source::Origin;
use super::suggest::did_you_mean;
use super::value::{Data, Value};
use crate::proto::sip::sec_agree::{Encryption, Integrity, Named, Policy, Preferences, Unknown};
use std::ops::RangeInclusive;

const INTEGRITY: &str = "ipsec_aalg_list";
const ENCRYPTION: &str = "ipsec_ealg_list";
const PORT_S: &str = "ipsec_port_s";
const PORT_C: &str = "ipsec_port_c";

/// `ipsec` of a section: a word, or a boolean that stands for `optional` or `off`.
pub(super) fn policy(section: &Section<'_>) -> Option<Policy> {
    let value = section.value("ipsec")?;
    if let Some(on) = value.data.as_bool() {
        return Some(if on { Policy::Optional } else { Policy::Off });
    }
    match value.data.as_str()? {
        "off" => Some(Policy::Off),
        "required" => Some(Policy::Required),
        _ => Some(Policy::Optional),
    }
}

impl Builder<'_> {
    /// `ipsec` and its companions.
    pub(super) fn ipsec(&mut self, top: &Section<'_>) -> IpsecSettings {
        let integrity: Option<Vec<Integrity>> = self.algorithms::<_, Encryption>(top, INTEGRITY, ENCRYPTION);
        let encryption: Option<Vec<Encryption>> = self.algorithms::<_, Integrity>(top, ENCRYPTION, INTEGRITY);
        let settings = IpsecSettings {
            policy: policy(top).unwrap_or_default(),
            integrity: integrity.unwrap_or_else(|| Integrity::ALL.to_vec()),
            encryption: encryption.unwrap_or_else(|| Encryption::ALL.to_vec()),
            port_s: top.port(PORT_S),
            port_c: top.port(PORT_C),
        };
        if is_used(top, &settings) {
            self.check_pairs(top, &settings);
            self.check_own_ports(top, &settings);
        }
        settings
    }

    /// The algorithms of a list that can be had, where it is given; `other` is the list of the algorithms of the other kind.
    fn algorithms<A: Named, Other: Named>(
        &mut self,
        top: &Section<'_>,
        name: &'static str,
        other: &'static str,
    ) -> Option<Vec<A>> {
        let mut known: Vec<A> = Vec::new();
        for item in top.items(name) {
            let Some(text) = item.data.as_str() else { continue };
            match A::by_name(text.as_bytes()) {
                Ok(algorithm) if known.contains(&algorithm) => {
                    self.warn(item.at, format!("{text} is in the list already; its first place counts"));
                }
                Ok(algorithm) => known.push(algorithm),
                Err(why) => self.not_had::<A, Other>(item, text, other, why),
            }
        }
        top.is_given(name).then_some(known)
    }

    fn not_had<A: Named, Other: Named>(
        &mut self,
        item: &Value,
        text: &str,
        other: &'static str,
        why: Unknown,
    ) {
        match why {
            Unknown::Withdrawn => self.warn(item.at, format!("{text} is no longer offered and is left out")),
            Unknown::Undefined => {
                let message = format!(
                    "{text} is left out: no published document says how phone and network make its key from CK and IK"
                );
                self.warn(item.at, message);
            }
            Unknown::Name if Other::by_name(text.as_bytes()).is_ok() => {
                self.error(item.at, format!("{text} belongs to `{other}`"));
            }
            Unknown::Name => {
                let names = || A::all().iter().map(|algorithm| algorithm.name());
                let hint = match did_you_mean(text, names()) {
                    Some(name) => format!("; did you mean \"{name}\"?"),
                    None => String::new(),
                };
                let all = names().collect::<Vec<_>>().join(", ");
                self.error(item.at, format!("unknown algorithm \"{text}\"{hint} (known: {all})"));
            }
        }
    }

    fn check_pairs(&mut self, top: &Section<'_>, settings: &IpsecSettings) {
        let any = !Preferences::new(&settings.integrity, &settings.encryption, |_| true).suites().is_empty();
        if any || has_slip::<Integrity>(top, INTEGRITY) || has_slip::<Encryption>(top, ENCRYPTION) {
            return;
        }
        let at = if top.is_given(INTEGRITY) { INTEGRITY } else { ENCRYPTION };
        let message = "IPsec is possible with no phone: no pair of these algorithms both exists and authenticates \
                       (aes-gcm goes with the integrity algorithm \"null\" alone, aes-gmac with the encryption \"null\", and \
                       every other encryption needs an integrity algorithm)";
        self.warn(top.at(at), message);
    }

    /// Server ports, client ports: neither may have the other's.
    fn check_own_ports(&mut self, top: &Section<'_>, settings: &IpsecSettings) {
        let [server, client] = ranges(settings);
        if overlap(&server, &client) {
            let message = format!(
                "`{PORT_S}` takes the ports {} and `{PORT_C}` the ports {}: these must be different ones",
                between(&server),
                between(&client)
            );
            let at = if top.is_given(PORT_C) { PORT_C } else { PORT_S };
            self.error(top.at(at), message);
        }
    }

    /// The protected ports are opened at each address of `sip_addr`, so its other ports must leave them free.
    pub(super) fn check_ports_beside(
        &mut self,
        top: &Section<'_>,
        settings: &IpsecSettings,
        sip: &[SipSocket],
    ) {
        if !is_used(top, settings) {
            return;
        }
        for (socket, at) in sip.iter().zip(self.sockets_at.clone()) {
            for (range, name) in ranges(settings).into_iter().zip([PORT_S, PORT_C]) {
                self.check_beside(socket, at, &range, name);
            }
        }
    }

    fn check_beside(&mut self, socket: &SipSocket, at: Origin, range: &RangeInclusive<u16>, name: &str) {
        let ports = between(range);
        if range.contains(&socket.bind.port()) {
            let port = socket.bind.port();
            let message = format!(
                "IPsec takes the ports {ports} of each address, so port {port} is not free: use another one here, or set \
                 `{name}`"
            );
            self.error(at, message);
        }
        if overlap(range, &(socket.port_min..=socket.port_max)) {
            let message = format!(
                "the media ports {} to {} share some with IPsec, which takes {ports}: set `port_min` and `port_max`, or \
                 `{name}`, so that calls do not miss them",
                socket.port_min, socket.port_max
            );
            self.warn(at, message);
        }
    }
}

/// Whether a list holds a name that is no algorithm, which has been reported.
fn has_slip<A: Named>(top: &Section<'_>, name: &str) -> bool {
    let mut names = top.items(name).iter().filter_map(|item| item.data.as_str());
    top.is_wrong(name) || names.any(|text| A::by_name(text.as_bytes()) == Err(Unknown::Name))
}

/// Whether anybody may have IPsec.
fn is_used(top: &Section<'_>, settings: &IpsecSettings) -> bool {
    let of_user = |item: &Value| match &item.data {
        Data::Object(object) => policy(&Section::new(object, Scope::User, item.at)),
        _ => None,
    };
    let users = top.items("ue_db").iter().filter_map(of_user);
    settings.policy != Policy::Off || users.into_iter().any(|policy| policy != Policy::Off)
}

/// The server ports and the client ports; none where the kernel chooses.
fn ranges(settings: &IpsecSettings) -> [RangeInclusive<u16>; 2] {
    let range = |first: u16, count: u16| match first {
        0 => RangeInclusive::new(1, 0),
        _ => first..=first.saturating_add(count - 1),
    };
    [
        range(settings.port_s, IpsecSettings::SERVER_PORTS),
        range(settings.port_c, IpsecSettings::SERVER_PORTS * IpsecSettings::CLIENT_PORTS),
    ]
}

fn overlap(a: &RangeInclusive<u16>, b: &RangeInclusive<u16>) -> bool {
    !a.is_empty() && !b.is_empty() && a.start() <= b.end() && b.start() <= a.end()
}

fn between(range: &RangeInclusive<u16>) -> String {
    format!("{} to {}", range.start(), range.end())
}
