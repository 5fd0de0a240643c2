//! Calls with pictures.

use super::network::Two;
use super::*;
use crate::phone::codec::Codec;

/// Two phones in a call with pictures, if both have them.
fn talking(caller: &[(&'static str, &str)], callee: &[(&'static str, &str)], video: bool) -> Two {
    let mut two = Two::new(1, &[]);
    two.phones = [phone(1, caller), phone(2, callee)];
    two.phones[1].set_auto_answer(Some(Duration::ZERO));
    two.phones[0].make_call(Instant::ZERO, "p2", None, video).unwrap();
    two.run(3000);
    two
}

fn sent(two: &Two) -> [u64; 4] {
    let [a, b] = two.phones.each_ref().map(|p| (p.report().unwrap().sent, p.video_report().unwrap().sent));
    [a.0, a.1, b.0, b.1]
}

#[test]
fn sound_and_pictures_go_both_ways_and_are_counted_apart() {
    for more in [&[][..], &[("precondition", "on")]] {
        let mut two = talking(more, more, true);
        assert!(
            two.has(0, &Event::Answered(vec![Codec::Pcma, Codec::H264], "sip:p2@h".to_owned())),
            "{:?}",
            two.events
        );
        two.phones[0].hang_up(two.now).unwrap();
        two.rest("pictures");
        for side in 0..2 {
            let ended = two.ended(side).unwrap();
            let (sound, pictures) = (ended.report.unwrap(), ended.video.unwrap());
            assert!(sound.received > 100 && (23..32).contains(&pictures.received), "{sound:?} {pictures:?}");
            assert_eq!((sound.lost, pictures.lost, pictures.echoed), (0, 0, 0));
            assert_eq!(two.phones[side].video_report(), Some(pictures));
        }
    }
}

#[test]
fn a_hold_is_for_both_streams() {
    let mut two = talking(&[], &[], true);
    two.phones[1].hold(two.now, true).unwrap();
    two.run(500);
    let held = sent(&two);
    two.run(2000);
    assert_eq!(sent(&two), held, "silence and darkness");
    two.phones[1].hold(two.now, false).unwrap();
    two.run(1000);
    let now = sent(&two);
    assert!(now.iter().zip(&held).all(|(now, then)| *now > then + 5), "{held:?} {now:?}");
    assert!(two.has(0, &Event::HeldByThem(true)) && two.has(0, &Event::HeldByThem(false)));
}

#[test]
fn who_has_no_pictures_talks_without() {
    for (callee, video) in [(&[("video", "off")][..], true), (&[], false)] {
        let mut two = talking(&[], callee, video);
        assert!(two.has(0, &Event::Answered(vec![Codec::Pcma], "sip:p2@h".to_owned())), "{:?}", two.events);
        assert!(two.phones.iter().all(|p| p.video_report().is_none()));
        // a place that was refused stays a place
        two.listen = true;
        two.phones[0].hold(two.now, true).unwrap();
        two.phones[0].tick(two.now);
        two.run(500);
        assert!(two.has(1, &Event::HeldByThem(true)), "{:?}", two.events);
        let offer = two.heard.iter().find(|m| m.starts_with("INVITE ")).unwrap();
        assert_eq!(offer.contains("m=video 0 RTP/AVP 99\r\n"), video, "{offer}");
        two.phones[1].hang_up(two.now).unwrap();
        two.rest("without");
    }
}

#[test]
fn pictures_may_come_and_go_inside_a_call() {
    let mut phone = phone(1, &[]);
    let sdp = |version: u8, port: u16| {
        format!(
            "v=0\r\no=- 1 {version} IN IP4 192.0.2.2\r\ns=-\r\nc=IN IP4 192.0.2.2\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n\
             m=video {port} RTP/AVP 120\r\na=rtpmap:120 H264/90000\r\na=fmtp:120 profile-level-id=42e00c\r\n"
        )
    };
    let me = "<sip:p1@h>";
    phone.on_message(Instant::ZERO, Peer::Server, &request("INVITE", 1, me, "", &sdp(1, 0)));
    phone.answer(Instant::ZERO).unwrap();
    let ok = said(&mut phone).0.pop().unwrap();
    let to = header(&ok, "To").to_owned();
    assert!(ok.contains("m=video 0 RTP/AVP 120\r\n") && phone.video_report().is_none(), "{ok}");
    phone.on_message(Instant::ZERO, Peer::Server, &request("ACK", 1, &to, "", ""));
    phone.on_message(Instant::ZERO, Peer::Server, &request("UPDATE", 2, &to, "", &sdp(2, 6000)));
    let ok = said(&mut phone).0.remove(0);
    assert!(ok.contains("m=video 4002 RTP/AVP 120\r\na=rtpmap:120 H264/90000\r\n"), "{ok}");
    assert!(phone.video_report().is_some());
    phone.on_message(Instant::ZERO, Peer::Server, &request("UPDATE", 3, &to, "", &sdp(3, 0)));
    said(&mut phone);
    let before = phone.video_report().unwrap().sent;
    phone.tick(Instant::from_nanos(1_000_000_000));
    assert_eq!(phone.video_report().unwrap().sent, before);
}
