//! Reads the message vectors of a folder.

use std::path::PathBuf;

/// The files of `tests/vectors/FOLDER` that hold a message (`.sip`, `.dat`), sorted: name and octets.
pub fn messages(folder: &str) -> Vec<(String, Vec<u8>)> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(folder);
    let entries = std::fs::read_dir(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut found: Vec<_> = entries
        .map(|entry| entry.expect("readable folder").path())
        .filter(|p| p.extension().is_some_and(|e| e == "sip" || e == "dat"))
        .map(|p| {
            let name = p.file_name().expect("files have names").to_string_lossy().into_owned();
            (name, std::fs::read(&p).expect("readable file"))
        })
        .collect();
    found.sort();
    assert!(!found.is_empty(), "no message in {}", path.display());
    found
}
