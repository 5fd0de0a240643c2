//! The state file (`ue_db_filename`): records that outlive the program, stored off the loop with group commit.
//!
//! The loop puts records and goes on. What was put in one turn is handed over together, and a helper thread commits whatever was handed over
//! since its last commit in one transaction: what one input has changed is on the disk as a whole or not at all. Then it says up to
//! which put everything is there. A file that cannot be read is never overwritten: a damaged one is
//! moved away under another name, and one that is not ours stays where it is.

mod file;

pub use file::StorageError;

use crate::api::cx::ApiCx;
use crate::ims::disk::Condition;
use crate::node::hooks;
use file::StateFile;
use mio::{Registry, Token, Waker};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
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
    /// What this turn has put so far.
    turn: Vec<Put>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// A record to be stored, or deleted when it has no value.
#[derive(Debug)]
struct Put {
    ticket: u64,
    key: String,
    value: Option<String>,
}

/// Keys and values, in key order.
pub type Records = Vec<(String, String)>;

/// An opened state file.
#[derive(Debug)]
pub struct Opened {
    /// What stores from now on.
    pub storage: Storage,
    /// The records that were found.
    pub records: Records,
    /// What the operator is to be told, a sentence each.
    pub remarks: Vec<String>,
}

/// The records of a state file as they are now, whether a program runs with it or not. Nothing is written.
pub fn peek(path: &std::path::Path) -> Result<Records, StorageError> {
    file::peek(path)
}

/// The changes since the last commit: the newest value for each key.
type Changes = BTreeMap<String, Option<String>>;

/// The octets of a change.
fn size(key: &str, value: &Option<String>) -> usize {
    key.len() + value.as_ref().map_or(0, String::len)
}

#[derive(Default)]
struct State {
    changes: Changes,
    /// The octets of the changes.
    bytes: usize,
    /// The ticket that was put last, and the last of those that are on the disk.
    last: u64,
    durable: u64,
    /// The first ticket whose put was refused since the news were taken last.
    refused: Option<u64>,
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

/// Why a put is refused that nothing is wrong with.
fn too_much() -> String {
    format!("more than {PENDING_BYTES} octets of state wait for the disk")
}

impl State {
    /// Takes a put, or refuses it: a refusal is among the news. Whether it was taken.
    fn put(&mut self, Put { ticket, key, value }: Put) -> bool {
        self.last = ticket;
        let replaced = self.changes.get(&key).map_or(0, |older| size(&key, older));
        let bytes = self.bytes - replaced + size(&key, &value);
        // a deletion is small, and nobody would try it again
        let is_taken = bytes <= PENDING_BYTES || value.is_none();
        if is_taken {
            self.bytes = bytes;
            self.changes.insert(key, value);
        } else {
            self.refused.get_or_insert(ticket);
            self.on_refused(too_much());
        }
        is_taken
    }

    fn on_refused(&mut self, why: String) {
        self.news = News { refuses: Some(why.clone()), is_well: false };
        self.trouble = Some(why);
    }

    /// All puts up to this ticket are on the disk, and none of them was refused without the loop having been told.
    fn kept(&self) -> u64 {
        self.refused.map_or(self.durable, |first| self.durable.min(first.saturating_sub(1)))
    }

    fn on_committed(&mut self, last: u64) {
        self.durable = last;
        self.news.is_well |= self.trouble.take().is_some();
    }

