//! The shell around the phone: sockets, clock, files, terminal; one loop, and a thread for each thing that blocks.

mod net;
mod prompt;

use crate::args::{Run, Source};
use crate::command::{self, Command};
use crate::director::{Director, Told};
use crate::phone::media::Stream;
use crate::phone::message::Peer;
use crate::phone::sound::{Sound, read_wav};
use crate::phone::{Output, Phone};
use crate::settings::{Secret, Settings};
use crate::usim::Taken;
use crate::{Exit, memory, words};
use imsbox::base::rng::Rng;
use imsbox::base::time::Instant;
use net::{Net, Streams};
use prompt::Printer;
use std::io::{IsTerminal as _, Read as _, stdin, stdout};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

/// The longest sleep: something looked at from time to time needs no timer of its own.
const LONGEST_SLEEP: Duration = Duration::from_secs(3600);
/// Inputs that are taken before the outputs are looked at.
const BATCH: usize = 64;

/// Something that came from outside; packets with the time of their arrival.
pub enum Input {
    /// A datagram for SIP.
    Datagram(SocketAddr, Vec<u8>),
    /// Somebody has connected.
    Connected(std::net::TcpStream),
    /// A message on a connection.
    Message(u32, Vec<u8>),
    /// A connection has ended, and why.
    Closed(u32, String),
    /// A packet of media.
    Rtp(Stream, std::time::Instant, SocketAddr, Vec<u8>),
    /// A packet of reports.
    Rtcp(Stream, Vec<u8>),
    /// A line from a person.
    Line(String),
    /// The person has left.
    Left,
}

/// Runs a phone to its end.
pub fn run(settings: Settings, run: &Run) -> Exit {
    let commands = match commands(&run.source) {
        Ok(commands) => commands,
        Err(problem) => {
            eprintln!("imsbox-ue: {problem}");
            return Exit::Usage;
        }
    };
    match Shell::start(settings, commands) {
        Ok(shell) => shell.turn(),
        Err(problem) => {
            eprintln!("imsbox-ue: cannot start: {problem}");
            Exit::CannotStart
        }
    }
}

/// The commands of a script; `None` when a person is to type them.
fn commands(source: &Source) -> Result<Option<Vec<Command>>, String> {
    let text = match source {
        Source::Input if stdin().is_terminal() && stdout().is_terminal() => return Ok(None),
        Source::Input => {
            let mut text = String::new();
            stdin().read_to_string(&mut text).map_err(|e| format!("the standard input: {e}"))?;
            text
        }
        Source::Text(text) => text.clone(),
        Source::Script(path) => {
            std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?
        }
    };
    command::parse_all(&text).map(Some)
}

struct Shell {
    phone: Phone,
    director: Director,
    net: Net,
    streams: Streams,
    inputs: Receiver<Input>,
    printer: Printer,
    state: Option<PathBuf>,
    is_verbose: bool,
    began: std::time::Instant,
    exit: Option<Exit>,
    has_failed: bool,
}

impl Shell {
    fn start(settings: Settings, commands: Option<Vec<Command>>) -> Result<Shell, String> {
        let (send, inputs) = channel();
        let net = Net::open(&settings, &send)?;
        let state = settings.state.clone().filter(|_| matches!(settings.secret, Secret::Card(..)));
        let taken = state.as_deref().map_or(Ok(Taken::default()), memory::load)?;
        let sound = match &settings.wav {
            None => Sound::Tone(0.0),
            Some(path) => {
                let named = |e: String| format!("{}: {e}", path.display());
                let octets = std::fs::read(path).map_err(|e| named(e.to_string()))?;
                Sound::Recording(read_wav(&octets).map_err(named)?, 0)
            }
        };
        let mut entropy = [0; 32];
        getrandom::fill(&mut entropy).map_err(|e| format!("no randomness: {e}"))?;
        let rng = Rng::from_entropy(entropy);
        let mut director = Director::new(commands.is_none());
        let streams = Streams::new(settings.pcscf, send.clone());
        let is_verbose = settings.verbose;
        let printer = match commands {
            Some(commands) => {
                director.add(commands);
                director.complete();
                Printer::plain()
            }
            None => {
                let name = settings.transport.name();
                let pcscf = settings.pcscf;
                let impu = &settings.impu;
                crate::say(&format!("{impu}, {name} {} to {pcscf}; try: help\n", net.local));
                prompt::start(send)?
            }
        };
        let phone = Phone::new(settings, taken, net.local, (net.media, net.video_port), sound, rng);
        Ok(Shell {
            phone,
            director,
            net,
            streams,
            inputs,
            printer,
            state,
            is_verbose,
            began: std::time::Instant::now(),
            exit: None,
            has_failed: false,
        })
    }

