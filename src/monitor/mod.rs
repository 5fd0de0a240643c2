//! Placeholder of the layer `monitor`.
