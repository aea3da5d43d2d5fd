//! Stub.
pub(crate) struct Installed;
impl crate::ControlPlane {
 #[allow(missing_docs)] pub async fn install_cluster_api(&mut self) -> crate::Result<()> { self.cluster_api = Some(Installed); Ok(()) }
 #[allow(missing_docs)] pub async fn create_class_cluster(&mut self, _: &ClassCluster) -> crate::Result<()> {  Ok(()) }
 }
#[allow(missing_docs)]
pub struct ClassCluster { pub name: String, pub namespace: String }
#[allow(missing_docs)]
impl ClassCluster { pub fn new(name: &str, _v: &str) -> Self { Self { name: name.into(), namespace: "default".into() } } }
