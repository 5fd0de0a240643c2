//! What a phone sends, and sends again until it is answered.

use super::*;

impl Phone {
    pub(super) fn hang_up(&mut self, now: Instant, leg: usize, want: &mut Wants) {
        let one = &self.legs[leg];
        self.seen.odd += u64::from(one.is_doomed);
        let is_settled = one.media.turn == Turn::Nobody && !one.may_hold;
        self.seen.deaf += u64::from(is_settled && !one.media.runs_both_ways());
        self.legs[leg].state = State::Ending;
        self.in_call(now, leg, "BYE", "", "", Purpose::Bye(leg), want);
    }

    /// Cancels a call that has a provisional answer; asks again later when it has none (RFC 3261 9.1).
    pub(super) fn cancel(&mut self, now: Instant, leg: usize, want: &mut Wants) {
        let branch = self.legs[leg].invite_branch.clone();
        let Some(client) = self.clients.iter().find(|c| c.branch == branch && c.method == "INVITE") else {
            return;
        };
        if client.answer.is_some() || self.legs[leg].state != State::Calling {
            return;
        }
        if !client.provisional {
            self.legs[leg].cancel_at = Some(now);
            return self.timers.push((now + Duration::from_millis(500), Timer::Cancel(leg)));
        }
        self.legs[leg].cancel_at = Some(now);
        let invite = Text::read(client.octets.as_bytes());
        let octets = format!(
            "{}\r\nVia: {}\r\nMax-Forwards: 70\r\nFrom: {}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {} CANCEL\r\nContent-Length: 0\r\n\r\n",
            invite.start.replacen("INVITE", "CANCEL", 1),
            invite.get("Via"),
            invite.get("From"),
            invite.get("To"),
            invite.get("Call-ID"),
            invite.cseq()
        );
        self.start(now, branch, "CANCEL", octets, Purpose::Cancel, want);
    }

    pub(super) fn ack_success(&mut self, leg: usize, answer: &Text, body: &str, want: &mut Wants) {
        let branch = self.fresh("z9hG4bK");
        let one = &self.legs[leg];
        let octets = self.request_text(one, "ACK", &branch, answer.cseq(), "", body);
        self.legs[leg].last_ack = Some(octets.clone());
        want.messages.push(octets);
    }

    pub(super) fn ack_failure(&mut self, leg: usize, answer: &Text, want: &mut Wants) {
        let one = &self.legs[leg];
        let octets = format!(
            "ACK {} SIP/2.0\r\nVia: {}\r\nMax-Forwards: 70\r\nFrom: {}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {} ACK\r\nContent-Length: 0\r\n\r\n",
            one.target,
            answer.get("Via"),
            answer.get("From"),
            answer.get("To"),
            one.call_id,
            answer.cseq()
        );
        self.legs[leg].last_ack = Some(octets.clone());
        want.messages.push(octets);
    }

    /// Sends a request of a call and returns its branch.
    #[allow(clippy::too_many_arguments, reason = "one call per line of a request")]
    pub(super) fn in_call(
        &mut self,
        now: Instant,
        leg: usize,
        method: &'static str,
        extra: &str,
        body: &str,
        purpose: Purpose,
        want: &mut Wants,
    ) -> String {
        self.legs[leg].cseq += 1;
        let branch = self.fresh("z9hG4bK");
        let octets = self.request_text(&self.legs[leg], method, &branch, self.legs[leg].cseq, extra, body);
        self.start(now, branch.clone(), method, octets, purpose, want);
        branch
    }

    pub(super) fn request_text(
        &self,
        leg: &Leg,
        method: &str,
        branch: &str,
        cseq: u32,
        extra: &str,
        body: &str,
    ) -> String {
        let content_type = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        format!(
            "{method} {} SIP/2.0\r\nVia: SIP/2.0/{} {};branch={branch};rport\r\nMax-Forwards: 70\r\nFrom: {}\r\nTo: {}\r\n\
             Call-ID: {}\r\nCSeq: {cseq} {method}\r\nContact: {}\r\n{extra}{content_type}Content-Length: {}\r\n\r\n{body}",
            leg.target,
            self.transport(),
            self.addr,
            leg.local,
            leg.remote,
            leg.call_id,
            self.contact(),
            body.len()
        )
    }

    pub(super) fn start(
        &mut self,
        now: Instant,
        branch: String,
        method: &'static str,
        octets: String,
        purpose: Purpose,
        want: &mut Wants,
    ) {
        want.messages.push(octets.clone());
        let repeat = (!self.tcp).then_some((now + T1, T1));
        let client = Client {
            branch,
            method,
            octets,
            repeat,
            deadline: now + GIVE_UP,
            provisional: false,
            answer: None,
            purpose,
        };
        self.open.push(self.clients.len());
        self.clients.push(client);
    }

