//! The language of `log_options` (manual 5.2): which layers log what, how lines are stamped, when the file is rotated.
//!
//! A comma-separated list of assignments, shared by the configuration file and the monitor's `log` command. A change is
//! all or nothing. Not here: the file itself (`node::log_file`) and the format of a line (`api::log_line`).

use crate::base::trace::{Layer, Level};
use std::fmt;
use std::path::PathBuf;

/// The names of the layers that `log_options` takes; the first seven in the order of [`Layer::ALL`].
pub const LAYERS: [&str; 8] = ["ims", "sip", "media", "rx", "cx", "ipsec", "sgsap", "n5"];

/// The settings of one layer.
pub const LAYER_SETTINGS: [&str; 6] = ["level", "max_size", "payload", "key", "crypto", "verbose"];

/// The assignments that concern the whole log.
pub const GLOBAL_SETTINGS: [&str; 6] = ["time", "time.us", "file", "file.rotate", "file.path", "append"];

/// The names of the levels, quietest first.
pub const LEVELS: [(&str, Level); 5] = [
    ("none", Level::None),
    ("error", Level::Error),
    ("warn", Level::Warn),
    ("info", Level::Info),
    ("debug", Level::Debug),
];

/// The whole log configuration.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct LogConfig {
    /// One for each name of [`LAYERS`].
    pub layers: [LayerConfig; LAYERS.len()],
    /// How lines are stamped (`time`).
    pub time: TimeFormat,
    /// Microseconds instead of milliseconds (`time.us`).
    pub time_us: bool,
    /// When the file is rotated by itself (`file.rotate`).
    pub rotate: Option<Rotate>,
    /// Where rotated files go (`file.path`); beside the log file when absent.
    pub path: Option<PathBuf>,
    /// Append to an existing file when it is opened (`append`).
    pub append: bool,
}

/// What one layer logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerConfig {
    /// Verbosity.
    pub level: Level,
    /// Octets of binary content shown at debug level; 0 shows no content at all, -1 everything. Text is shown whole.
    pub max_size: i64,
    /// `payload`.
    pub payload: bool,
    /// `key`.
    pub key: bool,
    /// `crypto`.
    pub crypto: bool,
    /// `verbose`.
    pub verbose: bool,
}

impl Default for LayerConfig {
    fn default() -> Self {
        LayerConfig {
            level: Level::Error,
            max_size: 32,
            payload: false,
            key: false,
            crypto: false,
            verbose: false,
        }
    }
}

impl LayerConfig {
    /// Whether a record of this level is kept. The manual's `error` includes warnings.
    pub fn takes(&self, level: Level) -> bool {
        let limit = if self.level == Level::Error { Level::Warn } else { self.level };
        level != Level::None && level <= limit
    }
}

/// How the time of a line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum TimeFormat {
    /// Seconds since the program's start.
    Sec,
    /// Time of day.
    #[default]
    Short,
    /// Date and time of day.
    Full,
}

impl TimeFormat {
    /// The value of `time`.
    pub const fn name(self) -> &'static str {
        match self {
            TimeFormat::Sec => "sec",
            TimeFormat::Short => "short",
            TimeFormat::Full => "full",
        }
    }
}

/// When the log file is rotated by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotate {
    /// When it has this many octets.
    Size(u64),
    /// When it has this many records.
    Count(u64),
}

/// What a text of options asks to be done once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Actions {
    /// `file=cut`: close the file and start it anew.
    pub cut: bool,
    /// `file.rotate=now`: rename the file and start a new one.
    pub rotate: bool,
}

/// Why an assignment was refused, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionError {
    /// Offset of the offence in the text, in octets.
    pub at: usize,
    /// Where the assignment ends.
    pub end: usize,
    /// The assignment.
    pub item: String,
    /// What is wrong with it.
    pub problem: String,
}

impl fmt::Display for OptionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "log options, character {}: {} in \"{}\"", self.at + 1, self.problem, self.item)
    }
}

impl std::error::Error for OptionError {}

impl LogConfig {
    /// The configuration that `text` gives, starting from the defaults.
    pub fn parse(text: &str) -> Result<(LogConfig, Actions), OptionError> {
        let mut config = LogConfig::default();
        let actions = config.apply(text)?;
        Ok((config, actions))
    }

    /// Applies the assignments of `text` in order, or none of them when one is wrong.
    pub fn apply(&mut self, text: &str) -> Result<Actions, OptionError> {
        let mut next = self.clone();
        let mut actions = Actions::default();
        for (start, item) in assignments(text) {
            next.assign_at(start, item, &mut actions)?;
        }
        *self = next;
        Ok(actions)
    }

