//! The configuration file: the language of imsbox, the properties of [`crate::options`].

use crate::args::Run;
use crate::options::{self, NOT_NEEDED, OPTIONS};
use crate::settings::{self, Given, Settings};
use imsbox::config::{Data, Document, Files, Value, limits};
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// The files of the machine.
struct Disk;

impl Files for Disk {
    fn read(&self, path: &Path) -> Result<Vec<u8>, String> {
        let file = File::open(path).map_err(|e| e.to_string())?;
        let mut octets = Vec::new();
        // one more than is allowed tells the reader that the file is too long
        let most = limits::MAX_FILE_SIZE as u64 + 1;
        file.take(most).read_to_end(&mut octets).map_err(|e| e.to_string())?;
        Ok(octets)
    }
}

/// The settings of a run: those of its file, outdone by the command line. The error is all that is wrong, line by line.
pub fn settings(run: &Run) -> Result<Settings, Vec<String>> {
    let (mut given, said) = match &run.config {
        Some(path) => read(path, &Disk),
        None => (Given::new(), Vec::new()),
    };
    // a warning is no reason not to start
    if said.iter().any(|(is_error, _)| *is_error) {
        return Err(said.into_iter().map(|(_, words)| words).collect());
    }
    said.iter().for_each(|(_, words)| eprintln!("{words}"));
    given.extend(run.given.iter().map(|(name, text)| (*name, text.clone())));
    settings::build(&given).map_err(|trouble| {
        let flag = options::by_name(trouble.option).map_or(trouble.option, |o| o.flag);
        vec![format!("imsbox-ue: --{flag} {}", trouble.words), "Try `imsbox-ue --help`.".to_owned()]
    })
}

/// The properties of a file, and what is said about it: whether it is an error, and the words.
fn read(path: &Path, files: &dyn Files) -> (Given, Vec<(bool, String)>) {
    let mut document = Document::read(path, files);
    let mut given = Given::new();
    let names: Vec<&str> = OPTIONS.iter().map(|o| o.name).collect();
    for member in document.members().to_vec() {
        let Some(option) = options::by_name(&member.name) else {
            if !NOT_NEEDED.contains(&member.name.as_str()) {
                document.unknown(&member.name, member.at, &names);
            }
            continue;
        };
        let taken = text(&member.value).map(|text| settings::taken(option, &text).map_err(|t| t.words));
        match taken {
            Some(Ok(mut text)) => {
                if matches!(option.name, "state" | "wav" | "record") {
                    text = beside(path, &text);
                }
                given.insert(option.name, text);
            }
            Some(Err(words)) => document.error(member.value.at, words),
            None => {
                let kind = member.value.data.kind();
                document.error(member.value.at, format!("`{}` cannot be {kind}", option.name));
            }
        }
    }
    let said = document.finish();
    (given, said.iter().map(|d| (d.is_error(), d.to_string())).collect())
}

/// A value as the text that a flag would have; of several identities the first one.
fn text(value: &Value) -> Option<String> {
    match &value.data {
        Data::String(text) => Some(text.clone()),
        Data::Number(number) => Some(number.to_string()),
        Data::Bool(is) => Some(is.to_string()),
        Data::Array(items) => items.first().and_then(text),
        Data::Object(object) => object.get("impu").and_then(text),
        _ => None,
    }
}

/// A file that a configuration file names stands beside it.
fn beside(config: &Path, file: &str) -> String {
    let folder = config.parent().unwrap_or(Path::new(""));
    match file {
        "none" => file.to_owned(),
        _ => folder.join(file).display().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use imsbox::config::MemoryFiles;

    fn from(text: &str) -> (Given, Vec<(bool, String)>) {
        let files = MemoryFiles::default().with("etc/ue.cfg", text);
        read(Path::new("etc/ue.cfg"), &files)
    }

    #[test]
    fn an_entry_of_ue_db_can_be_copied() {
        let (given, said) = from(
            "sim_algo: \"xor\", imsi: \"001010123456789\", K: \"00112233445566778899aabbccddeeff\",\n\
             amf: 0x9001, sqn: \"000000000000\", impu: [{ impu: \"tel:600\" }, \"x\"], multi_sim: true,\n\
             expires: 60, state: \"card.sqn\", verbose: false",
        );
        assert_eq!(said, []);
        let text = |name: &str| given.get(name).map(String::as_str);
        assert_eq!(
            (text("impu"), text("expires"), text("verbose")),
            (Some("tel:600"), Some("60"), Some("false"))
        );
        assert_eq!(text("state"), Some("etc/card.sqn"));
        assert!(settings::build(&given).is_ok());
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let (given, said) = from("K: \"12\",\nexpires: {},\npassword: \"x\",");
        assert!(given.is_empty());
        assert!(said[0].1.starts_with("etc/ue.cfg:1:4: expected 32 or 64 hexadecimal digits"), "{said:?}");
        assert!(said[1].1.starts_with("etc/ue.cfg:2:10: `expires` cannot be an object"), "{said:?}");
        assert!(!said[2].0 && said[2].1.contains("unknown property `password`"), "{said:?}");
    }
}
