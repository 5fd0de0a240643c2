//! Placeholder of the layer `crypto`.
