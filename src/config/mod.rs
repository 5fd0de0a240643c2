//! Text to configuration: the language of manual 5.1, the schema of every property, and the typed result.

pub mod model;
