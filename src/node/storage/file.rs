//! The state file itself: one table of text records in an embedded store, checked whole when it is opened.

use super::{Changes, Records};
use redb::{Database, DatabaseError, ReadableDatabase, ReadableTable, TableDefinition};
use std::fmt;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

const RECORDS: TableDefinition<'static, &str, &str> = TableDefinition::new("records");
const META: TableDefinition<'static, &str, &str> = TableDefinition::new("meta");

/// The version of the records, under `format` in the table `meta`.
const FORMAT: &str = "1";

/// Memory for pages of the file.
const CACHE_BYTES: usize = 16 << 20;

/// The version of a file, if it has any, and its records.
type Contents = (Option<String>, Records);

/// Why the state file cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub enum StorageError {
    /// It is damaged or no state file.
    Damaged(PathBuf, String),
    /// It is of another version.
    Version(PathBuf, String),
    /// Another process has it open.
    InUse(PathBuf),
    /// The system refused.
    Io(PathBuf, String),
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
            StorageError::Io(path, why) => write!(f, "state file {}: {why}", path.display()),
        }
    }
}

impl std::error::Error for StorageError {}

/// The open file.
#[derive(Debug)]
pub(super) struct StateFile {
    path: PathBuf,
    /// None after a failed commit: the store must be opened again before the next attempt.
    store: Option<Database>,
}

impl StateFile {
    /// Opens and checks the file, or makes a new one that only its owner reads.
    pub(super) fn open(path: &Path) -> Result<StateFile, StorageError> {
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
            Ok(_) => {}
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(StorageError::Io(path.to_owned(), e.to_string())),
        }
        let store = open_store(path).map_err(|e| explain(path, e))?;
        Ok(StateFile { path: path.to_owned(), store: Some(store) })
    }

    /// A file as after a failed commit: to be opened again.
    #[cfg(test)]
    pub(super) fn closed(path: &Path) -> StateFile {
        StateFile { path: path.to_owned(), store: None }
    }

    /// All records in key order.
    pub(super) fn load(&self) -> Result<Records, StorageError> {
        let version = self.read().map_err(|e| explain_store(&self.path, e))?;
        match version {
            (Some(version), _) if version != FORMAT => Err(StorageError::Version(self.path.clone(), version)),
            (_, records) => Ok(records),
        }
    }

    fn read(&self) -> Result<Contents, redb::Error> {
        let Some(store) = &self.store else { return Ok((None, Vec::new())) };
        let transaction = store.begin_read()?;
        let meta = match transaction.open_table(META) {
            // a file that was made and never written to
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok((None, Vec::new())),
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

    /// Stores all changes in one durable transaction, or none of them; the error is in words.
    pub(super) fn commit(&mut self, changes: &Changes) -> Result<(), String> {
        let done = self.try_commit(changes);
        if done.is_err() {
            // after a failed write the store trusts its memory no more
            self.store = None;
        }
        done.map_err(|e| e.to_string())
    }

    fn try_commit(&mut self, changes: &Changes) -> Result<(), redb::Error> {
        let store = match self.store.take() {
            Some(store) => store,
            None => open_store(&self.path)?,
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
}

fn open_store(path: &Path) -> Result<Database, DatabaseError> {
    Database::builder().set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true).create(path)
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
        redb::Error::Io(e) if e.kind() != std::io::ErrorKind::InvalidData => {
            StorageError::Io(path.to_owned(), e.to_string())
        }
        other => StorageError::Damaged(path.to_owned(), other.to_string()),
    }
}
