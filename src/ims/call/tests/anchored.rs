//! Calls whose media passes through us.

use super::*;
use crate::config::model::MediaRelay;
use crate::ims::call::Action;
use crate::proto::media::table::{DropReason, PacketVerdict, Treatment};
use crate::wire::sdp::{Direction, MediaKind, Sdp};
use std::net::SocketAddr;

const BOB6: Phone = Phone { addr: "[2001:db8::b0b]:5060", user: "bob" };
pub(super) const RTP: [u8; 12] = [0x80, 0, 0, 1, 0, 0, 0, 160, 0, 0, 0, 7];
const RTCP: [u8; 8] = [0x80, 200, 0, 1, 0, 0, 0, 7];

/// What a phone on IPv6 says.
const SDP6: &str = "v=0\r\no=bob 5 1 IN IP6 2001:db8::b0b\r\ns=-\r\nc=IN IP6 2001:db8::b0b\r\nt=0 0\r\n\
    m=audio 6000 RTP/AVP 104\r\nb=AS:41\r\na=rtpmap:104 AMR-WB/16000/1\r\na=fmtp:104 mode-set=0,1,2\r\na=x-odd:1\r\na=sendrecv\r\n";

/// What Alice says: with everything that must pass as it is, and what tells of addresses.
const SDP4: &str = "v=0\r\no=alice 7 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nb=AS:80\r\nt=0 0\r\n\
    m=audio 4000 RTP/AVP 104 0\r\nb=AS:41\r\nb=RS:0\r\na=rtpmap:104 AMR-WB/16000/1\r\na=fmtp:104 mode-set=0,1,2\r\na=x-odd:1\r\n\
    a=rtcp:4007\r\na=candidate:1 1 UDP 1 192.0.2.1 4000 typ host\r\na=sendrecv\r\n";

fn world(change: impl FnOnce(&mut Config)) -> World {
    let mut w = World::with(change);
    [ALICE, BOB6].into_iter().for_each(|phone| w.register(phone, ""));
    w
}

/// A world with both phones on IPv4.
fn world4(change: impl FnOnce(&mut Config)) -> World {
    let mut w = World::with(change);
    [ALICE, BOB].into_iter().for_each(|phone| w.register(phone, ""));
    w
}

/// Sets a call up from Alice to another phone.
fn call(w: &mut World, to: Phone, offer: &str, answer: &str) -> (Side, Side) {
    let mut alice = w.invite(ALICE, "sip:bob@ims.test", "", offer);
    let invite = w.expect(to, "INVITE");
    let bob = Side::callee(to, &invite);
    w.answer(to, &invite, 200, "", answer);
    alice.learn(&w.expect(ALICE, "SIP/2.0 200"));
    w.ack(&alice, 1, "");
    w.expect(to, "ACK");
    w.expect_nothing();
    (alice, bob)
}

/// Where a description wants the RTP of its `n`-th stream.
pub(super) fn wants(text: &str, n: usize) -> SocketAddr {
    let sdp = Sdp::parse(body(text).as_bytes()).unwrap();
    sdp.medias().nth(n).unwrap().rtp_addr().unwrap()
}

impl World {
    /// A packet comes in on one of our ports; where it goes to.
    pub(super) fn packet(
        &mut self,
        at: SocketAddr,
        from: &str,
        packet: &[u8],
    ) -> Result<(SocketAddr, u16), PacketVerdict> {
        let rtp_port = at.port() & !1;
        let (now, from) = (self.now, from.parse().unwrap());
        let is_it = |w: &mut World, session: u64| {
            let view = w.core.media_mut().view(session).unwrap();
            view.port == rtp_port && (view.local == LocalId(1)) == at.is_ipv6()
        };
        let sessions: Vec<u64> = self.open_ports.iter().map(|(s, _)| *s).collect();
        let session = sessions.into_iter().find(|s| is_it(self, *s)).expect("a port that is open");
        let media = self.core.media_mut();
        match media.on_packet(now, session, at.port() != rtp_port, from, packet) {
            PacketVerdict::Send { session, rtcp, to } => {
                Ok((to, media.view(session).unwrap().port + u16::from(rtcp)))
            }
            other => Err(other),
        }
    }

    /// Nothing is open any more but for calls that have ended.
    fn hang_up(&mut self, side: &mut Side) {
        self.request(side, "BYE", "", "");
        assert_eq!(self.open_ports, []);
        self.quiet();
    }
}

fn to(addr: &str, from_port: u16) -> Result<(SocketAddr, u16), PacketVerdict> {
    Ok((addr.parse().unwrap(), from_port))
}

