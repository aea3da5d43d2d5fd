//! A control plane with one real node, our images on it, and `config/nodes/default` installed.

use std::time::Duration;

use api::kairos::{node_op, node_op_upgrade};
use api::nodes::node as node_kind;
use controlplane::ControlPlane;
use controlplane::image::{self, Image, busybox};
use controlplane::node::{self, NodeOptions, SandboxNode};
use domain::object::Kind;
use e2e::{Installed, Manager, NODES, Objects, WITHIN, program};
use serde_json::{Value, json};

pub(crate) const NODE: &str = "real-1";
pub(crate) const NAMESPACE: &str = "default";
pub(crate) const TOOLS: &str = "example.com/tools:test";
pub(crate) const NEXT: &str = "example.com/kairos:v3.5.0";
pub(crate) const ENDS_WITHIN: Duration = Duration::from_secs(240);
const BUDGET: Kind = api::nodes::disruption_budget::KIND;
const DEPLOYMENT: Kind = Kind { group: "apps", versions: &["v1"], kind: "Deployment", plural: "deployments" };

pub(crate) struct Scene {
    pub(crate) world: Installed,
    pub(crate) node: SandboxNode,
}

/// Nothing where a real node cannot be had; it has been said why.
pub(crate) async fn scene(test: &str) -> Option<Scene> {
    let release = busybox::release("v3.4.0");
    let options = NodeOptions::default().file("/etc/kairos-release", 0o644, release);
    scene_of(test, options.off_for(Duration::from_secs(2))).await
}

/// The same with another node.
pub(crate) async fn scene_of(test: &str, options: NodeOptions) -> Option<Scene> {
    if node::skipped(test) {
        return None;
    }
    let found = busybox::find().unwrap();
    let images = [
        own_image().await,
        busybox::tools(TOOLS, &found).unwrap(),
        busybox::kairos(NEXT, &found, "v3.5.0").unwrap(),
    ];
    let (plane, node) = real_node(options, &images).await;
    let world = Installed::on_own_nodes(plane, NODES).await;
    let world = world.unwrap_or_else(|error| panic!("{error}\n{}", node.logs()));
    Some(Scene { world, node })
}

/// The manager of this checkout in its own image, under the name that the Deployments of both products ask for.
pub(crate) async fn own_image() -> Image {
    image::manager(manager::surroundings::IMAGE, &program().await.unwrap()).unwrap()
}

/// A control plane with one real node that has these images.
pub(crate) async fn real_node(options: NodeOptions, images: &[Image]) -> (ControlPlane, SandboxNode) {
    let plane = ControlPlane::builder().controller_manager().scheduler().start().await.unwrap();
    let mut node = SandboxNode::start(&plane, NODE, options.label("fleet", "real")).await.unwrap();
    for (number, image) in images.iter().enumerate() {
        let archive = plane.folder().join(format!("image-{number}.tar"));
        image.write(&archive).unwrap();
        node.import_image(&archive).await.unwrap();
    }
    (plane, node)
}

impl Scene {
    pub(crate) fn objects(&self) -> &Objects {
        self.world.objects()
    }

    /// A pod on the node, and a budget that lets it never go, until [`Self::let_drains_go`].
    pub(crate) async fn block_drains(&self) {
        let workload = json!({
            "apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "web", "namespace": NAMESPACE},
            "spec": {
                "replicas": 1, "selector": {"matchLabels": {"app": "web"}},
                "template": {"metadata": {"labels": {"app": "web"}}, "spec": {
                    "terminationGracePeriodSeconds": 1,
                    "containers": [{"name": "web", "image": TOOLS, "command": ["/bin/sh", "-c", "sleep 100000"]}],
                }},
            },
        });
        let budget = json!({
            "apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
            "metadata": {"name": "web", "namespace": NAMESPACE},
            "spec": {"maxUnavailable": 0, "selector": {"matchLabels": {"app": "web"}}},
        });
        self.world.plane().apply_yaml(&format!("{workload}\n---\n{budget}")).await.unwrap();
        self.objects()
            .await_object("the budget knows its pod", (&BUDGET, NAMESPACE, "web"), WITHIN, |budget| {
                budget["status"]["currentHealthy"] == 1
            })
            .await
            .unwrap();
    }