    pub(super) fn repeat_requests(&mut self, now: Instant, want: &mut Wants) {
        let mut gave_up = Vec::new();
        self.open.retain(|at| self.clients[*at].answer.is_none());
        for at in &self.open {
            let client = &mut self.clients[*at];
            if now >= client.deadline {
                client.answer = Some(408);
                gave_up.push((client.purpose.clone(), client.branch.clone()));
            } else if let Some((at, interval)) = client.repeat
                && now >= at
            {
                want.messages.push(client.octets.clone());
                let cap = if client.method == "INVITE" { GIVE_UP } else { T2 };
                let interval = (interval * 2).min(cap);
                client.repeat = Some((now + interval, interval));
            }
        }
        for (purpose, branch) in gave_up {
            self.seen.timed_out += u64::from(!self.is_bad());
            match purpose {
                Purpose::Register if self.shield.is_some() => self.on_shielded_failure(now, 408, &branch),
                Purpose::Register => self.timers.push((now + Duration::from_secs(10), Timer::Register)),
                Purpose::Invite(leg) | Purpose::Bye(leg) => self.end(leg),
                Purpose::Subscribe(at) => self.on_subscribe_failure(now, at, 408),
                // RFC 5057 5.1: the other side has gone
                Purpose::Reinvite(leg, ..) | Purpose::Update(leg, ..) | Purpose::Refresh(leg)
                    if self.legs[leg].state == State::Up =>
                {
                    self.hang_up(now, leg, want);
                }
                Purpose::Reinvite(..) | Purpose::Update(..) | Purpose::Refresh(_) => {}
                Purpose::Question(_) | Purpose::Cancel | Purpose::Text(_) => {}
            }
        }
    }

    pub(super) fn repeat_answers(&mut self, now: Instant, want: &mut Wants) {
        let mut abandoned = Vec::new();
        self.repeats.retain_mut(|r| {
            if now >= r.deadline {
                abandoned.extend(r.success.then_some(r.leg));
                return false;
            }
            if now >= r.next {
                want.messages.push(r.octets.clone());
                r.interval = (r.interval * 2).min(T2);
                r.next = now + r.interval;
            }
            true
        });
        for leg in abandoned {
            // RFC 3261 13.3.1.4: no ACK came; the session is ended
            self.seen.unacknowledged += 1;
            if self.legs[leg].state == State::Up {
                self.hang_up(now, leg, want);
            }
        }
    }

    pub(super) fn repeat(&mut self, now: Instant, leg: usize, request: &Text, success: bool, octets: String) {
        let branch = request.branch().to_owned();
        self.repeats.push(Repeat {
            leg,
            branch,
            cseq: request.cseq(),
            success,
            offers: success && self.legs[leg].media.turn == Turn::Ours,
            octets,
            next: now + T1,
            interval: T1,
            deadline: now + GIVE_UP,
        });
    }

    pub(super) fn respond(
        &mut self,
        request: &Text,
        code: u16,
        tag: &str,
        body: &str,
        want: &mut Wants,
    ) -> String {
        self.respond_tagged(request, code, tag, body, want)
    }

    /// A 2xx with more headers.
    pub(super) fn accept(
        &mut self,
        request: &Text,
        tag: &str,
        extra: &str,
        body: &str,
        want: &mut Wants,
    ) -> String {
        let octets = self.response_text(request, 200, tag, extra, body);
        self.served.insert((request.branch().to_owned(), request.method().to_owned()), octets.clone());
        want.messages.push(octets.clone());
        octets
    }

    pub(super) fn respond_tagged(
        &mut self,
        request: &Text,
        code: u16,
        tag: &str,
        body: &str,
        want: &mut Wants,
    ) -> String {
        let octets = self.response_text(request, code, tag, "", body);
        self.served.insert((request.branch().to_owned(), request.method().to_owned()), octets.clone());
        want.messages.push(octets.clone());
        octets
    }

    pub(super) fn response_text(
        &self,
        request: &Text,
        code: u16,
        tag: &str,
        extra: &str,
        body: &str,
    ) -> String {
        let mut octets = format!("SIP/2.0 {code} Some Reason\r\n");
        for via in request.all("Via") {
            octets += &format!("Via: {via}\r\n");
        }
        let to = request.get("To");
        let to = if tag.is_empty() || parameter(to, "tag").is_some() {
            to.to_owned()
        } else {
            format!("{to};tag={tag}")
        };
        let content_type = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        octets += &format!(
            "From: {}\r\nTo: {to}\r\nCall-ID: {}\r\nCSeq: {}\r\nContact: {}\r\n{extra}{content_type}Content-Length: {}\r\n\r\n{body}",
            request.get("From"),
            request.get("Call-ID"),
            request.get("CSeq"),
            self.contact(),
            body.len()
        );
        octets
    }
}
