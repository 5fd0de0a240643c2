//! What comes in at a phone: requests as a callee, responses as a caller.

use super::*;

impl Phone {
    pub(super) fn on_request(&mut self, now: Instant, text: &Text, want: &mut Wants) {
        let method = text.method().to_owned();
        if method == "ACK" {
            return self.on_ack(text);
        }
        let key = (text.branch().to_owned(), method.clone());
        if let Some(answer) = self.served.get(&key) {
            if !answer.is_empty() {
                want.messages.push(answer.clone());
            }
            return;
        }
        self.served.insert(key, String::new());
        let leg = self
            .legs
            .iter()
            .position(|l| l.call_id == text.get("Call-ID") && l.local_tag == text.tag_of_to());
        match (method.as_str(), leg) {
            ("NOTIFY", None) if self.watch_of(text).is_some() => {
                let at = self.watch_of(text).expect("it was found");
                self.on_notify(now, at, text, want);
            }
            ("MESSAGE", None) if text.tag_of_to().is_empty() => self.on_text(text, want),
            ("CANCEL", _) => self.on_cancel(now, text, want),
            ("INVITE", None) if text.tag_of_to().is_empty() => self.on_invite(now, text, want),
            (_, None) => {
                self.respond(text, 481, "", "", want);
            }
            ("INVITE", Some(leg)) => self.on_reinvite(now, leg, text, want),
            ("BYE", Some(leg)) => {
                self.check_cseq(leg, text);
                self.respond(text, 200, "", "", want);
                self.end(leg);
            }
            ("PRACK", Some(leg)) => self.on_prack(leg, text, want),
            (_, Some(leg)) => self.on_question(now, leg, text, want),
        }
    }

    fn watch_of(&self, text: &Text) -> Option<usize> {
        let is_it = |w: &Watch| w.call_id == text.get("Call-ID") && w.local_tag == text.tag_of_to();
        self.watches.iter().position(is_it)
    }

    pub(super) fn on_invite(&mut self, now: Instant, text: &Text, want: &mut Wants) {
        let (plan, habits) = (Plan::read(text.get("X-Plan")), Habits::read(text.get("X-Habits")));
        assert!(text.get("P-Asserted-Identity").contains("sip:"), "no P-Asserted-Identity");
        assert!(text.get("P-Preferred-Identity").is_empty(), "P-Preferred-Identity was passed on");
        assert!(
            self.is_own(text.start.split(' ').nth(1).unwrap_or_default()),
            "Request-URI is not our contact"
        );
        let tag = self.fresh("t");
        let local = format!("{};tag={tag}", text.get("To"));
        let target = bracketed(text.get("Contact")).to_owned();
        let talk = Duration::from_secs(5 + self.counter * 37 % 200);
        let mut leg = self.new_leg(
            text.get("Call-ID").to_owned(),
            local,
            text.get("From").to_owned(),
            tag.clone(),
            target,
            talk,
        );
        leg.remote_tag = text.tag_of_from().to_owned();
        leg.state = State::Ringing;
        leg.invite = Some(text.clone());
        leg.remote_cseq = text.cseq();
        leg.asks = habits.callee;
        leg.unacknowledged = habits.reliable.then_some(RSEQ);
        let index = self.legs.len();
        self.legs.push(leg);
        match habits.reliable {
            true => self.send_reliable(now, index, T1, want),
            false => _ = self.respond_tagged(text, 180, &tag, "", want),
        }
        // a phone whose caller has silently gone does not ring for ever
        self.timers.push((now + GIVE_UP * 2, Timer::RingOut(index)));
        match plan {
            Plan::Answer(after) => self.timers.push((now + after, Timer::Answer(index))),
            Plan::Reject(code) => {
                self.reject(now, index, code, want);
            }
            Plan::Ring => {}
        }
    }

    pub(super) fn answer(&mut self, now: Instant, leg: usize, want: &mut Wants) {
        if self.legs[leg].state != State::Ringing {
            return;
        }
        if self.legs[leg].unacknowledged.is_some() {
            // RFC 3262 3: no 200 before the PRACK
            return self.timers.push((now + Duration::from_millis(500), Timer::Answer(leg)));
        }
        let invite = self.legs[leg].invite.clone().expect("a ringing leg has its INVITE");
        let tag = self.legs[leg].local_tag.clone();
        let granted = self.grant_session(now, leg, &invite);
        let octets = self.response_text(&invite, 200, &tag, &granted, &self.sdp("sendrecv"));
        self.served.insert((invite.branch().to_owned(), "INVITE".to_owned()), octets.clone());
        want.messages.push(octets.clone());
        self.legs[leg].state = State::Up;
        self.repeat(now, leg, &invite, true, octets);
        let talk = self.legs[leg].talk;
        self.timers.push((now + talk, Timer::HangUp(leg)));
        let asks = self.legs[leg].asks;
        self.plan_question(now, leg, asks);
    }

    pub(super) fn reject(&mut self, now: Instant, leg: usize, code: u16, want: &mut Wants) {
        let invite = self.legs[leg].invite.clone().expect("a ringing leg has its INVITE");
        let tag = self.legs[leg].local_tag.clone();
        let octets = self.respond_tagged(&invite, code, &tag, "", want);
        self.end(leg);
        self.repeat(now, leg, &invite, false, octets);
    }

