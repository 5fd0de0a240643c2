//! Both halves of a call: requests of a phone inside its dialog, and a partner for a captured phone.

use crate::capture::{body, contact_uri, fitted, header, request_uri, survives, text_body};
use crate::stage::{Phone, Stage};
use imsbox::wire::sip::HeaderId;

/// One phone's half of a dialog.
pub struct Half {
    pub phone: Phone,
    call_id: String,
    pub local: String,
    pub remote: String,
    pub target: String,
    cseq: u32,
}

impl Half {
    /// The half of the phone that has sent this INVITE.
    pub fn caller(phone: &Phone, invite: &[u8]) -> Half {
        let [call_id, local, remote, cseq] =
            [HeaderId::CallId, HeaderId::From, HeaderId::To, HeaderId::CSeq].map(|id| header(invite, id));
        let cseq = cseq.split(' ').next().and_then(|n| n.parse().ok()).expect("a number");
        Half { phone: phone.clone(), call_id, local, remote, target: request_uri(invite), cseq }
    }

    /// The half of the phone that was called with this INVITE and has this tag.
    pub fn callee(phone: &Phone, invite: &[u8], tag: &str) -> Half {
        let [call_id, from, to] =
            [HeaderId::CallId, HeaderId::From, HeaderId::To].map(|id| header(invite, id));
        let local = format!("{to};tag={tag}");
        Half { phone: phone.clone(), call_id, local, remote: from, target: contact_uri(invite), cseq: 0 }
    }

    /// Takes the other side's tag and target from a response.
    pub fn learn(&mut self, response: &[u8]) {
        self.remote = header(response, HeaderId::To);
        self.target = contact_uri(response);
    }

    /// The start line and the values that fit a captured request into this dialog.
    pub fn fits(&mut self, capture: &[u8], number: u32) -> Vec<u8> {
        let method = header(capture, HeaderId::CSeq).split(' ').next_back().expect("a method").to_owned();
        self.cseq += 1;
        let (cseq, start) = (format!("{} {method}", self.cseq), format!("{method} {} SIP/2.0", self.target));
        let via = self.via(number);
        let values = [
            (HeaderId::Via, via.as_str()),
            (HeaderId::From, &self.local),
            (HeaderId::To, &self.remote),
            (HeaderId::CallId, &self.call_id),
            (HeaderId::CSeq, &cseq),
        ];
        fitted(capture, Some(&start), &values)
    }

    fn via(&self, number: u32) -> String {
        let flow = self.phone.flow;
        format!("SIP/2.0/{} {};branch=z9hG4bKhere{number}", flow.transport.via_token(), flow.remote)
    }

    /// A request of this phone.
    pub fn request(&mut self, stage: &mut Stage, method: &str, headers: &str, sdp: &str) {
        if method != "ACK" {
            self.cseq += 1;
        }
        self.request_at(stage, method, self.cseq, headers, sdp);
    }

    /// Acknowledges a 200 to the INVITE with this CSeq number.
    pub fn ack(&self, stage: &mut Stage, cseq: u32) {
        self.request_at(stage, "ACK", cseq, "", "");
    }

    fn request_at(&self, stage: &mut Stage, method: &str, cseq: u32, headers: &str, sdp: &str) {
        let Half { call_id, local, remote, target, .. } = self;
        let via = self.via(stage.fresh());
        let kind = if sdp.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        let text = format!(
            "{method} {target} SIP/2.0\r\nVia: {via}\r\nMax-Forwards: 70\r\nFrom: {local}\r\nTo: {remote}\r\nCall-ID: {call_id}\r\n\
             CSeq: {cseq} {method}\r\n{headers}{kind}Content-Length: {}\r\n\r\n{sdp}",
            sdp.len()
        );
        stage.send(&self.phone, text.as_bytes());
    }
}

