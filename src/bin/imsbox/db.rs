//! `imsbox db dump`: what a state file holds, for people and scripts.

use crate::{Exit, say};
use imsbox::ims::persist::association::{ASSOCIATION, SECRETS};
use imsbox::node::storage::{self, StorageError};
use serde_json::Value;
use std::path::Path;

/// What stands in place of a key that was not asked for.
const HIDDEN: &str = "hidden; see --keys";

/// Prints the records of a state file as one JSON object, a record a line. The file is only read, also while a program runs with it:
/// what is printed is its state of one moment.
pub fn dump(path: &Path, keys: bool) -> Exit {
    match storage::peek(path) {
        Ok(records) => say(&text(&records, keys)),
        Err(error) => {
            eprintln!("imsbox: {}: {}", path.display(), words(error));
            Exit::Failed
        }
    }
}

fn words(error: StorageError) -> String {
    match error {
        StorageError::Damaged(_, why) => format!("damaged, or no state file ({why})"),
        StorageError::Version(_, version) => {
            format!("written by another version of imsbox, in format {version}; that one can read it")
        }
        StorageError::InUse(_) => "in use".to_owned(),
        StorageError::Io(_, why) | StorageError::Refused(_, why) => why,
    }
}

fn text(records: &[(String, String)], keys: bool) -> String {
    let mut lines = Vec::new();
    for (key, value) in records {
        // what is no JSON is shown as it is
        let mut value: Value = serde_json::from_str(value).unwrap_or_else(|_| value.as_str().into());
        if key.starts_with(ASSOCIATION) && !keys {
            hide(&mut value);
        }
        lines.push(format!("  {}: {value}", Value::from(key.as_str())));
    }
    match lines.is_empty() {
        true => "{}\n".to_owned(),
        false => format!("{{\n{}\n}}\n", lines.join(",\n")),
    }
}

/// Hides the keys of a set; of a record that is not as it should be, all.
fn hide(value: &mut Value) {
    let Some(record) = value.as_object_mut() else { return *value = HIDDEN.into() };
    for name in SECRETS {
        if record.get(name).is_some_and(|key| key != "") {
            record.insert(name.to_owned(), HIDDEN.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_record_stands_on_a_line_of_one_object() {
        assert_eq!(text(&[], false), "{}\n");
        let two = records(&[("binding/1", "{\"b\":1,\"a\":\"ü\"}"), ("sqn/\"x\"", "no JSON")]);
        let printed = text(&two, false);
        assert_eq!(printed.lines().count(), 4);
        let value: Value = serde_json::from_str(&printed).unwrap();
        assert_eq!((&value["binding/1"]["a"], &value["sqn/\"x\""]), (&"ü".into(), &"no JSON".into()));
    }

    #[test]
    fn keys_are_shown_to_who_asks_for_them() {
        let set = r#"{"alg":"x","integrity_key":"00ff","encryption_key":"aa55","aead_key":""}"#;
        let found = records(&[("association/1", set), ("association/2", "aa55")]);
        let hidden = text(&found, false);
        assert!(!hidden.contains("00ff") && !hidden.contains("aa55") && hidden.contains("\"aead_key\":\"\""));
        let shown = text(&found, true);
        assert!(shown.contains("00ff") && shown.contains("aa55"));
    }
}