    /// The budget lets the pod go.
    pub(crate) async fn let_drains_go(&self) {
        let one = json!({"spec": {"maxUnavailable": 1}});
        self.objects().merge(&BUDGET, NAMESPACE, "web", &one).await.unwrap();
    }

    /// Instead of the Deployment's pod our binary as a process of this machine, under the same account: it can be killed.
    pub(crate) async fn undeploy(&self) {
        let none = json!({"spec": {"replicas": 0}});
        let deployment = (&DEPLOYMENT, NODES.namespace, NODES.deployment);
        self.objects().merge(deployment.0, deployment.1, deployment.2, &none).await.unwrap();
        self.objects()
            .await_object("the Deployment has no pod", deployment, WITHIN, |deployment| {
                deployment["status"]["replicas"].as_u64().unwrap_or_default() == 0
            })
            .await
            .unwrap();
    }

    pub(crate) async fn manager(&self) -> Manager {
        self.world.start_manager_with(&["--controllers=nodeop,nodeopupgrade"]).await.unwrap()
    }

    pub(crate) async fn operation(&self, name: &str, spec: Value) {
        let object = json!({"metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec});
        self.objects().create(&node_op::KIND, NAMESPACE, &object).await.unwrap();
    }

    pub(crate) async fn upgrade(&self, name: &str, spec: Value) {
        let object = json!({"metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec});
        self.objects().create(&node_op_upgrade::KIND, NAMESPACE, &object).await.unwrap();
    }

    /// Awaits that a NodeOp has ended.
    pub(crate) async fn ended(&self, name: &str) -> Value {
        let op = (&node_op::KIND, NAMESPACE, name);
        let ended = self.objects().await_object("the operation has ended", op, ENDS_WITHIN, |op| {
            op["status"]["finishedAt"].is_string()
        });
        ended.await.unwrap_or_else(|error| panic!("{error}\n{}", self.node.logs()))
    }

    pub(crate) async fn the_node(&self) -> Value {
        self.objects().get(&node_kind::KIND, "", NODE).await.unwrap().unwrap()
    }

    pub(crate) async fn is_cordoned(&self) -> bool {
        let node = self.the_node().await;
        node["spec"]["unschedulable"] == true
            || node["metadata"]["annotations"][api::kairos::CORDONED_BY_ANNOTATION].is_string()
    }

    /// The lines of a file of the node.
    pub(crate) fn lines(&self, path: &str) -> Vec<String> {
        let text = self.node.read(path).unwrap_or_default();
        String::from_utf8(text).unwrap().lines().map(str::to_owned).collect()
    }

    /// Ends everything, and checks what must hold after every live test; `errors` are parts of log lines that are expected.
    pub(crate) async fn finish(self, errors: &[&str]) {
        let events = self.world.plane().audit_events().unwrap();
        let refused: Vec<String> = events
            .iter()
            .filter(|event| event.user == NODES.user && event.forbidden)
            .map(|event| format!("{} {}", event.verb, event.request_uri))
            .collect();
        assert_eq!(refused, Vec::<String>::new(), "refused by RBAC");
        let reboots: Vec<String> = events
            .iter()
            .filter(|event| event.user.ends_with("-reboot") && event.forbidden)
            .map(|event| format!("{} {}", event.verb, event.request_uri))
            .collect();
        assert_eq!(reboots, Vec::<String>::new(), "refused to reboot pods");
        let expected = errors.iter().fold(e2e::Expected::nothing(), |expected, error| expected.error(*error));
        let jobs = self.objects().list(&api::batch::job::KIND, "").await.unwrap().len();
        self.node.stop().await;
        self.world.finish(expected.jobs(jobs).writes_at_most(usize::MAX)).await.unwrap();
    }
}

/// What a command does that leaves a line on the node each time that it runs.
pub(crate) fn leaves_a_line(file: &str) -> Value {
    json!(["/bin/sh", "-c", format!("echo ran >>$HOST_DIR{file}")])
}