    /// Takes back changes that were not stored, of so many octets. A newer change of the same key stays. Puts of the loop wait
    /// meanwhile, so that the fewer changes go to the more.
    fn keep(&mut self, older: Changes, bytes: usize) {
        if older.len() < self.changes.len() {
            for (key, value) in older {
                if let Entry::Vacant(entry) = self.changes.entry(key) {
                    self.bytes += size(entry.key(), &value);
                    entry.insert(value);
                }
            }
        } else {
            let newer = std::mem::replace(&mut self.changes, older);
            self.bytes += bytes;
            for (key, value) in newer {
                self.bytes -= self.changes.get(&key).map_or(0, |older| size(&key, older));
                self.changes.insert(key, value);
            }
        }
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
    /// A commit has succeeded, or failed.
    tried: Condvar,
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
    ///
    /// A damaged file is set aside, and the state begins empty; a file that is no state file, is of another version or is in use is an
    /// error and stays as it is. On a disk that takes nothing now what can be read is given, and the file is opened when it can be.
    pub fn open(path: PathBuf) -> Result<Opened, StorageError> {
        let mut remarks = Vec::new();
        let (file, records, refusal) = match open_or_read(&path) {
            Err(StorageError::Damaged(_, why)) if file::may_be_ours(&path) => {
                let aside = file::set_aside(&path).map_err(|e| {
                    StorageError::Damaged(path.clone(), format!("{why}; it cannot be moved: {e}"))
                })?;
                remarks.push(format!(
                    "state file {} was damaged ({why}): it is set aside as {}, and the state begins empty: phones register anew, \
                     texts that waited are lost",
                    path.display(),
                    aside.display()
                ));
                open_or_read(&path)?
            }
            opened => opened?,
        };
        let storage = Storage::start(path, file, refusal)?;
        Ok(Opened { storage, records, remarks })
    }

    fn start(path: PathBuf, file: StateFile, refusal: Option<String>) -> Result<Storage, StorageError> {
        let shared = Arc::new(Shared::default());
        if let Some(why) = refusal {
            shared.lock().on_refused(why);
        }
        let theirs = Arc::clone(&shared);
        let spawn = std::thread::Builder::new().name("storage".to_owned());
        let thread = spawn.spawn(move || run(&theirs, file));
        let thread = Some(thread.map_err(|e| StorageError::Io(path.clone(), e.to_string()))?);
        Ok(Storage { path, turn: Vec::new(), shared, thread })
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

    /// Stores (`Some`) or deletes (`None`) a record with the others of this turn. Tickets rise.
    pub fn put(&mut self, ticket: u64, key: String, value: Option<String>) {
        self.turn.push(Put { ticket, key, value });
    }

    /// Hands over what was put since the last turn, for one commit. What there is no room for is refused, which is among the news as
    /// well; a deletion never is.
    pub fn end_turn(&mut self) {
        if self.turn.is_empty() {
            return;
        }
        let mut state = self.shared.lock();
        // every put is taken or refused, also those behind one that is refused
        let refused = self.turn.drain(..).filter_map(|put| (!state.put(put)).then_some(())).count();
        if refused > 0 {
            state.notify();
        }
        drop(state);
        self.shared.work.notify_one();
    }

    /// All puts up to this ticket are on the disk, but for those that were refused.
    pub fn durable(&self) -> u64 {
        self.shared.lock().durable
    }

    /// The tickets up to which everything is on the disk: before the news are told, and after.
    fn progress(&self) -> (u64, u64) {
        let state = self.shared.lock();
        (state.kept(), state.durable)
    }

    /// What the disk's condition has been since it was last asked, in order. What it did not take is kept and tried again.
    pub fn take_news(&mut self) -> impl Iterator<Item = Condition> + use<> {
        let mut state = self.shared.lock();
        state.refused = None;
        let News { refuses, is_well } = std::mem::take(&mut state.news);
        refuses.map(Condition::Refuses).into_iter().chain(is_well.then_some(Condition::Well))
    }

    /// Writes what is left and ends the thread; the error says how much could not be stored.
    pub fn close(mut self) -> Result<(), String> {
        self.finish()
    }

    fn finish(&mut self) -> Result<(), String> {
        let Some(thread) = self.thread.take() else { return Ok(()) };
        self.end_turn();
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
        if self.shared.lock().trouble.is_some() {
            waker.wake()?;
        }
        // waking fails only when the poll has gone, and then nobody waits for the news
        self.set_notify(Box::new(move || waker.wake().unwrap_or(())));
        Ok(())
    }

    fn put(&mut self, ticket: u64, key: &str, value: Option<&str>) {
        Storage::put(self, ticket, key.to_owned(), value.map(str::to_owned));
    }

    fn wait(&mut self, patience: Duration) -> bool {
        self.end_turn();
        // a disk that refuses may do so for long
        let waits = |state: &mut State| state.durable < state.last && state.trouble.is_none();
        let waited = self.shared.tried.wait_timeout_while(self.shared.lock(), patience, waits);
        let state = waited.unwrap_or_else(PoisonError::into_inner).0;
        state.durable >= state.last
    }

    fn on_wake(&mut self, cx: &mut ApiCx<'_>) {
        // what is durable is asked first: what was refused before it is then among the news. What is on the disk is promised whatever
        // the disk says now; beyond a put that was refused, the refusal is told first
        let (kept, durable) = self.progress();
        let (core, mut cx) = cx.core_cx();
        core.on_durable(&mut cx, kept);
        for condition in self.take_news() {
            core.on_storage(&mut cx, condition);
        }
        core.on_durable(&mut cx, durable);
    }

    fn end_turn(&mut self) {
        Storage::end_turn(self);
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        if let Err(problem) = self.finish() {
            eprintln!("imsbox: {problem}");
        }
    }
}

/// Opens or makes the file. One that a disk refuses to open is read, and opened with the next commit: with why it refuses.
fn open_or_read(path: &std::path::Path) -> Result<(StateFile, Records, Option<String>), StorageError> {
    match StateFile::open(path) {
        Ok((file, records)) => Ok((file, records, None)),
        Err(StorageError::Refused(_, why)) => {
            let file = StateFile::closed(path);
            let records = if path.exists() { file::peek(path)? } else { Records::new() };
            Ok((file, records, Some(why)))
        }
        Err(error) => Err(error),
    }
}

/// The thread: waits for changes, commits them together, and keeps those that the disk refuses.
fn run(shared: &Shared, mut file: StateFile) {
    let mut state = shared.lock();
    loop {
        // a disk that refuses is asked again and again: nothing new may come before it takes something
        while state.changes.is_empty() && state.trouble.is_none() && !state.closing {
            state = shared.work.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.changes.is_empty() && state.closing {
            return;
        }
        let closing = state.closing;
        let changes = std::mem::take(&mut state.changes);
        let bytes = std::mem::take(&mut state.bytes);
        let last = state.last;
        drop(state);
        match file.commit(&changes) {
            Ok(()) => {
                // before the lock is taken: the loop may wait for it
                drop(changes);
                state = shared.lock();
                state.on_committed(last);
            }
            Err(problem) => {
                state = shared.lock();
                state.on_refused(problem);
                state.keep(changes, bytes);
            }
        }
        shared.tried.notify_all();
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
mod tests;
