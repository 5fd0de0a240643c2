//! The state file itself: one table of text records in an embedded store, checked whole when it is opened.

use super::{Changes, Records};
use redb::backends::{FileBackend, InMemoryBackend};
use redb::{Database, DatabaseError, ReadableDatabase, ReadableTable, StorageBackend as _, TableDefinition};
use std::fmt;
use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

const RECORDS: TableDefinition<'static, &str, &str> = TableDefinition::new("records");
const META: TableDefinition<'static, &str, &str> = TableDefinition::new("meta");

/// The version of the records, under `format` in the table `meta`.
const FORMAT: &str = "1";

/// Memory for pages of the file.
const CACHE_BYTES: usize = 16 << 20;

/// Damaged files that may lie beside the state file.
const MAX_SET_ASIDE: usize = 1000;
/// How often a file is read again that somebody was writing to.
const MAX_TORN: usize = 16;
/// The octets by which a file is known that is nothing but zeros.
const LOOKED_AT: u64 = 1 << 20;
/// Permissions of a file that holds keys.
const OWNER_ALONE: u32 = 0o600;
/// How the store's files begin.
const STORE: &[u8] = b"redb";
/// How the store says that its file is of a version that it does not know.
const NEWER_STORE: &str = "Expected file format version";
/// In the place of the version of a store that holds other tables than ours.
const FOREIGN: &str = "of another program's";

/// Why a file that is gone is not made anew.
const REMOVED: &str = "the file was removed while imsbox runs with it: put it back, or start imsbox again, which begins an empty one";
/// Why a file that is there is not written to.
const REPLACED: &str = "another file is in the place of the one that imsbox runs with: put that one back, or start imsbox again, which goes on \
                        with the one that is there";

/// The version of a file, if it has any, and its records.
type Contents = (Option<String>, Records);

/// Why the state file cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub enum StorageError {
    /// It is damaged, or no state file at all: why.
    Damaged(PathBuf, String),
    /// It is of another version.
    Version(PathBuf, String),
    /// Another process has it open.
    InUse(PathBuf),
    /// The system refused, for good.
    Io(PathBuf, String),
    /// The disk does not take anything now: it is full or read-only.
    Refused(PathBuf, String),
}

impl fmt::Display for StorageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StorageError::Damaged(path, why) => {
                let path = path.display();
                write!(f, "state file {path} is damaged or is no state file ({why}). It is left as it is: ")?;
                write!(
                    f,
                    "move it away (mv {path} {path}.damaged) and start again, and the phones register anew"
                )
            }
            StorageError::Version(path, version) => {
                let path = path.display();
                write!(f, "state file {path} has format {version}, this program writes format {FORMAT}: ")?;
                write!(f, "use the program that wrote it, or move it away, and the phones register anew")
            }
            StorageError::InUse(path) => {
                write!(f, "state file {} is in use: another imsbox runs with it", path.display())
            }
            StorageError::Io(path, why) | StorageError::Refused(path, why) => {
                write!(f, "state file {}: {why}", path.display())
            }
        }
    }
}

impl std::error::Error for StorageError {}

/// Which file it is, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    fn of(metadata: &Metadata) -> Identity {
        Identity { device: metadata.dev(), inode: metadata.ino() }
    }
}

/// The file that may be opened. What is in another has not been read: its state would be mixed with that of this run, or an empty one
/// (under a mount that has gone) taken for the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    /// Whatever is there: nothing was opened yet.
    Any,
    /// One that is made now, or empty: this run began without one.
    Nothing,
    /// This one.
    This(Identity),
}

/// The open file.
#[derive(Debug)]
pub(super) struct StateFile {
    path: PathBuf,
    expected: Expected,
    /// None after a failed commit, and when the disk refuses: the store must be opened again before the next attempt.
    store: Option<Database>,
    /// Nothing was in the file yet: what a failed attempt has left in it is nothing either.
    is_new: bool,
}

impl StateFile {
    /// Opens and checks the file, or makes a new one that only its owner reads. With its records in key order.
    pub(super) fn open(path: &Path) -> Result<(StateFile, Records), StorageError> {
        let mut file =
            StateFile { path: path.to_owned(), expected: Expected::Any, store: None, is_new: false };
        let store = file.open_store().map_err(|e| explain(path, e))?;
        let records = checked(path, read(&store))?;
        file.hide().map_err(|e| io_error(path, &e))?;
        file.store = Some(store);
        Ok((file, records))
    }