#[test]
fn a_phone_on_ipv4_and_one_on_ipv6_hear_each_other() {
    let mut w = world(|_| {});
    let mut alice = w.invite(ALICE, "sip:bob@ims.test", "", SDP4);
    let invite = w.expect(BOB6, "INVITE");
    let far = wants(&invite, 0);
    assert_eq!(far.ip().to_string(), "2001:db8::1");
    let passed = SDP4
        .replace("IP4 192.0.2.1", "IP6 2001:db8::1")
        .replace(
            "m=audio 4000 RTP/AVP 104 0\r\n",
            &format!("m=audio {} RTP/AVP 104 0\r\nc=IN IP6 2001:db8::1\r\n", far.port()),
        )
        .replace("a=rtcp:4007\r\na=candidate:1 1 UDP 1 192.0.2.1 4000 typ host\r\n", "");
    assert_eq!(body(&invite), passed, "all else as it came");
    // early media, before Bob has said where he is: his packets tell
    assert_eq!(w.packet(far, "[2001:db8::b0b]:6000", &RTP), to("192.0.2.1:4000", 10_000));
    w.answer(BOB6, &invite, 180, "", "");
    w.expect(ALICE, "SIP/2.0 180");
    w.answer(BOB6, &invite, 200, "", SDP6);
    let ok = w.expect(ALICE, "SIP/2.0 200");
    let near = wants(&ok, 0);
    assert_eq!(near, "198.51.100.1:10000".parse().unwrap());
    assert!(body(&ok).contains("o=bob 5 1 IN IP4 198.51.100.1\r\n"), "{ok}");
    alice.learn(&ok);
    w.ack(&alice, 1, "");
    w.expect(BOB6, "ACK");
    assert_eq!(w.packet(near, "192.0.2.1:4000", &RTP), to("[2001:db8::b0b]:6000", far.port()));
    assert_eq!(w.packet(far, "[2001:db8::b0b]:6000", &RTP), to("192.0.2.1:4000", near.port()));
    let control = |at: SocketAddr| SocketAddr::new(at.ip(), at.port() + 1);
    assert_eq!(w.packet(control(near), "192.0.2.1:4007", &RTCP), to("[2001:db8::b0b]:6001", far.port() + 1));
    assert_eq!(w.packet(control(far), "[2001:db8::b0b]:6001", &RTCP), to("192.0.2.1:4007", near.port() + 1));
    let stranger = w.packet(near, "203.0.113.9:4000", &RTP);
    assert_eq!(stranger, Err(PacketVerdict::Drop(DropReason::OtherSource)));
    let seen = |w: &World| {
        let mut views = w.core.dialog_views(w.now);
        views.sort_by_key(|v| v.index);
        views.into_iter().map(|v| v.medias[0].clone()).collect::<Vec<_>>()
    };
    let views = seen(&w);
    let count = |n: usize| (views[n].rtp_recv_count, views[n].rtp_send_count, views[n].rtcp_recv_count);
    assert_eq!((count(0), count(1)), ((1, 2, 1), (2, 1, 1)));
    assert_eq!(views[0].rtp_addr, Some("192.0.2.1:4000".parse().unwrap()));
    assert_eq!(views[1].rtcp_addr, Some("[2001:db8::b0b]:6001".parse().unwrap()));
    w.request(&mut alice, "BYE", "", "");
    assert_eq!(w.open_ports, []);
    assert_eq!(seen(&w)[1].rtp_recv_count, 2, "what was counted can still be seen");
    w.quiet();
}

#[test]
fn media_of_one_family_goes_from_phone_to_phone_unless_it_is_wanted_otherwise() {
    use MediaRelay::{Auto, Off, On};
    // for all, of Alice, of Bob
    let cases = [
        ((Auto, None, None), false),
        ((On, None, None), true),
        ((Auto, None, Some(On)), true),
        ((Auto, Some(On), None), true),
        ((On, None, Some(Off)), false),
        ((On, Some(Auto), None), false),
        ((Auto, Some(On), Some(Off)), true),
    ];
    for (n, ((all, of_alice, of_bob), passes_here)) in cases.into_iter().enumerate() {
        let mut w = world4(|c| {
            c.call.media_relay = all;
            c.users[0].impus[0].media_relay = of_alice;
            c.users[1].impus[0].media_relay = of_bob;
        });
        let mut alice = w.invite(ALICE, "sip:bob@ims.test", "", SDP4);
        let invite = w.expect(BOB, "INVITE");
        assert_eq!(body(&invite) != SDP4, passes_here, "case {n}");
        assert_eq!(w.open_ports.len(), if passes_here { 2 } else { 0 }, "case {n}");
        w.answer(BOB, &invite, 200, "", SDP);
        let ok = w.expect(ALICE, "SIP/2.0 200");
        assert_eq!(body(&ok) != SDP, passes_here, "case {n}");
        alice.learn(&ok);
        w.ack(&alice, 1, "");
        w.hang_up(&mut alice);
    }
    let mut w = world(|c| c.call.media_relay = MediaRelay::Off);
    let _ = w.invite(ALICE, "sip:bob@ims.test", "", SDP4);
    assert_eq!(body(&w.expect(BOB6, "INVITE")), SDP4, "off is off");
}

#[test]
fn what_an_identity_wants_done_to_its_packets_is_done() {
    let delay = Duration::from_millis(700);
    let mut w = world4(|c| {
        c.users[0].impus[0].packets = Treatment { delay, ..Treatment::default() };
        c.users[1].impus[0].packets = Treatment { rtp_block: true, ..Treatment::default() };
    });
    let mut alice = w.invite(ALICE, "sip:bob@ims.test", "", SDP);
    let invite = w.expect(BOB, "INVITE");
    w.answer(BOB, &invite, 200, "", &SDP.replace("192.0.2.1", "192.0.2.2"));
    let ok = w.expect(ALICE, "SIP/2.0 200");
    alice.learn(&ok);
    w.ack(&alice, 1, "");
    let until = w.now + delay;
    assert_eq!(w.packet(wants(&ok, 0), "192.0.2.1:4000", &RTP), Err(PacketVerdict::Hold { until }));
    let far = wants(&invite, 0);
    assert_eq!(w.packet(far, "192.0.2.2:4000", &RTP), Err(PacketVerdict::Drop(DropReason::Blocked)));
    assert!(w.packet(far, "192.0.2.2:4000", &RTCP).is_ok());
    let blocked: Vec<bool> = w.core.dialog_views(w.now).iter().map(|v| v.medias[0].rtp_block).collect();
    assert_eq!(blocked, [false, true]);
    w.hang_up(&mut alice);
}

