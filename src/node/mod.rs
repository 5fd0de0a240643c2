//! Placeholder of the layer `node`.