    /// All that is wrong with `text`.
    pub fn check(text: &str) -> Vec<OptionError> {
        let (mut config, mut actions) = (LogConfig::default(), Actions::default());
        assignments(text)
            .filter_map(|(start, item)| config.assign_at(start, item, &mut actions).err())
            .collect()
    }

    /// The settings of a trace layer.
    pub fn layer(&self, layer: Layer) -> &LayerConfig {
        &self.layers[layer as usize]
    }

    /// One assignment, which stands at `start` of the text.
    fn assign_at(&mut self, start: usize, item: &str, actions: &mut Actions) -> Result<(), OptionError> {
        let failed = |(offset, problem)| OptionError {
            at: start + offset,
            end: start + item.len(),
            item: item.to_owned(),
            problem,
        };
        self.assign(item, actions).map_err(failed)
    }

    /// One assignment; an error is the offset within `item` and what is wrong there.
    fn assign(&mut self, item: &str, actions: &mut Actions) -> Result<(), (usize, String)> {
        let Some((name, value)) = item.split_once('=') else {
            return Err((0, "\"=\" is missing".to_owned()));
        };
        let (name, value_at) = (name.trim_end(), name.len() + 1 + (value.len() - value.trim_start().len()));
        let value = value.trim();
        let at_value = |problem: String| (value_at, problem);
        match name {
            "time" => self.time = parse_time(value).map_err(at_value)?,
            "time.us" => self.time_us = parse_flag(value).map_err(at_value)?,
            "append" => self.append = parse_flag(value).map_err(at_value)?,
            "file" if value == "cut" => actions.cut = true,
            "file" => return Err(at_value("expected cut".to_owned())),
            "file.rotate" if value == "now" => actions.rotate = true,
            "file.rotate" => self.rotate = parse_rotate(value).map_err(at_value)?,
            "file.path" => self.path = (!value.is_empty()).then(|| PathBuf::from(value)),
            _ => self.assign_layer(name, value, value_at)?,
        }
        Ok(())
    }

    fn assign_layer(&mut self, name: &str, value: &str, value_at: usize) -> Result<(), (usize, String)> {
        let Some((layer, setting)) = name.split_once('.') else {
            let known = GLOBAL_SETTINGS.join(", ");
            return Err((0, format!("unknown option (known: <layer>.<setting>, {known})")));
        };
        let chosen: &mut [LayerConfig] = match LAYERS.iter().position(|l| *l == layer) {
            Some(index) => &mut self.layers[index..=index],
            None if layer == "all" => &mut self.layers,
            None => return Err((0, format!("unknown layer (layers: all, {})", LAYERS.join(", ")))),
        };
        if !LAYER_SETTINGS.contains(&setting) {
            let known = LAYER_SETTINGS.join(", ");
            return Err((layer.len() + 1, format!("unknown setting (settings: {known})")));
        }
        for layer in chosen {
            layer.assign(setting, value).map_err(|problem| (value_at, problem))?;
        }
        Ok(())
    }
}

/// The assignments of a text, each with its offset; empty ones are passed over.
fn assignments(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let offset = |item: &str| item.as_ptr() as usize - text.as_ptr() as usize;
    text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(move |item| (offset(item), item))
}

impl LayerConfig {
    /// Sets one of [`LAYER_SETTINGS`] from its text; the error says what is wrong with `value`.
    pub fn assign(&mut self, setting: &str, value: &str) -> Result<(), String> {
        match setting {
            "level" => self.level = parse_level(value)?,
            "max_size" => self.max_size = parse_max_size(value)?,
            "payload" => self.payload = parse_flag(value)?,
            "key" => self.key = parse_flag(value)?,
            "crypto" => self.crypto = parse_flag(value)?,
            "verbose" => self.verbose = parse_flag(value)?,
            _ => return Err(format!("unknown setting (settings: {})", LAYER_SETTINGS.join(", "))),
        }
        Ok(())
    }

    /// The text of one of [`LAYER_SETTINGS`], as [`LayerConfig::assign`] takes it; empty for an unknown name.
    pub fn value(&self, setting: &str) -> String {
        let flag = |on: bool| String::from(if on { "1" } else { "0" });
        match setting {
            "level" => level_name(self.level).to_owned(),
            "max_size" => self.max_size.to_string(),
            "payload" => flag(self.payload),
            "key" => flag(self.key),
            "crypto" => flag(self.crypto),
            "verbose" => flag(self.verbose),
            _ => String::new(),
        }
    }
}

