//! What is printed when the program has started: short, and everything one needs to connect a phone or look for a fault.

use imsbox::config::model::Config;
use imsbox::node::ipsec::Notice;
use std::path::Path;

/// Echo numbers that are named; the rest is counted.
const ECHO_SHOWN: usize = 4;

/// What the banner tells.
pub struct Banner<'a> {
    /// What is listened on, one line each.
    pub listening: Vec<String>,
    /// The configuration.
    pub config: &'a Config,
    /// How many users it has.
    pub users: usize,
    /// The records that the state file gave.
    pub restored: Option<usize>,
    /// What there is to be said about the state file.
    pub remarks: &'a [String],
    /// What there is to be said about IPsec.
    pub notices: &'a [Notice],
    /// Whether a prompt follows.
    pub prompt: bool,
}

impl Banner<'_> {
    /// The text, ending with the line that starts with `ready`.
    pub fn text(&self) -> String {
        let mut out = format!("imsbox {}\n", env!("CARGO_PKG_VERSION"));
        let mut row = |name: &str, value: &str| out += &format!("  {name:<9} {value}\n");
        for (i, line) in self.listening.iter().enumerate() {
            row(if i == 0 { "listening" } else { "" }, line);
        }
        for (i, notice) in self.notices.iter().enumerate() {
            row(if i == 0 { "ipsec" } else { "" }, &notice.text);
        }
        row("users", &self.users());
        if let Some(trunk) = &self.config.trunk {
            row("trunk", &format!("numbers that nobody has are called at {} ({})", trunk.addr, trunk.domain));
        }
        match &self.config.log.filename {
            Some(file) => row("log", &file.display().to_string()),
            None => row("log", "none: log_filename is not set"),
        }
        match (&self.config.state_file, self.restored) {
            (Some(file), Some(records)) => row("state", &state(file, records)),
            _ => row("state", "not kept over a restart: ue_db_filename is not set"),
        }
        for remark in self.remarks {
            row("", remark);
        }
        out + if self.prompt { "ready, type help for the commands\n" } else { "ready\n" }
    }

    fn users(&self) -> String {
        let uris: Vec<&str> = self.config.echo.iter().map(|echo| echo.uri.as_str()).collect();
        let users = count(self.users, "user");
        if uris.is_empty() {
            return format!("{users}, no echo number");
        }
        let shown = uris.iter().take(ECHO_SHOWN).copied().collect::<Vec<_>>().join(", ");
        match uris.len().saturating_sub(ECHO_SHOWN) {
            0 => format!("{users}, echo on {shown}"),
            more => format!("{users}, echo on {shown} and {more} more"),
        }
    }
}

fn state(file: &Path, records: usize) -> String {
    format!("{}, {} restored", file.display(), count(records, "record"))
}

/// `1 user`, `2 users`.
pub fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use imsbox::base::trace::Level;
    use imsbox::config::model::{Impu, Trunk};
    use imsbox::proto::flow::LocalId;

    #[test]
    fn the_banner_tells_what_one_needs() {
        let echo = (1..=6).map(|n| Impu::new(format!("tel:{n}"))).collect();
        let mut config = Config { echo, ..Config::default() };
        config.log.filename = Some("/tmp/ims.log".into());
        config.trunk = Some(Trunk {
            addr: "192.0.2.9:5060".parse().unwrap(),
            local: LocalId(0),
            name: None,
            domain: "pbx.test".to_owned(),
            tcp_threshold: None,
            anonymous: false,
        });
        let listening = vec!["SIP on UDP 127.0.0.1:5060".to_owned(), "monitor on /run/m".to_owned()];
        let notices = ["at 127.0.0.1 ports 6100, 6101; 22 pairs of algorithms", "the kernel lacks blowfish"]
            .map(|text| Notice { level: Level::Info, text: text.to_owned() });
        let mut banner = Banner {
            listening,
            config: &config,
            users: 1,
            restored: None,
            remarks: &[],
            notices: &notices,
            prompt: false,
        };
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(
            banner.text(),
            format!(
                "imsbox {version}\n\
                 \x20 listening SIP on UDP 127.0.0.1:5060\n\
                 \x20           monitor on /run/m\n\
                 \x20 ipsec     at 127.0.0.1 ports 6100, 6101; 22 pairs of algorithms\n\
                 \x20           the kernel lacks blowfish\n\
                 \x20 users     1 user, echo on tel:1, tel:2, tel:3, tel:4 and 2 more\n\
                 \x20 trunk     numbers that nobody has are called at 192.0.2.9:5060 (pbx.test)\n\
                 \x20 log       /tmp/ims.log\n\
                 \x20 state     not kept over a restart: ue_db_filename is not set\n\
                 ready\n"
            )
        );
        banner.prompt = true;
        assert!(banner.text().ends_with("\nready, type help for the commands\n"));
    }
}