#[test]
fn the_media_of_a_dialog_is_blocked_and_let_through_again() {
    let mut w = world(|_| {});
    let (mut alice, _) = call(&mut w, BOB6, &with_video(4002), &format!("{SDP6}m=video 6002 RTP/AVP 99\r\n"));
    let near = |w: &World, n: usize| SocketAddr::new("198.51.100.1".parse().unwrap(), w.open_ports[n].1);
    let (audio, video) = (near(&w, 0), near(&w, 2));
    let mut indexes: Vec<u32> = w.core.dialog_views(w.now).iter().map(|v| v.index).collect();
    indexes.sort_unstable();
    let blocked = Err(PacketVerdict::Drop(DropReason::Blocked));
    let set = |w: &mut World, index: u32, media, rtp, rtcp| {
        w.input(|core, cx| core.set_dialog(cx, index, Action::Media { media, rtp, rtcp }))
    };
    set(&mut w, indexes[0], Some(MediaKind::Audio), Some(false), None).unwrap();
    assert_eq!(w.packet(audio, "192.0.2.1:4000", &RTP), blocked);
    assert!(w.packet(audio, "192.0.2.1:4000", &RTCP).is_ok());
    assert!(w.packet(video, "192.0.2.1:4002", &RTP).is_ok());
    set(&mut w, indexes[0], None, Some(true), None).unwrap();
    assert!(w.packet(audio, "192.0.2.1:4000", &RTP).is_ok());
    set(&mut w, indexes[1], None, None, Some(false)).unwrap();
    let far = SocketAddr::new("2001:db8::1".parse().unwrap(), w.open_ports[1].1);
    assert_eq!(w.packet(far, "[2001:db8::b0b]:6000", &RTCP), blocked);
    assert!(w.packet(far, "[2001:db8::b0b]:6000", &RTP).is_ok());
    assert!(
        set(&mut w, indexes[0], Some(MediaKind::Text), Some(false), None).unwrap_err().contains("no text")
    );
    w.hang_up(&mut alice);

    let mut w = world4(|_| {});
    let (mut alice, _) = call(&mut w, BOB, SDP, SDP);
    let index = w.core.dialog_views(w.now)[0].index;
    assert!(set(&mut w, index, None, Some(false), None).unwrap_err().contains("do not pass here"));
    w.hang_up(&mut alice);
}

#[test]
fn what_is_blocked_in_a_whole_call_is_blocked_in_streams_that_come_later() {
    for (media, passes) in [(None, false), (Some(MediaKind::Audio), true)] {
        let mut w = world(|_| {});
        let (mut alice, _) = call(&mut w, BOB6, SDP4, SDP6);
        let index = w.core.dialog_views(w.now)[0].index;
        w.set(index, Action::Media { media, rtp: Some(false), rtcp: None }).unwrap();
        w.request(&mut alice, "INVITE", "", &with_video(4002));
        let invite = w.expect(BOB6, "INVITE");
        w.answer(BOB6, &invite, 200, "", &format!("{SDP6}m=video 6002 RTP/AVP 99\r\n"));
        w.expect(ALICE, "SIP/2.0 100");
        let ok = w.expect(ALICE, "SIP/2.0 200");
        w.ack(&alice, alice.cseq, "");
        w.expect(BOB6, "ACK");
        assert!(w.packet(wants(&ok, 0), "192.0.2.1:4000", &RTP).is_err());
        assert_eq!(w.packet(wants(&ok, 1), "192.0.2.1:4002", &RTP).is_ok(), passes);
        assert!(w.packet(wants(&ok, 1), "192.0.2.1:4002", &RTCP).is_ok());
        assert!(w.packet(wants(&invite, 1), "[2001:db8::b0b]:6002", &RTP).is_ok(), "the other side");
        w.hang_up(&mut alice);
    }
}

#[test]
fn each_contact_has_ports_of_its_own_and_loses_them_with_its_leg() {
    let mut w = world4(|_| {});
    w.register(BOB6, "");
    let mut alice = w.invite(ALICE, "sip:bob@ims.test", "", SDP4);
    let (four, six) = (w.expect(BOB, "INVITE"), w.expect(BOB6, "INVITE"));
    assert_eq!(body(&four), SDP4, "of one family with Alice");
    assert_eq!(w.open_ports.len(), 2);
    w.answer(BOB6, &six, 183, "", SDP6);
    let early = w.expect(ALICE, "SIP/2.0 183");
    w.answer(BOB, &four, 183, "", SDP);
    assert_eq!(body(&w.expect(ALICE, "SIP/2.0 183")), SDP);
    assert_eq!(
        w.packet(wants(&six, 0), "[2001:db8::b0b]:6000", &RTP),
        to("192.0.2.1:4000", wants(&early, 0).port())
    );
    w.answer(BOB, &four, 200, "", SDP);
    let ok = w.expect(ALICE, "SIP/2.0 200");
    assert_eq!(body(&ok), SDP);
    assert_eq!(w.open_ports, [], "the leg that lost has none any more");
    alice.learn(&ok);
    w.ack(&alice, 1, "");
    w.hang_up(&mut alice);
}

