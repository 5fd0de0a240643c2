//! The state file (`ue_db_filename`): records that outlive the program, stored off the loop with group commit.
//!
//! The loop puts records and goes on; a helper thread commits whatever has gathered since its last commit in one
//! transaction, and then says up to which put everything is on the disk. A file that cannot be read is never overwritten.

mod file;

pub use file::StorageError;

use crate::api::cx::ApiCx;
use crate::ims::disk::Condition;
use crate::node::hooks;
use file::StateFile;
use mio::{Registry, Token, Waker};
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Octets of keys and values that may wait for a commit: more than two million bindings. Puts beyond are refused.
pub const PENDING_BYTES: usize = 256 << 20;

/// Time between attempts while the disk refuses.
const RETRY: Duration = Duration::from_millis(if cfg!(test) { 5 } else { 1000 });

/// What is called, from the storage thread, after each commit and each failure.
pub type Notify = Box<dyn Fn() + Send>;

/// The storage thread, from the loop's side.
#[derive(Debug)]
pub struct Storage {
    path: PathBuf,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// A put that was refused: too much waits for the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StorageFull;

impl fmt::Display for StorageFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "more than {PENDING_BYTES} octets of state wait for the disk")
    }
}

impl std::error::Error for StorageFull {}

/// Keys and values, in key order.
pub type Records = Vec<(String, String)>;

/// The changes since the last commit: the newest value for each key.
type Changes = BTreeMap<String, Option<String>>;

#[derive(Default)]
struct State {
    changes: Changes,
    bytes: usize,
    /// The ticket that was put last, and the last of those that are on the disk.
    last: u64,
    durable: u64,
    /// Why the disk does not take what waits for it.
    trouble: Option<String>,
    news: News,
    closing: bool,
    notify: Option<Notify>,
}

/// What the loop has not been told yet, in this order.
#[derive(Default)]
struct News {
    refuses: Option<String>,
    is_well: bool,
}

impl State {
    fn on_refused(&mut self, why: String) {
        self.news = News { refuses: Some(why.clone()), is_well: false };
        self.trouble = Some(why);
    }

    fn on_committed(&mut self, last: u64) {
        self.durable = last;
        self.news.is_well |= self.trouble.take().is_some();
    }

    fn notify(&self) {
        if let Some(notify) = &self.notify {
            notify();
        }
    }
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    work: Condvar,
    /// A commit has succeeded.
    stored: Condvar,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        write!(f, "Shared {{ last: {}, durable: {} }}", state.last, state.durable)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // the state is consistent at every point where a holder could panic
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Storage {
    /// Opens or makes the file, gives all records in key order, and starts the thread.
    pub fn open(path: PathBuf) -> Result<(Storage, Records), StorageError> {
        let file = StateFile::open(&path)?;
        let records = file.load()?;
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let spawn = std::thread::Builder::new().name("storage".to_owned());
        let thread = spawn.spawn(move || run(&theirs, file));
        let thread = Some(thread.map_err(|e| StorageError::Io(path.clone(), e.to_string()))?);
        Ok((Storage { path, shared, thread }, records))
    }

    /// The file.
    pub fn path(&self) -> &std::path::Path {
        &self.path
    }

    /// Has `notify` called, from the storage thread or by a refused put, whenever [`Storage::durable`] or [`Storage::take_news`] has
    /// something new.
    pub fn set_notify(&self, notify: Notify) {
        self.shared.lock().notify = Some(notify);
    }

    /// Stores (`Some`) or deletes (`None`) a record. Tickets rise. A refusal is among the news as well.
    pub fn put(&mut self, ticket: u64, key: String, value: Option<String>) -> Result<(), StorageFull> {
        let mut state = self.shared.lock();
        state.last = ticket;
        let size = key.len() + value.as_ref().map_or(0, String::len);
        if state.bytes + size > PENDING_BYTES {
            state.on_refused(StorageFull.to_string());
            state.notify();
            return Err(StorageFull);
        }
        // what an older change of the same key took is not given back before the commit: the bound errs on the safe side
        state.bytes += size;
        state.changes.insert(key, value);
        drop(state);
        self.shared.work.notify_one();
        Ok(())
    }

    /// All puts up to this ticket are on the disk, but for those that were refused.
    pub fn durable(&self) -> u64 {
        self.shared.lock().durable
    }

    /// What the disk's condition has been since it was last asked, in order. What it did not take is kept and tried again.
    pub fn take_news(&mut self) -> impl Iterator<Item = Condition> + use<> {
        let News { refuses, is_well } = std::mem::take(&mut self.shared.lock().news);
        refuses.map(Condition::Refuses).into_iter().chain(is_well.then_some(Condition::Well))
    }

    /// Writes what is left and ends the thread; the error says how much could not be stored.
    pub fn close(mut self) -> Result<(), String> {
        self.finish()
    }

    fn finish(&mut self) -> Result<(), String> {
        let Some(thread) = self.thread.take() else { return Ok(()) };
        self.shared.lock().closing = true;
        self.shared.work.notify_one();
        let panicked = thread.join().is_err();
        let state = self.shared.lock();
        if state.changes.is_empty() && !panicked {
            return Ok(());
        }
        let (lost, why) =
            (state.changes.len(), state.trouble.as_deref().unwrap_or("the storage thread ended"));
        Err(format!("state file {}: {lost} records could not be stored: {why}", self.path.display()))
    }
}

impl hooks::Storage for Storage {
    fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        let waker = Waker::new(registry, token)?;
        // waking fails only when the poll has gone, and then nobody waits for the news
        self.set_notify(Box::new(move || waker.wake().unwrap_or(())));
        Ok(())
    }

