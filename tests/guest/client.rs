//! A phone made by hand, over UDP: it sends what a test wants it to send, right or wrong, through associations of its own.
//!
//! Its kernel gets its side of the agreement from the test, so that the server's is tried alone.

use crate::network::{Machine, PATIENCE};
use crate::people::Card;
use crate::program::SIP_PORT;
use crate::wire::protection;
use imsbox::proto::sip::digest::aka::parse_nonce;

use imsbox::proto::sip::digest::{Algorithm, Inputs, response};
use imsbox::proto::sip::sec_agree::{self, Parameters, Suite, associations};
use platform::xfrm::{Direction, Lifetime, Traffic, Xfrm};
use std::net::{IpAddr, SocketAddr, UdpSocket};

/// The phone.
pub struct Client {
    pub card: Card,
    pub own: Parameters,
    suite: Suite,
    ip: IpAddr,
    pcscf: IpAddr,
    xfrm: Xfrm,
    clear: UdpSocket,
    client: UdpSocket,
    server: UdpSocket,
    cseq: u32,
}

/// A challenge, and what the card makes of it.
#[derive(Clone)]
pub struct Challenge {
    pub nonce: String,
    /// Security-Server as it came.
    pub security_server: String,
    pub server: Parameters,
    pub res: Vec<u8>,
    pub ck: [u8; 16],
    pub ik: [u8; 16],
}

/// A response.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub text: String,
}

impl Reply {
    /// The value of a header, or nothing.
    pub fn header(&self, name: &str) -> &str {
        let row =
            self.text.lines().find_map(|l| l.split_once(':').filter(|(n, _)| n.eq_ignore_ascii_case(name)));
        row.map_or("", |(_, value)| value.trim())
    }
}

/// A parameter of a header's value, without quotes.
fn parameter<'a>(value: &'a str, name: &str) -> &'a str {
    let pieces = value.split([',', ';', ' ']).filter_map(|p| p.trim().split_once('='));
    let found = pieces.into_iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
    found.map_or("", |(_, v)| v.trim_matches('"'))
}

impl Challenge {
    /// What a 401 asks of a card.
    pub fn of(reply: &Reply, card: &Card) -> Challenge {
        assert_eq!(reply.status, 401, "{}", reply.text);
        let nonce = parameter(reply.header("WWW-Authenticate"), "nonce").to_owned();
        let (rand, _) =
            parse_nonce(nonce.as_bytes()).unwrap_or_else(|| panic!("no AKA nonce: {}", reply.text));
        let security_server = reply.header("Security-Server").to_owned();
        let number = |name| parameter(&security_server, name).parse().unwrap_or_default();
        let port = |name| number(name) as u16;
        let server = Parameters {
            spi_c: number("spi-c"),
            spi_s: number("spi-s"),
            port_c: port("port-c"),
            port_s: port("port-s"),
        };
        let functions = card.functions();
        let res = functions.f2(&rand).to_vec();
        Challenge { res, ck: functions.f3(&rand), ik: functions.f4(&rand), nonce, security_server, server }
    }
}

impl Client {
    /// A phone at an address of the machine, with SPIs that follow from its server port and ports that were free.
    pub fn new(machine: &Machine, ip: IpAddr, pcscf: IpAddr, card: Card, suite: Suite) -> Client {
        let [clear, client, server] = [(); 3].map(|()| machine.udp(SocketAddr::new(ip, 0)));
        let port = |socket: &UdpSocket| socket.local_addr().unwrap().port();
        let (port_c, port_s) = (port(&client), port(&server));
        let own =
            Parameters { spi_c: 0x2000_0000 + u32::from(port_s), spi_s: u32::from(port_s), port_c, port_s };
        let xfrm = machine.within(Xfrm::open).unwrap();
        Client { card, own, suite, ip, pcscf, xfrm, clear, client, server, cseq: 0 }
    }

    /// Its Security-Client.
    pub fn security_client(&self) -> String {
        use imsbox::proto::sip::sec_agree::Named;
        let (alg, ealg) = (self.suite.integrity().name(), self.suite.encryption().name());
        let Parameters { spi_c, spi_s, port_c, port_s } = self.own;
        format!(
            "ipsec-3gpp;alg={alg};ealg={ealg};prot=esp;mod=trans;spi-c={spi_c};spi-s={spi_s};port-c={port_c};port-s={port_s}"
        )
    }

    fn host(&self) -> String {
        SocketAddr::new(self.ip, self.own.port_s).to_string()
    }

    /// A request of its own from a socket whose port the Via names; `headers` end with a line end each.
    pub fn request(&mut self, method: &str, uri: &str, port: u16, headers: &str) -> String {
        self.cseq += 1;
        let (cseq, impu, via) = (self.cseq, self.card.impu(), SocketAddr::new(self.ip, port));
        format!(
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {via};branch=z9hG4bK{imsi}.{port}.{cseq}\r\nMax-Forwards: 70\r\n\
             From: <{impu}>;tag={imsi}\r\nTo: <{impu}>\r\nCall-ID: {imsi}.{server}\r\nCSeq: {cseq} {method}\r\n\
             Contact: <sip:{imsi}@{host}>\r\n{headers}Content-Length: 0\r\n\r\n",
            imsi = self.card.imsi,
            server = self.own.port_s,
            host = self.host(),
        )
    }

    /// A REGISTER in clear that offers IPsec; `response` is what Authorization says besides who asks.
    pub fn first_register(&mut self, authorization: &str) -> String {
        let port = self.clear.local_addr().unwrap().port();
        let headers = format!(
            "{authorization}Expires: 600\r\nRequire: sec-agree\r\nProxy-Require: sec-agree\r\nSupported: path, sec-agree\r\n\
             Security-Client: {}\r\n",
            self.security_client()
        );
        let uri = self.card.registrar();
        self.request("REGISTER", &uri, port, &headers)
    }

