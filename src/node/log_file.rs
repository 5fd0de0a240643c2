//! The log file (manual 5.2 `log_filename`, `log_options`, `log_sync`), written off the loop by a helper thread.
//!
//! A record is formatted into the turn's buffer if its layer wants it, and the turn's buffer is handed to the thread at the
//! turn's end; the buffers go round, so nothing is allocated after warm-up. The queue is bounded: what does not fit is
//! dropped, counted, and said in the log. A disk that fails costs log lines and nothing else.

mod queue;
mod writer;

use crate::api::cx::{LogStatus, Logs};
use crate::api::log_line::{Clock, write_record};
use crate::api::log_options::LogConfig;
use crate::base::time::UnixTime;
use crate::base::trace::{Layer, Level, Record, Sink};
use jiff::tz::TimeZone;
use queue::{Batch, Command, Queue};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use writer::Writer;

/// A turn's records are handed over early once they have this many octets.
const TURN_BYTES: usize = 64 << 10;

/// The log: a trace sink in the loop's thread and, if there is a file, the thread that writes it.
#[derive(Debug)]
pub struct LogFile {
    config: LogConfig,
    stamp: Stamp,
    turn: Batch,
    sync: bool,
    file: Option<Helper>,
}

#[derive(Debug)]
struct Helper {
    path: PathBuf,
    queue: Arc<Queue>,
    thread: Option<JoinHandle<()>>,
}

impl LogFile {
    /// A log without a file: it keeps nothing.
    pub fn none(config: LogConfig) -> LogFile {
        let stamp = Stamp::new(UnixTime::default());
        LogFile { config, stamp, turn: Batch::default(), sync: false, file: None }
    }

    /// Opens the file, writes its header and starts the thread. `start` is when the program began; with `sync` every
    /// record is in the file before [`Sink::record`] returns.
    pub fn open(path: PathBuf, config: LogConfig, sync: bool, start: UnixTime) -> io::Result<LogFile> {
        let queue = Arc::new(Queue::default());
        let mut writer = Writer::open(path.clone(), config.clone(), start)?;
        let theirs = Arc::clone(&queue);
        let thread = std::thread::Builder::new().name("log".to_owned()).spawn(move || writer.run(&theirs))?;
        let file = Some(Helper { path, queue, thread: Some(thread) });
        Ok(LogFile { config, stamp: Stamp::new(start), turn: Batch::default(), sync, file })
    }

    fn command(&mut self, command: Command) {
        self.turn.command(command);
        self.hand_over();
    }

    fn hand_over(&mut self) {
        match &self.file {
            Some(file) => {
                file.queue.push(&mut self.turn);
                if self.sync {
                    file.queue.wait_written();
                }
            }
            None => self.turn.clear(),
        }
    }
}

impl Sink for LogFile {
    fn wants(&self, layer: Layer, level: Level) -> bool {
        self.file.is_some() && self.config.layer(layer).takes(level)
    }

    fn shows_keys(&self, layer: Layer) -> bool {
        self.file.is_some() && self.config.layer(layer).key
    }

    fn record(&mut self, record: &Record<'_>) {
        if !self.wants(record.layer, record.level) {
            return;
        }
        let clock = self.stamp.clock(record.at);
        self.turn.add(|out| write_record(out, record, &self.config, &clock));
        if self.sync || self.turn.len() >= TURN_BYTES {
            self.hand_over();
        }
    }

    fn flush(&mut self) {
        if !self.turn.is_empty() {
            self.hand_over();
        }
    }
}

impl Logs for LogFile {
    fn config(&self) -> &LogConfig {
        &self.config
    }

    fn configure(&mut self, config: LogConfig) {
        if config != self.config {
            self.config = config;
            self.command(Command::Configure(Box::new(self.config.clone())));
        }
    }

    fn cut(&mut self) {
        self.command(Command::Cut);
    }

    fn rotate(&mut self) {
        self.command(Command::Rotate);
    }

    fn status(&self) -> LogStatus {
        match &self.file {
            Some(file) => LogStatus { file: Some(file.path.clone()), ..file.queue.status() },
            None => LogStatus::default(),
        }
    }
}

impl Drop for LogFile {
    fn drop(&mut self) {
        self.flush();
        let Some(file) = &mut self.file else { return };
        file.queue.close();
        if let Some(thread) = file.thread.take() {
            // a panic of the thread has been printed by itself
            let _ = thread.join();
        }
    }
}

