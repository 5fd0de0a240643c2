//! The commands' run: one after the other, waiting where one asks for it, ending at the first that fails.
//!
//! At a prompt nothing is waited for but what `wait` and `sleep` say, and a failure is told and forgotten.

use crate::command::{Awaited, Command, Expected, HELP, Metric};
use crate::phone::Phone;
use crate::phone::event::Event;
use crate::phone::media::Report;
use crate::words;
use imsbox::base::time::{Duration, Instant};
use std::collections::VecDeque;

/// How long `quit` waits for the network.
const PARTING: Duration = Duration::from_secs(5);
/// How long a command of a script may take that the phone itself ends: longer than any transaction.
const LONGEST: Duration = Duration::from_secs(180);

/// What has happened that can be waited for, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Mark {
    Registered,
    NotRegistered(String),
    Deregistered,
    Incoming,
    Ringing,
    Answered,
    Held,
    HoldRefused,
    HeldByThem(bool),
    Ended(u16, String),
    Texted,
    TextRefused(String),
    Unregistered,
}

/// What the running command waits for.
#[derive(Clone, Debug, PartialEq)]
enum Doing {
    Register(Instant),
    Deregister(Instant),
    /// A call with a time: its end, whatever leads there; whether it was answered.
    Call(Instant, bool),
    Hold(Instant),
    Text(Instant),
    /// Keys are being pressed.
    Press(Instant),
    Wait(Awaited, Instant),
    Sleep(Instant),
    /// The call is ending, then the registration, then the program.
    Quit(Instant),
}

/// What the shell has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// Print this.
    Say(String),
    /// Print the security associations as the kernel has them.
    Ipsec,
    /// A command failed; a script ends.
    Failed(String),
    /// End the program.
    End,
}

/// The run of commands.
#[derive(Debug)]
pub struct Director {
    queue: VecDeque<Command>,
    doing: Option<Doing>,
    /// Whether the failure of the running command does not matter.
    is_tried: bool,
    /// Whether a person types.
    is_interactive: bool,
    /// Whether no more commands will come.
    is_complete: bool,
    marks: VecDeque<Mark>,
    /// Texts that have come and have not been waited for.
    texts: u32,
    /// Keys of the other side that have come and have not been waited for.
    keys: u32,
    /// Texts that were not taken and have not been waited for.
    not_taken: u32,
    /// Status reports that have come and have not been waited for.
    statuses: u32,
    /// Documents of the reg event that have come and have not been waited for.
    notified: u32,
    told: VecDeque<Told>,
    has_ended: bool,
}

impl Director {
    /// A run that waits for commands; `is_interactive` when a person types them.
    pub fn new(is_interactive: bool) -> Director {
        Director {
            queue: VecDeque::new(),
            doing: None,
            is_tried: false,
            is_interactive,
            is_complete: false,
            marks: VecDeque::new(),
            texts: 0,
            keys: 0,
            not_taken: 0,
            statuses: 0,
            notified: 0,
            told: VecDeque::new(),
            has_ended: false,
        }
    }

    /// Adds commands.
    pub fn add(&mut self, commands: Vec<Command>) {
        self.queue.extend(commands);
    }

    /// No more commands will come: the end follows the last one.
    pub fn complete(&mut self) {
        self.is_complete = true;
    }

    /// What the shell has to do next.
    pub fn pop(&mut self) -> Option<Told> {
        self.told.pop_front()
    }

    /// When something has to be looked at again.
    pub fn next_deadline(&self) -> Option<Instant> {
        Some(match self.doing.as_ref()? {
            Doing::Register(at)
            | Doing::Deregister(at)
            | Doing::Call(at, _)
            | Doing::Hold(at)
            | Doing::Text(at)
            | Doing::Press(at)
            | Doing::Wait(_, at)
            | Doing::Sleep(at)
            | Doing::Quit(at) => *at,
        })
    }

    /// Takes note of what happened.
    pub fn on_event(&mut self, event: &Event) {
        let mark = match event {
            Event::Registered { .. } => Mark::Registered,
            Event::NotRegistered(_, words) => Mark::NotRegistered(words.clone()),
            Event::Deregistered => Mark::Deregistered,
            Event::Incoming(_) => Mark::Incoming,
            Event::Ringing => Mark::Ringing,
            Event::Answered(..) => Mark::Answered,
            Event::Held(_) => Mark::Held,
            Event::HoldRefused(_) => Mark::HoldRefused,
            Event::HeldByThem(held) => Mark::HeldByThem(*held),
            Event::Ended(ended) => Mark::Ended(ended.code, ended.words.clone()),
            Event::EndedByNetwork(_) => Mark::Unregistered,
            Event::Notified => {
                self.notified += 1;
                return;
            }
            Event::Texted(_) | Event::MemoryTold => Mark::Texted,
            Event::TextRefused(_, words) => Mark::TextRefused(words.clone()),
            Event::Text(..) => {
                self.texts += 1;
                return;
            }
            Event::Key(_) => {
                self.keys += 1;
                return;
            }
            Event::NotTaken(..) => {
                self.not_taken += 1;
                return;
            }
            Event::Status(..) => {
                self.statuses += 1;
                return;
            }
            Event::Notice(_) => return,
        };
        self.marks.push_back(mark);
    }

