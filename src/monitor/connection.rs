//! The connection to the server: one request, one response, a line each.

use serde_json::Value;
use std::fmt;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// How long an answer may take: the server's loop answers within a turn, or within 15 s where a command waits for the disk.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the end of the program may take: calls are ended and the state is stored.
const END_TIMEOUT: Duration = Duration::from_secs(60);

/// A connection to the server.
#[derive(Debug)]
pub struct Connection {
    stream: BufReader<UnixStream>,
    line: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum AskError {
    /// The server says that the request is wrong, or refuses it.
    Refused(String),
    /// The connection failed.
    Lost(io::Error),
    /// The server closed the connection.
    Closed,
    /// What came is no answer.
    Nonsense(String),
}

impl fmt::Display for AskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AskError::Refused(problem) => f.write_str(problem),
            AskError::Lost(e) if e.kind() == io::ErrorKind::WouldBlock => f.write_str("no answer in time"),
            AskError::Lost(e) => write!(f, "the connection failed: {e}"),
            AskError::Closed => f.write_str("the program has ended"),
            AskError::Nonsense(e) => write!(f, "the answer cannot be read: {e}"),
        }
    }
}

impl std::error::Error for AskError {}

impl Connection {
    /// Connects to the socket at `path`; the error is for a person.
    pub fn open(path: &Path) -> Result<Connection, String> {
        let stream = UnixStream::connect(path).map_err(|e| match e.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                format!("no imsbox runs: nothing answers on {} (--socket names another one)", path.display())
            }
            _ => format!("cannot connect to {}: {e}", path.display()),
        })?;
        stream.set_read_timeout(Some(ANSWER_TIMEOUT)).map_err(|e| e.to_string())?;
        stream.set_write_timeout(Some(ANSWER_TIMEOUT)).map_err(|e| e.to_string())?;
        Ok(Connection { stream: BufReader::new(stream), line: Vec::new() })
    }

    /// Sends a request and gives the response, unless it is an error.
    pub fn ask(&mut self, request: &Value) -> Result<Value, AskError> {
        self.stream.get_mut().write_all(format!("{request}\n").as_bytes()).map_err(|e| match e.kind() {
            io::ErrorKind::BrokenPipe => AskError::Closed,
            _ => AskError::Lost(e),
        })?;
        self.line.clear();
        self.stream.read_until(b'\n', &mut self.line).map_err(|e| match e.kind() {
            io::ErrorKind::ConnectionReset => AskError::Closed,
            _ => AskError::Lost(e),
        })?;
        if self.line.is_empty() {
            return Err(AskError::Closed);
        }
        let answer: Value =
            serde_json::from_slice(&self.line).map_err(|e| AskError::Nonsense(e.to_string()))?;
        match answer.get("error").and_then(Value::as_str) {
            Some(problem) => Err(AskError::Refused(problem.to_owned())),
            None => Ok(answer),
        }
    }

    /// Waits until the server has closed the connection, which it does when it has ended.
    pub fn wait_end(&mut self) -> Result<(), AskError> {
        self.stream.get_mut().set_read_timeout(Some(END_TIMEOUT)).map_err(AskError::Lost)?;
        match io::copy(&mut self.stream, &mut io::sink()) {
            Err(e) if e.kind() != io::ErrorKind::ConnectionReset => Err(AskError::Lost(e)),
            _ => Ok(()),
        }
    }
}