#[test]
fn of_two_anchored_contacts_the_end_of_one_leaves_the_other_its_media() {
    let mut w = world4(|c| c.call.media_relay = MediaRelay::On);
    w.register(BOB6, "");
    let mut alice = w.invite(ALICE, "sip:bob@ims.test", "", SDP4);
    let (four, six) = (w.expect(BOB, "INVITE"), w.expect(BOB6, "INVITE"));
    assert_eq!(w.open_ports.len(), 4);
    for (phone, invite, sdp) in [(BOB, &four, SDP), (BOB6, &six, SDP6)] {
        w.answer(phone, invite, 183, "", sdp);
    }
    let [first, second] = [0, 1].map(|_| w.expect(ALICE, "SIP/2.0 183"));
    assert_ne!(wants(&first, 0), wants(&second, 0));
    w.answer(BOB, &four, 486, "", "");
    assert_eq!(w.open_ports.len(), 2);
    w.answer(BOB6, &six, 200, "", SDP6);
    let ok = w.expect(ALICE, "SIP/2.0 200");
    assert_eq!(wants(&ok, 0), wants(&second, 0));
    alice.learn(&ok);
    w.ack(&alice, 1, "");
    assert_eq!(
        w.packet(wants(&ok, 0), "192.0.2.1:4000", &RTP),
        to("[2001:db8::b0b]:6000", wants(&six, 0).port())
    );
    w.hang_up(&mut alice);
}

/// An offer with a video stream behind Alice's audio.
fn with_video(port: u16) -> String {
    format!("{SDP4}m=video {port} RTP/AVP 99\r\na=rtpmap:99 H264/90000\r\n")
}

#[test]
fn streams_come_are_refused_and_go() {
    let mut w = world(|_| {});
    let (mut alice, _) = call(&mut w, BOB6, SDP4, SDP6);
    let audio = w.open_ports.clone();
    for (port, answered, open) in [(4002, 6002, 4), (4002, 6002, 4), (0, 0, 2), (4002, 0, 2)] {
        w.request(&mut alice, "INVITE", "", &with_video(port));
        w.expect(ALICE, "SIP/2.0 100");
        let invite = w.expect(BOB6, "INVITE");
        let line = Sdp::parse(body(&invite).as_bytes()).unwrap().medias().nth(1).unwrap().port;
        assert_eq!((line == 0, line == port), (port == 0, port == 0), "{invite}");
        let video = format!("{SDP6}m=video {answered} RTP/AVP 99\r\n");
        w.answer(BOB6, &invite, 200, "", &video);
        let ok = w.expect(ALICE, "SIP/2.0 200");
        w.ack(&alice, alice.cseq, "");
        w.expect(BOB6, "ACK");
        assert_eq!(w.open_ports.len(), open, "video {port} answered {answered}");
        assert_eq!(&w.open_ports[..2], &audio[..], "the audio keeps its ports");
        if answered != 0 {
            assert_eq!(
                w.packet(wants(&invite, 1), "[2001:db8::b0b]:6002", &RTP),
                to("192.0.2.1:4002", wants(&ok, 1).port())
            );
        }
    }
    w.hang_up(&mut alice);
}

#[test]
fn another_port_of_ours_is_another_version_and_one_that_was_refused_is_not_used_again() {
    let mut w = world(|_| {});
    let video = |sdp: &str, port: u16| format!("{sdp}m=video {port} RTP/AVP 99\r\n");
    let (mut alice, _) = call(&mut w, BOB6, &video(SDP4, 4002), &video(SDP6, 0));
    let version = |text: &str| {
        let version = Sdp::parse(body(text).as_bytes()).unwrap().origin().unwrap().version.to_vec();
        String::from_utf8(version).unwrap()
    };
    // the same again: the port that he has refused is closed, and here is another
    let mut versions = Vec::new();
    for status in [488, 200] {
        w.request(&mut alice, "UPDATE", "", &video(SDP4, 4002));
        let update = w.expect(BOB6, "UPDATE");
        versions.push(version(&update));
        let answer = if status == 200 { video(SDP6, 0) } else { String::new() };
        w.answer(BOB6, &update, status, "", &answer);
        w.expect(ALICE, &format!("SIP/2.0 {status}"));
    }
    assert_eq!(versions, ["2", "3"]);
    w.request(&mut alice, "BYE", "", "");
    w.quiet();
}

#[test]
fn an_offer_that_is_refused_leaves_the_media_where_it_was() {
    let mut w = world(|_| {});
    let (mut alice, _) = call(&mut w, BOB6, SDP4, SDP6);
    let far = w.open_ports[1].1;
    let far = SocketAddr::new("2001:db8::1".parse().unwrap(), far);
    w.request(&mut alice, "UPDATE", "", &SDP4.replace("m=audio 4000", "m=audio 4400"));
    let update = w.expect(BOB6, "UPDATE");
    assert_eq!(wants(&update, 0), far);
    assert_eq!(w.packet(far, "[2001:db8::b0b]:6000", &RTP).map(|(to, _)| to.port()), Ok(4000));
    w.answer(BOB6, &update, 488, "", SDP6);
    assert_eq!(body(&w.expect(ALICE, "SIP/2.0 488")), SDP6, "what a 488 says is no answer");
    assert_eq!(w.packet(far, "[2001:db8::b0b]:6000", &RTP).map(|(to, _)| to.port()), Ok(4000));
    w.request(&mut alice, "UPDATE", "", &SDP4.replace("m=audio 4000", "m=audio 4400"));
    let update = w.expect(BOB6, "UPDATE");
    w.answer(BOB6, &update, 200, "", SDP6);
    w.expect(ALICE, "SIP/2.0 200");
    assert_eq!(w.packet(far, "[2001:db8::b0b]:6000", &RTP).map(|(to, _)| to.port()), Ok(4400));
    w.request(&mut alice, "UPDATE", "", &with_video(4002));
    let update = w.expect(BOB6, "UPDATE");
    assert_eq!(w.open_ports.len(), 4);
    w.answer(BOB6, &update, 488, "", "");
    w.expect(ALICE, "SIP/2.0 488");
    assert_eq!(w.open_ports.len(), 2, "what was opened for it is closed");
    w.hang_up(&mut alice);
}

