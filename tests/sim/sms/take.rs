//! What phones do about what the centre sends, and what is checked of it.

use super::mme::{self, kind};
use super::{Sim, split};
use crate::text::Text;
use imsbox::base::time::Duration;
use imsbox::wire::gsm::tpdu::StatusReport;
use imsbox::wire::gsm::{Deliver, Direction, Rp, RpCause, Rpdu};

/// An attempt over SGs may be under way for so long when another way has succeeded.
const SGS_PATIENCE: Duration = Duration::from_secs(100);

/// What a phone does about a text.
enum Mood {
    /// It takes it, and says so.
    Takes,
    /// It takes it, and its report is lost.
    TakesInSilence,
    /// It never sees it.
    Misses,
    /// RP-Cause, and TP-FCS where it says.
    Refuses(u8, Option<u8>),
}

/// The number of a text; none of a status report.
fn number(tpdu: &[u8]) -> Option<usize> {
    Deliver::parse(tpdu).ok()?.user_data.text()?.parse().ok()
}

/// Whether a sender is told that its text is taken: also by the refusal of another one (TP-FCS C5).
fn is_taken(rpdu: &Rpdu<'_>) -> bool {
    match rpdu.message {
        Rp::Ack { .. } => true,
        Rp::Error { cause, user_data, .. } => {
            cause == RpCause::REJECTED && user_data.is_some_and(|report| report.get(1) == Some(&0xc5))
        }
        _ => false,
    }
}

/// The number of a plain text.
fn plain_number(body: &[u8]) -> Option<usize> {
    std::str::from_utf8(body).ok()?.parse().ok()
}

fn up(reference: u8, message: Rp<'_>) -> Vec<u8> {
    Rpdu { direction: Direction::Up, reference, message }.to_vec()
}

impl Sim {
    /// Looks at what the core sends, before the network does anything to it.
    pub(super) fn core_sends(&mut self, octets: &[u8]) {
        let (head, body) = split(octets);
        let plain = self.asked.get(head.get("Call-ID")).copied();
        if let Some(n) = plain.filter(|n| head.code() > 0 && self.phones[self.law.texts[*n].from].is_soft) {
            let first = self.offered.insert(format!("{} {}", head.code(), head.get("Call-ID")));
            first.then(|| self.on_plain_answer(n, octets));
        } else if head.get("Content-Type").starts_with("text/plain") {
            let n = plain_number(body).filter(|_| self.offered.insert(head.get("Call-ID").to_owned()));
            n.into_iter().for_each(|n| self.law.on_offered(self.now, n, Duration::ZERO));
        } else if head.code() == 202 {
            if let Some(n) = self.reported.get(head.get("Call-ID")) {
                self.law.on_settled(self.now, *n);
            }
        } else if head.start.starts_with("MESSAGE") {
            match Rpdu::parse(body).expect("an RPDU").message {
                Rp::Data { user_data, .. } => {
                    let text =
                        number(user_data).filter(|_| self.offered.insert(head.get("Call-ID").to_owned()));
                    text.into_iter().for_each(|n| self.law.on_offered(self.now, n, Duration::ZERO));
                }
                Rp::Ack { .. } => {
                    let asked = self.asked.get(head.get("In-Reply-To"));
                    asked.copied().into_iter().for_each(|n| self.law.on_acknowledging(n));
                }
                Rp::Error { cause, .. } => {
                    let asked = self.asked.get(head.get("In-Reply-To")).copied();
                    let news = asked.filter(|_| self.offered.insert(head.get("Call-ID").to_owned()));
                    news.into_iter().for_each(|n| self.on_rp_error(n, cause));
                }
                _ => {}
            }
        }
    }

