//! The chain as users install it: the Deployment of `config/default` in its own image on a real kubelet, an example of
//! `config/samples`, and a build that really runs.

use api::batch::{job, pod};
use api::upgrader::{cluster_upgrader, machine_image, plan};
use controlplane::image::busybox;
use controlplane::node::{self, NodeOptions};
use e2e::{CHAIN, Expected, Installed, LogLine, Objects, Sample, WITHIN, find_condition, name};
use serde_json::{Value, json};

use crate::scene::{ENDS_WITHIN, NAMESPACE, NODE, TOOLS, own_image, real_node};

const SAMPLE: &str = "example-in-memory.yaml";
/// What all objects of the example are called.
const SAMPLED: &str = "in-memory-sample";
/// What its Job runs in.
const BUILDER: &str = "docker.io/library/busybox:1.37";
/// Where the node has the files of the package repository.
const PACKAGES: &str = "/var/lib/packages";
const PORT: u16 = 8000;

/// Kubernetes is published as it is for everybody: as files of a web server, which is a pod here.
fn repository() -> Value {
    json!({
        "metadata": {"name": "packages"},
        "spec": {
            "containers": [{
                "name": "httpd", "image": TOOLS, "command": ["httpd", "-f", "-p", PORT.to_string(), "-h", "/srv"],
                "volumeMounts": [{"name": "packages", "mountPath": "/srv", "readOnly": true}],
            }],
            "volumes": [{"name": "packages", "hostPath": {"path": PACKAGES, "type": "Directory"}}],
        },
    })
}

/// Stops whatever runs `/manager` on the node, without ending it.
fn hang() -> Value {
    json!({
        "metadata": {"name": "hang"},
        "spec": {
            "hostPID": true, "restartPolicy": "Never",
            "containers": [{
                "name": "hang", "image": TOOLS, "command": ["/bin/sh", "-c", "kill -STOP $(pidof manager)"],
                "securityContext": {"privileged": true},
            }],
        },
    })
}

/// The image of a version, once it is there.
async fn built(objects: &Objects, version: &str) -> Value {
    let what = format!("an image of {version} is built");
    let ready = |image: &Value| {
        image["spec"]["version"] == version && find_condition(image, "Ready")["status"] == "True"
    };
    objects
        .await_that(&what, NAMESPACE, ENDS_WITHIN, async || {
            Ok(objects.list(&machine_image::KIND, NAMESPACE).await?.into_iter().find(ready))
        })
        .await
        .unwrap()
}

/// The one pod of the Deployment.
async fn manager(objects: &Objects) -> e2e::Result<Value> {
    let pods = objects.list(&pod::KIND, CHAIN.namespace).await?;
    assert_eq!(pods.len(), 1, "{pods:?}");
    Ok(pods.into_iter().next().unwrap_or_default())
}

/// How often its container was started again, and whether it is ready.
fn stands(manager: &Value) -> (Option<u64>, &Value) {
    let restarts = manager["status"]["containerStatuses"][0]["restartCount"].as_u64();
    (restarts, &find_condition(manager, "Ready")["status"])
}

