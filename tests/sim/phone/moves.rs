//! What phones do in the middle of a call, also both at once: hold, video, offers that change nothing, questions; and how they
//! take those of the other side (RFC 3261 14, RFC 3311).

use super::*;
use crate::phone::habits::{Move, What};

/// How soon a phone tries again what it cannot do now, and how often.
const AGAIN: Duration = Duration::from_millis(700);
const TRIES: u8 = 5;

impl Phone {
    pub(super) fn plan_moves(&mut self, now: Instant, leg: usize) {
        let one = &self.legs[leg];
        self.timers
            .extend(one.ways.moves.iter().flatten().map(|m| (now + m.at, Timer::Move(leg, *m, TRIES))));
    }

    /// Whether an offer, or a re-INVITE, of either side is under way.
    pub(super) fn is_offering(&self, leg: usize) -> bool {
        let open =
            |c: &Client| c.answer.is_none() && matches!(c.purpose, Purpose::Reinvite(at, ..) if at == leg);
        self.legs[leg].media.turn != Turn::Nobody || self.open.iter().any(|at| open(&self.clients[*at]))
    }

    pub(super) fn make_move(&mut self, now: Instant, leg: usize, it: Move, tries: u8, want: &mut Wants) {
        if self.legs[leg].state != State::Up {
            return;
        }
        if it.what == What::Info {
            let question = format!("X-Question: {} {leg}\r\n", self.name);
            self.in_call(now, leg, "INFO", &question, "", Purpose::Question(leg), want);
            return;
        }
        // RFC 3261 14.1, RFC 6337: one at a time, and not before the ACK of what we have accepted
        let is_unacknowledged = self.repeats.iter().any(|r| r.leg == leg && r.success);
        if self.is_offering(leg) || is_unacknowledged {
            return self.move_later(now + AGAIN, leg, it, tries);
        }
        self.seen.moves += 1;
        let media = &mut self.legs[leg].media;
        let (holds, video) = (media.holds, media.video);
        match it.what {
            What::Hold => media.want(true, video),
            What::Resume => media.want(false, video),
            What::Video => media.want(holds, true),
            What::Audio => media.want(holds, false),
            _ => media.want(holds, video),
        }
        let body = if it.what == What::Offerless { String::new() } else { media.offer() };
        let session = self.session_offer(leg);
        match it.by_update && it.what != What::Offerless {
            true => self.in_call(now, leg, "UPDATE", &session, &body, Purpose::Update(leg, it, tries), want),
            false => {
                self.in_call(now, leg, "INVITE", &session, &body, Purpose::Reinvite(leg, it, tries), want)
            }
        };
    }

    fn move_later(&mut self, at: Instant, leg: usize, it: Move, tries: u8) {
        if tries > 0 {
            self.timers.push((at, Timer::Move(leg, it, tries - 1)));
        }
    }

    /// The first final answer to a re-INVITE, or an UPDATE, of ours inside the call.
    pub(super) fn on_move_answer(
        &mut self,
        now: Instant,
        leg: usize,
        (it, tries): (Move, u8),
        text: &Text,
        want: &mut Wants,
    ) {
        let code = text.code();
        let is_invite = text.method() == "INVITE";
        if code < 300 {
            self.session_agreed(now, leg, text);
            let answer = self.on_move_success(leg, it, text);
            if is_invite {
                self.ack_success(leg, text, &answer, want);
            }
            return;
        }
        if is_invite {
            self.ack_failure(leg, text, want);
        }
        self.legs[leg].media.take_back();
        match code {
            // RFC 3261 14.1: who has made the Call-ID waits for longer than the other
            491 => {
                let least = if self.legs[leg].expected.is_some() { 2100 } else { 0 };
                let pause = Duration::from_millis(least + self.counter * 170 % 1900);
                self.move_later(now + pause, leg, it, tries);
            }
            500 => self.move_later(now + AGAIN * 3, leg, it, tries),
            // RFC 5057 5.1: the dialog has gone
            408 | 481 => {
                self.seen.odd += u64::from(self.legs[leg].state == State::Up);
                self.end(leg);
            }
            487 => {}
            _ => self.seen.odd += 1,
        }
    }