    fn put(&mut self, ticket: u64, key: &str, value: Option<&str>) {
        // a refusal is among the news, for which the loop is woken
        let _ = Storage::put(self, ticket, key.to_owned(), value.map(str::to_owned));
    }

    fn wait(&mut self, patience: Duration) -> bool {
        let waits = |state: &mut State| state.durable < state.last;
        let waited = self.shared.stored.wait_timeout_while(self.shared.lock(), patience, waits);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    fn on_wake(&mut self, cx: &mut ApiCx<'_>) {
        // what is durable is asked first: what was refused before it is then among the news, which are told first
        let durable = self.durable();
        let (core, mut cx) = cx.core_cx();
        for condition in self.take_news() {
            core.on_storage(&mut cx, condition);
        }
        core.on_durable(&mut cx, durable);
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        if let Err(problem) = self.finish() {
            eprintln!("imsbox: {problem}");
        }
    }
}

/// The thread: waits for changes, commits them together, and keeps those that the disk refuses.
fn run(shared: &Shared, mut file: StateFile) {
    let mut state = shared.lock();
    loop {
        while state.changes.is_empty() && !state.closing {
            state = shared.work.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.changes.is_empty() {
            return;
        }
        let closing = state.closing;
        let changes = std::mem::take(&mut state.changes);
        let (last, bytes) = (state.last, std::mem::take(&mut state.bytes));
        drop(state);
        let outcome = file.commit(&changes);
        state = shared.lock();
        match outcome {
            Ok(()) => {
                state.on_committed(last);
                shared.stored.notify_all();
            }
            Err(problem) => {
                state.on_refused(problem);
                state.bytes += bytes;
                for (key, value) in changes {
                    // a newer change of the same key stays
                    state.changes.entry(key).or_insert(value);
                }
            }
        }
        state.notify();
        if state.trouble.is_some() {
            if closing {
                return;
            }
            state = wait_for_retry(shared, state);
        }
    }
}

/// Waits before the next attempt; the end of the program cuts it short.
fn wait_for_retry<'a>(shared: &'a Shared, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
    let waited = shared.work.wait_timeout_while(state, RETRY, |state| !state.closing);
    waited.map_or_else(|poisoned| poisoned.into_inner().0, |(state, _)| state)
}

impl From<StorageError> for io::Error {
    fn from(error: StorageError) -> Self {
        io::Error::other(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::sync::mpsc;

    fn temp(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("imsbox-state-{name}-{}", std::process::id()));
        let _ = fs::remove_file(&path);
        path
    }

    fn records(path: &std::path::Path) -> Vec<(String, String)> {
        Storage::open(path.to_owned()).unwrap().1
    }

    fn text(n: usize) -> String {
        format!("{{\"n\":{n}}}")
    }

    #[test]
    fn records_come_back_in_key_order_after_a_restart() {
        let path = temp("restart");
        let (mut storage, found) = Storage::open(path.clone()).unwrap();
        assert_eq!(found, []);
        let changes = [
            ("b/2", Some("two")),
            ("a/1", Some("one")),
            ("b/2", Some("TWO")),
            ("c/3", Some("x")),
            ("c/3", None),
        ];
        for (ticket, (key, value)) in (1..).zip(changes) {
            storage.put(ticket, key.to_owned(), value.map(str::to_owned)).unwrap();
        }
        storage.close().unwrap();
        let pairs = [("a/1", "one"), ("b/2", "TWO")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        assert_eq!(records(&path), pairs);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::remove_file(path).unwrap();
    }

    #[test]
    fn durable_reaches_the_last_put_and_is_notified() {
        let path = temp("durable");
        let (mut storage, _) = Storage::open(path.clone()).unwrap();
        let (told, news) = mpsc::channel();
        storage.set_notify(Box::new(move || told.send(()).unwrap_or(())));
        for n in 0..500 {
            storage.put(n as u64 + 1, format!("k{n}"), Some(text(n))).unwrap();
        }
        while storage.durable() < 500 {
            news.recv_timeout(Duration::from_secs(20)).expect("a commit is notified");
        }
        assert_eq!(storage.take_news().count(), 0);
        drop(storage);
        assert_eq!(records(&path).len(), 500);
        fs::remove_file(path).unwrap();
    }

    #[test]
    fn the_start_waits_for_the_disk_and_not_for_ever() {
        use crate::node::hooks::Storage as _;
        let path = temp("wait");
        let (mut storage, _) = Storage::open(path.clone()).unwrap();
        assert!(storage.wait(Duration::ZERO), "nothing to wait for");
        storage.put(1, "k".to_owned(), Some(text(1))).unwrap();
        assert!(storage.wait(Duration::from_secs(20)));
        assert_eq!(storage.durable(), 1);
        drop(storage);
        // one whose thread never comes to it
        let shared = Arc::new(Shared::default());
        shared.lock().last = 1;
        let mut stuck = Storage { path: path.clone(), shared, thread: None };
        assert!(!stuck.wait(Duration::from_millis(1)));
        fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_file_that_is_no_state_file_is_refused_and_left_alone() {
        let path = temp("foreign");
        fs::write(&path, "not a state file, but somebody's notes\n".repeat(50)).unwrap();
        let before = fs::read(&path).unwrap();
        let error = Storage::open(path.clone()).unwrap_err().to_string();
        assert!(error.contains("move it away"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), before);
        fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_damaged_file_is_refused_or_read_right_and_never_panics() {
        let path = temp("damaged");
        let (mut storage, _) = Storage::open(path.clone()).unwrap();
        for n in 0..40 {
            storage.put(n as u64 + 1, format!("k{n:02}"), Some(text(n))).unwrap();
        }
        storage.close().unwrap();
        let whole = fs::read(&path).unwrap();
        let expected = records(&path);
        let mut refused = 0;
        for at in (0..whole.len()).step_by(whole.len() / 97) {
            let mut bad = whole.clone();
            bad[at] ^= 0x5a;
            fs::write(&path, &bad).unwrap();
            match Storage::open(path.clone()) {
                Ok((_, found)) => assert_eq!(found, expected, "octet {at}"),
                Err(_) => {
                    refused += 1;
                    assert!(fs::read(&path).unwrap() == bad, "octet {at}: the refused file was written to");
                }
            }
        }
        for cut in [1, whole.len() / 3, whole.len() - 1] {
            fs::write(&path, &whole[..cut]).unwrap();
            assert!(Storage::open(path.clone()).is_err(), "cut at {cut}");
            refused += 1;
        }
        assert!(refused >= 3);
        fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_file_in_use_is_refused() {
        let path = temp("used");
        let (storage, _) = Storage::open(path.clone()).unwrap();
        let error = Storage::open(path.clone()).unwrap_err();
        assert!(matches!(error, StorageError::InUse(_)), "{error}");
        drop(storage);
        fs::remove_file(path).unwrap();
    }

    #[test]
    fn what_the_disk_refuses_is_kept_said_and_stored_later() {
        let folder = temp("refused");
        let path = folder.join("state.db");
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        // the folder is missing: every attempt fails until it is there
        let file = StateFile::closed(&path);
        let thread = Some(std::thread::spawn(move || run(&theirs, file)));
        let mut storage = Storage { path: path.clone(), shared, thread };
        let (told, news) = mpsc::channel();
        storage.set_notify(Box::new(move || told.send(()).unwrap_or(())));
        storage.put(1, "a".to_owned(), Some("old".to_owned())).unwrap();
        news.recv_timeout(Duration::from_secs(20)).expect("a failure is notified");
        assert!(matches!(storage.take_news().collect::<Vec<_>>()[..], [Condition::Refuses(_)]));
        storage.put(2, "a".to_owned(), Some("new".to_owned())).unwrap();
        assert_eq!(storage.durable(), 0);
        fs::create_dir(&folder).unwrap();
        while storage.durable() < 2 {
            news.recv_timeout(Duration::from_secs(20)).expect("the next attempt is notified");
        }
        assert_eq!(storage.take_news().last(), Some(Condition::Well));
        storage.close().unwrap();
        assert_eq!(records(&path), [("a".to_owned(), "new".to_owned())]);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn what_cannot_be_stored_at_the_end_is_said() {
        let path = temp("lost").join("state.db");
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let file = StateFile::closed(&path);
        let thread = Some(std::thread::spawn(move || run(&theirs, file)));
        let mut storage = Storage { path, shared, thread };
        storage.put(1, "a".to_owned(), Some("1".to_owned())).unwrap();
        let problem = storage.close().unwrap_err();
        assert!(problem.contains("1 record") && problem.contains("could not be stored"), "{problem}");
    }

    #[test]
    fn what_waits_for_the_disk_is_bounded() {
        let path = temp("bounded");
        let (mut storage, _) = Storage::open(path.clone()).unwrap();
        let (told, news) = mpsc::channel();
        storage.set_notify(Box::new(move || told.send(()).unwrap_or(())));
        assert_eq!(storage.put(1, "k".to_owned(), Some("x".repeat(PENDING_BYTES))), Err(StorageFull));
        news.recv_timeout(Duration::from_secs(20)).expect("a refusal is notified");
        let refusal = Condition::Refuses(StorageFull.to_string());
        assert_eq!(storage.take_news().collect::<Vec<_>>(), [refusal]);
        storage.put(2, "k".to_owned(), Some(text(1))).unwrap();
        while storage.durable() < 2 {
            news.recv_timeout(Duration::from_secs(20)).expect("a commit is notified");
        }
        assert_eq!(storage.take_news().collect::<Vec<_>>(), [Condition::Well]);
        drop(storage);
        fs::remove_file(path).unwrap();
    }
}
