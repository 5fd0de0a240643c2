//! A caller's part in the set-up of a call: early dialogs, one for each phone that rings (RFC 3261 13.2.2.1), PRACK, its bearer,
//! and UPDATE before the answer.

use super::*;

/// What a caller knows of one early dialog.
pub(super) struct EarlyDialog {
    pub(super) remote: String,
    pub(super) target: String,
    pub(super) media: Media,
    /// RSeq of the last reliable answer that was acknowledged.
    pub(super) rseq: u32,
    pub(super) remote_cseq: u32,
    /// The answer to the offer came reliably.
    pub(super) has_answered: bool,
}

/// How soon a phone looks again whether it may send what waits.
const AGAIN: Duration = Duration::from_millis(600);

impl Phone {
    /// Makes an early dialog the leg's own for a while, or puts it back. `false`: there is none with this tag.
    pub(super) fn swap(&mut self, leg: usize, tag: &str) -> bool {
        let one = &mut self.legs[leg];
        let Some(early) = one.early.get_mut(tag) else { return false };
        std::mem::swap(&mut one.remote, &mut early.remote);
        std::mem::swap(&mut one.target, &mut early.target);
        std::mem::swap(&mut one.media, &mut early.media);
        std::mem::swap(&mut one.rseq, &mut early.rseq);
        std::mem::swap(&mut one.remote_cseq, &mut early.remote_cseq);
        std::mem::swap(&mut one.has_answered, &mut early.has_answered);
        true
    }

    /// A provisional answer beyond 100.
    pub(super) fn on_provisional(&mut self, now: Instant, leg: usize, text: &Text, want: &mut Wants) {
        let tag = text.tag_of_to().to_owned();
        let one = &mut self.legs[leg];
        if one.state != State::Calling || tag.is_empty() {
            return;
        }
        let media = one.media.clone();
        one.early.entry(tag.clone()).or_insert_with(|| EarlyDialog {
            remote: text.get("To").to_owned(),
            target: bracketed(text.get("Contact")).to_owned(),
            media,
            rseq: 0,
            remote_cseq: 0,
            has_answered: false,
        });
        self.swap(leg, &tag);
        match text.get("RSeq").parse::<u32>() {
            Ok(rseq) => self.on_reliable(now, leg, rseq, text, want),
            Err(_) => self.on_unreliable(leg, text),
        }
        self.swap(leg, &tag);
    }

    fn on_unreliable(&mut self, leg: usize, text: &Text) {
        let one = &mut self.legs[leg];
        assert_ne!(one.ways.rel, Rel::Required, "{}: {} without reliability", self.name, text.start);
        if one.has_offered && !text.body.is_empty() && one.media.turn == Turn::Ours && !one.has_answered {
            one.media.hear_again(text);
        }
    }

    /// RFC 3262 4: in order, each once.
    fn on_reliable(&mut self, now: Instant, leg: usize, rseq: u32, text: &Text, want: &mut Wants) {
        let one = &mut self.legs[leg];
        assert!(text.get("Require").split(',').any(|t| t.trim() == "100rel"), "{}", text.start);
        assert_ne!(one.ways.rel, Rel::No, "{}: reliable, but not asked for", text.start);
        let is_again = rseq == one.rseq && std::mem::take(&mut one.has_failed_prack);
        if one.rseq != 0 && rseq != one.rseq + 1 && !is_again {
            return;
        }
        one.rseq = rseq;
        let mut answer = String::new();
        if !text.body.is_empty() {
            match one.media.turn {
                _ if is_again && one.has_offered => {}
                _ if is_again => answer = one.media.answer(),
                _ if one.has_answered => one.media.hear_again(text),
                Turn::Ours => one.media.hear_answer(&text.body),
                Turn::Nobody if !one.has_offered => {
                    one.media.hear_offer(&text.body);
                    answer = one.media.answer();
                    one.media.answered();
                }
                turn => panic!("{}: a description out of turn, {turn:?}", text.start),
            }
            one.has_answered = true;
        }
        let rack = format!("RAck: {rseq} {} INVITE\r\n", text.cseq());
        self.in_call(now, leg, "PRACK", &rack, &answer, Purpose::Question(leg), want);
        self.seen.pracked += 1;
    }

