//! `imsbox run`: from a configuration to a running loop.

use crate::banner::Banner;
use crate::{Exit, check, say};
use imsbox::api::cx::Logs;
use imsbox::api::log_options::LogConfig;
use imsbox::base::rng::Rng;
use imsbox::base::time::UnixTime;
use imsbox::base::trace::{Dir, Layer, Level, Subject};
use imsbox::config::model::Config;
use imsbox::ims::core::Core;
use imsbox::monitor;
use imsbox::node::control::{Control, default_socket, make_folder};
use imsbox::node::event_loop::Node;
use imsbox::node::hooks::Hooks;
use imsbox::node::ipsec::{self, Notice, Prepared};
use imsbox::node::log_file::LogFile;
use imsbox::node::signals;
use imsbox::node::sockets::Sockets;
use imsbox::node::storage::{Opened, Storage};
use platform::terminal::{self, SavedTerminal};
use std::io::{IsTerminal as _, stdin, stdout};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

/// Runs the IMS until it is told to end.
pub fn run(path: &Path) -> Exit {
    // before the first thread starts: signals are the loop's
    if let Err(e) = platform::signal::block(&signals::TAKEN) {
        return cannot_start(&format!("signals cannot be blocked: {e}"));
    }
    let mut loaded = check::read(path);
    check::print_diagnostics(&loaded.diagnostics);
    let Some(config) = loaded.config.take() else {
        eprintln!("{}", check::summary_of_errors(&loaded, path));
        return Exit::Failed;
    };
    drop(loaded);
    // many phones over TCP need many descriptors; with fewer, fewer phones are served
    let _ = platform::limits::raise_open_files();
    match start(config) {
        Ok(started) => started.run(),
        Err(problem) => cannot_start(&problem),
    }
}

/// Everything that is open.
struct Started {
    node: Node,
    socket: std::path::PathBuf,
    users: usize,
    restored: Option<usize>,
    remarks: Vec<String>,
    notices: Vec<Notice>,
}

/// Opens everything. What tells that another program runs comes first: before that one's log is touched.
fn start(mut config: Config) -> Result<Started, String> {
    let control = open_control(&config)?;
    let socket = control.path().to_owned();
    let mut sockets = Sockets::open(&mut config.sip).map_err(|e| e.to_string())?;
    sockets.listen_sctp(config.sgs).map_err(|e| e.to_string())?;
    let Prepared { ability, mut notices } = ipsec::prepare(&config, &mut sockets);
    let opened = open_storage(&config)?;
    let log = open_log(&config)?;
    let (storage, records, remarks) = match opened {
        Some(Opened { storage, records, remarks }) => {
            (Some(Box::new(storage) as Box<_>), Some(records), remarks)
        }
        None => (None, None, Vec::new()),
    };
    let hooks = Hooks { log, endpoint: Some(Box::new(control)), storage };
    let users = config.users.len();
    let mut entropy = [0; 32];
    getrandom::fill(&mut entropy).map_err(|e| format!("no randomness: {e}"))?;
    let core = Core::with_ability(config, ability, &mut Rng::from_entropy(entropy));
    let mut node = Node::with_sockets(core, sockets, hooks).map_err(|e| e.to_string())?;
    let (core, mut cx) = node.core_cx();
    let version = env!("CARGO_PKG_VERSION");
    cx.ims(Level::Info, Subject::None, format_args!("imsbox {version} starts, {users} users"));
    for Notice { level, text } in &notices {
        cx.trace(Layer::Ipsec, *level, Dir::None, Subject::None, format_args!("IPsec: {text}"));
    }
    for remark in &remarks {
        cx.ims(Level::Error, Subject::None, format_args!("{remark}"));
    }
    let restored = records.as_ref().map(Vec::len);
    for (key, value) in records.into_iter().flatten() {
        core.restore(&mut cx, &key, &value);
    }
    core.on_restored(&mut cx);
    notices.extend(node.settle_restored());
    // the text of a large configuration has left as much behind as all its users take
    platform::process::return_free_memory();
    Ok(Started { node, socket, users, restored, remarks, notices })
}

impl Started {
    /// Prints the banner, offers the prompt, and turns the loop until the end.
    fn run(self) -> Exit {
        let Started { mut node, socket, users, restored, remarks, notices } = self;
        let prompt =
            stdin().is_terminal() && stdout().is_terminal() && terminal::is_foreground(stdin().as_fd());
        let listening = node.listening();
        let config = node.core_cx().0.config();
        say(&Banner { listening, config, users, restored, remarks: &remarks, notices: &notices, prompt }
            .text());
        // dropped last: the line editor may have been in the middle of a line
        let _saved = prompt.then(|| SavedTerminal::save(stdin().as_fd()));
        if prompt {
            let thread = std::thread::Builder::new().name("prompt".to_owned());
            if let Err(e) = thread.spawn(move || monitor::console(socket)) {
                eprintln!("imsbox: no prompt: {e}");
            }
        }
        match node.run() {
            Ok(()) => Exit::Ok,
            Err(e) => {
                eprintln!("imsbox: the loop failed: {e}");
                Exit::Broken
            }
        }
    }
}

fn cannot_start(problem: &str) -> Exit {
    eprintln!("imsbox: cannot start: {problem}");
    Exit::CannotStart
}

fn open_control(config: &Config) -> Result<Control, String> {
    let socket = match &config.monitor_socket {
        Some(socket) => socket.clone(),
        None => {
            let socket = default_socket();
            let folder = socket.parent().unwrap_or(Path::new("/"));
            if !folder.is_dir() || folder.starts_with("/tmp") {
                make_folder(folder).map_err(|e| format!("monitor socket {}: {e}", socket.display()))?;
            }
            socket
        }
    };
    Control::bind(&socket).map_err(|e| e.to_string())
}

fn open_storage(config: &Config) -> Result<Option<Opened>, String> {
    let opened = config.state_file.clone().map(Storage::open).transpose();
    opened.map_err(|e| e.to_string())
}

fn open_log(config: &Config) -> Result<Box<dyn Logs>, String> {
    let start = UnixTime::from_micros(platform::clock::unix_micros());
    // the check has found nothing wrong with the options
    let (log_config, _) = LogConfig::parse(&config.log.options).map_err(|e| e.to_string())?;
    Ok(Box::new(match &config.log.filename {
        Some(file) => LogFile::open(absolute(file), log_config, config.log.sync, start)
            .map_err(|e| format!("log file {}: {e}", file.display()))?,
        None => LogFile::none(log_config),
    }))
}

/// The path from the root: a monitor that shows it may run elsewhere.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
