//! What tshark is the judge of: the lines of `imsbox monitor ipsec --wireshark`, which it takes, and reads the packets with; and what
//! is sent to MMEs.

#[path = "wireshark/sgsap.rs"]
mod sgsap;

use imsbox::api::snapshot;
use imsbox::crypto::hex;
use imsbox::ims::security::{SetView, Stage};
use imsbox::monitor::look::Look;
use imsbox::monitor::views;
use imsbox::proto::sip::sec_agree::{Encryption, Integrity, Named as _, Parameters, Suite, associations};
use serde_json::json;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::Command;

/// The SPI of all packets here.
const SPI: u32 = 0x22bb_0002;

/// A configuration folder of its own, and a capture in it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("imsbox-wireshark-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    /// What tshark says of one IP packet, with this table: protocols, whether the check value is right, the method; and on stderr.
    fn read(&self, table: &str, packet: &[u8]) -> (String, String) {
        std::fs::write(self.0.join("esp_sa"), table).unwrap();
        std::fs::write(self.0.join("capture"), capture(packet)).unwrap();
        let tshark = Command::new("tshark")
            .env("WIRESHARK_CONFIG_DIR", &self.0)
            .env("HOME", &self.0)
            .args(["-n", "-r"])
            .arg(self.0.join("capture"))
            .args(["-o", "esp.enable_encryption_decode:TRUE", "-o", "esp.enable_authentication_check:TRUE"])
            .args(["-T", "fields", "-e", "frame.protocols", "-e", "esp.icv_good", "-e", "sip.Method"])
            .output()
            .expect("tshark is installed (scripts/setup peers)");
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).trim_end().to_owned();
        let stderr = text(&tshark.stderr);
        let told: Vec<&str> = stderr.lines().filter(|line| !line.starts_with("Running as user")).collect();
        (text(&tshark.stdout), told.join("\n"))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A capture file of one IP packet (pcap, LINKTYPE_RAW).
fn capture(packet: &[u8]) -> Vec<u8> {
    let length = u32::try_from(packet.len()).unwrap();
    let header: [u32; 6] = [0xa1b2_c3d4, 0x0004_0002, 0, 0, 65_535, 101];
    let record = [1, 0, length, length];
    let mut out: Vec<u8> = header.iter().chain(&record).flat_map(|n| n.to_le_bytes()).collect();
    out.extend(packet);
    out
}

/// What the monitor prints for a set whose first association is that of the packet.
fn table(suite: Suite, ck: &[u8; 16], ik: &[u8; 16], (src, dst): (IpAddr, IpAddr)) -> String {
    let ue = Parameters { spi_c: 1001, spi_s: 1002, port_c: 31_112, port_s: 31_113 };
    let own = Parameters { spi_c: 1003, spi_s: SPI, port_c: 5100, port_s: 6100 };
    let set = SetView {
        id: 1,
        number: 1,
        impi: "alice@ims.test".to_owned(),
        stage: Stage::Active,
        ue,
        own,
        suite,
        keys: suite.keys(ck, ik),
        associations: associations(src, &ue, dst, &own),
        expires: 60,
        bindings: Vec::new(),
    };
    let answer = snapshot::ipsec(&[set], &[None], None, None);
    let request = json!({ "message": "ipsec", "wireshark": true });
    views::answer(&request, &answer, &Look::plain())
}

fn key(digits: &str) -> [u8; 16] {
    hex::decode_array(digits.as_bytes()).expect("32 digits")
}

fn octets(digits: &str) -> Vec<u8> {
    hex::decode::<2048>(digits.as_bytes()).expect("digits").to_vec()
}

/// Source and destination of an IP packet.
fn addresses(packet: &[u8]) -> (IpAddr, IpAddr) {
    if packet[0] >> 4 == 4 {
        let at = |from: usize| IpAddr::from(<[u8; 4]>::try_from(&packet[from..from + 4]).unwrap());
        (at(12), at(16))
    } else {
        let at = |from: usize| IpAddr::from(<[u8; 16]>::try_from(&packet[from..from + 16]).unwrap());
        (at(8), at(24))
    }
}

#[test]
fn tshark_reads_the_packets_of_every_vector() {
    let folder = Folder::new("vectors");
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/ipsec_keys.json");
    let file: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let packets = file["esp"].as_array().unwrap();
    assert!(packets.len() >= 10);
    for vector in packets {
        let text = |name: &str| vector[name].as_str().unwrap();
        let encryption = Encryption::by_name(text("ealg").as_bytes()).unwrap();
        let integrity = match text("alg") {
            "aes-gcm" => Integrity::Null,
            name => Integrity::by_name(name.as_bytes()).unwrap(),
        };
        let suite = Suite::new(integrity, encryption).unwrap();
        let packet = octets(text("esp_ip_packet"));
        let table = table(suite, &key(text("CK_IM")), &key(text("IK_IM")), addresses(&packet));
        let (fields, said) = folder.read(&table, &packet);
        assert_eq!(said, "", "{table}");
        let read: Vec<&str> = fields.split('\t').collect();
        let id = text("id");
        assert!(read[0].ends_with(":sip"), "{id}: {fields}\n{table}");
        assert_eq!(read[1..], ["1", "OPTIONS"], "{id}: {fields}");
        // with other keys it is not read, so that it was these
        let wrong = self::table(suite, &[7; 16], &[8; 16], addresses(&packet));
        assert_ne!(folder.read(&wrong, &packet).0, fields, "{id}");
    }
}

