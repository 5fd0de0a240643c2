//! The thread that owns the log file: it writes batches, rotates, and survives a disk that does not take what it gets.

use super::Stamp;
use super::queue::{Batch, Command, Queue};
use crate::api::log_line::write_record;
use crate::api::log_options::{LogConfig, Rotate};
use crate::base::time::UnixTime;
use crate::base::trace::{Dir, Layer, Level, Record, Subject};
use jiff::Zoned;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// The file and where it stands.
#[derive(Debug)]
pub(super) struct Writer {
    path: PathBuf,
    config: LogConfig,
    stamp: Stamp,
    file: File,
    /// Octets and records in the file.
    size: u64,
    count: u64,
    /// The last octet that was written is not a line's end: a write was cut short.
    mid_line: bool,
    /// Records lost since the last write that succeeded.
    lost: u64,
    /// Records lost in this batch, and why.
    failed: u64,
    error: Option<String>,
}

impl Writer {
    /// Opens the file as the configuration says and writes the header.
    pub(super) fn open(path: PathBuf, config: LogConfig, start: UnixTime) -> io::Result<Writer> {
        let file = open_file(&path, config.append)?;
        let size = file.metadata()?.len();
        let stamp = Stamp::new(start);
        let mut writer = Writer {
            path,
            config,
            stamp,
            file,
            size,
            count: 0,
            mid_line: false,
            lost: 0,
            failed: 0,
            error: None,
        };
        writer.write_header();
        Ok(writer)
    }

    /// Writes what comes until the queue is closed.
    pub(super) fn run(&mut self, queue: &Queue) {
        let mut batch = Batch::default();
        while let Some((pushed, dropped)) = queue.pop(&mut batch) {
            self.write_batch(&mut batch);
            if dropped > 0 {
                self.say(format_args!("{dropped} log lines dropped: more came than the disk takes"));
            }
            queue.written(pushed, std::mem::take(&mut self.failed), self.error.take());
            batch.clear();
        }
    }

    fn write_batch(&mut self, batch: &mut Batch) {
        let commands: Vec<(usize, Command)> = batch.take_commands().collect();
        let mut next = 0;
        for (after, command) in commands {
            self.write_records(batch, next..after);
            next = after;
            match command {
                Command::Configure(config) => {
                    self.config = *config;
                    self.write_header();
                }
                Command::Cut => self.start_file(false),
                Command::Rotate => self.rotate(),
            }
        }
        self.write_records(batch, next..batch.ends().len());
    }

    /// Writes records in as few pieces as rotation allows.
    fn write_records(&mut self, batch: &Batch, records: std::ops::Range<usize>) {
        let ends = batch.ends();
        let start_of = |record: usize| record.checked_sub(1).map_or(0, |before| ends[before]);
        let mut first = records.start;
        for record in records.clone() {
            let octets = (ends[record] - start_of(first)) as u64;
            let count = (record + 1 - first) as u64;
            let full = match self.config.rotate {
                Some(Rotate::Size(limit)) => self.size + octets >= limit,
                Some(Rotate::Count(limit)) => self.count + count >= limit,
                None => false,
            };
            if full {
                self.write(&batch.bytes()[start_of(first)..ends[record]], count);
                first = record + 1;
                self.rotate();
            }
        }
        if first < records.end {
            let octets = &batch.bytes()[start_of(first)..ends[records.end - 1]];
            self.write(octets, (records.end - first) as u64);
        }
    }

    /// Writes `records` records, and how many were lost before if the disk takes them again.
    fn write(&mut self, octets: &[u8], records: u64) {
        if self.mid_line && self.put(b"\n").is_ok() {
            self.mid_line = false;
        }
        match self.put(octets) {
            Ok(()) => {
                self.count += records;
                if self.lost > 0 {
                    let lost = std::mem::take(&mut self.lost);
                    self.say(format_args!("{lost} log lines lost before: they could not be written"));
                }
            }
            Err(e) => {
                self.failed += records;
                if self.lost == 0 {
                    eprintln!("imsbox: cannot write the log {}: {e}", self.path.display());
                }
                self.lost += records;
                self.error = Some(format!("writing {}: {e}", self.path.display()));
            }
        }
    }

