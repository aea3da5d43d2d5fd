//! What the demo does and looks at, hop by hop.

use std::cell::RefCell;
use std::path::Path;

use api::batch::job;
use api::upgrader::{cluster_upgrader, debian_repository_source, machine_image, plan};
use controlplane::Binary;
use domain::object::Kind;
use e2e::{
    BuildActor, Error, Installed, Manager, PackageRepository, Part, ROLLED_WITHIN, Result, Rollout, Sample,
    WITHIN,
};
use serde_json::Value;

use crate::display::{Detail, Display};
use crate::report::{Hop, Report};

const SAMPLE: &str = "example-in-memory.yaml";
/// The name of every object of the sample that the story is about.
const NAME: &str = "in-memory-sample";
const NAMESPACE: &str = "default";
/// The least that a source allows: a demo has no minute to wait.
const FETCHED_EVERY: &str = "10s";
/// What the sample's container would print.
const IMAGE: &str = "in-memory-{version}";
const FROM: &str = "1.35.0";
const TO: &str = "1.35.1";

/// Everything that runs.
pub(crate) struct Stage {
    display: Display,
    // Dropped in this order: the manager before the API server that it would miss.
    manager: Manager,
    _builds: BuildActor,
    repository: PackageRepository,
    world: Installed,
    sample: Sample,
    folder: String,
    hops: RefCell<Vec<Hop>>,
}

impl Stage {
    /// Starts everything.
    pub(crate) async fn set(display: Display) -> Result<Self> {
        Report::remove()?;
        display.title(&format!("A Cluster moves from v{FROM} to v{TO} because a package appears"));
        // The first time this builds for minutes, and says so line by line.
        display.noisy_step("manager built", async |_| e2e::program().await.map(drop)).await?;
        let (world, _) = display
            .noisy_step("control plane", async |detail| {
                let world = Installed::start_with_cluster_api().await?;
                let (kubernetes, capi) = (Binary::KubeApiserver.version(), Binary::ClusterApiCore.version());
                detail.say(format!("Kubernetes {kubernetes}, Cluster API {capi}"));
                Ok(world)
            })
            .await?;
        let repository = PackageRepository::start().await?;
        let sample = Sample::read(SAMPLE, &repository)?.fetched_every(FETCHED_EVERY);
        let folder = sample.folders.first().cloned().unwrap_or_default();
        repository.publish(&folder, &format!("{FROM}-1.1"));
        let builds = BuildActor::start(world.plane(), Part::LeavesMessage(IMAGE.to_owned())).await?;
        let (manager, _) = display
            .step("manager", async |detail| {
                let manager = world.start_manager().await?;
                detail.say(format!("process {}, its own ServiceAccount", manager.id()));
                Ok(manager)
            })
            .await?;
        let hops = RefCell::default();
        Ok(Self { display, manager, _builds: builds, repository, world, sample, folder, hops })
    }

    async fn create_cluster(&self, detail: &Detail) -> Result<()> {
        detail.say(format!("{SAMPLE} applied"));
        self.world.plane().apply_yaml(&self.sample.yaml).await?;
        let objects = self.world.objects();
        let (of_capi, ours) =
            ((&e2e::capi::CLUSTER, NAMESPACE, NAME), (&cluster_upgrader::KIND, NAMESPACE, NAME));
        objects.await_condition(of_capi, ("Available", "True", ""), ROLLED_WITHIN).await?;
        objects.await_condition(ours, ("UpToDate", "True", ""), ROLLED_WITHIN).await?;
        detail.say(format!("{NAME} v{FROM}, up to date"));
        Ok(())
    }

    /// A Cluster that has nothing to do, then the chain, hop by hop, and the report.
    pub(crate) async fn play(&self) -> Result<()> {
        let version = format!("v{TO}");
        self.display.step("cluster", async |detail| self.create_cluster(detail).await).await?;
        self.display.title("The chain");
        self.hop("package published", async |detail| {
            self.repository.publish(&self.folder, &format!("{TO}-1.1"));
            detail.say(format!("kubeadm {TO}-1.1"));
            Ok(())
        })
        .await?;
        self.hop("source", async |detail| {
            self.object(&debian_repository_source::KIND, |source| {
                let versions = source["status"]["versions"].as_array();
                versions.is_some_and(|versions| versions.iter().any(|found| *found == version))
            })
            .await?;
            detail.say(format!("status.versions has {version}"));
            Ok(())
        })
        .await?;
        let image = self
            .hop("machine image", async |detail| {
                let image =
                    self.find(&machine_image::KIND, |image| image["spec"]["version"] == version).await?;
                detail.say(e2e::name(&image).to_owned());
                Ok(e2e::name(&image).to_owned())
            })
            .await?;
        self.hop("build job", async |detail| {
            let job =
                self.find(&job::KIND, |job| job["metadata"]["ownerReferences"][0]["name"] == image).await?;
            detail.say(e2e::name(&job).to_owned());
            Ok(())
        })
        .await?;
        let id = self
            .hop("image id", async |detail| {
                let id = |image: &Value| image["spec"]["id"].as_str().map(str::to_owned);
                let found = self
                    .find(&machine_image::KIND, |object| e2e::name(object) == image && id(object).is_some())
                    .await?;
                let id = id(&found).unwrap_or_default();
                detail.say(id.clone());
                Ok(id)
            })
            .await?;
        self.hop("plan", async |detail| {
            self.object(&plan::KIND, |plan| plan["status"]["machineImageDetails"]["version"] == version)
                .await?;
            detail.say(format!("{version} with {id}"));
            Ok(())
        })
        .await?;
        self.hop("cluster patched", async |detail| self.patched(&version, &id, detail).await).await?;
        self.hop("control plane upgraded", async |detail| {
            self.rolled(&version, &id, detail, |rollout| rollout.control_plane).await
        })
        .await?;
        self.hop("workers upgraded", async |detail| {
            self.rolled(&version, &id, detail, Rollout::is_complete).await
        })
        .await?;
        self.hop("converged", async |detail| {
            let upgrader = (&cluster_upgrader::KIND, NAMESPACE, NAME);
            detail.say("held for 15 s");
            self.world.objects().await_condition(upgrader, ("UpToDate", "True", ""), WITHIN).await?;
            detail.say("the upgrader says UpToDate");
            Ok(())
        })
        .await?;
        let report = Report {
            cluster: NAME.to_owned(),
            from: format!("v{FROM}"),
            to: version,
            image_id: id,
            hops: self.hops.take(),
        };
        let path = report.write()?;
        self.display.say(&format!("\n  Written to {}", path.display()));
        Ok(())
    }

