//! The configuration from its files to the typed result: the language, the checks, the messages, the samples.

use imsbox::config::{Files, Loaded, Severity, load};
use std::path::{Path, PathBuf};

/// Files of the repository.
struct Repository;

impl Files for Repository {
    fn read(&self, path: &Path) -> Result<Vec<u8>, String> {
        std::fs::read(root().join(path)).map_err(|error| error.to_string())
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn say(loaded: &Loaded) -> String {
    loaded.diagnostics.iter().map(|diagnostic| format!("{diagnostic}\n")).collect()
}

#[test]
fn the_samples_load_without_errors_and_warnings() {
    for (path, infos_allowed) in [("config/ims.cfg", false), ("config/cohost/ims.cfg", true)] {
        let loaded = load(Path::new(path), &Repository);
        let bad = loaded.diagnostics.iter().any(|d| d.severity < Severity::Info || !infos_allowed);
        assert!(!bad, "{path}:\n{}", say(&loaded));
        let config = loaded.config.expect(path);
        assert!(config.users.len() > 5 && config.echo.len() > 2 && config.sip.len() >= 2, "{path}");
    }
}