    /// A file that is opened with the next commit: the one that is there now, or a new one.
    pub(super) fn closed(path: &Path) -> StateFile {
        let found = fs::metadata(path);
        let expected = found.as_ref().map_or(Expected::Nothing, |found| Expected::This(Identity::of(found)));
        let is_new = found.is_ok_and(|found| found.len() == 0);
        StateFile { path: path.to_owned(), expected, store: None, is_new }
    }

    /// Takes a file that is known to be ours from others' eyes: it holds keys.
    fn hide(&self) -> io::Result<()> {
        if fs::metadata(&self.path)?.permissions().mode() & 0o077 != 0 {
            // one whose permissions are another's to change is as open as its owner wants it
            let _ = fs::set_permissions(&self.path, Permissions::from_mode(OWNER_ALONE));
        }
        Ok(())
    }

    /// Opens the file that is expected, or makes it where there was none with anything in it.
    fn open_file(&mut self) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).mode(OWNER_ALONE);
        let may_be_made = self.is_new || !matches!(self.expected, Expected::This(_));
        let made = may_be_made.then(|| options.clone().create_new(true).open(&self.path));
        let (file, is_made) = match made {
            Some(Ok(file)) => (file, true),
            Some(Err(e)) if e.kind() != ErrorKind::AlreadyExists => return Err(e),
            _ => (options.open(&self.path).map_err(missing)?, false),
        };
        let metadata = file.metadata()?;
        let (found, is_empty) = (Expected::This(Identity::of(&metadata)), metadata.len() == 0);
        let is_expected = match self.expected {
            Expected::Any => true,
            Expected::Nothing => is_empty,
            Expected::This(_) => is_made || self.expected == found,
        };
        if !is_expected {
            return Err(io::Error::other(REPLACED));
        }
        self.expected = found;
        self.is_new |= is_made || is_empty;
        if self.is_new {
            sync_folder(&self.path)?;
        }
        Ok(file)
    }

    fn open_store(&mut self) -> Result<Database, DatabaseError> {
        let file = self.open_file()?;
        let ours = file.try_clone()?;
        let opened = builder().create_with_backend(FileBackend::new(file)?);
        match &opened {
            Ok(_) => self.is_new = false,
            // another program has begun it meanwhile
            Err(DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch) => {}
            Err(_) if self.is_new => {
                // half a beginning would look like damage
                let _ = ours.set_len(0);
            }
            Err(_) => {}
        }
        opened
    }

    /// Stores all changes in one durable transaction, or none of them; the error is in words.
    pub(super) fn commit(&mut self, changes: &Changes) -> Result<(), String> {
        let done = self.try_commit(changes);
        if done.is_err() {
            // after a failed write the store trusts its memory no more
            self.store = None;
        }
        done.map_err(|e| e.to_string())?;
        self.check_place().map_err(str::to_owned)
    }

    fn try_commit(&mut self, changes: &Changes) -> Result<(), redb::Error> {
        let store = match self.store.take() {
            Some(store) => store,
            None => {
                let store = self.open_store()?;
                self.hide()?;
                store
            }
        };
        let transaction = store.begin_write()?;
        {
            transaction.open_table(META)?.insert("format", FORMAT)?;
            let mut records = transaction.open_table(RECORDS)?;
            for (key, value) in changes {
                match value {
                    Some(value) => records.insert(key.as_str(), value.as_str())?,
                    None => records.remove(key.as_str())?,
                };
            }
        }
        transaction.commit()?;
        self.store = Some(store);
        Ok(())
    }

    /// What was committed is of use where the next start looks for it. The store stays open: a file that is put back has everything.
    fn check_place(&self) -> Result<(), &'static str> {
        match fs::metadata(&self.path) {
            Ok(found) if self.expected != Expected::This(Identity::of(&found)) => Err(REPLACED),
            Err(e) if e.kind() == ErrorKind::NotFound => Err(REMOVED),
            // who may not look may write all the same
            Ok(_) | Err(_) => Ok(()),
        }
    }
}

fn missing(error: io::Error) -> io::Error {
    match error.kind() {
        ErrorKind::NotFound => io::Error::new(ErrorKind::NotFound, REMOVED),
        _ => error,
    }
}

/// Has the name of a file on the disk: without that a power loss takes what is in it.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.or_else(|e| match e.kind() {
        // who may not read the folder may have a file there all the same, and some file systems sync names by themselves
        ErrorKind::PermissionDenied | ErrorKind::InvalidInput | ErrorKind::Unsupported => Ok(()),
        _ => Err(e),
    })
}

