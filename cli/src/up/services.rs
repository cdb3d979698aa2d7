//! A Service of the folder, as far as the supervisor needs it: whom an instance may call.
//!
//! Which endpoints stand behind it, and by which policy, is the control plane's affair.

use k8s_openapi::api::core::v1::Service;

/// A Service with TCP ports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceDecl {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its ports, in order.
    pub ports: Vec<ServicePort>,
}

/// One port of a Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServicePort {
    /// Its name; one port alone may have none.
    pub name: Option<String>,
    /// Its number in the Service.
    pub number: u16,
}

impl ServiceDecl {
    /// Reads a Service; `None` for one that stands for a name outside.
    pub fn read(namespace: &str, name: &str, service: &Service) -> Option<Self> {
        let spec = service.spec.as_ref()?;
        if spec.type_.as_deref() == Some("ExternalName") {
            return None;
        }
        let tcp = |port: &&k8s_openapi::api::core::v1::ServicePort| {
            port.protocol
                .as_deref()
                .is_none_or(|protocol| protocol == "TCP")
        };
        let ports = spec.ports.iter().flatten().filter(tcp).filter_map(|port| {
            Some(ServicePort {
                name: port.name.clone(),
                number: u16::try_from(port.port).ok()?,
            })
        });
        Some(Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            ports: ports.collect(),
        })
    }

    /// Its full name in the mesh.
    pub fn host(&self) -> String {
        format!("{}.{}.svc.cluster.local", self.name, self.namespace)
    }
}
