//! The octets of requests against those of iproute2 (`tests/vectors/ipsec_keys.json`), and what comes back against what was sent.

use super::*;
use serde_json::Value;
use std::collections::HashMap;

fn rows() -> Vec<Value> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/ipsec_keys.json");
    let file: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    file["netlink"].as_array().unwrap().clone()
}

fn octets(hex: &str) -> Vec<u8> {
    let hex = hex.trim_start_matches("0x");
    (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect()
}

/// The words of an `ip xfrm` command after its verb, by the keyword before them. `tmpl` has words of the same names: the first
/// ones count.
struct Command<'a> {
    words: HashMap<&'a str, Vec<&'a str>>,
}

impl<'a> Command<'a> {
    fn new(text: &'a str) -> Command<'a> {
        const KEYWORDS: [&str; 17] = [
            "src",
            "dst",
            "proto",
            "spi",
            "reqid",
            "mode",
            "replay-window",
            "auth",
            "enc",
            "aead",
            "sport",
            "dport",
            "dir",
            "priority",
            "tmpl",
            "state",
            "policy",
        ];
        let mut words: HashMap<&str, Vec<&str>> = HashMap::new();
        let mut at = None;
        for word in text.split_whitespace() {
            if KEYWORDS.contains(&word) {
                at = (!words.contains_key(word)).then_some(word);
                words.entry(word).or_default();
            } else if let Some(keyword) = at {
                words.get_mut(keyword).unwrap().push(word);
            }
        }
        Command { words }
    }

    fn word(&self, keyword: &str) -> &'a str {
        self.words.get(keyword).and_then(|w| w.first()).unwrap_or_else(|| panic!("no {keyword}"))
    }

    fn number(&self, keyword: &str) -> u32 {
        let word = self.word(keyword);
        match word.strip_prefix("0x") {
            Some(hex) => u32::from_str_radix(hex, 16).unwrap(),
            None => word.parse().unwrap(),
        }
    }

    fn id(&self) -> StateId {
        let address = |keyword| self.word(keyword).parse().unwrap();
        StateId { source: address("src"), destination: address("dst"), spi: self.number("spi") }
    }

    fn policy(&self) -> Policy {
        let address = |keyword: &str| self.word(keyword).parse::<IpAddr>().unwrap();
        let (source, destination) = (address("src"), address("dst"));
        let port = |keyword| Some(self.number(keyword) as u16);
        let template = Template {
            source,
            destination,
            spi: 0,
            reqid: if self.words.contains_key("tmpl") { self.number("reqid") } else { 0 },
        };
        Policy {
            selector: Selector {
                source: Net::host(source),
                destination: Net::host(destination),
                source_port: port("sport"),
                destination_port: port("dport"),
                protocol: if self.word("proto") == "udp" { 17 } else { 6 },
            },
            direction: if self.word("dir") == "in" { Direction::In } else { Direction::Out },
            priority: if self.words.contains_key("priority") { self.number("priority") } else { 0 },
            action: Action::Protect(template),
            lifetime: Lifetime::ENDLESS,
            bound: Bound::default(),
        }
    }

