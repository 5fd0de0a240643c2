//! ESP packets of the vectors (`ipsec_keys.json`, `esp`) opened with our keys: what TS 33.203 annex I makes of CK and IK is what the
//! packets were made with (RFC 4303, 2403, 2404, 2451, 3602, 4106).

use aes::Aes128;
use aes::cipher::{Array, BlockCipherDecrypt, BlockCipherEncrypt, BlockSizeUser, KeyInit};
use des::TdesEde3;
use hmac::{Hmac, Mac};
use imsbox::crypto::ipsec_keys::{Key, ck, ck_ede, ck_salted, ik, ik_padded};
use md5::Md5;
use serde_json::Value;
use sha1::Sha1;

/// Octets of an IP header without options or extensions, and the protocol of what is behind it.
fn ip_header(packet: &[u8]) -> (usize, u8) {
    if packet[0] >> 4 == 4 { (20, packet[9]) } else { (40, packet[6]) }
}

/// Octets of SPI and sequence number.
const ESP_HEADER: usize = 8;

fn octets(row: &Value, field: &str) -> Vec<u8> {
    let text = row[field].as_str().unwrap_or_else(|| panic!("{} has no {field}", row["id"]));
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

fn rows() -> Vec<Value> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/ipsec_keys.json");
    let file: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    file["esp"].as_array().unwrap().clone()
}

/// What is behind SPI and sequence number once integrity has been checked and encryption taken off: payload and trailer.
fn open(row: &Value, esp: &[u8]) -> Option<Vec<u8>> {
    let key = |rule: fn(&[u8; 16], &[u8; 16]) -> Key| {
        let secret = |field| <[u8; 16]>::try_from(octets(row, field)).unwrap();
        rule(&secret("CK_IM"), &secret("IK_IM"))
    };
    let (ealg, alg) = (row["ealg"].as_str().unwrap(), row["alg"].as_str().unwrap());
    if ealg == "aes-gcm" {
        return open_gcm(key(ck_salted).as_bytes(), esp);
    }
    let (covered, icv) = esp.split_at(esp.len() - 12);
    let mac = match alg {
        "hmac-md5-96" => hmac::<Hmac<Md5>>(key(ik).as_bytes(), covered),
        "hmac-sha-1-96" => hmac::<Hmac<Sha1>>(key(ik_padded).as_bytes(), covered),
        other => panic!("{other}"),
    };
    let content = &covered[ESP_HEADER..];
    (mac[..12] == *icv).then(|| match ealg {
        "null" => content.to_vec(),
        "aes-cbc" => open_cbc(&Aes128::new_from_slice(key(ck).as_bytes()).unwrap(), content),
        "des-ede3-cbc" => open_cbc(&TdesEde3::new_from_slice(key(ck_ede).as_bytes()).unwrap(), content),
        other => panic!("{other}"),
    })
}

fn hmac<M: Mac + KeyInit>(key: &[u8], data: &[u8]) -> Vec<u8> {
    let mut mac = <M as KeyInit>::new_from_slice(key).unwrap();
    mac.update(data);
    mac.finalize().into_bytes().to_vec()
}

/// The initialisation vector comes first, one block.
fn open_cbc<C: BlockCipherDecrypt + BlockSizeUser>(cipher: &C, content: &[u8]) -> Vec<u8> {
    let size = C::block_size();
    let blocks = content.chunks(size);
    let mut plain = Vec::new();
    for (before, block) in blocks.clone().zip(blocks.skip(1)) {
        let mut out = Array::try_from(block).unwrap();
        cipher.decrypt_block(&mut out);
        plain.extend(out.iter().zip(before).map(|(a, b)| a ^ b));
    }
    plain
}

/// RFC 4106: the nonce is the salt behind the key and the eight octets in front of the content; SPI and number are covered.
fn open_gcm(key: &[u8], esp: &[u8]) -> Option<Vec<u8>> {
    let (key, salt) = key.split_at(16);
    let aes = Aes128::new_from_slice(key).unwrap();
    let encrypt = |block: u128| {
        let mut block = Array::from(block.to_be_bytes());
        aes.encrypt_block(&mut block);
        u128::from_be_bytes(block.into())
    };
    let (header, rest) = esp.split_at(ESP_HEADER);
    let (iv, rest) = rest.split_at(8);
    let (content, tag) = rest.split_at(rest.len() - 16);
    let mut first = [0; 16];
    first[..4].copy_from_slice(salt);
    first[4..12].copy_from_slice(iv);
    first[15] = 1;
    let counter = u128::from_be_bytes(first);
    // GHASH (NIST SP 800-38D 6.4)
    let h = encrypt(0);
    let lengths = ((header.len() as u128 * 8) << 64) | (content.len() as u128 * 8);
    let block = |part: &[u8]| {
        let mut block = [0; 16];
        block[..part.len()].copy_from_slice(part);
        u128::from_be_bytes(block)
    };
    let covered = header.chunks(16).chain(content.chunks(16)).map(block).chain([lengths]);
    let hash = covered.fold(0, |y, x| times(y ^ x, h));
    if (hash ^ encrypt(counter)).to_be_bytes() != tag {
        return None;
    }
    let stream = (1u128..).flat_map(|n| encrypt(counter + n).to_be_bytes());
    Some(content.iter().zip(stream).map(|(a, b)| a ^ b).collect())
}

/// The product in GF(2^128), bit 0 first (NIST SP 800-38D 6.3).
fn times(x: u128, mut v: u128) -> u128 {
    let mut z = 0;
    for bit in (0..128).rev() {
        if (x >> bit) & 1 == 1 {
            z ^= v;
        }
        v = if v & 1 == 1 { (v >> 1) ^ (0xe1 << 120) } else { v >> 1 };
    }
    z
}

#[test]
fn every_packet_opens_with_our_keys_and_none_that_was_bent() {
    let rows = rows();
    assert_eq!(rows.len(), 10);
    for row in &rows {
        let (packet, plain) = (octets(row, "esp_ip_packet"), octets(row, "plain_ip_packet"));
        let ((before, esp_protocol), (before_plain, protocol)) = (ip_header(&packet), ip_header(&plain));
        assert_eq!(esp_protocol, 50, "{}", row["id"]);
        let esp = &packet[before..];
        let opened = open(row, esp).unwrap_or_else(|| panic!("{}: integrity", row["id"]));
        let payload = &plain[before_plain..];
        let (content, trailer) = opened.split_at(payload.len());
        assert_eq!(content, payload, "{}", row["id"]);
        // RFC 4303 2.4, 2.6: padding that counts, its length, and the protocol that was inside
        let (padding, end) = trailer.split_at(trailer.len() - 2);
        assert!(padding.iter().zip(1..).all(|(octet, n)| *octet == n), "{}", row["id"]);
        assert_eq!(end, [padding.len() as u8, protocol], "{}", row["id"]);
        for at in 0..esp.len() {
            let mut bent = esp.to_vec();
            bent[at] ^= 1;
            assert_eq!(open(row, &bent), None, "{} octet {at}", row["id"]);
        }
        let mut other = row.clone();
        (other["CK_IM"], other["IK_IM"]) = (row["IK_IM"].clone(), row["CK_IM"].clone());
        assert_eq!(open(&other, esp), None, "{}: CK and IK exchanged", row["id"]);
    }
}