    pub(super) fn on_reinvite(&mut self, now: Instant, leg: usize, text: &Text, want: &mut Wants) {
        self.check_cseq(leg, text);
        let ours_pending = self.is_offering(leg);
        if self.legs[leg].state == State::Done || ours_pending {
            let code = if ours_pending { 491 } else { 481 };
            let octets = self.respond(text, code, "", "", want);
            return self.repeat(now, leg, text, false, octets);
        }
        let granted = self.grant_session(now, leg, text);
        let octets = self.response_text(text, 200, "", &granted, &self.sdp("recvonly"));
        self.served.insert((text.branch().to_owned(), "INVITE".to_owned()), octets.clone());
        want.messages.push(octets.clone());
        self.repeat(now, leg, text, true, octets);
    }

    pub(super) fn on_cancel(&mut self, now: Instant, text: &Text, want: &mut Wants) {
        self.respond(text, 200, "", "", want);
        let branch = text.branch();
        let ringing =
            |l: &Leg| l.state == State::Ringing && l.invite.as_ref().is_some_and(|i| i.branch() == branch);
        if let Some(leg) = self.legs.iter().position(ringing) {
            self.reject(now, leg, 487, want);
        }
    }

    pub(super) fn on_ack(&mut self, text: &Text) {
        let (branch, call_id) = (text.branch(), text.get("Call-ID"));
        let legs = &self.legs;
        self.repeats.retain(|r| match r.success {
            true => legs[r.leg].call_id != call_id,
            false => r.branch != branch,
        });
    }

    pub(super) fn on_response(&mut self, now: Instant, code: u16, text: &Text, want: &mut Wants) {
        let (branch, method) = (text.branch(), text.method());
        let Some(index) = self.clients.iter().position(|c| c.branch == branch && c.method == method) else {
            panic!("{}: a response to a request that was never sent: {}", self.name, text.start);
        };
        let client = &mut self.clients[index];
        if code < 200 {
            client.provisional = true;
            if method == "INVITE" {
                // no more repetitions (RFC 3261 17.1.1.2); a person gives up some time, when the end has got lost
                client.repeat = None;
                client.deadline = now + GIVE_UP * 2;
                if let Purpose::Invite(leg) = client.purpose {
                    self.on_provisional(now, leg, text, want);
                }
            }
            return;
        }
        let first = client.answer.is_none();
        let purpose = client.purpose.clone();
        if let Some(before) = client.answer.replace(code)
            && before != code
            && before != 408
        {
            panic!("{}: two final answers to one {method}: {before} and {code}", self.name);
        }
        match purpose {
            Purpose::Register if first => self.on_register_answer(now, code, text, want),
            Purpose::Invite(leg) => self.on_invite_answer(now, leg, code, first, text, want),
            Purpose::Reinvite(leg) => self.on_reinvite_answer(now, leg, code, first, text, want),
            Purpose::Refresh(leg) if first => self.on_refresh_answer(now, leg, code, text),
            Purpose::Question(leg) if first => self.on_question_answer(now, leg, code, text),
            Purpose::Bye(leg) if first => self.end(leg),
            Purpose::Text(at) if first => self.on_text_answer(at, code),
            Purpose::Subscribe(at) if first => self.on_subscribe_answer(now, at, code, text),
            _ => {}
        }
    }

    pub(super) fn on_invite_answer(
        &mut self,
        now: Instant,
        leg: usize,
        code: u16,
        first: bool,
        text: &Text,
        want: &mut Wants,
    ) {
        if !first {
            want.messages.extend(self.legs[leg].last_ack.clone());
            return;
        }
        self.legs[leg].result = Some(code);
        if code >= 300 {
            self.ack_failure(leg, text, want);
            match code {
                487 => self.seen.cancelled += 1,
                _ => self.seen.refused += 1,
            }
            return self.end(leg);
        }
        self.seen.answered += 1;
        let one = &mut self.legs[leg];
        one.remote = text.get("To").to_owned();
        one.remote_tag = text.tag_of_to().to_owned();
        one.target = bracketed(text.get("Contact")).to_owned();
        one.state = State::Up;
        one.invite = Some(text.clone());
        self.ack_success(leg, text, want);
        self.on_granted(now, leg, text);
        let (talk, hold) = (self.legs[leg].talk, self.legs[leg].hold);
        let cancelled = self.legs[leg].cancel_at.is_some_and(|at| at <= now);
        self.timers.push((if cancelled { now } else { now + talk }, Timer::HangUp(leg)));
        let asks = self.legs[leg].asks;
        self.plan_question(now, leg, asks);
        if hold {
            self.timers.push((now + talk / 2, Timer::Hold(leg)));
        }
        self.timers.push((now, Timer::Rtp(leg, 9)));
    }

    pub(super) fn on_reinvite_answer(
        &mut self,
        now: Instant,
        leg: usize,
        code: u16,
        first: bool,
        text: &Text,
        want: &mut Wants,
    ) {
        match (code < 300, first) {
            (true, true) => {
                self.ack_success(leg, text, want);
                self.on_granted(now, leg, text);
            }
            (true, false) => want.messages.extend(self.legs[leg].last_ack.clone()),
            (false, _) => self.ack_failure(leg, text, want),
        }
    }
}