/// A response of a phone that nobody has captured.
pub fn reply(stage: &mut Stage, phone: &Phone, request: &[u8], status: u16, headers: &str, sdp: &str) {
    let [via, from, to, call_id, cseq] =
        [HeaderId::Via, HeaderId::From, HeaderId::To, HeaderId::CallId, HeaderId::CSeq]
            .map(|id| header(request, id));
    let tag = if to.contains(";tag=") { "" } else { ";tag=partner" };
    let kind = if sdp.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    let text = format!(
        "SIP/2.0 {status} Partner says\r\nVia: {via}\r\nFrom: {from}\r\nTo: {to}{tag}\r\nCall-ID: {call_id}\r\nCSeq: {cseq}\r\n\
         Contact: <sip:partner@{}>\r\n{headers}{kind}Content-Length: {}\r\n\r\n{sdp}",
        phone.flow.remote,
        sdp.len()
    );
    stage.send(phone, text.as_bytes());
}

/// The description in a body: all of it, or the first part of several.
fn offer_of(invite: &[u8]) -> String {
    let whole = text_body(invite);
    match whole.strip_prefix("--") {
        Some(parts) => parts[parts.find("v=0").expect("a description")..]
            .split("\r\n--")
            .next()
            .expect("a part")
            .to_owned(),
        None => whole,
    }
}

/// The answer of a phone with the same codecs; where the offer has preconditions, one that waits for the caller's resources.
pub fn mirrored(offer: &str) -> String {
    let own = offer.replacen("o=", "o=partner-", 1);
    let wants = "a=des:qos optional remote sendrecv";
    own.replace(wants, "a=des:qos mandatory remote sendrecv\r\na=conf:qos remote sendrecv")
}

/// The same description when the resources on its side are there.
fn ready(sdp: &str) -> String {
    let here = sdp.replace("a=curr:qos local none", "a=curr:qos local sendrecv");
    here.replace("a=conf:qos remote sendrecv\r\n", "")
}

/// What a captured INVITE is played with: who the phones are, and how the caller hangs up.
pub struct Play {
    pub stage: Stage,
    pub caller: Phone,
    pub partner: Phone,
    pub invite: Vec<u8>,
}

impl Play {
    /// The users `caller` and `callee`, each with these identities, and the phone of a captured INVITE beside a partner of the
    /// same address family; both have registered.
    pub fn new(invite: Vec<u8>, caller: &[&str], callee: &[&str]) -> Play {
        let mut stage = Stage::new(&[caller, callee]);
        let phone = Phone::of(&invite);
        let address =
            if phone.flow.remote.is_ipv6() { "[2001:db8:99::99]:5060" } else { "203.0.113.99:5060" };
        let partner = Phone::new(callee[0], address);
        stage.register(&phone);
        stage.register(&partner);
        Play { stage, caller: phone, partner, invite }
    }

    /// The INVITE as the partner gets it; nothing of it is lost.
    pub fn rings(&mut self) -> Vec<u8> {
        self.stage.send(&self.caller, &self.invite);
        self.stage.expect(&self.caller, "SIP/2.0 100");
        let invite = self.stage.expect(&self.partner, "INVITE");
        survives(&self.invite, &invite, true);
        invite
    }

    /// The whole call: a 183 with the answer, reliable where that can be, the UPDATE of a caller that has preconditions when its
    /// resources are there, 180, 200, and the caller's BYE, which is this capture if there is one.
    pub fn through(mut self, bye: Option<&str>) {
        let invite = self.rings();
        let offer = offer_of(&invite);
        let answer = mirrored(&offer);
        let mut caller = Half::caller(&self.caller, &self.invite);
        let first = caller.cseq;
        let takes = |message: &[u8], tag: &str| header(message, HeaderId::Supported).contains(tag);
        let (here, there) = (takes(&self.invite, "100rel"), takes(&invite, "100rel"));
        self.progress(&mut caller, &invite, &answer, [here, there]);
        let mut last = answer;
        if offer.contains("a=curr:qos") {
            assert!(takes(&invite, "precondition"), "the partner is to take part");
            last = self.resources(&mut caller, &offer, &last);
        }
        reply(&mut self.stage, &self.partner, &invite, 180, "", "");
        let ringing = self.stage.expect(&self.caller, "SIP/2.0 180");
        // what was said reliably is not said again, neither by the partner nor to the caller (RFC 6337 3.1.1)
        reply(&mut self.stage, &self.partner, &invite, 200, "", if there { "" } else { &last });
        let ok = self.stage.expect(&self.caller, "SIP/2.0 200");
        assert_eq!(text_body(&ok), if here { "" } else { &last });
        assert_eq!(header(&ok, HeaderId::To), header(&ringing, HeaderId::To));
        caller.learn(&ok);
        caller.ack(&mut self.stage, first);
        self.stage.expect(&self.partner, "ACK");
        self.stage.expect_nothing();
        self.hangs_up(&mut caller, bye);
    }