#[tokio::test]
async fn the_deployment_of_the_chain_builds_images_by_jobs_that_run() {
    const TEST: &str = "the_deployment_of_the_chain_builds_images_by_jobs_that_run";
    if node::skipped(TEST) {
        return;
    }
    let found = busybox::find().unwrap();
    let images =
        [own_image().await, busybox::tools(TOOLS, &found).unwrap(), busybox::tools(BUILDER, &found).unwrap()];
    let (plane, node) = real_node(NodeOptions::default(), &images).await;
    let world = Installed::on_own_nodes(plane, CHAIN).await;
    let world = world.unwrap_or_else(|error| panic!("{error}\n{}", node.logs()));
    let objects = world.objects();
    let deployed = manager(objects).await.unwrap();
    assert_eq!(
        (stands(&deployed), &deployed["spec"]["nodeName"]),
        ((Some(0), &json!("True")), &json!(NODE)),
        "its readiness probe has succeeded, at its first start"
    );

    let publish = |versions: &[&str]| {
        let text: String = versions.iter().map(|version| e2e::paragraphs(version)).collect();
        node.write(format!("{PACKAGES}/core:/stable:/v1.35/deb/Packages"), text).unwrap();
    };
    publish(&["1.35.3-1.1", "1.35.4-1.1"]);
    objects.create(&pod::KIND, NAMESPACE, &repository()).await.unwrap();
    let served =
        objects.await_object("packages are served", (&pod::KIND, NAMESPACE, "packages"), WITHIN, |pod| {
            find_condition(pod, "Ready")["status"] == "True"
        });
    let address = served.await.unwrap()["status"]["podIP"].as_str().unwrap().to_owned();
    let sample = Sample::served_at(SAMPLE, &format!("{address}:{PORT}")).unwrap();
    // Cluster API is not installed.
    let sample = sample.of_group(api::upgrader::GROUP).fetched_every("10s");
    world.plane().apply_yaml(&sample.yaml).await.unwrap();

    let image = built(objects, "v1.35.4").await;
    let id = "in-memory-v1.35.4";
    assert_eq!((&image["spec"]["id"], &image["status"]["ready"]), (&json!(id), &json!(true)));
    let jobs = objects.list(&job::KIND, NAMESPACE).await.unwrap();
    assert_eq!(jobs.len(), 1, "{jobs:?}");
    assert_eq!(image["status"]["jobRef"]["name"], *name(&jobs[0]));
    let pods = objects.list(&pod::KIND, NAMESPACE).await.unwrap();
    let of_job = |pod: &&Value| pod["metadata"]["ownerReferences"][0]["uid"] == jobs[0]["metadata"]["uid"];
    let pods: Vec<&Value> = pods.iter().filter(of_job).collect();
    assert_eq!(pods.len(), 1, "built once: {pods:?}");
    let ran = &pods[0]["status"]["containerStatuses"][0];
    let ended = &ran["state"]["terminated"];
    assert_eq!((&ended["exitCode"], &ended["message"]), (&json!(0), &json!(id)), "{ran}");
    assert!(ran["containerID"].as_str().unwrap().starts_with("containerd://"), "a container that ran: {ran}");
    assert_eq!(pods[0]["spec"]["nodeName"], NODE);

    let the_plan = (&plan::KIND, NAMESPACE, SAMPLED);
    let found = objects.await_condition(the_plan, ("UpToDate", "True", ""), WITHIN).await.unwrap();
    assert_eq!(found["status"]["machineImageDetails"], json!({"version": "v1.35.4", "id": id}));
    let upgrader = (&cluster_upgrader::KIND, NAMESPACE, SAMPLED);
    objects.await_condition(upgrader, ("Ready", "False", "ClusterAPINotInstalled"), WITHIN).await.unwrap();

    // Nobody but its liveness probe notices.
    assert_eq!(stands(&manager(objects).await.unwrap()), (Some(0), &json!("True")));
    objects.create(&pod::KIND, NAMESPACE, &hang()).await.unwrap();
    let deployed = objects
        .await_that(
            "a manager that hangs is started again, and ready",
            CHAIN.namespace,
            ENDS_WITHIN,
            async || {
                Ok(Some(manager(objects).await?)
                    .filter(|pod| matches!(stands(pod), (Some(1..), ready) if ready == "True")))
            },
        )
        .await
        .unwrap_or_else(|error| panic!("{error}\n{}", node.logs()));
    let probed = (&pod::KIND, CHAIN.namespace, name(&deployed));
    objects.await_event(probed, ("Warning", "Unhealthy", "Liveness probe failed"), WITHIN).await.unwrap();
    publish(&["1.35.3-1.1", "1.35.4-1.1", "1.35.5-1.1"]);
    let image = built(objects, "v1.35.5").await;
    assert_eq!(image["spec"]["id"], "in-memory-v1.35.5");

    let log = node.pod_log(CHAIN.namespace, name(&deployed));
    // Before each line containerd has a time, the stream and whether the line is whole.
    let own = |line: &str| line.splitn(4, ' ').nth(3).map(|text| format!("{text}\n"));
    let log = LogLine::all_of(&log.lines().filter_map(own).collect::<String>());
    assert!(log.iter().any(|line| line.level == "INFO"), "its log is read");
    let errors: Vec<&LogLine> = log.iter().filter(|line| line.is_error()).collect();
    assert!(errors.is_empty(), "{errors:?}");
    node.stop().await;
    let expected = Expected::nothing().machine_images(2).jobs(2).writes_at_most(60);
    eprintln!("{:?}", world.finish(expected).await.unwrap());
}