    fn put(&mut self, mut octets: &[u8]) -> io::Result<()> {
        while !octets.is_empty() {
            match self.file.write(octets) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => {
                    self.size += n as u64;
                    self.mid_line = octets[n - 1] != b'\n';
                    octets = &octets[n..];
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// Logs a line of the log's own.
    fn say(&mut self, text: std::fmt::Arguments<'_>) {
        let at = UnixTime::from_micros(jiff::Timestamp::now().as_microsecond());
        let (layer, level) = (Layer::Ims, Level::Error);
        let record = Record { at, layer, level, dir: Dir::None, subject: Subject::None, text, content: b"" };
        let mut line = Vec::new();
        write_record(&mut line, &record, &self.config, &self.stamp.clock(at));
        // if this fails too, the next write says so
        let _ = self.put(&line);
    }

    fn write_header(&mut self) {
        let started = jiff::Timestamp::from_microsecond(self.stamp.start.as_micros()).unwrap_or_default();
        let started = started.to_zoned(self.stamp.zone.clone());
        let header = format!(
            "# imsbox {}\n# started {}, this header {}\n# log_options: {}\n",
            env!("CARGO_PKG_VERSION"),
            started.strftime("%F %T %:z"),
            Zoned::now().strftime("%F %T %:z"),
            self.config
        );
        if let Err(e) = self.put(header.as_bytes()) {
            self.error = Some(format!("writing {}: {e}", self.path.display()));
        }
    }

    /// Opens the path again, empty unless `append`; on failure the old file goes on.
    fn start_file(&mut self, append: bool) {
        match open_file(&self.path, append) {
            Ok(file) => {
                self.size = file.metadata().map_or(0, |found| found.len());
                (self.file, self.count, self.mid_line) = (file, 0, false);
                self.write_header();
            }
            Err(e) => self.complain(format!("opening {}: {e}", self.path.display())),
        }
    }

    /// Renames the file with a time stamp and starts a new one; on failure the old one goes on for another such length.
    /// When another program has moved it away already, as logrotate(8) does, there is only a new one to start.
    fn rotate(&mut self) {
        if !self.is_at_its_path() {
            return self.start_file(true);
        }
        match self.rename() {
            Ok(()) => self.start_file(false),
            Err(e) => {
                (self.size, self.count) = (0, 0);
                self.complain(format!("rotating {}: {e}", self.path.display()));
            }
        }
    }

    fn is_at_its_path(&self) -> bool {
        let name = |found: fs::Metadata| (found.dev(), found.ino());
        match (fs::metadata(&self.path), self.file.metadata()) {
            (Ok(at_path), Ok(open)) => name(at_path) == name(open),
            _ => false,
        }
    }

    fn rename(&self) -> io::Result<()> {
        let beside = self.path.parent().unwrap_or(Path::new(""));
        let folder = self.config.path.as_ref().map_or(beside.to_owned(), |path| beside.join(path));
        fs::create_dir_all(&folder)?;
        let name = self.path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_string_lossy();
        let stamped = format!("{name}.{}", Zoned::now().strftime("%Y%m%d-%H%M%S"));
        let target = free_name(&folder, &stamped)?;
        match fs::rename(&self.path, &target) {
            Err(e) if e.kind() == io::ErrorKind::CrossesDevices => {
                fs::copy(&self.path, &target)?;
                fs::remove_file(&self.path)
            }
            done => done,
        }
    }

    fn complain(&mut self, problem: String) {
        self.say(format_args!("log: {problem}"));
        self.error = Some(problem);
    }
}

fn open_file(path: &Path, append: bool) -> io::Result<File> {
    // always in append mode: another program that truncates the file does not leave a hole
    let file = OpenOptions::new().create(true).append(true).open(path)?;
    if !append && file.metadata()?.is_file() {
        file.set_len(0)?;
    }
    Ok(file)
}

/// `name` in `folder`, with `.1`, `.2`, … when it is taken: rotations of one second.
fn free_name(folder: &Path, name: &str) -> io::Result<PathBuf> {
    let numbered = (1..10_000).map(|n| folder.join(format!("{name}.{n:04}")));
    let mut candidates = std::iter::once(folder.join(name)).chain(numbered);
    candidates.find(|path| !path.exists()).ok_or_else(|| io::ErrorKind::AlreadyExists.into())
}
