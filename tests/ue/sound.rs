//! What a phone says in a call, heard by a network of the test's own.

use super::*;
use std::net::UdpSocket;
use std::path::Path;

/// A recording as people have them: one number of 16 bits after the other, at 8 kHz.
fn wav(samples: &[i16]) -> Vec<u8> {
    let len = samples.len() as u32 * 2;
    let mut out = b"RIFF".to_vec();
    out.extend((36 + len).to_le_bytes());
    out.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    out.extend(8000u32.to_le_bytes());
    out.extend(16_000u32.to_le_bytes());
    out.extend(b"\x02\0\x10\0data");
    out.extend(len.to_le_bytes());
    out.extend(samples.iter().flat_map(|s| s.to_le_bytes()));
    out
}

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    socket
}

/// Answers the INVITE that comes, with these headers' values taken over.
fn answer(sip: &UdpSocket, media: &UdpSocket) {
    let mut octets = [0; 8000];
    let (len, from) = sip.recv_from(&mut octets).unwrap();
    let invite = String::from_utf8_lossy(&octets[..len]).into_owned();
    assert!(invite.starts_with("INVITE "), "{invite}");
    let header = |name: &str| {
        invite.lines().find(|l| l.starts_with(name)).unwrap_or_else(|| panic!("{name}: {invite}"))
    };
    let sdp = format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {} RTP/AVP 8\r\n",
        media.local_addr().unwrap().port()
    );
    let own = sip.local_addr().unwrap();
    let text = format!(
        "SIP/2.0 200 OK\r\n{}\r\n{}\r\n{};tag=them\r\n{}\r\n{}\r\nContact: <sip:{own}>\r\n\
         Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}",
        header("Via:"),
        header("From:"),
        header("To:"),
        header("Call-ID:"),
        header("CSeq:"),
        sdp.len()
    );
    sip.send_to(text.as_bytes(), from).unwrap();
}

/// The echo of this file, through the network and back, sample by sample.
fn what_is_heard_is_kept(folder: &Path, file: &Path) {
    let ims = Ims::start("recorded");
    let kept = folder.join("heard.wav");
    let files = ["--wav", file.to_str().unwrap(), "--record", kept.to_str().unwrap(), "--codecs", "PCMA"];
    ims.phone(&[ALICE, &files].concat(), "register; call 666 1; expect echo = 100").succeeds();
    let octets = fs::read(&kept).unwrap();
    let heard: Vec<i16> = octets[44..].chunks_exact(2).map(|o| i16::from_le_bytes([o[0], o[1]])).collect();
    // what A-law makes of silence and of the loudest samples
    let said = [8, 32_256, -32_256].into_iter().flat_map(|sample| [sample; 80]);
    assert!(!heard.is_empty() && heard.len().is_multiple_of(160), "{}", heard.len());
    assert!(heard.iter().copied().eq(said.cycle().take(heard.len())), "{:?}", &heard[..160]);
}

#[test]
fn a_recording_is_what_the_other_side_hears() {
    let folder = std::env::temp_dir().join(format!("imsbox-ue-wav-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    // 30 ms: it begins again in the middle of a packet. G.711 A-law of 0 is 0xd5, of the two others 0xaa and 0x2a.
    let samples: Vec<i16> = [0, i16::MAX, i16::MIN].into_iter().flat_map(|s| [s; 80]).collect();
    let file = folder.join("steps.wav");
    fs::write(&file, wav(&samples)).unwrap();
    let heard: Vec<u8> = [0xd5, 0xaa, 0x2a].into_iter().flat_map(|octet| [octet; 80]).collect();
    let (sip, media) = (socket(), socket());
    let mut command = Command::new(env!("CARGO_BIN_EXE_imsbox-ue"));
    command.args(ALICE).arg("--pcscf").arg(sip.local_addr().unwrap().to_string());
    command.arg("--wav").arg(&file).args(["--codecs", "PCMA", "--100rel", "off", "call them"]);
    let mut phone = Running::start(command.args(["--", "wait ended"]));
    answer(&sip, &media);
    for number in 0..20 {
        let mut packet = [0; 1000];
        let len = media.recv(&mut packet).unwrap();
        let at = number * 160 % heard.len();
        let expected: Vec<u8> = heard.iter().cycle().skip(at).take(160).copied().collect();
        assert_eq!((len, &packet[12..len]), (172, &expected[..]), "packet {number}");
    }
    phone.until("is answered");
    drop(phone);

    what_is_heard_is_kept(&folder, &file);
    fs::write(&file, b"no sound at all").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_imsbox-ue"));
    let text = Running::start(command.args(ALICE).arg("--wav").arg(&file).arg("register")).fails(3);
    assert!(text.contains("steps.wav: not a WAV file"), "{text}");
    let _ = fs::remove_dir_all(&folder);
}