#[test]
fn hold_passes_by_direction_and_by_the_address_of_all_zeros() {
    let mut w = world(|_| {});
    let (mut alice, _) = call(&mut w, BOB6, SDP4, SDP6);
    let old = SDP4.replace("c=IN IP4 192.0.2.1", "c=IN IP4 0.0.0.0").replace("a=sendrecv\r\n", "");
    for (offer, state) in
        [(SDP4.replace("sendrecv", "sendonly"), "hold"), (SDP4.to_owned(), "start"), (old, "hold")]
    {
        w.request(&mut alice, "INVITE", "", &offer);
        w.expect(ALICE, "SIP/2.0 100");
        let invite = w.expect(BOB6, "INVITE");
        let sdp = Sdp::parse(body(&invite).as_bytes()).unwrap();
        let direction = sdp.medias().next().unwrap().direction();
        assert_eq!(
            (direction == Direction::SendOnly, wants(&invite, 0).ip().is_unspecified()),
            (state == "hold", false)
        );
        let answer = if state == "hold" { SDP6.replace("sendrecv", "recvonly") } else { SDP6.to_owned() };
        w.answer(BOB6, &invite, 200, "", &answer);
        w.expect(ALICE, "SIP/2.0 200");
        w.ack(&alice, alice.cseq, "");
        w.expect(BOB6, "ACK");
        assert_eq!(w.states(), [state, state]);
    }
    let far = SocketAddr::new("2001:db8::1".parse().unwrap(), w.open_ports[1].1);
    assert_eq!(w.packet(far, "[2001:db8::b0b]:6000", &RTP), Err(PacketVerdict::Drop(DropReason::NoPeer)));
    w.hang_up(&mut alice);
}

#[test]
fn the_offer_may_come_in_the_answer_and_the_answer_in_the_ack() {
    let mut w = world(|_| {});
    let mut alice = w.invite(ALICE, "sip:bob@ims.test", "", "");
    let invite = w.expect(BOB6, "INVITE");
    assert_eq!(body(&invite), "");
    w.answer(BOB6, &invite, 200, "", &format!("{SDP6}m=video 6002 RTP/AVP 99\r\n"));
    let ok = w.expect(ALICE, "SIP/2.0 200");
    assert_eq!(wants(&ok, 0).ip().to_string(), "198.51.100.1");
    assert_eq!(w.open_ports.len(), 4, "the second stream finds its ports at once");
    alice.learn(&ok);
    w.ack(&alice, 1, &with_video(0));
    let ack = w.expect(BOB6, "ACK");
    let far = wants(&ack, 0);
    assert_eq!(w.open_ports.len(), 2);
    assert_eq!(w.packet(far, "[2001:db8::b0b]:6000", &RTP), to("192.0.2.1:4000", wants(&ok, 0).port()));
    assert_eq!(w.packet(wants(&ok, 0), "192.0.2.1:4000", &RTP), to("[2001:db8::b0b]:6000", far.port()));
    w.hang_up(&mut alice);
}

#[test]
fn one_port_for_rtp_and_rtcp_needs_both_phones() {
    for both in [true, false] {
        let mut w = world(|_| {});
        let offer = SDP4.replace("a=rtcp:4007", "a=rtcp-mux");
        let answer = if both { SDP6.replace("a=x-odd:1", "a=rtcp-mux") } else { SDP6.to_owned() };
        let (mut alice, _) = call(&mut w, BOB6, &offer, &answer);
        let near = SocketAddr::new("198.51.100.1".parse().unwrap(), w.open_ports[0].1);
        let far = w.open_ports[1].1;
        let want = if both { to("[2001:db8::b0b]:6000", far) } else { to("[2001:db8::b0b]:6001", far + 1) };
        assert_eq!(w.packet(near, "192.0.2.1:4000", &RTCP), want);
        w.hang_up(&mut alice);
    }
}

#[test]
fn streams_that_are_not_rtp_keep_their_address_and_more_than_four_are_refused() {
    let mut w = world(|c| c.call.media_relay = MediaRelay::On);
    let more = "m=message 7000 TCP/MSRP *\r\n".to_owned() + &"m=video 4002 RTP/AVP 99\r\n".repeat(4);
    let _ = w.invite(ALICE, "sip:bob@ims.test", "", &format!("{SDP4}{more}"));
    let invite = w.expect(BOB6, "INVITE");
    let sdp = Sdp::parse(body(&invite).as_bytes()).unwrap();
    let ports: Vec<u16> = sdp.medias().map(|m| m.port).collect();
    assert_eq!((ports[1], ports[5], w.open_ports.len()), (7000, 0, 8));
    assert_eq!(wants(&invite, 1), "192.0.2.1:7000".parse().unwrap());
    assert!(ports[2..5].iter().all(|p| *p >= 10_000), "{ports:?}");
}