/// Prints the configuration as options that give it again; what is off by default is left out.
impl fmt::Display for LogConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let default = LayerConfig::default();
        for setting in LAYER_SETTINGS {
            let values: [String; LAYERS.len()] = std::array::from_fn(|i| self.layers[i].value(setting));
            let common = most_frequent(&values);
            if matches!(setting, "level" | "max_size") || *common != default.value(setting) {
                write!(f, "all.{setting}={common},")?;
            }
            for (name, value) in LAYERS.iter().zip(&values).filter(|(_, v)| *v != common) {
                write!(f, "{name}.{setting}={value},")?;
            }
        }
        write!(f, "time={}", self.time.name())?;
        if self.time_us {
            f.write_str(",time.us=1")?;
        }
        if let Some(rotate) = self.rotate {
            write!(f, ",file.rotate={rotate}")?;
        }
        if let Some(path) = &self.path {
            write!(f, ",file.path={}", path.display())?;
        }
        if self.append { f.write_str(",append=1") } else { Ok(()) }
    }
}

impl fmt::Display for Rotate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mark, mut n) = match *self {
            Rotate::Size(n) => ("", n),
            Rotate::Count(n) => ("#", n),
        };
        let mut unit = "";
        for next in ["K", "M", "G"] {
            if n == 0 || n % 1024 != 0 {
                break;
            }
            (n, unit) = (n / 1024, next);
        }
        write!(f, "{mark}{n}{unit}")
    }
}

/// The name of a level in `log_options`.
pub fn level_name(level: Level) -> &'static str {
    LEVELS.iter().find(|(_, l)| *l == level).map_or("none", |(name, _)| name)
}

/// The level of this name; the error lists the names.
pub fn parse_level(text: &str) -> Result<Level, String> {
    let found = LEVELS.iter().find(|(name, _)| *name == text);
    found.map(|(_, level)| *level).ok_or_else(|| {
        let names: Vec<&str> = LEVELS.iter().map(|(name, _)| *name).collect();
        format!("unknown level (levels: {})", names.join(", "))
    })
}

/// Reads the value of `file.rotate`: octets, or records after `#`, with K, M or G for powers of 1024; 0 is never.
pub fn parse_rotate(text: &str) -> Result<Option<Rotate>, String> {
    let (count, number) = text.strip_prefix('#').map_or((false, text), |rest| (true, rest));
    let (digits, shift) = match number.as_bytes().last() {
        Some(b'K' | b'k') => (&number[..number.len() - 1], 10),
        Some(b'M' | b'm') => (&number[..number.len() - 1], 20),
        Some(b'G' | b'g') => (&number[..number.len() - 1], 30),
        _ => (number, 0),
    };
    let wrong = || "expected now, <size>[K|M|G] or #<count>[K|M|G]".to_owned();
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(wrong());
    }
    let n = digits.parse::<u64>().ok().and_then(|n| n.checked_mul(1 << shift)).ok_or_else(wrong)?;
    Ok(match (n, count) {
        (0, _) => None,
        (n, true) => Some(Rotate::Count(n)),
        (n, false) => Some(Rotate::Size(n)),
    })
}

fn parse_flag(text: &str) -> Result<bool, String> {
    match text {
        "0" | "false" => Ok(false),
        "1" | "true" => Ok(true),
        _ => Err("expected 0 or 1".to_owned()),
    }
}

fn parse_time(text: &str) -> Result<TimeFormat, String> {
    let all = [TimeFormat::Sec, TimeFormat::Short, TimeFormat::Full];
    all.into_iter().find(|t| t.name() == text).ok_or_else(|| "expected sec, short or full".to_owned())
}

fn parse_max_size(text: &str) -> Result<i64, String> {
    match text.parse::<i64>() {
        Ok(n) if n >= -1 => Ok(n),
        _ => Err("expected a number of octets, or -1 for all".to_owned()),
    }
}

