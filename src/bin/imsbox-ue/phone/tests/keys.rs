//! Keys that are pressed in a call, and calls in which nothing is sent.

use super::network::Two;
use super::*;

/// Two phones in a call.
fn talking(more: &[(&'static str, &str)]) -> Two {
    let mut two = Two::new(1, more);
    two.phones[1].set_auto_answer(Some(Duration::ZERO));
    two.phones[0].make_call(Instant::ZERO, "p2", None, false).unwrap();
    two.run(1000);
    two
}

#[test]
fn keys_are_heard_on_the_other_side_beside_the_sound() {
    for codecs in ["PCMA", "AMR-WB"] {
        let mut two = talking(&[("codecs", codecs)]);
        two.phones[0].press("0*9#d").unwrap();
        assert!(two.phones[0].is_pressing());
        two.phones[1].press("5").unwrap();
        two.run(2000);
        assert!(!two.phones.iter().any(Phone::is_pressing));
        for (at, keys) in [(1, "0*9#D"), (0, "5")] {
            let told: Vec<char> = two.events[at]
                .iter()
                .filter_map(|e| if let Event::Key(k) = e { Some(*k) } else { None })
                .collect();
            assert_eq!(
                (two.phones[at].keys(), told.into_iter().collect::<String>()),
                (keys, keys.to_owned())
            );
        }
        two.phones[0].hang_up(two.now).unwrap();
        two.rest(codecs);
        assert_eq!(two.phones[1].keys(), "0*9#D", "they are remembered after the call");
        let report = two.ended(1).unwrap().report.unwrap();
        assert!(report.lost == 0 && report.jitter_ms < 1.0, "{report:?}");
    }
}

#[test]
fn keys_need_a_call_and_a_side_that_takes_them() {
    let mut phone = phone(1, &[]);
    assert_eq!(phone.press("1"), Err("there is no call that is answered".to_owned()));
    let mut two = talking(&[]);
    assert!(two.phones[0].press("1 2").unwrap_err().starts_with("` ` is no key"));
    let many = "1".repeat(60);
    two.phones[0].press(&many).unwrap();
    assert!(two.phones[0].press(&many).unwrap_err().contains("wait to be sent"));
}

#[test]
fn a_mute_phone_sends_nothing_until_it_goes_on() {
    let mut two = talking(&[]);
    two.phones[1].set_mute(two.now, true);
    let sent = |two: &Two| two.phones[1].report().unwrap().sent;
    let before = sent(&two);
    two.run(12_000);
    assert_eq!((sent(&two), two.phones[0].report().unwrap().peer_lost), (before, None), "no reports either");
    two.phones[1].set_mute(two.now, false);
    two.run(1000);
    assert!(sent(&two) > before + 40);
    // and so does a call that begins while it is mute
    two.phones[0].hang_up(two.now).unwrap();
    two.run(1000);
    two.phones[1].set_mute(two.now, true);
    two.phones[0].make_call(two.now, "p2", None, false).unwrap();
    two.run(1000);
    assert_eq!(sent(&two), 0);
}
