//! Every row of the tables of RFC 4028, and what is due when.

use super::*;
use crate::wire::sip::Index;

const NOW: Instant = Instant::ZERO;

fn settings(duration: u64, min: u64) -> Settings {
    let secs = Duration::from_secs;
    Settings { duration: secs(duration), min: secs(min), ..Settings::default() }
}

fn parsed<T>(text: &str, ask: impl FnOnce(&Message<'_>) -> T) -> T {
    ask(&Message::parse(text.as_bytes(), &mut Index::new()).unwrap())
}

fn ask(headers: &str) -> Ask {
    parsed(&format!("INVITE sip:x SIP/2.0\r\n{headers}\r\n"), Ask::of)
}

fn answered(timer: &mut Timer, headers: &str) {
    parsed(&format!("SIP/2.0 200 OK\r\n{headers}\r\n"), |m| timer.on_success(NOW, m));
}

fn session(timer: &Timer) -> (u32, Who) {
    timer.session.map(|s| (s.secs, s.refresher)).unwrap()
}

#[test]
fn table_2_says_who_refreshes() {
    use Refresher::{Uac, Uas};
    // whether the UAC knows timers, whom it names; whom we name, and whether Require says so
    let rows = [
        ("", "", Uas, false),
        ("", ";refresher=uac", Uas, false),
        ("", ";refresher=uas", Uas, false),
        ("Supported: timer\r\n", ";refresher=uac", Uac, true),
        ("Supported: timer\r\n", ";refresher=uas", Uas, true),
    ];
    for (knows, named, granted, required) in rows {
        for refresher_is_uac in [true, false] {
            let mut timer = Timer::new(Settings { refresher_is_uac, ..settings(1800, 90) });
            let terms = timer.accept(NOW, &ask(&format!("Session-Expires: 600{named}\r\n{knows}")));
            assert_eq!(terms.expires, Some((600, Some(granted))), "{knows} {named}");
            assert_eq!(terms.is_required, required, "{knows} {named}");
            assert_eq!(session(&timer), (600, if granted == Uas { Who::Us } else { Who::Them }));
        }
    }
    // who knows them and names nobody leaves the choice to us
    for (refresher_is_uac, granted) in [(true, Uac), (false, Uas)] {
        let mut timer = Timer::new(Settings { refresher_is_uac, ..settings(1800, 90) });
        let terms = timer.accept(NOW, &ask("Session-Expires: 600\r\nSupported: timer\r\n"));
        assert_eq!((terms.expires, terms.is_required), (Some((600, Some(granted))), true));
    }
}

#[test]
fn a_session_is_made_shorter_but_not_longer_and_never_below_what_the_phone_takes() {
    let granted = |headers: &str| {
        let mut timer = Timer::new(settings(1800, 120));
        let terms = timer.accept(NOW, &ask(headers));
        (timer.session.unwrap().secs, terms.expires.map(|(secs, _)| secs))
    };
    let knows = "Supported: timer\r\n";
    assert_eq!(granted(&format!("Session-Expires: 3600\r\n{knows}")), (1800, Some(1800)));
    assert_eq!(granted(&format!("Session-Expires: 3600\r\nMin-SE: 2000\r\n{knows}")), (2000, Some(2000)));
    assert_eq!(granted(&format!("Session-Expires: 120\r\n{knows}")), (120, Some(120)));
    assert_eq!(granted(knows), (1800, Some(1800)), "we ask for one ourselves");
    assert_eq!(granted(&format!("Min-SE: 4000\r\n{knows}")), (4000, Some(4000)));
    assert_eq!(granted(""), (1800, Some(1800)), "we refresh alone");
    // somebody on the way has asked for less than we want: the phone does not care
    assert_eq!(granted("Session-Expires: 90\r\n"), (120, None));
    assert_eq!(granted("Session-Expires: 4000000000\r\n"), (86_400, Some(86_400)));
}

#[test]
fn too_short_a_session_is_refused_to_who_can_ask_again() {
    let timer = Timer::new(settings(1800, 300));
    let refused =
        |secs: u32, knows: &str| timer.refuses(&ask(&format!("Session-Expires: {secs}\r\n{knows}")));
    assert_eq!(refused(299, "Supported: timer\r\n"), Some(300));
    assert_eq!(refused(0, "Require: timer\r\n"), Some(300));
    assert_eq!(refused(300, "Supported: timer\r\n"), None);
    assert_eq!(refused(299, ""), None, "a phone without timers could make nothing of it");
    assert_eq!(timer.refuses(&ask("Supported: timer\r\n")), None);
}

#[test]
fn requests_say_who_is_to_refresh_if_that_is_to_be_imposed_and_later_who_does() {
    use Refresher::{Uac, Uas};
    for (refresher_is_uac, force, named) in
        [(true, true, Some(Uac)), (false, true, Some(Uas)), (true, false, None), (false, false, None)]
    {
        let timer = Timer::new(Settings { refresher_is_uac, force, ..settings(1800, 120) });
        let terms = timer.offer();
        assert_eq!((terms.expires, terms.min_secs), (Some((1800, named)), Some(120)));
        assert!(terms.is_supported && !terms.is_required);
    }
    let mut timer = Timer::new(Settings { force: false, ..settings(1800, 90) });
    answered(&mut timer, "Require: timer\r\nSession-Expires: 600;refresher=uas\r\n");
    assert_eq!(session(&timer), (600, Who::Them));
    assert_eq!(timer.offer().expires, Some((600, Some(Uas))), "roles do not change on the way");
    assert_eq!(timer.accept(NOW, &ask("Supported: timer\r\n")).expires, Some((600, Some(Uac))));
    answered(&mut timer, "Session-Expires: 600;refresher=uac\r\n");
    assert_eq!(timer.offer().expires, Some((600, Some(Uac))));
}

#[test]
fn an_answer_without_a_timer_leaves_the_refresh_to_us() {
    let mut timer = Timer::new(Settings { refresher_is_uac: false, ..settings(700, 90) });
    answered(&mut timer, "");
    assert_eq!(session(&timer), (700, Who::Us));
    answered(&mut timer, "Session-Expires: 0;refresher=uas\r\n");
    assert_eq!(session(&timer), (700, Who::Us), "a session of nothing is none");
    answered(&mut timer, "Session-Expires: 1;refresher=uac\r\n");
    assert_eq!(session(&timer), (MIN_GRANTED_SECS, Who::Us));
    // without a refresher the one that was asked for
    let mut timer = Timer::new(Settings { refresher_is_uac: false, ..settings(700, 90) });
    answered(&mut timer, "Session-Expires: 600\r\n");
    assert_eq!(session(&timer), (600, Who::Them));
}

#[test]
fn a_422_makes_the_next_session_longer_and_not_for_ever() {
    let mut timer = Timer::new(settings(200, 90));
    let refused = |timer: &mut Timer, min: &str| {
        parsed(&format!("SIP/2.0 422 x\r\n{min}\r\n"), |m| timer.on_too_short(m))
    };
    for useless in ["", "Min-SE: 200\r\n", "Min-SE: 86401\r\n"] {
        assert!(!refused(&mut timer, useless), "{useless}");
    }
    for least in [300, 400, 500] {
        assert!(refused(&mut timer, &format!("Min-SE: {least}\r\n")));
        let terms = timer.offer();
        assert_eq!((terms.expires.unwrap().0, terms.min_secs), (least, Some(least)));
    }
    assert!(!refused(&mut timer, "Min-SE: 600\r\n"), "three times are enough");
    answered(&mut timer, "");
    assert!(refused(&mut timer, "Min-SE: 600\r\n"), "a session later it may");
}

#[test]
fn half_of_the_session_is_the_moment_to_refresh_and_before_its_end_is_the_end() {
    let at = |secs: u64| NOW + Duration::from_secs(secs);
    for (secs, refresh, end) in [(90, 45, 60), (96, 48, 64), (600, 300, 568), (1800, 900, 1768)] {
        let mut timer = Timer::new(settings(secs, 90));
        answered(&mut timer, "");
        assert_eq!(timer.next_deadline(), Some(at(refresh)));
        assert_eq!(timer.take_due(at(refresh - 1)), None);
        assert_eq!(timer.take_due(at(refresh)), Some(Due::Refresh));
        assert_eq!((timer.take_due(at(refresh)), timer.next_deadline()), (None, Some(at(end))), "once");
        assert_eq!(timer.take_due(at(end)), Some(Due::End(secs as u32, Who::Us)));
        let mut timer = Timer::new(settings(secs, 90));
        timer.accept(NOW, &ask("Supported: timer\r\n"));
        assert_eq!(timer.next_deadline(), Some(at(end)), "the phone is to refresh");
        assert_eq!(timer.take_due(at(end)), Some(Due::End(secs as u32, Who::Them)));
        timer.stop();
        assert_eq!((timer.take_due(at(end)), timer.next_deadline()), (None, None));
    }
}

#[test]
fn update_refreshes_only_who_takes_it() {
    let mut timer = Timer::new(settings(1800, 90));
    assert!(!timer.takes_update(), "nobody has said so");
    answered(&mut timer, "Allow: INVITE, UPDATE\r\n");
    assert!(timer.takes_update());
    answered(&mut timer, "");
    assert!(timer.takes_update(), "no word is no change");
    timer.accept(NOW, &ask("Allow: INVITE, BYE\r\n"));
    assert!(!timer.takes_update());
    let mut timer = Timer::new(Settings { with_update: false, ..settings(1800, 90) });
    timer.accept(NOW, &ask("Allow: UPDATE\r\n"));
    assert!(!timer.takes_update(), "the configuration wants a re-INVITE");
}
