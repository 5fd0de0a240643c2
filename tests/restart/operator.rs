//! The operator's short messages over crashes: what the monitor's socket has said to be taken still waits afterwards.

use crate::{Folder, PATIENCE, Program};
use imsbox::base::rng::Rng;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;

/// How often the program is killed.
const CRASHES: usize = 25;
/// Short messages of one round.
const TEXTS: u64 = 8;

struct Monitor(BufReader<UnixStream>);

impl Monitor {
    fn connect(folder: &Folder) -> Monitor {
        let stream = UnixStream::connect(folder.0.join("monitor.sock")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Monitor(BufReader::new(stream))
    }

    fn send(&mut self, request: &Value) {
        self.0.get_mut().write_all(format!("{request}\n").as_bytes()).unwrap();
    }

    fn answer(&mut self) -> Value {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    /// How many short messages wait for Bob.
    fn waiting(&mut self) -> u64 {
        self.send(&json!({ "message": "users_get", "user": "602" }));
        self.answer()["users"][0]["sms"].as_u64().unwrap()
    }
}

#[test]
fn what_the_operator_was_told_to_be_taken_survives_a_crash() {
    let folder = Folder::new("operator");
    let mut rng = Rng::from_seed(9);
    let (mut sent, mut answered) = (0, 0);
    for _ in 0..CRASHES {
        let program = Program::start(&folder);
        let mut monitor = Monitor::connect(&folder);
        let waiting = monitor.waiting();
        assert!((answered..=sent).contains(&waiting), "{answered} answered, {waiting} wait, {sent} sent");
        for _ in 0..TEXTS {
            sent += 1;
            monitor.send(&json!({ "message": "sms", "user": "602", "text": format!("text {sent}"), "message_id": sent }));
        }
        // what the disk had without an answer is there for good, too
        answered = waiting;
        for _ in 0..=rng.below(TEXTS) {
            let answer = monitor.answer();
            assert_eq!((answer["parts"].as_u64(), answer.get("error")), (Some(1), None), "{answer}");
            answered += 1;
        }
        drop(program);
    }
    let program = Program::start(&folder);
    let waiting = Monitor::connect(&folder).waiting();
    assert!((answered..=sent).contains(&waiting), "{answered} answered, {waiting} wait, {sent} sent");
    program.end();
}