fn most_frequent(values: &[String; LAYERS.len()]) -> &String {
    let count = |v: &String| values.iter().filter(|w| *w == v).count();
    let mut best = &values[0];
    for value in values {
        if count(value) > count(best) {
            best = value;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_of_the_manual_is_taken() {
        let text = "all.level=info, all.max_size=-1,sip.level=debug,sip.max_size=1,rx.payload=1,rx.key=true,cx.crypto=1,\
                    n5.level=none,ipsec.verbose=1,time=full,time.us=1,file.rotate=20M,file.path=/var/log/old,append=1,";
        let (config, actions) = LogConfig::parse(text).unwrap();
        assert_eq!(actions, Actions::default());
        assert_eq!(config.layer(Layer::Sip).level, Level::Debug);
        assert_eq!(config.layer(Layer::Sip).max_size, 1);
        assert_eq!(config.layer(Layer::Ims).level, Level::Info);
        assert_eq!(config.layer(Layer::Ims).max_size, -1);
        assert!(config.layer(Layer::Rx).payload && config.layer(Layer::Rx).key);
        assert!(config.layer(Layer::Cx).crypto && !config.layer(Layer::Cx).key);
        assert_eq!(config.layers[7].level, Level::None);
        assert!(config.layer(Layer::Ipsec).verbose);
        assert_eq!((config.time, config.time_us), (TimeFormat::Full, true));
        assert_eq!(config.rotate, Some(Rotate::Size(20 << 20)));
        assert_eq!(config.path, Some(PathBuf::from("/var/log/old")));
        assert!(config.append);
    }

    #[test]
    fn later_assignments_win_and_a_change_keeps_the_rest() {
        let (mut config, _) = LogConfig::parse("sip.level=debug,all.level=info").unwrap();
        assert_eq!(config.layer(Layer::Sip).level, Level::Info);
        config.apply("media.level=debug").unwrap();
        assert_eq!(config.layer(Layer::Media).level, Level::Debug);
        assert_eq!(config.layer(Layer::Sip).level, Level::Info);
    }

    #[test]
    fn actions_are_told_apart_from_settings() {
        let (config, actions) = LogConfig::parse("file=cut,file.rotate=now").unwrap();
        assert_eq!(actions, Actions { cut: true, rotate: true });
        assert_eq!(config, LogConfig::default());
    }

    #[test]
    fn rotation_takes_sizes_counts_and_zero_for_never() {
        assert_eq!(parse_rotate("4096"), Ok(Some(Rotate::Size(4096))));
        assert_eq!(parse_rotate("1G"), Ok(Some(Rotate::Size(1 << 30))));
        assert_eq!(parse_rotate("#10K"), Ok(Some(Rotate::Count(10240))));
        assert_eq!(parse_rotate("0"), Ok(None));
        for wrong in ["", "K", "-1", "1T", "#", "+3", "99999999999999999999", "18446744073709551615K"] {
            assert!(parse_rotate(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn errors_name_the_offence_and_its_place() {
        for (text, at, problem) in [
            ("sip.level=loud", 10, "unknown level"),
            ("all.level=info, foo.level=info", 16, "unknown layer"),
            ("sip.colour=1", 4, "unknown setting"),
            ("verbose", 0, "\"=\" is missing"),
            ("speed=1", 0, "unknown option"),
            ("time=long", 5, "expected sec, short or full"),
            ("time.us= 2", 9, "expected 0 or 1"),
            ("file=keep", 5, "expected cut"),
            ("file.rotate=often", 12, "expected now"),
            ("all.max_size=-2", 13, "expected a number of octets"),
            ("append=", 7, "expected 0 or 1"),
        ] {
            let error = LogConfig::parse(text).unwrap_err();
            assert_eq!(error.at, at, "{text}");
            assert!(error.problem.starts_with(problem), "{error}");
        }
        let error = LogConfig::parse("sip.level=loud").unwrap_err().to_string();
        assert!(
            error.starts_with("log options, character 11: unknown level (levels: none, error,"),
            "{error}"
        );
    }

    #[test]
    fn a_wrong_change_changes_nothing() {
        let mut config = LogConfig::default();
        config.apply("all.level=debug,sip.level=loud").unwrap_err();
        assert_eq!(config, LogConfig::default());
    }

    #[test]
    fn what_is_printed_gives_the_same_configuration_again() {
        for text in [
            "",
            "all.level=debug,all.max_size=0,sip.max_size=1,time=sec",
            "sip.level=debug,all.payload=1,rx.payload=0,time.us=1,file.rotate=#10K,file.path=/tmp/x,append=1",
            "cx.verbose=1,file.rotate=1000",
        ] {
            let (config, _) = LogConfig::parse(text).unwrap();
            assert_eq!(LogConfig::parse(&config.to_string()).unwrap().0, config, "{text}");
        }
        let (config, _) = LogConfig::parse("sip.level=debug").unwrap();
        assert_eq!(config.to_string(), "all.level=error,sip.level=debug,all.max_size=32,time=short");
    }

    #[test]
    fn the_error_level_includes_warnings() {
        let layer = LayerConfig { level: Level::Error, ..LayerConfig::default() };
        assert!(layer.takes(Level::Error) && layer.takes(Level::Warn) && !layer.takes(Level::Info));
        let layer = LayerConfig { level: Level::None, ..LayerConfig::default() };
        assert!(!layer.takes(Level::Error) && !layer.takes(Level::None));
    }

    #[test]
    fn names_follow_the_trace_layers() {
        for layer in Layer::ALL {
            assert_eq!(LAYERS[layer as usize], layer.name());
        }
    }
}
