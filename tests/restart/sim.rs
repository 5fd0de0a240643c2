//! A phone with a SIM, which notes every sequence number that it is given.

use crate::PATIENCE;
use base64::Engine as _;
use imsbox::crypto::aka::{Functions, Sim, generate};
use imsbox::crypto::sqn;
use imsbox::crypto::xor::Xor;
use imsbox::proto::sip::digest::{Algorithm, Inputs, aka, digest_params, response};
use std::net::{SocketAddr, UdpSocket};

const K: [u8; 16] = 0x0011_2233_4455_6677_8899_aabb_ccdd_eeffu128.to_be_bytes();
const IMPI: &str = "001010123456789@ims.mnc001.mcc001.3gppnetwork.org";

/// A phone whose SIM takes numbers above its own only, and notes every number that it is given.
pub struct Phone {
    socket: UdpSocket,
    pub imei: &'static str,
    sqn_ms: u64,
    pub resyncs: usize,
    pub given: Vec<u64>,
    cseq: u32,
}

impl Phone {
    pub fn new(imei: &'static str, sqn_ms: u64) -> Phone {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Phone { socket, imei, sqn_ms, resyncs: 0, given: Vec::new(), cseq: 0 }
    }

    /// Sends a REGISTER with this Authorization line and gives its answer.
    fn register(&mut self, sip: SocketAddr, authorization: &str) -> String {
        self.cseq += 1;
        let (imei, cseq, own) = (self.imei, self.cseq, self.socket.local_addr().unwrap());
        let text = format!(
            "REGISTER sip:ims SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bK{imei}{cseq};rport\r\nMax-Forwards: 70\r\n\
             From: <tel:600>;tag=1\r\nTo: <tel:600>\r\nCall-ID: {imei}\r\nCSeq: {cseq} REGISTER\r\n\
             Contact: <sip:phone@{own}>;+sip.instance=\"<urn:gsma:imei:{imei}>\"\r\nExpires: 3600\r\n{authorization}\
             Content-Length: 0\r\n\r\n"
        );
        self.socket.send_to(text.as_bytes(), sip).unwrap();
        let mut octets = [0; 4096];
        let length = self.socket.recv(&mut octets).unwrap();
        String::from_utf8_lossy(&octets[..length]).into_owned()
    }

    /// Reads a challenge: its nonce and the number in it.
    fn challenge(&mut self, answer: &str) -> (String, u64) {
        assert!(answer.starts_with("SIP/2.0 401"), "{answer}");
        let line = answer.lines().find_map(|l| l.strip_prefix("WWW-Authenticate: ")).unwrap();
        let found = digest_params(line.as_bytes()).unwrap().find(|p| p.name == b"nonce").unwrap();
        let nonce = String::from_utf8(found.value.to_vec()).unwrap();
        let (rand, autn) = aka::parse_nonce(nonce.as_bytes()).unwrap();
        let ak = Xor::new(&K, &rand).f5();
        let number = sqn::from_octets(std::array::from_fn(|i| autn[i] ^ ak[i]));
        self.given.push(number);
        (nonce, number)
    }

    /// Registers to the end, or as far as the challenge.
    pub fn attempt(&mut self, sip: SocketAddr, is_cut_short: bool) {
        let first = self.register(sip, "");
        let (mut nonce, mut number) = self.challenge(&first);
        if number <= self.sqn_ms {
            self.resyncs += 1;
            let line = self.auts(&nonce);
            let again = self.register(sip, &line);
            (nonce, number) = self.challenge(&again);
        }
        assert!(number > self.sqn_ms, "{number:012x} after {:012x}", self.sqn_ms);
        if is_cut_short {
            return;
        }
        self.sqn_ms = number;
        let line = self.answer(&nonce);
        let ok = self.register(sip, &line);
        assert!(ok.starts_with("SIP/2.0 200"), "{ok}");
    }

    fn auts(&self, nonce: &str) -> String {
        let (rand, _) = aka::parse_nonce(nonce.as_bytes()).unwrap();
        let (xor, own) = (Xor::new(&K, &rand), sqn::octets(self.sqn_ms));
        let mut auts = [0; 14];
        (0..6).for_each(|i| auts[i] = own[i] ^ xor.f5()[i]);
        auts[6..].copy_from_slice(&xor.f1(&own, &[0, 0]));
        let auts = base64::engine::general_purpose::STANDARD.encode(auts);
        authorization(nonce, "", &format!(",auts=\"{auts}\""))
    }

    fn answer(&self, nonce: &str) -> String {
        let (rand, _) = aka::parse_nonce(nonce.as_bytes()).unwrap();
        let sim = Sim::new(Functions::Xor { k: K }, [0x90, 0x01], 8).unwrap();
        let password = aka::password(Algorithm::AkaV1Md5, &generate(&sim, &rand, 0)).unwrap();
        let computed = response(&Inputs {
            algorithm: Algorithm::AkaV1Md5,
            username: IMPI.as_bytes(),
            realm: b"ims",
            password: &password,
            nonce: nonce.as_bytes(),
            method: b"REGISTER",
            uri: b"sip:ims",
            body: b"",
            protection: None,
        });
        authorization(nonce, &computed, "")
    }
}

fn authorization(nonce: &str, response: &str, more: &str) -> String {
    format!(
        "Authorization: Digest username=\"{IMPI}\",realm=\"ims\",nonce=\"{nonce}\",uri=\"sip:ims\",response=\"{response}\",\
         algorithm=AKAv1-MD5{more}\r\n"
    )
}
