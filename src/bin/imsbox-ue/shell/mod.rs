//! The shell around the phone: sockets, clock, files, terminal; one loop, and a thread for each thing that blocks.

mod ipsec;
mod net;
mod ports;
mod prompt;

use crate::args::{Run, Source};
use crate::command::{self, Command};
use crate::director::{Director, Told};
use crate::phone::media::Stream;
use crate::phone::message::Peer;
use crate::phone::security::Wish;
use crate::phone::sound::{Sound, read_wav, write_wav};
use crate::phone::{Output, Phone};
use crate::settings::{Protect, Secret, Settings, Transport};
use crate::usim::Taken;
use crate::{Exit, memory, words};
use imsbox::base::rng::Rng;
use imsbox::base::time::Instant;
use ipsec::Kernel;
use net::{Net, Streams};
use platform::signal::{self, Signal};
use prompt::Printer;
use std::io::{IsTerminal as _, Read as _, stdin, stdout};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

/// The longest sleep: something looked at from time to time needs no timer of its own.
const LONGEST_SLEEP: Duration = Duration::from_secs(3600);
/// Inputs that are taken before the outputs are looked at.
const BATCH: usize = 64;

/// Something that came from outside; packets with the time of their arrival.
pub enum Input {
    /// A datagram for SIP.
    Datagram(SocketAddr, Vec<u8>),
    /// A datagram for SIP at this protected port.
    Protected(u16, SocketAddr, Vec<u8>),
    /// Somebody has connected; whether to the protected port.
    Connected(std::net::TcpStream, bool),
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
    /// A signal asks for the end.
    Signal(Signal),
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

/// Tells of the signals that ask for the end, so that nothing is left in the network or the kernel.
fn watch_signals(inputs: &Sender<Input>) -> Result<(), String> {
    const END: [Signal; 3] = [Signal::Interrupt, Signal::Terminate, Signal::Hangup];
    signal::block(&END).map_err(|e| format!("signals: {e}"))?;
    let send = inputs.clone();
    thread::spawn(move || {
        while let Ok(signal) = signal::wait(&END) {
            if send.send(Input::Signal(signal)).is_err() {
                return;
            }
        }
    });
    Ok(())
}

struct Shell {
    phone: Phone,
    director: Director,
    net: Net,
    streams: Streams,
    kernel: Option<Kernel>,
    inputs: Receiver<Input>,
    printer: Printer,
    state: Option<PathBuf>,
    record: Option<PathBuf>,
    is_verbose: bool,
    began: std::time::Instant,
    exit: Option<Exit>,
    has_failed: bool,
    /// Whether a signal has asked for the end.
    is_asked_to_end: bool,
}

impl Shell {
    fn start(settings: Settings, commands: Option<Vec<Command>>) -> Result<Shell, String> {
        let (send, inputs) = channel();
        // before any other thread, all of which must leave them to this one
        watch_signals(&send)?;
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
        let (is_verbose, record) = (settings.verbose, settings.record.clone());
        let mut printer = match commands {
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
        let ipsec = ipsec::open(&settings, net.local.ip());
        if let Some(Err(words)) = &ipsec {
            match settings.ipsec.protect {
                Protect::Required => return Err(format!("no IPsec: {words}")),
                _ => printer.say(&format!("without IPsec: {words}")),
            }
        }
        let mut phone = Phone::new(settings, taken, net.local, (net.media, net.video_port), sound, rng);
        let kernel = match ipsec {
            Some(Ok((kernel, suites))) => {
                phone.enable_ipsec(Ok(suites));
                Some(kernel)
            }
            Some(Err(words)) => {
                phone.enable_ipsec(Err(words));
                None
            }
            None => None,
        };
        Ok(Shell {
            phone,
            director,
            net,
            streams,
            kernel,
            inputs,
            printer,
            state,
            record,
            is_verbose,
            began: std::time::Instant::now(),
            exit: None,
            has_failed: false,
            is_asked_to_end: false,
        })
    }

    fn turn(mut self) -> Exit {
        loop {
            let now = self.now();
            self.phone.tick(now);
            self.settle(now);
            if let Some(exit) = self.exit {
                self.end();
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

    /// Leaves nothing in the kernel. Connections go first, those too that came in the last moment: their ends leave through the
    /// associations.
    fn end(&mut self) {
        if let Some(kernel) = &mut self.kernel {
            kernel.stop_listening();
        }
        while let Ok(input) = self.inputs.try_recv() {
            if let Input::Connected(stream, true) = input {
                self.streams.accept(stream, true);
            }
        }
        self.streams.close_protected();
        if let Some(kernel) = &mut self.kernel
            && let Err(words) = kernel.remove_all()
        {
            self.printer.say(&words);
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
            Input::Protected(port, from, octets) => {
                self.on_message(now, Peer::Protected(Transport::Udp, port, from), &octets);
            }
            Input::Message(stream, octets) => self.on_message(now, self.streams.peer(stream), &octets),
            Input::Connected(stream, is_protected) => self.streams.accept(stream, is_protected),
            Input::Closed(stream, words) => {
                let peer = self.streams.close(stream);
                self.phone.on_lost(now, peer, &words);
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
            // who asks twice does not want to wait for the network
            Input::Signal(_) if self.is_asked_to_end => self.exit = Some(Exit::Failed),
            Input::Signal(signal) => {
                self.is_asked_to_end = true;
                self.printer.leave();
                self.director.leave(now, &mut self.phone, signal.name());
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
            // what is begun is said before what comes of it
            while let Some(told) = self.director.pop() {
                is_quiet = false;
                self.on_told(told);
            }
            while let Some(output) = self.phone.pop() {
                is_quiet = false;
                self.carry_out(now, output);
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
                match self.net.send(&mut self.streams, self.kernel.as_ref(), peer, &octets) {
                    Ok(()) => {}
                    Err(words) if peer == Peer::Server || peer.is_protected() => {
                        self.phone.on_unsent(now, peer, &octets, &words);
                    }
                    Err(words) => self.printer.say(&words),
                }
            }
            Output::Ipsec(wish) => self.fulfil(now, wish),
            Output::Media(stream, wanted) => self.net.send_media(stream, &wanted),
            Output::Keep(taken) => {
                let Some(path) = &self.state else { return };
                if let Err(e) = memory::store(path, &taken) {
                    self.printer.say(&format!("{}: {e}: the SIM's numbers are not kept", path.display()));
                }
            }
            Output::Recorded(samples) => {
                let Some(path) = &self.record else { return };
                if let Err(e) = std::fs::write(path, write_wav(&samples)) {
                    self.printer.say(&format!("{}: {e}: the sound is not kept", path.display()));
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

    fn fulfil(&mut self, now: Instant, wish: Wish) {
        let Some(kernel) = &mut self.kernel else { return };
        match wish {
            Wish::Open { set, client, server } => {
                let opened = kernel.open_ports(set, client, server, self.streams.inputs());
                self.phone.on_opened(now, set, opened);
            }
            Wish::Install(installation) => {
                let number = installation.number;
                let result = kernel.install(*installation);
                self.phone.on_installed(now, number, result);
            }
            Wish::Extend(set, lifetime) => {
                if let Err(words) = kernel.extend(set, lifetime) {
                    self.printer.say(&words);
                }
            }
            Wish::Remove(set) => {
                if let Some(port) = kernel.client_port(set) {
                    self.streams.close_from(port);
                }
                if let Err(words) = kernel.remove(set) {
                    self.printer.say(&words);
                }
            }
        }
    }

    fn on_told(&mut self, told: Told) {
        match told {
            Told::Say(text) => self.printer.say(&text),
            Told::Ipsec => {
                let text = self.describe_ipsec();
                self.printer.say(&text);
            }
            Told::Failed(words) => {
                self.has_failed = true;
                eprintln!("imsbox-ue: failed: {}", words::safe(&words));
            }
            Told::End => self.exit = Some(if self.has_failed { Exit::Failed } else { Exit::Ok }),
        }
    }

    fn describe_ipsec(&mut self) -> String {
        let mut lines = Vec::new();
        for (role, set) in self.phone.security().sets() {
            let packets = self.kernel.as_mut().map(|kernel| kernel.describe(set)).unwrap_or_default();
            lines.push(format!("{role}: {set}{packets}"));
        }
        match (lines.is_empty(), self.phone.security().lack()) {
            (false, _) => lines.join("\n"),
            (true, Some(lack)) => format!("no security associations: {lack}"),
            (true, None) if self.kernel.is_none() => {
                "no security associations: IPsec is off, as it is for a phone without a SIM".to_owned()
            }
            (true, None) => "no security associations: the phone is not registered".to_owned(),
        }
    }

    fn show(&mut self, direction: &str, peer: Peer, octets: &[u8]) {
        if self.is_verbose {
            let peer = match peer {
                Peer::Server => self.net.server_name(),
                Peer::Udp(addr) => format!("{addr} (UDP)"),
                Peer::Stream(number) => format!("connection {number}"),
                Peer::Protected(transport, port, to) => {
                    format!("{to} ({}, ESP, port {port} here)", transport.name())
                }
            };
            let text = String::from_utf8_lossy(octets).replace("\r\n", "\n    ");
            self.printer.say(&format!("--- {direction} {peer}\n    {}", text.trim_end()));
        }
    }
}
