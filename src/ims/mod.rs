//! Placeholder of the layer `ims`.
