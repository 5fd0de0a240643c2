//! A document of the configuration language alone, whose properties another program judges: the soft UE's, for instance.

use super::diagnostic::Diagnostics;
use super::source::{Origin, Sources};
use super::suggest::did_you_mean;
use super::value::{Member, Object};
use super::{Data, Diagnostic, Files, Severity, document};
use std::path::Path;

/// A document that was read, and what was said about it.
#[derive(Debug)]
pub struct Document {
    object: Object,
    sources: Sources,
    said: Diagnostics,
}

impl Document {
    /// Reads a file and all that it includes. What is wrong is among [`Document::finish`].
    pub fn read(path: &Path, files: &dyn Files) -> Document {
        let document::Read { document, sources, diagnostics, .. } = document::read(path, files);
        let object = match document.map(|value| value.data) {
            Some(Data::Object(object)) => object,
            _ => Object::default(),
        };
        Document { object, sources, said: diagnostics }
    }

    /// The members of the top level, in order, each name once.
    pub fn members(&self) -> &[Member] {
        self.object.members()
    }

    /// Says that something at this place cannot be used.
    pub fn error(&mut self, at: Origin, message: impl Into<String>) {
        self.said.at(&self.sources, Severity::Error, at, message);
    }

    /// Warns of a property that is none of `known`.
    pub fn unknown(&mut self, name: &str, at: Origin, known: &[&str]) {
        let hint = did_you_mean(name, known.iter().copied());
        let hint = hint.map_or(String::new(), |known| format!("; did you mean `{known}`?"));
        self.said.at(&self.sources, Severity::Warning, at, format!("unknown property `{name}`{hint}"));
    }

    /// All that was said, errors first, in reading order.
    pub fn finish(self) -> Vec<Diagnostic> {
        self.said.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::super::MemoryFiles;
    use super::*;

    #[test]
    fn the_language_is_read_and_the_reader_judges() {
        let text = "#define X 7\nimsi: \"001\", expires: X,\ndomian: \"d\",";
        let files = MemoryFiles::default().with("ue.cfg", text);
        let mut document = Document::read(Path::new("ue.cfg"), &files);
        let members: Vec<Member> = document.members().to_vec();
        assert_eq!(members[1].value.data, Data::Number(7.0));
        document.unknown(&members[2].name, members[2].at, &["imsi", "domain"]);
        document.error(members[0].value.at, "too short");
        let said: Vec<String> = document.finish().iter().map(ToString::to_string).collect();
        assert!(said[0].starts_with("ue.cfg:2:7: too short\n"), "{said:?}");
        assert!(said[1].contains("unknown property `domian`; did you mean `domain`?"), "{said:?}");
    }

    #[test]
    fn a_file_that_cannot_be_read_is_an_error() {
        let document = Document::read(Path::new("ue.cfg"), &MemoryFiles::default());
        assert!(document.members().is_empty());
        let said = document.finish();
        assert!(said.len() == 1 && said[0].is_error());
    }
}