    fn mood(&mut self, p: usize) -> Mood {
        if self.is_kind {
            return Mood::Takes;
        }
        if self.phones[p].is_full {
            return Mood::Refuses(22, None);
        }
        match self.rng.below(12) {
            0 => Mood::Misses,
            1 => Mood::TakesInSilence,
            2 => Mood::Refuses([22, 27, 41, 42][self.rng.below(4) as usize], None),
            // TS 23.040 9.2.3.22: SIM full, toolkit busy, memory full
            4 => {
                let (cause, failure) = [(22, 0xd0), (111, 0xd4), (111, 0xd3)][self.rng.below(3) as usize];
                Mood::Refuses(cause, Some(failure))
            }
            3 if self.rng.below(2) == 0 => Mood::Refuses(RpCause::UNASSIGNED.0, None),
            _ => Mood::Takes,
        }
    }

    /// Takes note of what a phone does about a text.
    fn note(&mut self, p: usize, n: usize, mood: &Mood) {
        match mood {
            Mood::Takes | Mood::TakesInSilence => self.law.on_taken(n),
            Mood::Misses => {}
            Mood::Refuses(cause, failure) => {
                // none of these texts is for the SIM: a full one is the phone's memory
                self.phones[p].is_full |=
                    matches!((cause, failure), (22, None | Some(0xd0)) | (_, Some(0xd3)));
                self.law.texts[n].is_aside |= matches!(failure, Some(0xd4));
                let is_for_good = *cause == RpCause::UNASSIGNED.0;
                self.law.texts[n].is_refused |= is_for_good;
                self.seen.put_off += usize::from(!is_for_good);
            }
        }
    }

    /// A TPDU at a phone, which may be a status report.
    fn look_at_status(&mut self, p: usize, tpdu: &[u8]) {
        if let Some(report) = StatusReport::parse(tpdu).ok().filter(|_| tpdu[0] & 3 == 2) {
            self.law.on_status(p, report.reference, report.status);
            self.seen.statuses += 1;
        }
    }

    /// A sender knows that its text is taken.
    fn is_acknowledged(&mut self, n: usize) {
        self.law.texts[n].is_acknowledged = true;
        self.again.retain(|(_, other)| *other != n);
    }

    pub(super) fn at_phone(&mut self, p: usize, octets: &[u8]) {
        let (head, body) = split(octets);
        if head.code() > 0 {
            let asked = self.asked.get(head.get("Call-ID")).copied();
            let is_taken = head.code() == 202 && self.phones[p].is_soft;
            asked.filter(|_| is_taken).into_iter().for_each(|n| self.is_acknowledged(n));
            return self.phones[p].on_response(&head);
        }
        if let Some(known) = self.phones[p].known(&head) {
            return known.into_iter().for_each(|octets| self.leaves(p, octets));
        }
        if head.get("Content-Type").starts_with("text/plain") {
            return self.plain_at_phone(p, &head, body);
        }
        let rpdu = Rpdu::parse(body).expect("an RPDU");
        let mut report = None;
        let status = match rpdu.message {
            _ if !self.phones[p].is_registered => None,
            Rp::Data { user_data, .. } => {
                self.look_at_status(p, user_data);
                let text = number(user_data);
                let mood = self.mood(p);
                text.into_iter().for_each(|n| self.note(p, n, &mood));
                report = match mood {
                    Mood::Takes => Some((up(rpdu.reference, Rp::Ack { user_data: None }), text)),
                    Mood::Refuses(cause, failure) => {
                        let cause = RpCause(cause);
                        let report = failure.map(|failure| [0, failure, 0]);
                        let user_data = report.as_ref().map(|report| &report[..]);
                        let error = Rp::Error { cause, diagnostic: None, user_data };
                        Some((up(rpdu.reference, error), None))
                    }
                    Mood::Misses | Mood::TakesInSilence => None,
                };
                match mood {
                    Mood::Misses => (self.rng.below(2) == 0).then_some(480),
                    _ => Some(200),
                }
            }
            _ => {
                let asked = self.asked.get(head.get("In-Reply-To")).copied();
                // a phone may have given up waiting, or lose the answer on its way to its upper layer
                let is_missed = !self.is_kind && self.rng.below(8) == 0;
                let is_known = is_taken(&rpdu) && !is_missed;
                asked.filter(|_| is_known).into_iter().for_each(|n| self.is_acknowledged(n));
                Some(200)
            }
        };
        let answer = self.phones[p].answer(&head, status);
        answer.into_iter().for_each(|octets| self.leaves(p, octets));
        if let Some((rpdu, text)) = report {
            let (call_id, octets) = self.phones[p].message(self.now, Some(head.get("Call-ID")), &rpdu);
            text.into_iter().for_each(|n| _ = self.reported.insert(call_id.clone(), n));
            self.leaves(p, octets);
        }
    }