#[test]
fn the_invite_waits_for_its_ports_and_others_are_tried_when_they_are_taken() {
    let mut w = world(|_| {});
    w.ports_open = None;
    let mut alice = w.invite(ALICE, "sip:bob@ims.test", "", SDP4);
    w.expect_nothing();
    let asked = std::mem::take(&mut w.asked);
    assert_eq!(asked.len(), 2);
    w.ports_open = Some(true);
    w.input(|core, cx| core.on_media_opened(cx, asked[0], true));
    w.expect_nothing();
    w.input(|core, cx| core.on_media_opened(cx, asked[1], false));
    let invite = w.expect(BOB6, "INVITE");
    assert_ne!(w.core.media_mut().view(asked[0]), None);
    assert_eq!(w.core.media_mut().view(asked[1]), None);
    assert_eq!(wants(&invite, 0).port(), w.open_ports[0].1);
    w.answer(BOB6, &invite, 200, "", SDP6);
    let ok = w.expect(ALICE, "SIP/2.0 200");
    alice.learn(&ok);
    w.ack(&alice, 1, "");
    assert_eq!(
        w.packet(wants(&invite, 0), "[2001:db8::b0b]:6000", &RTP),
        to("192.0.2.1:4000", wants(&ok, 0).port())
    );
    w.request(&mut alice, "BYE", "", "");
    w.open_ports.clear();
    w.quiet();
}

#[test]
fn a_caller_who_hangs_up_while_ports_are_opened_leaves_nothing() {
    let mut w = world(|_| {});
    w.ports_open = None;
    let alice = w.invite(ALICE, "sip:bob@ims.test", "", SDP4);
    let cancel = alice.text("CANCEL", 1, w.branch, "", "");
    w.send(ALICE, &cancel);
    w.expect(ALICE, "SIP/2.0 200");
    w.expect(ALICE, "SIP/2.0 487");
    for session in std::mem::take(&mut w.asked) {
        w.input(|core, cx| core.on_media_opened(cx, session, true));
    }
    w.expect_nothing();
    w.quiet();
}

#[test]
fn without_a_port_the_caller_is_told_and_a_running_call_goes_on() {
    let few = |c: &mut Config| {
        for socket in &mut c.sip {
            socket.port_max = socket.port_min + 1;
        }
    };
    let mut w = world(few);
    let (mut alice, _) = call(&mut w, BOB6, SDP4, SDP6);
    w.request(&mut alice, "INVITE", "", &with_video(4002));
    let refused = w.expect(ALICE, "SIP/2.0 503");
    assert!(header(&refused, HeaderId::Warning).contains("no media port is left"), "{refused}");
    assert_eq!((w.states(), w.open_ports.len()), (vec!["start", "start"], 2));
    let again = w.invite(ALICE, "sip:bob@ims.test", "", SDP4);
    let refused = w.expect(ALICE, "SIP/2.0 503");
    assert!(header(&refused, HeaderId::Warning).contains("no media port is left"), "{refused}");
    assert_eq!(w.find(BOB6, "INVITE"), None);
    w.ack(&again, 1, "");
    w.hang_up(&mut alice);

    let mut w = world(|_| {});
    w.ports_open = Some(false);
    let _ = w.invite(ALICE, "sip:bob@ims.test", "", SDP4);
    w.expect(ALICE, "SIP/2.0 503");
    assert!(w.core.media_mut().is_empty());
}

#[test]
fn a_request_that_waits_for_ports_is_answered_whatever_comes() {
    for ending in ["open", "taken", "bye"] {
        let mut w = world(|_| {});
        let (mut alice, mut bob) = call(&mut w, BOB6, SDP4, SDP6);
        w.ports_open = None;
        w.request(&mut alice, "UPDATE", "", &with_video(4002));
        w.expect_nothing();
        let mut asked = std::mem::take(&mut w.asked);
        assert_eq!(asked.len(), 2);
        match ending {
            "bye" => {
                w.request(&mut bob, "BYE", "", "");
                w.expect(BOB6, "SIP/2.0 200");
                assert!(w.find(ALICE, "SIP/2.0 487").is_some());
            }
            "taken" => {
                w.ports_open = Some(false);
                let first = asked.remove(0);
                w.input(|core, cx| core.on_media_opened(cx, first, false));
                w.expect(ALICE, "SIP/2.0 503");
                assert_eq!(w.core.media_mut().len(), 2, "the audio goes on");
            }
            _ => {
                for session in std::mem::take(&mut asked) {
                    w.input(|core, cx| core.on_media_opened(cx, session, true));
                }
                let update = w.expect(BOB6, "UPDATE");
                w.answer(BOB6, &update, 200, "", &format!("{SDP6}m=video 6002 RTP/AVP 99\r\n"));
                w.expect(ALICE, "SIP/2.0 200");
                assert_eq!(w.core.media_mut().len(), 4);
            }
        }
        if ending != "bye" {
            w.request(&mut alice, "BYE", "", "");
        }
        asked.into_iter().for_each(|session| w.input(|core, cx| core.on_media_opened(cx, session, true)));
        w.open_ports.clear();
        w.quiet();
    }
}

#[test]
fn a_request_that_waits_for_ports_survives_the_other_sides_that_comes_to_nothing() {
    let mut w = world(|_| {});
    let (mut alice, mut bob) = call(&mut w, BOB6, SDP4, SDP6);
    w.request(&mut alice, "INVITE", "", &SDP4.replace("sendrecv", "sendonly"));
    w.expect(ALICE, "SIP/2.0 100");
    let passed = w.expect(BOB6, "INVITE");
    w.ports_open = None;
    w.request(
        &mut bob,
        "INVITE",
        "",
        &format!("{SDP6}m=video 6002 RTP/AVP 99\r\na=rtpmap:99 H264/90000\r\n"),
    );
    let asked = std::mem::take(&mut w.asked);
    assert_eq!(asked.len(), 2, "it waits");
    w.answer(BOB6, &passed, 491, "", "");
    w.expect(BOB6, "ACK");
    w.expect(ALICE, "SIP/2.0 491");
    w.ack_failure(&alice);
    asked.into_iter().for_each(|session| w.input(|core, cx| core.on_media_opened(cx, session, true)));
    w.ports_open = Some(true);
    let theirs = w.expect(ALICE, "INVITE");
    w.expect(BOB6, "SIP/2.0 100");
    w.answer(ALICE, &theirs, 488, "", "");
    w.expect(ALICE, "ACK");
    w.expect(BOB6, "SIP/2.0 488");
    w.ack_failure(&bob);
    w.request(&mut alice, "BYE", "", "");
    w.open_ports.clear();
    w.quiet();
}

