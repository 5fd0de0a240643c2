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
            (_, Some(leg)) => {
                let is_early = self.swap(leg, text.tag_of_from());
                // another phone's early dialog, which ended when this one's call was answered (RFC 3261 13.2.2.4)
                let known = &self.legs[leg].remote_tag;
                if !is_early && !known.is_empty() && known != text.tag_of_from() {
                    self.respond(text, 481, "", "", want);
                    return;
                }
                self.on_request_inside(now, leg, text, want);
                if is_early {
                    self.swap(leg, text.tag_of_from());
                }
            }
        }
    }

    fn on_request_inside(&mut self, now: Instant, leg: usize, text: &Text, want: &mut Wants) {
        match text.method() {
            "INVITE" => self.on_reinvite(now, leg, text, want),
            "BYE" => {
                self.check_cseq(leg, text);
                self.respond(text, 200, "", "", want);
                self.end(leg);
            }
            "PRACK" => self.on_prack(now, leg, text, want),
            _ => self.on_question(now, leg, text, want),
        }
    }

    fn watch_of(&self, text: &Text) -> Option<usize> {
        let is_it = |w: &Watch| w.call_id == text.get("Call-ID") && w.local_tag == text.tag_of_to();
        self.watches.iter().position(is_it)
    }

    pub(super) fn on_cancel(&mut self, now: Instant, text: &Text, want: &mut Wants) {
        self.respond(text, 200, "", "", want);
        let branch = text.branch();
        let ringing =
            |l: &Leg| l.state == State::Ringing && l.invite.as_ref().is_some_and(|i| i.branch() == branch);
        let ringing: Vec<usize> = (0..self.legs.len()).filter(|leg| ringing(&self.legs[*leg])).collect();
        for leg in ringing {
            self.reject(now, leg, 487, want);
        }
    }

    pub(super) fn on_ack(&mut self, text: &Text) {
        let (branch, call_id, cseq) = (text.branch(), text.get("Call-ID"), text.cseq());
        let legs = &self.legs;
        let is_it = |r: &Repeat| match r.success {
            true => {
                let is_same = legs[r.leg].call_id == call_id && r.cseq == cseq;
                is_same && legs[r.leg].local_tag == text.tag_of_to()
            }
            false => r.branch == branch,
        };
        let Some(at) = self.repeats.iter().position(is_it) else { return };
        let repeat = self.repeats.remove(at);
        self.is_taken(repeat.leg);
        let leg = &mut self.legs[repeat.leg];
        match text.body.as_str() {
            // the call ends before the other phone has said what it wants: a BYE comes at once
            "" if repeat.offers => leg.is_doomed = true,
            answer if repeat.offers => leg.media.hear_answer(answer),
            _ => {}
        }
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
            Purpose::Reinvite(leg, it, tries) | Purpose::Update(leg, it, tries) if first => {
                self.on_move_answer(now, leg, (it, tries), text, want);
            }
            Purpose::Reinvite(leg, ..) => want.messages.extend(self.legs[leg].last_ack.clone()),
            Purpose::Refresh(leg) if first => self.on_refresh_answer(now, leg, text, want),
            Purpose::Question(leg) if first => self.on_question_answer(now, leg, text, want),
            Purpose::Bye(leg) if first => {
                // whoever ends a call is heard; one that crosses the other side's end is answered 200 all the same
                self.seen.odd += u64::from(code != 200 && self.legs[leg].state == State::Ending);
                self.end(leg);
            }
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
                380 => self.on_alternative(leg, text),
                _ => self.seen.refused += 1,
            }
            return self.end(leg);
        }
        self.seen.answered += 1;
        let answer = self.adopt(leg, text);
        self.session_agreed(now, leg, text);
        self.ack_success(leg, text, &answer, want);
        let (talk, echo) = (self.legs[leg].talk, self.legs[leg].echo);
        let cancelled = self.legs[leg].cancel_at.is_some_and(|at| at <= now);
        self.timers.push((if cancelled { now } else { now + talk }, Timer::HangUp(leg)));
        self.plan_moves(now, leg);
        let media = if echo { Timer::Rtp(leg, 9) } else { Timer::Speak(leg) };
        self.timers.push((now, media));
    }
}
