//! The monitor's socket on the real loop: what clients get, and what they cannot do to each other.

use imsbox::api::log_options::LogConfig;
use imsbox::config::model::{Config, Impu, SipSocket, User};
use imsbox::ims::core::Core;
use imsbox::node::control::{CLIENTS, Control};
use imsbox::node::event_loop::Node;
use imsbox::node::hooks::Hooks;
use imsbox::node::log_file::LogFile;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
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
            let hooks = Hooks { log, endpoint: Some(Box::new(control)), storage: None };
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
        serde_json::from_str(&self.line()).unwrap()
    }
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