#[test]
fn a_request_that_waits_for_ports_of_a_contact_that_has_lost_is_answered() {
    let mut w = world4(|c| c.call.media_relay = MediaRelay::On);
    w.register(BOB6, "");
    let mut alice = w.invite(ALICE, "sip:bob@ims.test", "Supported: 100rel\r\n", SDP4);
    let (four, six) = (w.expect(BOB, "INVITE"), w.expect(BOB6, "INVITE"));
    w.answer(BOB, &four, 183, "Require: 100rel\r\nRSeq: 1\r\n", &SDP.replace("192.0.2.1", "192.0.2.2"));
    let mut early = alice.clone();
    early.learn(&w.expect(ALICE, "SIP/2.0 183"));
    w.request(&mut early, "PRACK", "RAck: 1 1 INVITE\r\n", "");
    let prack = w.expect(BOB, "PRACK");
    w.answer(BOB, &prack, 200, "", "");
    w.expect(ALICE, "SIP/2.0 200");
    w.ports_open = None;
    w.request(&mut early, "UPDATE", "", &with_video(4002));
    w.expect_nothing();
    assert_eq!(w.asked.len(), 2, "it waits");
    w.answer(BOB6, &six, 200, "", SDP6);
    w.expect(BOB, "CANCEL");
    let ok = w.expect(ALICE, "SIP/2.0 200");
    w.expect(ALICE, "SIP/2.0 487");
    alice.learn(&ok);
    w.ack(&alice, 1, "");
    w.expect(BOB6, "ACK");
    w.answer(BOB, &four, 487, "", "");
    w.expect(BOB, "ACK");
    let asked = std::mem::take(&mut w.asked);
    asked.into_iter().for_each(|session| w.input(|core, cx| core.on_media_opened(cx, session, true)));
    w.ports_open = Some(true);
    w.request(&mut alice, "BYE", "", "");
    w.open_ports.clear();
    w.quiet();
}

#[test]
fn a_relayed_call_without_media_and_signalling_ends_and_one_with_rtcp_or_on_hold_does_not() {
    let mut w = world(|c| c.call.dialog_timeout = Duration::from_secs(20));
    let (mut alice, _) = call(&mut w, BOB6, SDP4, SDP6);
    let near = SocketAddr::new("198.51.100.1".parse().unwrap(), w.open_ports[0].1 + 1);
    for _ in 0..5 {
        w.pass(Duration::from_secs(15));
        w.packet(near, "192.0.2.1:4007", &RTCP).unwrap();
    }
    for _ in 0..3 {
        w.pass(Duration::from_secs(15));
        w.request(&mut alice, "INFO", "", "");
        let info = w.expect(BOB6, "INFO");
        w.answer(BOB6, &info, 200, "", "");
        w.expect(ALICE, "SIP/2.0 200");
    }
    w.request(&mut alice, "UPDATE", "", &SDP4.replace("sendrecv", "inactive"));
    let update = w.expect(BOB6, "UPDATE");
    w.answer(BOB6, &update, 200, "", &SDP6.replace("sendrecv", "inactive"));
    w.expect(ALICE, "SIP/2.0 200");
    w.pass(Duration::from_secs(100));
    w.expect_nothing();
    w.request(&mut alice, "UPDATE", "", SDP4);
    let update = w.expect(BOB6, "UPDATE");
    w.answer(BOB6, &update, 200, "", SDP6);
    w.expect(ALICE, "SIP/2.0 200");
    w.pass(Duration::from_secs(19));
    w.expect_nothing();
    w.pass(Duration::from_secs(2));
    for phone in [ALICE, BOB6] {
        let bye = w.expect(phone, "BYE");
        assert!(header(&bye, HeaderId::Reason).contains("neither media nor signalling for 20 s"), "{bye}");
        w.answer(phone, &bye, 200, "", "");
    }
    assert_eq!(w.open_ports, []);
    w.quiet();
}

#[test]
fn a_call_from_phone_to_phone_has_no_such_end() {
    let mut w = world4(|c| c.call.dialog_timeout = Duration::from_secs(20));
    let (mut alice, _) = call(&mut w, BOB, SDP, SDP);
    // half of the session timer is later
    w.pass(Duration::from_secs(800));
    w.expect_nothing();
    w.hang_up(&mut alice);
}

#[test]
fn a_call_whose_phone_may_not_move_to_the_other_family_goes_on_from_phone_to_phone() {
    let mut w = world4(|_| {});
    let (mut alice, _) = call(&mut w, BOB, SDP4, &SDP.replace("192.0.2.1", "192.0.2.2"));
    w.request(&mut alice, "INVITE", "", &SDP6.replace("::b0b", "::a11"));
    w.expect(ALICE, "SIP/2.0 100");
    let invite = w.expect(BOB, "INVITE");
    w.answer(BOB, &invite, 488, "", "");
    w.expect(BOB, "ACK");
    w.expect(ALICE, "SIP/2.0 488");
    w.ack_failure(&alice);
    assert_eq!(w.open_ports, []);
    w.pass(Duration::from_secs(600));
    assert_eq!(w.states(), ["start", "start"], "its media is none of ours: {}", w.reason());
    w.hang_up(&mut alice);
}