    /// The algorithms, with keys that live as long as the closure runs.
    fn with_algorithms<T>(&self, then: impl FnOnce(Algorithms<'_>) -> T) -> T {
        let key = |words: &[&str]| octets(words[1].trim_matches('"'));
        match self.words.get("aead") {
            Some(words) => {
                let icv_bits = words[2].parse().unwrap();
                then(Algorithms::Aead { name: words[0], key: &key(words), icv_bits })
            }
            None => {
                let (auth, enc) = (&self.words["auth"], &self.words["enc"]);
                then(Algorithms::Separate {
                    integrity: auth[0],
                    integrity_key: &key(auth),
                    icv_bits: None,
                    encryption: enc[0],
                    encryption_key: &key(enc),
                })
            }
        }
    }
}

#[test]
fn requests_are_those_of_iproute2_octet_by_octet() {
    let mut seen = HashMap::new();
    for row in rows() {
        let text = row["iproute2"].as_str().unwrap();
        let command = Command::new(text);
        let mut batch = Batch::new();
        let verb = text.split(' ').skip(1).take(2).collect::<Vec<_>>().join(" ");
        match verb.as_str() {
            "state add" => command.with_algorithms(|algorithms| {
                let replay_window = command.number("replay-window") as u8;
                let (id, reqid) = (command.id(), command.number("reqid"));
                let (lifetime, bound) = (Lifetime::ENDLESS, Bound::default());
                encode::add_state(
                    &mut batch,
                    &State {
                        id,
                        reqid,
                        algorithms,
                        lifetime,
                        replay_window,
                        replay: Replay::default(),
                        bound,
                    },
                );
            }),
            "state delete" => encode::delete_state(&mut batch, &command.id(), Bound::default()),
            "policy add" => encode::add_policy(&mut batch, &command.policy()),
            "policy delete" => encode::delete_policy(&mut batch, &command.policy()),
            other => panic!("{other}"),
        }
        assert_eq!(batch.as_bytes(), octets(row["nlmsg_hex"].as_str().unwrap()), "{} {text}", row["id"]);
        *seen.entry(verb).or_insert(0) += 1;
    }
    assert_eq!(seen.len(), 4, "{seen:?}");
}

fn state() -> State<'static> {
    State {
        id: StateId {
            source: "2001:db8::77".parse().unwrap(),
            destination: "2001:db8::1".parse().unwrap(),
            spi: 4097,
        },
        reqid: 77,
        algorithms: Algorithms::Separate {
            integrity: "hmac(sha1)",
            integrity_key: &[1; 20],
            icv_bits: Some(160),
            encryption: "cbc(aes)",
            encryption_key: &[2; 16],
        },
        lifetime: Lifetime {
            soft: Some(Duration::from_millis(1)),
            hard: Some(Duration::from_millis(630_500)),
        },
        replay_window: 32,
        replay: Replay { sent: 70_000, received: 300, window: 0xffff_fffd },
        bound: Bound { mark: Some(Mark { value: 5, mask: 255 }), if_id: 9 },
    }
}

#[test]
fn a_state_is_read_as_it_was_written() {
    let state = state();
    let mut batch = Batch::new();
    encode::add_state(&mut batch, &state);
    let info = decode::state(&batch.as_bytes()[16..]).unwrap();
    assert_eq!((info.id, info.reqid, info.bound), (state.id, 77, state.bound));
    assert_eq!((info.integrity.as_str(), info.encryption.as_str()), ("hmac(sha1)", "cbc(aes)"));
    let seconds = |s| Some(Duration::from_secs(s));
    assert_eq!(
        (info.lifetime.soft, info.lifetime.hard),
        (seconds(1), seconds(631)),
        "whole seconds, rounded up"
    );
    assert_eq!((info.used, info.counters), (None, Counters::default()));
    let Algorithms::Separate { integrity, integrity_key, encryption, encryption_key, .. } = state.algorithms
    else {
        panic!()
    };
    // struct xfrm_algo_auth: name, bits of the key, bits of the check value, key
    let attributes: Vec<_> = crate::netlink::attributes(&batch.as_bytes()[16 + 224..]).collect();
    let auth = attributes.iter().find(|(kind, _)| *kind == 20).unwrap().1;
    assert_eq!((&auth[..10], &auth[64..72]), (integrity.as_bytes(), &[160, 0, 0, 0, 160, 0, 0, 0][..]));
    assert_eq!(&auth[72..], integrity_key);
    let crypt = attributes.iter().find(|(kind, _)| *kind == 2).unwrap().1;
    assert_eq!((&crypt[..8], &crypt[68..]), (encryption.as_bytes(), encryption_key));
}