    /// A plain text at a soft client, whose answer is its report.
    fn plain_at_phone(&mut self, p: usize, head: &Text, body: &[u8]) {
        let n = plain_number(body);
        let status = match self.mood(p) {
            _ if !self.phones[p].is_registered => None,
            mood @ (Mood::Takes | Mood::TakesInSilence) => {
                n.into_iter().for_each(|n| self.note(p, n, &mood));
                matches!(mood, Mood::Takes).then_some(200)
            }
            Mood::Misses | Mood::Refuses(..) => Some(480),
        };
        let answer = self.phones[p].answer(head, status);
        answer.into_iter().for_each(|octets| self.leaves(p, octets));
    }

    /// A message of the core at the MME, and the answers of that and of the phone.
    pub(super) fn at_mme(&mut self, octets: &[u8]) {
        let Some(association) = self.association else { return };
        let phone = matches!(octets[0], kind::PAGING_REQUEST | kind::DOWNLINK).then(|| mme::imsi(octets));
        let phone = phone.and_then(|imsi| self.phones.iter().position(|p| p.imsi == imsi));
        if octets[0] == kind::PAGING_REQUEST && phone.is_some_and(|p| self.phones[p].is_silent) {
            return;
        }
        let mut answers = self.mme.on_message(octets);
        let taken = phone.and_then(|p| self.over_sgs(p, &mut answers));
        for octets in answers {
            self.one_input(|core, cx| core.on_sgs_message(cx, association, &octets));
        }
        if let Some(n) = taken {
            let last = self.pending.back().map_or(0, |(ticket, ..)| *ticket);
            self.sgs_reports.push((last, n));
        }
    }

    /// What a phone on SGs does about the RPDU that it was sent, if it was; the text that it reports as taken.
    fn over_sgs(&mut self, p: usize, answers: &mut Vec<Vec<u8>>) -> Option<usize> {
        let octets = self.mme.phone(&self.phones[p].imsi).rpdus.pop()?;
        let rpdu = Rpdu::parse(&octets).expect("an RPDU");
        let Rp::Data { user_data, .. } = rpdu.message else {
            let asked = self.law.submitted(p, rpdu.reference);
            if let Some(n) = asked.filter(|_| is_taken(&rpdu)) {
                self.law.on_acknowledging(n);
                self.is_acknowledged(n);
            }
            return None;
        };
        self.look_at_status(p, user_data);
        let n = number(user_data)?;
        self.law.on_offered(self.now, n, SGS_PATIENCE);
        let mood = match self.mood(p) {
            Mood::Refuses(_, Some(_)) => Mood::Refuses(22, None),
            mood => mood,
        };
        self.note(p, n, &mood);
        match mood {
            Mood::Takes => {
                self.seen.over_sgs += 1;
                return Some(n);
            }
            Mood::TakesInSilence => _ = answers.pop(),
            Mood::Misses => answers.clear(),
            // RP-ERROR (TS 24.011 7.3.4) instead of RP-ACK, both last in the message
            Mood::Refuses(cause, _) => {
                let report = answers.last_mut().expect("CP-ACK and CP-DATA");
                let length = report.len() - 5;
                report[length - 1] += 2;
                report[length + 2] = 4;
                report[length + 3] = 4;
                report.extend([1, cause]);
            }
        }
        None
    }
}
