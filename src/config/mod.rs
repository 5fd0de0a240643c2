//! Text to configuration: the language of manual 5.1, the schema of every property, and the typed result.
//!
//! ```text
//! files -> lexer -> preprocess -> expr, document (merge, include) -> Value
//!       -> check (against the schema tables) -> build -> model::Config
//! ```
//!
//! Everything that is wrong is collected as [`Diagnostic`]s that name the place. No file is opened here: texts come in
//! through [`Files`].

mod address;
mod build;
mod build_impu;
mod build_ipsec;
mod build_sim;
mod build_sms;
mod build_trunk;
mod build_user;
mod check;
mod diagnostic;
mod directive;
mod document;
mod expr;
mod identity;
mod lexer;
pub mod limits;
mod merge;
pub mod model;
mod ops;
mod plain;
mod preprocess;
mod print;
mod report;
mod schema;
mod schema_global;
mod schema_impu;
mod schema_user;
mod section;
mod source;
pub mod suggest;
mod value;
mod words;

pub use diagnostic::{Diagnostic, Severity};
pub use plain::Document;
pub use print::{to_config, to_json};
pub use report::{effective, properties};
pub use source::{Origin, Place, Span};
pub use value::{Data, Member, Object, Value};

use crate::wire::sdp::Template;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where configuration texts come from.
pub trait Files {
    /// The octets of a file, or why it cannot be read, in words. An implementation should not read on past
    /// [`limits::MAX_FILE_SIZE`]: longer files are refused.
    fn read(&self, path: &Path) -> Result<Vec<u8>, String>;
}

/// Files that are held in memory, by path.
#[derive(Clone, Debug, Default)]
pub struct MemoryFiles(pub BTreeMap<PathBuf, Vec<u8>>);

impl MemoryFiles {
    /// Adds a file.
    pub fn with(mut self, path: impl Into<PathBuf>, text: impl Into<Vec<u8>>) -> Self {
        self.0.insert(path.into(), text.into());
        self
    }
}

impl Files for MemoryFiles {
    fn read(&self, path: &Path) -> Result<Vec<u8>, String> {
        self.0.get(path).cloned().ok_or_else(|| "no such file".to_owned())
    }
}

/// Reads a file of media: `sdp_file`, `mt_call_sdp_file`. The error names the file and says what is wrong, in words.
pub fn read_template(files: &dyn Files, path: &Path) -> Result<Arc<Template>, String> {
    let name = path.display();
    let octets = files.read(path).map_err(|why| format!("cannot read {name}: {why}"))?;
    if octets.len() > limits::MAX_SDP_FILE {
        return Err(format!("{name} is longer than {} octets", limits::MAX_SDP_FILE));
    }
    Template::parse(&octets).map(Arc::new).map_err(|why| format!("{name} is no description of media: {why}"))
}

/// What a configuration file gave.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration; none when there was an error.
    pub config: Option<model::Config>,
    /// All that was said, errors first, in reading order.
    pub diagnostics: Vec<Diagnostic>,
    /// The document after preprocessing and merging; none when the main file could not be read.
    pub document: Option<Value>,
    sources: source::Sources,
}

impl Loaded {
    fn top(&self, property: &str) -> Option<&Value> {
        self.document.as_ref()?.data.as_object()?.get(property)
    }

    /// The string that a property of the top level holds, also where the configuration has errors elsewhere.
    pub fn text(&self, property: &str) -> Option<&str> {
        self.top(property)?.data.as_str()
    }

    /// Adds an error that somebody else finds in a part of a string of the top level, at its place in the file: what
    /// `log_options` holds, for instance, is not judged here. The configuration cannot be used then.
    pub fn complain(&mut self, property: &str, part: Range<usize>, message: impl Into<String>) {
        let mut said = diagnostic::Diagnostics::default();
        match (self.top(property), self.text(property)) {
            (Some(value), Some(text)) => {
                said.at(&self.sources, Severity::Error, self.sources.within(value.at, text, part), message);
            }
            _ => said.say(Severity::Error, message),
        }
        self.diagnostics.append(&mut said.finish());
        self.diagnostics.sort_by_key(|diagnostic| diagnostic.severity);
        self.config = None;
    }
}

/// Reads, checks and types a configuration. All errors that can be told apart are reported at once.
pub fn load(path: &Path, files: &dyn Files) -> Loaded {
    let document::Read { document, complete, sources, mut diagnostics } = document::read(path, files);
    let mut config = None;
    if let Some(value) = &document
        && let Data::Object(object) = &value.data
    {
        check::check(object, complete, &sources, &mut diagnostics);
        let built = build::build(value, path, files, &sources, &mut diagnostics);
        config = (diagnostics.errors() == 0).then_some(built);
    }
    Loaded { config, diagnostics: diagnostics.finish(), document, sources }
}