#[test]
fn a_state_has_its_own_algorithms_and_keys_and_no_others() {
    let has = |state: &State<'_>, algorithms: Algorithms<'_>| {
        let mut batch = Batch::new();
        encode::add_state(&mut batch, state);
        decode::has_algorithms(&batch.as_bytes()[16..], &algorithms)
    };
    let state = state();
    assert!(has(&state, state.algorithms));
    let (integrity, encryption) = ("hmac(sha1)", "cbc(aes)");
    let other = |integrity_key, icv_bits, encryption_key| Algorithms::Separate {
        integrity,
        integrity_key,
        icv_bits,
        encryption,
        encryption_key,
    };
    for other in [
        other(&[3; 20], Some(160), &[2; 16]),
        other(&[1; 19], Some(160), &[2; 16]),
        other(&[1; 20], Some(96), &[2; 16]),
        other(&[1; 20], Some(160), &[3; 16]),
        Algorithms::Aead { name: "rfc4106(gcm(aes))", key: &[1; 20], icv_bits: 128 },
    ] {
        assert!(!has(&state, other), "{other:?}");
    }
    let aead = Algorithms::Aead { name: "rfc4106(gcm(aes))", key: &[1; 20], icv_bits: 128 };
    assert!(has(&State { algorithms: aead, ..state }, aead));
}

#[test]
fn a_state_that_goes_on_tells_where_its_numbers_are() {
    for (replay, expected) in [(Replay::default(), None), (state().replay, Some([70_000, 300, 0xffff_fffd]))]
    {
        let mut batch = Batch::new();
        encode::add_state(&mut batch, &State { replay, ..state() });
        // struct xfrm_replay_state
        let found = crate::netlink::attributes(&batch.as_bytes()[16 + 224..]).find(|(kind, _)| *kind == 10);
        let numbers = found.map(|(_, value)| [0, 4, 8].map(|at| crate::netlink::u32_at(value, at).unwrap()));
        assert_eq!(numbers, expected);
    }
}

#[test]
fn a_policy_is_read_as_it_was_written() {
    let (from, to) = ("192.0.2.77:31112".parse().unwrap(), "192.0.2.1:5063".parse().unwrap());
    let traffic = Traffic { direction: Direction::In, from, to, spi: 4097, reqid: 78 };
    let [_, block] = guard(to);
    let mut protect = traffic.policy(Lifetime::hard(Duration::from_secs(90)));
    protect.bound = Bound { mark: Some(Mark { value: 1, mask: 1 }), if_id: 0 };
    for policy in [protect, block] {
        let mut batch = Batch::new();
        encode::add_policy(&mut batch, &policy);
        let info = decode::policy(&batch.as_bytes()[16..]).unwrap();
        assert_eq!((info.selector, info.direction), (policy.selector, Some(policy.direction)));
        assert_eq!((info.action, info.priority), (Some(policy.action), policy.priority));
        assert_eq!((info.lifetime, info.bound), (policy.lifetime, policy.bound));
    }
}

#[test]
fn answers_cut_off_anywhere_are_refused_or_read_without_their_end() {
    let mut batch = Batch::new();
    encode::add_state(&mut batch, &state());
    let policies = batch.as_bytes().len();
    encode::add_policy(&mut batch, &guard("192.0.2.1:5063".parse().unwrap())[0]);
    let bytes = batch.as_bytes();
    for len in 0..policies - 16 {
        assert_eq!(decode::state(&bytes[16..16 + len]).is_some(), len >= 224);
    }
    for len in 0..bytes.len() - policies - 16 {
        assert_eq!(decode::policy(&bytes[policies + 16..][..len]).is_some(), len >= 168);
    }
}

#[test]
fn names_longer_than_the_kernel_takes_keep_their_structure() {
    let name = "x".repeat(100);
    let mut state = state();
    state.algorithms = Algorithms::Aead { name: &name, key: &[7; 20], icv_bits: 128 };
    let mut batch = Batch::new();
    encode::add_state(&mut batch, &state);
    let info = decode::state(&batch.as_bytes()[16..]).unwrap();
    assert_eq!((info.integrity.len(), info.encryption.as_str()), (63, ""));
}

#[test]
fn keys_do_not_show_in_debug_output() {
    assert_eq!(format!("{:?}", state().algorithms), "hmac(sha1) cbc(aes)");
}