    /// Somebody wants the end now: what is under way fails, and the phone leaves in order.
    pub fn leave(&mut self, now: Instant, phone: &mut Phone, why: &str) {
        self.told.push_back(Told::Failed(why.to_owned()));
        self.quit(now, phone);
    }

    /// Goes on as far as possible.
    pub fn step(&mut self, now: Instant, phone: &mut Phone) {
        while !self.has_ended {
            match self.doing.clone() {
                Some(doing) => match self.look(now, phone, doing) {
                    None => return,
                    Some(Ok(())) => self.doing = None,
                    Some(Err(words)) => self.fail(now, phone, words),
                },
                None => match self.queue.pop_front() {
                    Some(command) => self.start(now, phone, command),
                    None if self.is_complete => self.quit(now, phone),
                    None => return,
                },
            }
        }
    }

    fn start(&mut self, now: Instant, phone: &mut Phone, command: Command) {
        let (command, is_tried) = match command {
            Command::Try(inner) => (*inner, true),
            other => (other, false),
        };
        self.is_tried = is_tried;
        if let Err(words) = self.execute(now, phone, command) {
            self.fail(now, phone, words);
        }
    }

    fn execute(&mut self, now: Instant, phone: &mut Phone, command: Command) -> Result<(), String> {
        let by = now + LONGEST;
        match command {
            Command::Register(secs) => {
                self.marks.clear();
                phone.register(now, secs.unwrap_or_else(|| phone.asked_expires()))?;
                self.wait_unless_typed(Doing::Register(by));
            }
            Command::RegisterSos(secs) => {
                self.marks.clear();
                phone.register_for_emergency(now, secs.unwrap_or_else(|| phone.asked_expires()))?;
                self.wait_unless_typed(Doing::Register(by));
            }
            Command::Deregister => {
                phone.register(now, 0)?;
                self.wait_unless_typed(Doing::Deregister(by));
            }
            Command::Call(who, duration, video) => {
                self.marks.clear();
                phone.make_call(now, &who, duration, video)?;
                self.say(format!("calling {who}"));
                if let Some(duration) = duration {
                    self.wait_unless_typed(Doing::Call(by + duration, false));
                }
            }
            Command::Emergency(service, duration) => {
                self.marks.clear();
                phone.call_for_help(now, &service, duration)?;
                self.say(format!("calling {service}"));
                if let Some(duration) = duration {
                    self.wait_unless_typed(Doing::Call(by + duration, false));
                }
            }
            Command::Sms(who, text) => {
                phone.send_text(now, &who, &text)?;
                self.wait_unless_typed(Doing::Text(by));
            }
            Command::Press(keys) => {
                phone.press(&keys)?;
                self.wait_unless_typed(Doing::Press(by));
            }
            Command::Mute(is_mute) => phone.set_mute(now, is_mute),
            Command::SmsReport(report) => phone.set_report(report),
            Command::SmsStatus(wants) => phone.set_wants_status(wants),
            Command::Smma => {
                phone.send_smma(now)?;
                self.wait_unless_typed(Doing::Text(by));
            }
            Command::Answer => phone.answer(now)?,
            Command::AutoAnswer(after) => phone.set_auto_answer(after),
            Command::Reject(code) => phone.reject(now, code)?,
            Command::HangUp => phone.hang_up(now)?,
            Command::Hold(hold) => {
                phone.hold(now, hold)?;
                self.wait_unless_typed(Doing::Hold(by));
            }
            Command::Status => self.say(words::of_status(phone, now)),
            Command::Ipsec => self.told.push_back(Told::Ipsec),
            Command::Wait(what, limit) => self.doing = Some(Doing::Wait(what, now + limit)),
            Command::Expect(what) => expect(phone, what)?,
            Command::Sleep(limit) => self.doing = Some(Doing::Sleep(now + limit)),
            Command::Try(inner) => return self.execute(now, phone, *inner),
            Command::Help => self.say(HELP.trim_end().to_owned()),
            Command::Quit => self.quit(now, phone),
        }
        Ok(())
    }

    fn wait_unless_typed(&mut self, doing: Doing) {
        if !self.is_interactive {
            self.doing = Some(doing);
        }
    }

