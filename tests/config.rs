//! The configuration from its files to the typed result: the language, the checks, the messages, the samples.

use imsbox::config::{Files, Loaded, MemoryFiles, Severity, load};
use std::path::{Path, PathBuf};

#[path = "config_cases/language.rs"]
mod language;
#[path = "config_cases/laws.rs"]
mod laws;
#[path = "config_cases/limits.rs"]
mod limits;
#[path = "config_cases/messages.rs"]
mod messages;
#[path = "config_cases/typed.rs"]
mod typed;

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

/// Loads a text as `ims.cfg`.
fn load_text(text: &str) -> Loaded {
    load(Path::new("ims.cfg"), &MemoryFiles::default().with("ims.cfg", text))
}

/// All that was said, as it is printed.
fn said(loaded: &Loaded) -> String {
    loaded.diagnostics.iter().map(|diagnostic| format!("{diagnostic}\n")).collect()
}

const SAMPLES: [&str; 3] = ["config/ims.cfg", "config/lab.cfg", "config/cohost/ims.cfg"];

#[test]
fn the_samples_load_without_errors_and_warnings() {
    for path in SAMPLES {
        let loaded = load(Path::new(path), &Repository);
        // Beside an MME there is more to configure than is built.
        let infos_allowed = path.contains("cohost");
        let bad = loaded.diagnostics.iter().any(|d| d.severity < Severity::Info || !infos_allowed);
        assert!(!bad, "{path}:\n{}", said(&loaded));
        let config = loaded.config.expect(path);
        assert!(config.users.len() > 5 && config.echo.len() > 2 && config.sip.len() >= 2, "{path}");
    }
}

#[test]
fn the_first_sample_holds_the_test_users() {
    let config = load(Path::new(SAMPLES[0]), &Repository).config.unwrap();
    let addresses: Vec<String> = config.sip.iter().map(|socket| socket.addr.to_string()).collect();
    assert_eq!(addresses, ["127.0.0.1:5060", "[::1]:5060"]);
    let impis: Vec<&str> = config.users.iter().map(|user| user.impi.as_str()).collect();
    assert!(impis.contains(&"alice") && impis.contains(&"bob"));
    assert!(impis.contains(&"001010123456789@ims.mnc001.mcc001.3gppnetwork.org"));
    let milenage = config.users.iter().find(|user| user.imsi == "001010000000003").unwrap();
    assert_eq!(milenage.sim.as_ref().unwrap().amf, [0x72, 0x5c]);
    assert!(milenage.impus.iter().all(|impu| !impu.barred));
    assert_eq!(config.log.filename.as_deref(), Some(Path::new("/tmp/ims.log")));
}
