//! The monitor's socket on the real loop: what clients get, and what they cannot do to each other.

use imsbox::api::cx::ApiCx;
use imsbox::api::log_options::LogConfig;
use imsbox::config::model::{Config, Impu, SipSocket, User};
use imsbox::ims::core::Core;
use imsbox::ims::disk::Condition;
use imsbox::node::control::{CLIENTS, Control};
use imsbox::node::event_loop::Node;
use imsbox::node::hooks::{Hooks, Storage};
use imsbox::node::log_file::LogFile;
use mio::{Registry, Token, Waker};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

/// Long enough for the most loaded machine: only a failure waits for it.
const DEADLINE: Duration = Duration::from_secs(60);

/// A running program without configuration file, in a thread.
struct Running {
    socket: PathBuf,
    node: Option<JoinHandle<()>>,
}

impl Running {
    fn start(name: &str) -> Running {
        Running::with_disk(name, None)
    }

    fn with_disk(name: &str, disk: Option<Disk>) -> Running {
        let socket = std::env::temp_dir().join(format!("imsbox-monitor-{name}-{}", std::process::id()));
        // bound here, so that clients can connect before the loop turns
        let control = Control::bind(&socket).unwrap();
        let node = std::thread::spawn(move || {
            let alice = User {
                impi: "alice@example.org".into(),
                impus: vec![Impu::new("tel:600")],
                ..User::default()
            };
            let sip = vec![SipSocket::new("127.0.0.1".parse().unwrap(), 0)];
            let config = Config { sip, users: vec![alice], ..Config::default() };
            let core = Core::new(config, &mut imsbox::base::rng::Rng::from_seed(1));
            let log = Box::new(LogFile::none(LogConfig::default()));
            let hooks = Hooks {
                log,
                endpoint: Some(Box::new(control)),
                storage: disk.map(|disk| Box::new(disk) as Box<dyn Storage>),
            };
            Node::new(core, hooks).unwrap().run().unwrap();
        });
        Running { socket, node: Some(node) }
    }

    fn client(&self) -> Client {
        let stream = UnixStream::connect(&self.socket).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        Client(BufReader::new(stream))
    }

    fn quit(mut self) {
        let mut client = self.client();
        assert_eq!(client.ask(&json!({ "message": "quit" })).get("error"), None);
        self.node.take().unwrap().join().unwrap();
        assert_eq!(client.line(), "", "the connection ends with the program");
        assert!(!self.socket.exists(), "the socket file goes with the program");
    }
}

/// A disk that says when it has taken everything, or that it takes nothing, when the test wants it to.
#[derive(Clone, Debug, Default)]
struct Disk(Arc<(Mutex<DiskState>, Condvar)>);

#[derive(Debug, Default)]
struct DiskState {
    waker: Option<Waker>,
    last_ticket: u64,
    says: Option<Says>,
}

#[derive(Clone, Copy, Debug)]
enum Says {
    Stored,
    Full,
}

impl Disk {
    fn state(&self) -> MutexGuard<'_, DiskState> {
        self.0.0.lock().unwrap()
    }

    /// Waits until something was put, then says what becomes of it.
    fn says(&self, what: Says) {
        let waiting = |state: &mut DiskState| state.last_ticket == 0;
        let (mut state, wait) = self.0.1.wait_timeout_while(self.state(), DEADLINE, waiting).unwrap();
        assert!(!wait.timed_out(), "nothing was put");
        state.says = Some(what);
        state.waker.as_ref().unwrap().wake().unwrap();
    }
}

impl Storage for Disk {
    fn register(&mut self, registry: &Registry, token: Token) -> std::io::Result<()> {
        self.state().waker = Some(Waker::new(registry, token)?);
        Ok(())
    }

    fn put(&mut self, ticket: u64, _: &str, _: Option<&str>) {
        self.state().last_ticket = ticket;
        self.0.1.notify_all();
    }

    fn on_wake(&mut self, cx: &mut ApiCx<'_>) {
        let mut state = self.state();
        let (core, mut cx) = cx.core_cx();
        match state.says.take() {
            Some(Says::Stored) => core.on_durable(&mut cx, state.last_ticket),
            Some(Says::Full) => core.on_storage(&mut cx, Condition::Refuses("no space left".to_owned())),
            None => {}
        }
    }
}

struct Client(BufReader<UnixStream>);

impl Client {
    fn send(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).unwrap();
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line
    }

    fn ask(&mut self, request: &Value) -> Value {
        self.send(&format!("{request}\n"));
        self.answer()
    }

    fn answer(&mut self) -> Value {
        serde_json::from_str(&self.line()).unwrap()
    }

    /// Whether nothing has been answered that was not read.
    fn is_unanswered(&mut self) -> bool {
        self.0.get_mut().set_nonblocking(true).unwrap();
        let outcome = self.0.fill_buf().map(<[u8]>::len);
        self.0.get_mut().set_nonblocking(false).unwrap();
        outcome.is_err_and(|e| e.kind() == std::io::ErrorKind::WouldBlock)
    }
}