    fn on_move_success(&mut self, leg: usize, it: Move, text: &Text) -> String {
        let one = &mut self.legs[leg];
        one.target = bracketed(text.get("Contact")).to_owned();
        if it.what != What::Offerless {
            one.media.hear_answer(&text.body);
            return String::new();
        }
        one.media.hear_offer(&text.body);
        let answer = one.media.answer();
        one.media.answered();
        answer
    }

    pub(super) fn on_reinvite(&mut self, now: Instant, leg: usize, text: &Text, want: &mut Wants) {
        self.check_cseq(leg, text);
        let refusal = match self.legs[leg].state {
            State::Done => Some(481),
            _ if self.is_offering(leg) => Some(491),
            State::Up | State::Ending => None,
            _ => Some(491),
        };
        if let Some(code) = refusal {
            let octets = self.respond(text, code, "", "", want);
            return self.repeat(now, leg, text, false, octets);
        }
        let media = &mut self.legs[leg].media;
        let body = match text.body.as_str() {
            "" => {
                media.want(media.holds, media.video);
                media.offer()
            }
            offer => {
                media.hear_offer(offer);
                let answer = media.answer();
                media.answered();
                answer
            }
        };
        let session = self.session_answer(now, leg, text);
        let octets = self.accept(text, "", &session, &body, want);
        self.repeat(now, leg, text, true, octets);
    }

    /// A question of the other phone: an offer is refused while one is under way (RFC 3311 5.2), all else is taken.
    pub(super) fn on_question(&mut self, now: Instant, leg: usize, text: &Text, want: &mut Wants) {
        self.check_cseq(leg, text);
        let is_offer = text.method() == "UPDATE" && !text.body.is_empty();
        let turn = self.legs[leg].media.turn;
        match self.legs[leg].state {
            State::Done => _ = self.respond(text, 481, "", "", want),
            _ if is_offer && turn == Turn::Theirs => _ = self.respond(text, 500, "", "", want),
            _ if is_offer && self.is_offering(leg) => _ = self.respond(text, 491, "", "", want),
            _ => {
                let answer = format!("X-Answer: {}\r\n", text.get("X-Question"));
                let media = &mut self.legs[leg].media;
                let body = match is_offer {
                    true => {
                        media.hear_offer(&text.body);
                        let answer = media.answer();
                        media.answered();
                        answer
                    }
                    false => String::new(),
                };
                let session = match self.legs[leg].state {
                    State::Up if text.method() == "UPDATE" => self.session_answer(now, leg, text),
                    _ => String::new(),
                };
                self.accept(text, "", &(answer + &session), &body, want);
                self.resources(now, leg, want);
            }
        }
    }

    /// The first final answer to a PRACK, an INFO, or an UPDATE before the answer of the call.
    pub(super) fn on_question_answer(&mut self, now: Instant, leg: usize, text: &Text, want: &mut Wants) {
        let (code, method) = (text.code(), text.method().to_owned());
        if code == 200 && method == "INFO" && !self.legs[leg].echo {
            self.seen.told += 1;
            assert_eq!(text.get("X-Answer"), format!("{} {leg}", self.name), "an answer to another question");
        }
        let tag = text.tag_of_to().to_owned();
        let is_early = self.swap(leg, &tag);
        let is_own = is_early || tag == self.legs[leg].remote_tag;
        match (method.as_str(), code) {
            ("PRACK", 200) => self.on_acknowledged(now, leg),
            // it has come out of order: once more when the answer comes again (RFC 3261 12.2.2)
            ("PRACK", 500) if is_early => self.legs[leg].has_failed_prack = true,
            // another phone of the callee's has answered the call meanwhile
            ("UPDATE", _) if !is_own => {}
            ("UPDATE", 200) if self.legs[leg].media.turn == Turn::Ours => {
                self.legs[leg].media.hear_answer(&text.body);
                self.resources(now, leg, want);
            }
            ("UPDATE", _) if self.legs[leg].media.turn == Turn::Ours => {
                self.legs[leg].media.take_back();
                if let Some(qos) = &mut self.legs[leg].media.qos {
                    qos.told = false;
                }
                self.timers.push((now + AGAIN, Timer::Bearer(leg)));
            }
            _ => {}
        }
        if is_early {
            self.swap(leg, &tag);
        }
    }
}
