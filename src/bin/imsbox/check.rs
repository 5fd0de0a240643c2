//! `imsbox check`, and the reading of a configuration that `run` shares with it.

use crate::args::Show;
use crate::disk::Disk;
use crate::{Exit, say};
use imsbox::api::log_options::LogConfig;
use imsbox::config::{self, Diagnostic, Loaded, Severity};
use std::path::Path;

/// Says everything that is wrong with the configuration, and prints what is asked for.
pub fn check(show: Show, path: &Path) -> Exit {
    let loaded = read(path);
    print_diagnostics(&loaded.diagnostics);
    match (show, &loaded.document) {
        (Show::Json, Some(document)) => say(&(config::to_json(document) + "\n")),
        (Show::Effective, Some(_)) => say(&config::effective(&loaded)),
        _ => Exit::Ok,
    };
    let Some(config) = &loaded.config else {
        eprintln!("{}", summary_of_errors(&loaded, path));
        return Exit::Failed;
    };
    if show == Show::Summary {
        let users = crate::banner::count(config.users.len(), "user");
        say(&format!("{}: correct, {users}, {}\n", path.display(), warnings(&loaded)));
    }
    Exit::Ok
}

/// Prints the reference of all properties.
pub fn properties() -> Exit {
    say(&config::properties())
}

/// Reads a configuration from the disk, with what is wrong in its `log_options`, which has a language of its own.
pub fn read(path: &Path) -> Loaded {
    let mut loaded = config::load(path, &Disk);
    for error in loaded.text("log_options").map(LogConfig::check).unwrap_or_default() {
        loaded.complain("log_options", error.at..error.end, error.problem);
    }
    loaded
}

/// Prints what was said about a configuration, each with its place.
pub fn print_diagnostics(diagnostics: &[Diagnostic]) {
    for diagnostic in diagnostics {
        eprintln!("{diagnostic}");
    }
}

/// The last line when the configuration cannot be used.
pub fn summary_of_errors(loaded: &Loaded, path: &Path) -> String {
    let errors = loaded.diagnostics.iter().filter(|d| d.severity == Severity::Error).count();
    format!("{}: {}", path.display(), crate::banner::count(errors, "error"))
}

fn warnings(loaded: &Loaded) -> String {
    let warnings = loaded.diagnostics.iter().filter(|d| d.severity == Severity::Warning).count();
    match warnings {
        0 => "no warnings".to_owned(),
        n => crate::banner::count(n, "warning"),
    }
}
