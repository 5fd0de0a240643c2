//! The monitor's server: a Unix socket on the loop, requests and responses of the remote API, one JSON text a line.
//!
//! Only the socket file's owner can connect. Not here: what a request means (`api::message`), nor the WebSocket.

mod client;
mod place;

pub use place::{client_socket, default_socket, make_folder};

use crate::api::cx::ApiCx;
use crate::api::message;
use crate::node::hooks::{Endpoint, Readiness};
use crate::node::token::{Kind, Source};
use client::{Client, Outcome};
use mio::net::UnixListener;
use mio::{Interest, Registry, Token};
use slab::Slab;
use std::io::{self, Write as _};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::{fmt, fs};

/// Monitors at a time; a further one gets an error and is closed.
pub const CLIENTS: usize = 16;

/// Why the socket could not be opened.
#[derive(Debug)]
pub enum ControlError {
    /// Another imsbox answers there.
    Running(PathBuf),
    /// Something that is no socket has that name.
    NotASocket(PathBuf),
    /// The system refused.
    Io(PathBuf, io::Error),
}

impl fmt::Display for ControlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ControlError::Running(path) => write!(
                f,
                "another imsbox runs: it answers on {}; give this one a monitor_socket of its own",
                path.display()
            ),
            ControlError::NotASocket(path) => {
                write!(f, "monitor socket {}: a file of that name is in the way", path.display())
            }
            ControlError::Io(path, e) => write!(f, "monitor socket {}: {e}", path.display()),
        }
    }
}

impl std::error::Error for ControlError {}

/// The server.
#[derive(Debug)]
pub struct Control {
    listener: UnixListener,
    path: PathBuf,
    inode: u64,
    clients: Slab<Client>,
}

/// The endpoint's slots: the listener's, and from 1 on those of the clients.
const LISTENER: u32 = 0;

fn client_token(key: usize) -> Token {
    // no more than CLIENTS keys are in use
    Source::fixed(Kind::Endpoint, key as u32 + 1).token()
}

impl Control {
    /// Opens the socket at `path`, mode 0600. A file that a dead process left is replaced; one that answers is not.
    pub fn bind(path: &Path) -> Result<Control, ControlError> {
        let failed = |e| ControlError::Io(path.to_owned(), e);
        remove_stale(path)?;
        let listener = platform::unix::listen(path, 0o600).map_err(failed)?;
        let inode = fs::symlink_metadata(path).map_err(failed)?.ino();
        let listener = UnixListener::from_std(listener);
        Ok(Control { listener, path: path.to_owned(), inode, clients: Slab::new() })
    }

    /// The socket's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes all waiting connections.
    fn accept(&mut self, registry: &Registry) {
        loop {
            let mut stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                // nothing waits, or the system is out of descriptors: whoever waits stays in the backlog
                Err(_) => return,
            };
            if self.clients.len() == CLIENTS {
                let _ = stream.write(b"{\"error\":\"too many monitors are connected\"}\n");
                continue;
            }
            let entry = self.clients.vacant_entry();
            let token = client_token(entry.key());
            if registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE).is_ok() {
                entry.insert(Client::new(stream));
            }
        }
    }

    /// Serves a client after its socket became readable or writable, or it has an answer. One that is gone is no error.
    fn serve(&mut self, registry: &Registry, key: usize, api: &mut ApiCx<'_>) {
        let Some(client) = self.clients.get_mut(key) else { return };
        let both = Interest::READABLE | Interest::WRITABLE;
        let outcome = client.advance(&mut |line, reply| message::handle(api, line, reply));
        let go_on = match outcome {
            Outcome::Waits => true,
            // registering again reports a ready socket again, in the next turn
            Outcome::More => registry.reregister(&mut client.stream, client_token(key), both).is_ok(),
            Outcome::Closed => false,
        };
        if !go_on {
            let mut client = self.clients.remove(key);
            // closing the descriptor takes it out of the poll even if this fails
            let _ = registry.deregister(&mut client.stream);
        }
    }
}

impl Endpoint for Control {
    fn register(&mut self, registry: &Registry) -> io::Result<()> {
        let token = Source::fixed(Kind::Endpoint, LISTENER).token();
        registry.register(&mut self.listener, token, Interest::READABLE)
    }

    fn on_event(&mut self, registry: &Registry, slot: u32, _: Readiness, cx: &mut ApiCx<'_>) {
        match slot {
            LISTENER => self.accept(registry),
            client => self.serve(registry, client as usize - 1, cx),
        }
    }

    fn end_turn(&mut self, registry: &Registry, cx: &mut ApiCx<'_>) {
        while let Some((order, outcome)) = cx.core.pop_sms_order() {
            // who does not wait for it any more has gone
            let asker = self.clients.iter_mut().find_map(|(key, client)| {
                client.settle(order, |pending| pending.response(cx, outcome)).then_some(key)
            });
            if let Some(key) = asker {
                self.serve(registry, key, cx);
            }
        }
    }

    fn listening(&self) -> Vec<String> {
        vec![format!("monitor on {}", self.path.display())]
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        // only our own: a later server may have put its socket there
        if fs::symlink_metadata(&self.path).is_ok_and(|m| m.ino() == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn remove_stale(path: &Path) -> Result<(), ControlError> {
    let failed = |e| Err(ControlError::Io(path.to_owned(), e));
    match fs::symlink_metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return failed(e),
        Ok(found) if !found.file_type().is_socket() => {
            return Err(ControlError::NotASocket(path.to_owned()));
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(ControlError::Running(path.to_owned())),
        Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path).or_else(failed),
        Err(e) => failed(e),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn temp(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("imsbox-control-{name}-{}", std::process::id()));
        let _ = fs::remove_file(&path);
        path
    }

    #[test]
    fn the_socket_is_private_and_goes_with_its_server() {
        let path = temp("private");
        let control = Control::bind(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        drop(control);
        assert!(!path.exists());
    }

    #[test]
    fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
        let path = temp("stale");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "a dead listener leaves its file");
        let first = Control::bind(&path).unwrap();
        let error = Control::bind(&path).unwrap_err();
        assert!(matches!(error, ControlError::Running(_)));
        assert!(error.to_string().contains("another imsbox runs"));
        drop(first);
    }

    #[test]
    fn a_file_in_the_way_is_left_alone() {
        let path = temp("file");
        fs::write(&path, "precious").unwrap();
        assert!(matches!(Control::bind(&path), Err(ControlError::NotASocket(_))));
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
        fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_server_leaves_the_socket_of_its_successor() {
        let path = temp("successor");
        let first = Control::bind(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let second = Control::bind(&path).unwrap();
        drop(first);
        assert!(path.exists());
        drop(second);
    }
}
