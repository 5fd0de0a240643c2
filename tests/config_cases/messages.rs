//! The messages, to the letter: every file of `config_cases/messages` holds a configuration and what is said of it.
//!
//! A case is a text file: `=== NAME` begins a file of the configuration, `=== says` what is printed.

use crate::root;
use imsbox::config::{MemoryFiles, load};
use std::path::Path;

#[test]
fn every_message_is_as_written() {
    let folder = root().join("tests/config_cases/messages");
    let mut names: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    assert!(names.len() > 20);
    let mut wrong = String::new();
    for name in names {
        let text = std::fs::read_to_string(&name).unwrap();
        let (files, expected) = parse(&text);
        let loaded = load(Path::new("ims.cfg"), &files);
        let found: String = loaded.diagnostics.iter().map(|diagnostic| format!("{diagnostic}\n")).collect();
        if found != expected {
            wrong += &format!("##### {}\n{found}", name.file_name().unwrap().display());
        }
    }
    assert!(wrong.is_empty(), "these say something else:\n{wrong}");
}

fn parse(text: &str) -> (MemoryFiles, String) {
    let mut files = MemoryFiles::default();
    let mut expected = String::new();
    for part in text.split("=== ").skip(1) {
        let (name, content) = part.split_once('\n').unwrap();
        match name {
            "says" => expected = content.to_owned(),
            name => files = files.with(name, content),
        }
    }
    (files, expected)
}
