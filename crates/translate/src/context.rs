//! What a translation must know of the mesh.

use weft_model::limits;

/// Names that complete what objects leave out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// DNS domain of the cluster: short host names are completed with it.
    pub cluster_domain: String,
    /// The namespace whose policy holds for the whole mesh.
    pub root_namespace: String,
}

impl Default for Context {
    fn default() -> Self {
        Self {
            cluster_domain: limits::DEFAULT_CLUSTER_DOMAIN.to_owned(),
            root_namespace: limits::DEFAULT_ROOT_NAMESPACE.to_owned(),
        }
    }
}