/// An ESP packet from 192.0.2.77 to 192.0.2.1.
fn ip_packet(esp: &[u8]) -> Vec<u8> {
    let length = u16::try_from(20 + esp.len()).unwrap().to_be_bytes();
    let mut packet = vec![0x45, 0, length[0], length[1], 0, 1, 0, 0, 64, 50, 0, 0];
    packet.extend([192, 0, 2, 77, 192, 0, 2, 1]);
    packet.extend(esp);
    packet
}

/// A SIP message in UDP in ESP that is not encrypted, with a check value of so many octets that nobody checks.
fn unchecked(icv_octets: usize) -> Vec<u8> {
    let sip = b"OPTIONS sip:a SIP/2.0\r\nCall-ID: 1\r\n\r\n";
    let length = u16::try_from(8 + sip.len()).unwrap().to_be_bytes();
    let mut esp = [SPI.to_be_bytes(), 1u32.to_be_bytes()].concat();
    esp.extend([0x79, 0x88, 0x13, 0xc7, length[0], length[1], 0, 0]);
    esp.extend(sip);
    let padding = u8::try_from((4 - (sip.len() + 2) % 4) % 4).unwrap();
    esp.extend(1..=padding);
    esp.extend([padding, 17]);
    esp.extend(vec![0xee; icv_octets]);
    ip_packet(&esp)
}

#[test]
fn tshark_reads_what_it_cannot_check() {
    let folder = Folder::new("unchecked");
    for (integrity, icv_octets) in [(Integrity::AesCmac96, 12), (Integrity::HmacMd5_128, 16)] {
        let suite = Suite::new(integrity, Encryption::Null).unwrap();
        let packet = unchecked(icv_octets);
        let table = table(suite, &[1; 16], &[2; 16], addresses(&packet));
        let (fields, said) = folder.read(&table, &packet);
        assert!(said.is_empty() && fields.ends_with("OPTIONS"), "{fields} {said}\n{table}");
    }
}

#[test]
fn tshark_reads_blowfish() {
    // the first packet of the vectors, encrypted with OpenSSL's bf-cbc and the CK there, check value by IK there
    const ESP: &str = "22bb0002000000010001020304050607ceaa0c252b60755260c732bc1a69e5d5327d82ea74b0af54db942425b63ad24541d9e602ee0ac3156a6c6\
                       b1ef8965b04610f7276dbd51b2dae25ecd0";
    let suite = Suite::new(Integrity::HmacMd5_96, Encryption::Blowfish).unwrap();
    let packet = ip_packet(&octets(ESP));
    let (ck, ik) = (key("5dbdbb2954e8f3cde665b046179a5098"), key("59a92d3b476a0443487055cf88b2307b"));
    let table = table(suite, &ck, &ik, addresses(&packet));
    let (fields, said) = Folder::new("blowfish").read(&table, &packet);
    assert_eq!((said.as_str(), fields.as_str()), ("", "raw:ip:esp:udp:sip\t1\tOPTIONS"));
}

#[test]
fn tshark_takes_the_lines_of_all_pairs_and_the_others_are_remarks() {
    let folder = Folder::new("all");
    let at = addresses(&unchecked(12));
    let mut remarks = Vec::new();
    // a key of one octet again and again is too weak for the library's DES
    let ck = key("5dbdbb2954e8f3cde665b046179a5098");
    for suite in Suite::all() {
        let table = table(suite, &ck, &[2; 16], at);
        let (lines, unknown): (Vec<&str>, Vec<&str>) =
            table.lines().skip(2).partition(|line| line.starts_with('"'));
        assert_eq!(lines.len() + unknown.len(), 4);
        remarks.extend(unknown.first().map(|line| line.split_once(": ").unwrap().1.to_owned()));
        assert_eq!(folder.read(&table, &unchecked(12)).1, "", "{table}");
    }
    let name = |ealg: &str| format!("Wireshark does not know hmac-sha-1-160 with {ealg}");
    let mut expected: Vec<String> = ["aes-cbc", "des-ede3-cbc", "blowfish", "null"].map(name).to_vec();
    expected.push("Wireshark does not know aes-gmac with null".to_owned());
    remarks.sort();
    expected.sort();
    assert_eq!(remarks, expected);
}