    /// A PRACK of ours is answered in an early dialog: what waited for that may go.
    pub(super) fn on_acknowledged(&mut self, now: Instant, leg: usize) {
        let one = &self.legs[leg];
        if one.state == State::Calling && one.has_answered {
            self.timers.push((now, Timer::Bearer(leg)));
            if one.ways.early_update && one.media.qos.is_none() {
                self.timers.push((now + AGAIN / 2, Timer::EarlyUpdate(leg)));
            }
        }
    }

    /// The caller's bearer may be there: each early dialog hears of it.
    pub(super) fn caller_resources(&mut self, now: Instant, leg: usize, want: &mut Wants) {
        let is_there = self.legs[leg].bearer_at.is_some_and(|at| at <= now);
        if self.legs[leg].state != State::Calling || !is_there {
            return;
        }
        // some wait until their PRACK is answered, as most phones do
        let pracks =
            |c: &Client| c.method == "PRACK" && c.answer.is_none() && c.purpose == Purpose::Question(leg);
        if self.legs[leg].echo && self.open.iter().any(|at| pracks(&self.clients[*at])) {
            return self.timers.push((now + AGAIN, Timer::Bearer(leg)));
        }
        self.legs[leg].media.qos.iter_mut().for_each(|q| q.local = true);
        let tags: Vec<String> = self.legs[leg].early.keys().cloned().collect();
        for tag in tags {
            self.swap(leg, &tag);
            let one = &mut self.legs[leg];
            let waits = one.media.qos.filter(|q| one.has_answered && !q.told);
            if let Some(qos) = &mut one.media.qos {
                qos.local = true;
            }
            match (waits, one.media.turn) {
                (Some(_), Turn::Nobody) => {
                    one.media.want(false, one.media.video);
                    let offer = one.media.offer();
                    let require = "Require: precondition\r\n";
                    self.in_call(now, leg, "UPDATE", require, &offer, Purpose::Question(leg), want);
                }
                (Some(_), _) => self.timers.push((now + AGAIN, Timer::Bearer(leg))),
                _ => {}
            }
            self.swap(leg, &tag);
        }
    }

    /// Either side offers again before the call is answered, by UPDATE (RFC 3311 5.1).
    pub(super) fn early_update(&mut self, now: Instant, leg: usize, want: &mut Wants) {
        match self.legs[leg].state {
            State::Ringing => self.send_early_update(now, leg, want),
            State::Calling => {
                let tag = self.legs[leg].early.iter().find(|(_, e)| e.has_answered).map(|(t, _)| t.clone());
                if let Some(tag) = tag {
                    self.swap(leg, &tag);
                    self.send_early_update(now, leg, want);
                    self.swap(leg, &tag);
                }
            }
            _ => {}
        }
    }

    fn send_early_update(&mut self, now: Instant, leg: usize, want: &mut Wants) {
        let one = &mut self.legs[leg];
        if one.media.turn == Turn::Nobody && one.unacknowledged.is_none() && one.has_answered {
            let video = !one.media.video;
            one.media.want(false, video);
            let offer = one.media.offer();
            self.in_call(now, leg, "UPDATE", "", &offer, Purpose::Question(leg), want);
            self.seen.early_updates += 1;
        }
    }

    /// The 2xx founds the call in the dialog of its phone; what was known of that stays known.
    pub(super) fn adopt(&mut self, leg: usize, text: &Text) -> String {
        self.swap(leg, text.tag_of_to());
        let one = &mut self.legs[leg];
        one.early.clear();
        one.remote = text.get("To").to_owned();
        one.remote_tag = text.tag_of_to().to_owned();
        one.target = bracketed(text.get("Contact")).to_owned();
        one.state = State::Up;
        one.invite = Some(text.clone());
        match (text.body.as_str(), one.media.turn) {
            // an UPDATE of ours may still wait for its answer
            ("", _) if one.has_answered => {}
            ("", turn) => panic!("{}: no answer to our offer in the 200: {turn:?}", self.name),
            (_, _) if one.has_answered => one.media.hear_again(text),
            (body, Turn::Ours) => {
                // the same as it has said before
                one.media.hear_again(text);
                one.media.hear_answer(body);
            }
            (body, _) => {
                one.media.hear_offer(body);
                let answer = one.media.answer();
                one.media.answered();
                return answer;
            }
        }
        String::new()
    }
}
