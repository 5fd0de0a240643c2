//! Placeholder of the layer `api`.
