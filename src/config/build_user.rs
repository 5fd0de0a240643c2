//! Users from `ue_db`: identities given or derived (TS 23.003 13), keys, and `count`.

use super::build::Builder;
use super::build_ipsec;
use super::diagnostic::Severity;
use super::identity::{self, Scheme};
use super::limits::MAX_USERS;
use super::model::{AuthentType, Impu, SimAlgo, User};
use super::schema::Scope;
use super::section::Section;
use super::source::Origin;
use super::value::Data;

impl Builder<'_> {
    /// All users, `count` expanded.
    pub(super) fn users(&mut self, top: &Section<'_>) -> Vec<User> {
        let mut users = Vec::new();
        for item in top.items("ue_db") {
            let Data::Object(object) = &item.data else { continue };
            let section = Section::new(object, Scope::User, item.at);
            let Some(user) = self.user(top, &section) else { continue };
            let count = section.count("count") as usize;
            if users.len() + count > MAX_USERS {
                self.error(section.at("count"), format!("more than {MAX_USERS} users"));
                break;
            }
            for number in 0..count as u64 {
                let Some(copy) = self.copy(&user, &section, number) else { break };
                self.remember(&copy, item.at);
                users.push(copy);
            }
        }
        users
    }

    fn user(&mut self, top: &Section<'_>, section: &Section<'_>) -> Option<User> {
        if ["imsi", "impi", "nai"].iter().any(|name| section.is_wrong(name)) {
            return None;
        }
        // An IMSI of zeros stands for "none" with soft clients; every one of them has it.
        let imsi =
            section.text("imsi").filter(|imsi| imsi.contains(|digit| digit != '0')).unwrap_or_default();
        let named = section.text("impi").or(section.text("nai"));
        if imsi.is_empty() && named.is_none() {
            self.error(section.at, "this user has no name: give `imsi`, `nai` or `impi`");
            return None;
        }
        let given_domain = section.text("domain").filter(|domain| !domain.is_empty());
        let hint = given_domain.into_iter().chain(named).find(|text| text.contains("mnc"));
        let derived = identity::home_domain(imsi, hint);
        let domain = given_domain
            .or(top.text("domain").filter(|domain| !domain.is_empty()))
            .map(str::to_owned)
            .or_else(|| derived.clone())
            .or_else(|| named.and_then(|name| name.split_once('@')).map(|(_, host)| host.to_owned()));
        let Some(domain) = domain else {
            self.error(section.at, "this user has no domain: give `domain` here or at the top level");
            return None;
        };
        let impi = match (named, &derived) {
            (Some(name), _) => name.to_owned(),
            // TS 23.003 13.3: the IMSI at the home domain.
            (None, Some(home)) => format!("{imsi}@{home}"),
            (None, None) => format!("{imsi}@{domain}"),
        };
        let own = match &derived {
            // TS 23.003 13.4B: the temporary identity that a phone without an ISIM registers with.
            Some(home) => Impu::new(format!("sip:{imsi}@{home}")),
            None => Impu::new(identity::uri(&impi, &domain)),
        };
        let impus = self.impus(section, own, &domain, derived.is_some());
        let password = section.string("pwd");
        let user = User {
            imsi: imsi.to_owned(),
            impi,
            domain,
            impus,
            sim: self.sim(section),
            authent_type: authent_type(section, password.is_some()),
            password,
            qop: qop(section),
            auth_on_register_only: flag(section, top, "auth_on_register_only"),
            proxy_auth: flag(section, top, "proxy_auth"),
            multi_sim: section.bool("multi_sim"),
            ipsec: build_ipsec::policy(section).or(build_ipsec::policy(top)).unwrap_or_default(),
            force_sms_over_sg: section.bool("force_sms_over_sg"),
            msisdn: section.text("msisdn").map(|number| number.trim_start_matches('+').to_owned()),
            mt_call_sdp: self.template(section, "mt_call_sdp_file"),
        };
        self.check_credentials(&user, top, section);
        Some(user)
    }

    /// The public identities: those given, or the one of the MSISDN; `own`, which follows from the IMSI or from the
    /// private identity, comes last and can always be registered.
    fn impus(&mut self, section: &Section<'_>, own: Impu, domain: &str, from_imsi: bool) -> Vec<Impu> {
        let mut impus: Vec<Impu> = Vec::new();
        for item in section.items("impu") {
            if let Some(impu) = self.impu(item, domain)
                && !impus.iter().any(|other| other.uri == impu.uri && other.imei == impu.imei)
            {
                impus.push(impu);
            }
        }
        if impus.is_empty()
            && let Some(number) = section.text("msisdn")
        {
            impus.push(Impu::new(format!("tel:+{}", number.trim_start_matches('+'))));
        }
        if !impus.iter().any(|impu| impu.uri == own.uri) {
            // TS 23.003 13.4B: barred for all but registration, unless it is all there is. The user name of a client
            // with a password is no secret of a SIM: it can be called.
            let barred = !impus.is_empty() && (from_imsi || !section.is_given("pwd"));
            impus.push(Impu { barred, associated: !barred, ..own });
        }
        impus
    }

    fn check_credentials(&mut self, user: &User, top: &Section<'_>, section: &Section<'_>) {
        let has_key = user.sim.is_some() || section.is_wrong("K");
        let has_password = user.password.is_some() || section.is_wrong("pwd");
        let anywhere = has_key || has_password || top.is_given("cx_server_addr");
        let name = &user.impi;
        if user.authent_type == AuthentType::None {
            return;
        }
        if !anywhere && section.is_given("K") {
            // The key is there and something about it has been complained of.
            return;
        }
        if !anywhere {
            let message = format!(
                "{name} can never register: it has neither a SIM key (`K`) nor a password (`pwd`), and \
                 `authent_type` is not \"none\""
            );
            self.warn(section.at, message);
        } else if !has_key && user.password.is_some() && user.authent_type > AuthentType::Md5 {
            let message =
                format!("{name} can never register: this needs a SIM key (`K`), and it has a password only");
            self.warn(section.at("authent_type"), message);
        }
        if user.multi_sim && user.sim.as_ref().is_some_and(|sim| sim.algo != SimAlgo::Xor) {
            self.warn(section.at("multi_sim"), "`multi_sim` is possible with `sim_algo: \"xor\"` only");
        }
    }

    /// The user with this number of the ones that `count` makes; 0 is the one that is written.
    fn copy(&mut self, user: &User, section: &Section<'_>, number: u64) -> Option<User> {
        let mut copy = user.clone();
        if number == 0 {
            return Some(copy);
        }
        let imsi = &user.imsi;
        if !imsi.is_empty() {
            copy.imsi = self.counted(identity::add_to_digits(imsi, number), imsi, section)?;
        }
        copy.impi = self.counted(identity::count_up(&user.impi, imsi, number), &user.impi, section)?;
        copy.impus.retain_mut(|impu| {
            if identity::split(&impu.uri).0 == Scheme::Urn {
                return true;
            }
            let counted = identity::count_up(&impu.uri, imsi, number);
            if counted.is_none() && (number == 1 || identity::count_up(&impu.uri, imsi, number - 1).is_some())
            {
                let message = format!("{} cannot be counted up so far: {}", impu.uri, holders(number));
                self.warn(section.at("count"), message);
            }
            let is_countable = counted.is_some();
            impu.uri = counted.unwrap_or_default();
            is_countable
        });
        if let Some(msisdn) = &mut copy.msisdn {
            *msisdn = self.counted(identity::add_to_digits(msisdn, number), msisdn, section)?;
        }
        if let Some(sim) = &mut copy.sim {
            identity::add_to_key(&mut sim.k, number);
        }
        Some(copy)
    }

    fn counted(&mut self, counted: Option<String>, from: &str, section: &Section<'_>) -> Option<String> {
        if counted.is_none() {
            let message = format!("{from} cannot be counted up so far: it has too few digits");
            self.error(section.at("count"), message);
        }
        counted
    }

    /// Warns of identities that two users have.
    fn remember(&mut self, user: &User, at: Origin) {
        if let Some(other) = self.impis.insert(user.impi.clone(), at) {
            let message =
                format!("{} is also another user's private identity; the first one counts", user.impi);
            self.duplicate(message, at, other);
            return;
        }
        // A URN names a service, which many may offer.
        let is_own = |impu: &&Impu| {
            impu.imei.is_none() && impu.pattern.is_none() && identity::split(&impu.uri).0 != Scheme::Urn
        };
        for impu in user.impus.iter().filter(is_own) {
            if let Some(other) = self.impus.insert(impu.uri.clone(), at) {
                let message = format!("{} is also another user's identity; the first one has it", impu.uri);
                self.duplicate(message, at, other);
            }
        }
    }

    fn duplicate(&mut self, message: String, at: Origin, other: Origin) {
        let note = ("the other user is here".to_owned(), other);
        self.diagnostics.at_with(self.sources, Severity::Warning, at, message, &[note]);
    }
}

fn holders(number: u64) -> String {
    match number {
        1 => "only the first of these users has it".to_owned(),
        _ => format!("only the first {number} of these users have one"),
    }
}

fn authent_type(section: &Section<'_>, has_password: bool) -> AuthentType {
    match section.text("authent_type") {
        Some("none") => AuthentType::None,
        Some("MD5") => AuthentType::Md5,
        Some("AKAv2") => AuthentType::AkaV2,
        Some("AKAv2-SHA-256") => AuthentType::AkaV2Sha256,
        Some(_) => AuthentType::AkaV1,
        None if has_password => AuthentType::Md5,
        None => AuthentType::AkaV1,
    }
}

fn qop(section: &Section<'_>) -> Vec<String> {
    match section.text("authent_qop") {
        None | Some("none") => Vec::new(),
        Some(list) => list.split(',').map(str::to_owned).collect(),
    }
}

/// A boolean that a user may say otherwise than the top level.
fn flag(section: &Section<'_>, top: &Section<'_>, name: &str) -> bool {
    section.bool_if_given(name).unwrap_or_else(|| top.bool(name))
}