    /// Version and image, in one write.
    async fn patched(&self, version: &str, id: &str, detail: &Detail) -> Result<()> {
        self.object(&e2e::capi::CLUSTER, |cluster| {
            let topology = &cluster["spec"]["topology"];
            let variables = topology["variables"].as_array();
            let has_image = variables.is_some_and(|list| {
                list.iter().any(|found| found["name"] == "image" && found["value"] == id)
            });
            topology["version"] == version && has_image
        })
        .await?;
        detail.say(format!("{version} and {id} in one write"));
        Ok(())
    }

    async fn rolled(
        &self,
        version: &str,
        id: &str,
        detail: &Detail,
        is_done: impl Fn(&Rollout) -> bool,
    ) -> Result<()> {
        let objects = self.world.objects();
        objects
            .await_that(&format!("the machines run {version}"), NAMESPACE, ROLLED_WITHIN, async || {
                let rollout = Rollout::of(objects, (NAMESPACE, NAME), version, id).await?;
                detail.say(rollout.to_string());
                Ok(is_done(&rollout).then_some(()))
            })
            .await
    }

    /// A line of the display, and of the report.
    async fn hop<T>(&self, name: &str, work: impl AsyncFnOnce(&Detail) -> Result<T>) -> Result<T> {
        let (value, took) = self.display.step(name, work).await?;
        self.hops.borrow_mut().push(Hop::new(name, took));
        Ok(value)
    }

    /// Awaits the sample's object of a kind.
    async fn object(&self, kind: &Kind, holds: impl Fn(&Value) -> bool) -> Result<Value> {
        self.find(kind, |object| e2e::name(object) == NAME && holds(object)).await
    }

    /// Awaits any object of a kind.
    async fn find(&self, kind: &Kind, holds: impl Fn(&Value) -> bool) -> Result<Value> {
        let objects = self.world.objects();
        objects
            .await_that(&format!("a {} as the hop wants it", kind.kind), NAMESPACE, WITHIN, async || {
                Ok(objects.list(kind, NAMESPACE).await?.into_iter().find(|object| holds(object)))
            })
            .await
    }

    /// What it took, and how it looks to a user.
    pub(crate) async fn sum_up(&self) -> Result<()> {
        let kinds = "debsrc,machineimagesyncers,machineimages,plans.kubernetesupgraded.dimitrikoshkin.com,\
                     clusterclassclusterupgraders";
        let table = self.world.plane().run_kubectl(&["get", kinds, "-n", NAMESPACE]).await?;
        self.display.title("kubectl get");
        for line in table.lines() {
            self.display.say(&format!("  {line}"));
        }
        let requests = self.world.requests()?;
        let all: usize = requests.counts.values().sum();
        self.display.title("The manager");
        self.display.say(&format!("  {all} requests, {} of them writes", requests.writes));
        if let Some(memory) = self.manager.memory() {
            let mebibytes =
                |kibibytes: u64| format!("{}.{} MiB", kibibytes / 1024, kibibytes % 1024 * 10 / 1024);
            self.display.say(&format!(
                "  {} resident, {} at most",
                mebibytes(memory.resident),
                mebibytes(memory.peak)
            ));
        }
        Ok(())
    }

    /// Awaits that the manager ends by itself, which it should not.
    pub(crate) async fn manager_ended(&self) -> Error {
        match self.manager.ended().await {
            Ok(status) => Error::Unexpected(format!("the manager ended with {status}")),
            Err(error) => error,
        }
    }

    /// The manager's last warnings and errors.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let mut lines = self.manager.log_lines();
        lines.retain(|line| line.is_error() || line.level == "WARN");
        lines.drain(..lines.len().saturating_sub(10)).for_each(drop);
        lines.into_iter().map(|line| line.text).collect()
    }

    pub(crate) fn kubeconfig(&self) -> &Path {
        self.world.plane().kubeconfig_path()
    }

    pub(crate) fn kubectl(&self) -> &Path {
        self.world.plane().kubectl()
    }

    /// Ends everything in good order.
    pub(crate) async fn clear(self) -> Result<()> {
        let status = self.manager.terminate().await?;
        self.world.stop().await;
        if status.success() {
            return Ok(());
        }
        Err(Error::Unexpected(format!("the manager ended with {status} after SIGTERM")))
    }
}