    fn turn(mut self) -> Exit {
        loop {
            let now = self.now();
            self.phone.tick(now);
            self.settle(now);
            if let Some(exit) = self.exit {
                return exit;
            }
            let deadlines = [self.phone.next_deadline(), self.director.next_deadline()];
            let sleep =
                deadlines.into_iter().flatten().min().map_or(LONGEST_SLEEP, |at| at.since(self.now()));
            match self.inputs.recv_timeout(sleep.min(LONGEST_SLEEP)) {
                Ok(input) => {
                    self.on_input(input);
                    for _ in 0..BATCH {
                        let Ok(input) = self.inputs.try_recv() else { break };
                        self.on_input(input);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                // the shell itself keeps a sender
                Err(RecvTimeoutError::Disconnected) => return Exit::CannotStart,
            }
        }
    }

    fn now(&self) -> Instant {
        self.at(std::time::Instant::now())
    }

    fn at(&self, time: std::time::Instant) -> Instant {
        let nanos = time.saturating_duration_since(self.began).as_nanos();
        Instant::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    fn on_input(&mut self, input: Input) {
        let now = self.now();
        match input {
            Input::Datagram(from, octets) => self.on_message(now, Peer::Udp(from), &octets),
            Input::Message(stream, octets) => self.on_message(now, Peer::Stream(stream), &octets),
            Input::Connected(stream) => self.streams.accept(stream),
            Input::Closed(stream, words) => {
                if self.streams.close(stream) {
                    self.phone.on_server_lost(now, &words);
                }
            }
            Input::Rtp(stream, at, from, octets) => {
                let at = self.at(at);
                self.phone.on_rtp(at, stream, from, &octets);
            }
            Input::Rtcp(stream, octets) => self.phone.on_rtcp(stream, &octets),
            Input::Line(line) => match command::parse_all(&line) {
                Ok(commands) => {
                    if commands.contains(&Command::Quit) {
                        self.printer.leave();
                    }
                    self.director.add(commands);
                }
                Err(problem) => self.printer.say(&problem),
            },
            Input::Left => {
                self.printer.leave();
                self.director.add(vec![Command::Quit]);
            }
        }
    }

    fn on_message(&mut self, now: Instant, peer: Peer, octets: &[u8]) {
        // keep-alives (RFC 5626 4.4) are no messages
        if octets.iter().all(|o| matches!(o, b'\r' | b'\n' | 0)) {
            return;
        }
        self.show("from", peer, octets);
        self.phone.on_message(now, peer, octets);
    }

    /// Lets commands and events lead to each other until nothing is left to do now.
    fn settle(&mut self, now: Instant) {
        loop {
            self.director.step(now, &mut self.phone);
            let mut is_quiet = true;
            while let Some(output) = self.phone.pop() {
                is_quiet = false;
                self.carry_out(now, output);
            }
            while let Some(told) = self.director.pop() {
                is_quiet = false;
                self.on_told(told);
            }
            if is_quiet || self.exit.is_some() {
                return;
            }
        }
    }

    fn carry_out(&mut self, now: Instant, output: Output) {
        match output {
            Output::Send(peer, octets) => {
                self.show("to", peer, &octets);
                match self.net.send(&mut self.streams, peer, &octets) {
                    Ok(()) => {}
                    Err(words) if peer == Peer::Server => self.phone.on_server_lost(now, &words),
                    Err(words) => self.printer.say(&words),
                }
            }
            Output::Media(stream, wanted) => self.net.send_media(stream, &wanted),
            Output::Keep(taken) => {
                let Some(path) = &self.state else { return };
                if let Err(e) = memory::store(path, &taken) {
                    self.printer.say(&format!("{}: {e}: the SIM's numbers are not kept", path.display()));
                }
            }
            Output::Event(event) => {
                self.director.on_event(&event);
                if let Some(words) = words::of_event(&event) {
                    self.printer.say(&words);
                }
            }
        }
    }

    fn on_told(&mut self, told: Told) {
        match told {
            Told::Say(text) => self.printer.say(&text),
            Told::Failed(words) => {
                self.has_failed = true;
                eprintln!("imsbox-ue: failed: {words}");
            }
            Told::End => self.exit = Some(if self.has_failed { Exit::Failed } else { Exit::Ok }),
        }
    }

    fn show(&mut self, direction: &str, peer: Peer, octets: &[u8]) {
        if self.is_verbose {
            let peer = match peer {
                Peer::Server => self.net.server_name(),
                Peer::Udp(addr) => format!("{addr} (UDP)"),
                Peer::Stream(number) => format!("connection {number}"),
            };
            let text = String::from_utf8_lossy(octets).replace("\r\n", "\n    ");
            self.printer.say(&format!("--- {direction} {peer}\n    {}", text.trim_end()));
        }
    }
}