/// A text for alice, then something that could be answered at once.
fn text_and_more(client: &mut Client) {
    let text = json!({ "message": "sms", "user": "600", "text": "x", "message_id": 1 });
    client.send(&format!("{text}\n{}\n", json!({ "message": "config_get", "message_id": 2 })));
}

/// How many texts wait for alice.
fn waiting(client: &mut Client) -> u64 {
    client.ask(&json!({ "message": "users_get" }))["users"][0]["sms"].as_u64().unwrap()
}

#[test]
fn a_text_is_answered_once_it_is_stored_and_others_do_not_wait_for_it() {
    for (says, problem) in
        [(Says::Stored, None), (Says::Full, Some("the disk does not take it; try again later"))]
    {
        let disk = Disk::default();
        let running = Running::with_disk("stored", Some(disk.clone()));
        let (mut client, mut other) = (running.client(), running.client());
        text_and_more(&mut client);
        while waiting(&mut other) == 0 {}
        assert!(client.is_unanswered());
        disk.says(says);
        let (text, more) = (client.answer(), client.answer());
        assert_eq!((&text["message_id"], &more["message_id"]), (&json!(1), &json!(2)));
        assert_eq!(text["error"].as_str(), problem, "{text}");
        assert_eq!(text["parts"].as_u64(), problem.is_none().then_some(1));
        running.quit();
    }
}

#[test]
fn a_client_that_goes_before_its_text_is_stored_leaves_nothing_behind() {
    let disk = Disk::default();
    let running = Running::with_disk("gone", Some(disk.clone()));
    let mut other = running.client();
    for _ in 1..CLIENTS {
        text_and_more(&mut running.client());
    }
    while waiting(&mut other) < CLIENTS as u64 - 1 {}
    disk.says(Says::Stored);
    // their places are free again
    let mut clients: Vec<Client> = Vec::new();
    while clients.len() < CLIENTS - 1 {
        let mut client = running.client();
        client.send("{\"message\":\"help\"}\n");
        if !client.line().contains("too many") {
            clients.push(client);
        }
    }
    drop((clients, other));
    running.quit();
}

#[test]
fn without_a_state_file_a_text_is_answered_at_once() {
    let running = Running::start("memory");
    let mut client = running.client();
    for _ in 0..3 {
        text_and_more(&mut client);
        assert_eq!((&client.answer()["parts"], &client.answer()["message_id"]), (&json!(1), &json!(2)));
    }
    assert_eq!(waiting(&mut client), 3);
    running.quit();
}

#[test]
fn a_client_asks_and_quits() {
    let running = Running::start("ask");
    let mut client = running.client();
    let reply = client.ask(&json!({ "message": "users_get", "message_id": 1 }));
    assert_eq!((&reply["message"], &reply["message_id"]), (&json!("users_get"), &json!(1)));
    assert!(reply["users"].is_array(), "{reply}");
    let reply = client.ask(&json!({ "message": "dialog_stop", "index": 1 }));
    assert_eq!(reply["error"], "no dialog 1");
    running.quit();
}

#[test]
fn more_requests_than_a_turn_serves_are_all_answered_in_order() {
    let running = Running::start("many");
    let mut client = running.client();
    let all: String =
        (0..500).map(|n| json!({ "message": "config_get", "message_id": n }).to_string() + "\n").collect();
    client.send(&all);
    for n in 0..500 {
        let reply: Value = serde_json::from_str(&client.line()).unwrap();
        assert_eq!(reply["message_id"], n);
    }
    running.quit();
}

#[test]
fn one_client_too_many_is_told_so_and_room_comes_back() {
    let running = Running::start("full");
    let mut clients: Vec<Client> = (0..CLIENTS).map(|_| running.client()).collect();
    for client in &mut clients {
        assert_eq!(client.ask(&json!({ "message": "help" })).get("error"), None);
    }
    let mut extra = running.client();
    assert!(extra.line().contains("too many monitors"));
    assert_eq!(extra.line(), "");
    // the end of this connection is seen in an earlier turn than the question of that one, or in the same one before it
    drop(clients.pop());
    assert_eq!(clients[0].ask(&json!({ "message": "help" })).get("error"), None);
    let mut next = running.client();
    assert_eq!(next.ask(&json!({ "message": "help" })).get("error"), None);
    drop((clients, next));
    running.quit();
}

#[test]
fn a_client_that_sends_rubbish_harms_nobody() {
    let running = Running::start("rubbish");
    let mut good = running.client();
    let mut bad = running.client();
    bad.send("\u{1}{]\n[[[[\n");
    assert!(bad.line().contains("not JSON"));
    assert!(bad.line().contains("not JSON"));
    bad.send(&"[".repeat(60_000));
    bad.send("\n");
    assert!(bad.line().contains("not JSON"), "nesting is bounded");
    assert_eq!(good.ask(&json!({ "message": "help" })).get("error"), None);
    running.quit();
}