/// The local time of records: the zone, and its offset for the quarter of an hour that was last asked for.
#[derive(Debug)]
struct Stamp {
    start: UnixTime,
    zone: TimeZone,
    quarter: Option<i64>,
    offset_secs: i32,
}

impl Stamp {
    fn new(start: UnixTime) -> Self {
        Stamp { start, zone: TimeZone::system(), quarter: None, offset_secs: 0 }
    }

    fn clock(&mut self, at: UnixTime) -> Clock {
        // offsets from UTC change on quarters of an hour only
        let quarter = at.as_secs().div_euclid(900);
        if self.quarter != Some(quarter) {
            let instant = jiff::Timestamp::from_second(at.as_secs());
            self.offset_secs = instant.map_or(0, |t| self.zone.to_offset(t).seconds());
            self.quarter = Some(quarter);
        }
        Clock { start: self.start, utc_offset_secs: self.offset_secs }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::trace::{Dir, Subject};
    use std::fs;
    use std::path::Path;

    fn temp_dir(name: &str) -> PathBuf {
        let dir = std::env::temp_dir().join(format!("imsbox-log-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        dir
    }

    fn open(dir: &Path, options: &str) -> LogFile {
        let (config, _) = LogConfig::parse(options).unwrap();
        LogFile::open(dir.join("ims.log"), config, false, UnixTime::default()).unwrap()
    }

    fn say(log: &mut LogFile, level: Level, text: &str) {
        let text = format_args!("{text}");
        let at = UnixTime::from_micros(1_000_000);
        let (layer, dir, subject) = (Layer::Ims, Dir::None, Subject::None);
        log.record(&Record { at, layer, level, dir, subject, text, content: b"" });
    }

    fn messages(path: &Path) -> Vec<String> {
        let text = fs::read_to_string(path).unwrap();
        text.lines().filter_map(|l| l.split_once("[IMS] - - ")).map(|(_, m)| m.to_owned()).collect()
    }

    fn rotated(dir: &Path) -> Vec<PathBuf> {
        let mut files: Vec<_> = fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
        files.retain(|p| p.file_name().unwrap() != "ims.log");
        files.sort();
        files
    }

    #[test]
    fn records_of_wanted_levels_reach_the_file_below_a_header() {
        let dir = temp_dir("plain");
        let mut log = open(&dir, "all.level=info");
        assert!(log.wants(Layer::Ims, Level::Info) && !log.wants(Layer::Ims, Level::Debug));
        say(&mut log, Level::Info, "one");
        say(&mut log, Level::Debug, "not this");
        say(&mut log, Level::Error, "two");
        drop(log);
        assert_eq!(messages(&dir.join("ims.log")), ["one", "two"]);
        let text = fs::read_to_string(dir.join("ims.log")).unwrap();
        assert!(text.starts_with(concat!("# imsbox ", env!("CARGO_PKG_VERSION"), "\n")), "{text}");
        assert!(text.contains("\n# log_options: all.level=info,"), "{text}");
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_record_is_in_the_file_at_once_when_synchronous() {
        let dir = temp_dir("sync");
        let mut log =
            LogFile::open(dir.join("ims.log"), LogConfig::default(), true, UnixTime::default()).unwrap();
        say(&mut log, Level::Error, "now");
        assert_eq!(messages(&dir.join("ims.log")), ["now"]);
        drop(log);
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn the_file_is_truncated_or_appended_to_as_configured() {
        let dir = temp_dir("append");
        for (options, text) in [("append=1", "a"), ("append=1", "b"), ("append=0", "c")] {
            let mut log = open(&dir, options);
            say(&mut log, Level::Error, text);
            drop(log);
            if text == "b" {
                assert_eq!(messages(&dir.join("ims.log")), ["a", "b"]);
            }
        }
        assert_eq!(messages(&dir.join("ims.log")), ["c"]);
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn rotation_by_count_keeps_every_record_and_repeats_the_header() {
        let dir = temp_dir("count");
        let mut log = open(&dir, "file.rotate=#2");
        for n in 0..5 {
            say(&mut log, Level::Error, &format!("m{n}"));
        }
        drop(log);
        let files = rotated(&dir);
        assert_eq!(files.len(), 2, "{files:?}");
        assert_eq!(messages(&files[0]), ["m0", "m1"]);
        assert_eq!(messages(&files[1]), ["m2", "m3"]);
        assert_eq!(messages(&dir.join("ims.log")), ["m4"]);
        for file in files {
            assert!(fs::read_to_string(file).unwrap().starts_with("# imsbox "));
        }
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn rotation_by_size_goes_to_the_given_folder() {
        let dir = temp_dir("size");
        let mut log = open(&dir, "file.rotate=1K,file.path=old");
        for n in 0..30 {
            say(&mut log, Level::Error, &format!("{n:060}"));
        }
        drop(log);
        let files = rotated(&dir.join("old"));
        assert!(files.len() >= 2, "{files:?}");
        let mut all: Vec<String> = files.iter().flat_map(|f| messages(f)).collect();
        all.extend(messages(&dir.join("ims.log")));
        assert_eq!(all, (0..30).map(|n| format!("{n:060}")).collect::<Vec<_>>());
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn commands_act_between_the_records_they_came_between() {
        let dir = temp_dir("commands");
        let mut log = open(&dir, "");
        say(&mut log, Level::Error, "before");
        log.rotate();
        say(&mut log, Level::Error, "lost");
        log.cut();
        let (config, _) = LogConfig::parse("ims.level=info").unwrap();
        log.configure(config);
        say(&mut log, Level::Info, "after");
        drop(log);
        assert_eq!(messages(&rotated(&dir)[0]), ["before"]);
        assert_eq!(messages(&dir.join("ims.log")), ["after"]);
        let text = fs::read_to_string(dir.join("ims.log")).unwrap();
        assert!(text.contains("ims.level=info"), "{text}");
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_file_that_was_moved_away_is_started_anew() {
        let dir = temp_dir("moved");
        // synchronous, so that the file is where it was when we move it
        let mut log =
            LogFile::open(dir.join("ims.log"), LogConfig::default(), true, UnixTime::default()).unwrap();
        say(&mut log, Level::Error, "old");
        fs::rename(dir.join("ims.log"), dir.join("ims.log.1")).unwrap();
        log.rotate();
        say(&mut log, Level::Error, "new");
        fs::rename(dir.join("ims.log"), dir.join("ims.log.2")).unwrap();
        fs::write(dir.join("ims.log"), "# made by logrotate\n").unwrap();
        log.rotate();
        say(&mut log, Level::Error, "newer");
        drop(log);
        assert_eq!(messages(&dir.join("ims.log.1")), ["old"]);
        assert_eq!(messages(&dir.join("ims.log.2")), ["new"]);
        assert_eq!(messages(&dir.join("ims.log")), ["newer"]);
        assert!(fs::read_to_string(dir.join("ims.log")).unwrap().starts_with("# made by logrotate\n"));
        assert_eq!(rotated(&dir).len(), 2, "nothing was renamed by us");
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_full_disk_is_counted_and_does_not_stop_the_program() {
        let mut log =
            LogFile::open(PathBuf::from("/dev/full"), LogConfig::default(), true, UnixTime::default())
                .unwrap();
        say(&mut log, Level::Error, "one");
        say(&mut log, Level::Error, "two");
        let status = log.status();
        assert_eq!(status.failed, 2);
        assert!(status.last_error.unwrap().contains("/dev/full"));
    }

    #[test]
    fn keys_are_shown_where_the_layer_asks_for_them() {
        let dir = temp_dir("keys");
        let mut log = open(&dir, "ipsec.level=info");
        assert!(!log.shows_keys(Layer::Ipsec));
        log.configure(LogConfig::parse("ipsec.key=1").unwrap().0);
        assert!(log.shows_keys(Layer::Ipsec) && !log.shows_keys(Layer::Ims));
        assert!(!LogFile::none(LogConfig::parse("all.key=1").unwrap().0).shows_keys(Layer::Ipsec));
        drop(log);
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn without_a_file_nothing_is_wanted() {
        let (config, _) = LogConfig::parse("all.level=debug").unwrap();
        let mut log = LogFile::none(config);
        assert!(!log.wants(Layer::Sip, Level::Error));
        log.rotate();
        assert_eq!(log.status(), LogStatus::default());
    }
}