    /// Whether the running command is done: `None` when not yet.
    fn look(&mut self, now: Instant, phone: &mut Phone, doing: Doing) -> Option<Result<(), String>> {
        let late = |at: Instant, what: &str| (at <= now).then(|| Err(format!("waited in vain for {what}")));
        match doing {
            Doing::Register(at) => self
                .find(|mark| match mark {
                    Mark::Registered => Some(Ok(())),
                    Mark::NotRegistered(words) => Some(Err(format!("not registered: {words}"))),
                    _ => None,
                })
                .or(late(at, "the registration")),
            Doing::Deregister(at) => self
                .find(|mark| match mark {
                    Mark::Deregistered => Some(Ok(())),
                    Mark::NotRegistered(words) => Some(Err(words.clone())),
                    _ => None,
                })
                .or(late(at, "the end of the registration")),
            Doing::Call(at, was_answered) => self.look_at_call(was_answered).or(late(at, "the call's end")),
            Doing::Hold(at) => self
                .find(|mark| match mark {
                    Mark::Held => Some(Ok(())),
                    Mark::HoldRefused => Some(Err("hold or resume is refused".to_owned())),
                    Mark::Ended(_, words) => Some(Err(format!("the call has ended: {words}"))),
                    _ => None,
                })
                .or(late(at, "the answer to hold or resume")),
            Doing::Text(at) => self
                .find(|mark| match mark {
                    Mark::Texted => Some(Ok(())),
                    Mark::TextRefused(words) => Some(Err(format!("the text is not taken: {words}"))),
                    _ => None,
                })
                .or(late(at, "the answer to the text")),
            Doing::Press(at) => {
                (!phone.is_pressing()).then_some(Ok(())).or(late(at, "the last key to be sent"))
            }
            Doing::Wait(Awaited::Key, at) => take_one(&mut self.keys).or(late(at, "a key")),
            Doing::Wait(Awaited::Sms, at) => take_one(&mut self.texts).or(late(at, "a text")),
            Doing::Wait(Awaited::SmsRefused, at) => {
                take_one(&mut self.not_taken).or(late(at, "a text that is not taken"))
            }
            Doing::Wait(Awaited::SmsStatus, at) => {
                take_one(&mut self.statuses).or(late(at, "a status report"))
            }
            Doing::Wait(Awaited::Notified, at) => take_one(&mut self.notified).or(late(at, "a NOTIFY")),
            Doing::Wait(Awaited::Registered, _) if phone.registration().is_on() => Some(Ok(())),
            Doing::Wait(what, at) => self.look_for(what).or(late(at, &format!("`{}`", what.name()))),
            Doing::Sleep(at) => (at <= now).then_some(Ok(())),
            Doing::Quit(at) => {
                let is_over = at <= now || !phone.is_busy();
                if is_over && at > now && phone.registration().is_on() {
                    // the call is over: now the registration
                    let _ = phone.register(now, 0);
                    return None;
                }
                if is_over {
                    self.has_ended = true;
                    self.told.push_back(Told::End);
                }
                is_over.then_some(Ok(()))
            }
        }
    }

    /// Takes marks until one settles it.
    fn find(
        &mut self,
        mut settles: impl FnMut(&Mark) -> Option<Result<(), String>>,
    ) -> Option<Result<(), String>> {
        while let Some(mark) = self.marks.pop_front() {
            if let Some(result) = settles(&mark) {
                return Some(result);
            }
        }
        None
    }

    fn look_at_call(&mut self, mut was_answered: bool) -> Option<Result<(), String>> {
        let result = self.find(|mark| match mark {
            Mark::Answered => {
                was_answered = true;
                None
            }
            Mark::Ended(..) if was_answered => Some(Ok(())),
            Mark::Ended(_, words) => Some(Err(format!("the call was not answered: {words}"))),
            _ => None,
        });
        if let Some(Doing::Call(_, answered)) = &mut self.doing {
            *answered = was_answered;
        }
        result
    }

    /// Looks for what is waited for; a call that has ended will neither ring nor be answered.
    fn look_for(&mut self, what: Awaited) -> Option<Result<(), String>> {
        while let Some(mark) = self.marks.pop_front() {
            let is_it = match (&mark, what) {
                (Mark::Registered, Awaited::Registered)
                | (Mark::Incoming, Awaited::Incoming)
                | (Mark::Ringing, Awaited::Ringing)
                | (Mark::Answered, Awaited::Answered)
                | (Mark::HeldByThem(true), Awaited::Held)
                | (Mark::HeldByThem(false), Awaited::Resumed)
                | (Mark::Unregistered | Mark::NotRegistered(_) | Mark::Deregistered, Awaited::Unregistered)
                | (Mark::Ended(..), Awaited::Ended) => true,
                // who waits for the ringing of a call that is answered at once has missed nothing
                (Mark::Answered, Awaited::Ringing) => {
                    self.marks.push_front(mark);
                    return Some(Ok(()));
                }
                (Mark::NotRegistered(words), Awaited::Registered) => {
                    return Some(Err(format!("not registered: {words}")));
                }
                (
                    Mark::Ended(_, words),
                    Awaited::Ringing | Awaited::Answered | Awaited::Held | Awaited::Resumed,
                ) => {
                    return Some(Err(format!("not {}, the call has ended: {words}", what.name())));
                }
                _ => false,
            };
            if is_it {
                return Some(Ok(()));
            }
        }
        None
    }

