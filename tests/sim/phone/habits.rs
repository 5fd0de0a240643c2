//! What the phones of a call are like, and what they will do in it. The callee's part travels in a header that the server does
//! not know.

use imsbox::base::rng::Rng;
use imsbox::base::time::Duration;

/// What a phone makes of reliable provisional answers (RFC 3262).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rel {
    #[default]
    No,
    Supported,
    /// As a caller it takes no other.
    Required,
}

/// What a callee says before it answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Early {
    Nothing,
    #[default]
    Ringing,
    /// 183 with its description.
    Progress,
    /// 183, then 180.
    Both,
}

/// What a phone does in the middle of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    Hold,
    Resume,
    Video,
    Audio,
    /// An offer that changes nothing.
    Same,
    /// A re-INVITE that asks for an offer.
    Offerless,
    Info,
}

const WHATS: [(&str, What); 7] = [
    ("hold", What::Hold),
    ("resume", What::Resume),
    ("video", What::Video),
    ("audio", What::Audio),
    ("same", What::Same),
    ("offerless", What::Offerless),
    ("info", What::Info),
];

/// One move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Move {
    pub what: What,
    /// By UPDATE; else by re-INVITE.
    pub by_update: bool,
    /// Since the answer.
    pub at: Duration,
}

/// How many moves a phone has in a call.
const MOVES: usize = 4;

/// One phone's ways in a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ways {
    pub rel: Rel,
    /// It uses preconditions (RFC 3312), where it takes reliable answers.
    pub qos: bool,
    /// When its bearer is there, since the call has come to it; `None`: never.
    pub bearer: Option<Duration>,
    /// It sends an UPDATE with a new offer before the call is answered.
    pub early_update: bool,
    /// It takes video.
    pub video: bool,
    /// It uses session timers (RFC 4028), and asks for this many seconds.
    pub timer: Option<u64>,
    /// What it says before it answers; as a callee.
    pub early: Early,
    pub moves: [Option<Move>; MOVES],
}

/// What both phones of a call are in the habit of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Habits {
    pub caller: Ways,
    pub callee: Ways,
    /// The INVITE asks for an offer.
    pub offerless: bool,
}

impl Ways {
    /// Draws ways for a call in which a phone talks this long.
    fn drawn(rng: &mut Rng, talk: Duration) -> Ways {
        let rel = [Rel::No, Rel::No, Rel::Supported, Rel::Supported, Rel::Supported, Rel::Required]
            [rng.below(6) as usize];
        let bearer = Duration::from_millis(if rng.below(4) == 0 { 0 } else { rng.below(4000) });
        let early = [Early::Nothing, Early::Ringing, Early::Ringing, Early::Progress, Early::Both];
        Ways {
            rel,
            qos: rel != Rel::No && rng.below(2) == 0,
            bearer: (rng.below(14) != 0).then_some(bearer),
            early_update: rng.below(5) == 0,
            video: rng.below(2) == 0,
            timer: (rng.below(2) == 0).then(|| 90 + rng.below(2) * 30),
            early: early[rng.below(5) as usize],
            moves: [(); MOVES].map(|()| (rng.below(2) == 0).then(|| Move::drawn(rng, talk))),
        }
    }
}

impl Move {
    fn drawn(rng: &mut Rng, talk: Duration) -> Move {
        let (_, what) = WHATS[rng.below(WHATS.len() as u64) as usize];
        let all = talk.as_millis() as u64;
        let at = match rng.below(4) {
            // what both sides do at the same moment, whatever their talk
            0 => 1500,
            // when somebody hangs up
            1 => all.saturating_sub(20),
            _ => 400 + rng.below(all),
        };
        Move { what, by_update: rng.below(2) == 0, at: Duration::from_millis(at.max(400)) }
    }
}

impl Habits {
    /// Draws what happens in a call.
    pub fn drawn(rng: &mut Rng, talk: Duration) -> Habits {
        let (caller, callee) = (Ways::drawn(rng, talk), Ways::drawn(rng, talk));
        Habits { caller, callee, offerless: !caller.qos && rng.below(7) == 0 }
    }

    /// Whether one of the phones may hold the call.
    pub fn may_hold(&self) -> bool {
        [self.caller, self.callee].iter().any(|w| w.moves.iter().flatten().any(|m| m.what == What::Hold))
    }

    /// The header for the callee's phone.
    pub fn header(self) -> String {
        let w = self.callee;
        let number = |flag: bool| u8::from(flag);
        let bearer = w.bearer.map_or("never".to_owned(), |b| b.as_millis().to_string());
        let moves: String = w
            .moves
            .iter()
            .flatten()
            .map(|m| {
                let name = WHATS.iter().find(|(_, what)| *what == m.what).expect("all are listed").0;
                format!(" {name}/{}@{}", number(m.by_update), m.at.as_millis())
            })
            .collect();
        format!(
            "X-Habits: {} {} {bearer} {} {} {} {}{moves}\r\n",
            w.rel as u8,
            number(w.qos),
            number(w.early_update),
            number(w.video),
            w.timer.unwrap_or(0),
            w.early as u8
        )
    }

    /// The callee's ways, of the header's value; those of a plain phone without.
    pub fn read(value: &str) -> Ways {
        let words: Vec<&str> = value.split(' ').collect();
        let [rel, qos, bearer, early_update, video, timer, early, moves @ ..] = &words[..] else {
            return Ways { bearer: Some(Duration::ZERO), ..Ways::default() };
        };
        let mut read = moves.iter().map(|m| Move::read(m));
        Ways {
            rel: [Rel::No, Rel::Supported, Rel::Required][index(rel)],
            qos: *qos == "1",
            bearer: bearer.parse().ok().map(Duration::from_millis),
            early_update: *early_update == "1",
            video: *video == "1",
            timer: timer.parse().ok().filter(|secs| *secs != 0),
            early: [Early::Nothing, Early::Ringing, Early::Progress, Early::Both][index(early)],
            moves: [(); MOVES].map(|()| read.next()),
        }
    }
}

impl Move {
    fn read(text: &str) -> Move {
        let (name, rest) = text.split_once('/').expect("unknown headers are passed on unchanged");
        let (by, at) = rest.split_once('@').expect("unknown headers are passed on unchanged");
        let what = WHATS.iter().find(|(known, _)| *known == name).expect("a known move").1;
        Move { what, by_update: by == "1", at: Duration::from_millis(index(at) as u64) }
    }
}

fn index(number: &str) -> usize {
    number.parse().expect("unknown headers are passed on unchanged")
}