    /// A 183 with the answer; reliable as far as `[here, there]`, the caller's phone and the partner, take that.
    fn progress(&mut self, caller: &mut Half, invite: &[u8], answer: &str, [here, there]: [bool; 2]) {
        let tags = if answer.contains("a=curr:qos") { "100rel,precondition" } else { "100rel" };
        let headers = if there { format!("Require: {tags}\r\nRSeq: 7\r\n") } else { String::new() };
        reply(&mut self.stage, &self.partner, invite, 183, &headers, answer);
        let early = self.stage.expect(&self.caller, "SIP/2.0 183");
        assert_eq!(
            (text_body(&early).as_str(), header(&early, HeaderId::Require).as_str()),
            (answer, if here { tags } else { "" })
        );
        caller.learn(&early);
        if here {
            let rack = format!("RAck: {} {} INVITE\r\n", header(&early, HeaderId::RSeq), caller.cseq);
            caller.request(&mut self.stage, "PRACK", &rack, "");
        }
        if there {
            let prack = self.stage.expect(&self.partner, "PRACK");
            assert_eq!(header(&prack, HeaderId::RAck).split(' ').next(), Some("7"));
            reply(&mut self.stage, &self.partner, &prack, 200, "", "");
        }
        if here {
            self.stage.expect(&self.caller, "SIP/2.0 200");
        }
    }

    /// The caller's resources are there, and it says so; the partner has its own, which is what it says last.
    fn resources(&mut self, caller: &mut Half, offer: &str, answer: &str) -> String {
        let met = ready(offer);
        caller.request(
            &mut self.stage,
            "UPDATE",
            "Require: precondition,sec-agree\r\nProxy-Require: sec-agree\r\n",
            &met,
        );
        let update = self.stage.expect(&self.partner, "UPDATE");
        assert_eq!(
            (text_body(&update), header(&update, HeaderId::Require)),
            (met, "precondition".to_owned())
        );
        assert_eq!(header(&update, HeaderId::ProxyRequire), "");
        let there = ready(answer);
        reply(&mut self.stage, &self.partner, &update, 200, "", &there);
        assert_eq!(text_body(&self.stage.expect(&self.caller, "SIP/2.0 200")), there);
        there
    }

    /// The caller hangs up with a capture, or as any phone does; nothing of the call is left.
    pub fn hangs_up(mut self, caller: &mut Half, bye: Option<&str>) {
        match bye.map(crate::capture::captured) {
            Some(capture) => {
                let text = caller.fits(&capture, self.stage.fresh());
                self.stage.send(&self.caller, &text);
            }
            None => caller.request(&mut self.stage, "BYE", "Reason: USER;text=\"User Triggered\"\r\n", ""),
        }
        self.stage.expect(&self.caller, "SIP/2.0 200");
        let passed = self.stage.expect(&self.partner, "BYE");
        let reason = bye.map_or("USER;text=\"User Triggered\"".to_owned(), |n| {
            header(&crate::capture::captured(n), HeaderId::Reason)
        });
        assert_eq!((header(&passed, HeaderId::Reason), body(&passed)), (reason, Vec::new()));
        reply(&mut self.stage, &self.partner, &passed, 200, "", "");
        self.stage.expect_nothing();
        self.stage.quiet();
    }
}
