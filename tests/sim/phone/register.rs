//! A phone registers: REGISTER, challenges, refreshes.

use super::*;

impl Phone {
    pub(super) fn send_register(&mut self, now: Instant, want: &mut Wants) {
        self.register_cseq += 1;
        let branch = self.fresh("z9hG4bK");
        let expires = if self.wants_registration { EXPIRES } else { 0 };
        let (name, user, transport) = (&self.name, &self.user, self.transport());
        let authorization = self.authorization.take().unwrap_or_default();
        let octets = format!(
            "REGISTER sip:{DOMAIN} SIP/2.0\r\nVia: SIP/2.0/{transport} {a};branch={branch};rport\r\nMax-Forwards: 70\r\n\
             From: <sip:{user}@{DOMAIN}>;tag=r{name}\r\nTo: <sip:{user}@{DOMAIN}>\r\nCall-ID: reg-{name}\r\n\
             CSeq: {c} REGISTER\r\nContact: {contact}{features};expires={expires}\r\nSupported: path\r\n{authorization}Content-Length: 0\r\n\r\n",
            a = self.addr,
            c = self.register_cseq,
            contact = self.contact(),
            features = self.features(),
        );
        self.start(now, branch, "REGISTER", octets, Purpose::Register, want);
    }

    pub(super) fn on_register_answer(&mut self, now: Instant, code: u16, text: &Text, want: &mut Wants) {
        if self.shield.is_some() {
            return self.on_shielded_answer(now, code, text, want);
        }
        match code {
            200 => {
                self.challenges = 0;
                self.registered = self.wants_registration;
                if self.wants_registration {
                    self.seen.registered += 1;
                    assert!(
                        text.all("Contact").any(|c| c.contains(&format!("sip:{}@", self.name))),
                        "{}: no Contact in 200",
                        self.name
                    );
                    assert!(
                        text.get("P-Associated-URI").contains(&self.user),
                        "{}: no P-Associated-URI",
                        self.name
                    );
                    self.timers.push((now + Duration::from_secs(EXPIRES / 2), Timer::Register));
                    if self.known_contacts().is_none() {
                        self.subscribe_in(now, 0);
                    }
                } else if text.cseq() == self.register_cseq // the answer to a refresh may still come
                    && text.all("Contact").any(|c| c.contains(&format!("sip:{}@", self.name)))
                {
                    panic!("{}: still bound after de-registration", self.name);
                }
            }
            401 => {
                self.challenges += 1;
                if self.challenges > 4 {
                    self.timers.push((now + Duration::from_secs(30), Timer::Register));
                    return;
                }
                self.authorization = Some(self.authorize(text.get("WWW-Authenticate")));
                self.send_register(now, want);
            }
            403 => panic!("{}: 403 although the key is right", self.name),
            _ => self.timers.push((now + Duration::from_secs(30), Timer::Register)),
        }
    }

    pub(super) fn authorize(&mut self, challenge: &str) -> String {
        let nonce = challenge_parameter(challenge, "nonce").expect("a challenge has a nonce");
        let realm = challenge_parameter(challenge, "realm").expect("a challenge has a realm").to_owned();
        let name = challenge_parameter(challenge, "algorithm").unwrap_or("MD5").to_owned();
        let algorithm = Algorithm::parse(name.as_bytes()).expect("an algorithm that we know");
        let password = self.password(nonce);
        let uri = format!("sip:{DOMAIN}");
        let impi = format!("{}@{DOMAIN}", self.user);
        let response = digest::response(&Inputs {
            algorithm,
            username: impi.as_bytes(),
            realm: realm.as_bytes(),
            nonce: nonce.as_bytes(),
            uri: uri.as_bytes(),
            method: b"REGISTER",
            body: b"",
            password: &password,
            protection: None,
        });
        format!(
            "Authorization: Digest username=\"{impi}\",realm=\"{realm}\",nonce=\"{nonce}\",uri=\"{uri}\",\
             response=\"{}\",algorithm={name}\r\n",
            response.as_str()
        )
    }

    /// The digest password: the user's, or RES once AUTN is found right and its SQN new.
    pub(super) fn password(&mut self, nonce: &str) -> Vec<u8> {
        if let Secret::Password(text) = self.secret {
            return text.as_bytes().to_vec();
        }
        let (rand, autn) =
            digest::aka::parse_nonce(nonce.as_bytes()).expect("an AKA nonce holds RAND and AUTN");
        let (ak, functions) = match &self.secret {
            Secret::Milenage { k, op } => {
                let constants = milenage::Constants::default();
                let opc = milenage::derive_opc(k, op);
                let ak = milenage::Milenage::new(k, &opc, &constants).f5(&rand);
                (ak, aka::Functions::Milenage { k: *k, opc, constants })
            }
            Secret::Xor { k } => (xor::Xor::new(k, &rand).f5(), aka::Functions::Xor { k: *k }),
            Secret::Password(_) => unreachable!("handled above"),
        };
        let sqn: [u8; 6] = std::array::from_fn(|i| autn[i] ^ ak[i]);
        assert!(self.sqn_used.insert(sqn), "{}: SQN {} came twice", self.name, hex::encode::<12>(&sqn));
        let number = sqn.iter().fold(0u64, |n, o| n << 8 | u64::from(*o));
        let sim = aka::Sim::new(functions, [autn[6], autn[7]], 8).expect("8 is a length of RES");
        let vector = aka::generate(&sim, &rand, number);
        if let Some(shield) = &mut self.shield {
            shield.keys = Some((vector.ck, vector.ik));
        }
        assert_eq!(vector.autn, autn, "{}: MAC-A of AUTN is wrong", self.name);
        vector.xres.to_vec()
    }
}