    fn fail(&mut self, now: Instant, phone: &mut Phone, words: String) {
        self.doing = None;
        if self.is_interactive || self.is_tried {
            return self.say(words);
        }
        self.told.push_back(Told::Failed(words));
        self.queue.clear();
        self.quit(now, phone);
    }

    fn quit(&mut self, now: Instant, phone: &mut Phone) {
        self.queue.clear();
        self.is_tried = true;
        if phone.current_call().is_some() {
            let _ = phone.hang_up(now);
        }
        self.doing = Some(Doing::Quit(now + PARTING));
    }

    fn say(&mut self, text: String) {
        self.told.push_back(Told::Say(text));
    }
}

/// Counts down what has happened and was not waited for.
fn take_one(count: &mut u32) -> Option<Result<(), String>> {
    let has_come = *count > 0;
    *count -= u32::from(has_come);
    has_come.then_some(Ok(()))
}

fn expect(phone: &mut Phone, what: Expected) -> Result<(), String> {
    let wrong = |words: &str| Err(format!("not as expected: {words}"));
    match what {
        Expected::Registered(wanted) if phone.registration().is_on() != wanted => {
            wrong(if wanted { "the phone is not registered" } else { "the phone is registered" })
        }
        Expected::Protected(_) if !phone.registration().is_on() => wrong("the phone is not registered"),
        Expected::Protected(wanted) if phone.security().is_on() != wanted => wrong(if wanted {
            "the phone is registered without IPsec"
        } else {
            "the phone is registered with IPsec"
        }),
        Expected::InCall(wanted) if phone.current_call().is_some_and(|c| c.is_up()) != wanted => {
            wrong(if wanted { "there is no call that is answered" } else { "there is a call" })
        }
        Expected::Subscribed(wanted) if phone.watching().is_on() != wanted => wrong(if wanted {
            "there is no subscription to the registration"
        } else {
            "there is a subscription to the registration"
        }),
        Expected::RegEvent(wanted) if phone.watching().last != Some(wanted) => {
            let last = phone.watching().last.map_or("nothing", |last| last.name());
            Err(format!("expected the reg event {}, it is {last}", wanted.name()))
        }
        Expected::Sms(text) => match phone.last_text() {
            Some(last) if last == text => Ok(()),
            Some(last) => Err(format!("expected the text `{text}`, it is `{last}`")),
            None => wrong("no text has come"),
        },
        Expected::Keys(keys) => match phone.keys() {
            heard if heard == keys => Ok(()),
            heard => Err(format!(
                "expected the keys {keys}, they are {}",
                if heard.is_empty() { "none" } else { heard }
            )),
        },
        Expected::Number(metric, relation, value) => {
            let (name, unit) = metric.name();
            match measured(phone, metric) {
                None => wrong(&format!("there is no {name} yet")),
                Some(found) if !relation.holds(found, value) => {
                    let sign = relation.sign();
                    Err(format!("expected {name} {sign} {value}{unit}, it is {found}{unit}"))
                }
                Some(_) => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

fn measured(phone: &Phone, metric: Metric) -> Option<f64> {
    let sound = |take: fn(&Report) -> f64| phone.report().as_ref().map(take);
    let pictures = |take: fn(&Report) -> f64| phone.video_report().as_ref().map(take);
    match metric {
        Metric::Code => phone.code().map(f64::from),
        Metric::Notified => Some(f64::from(phone.watching().notified)),
        Metric::SmsStatus => phone.short_messages().last_status().map(|status| f64::from(status.0)),
        Metric::SmsStatuses => Some(f64::from(phone.short_messages().statuses())),
        Metric::SmsReceived => Some(f64::from(phone.texts())),
        Metric::RtpSent => sound(|r| r.sent as f64),
        Metric::RtpReceived => sound(|r| r.received as f64),
        Metric::RtpLost => sound(|r| r.lost as f64),
        Metric::RtpLoss => sound(Report::loss_percent),
        Metric::Jitter => sound(|r| r.jitter_ms),
        Metric::Echo => sound(Report::echo_percent),
        Metric::EchoDelay => phone.report().and_then(|r| r.echo_delay_ms),
        Metric::VideoSent => pictures(|r| r.sent as f64),
        Metric::VideoReceived => pictures(|r| r.received as f64),
        Metric::VideoLost => pictures(|r| r.lost as f64),
        Metric::VideoEcho => pictures(Report::echo_percent),
    }
}