    /// The protected answer to a challenge: what Authorization, Security-Client and Security-Verify say, and for how long.
    pub fn second_register(&mut self, authorization: &str, verify: &str, expires: u32) -> String {
        let headers = format!(
            "{authorization}Expires: {expires}\r\nRequire: sec-agree\r\nProxy-Require: sec-agree\r\nSupported: path, sec-agree\r\n\
             Security-Client: {}\r\nSecurity-Verify: {verify}\r\n",
            self.security_client()
        );
        let uri = self.card.registrar();
        self.request("REGISTER", &uri, self.own.port_s, &headers)
    }

    /// Authorization with AKAv1-MD5 (RFC 3310 3.3), line end included.
    pub fn authorization(&self, challenge: &Challenge, res: &[u8]) -> String {
        let (impi, realm, uri) = (self.card.impi(), self.card.domain(), self.card.registrar());
        let inputs = Inputs {
            algorithm: Algorithm::parse(b"AKAv1-MD5").unwrap(),
            username: impi.as_bytes(),
            realm: realm.as_bytes(),
            password: res,
            nonce: challenge.nonce.as_bytes(),
            method: b"REGISTER",
            uri: uri.as_bytes(),
            body: b"",
            protection: None,
        };
        format!(
            "Authorization: Digest username=\"{impi}\",realm=\"{realm}\",nonce=\"{}\",uri=\"{uri}\",algorithm=AKAv1-MD5,\
             response=\"{}\"\r\n",
            challenge.nonce,
            response(&inputs)
        )
    }

    /// Authorization of the first request (TS 24.229 5.1.1.2.2): who asks, and nothing to prove it.
    pub fn nobody(&self) -> String {
        let (impi, realm, uri) = (self.card.impi(), self.card.domain(), self.card.registrar());
        format!(
            "Authorization: Digest username=\"{impi}\",realm=\"{realm}\",nonce=\"\",uri=\"{uri}\",response=\"\"\r\n"
        )
    }

    /// Asks in clear and gets a challenge.
    pub fn challenge(&mut self) -> Challenge {
        let authorization = self.nobody();
        let request = self.first_register(&authorization);
        Challenge::of(&self.ask_clear(&request), &self.card)
    }

    /// The associations as the phone's kernel has them.
    pub fn traffic(&self, challenge: &Challenge) -> [Traffic; 4] {
        let mut index = 0;
        associations(self.ip, &self.own, self.pcscf, &challenge.server).map(|a| {
            let direction = match a.direction {
                sec_agree::Direction::In => Direction::Out,
                sec_agree::Direction::Out => Direction::In,
            };
            index += 1;
            let reqid = 0x0200_0000 + 2 * u32::from(self.own.port_s) + (index - 1) / 2;
            Traffic { direction, from: a.from, to: a.to, spi: a.spi, reqid }
        })
    }

    /// Puts the agreement into the phone's kernel.
    pub fn protect(&mut self, challenge: &Challenge) {
        let keys = self.suite.keys(&challenge.ck, &challenge.ik);
        let set = self.traffic(challenge);
        self.xfrm.install(&set, &protection(self.suite, &keys, Lifetime::ENDLESS)).unwrap();
    }

    /// Takes it out again.
    pub fn unprotect(&mut self, challenge: &Challenge) {
        let set = self.traffic(challenge);
        self.xfrm.remove(&set).unwrap();
    }

    /// Registers as it should be done; the challenge that it answered.
    pub fn register(&mut self) -> Challenge {
        let challenge = self.challenge();
        self.protect(&challenge);
        let authorization = self.authorization(&challenge, &challenge.res);
        let request = self.second_register(&authorization, &challenge.security_server, 600);
        let reply = self.ask(&challenge, &request);
        assert_eq!(reply.status, 200, "{}", reply.text);
        challenge
    }

    /// Sends in clear to the port of SIP.
    pub fn ask_clear(&mut self, request: &str) -> Reply {
        self.clear.send_to(request.as_bytes(), SocketAddr::new(self.pcscf, SIP_PORT)).unwrap();
        reply_at(&self.clear).unwrap_or_else(|e| panic!("no answer ({e}) to\n{request}"))
    }

    /// Sends through the associations.
    pub fn ask(&mut self, challenge: &Challenge, request: &str) -> Reply {
        self.send(challenge, request);
        reply_at(&self.server).unwrap_or_else(|e| panic!("no answer ({e}) to\n{request}"))
    }

    /// Sends through the associations, without waiting for an answer.
    pub fn send(&self, challenge: &Challenge, request: &str) {
        let to = SocketAddr::new(self.pcscf, challenge.server.port_s);
        self.client.send_to(request.as_bytes(), to).unwrap();
    }

    /// Where its requests in clear come from.
    pub fn clear_port(&self) -> u16 {
        self.clear.local_addr().unwrap().port()
    }
}

/// The next response that is no 100.
fn reply_at(socket: &UdpSocket) -> std::io::Result<Reply> {
    socket.set_read_timeout(Some(PATIENCE))?;
    loop {
        let mut buffer = [0; 4096];
        let len = socket.recv(&mut buffer)?;
        let text = String::from_utf8_lossy(&buffer[..len]).into_owned();
        let status = text.strip_prefix("SIP/2.0 ").and_then(|t| t.get(..3)).and_then(|t| t.parse().ok());
        match status {
            Some(100) | None => {}
            Some(status) => return Ok(Reply { status, text }),
        }
    }
}