#[test]
fn what_a_phone_says_that_it_could_do_leaves_the_media_where_it_was() {
    let mut w = world(|_| {});
    let (mut alice, _) = call(&mut w, BOB6, SDP4, SDP6);
    let far = SocketAddr::new("2001:db8::1".parse().unwrap(), w.open_ports[1].1);
    w.request(&mut alice, "OPTIONS", "", "");
    let options = w.expect(BOB6, "OPTIONS");
    let could = SDP6.replace("m=audio 6000", "m=audio 0").replace("sendrecv", "inactive");
    w.answer(BOB6, &options, 200, "", &could);
    assert_eq!(body(&w.expect(ALICE, "SIP/2.0 200")), could, "as it came");
    assert_eq!(w.packet(far, "[2001:db8::b0b]:6000", &RTP).map(|(to, _)| to.port()), Ok(4000));
    assert_eq!(w.states(), ["start", "start"]);
    w.hang_up(&mut alice);
}

#[test]
fn a_phone_that_moves_to_the_other_family_in_the_call_is_heard_again() {
    let mut w = world4(|_| {});
    let (mut alice, _) = call(&mut w, BOB, SDP4, &SDP.replace("192.0.2.1", "192.0.2.2"));
    assert_eq!(w.open_ports, []);
    w.request(&mut alice, "INVITE", "", &SDP6.replace("::b0b", "::a11"));
    w.expect(ALICE, "SIP/2.0 100");
    let invite = w.expect(BOB, "INVITE");
    let far = wants(&invite, 0);
    assert_eq!(far.ip().to_string(), "198.51.100.1");
    w.answer(BOB, &invite, 200, "", &SDP.replace("192.0.2.1", "192.0.2.2"));
    let ok = w.expect(ALICE, "SIP/2.0 200");
    assert_eq!(wants(&ok, 0).ip().to_string(), "2001:db8::1");
    assert!(body(&ok).contains("o=- 1 2 IN IP6"), "to Alice it is new, though Bob has said it before: {ok}");
    w.ack(&alice, 2, "");
    w.expect(BOB, "ACK");
    assert_eq!(w.packet(far, "192.0.2.2:4000", &RTP), to("[2001:db8::a11]:6000", wants(&ok, 0).port()));
    w.hang_up(&mut alice);
}

/// A description with preconditions, whose sender's resources are there or not.
fn qos(sdp: &str, local: &str) -> String {
    format!(
        "{sdp}a=curr:qos local {local}\r\na=curr:qos remote none\r\na=des:qos mandatory local sendrecv\r\n\
         a=des:qos optional remote sendrecv\r\n"
    )
}

/// A call with preconditions up to its UPDATE, to which the answer has just come: that side of Alice, Bob's INVITE, and where
/// Alice sends.
fn updated(w: &mut World, bob_has_them: bool) -> (Side, String, SocketAddr) {
    let reliable = "Supported: 100rel, precondition\r\n";
    let mut alice = w.invite(ALICE, "sip:bob@ims.test", reliable, &qos(SDP4, "none"));
    let invite = w.expect(BOB6, "INVITE");
    let answer = |local| if bob_has_them { qos(SDP6, local) } else { SDP6.to_owned() };
    w.answer(BOB6, &invite, 183, "Require: 100rel\r\nRSeq: 1\r\n", &answer("none"));
    let progress = w.expect(ALICE, "SIP/2.0 183");
    let near = wants(&progress, 0);
    assert_eq!(near.ip().to_string(), "198.51.100.1");
    alice.learn(&progress);
    w.request(&mut alice, "PRACK", "RAck: 1 1 INVITE\r\n", "");
    let prack = w.expect(BOB6, "PRACK");
    w.answer(BOB6, &prack, 200, "", "");
    w.expect(ALICE, "SIP/2.0 200");
    w.request(&mut alice, "UPDATE", "", &qos(SDP4, "sendrecv"));
    if bob_has_them {
        let update = w.expect(BOB6, "UPDATE");
        assert_eq!(wants(&update, 0), wants(&invite, 0));
        assert!(body(&update).contains("a=curr:qos local sendrecv\r\n"));
        w.answer(BOB6, &update, 200, "", &answer("sendrecv"));
    }
    (alice, invite, near)
}

#[test]
fn reliable_answers_prack_and_update_carry_our_addresses() {
    for bob_has_them in [true, false] {
        let mut w = World::new();
        w.register(ALICE, "");
        let volte = ";+g.3gpp.icsi-ref=\"urn%3Aurn-7%3A3gpp-service.ims.icsi.mmtel\"";
        w.register(BOB6, if bob_has_them { volte } else { "" });
        let (mut alice, invite, near) = updated(&mut w, bob_has_them);
        assert_eq!(wants(&w.expect(ALICE, "SIP/2.0 200"), 0), near, "whoever answers");
        w.answer(BOB6, &invite, 200, "", "");
        w.expect(ALICE, "SIP/2.0 200");
        w.ack(&alice, 1, "");
        w.expect(BOB6, "ACK");
        let far = wants(&invite, 0).port();
        assert_eq!(w.packet(near, "192.0.2.1:4000", &RTP), to("[2001:db8::b0b]:6000", far));
        w.hang_up(&mut alice);
    }
}