/// Moves a damaged file out of the way, under a name that nothing has yet. The name.
pub(super) fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let name = |n: usize| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".damaged-{n}"));
        PathBuf::from(name)
    };
    let is_free = |path: &PathBuf| fs::symlink_metadata(path).is_err_and(|e| e.kind() == ErrorKind::NotFound);
    let free = (1..=MAX_SET_ASIDE).map(name).find(is_free);
    let free = free.ok_or_else(|| io::Error::other("too many damaged files lie there already"))?;
    fs::rename(path, &free)?;
    sync_folder(path)?;
    Ok(free)
}

/// Whether what cannot be read can be a state file that was damaged: it begins as one, or is what a power loss leaves of one (zeros, or
/// less than a beginning). All else is somebody's file that the configuration names by mistake.
pub(super) fn may_be_ours(path: &Path) -> bool {
    let mut start = Vec::new();
    let read = File::open(path).and_then(|file| file.take(LOOKED_AT).read_to_end(&mut start));
    let is_zero = |octet: &u8| *octet == 0;
    read.is_ok() && (start.starts_with(STORE) || STORE.starts_with(&start) || start.iter().all(is_zero))
}

/// The records of a file that another process may be writing to, or that can be read only: of its octets as they are now. None is
/// changed.
pub(super) fn peek(path: &Path) -> Result<Records, StorageError> {
    let mut torn = 0;
    loop {
        let octets = fs::read(path).map_err(|e| io_error(path, &e))?;
        match records_in(path, &octets) {
            // somebody has written between the first octet and the last
            Err(StorageError::Damaged(..)) if torn < MAX_TORN => torn += 1,
            outcome => return outcome,
        }
    }
}

fn records_in(path: &Path, octets: &[u8]) -> Result<Records, StorageError> {
    if octets.is_empty() {
        return Ok(Vec::new());
    }
    let memory = InMemoryBackend::new();
    let filled = memory.set_len(octets.len() as u64).and_then(|()| memory.write(0, octets));
    filled.map_err(|e| StorageError::Io(path.to_owned(), format!("{e:?}")))?;
    let store = builder().create_with_backend(memory).map_err(|e| explain(path, e))?;
    checked(path, read(&store))
}

fn builder() -> redb::Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true);
    builder
}

fn read(store: &Database) -> Result<Contents, redb::Error> {
    let transaction = store.begin_read()?;
    let meta = match transaction.open_table(META) {
        // a file that was made and never written to
        Err(redb::TableError::TableDoesNotExist(_)) if transaction.list_tables()?.next().is_none() => {
            return Ok((None, Vec::new()));
        }
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok((Some(FOREIGN.to_owned()), Vec::new())),
        table => table?,
    };
    let version = meta.get("format")?.map(|v| v.value().to_owned());
    let table = transaction.open_table(RECORDS)?;
    let mut records = Vec::new();
    for entry in table.iter()? {
        let (key, value) = entry?;
        records.push((key.value().to_owned(), value.value().to_owned()));
    }
    Ok((version, records))
}

fn checked(path: &Path, contents: Result<Contents, redb::Error>) -> Result<Records, StorageError> {
    match contents.map_err(|e| explain_store(path, e))? {
        (Some(version), _) if version != FORMAT => Err(StorageError::Version(path.to_owned(), version)),
        (_, records) => Ok(records),
    }
}

fn explain(path: &Path, error: DatabaseError) -> StorageError {
    match error {
        DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
            StorageError::InUse(path.to_owned())
        }
        DatabaseError::UpgradeRequired(version) => {
            StorageError::Version(path.to_owned(), version.to_string())
        }
        other => explain_store(path, other.into()),
    }
}

fn explain_store(path: &Path, error: redb::Error) -> StorageError {
    match error {
        redb::Error::Io(e) if e.kind() != ErrorKind::InvalidData => io_error(path, &e),
        // the store's own format may be a newer one, too
        redb::Error::Corrupted(why) if why.starts_with(NEWER_STORE) => {
            StorageError::Version(path.to_owned(), format!("of a newer store ({why})"))
        }
        other => StorageError::Damaged(path.to_owned(), other.to_string()),
    }
}

/// What may pass (a disk that is full, or mounted read-only, or a folder that is another's) and what will not.
fn io_error(path: &Path, error: &io::Error) -> StorageError {
    use ErrorKind::{FileTooLarge, PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    match error.kind() {
        FileTooLarge | PermissionDenied | QuotaExceeded | ReadOnlyFilesystem | StorageFull => {
            StorageError::Refused(path.to_owned(), error.to_string())
        }
        _ => StorageError::Io(path.to_owned(), error.to_string()),
    }
}
