//! The control plane with us on it, one manager after another, and what they ask of it.

use std::time::Duration;

use api::capi::{cluster, cluster_class};
use api::upgrader::{
    cluster_upgrader, debian_repository_source, machine_image, machine_image_syncer, machine_image_template,
    plan,
};
use controlplane::{AuditEvent, AuditTail};
use domain::condition;
use domain::object::Kind;
use e2e::{
    BuildActor, Error, Installed, LOOK_EVERY, Manager, Memory, Objects, PackageRepository, Part, Result,
    Stopwatch, USER, find_condition,
};
use serde_json::{Value, json};

use crate::crowd;
use crate::fleet;
use crate::requests::Requests;
use crate::status::{self, Phase};

/// How often all upgraders are listed to see whether they are done: a list of thousands is work for the API server.
const LIST_EVERY: Duration = Duration::from_secs(1);
/// For everything that is awaited: the slowest machine that this is run on is meant.
const WITHIN: Duration = Duration::from_secs(300);
/// As a Deployment has it. The log is that of production.
const FLAGS: &[&str] = &["--leader-elect", "--zap-log-level=info"];
const FOLDER: &str = "v1.35/deb";
const NAMESPACES: Kind = Kind { group: "", versions: &["v1"], kind: "Namespace", plural: "namespaces" };

/// Everything that runs.
pub(crate) struct Stage {
    // Dropped in this order: the manager before the API server that it would miss.
    manager: Option<Manager>,
    _builds: BuildActor,
    repository: PackageRepository,
    tail: AuditTail,
    ours: Vec<AuditEvent>,
    world: Installed,
}

/// A place in the list of our requests.
#[derive(Clone, Copy)]
pub(crate) struct Mark(usize);

impl Stage {
    /// A control plane with us and with the CRDs of Cluster API, and the repository with what it lists from the beginning.
    pub(crate) async fn set() -> Result<Self> {
        let mut world = Installed::start().await?;
        world.plane_mut().install_cluster_api_crds().await?;
        let repository = PackageRepository::start().await?;
        for version in fleet::published() {
            repository.publish(FOLDER, &version);
        }
        let builds = BuildActor::start(world.plane(), Part::usual()).await?;
        let tail = world.plane().audit_tail();
        world.objects().create(&NAMESPACES, "", &json!({"metadata": {"name": fleet::NAMESPACE}})).await?;
        Ok(Self { manager: None, _builds: builds, repository, tail, ours: Vec::new(), world })
    }

    fn objects(&self) -> &Objects {
        self.world.objects()
    }

    /// The manager that runs.
    pub(crate) fn manager(&self) -> Result<&Manager> {
        self.manager.as_ref().ok_or_else(|| Error::Unexpected("no manager runs".to_owned()))
    }

    /// Its memory.
    pub(crate) fn memory(&self) -> Result<Memory> {
        self.manager()?.memory().ok_or_else(|| Error::Unexpected("the manager has ended".to_owned()))
    }

    /// The seconds that processors have worked for it.
    pub(crate) fn cpu(&self) -> Result<f64> {
        let cpu = self.manager()?.cpu().map(|cpu| cpu.as_secs_f64());
        cpu.ok_or_else(|| Error::Unexpected("the manager has ended".to_owned()))
    }

    /// Starts a manager; gives the place of its first request.
    pub(crate) async fn start_manager(&mut self) -> Result<Mark> {
        let mark = self.mark()?;
        self.manager = Some(Manager::start(self.world.plane(), FLAGS).await?);
        Ok(mark)
    }

    /// Ends it in good order, so that the next one finds the lease free.
    pub(crate) async fn stop_manager(&mut self) -> Result<()> {
        match self.manager.take() {
            Some(manager) => manager.terminate().await.map(drop),
            None => Ok(()),
        }
    }

    /// Ends everything.
    pub(crate) async fn clear(mut self) -> Result<()> {
        self.stop_manager().await?;
        self.world.stop().await;
        Ok(())
    }

    /// From here on.
    pub(crate) fn mark(&mut self) -> Result<Mark> {
        let new = self.tail.read()?;
        self.ours.extend(new.into_iter().filter(|event| event.user == USER));
        Ok(Mark(self.ours.len()))
    }

    /// The manager's requests since a mark.
    pub(crate) fn since(&mut self, mark: Mark) -> Result<Requests<'_>> {
        self.mark()?;
        Ok(Requests(self.ours.get(mark.0..).unwrap_or_default()))
    }

    /// Awaits that the manager's requests since a mark are of some kind.
    pub(crate) async fn await_requests(
        &mut self,
        what: &str,
        mark: Mark,
        holds: impl Fn(Requests<'_>) -> bool,
    ) -> Result<()> {
        let watch = Stopwatch::start();
        while !holds(self.since(mark)?) {
            self.check(what, mark, watch)?;
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// Awaits that nothing was asked for so long but for leases and watches.
    pub(crate) async fn await_quiet(&mut self, quiet: Duration) -> Result<()> {
        let (mark, whole) = (self.mark()?, Stopwatch::start());
        let (mut seen, mut since) = (0, Stopwatch::start());
        while since.elapsed() < quiet {
            let now = self.since(mark)?.others().count();
            if now != seen {
                (seen, since) = (now, Stopwatch::start());
            }
            self.check("no more requests", mark, whole)?;
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// The error of a deadline that has passed, or of a manager that has ended.
    fn check(&mut self, what: &str, mark: Mark, watch: Stopwatch) -> Result<()> {
        if self.manager.as_ref().is_some_and(|manager| !manager.is_running()) {
            let log = self.manager()?.log();
            let tail = log.lines().rev().take(10).collect::<Vec<_>>().join("\n");
            return Err(Error::Manager { what: format!("ended; awaited was: {what}"), log: tail });
        }
        if watch.elapsed() > WITHIN {
            let found = self.since(mark)?.shown();
            return Err(Error::Deadline { what: what.to_owned(), within: WITHIN, found });
        }
        Ok(())
    }

    /// The class, the source with its template and syncer, and the image that the chain makes of them, by a manager that runs.
    pub(crate) async fn create_chain(&self) -> Result<()> {
        let objects = self.objects();
        let namespace = fleet::NAMESPACE;
        objects.create(&cluster_class::KIND, namespace, &fleet::class()).await?;
        let class = format!("{}/status", fleet::CLASS);
        objects.merge(&cluster_class::KIND, namespace, &class, &fleet::class_status()).await?;
        objects.create(&machine_image_template::KIND, namespace, &fleet::template()).await?;
        let source = fleet::source(&self.repository.url(FOLDER));
        objects.create(&debian_repository_source::KIND, namespace, &source).await?;
        let syncer = fleet::syncer(&debian_repository_source::KIND.api_version());
        objects.create(&machine_image_syncer::KIND, namespace, &syncer).await?;
        objects
            .await_that("the machine image of the first version has an id", namespace, WITHIN, async || {
                let images = objects.list(&machine_image::KIND, namespace).await?;
                let made = |image: &&Value| {
                    image["spec"]["version"] == fleet::FROM && image["status"]["phase"] == "Created"
                };
                Ok(images.iter().find(made).map(drop))
            })
            .await
    }

    /// Everything else, with no manager running. Gives the bytes of a Cluster, managedFields included.
    pub(crate) async fn create_fleet(&self, clusters: u32) -> Result<usize> {
        let (objects, namespace) = (self.objects(), fleet::NAMESPACE);
        crowd::each(fleet::images(), async |image| {
            objects.create(&machine_image::KIND, namespace, &image).await.map(drop)
        })
        .await?;
        objects.create(&plan::KIND, namespace, &fleet::plan()).await?;
        crowd::each(0..clusters, async |number| {
            let created = objects.create(&cluster::KIND, namespace, &fleet::cluster(number)).await?;
            let generation = created["metadata"]["generation"].as_i64().unwrap_or_default();
            self.say(number, generation, fleet::FROM, Phase::AtRest).await?;
            let name = fleet::name(number);
            let upgrader = fleet::upgrader(&name, &name);
            objects.create(&cluster_upgrader::KIND, namespace, &upgrader).await.map(drop)
        })
        .await?;
        let cluster = objects.get(&cluster::KIND, namespace, &fleet::name(0)).await?;
        Ok(cluster.unwrap_or_default().to_string().len())
    }

    /// Plays Cluster API for one Cluster.
    async fn say(&self, number: u32, generation: i64, version: &str, phase: Phase) -> Result<()> {
        let name = format!("{}/status?fieldManager=capi-cluster", fleet::name(number));
        let status = status::of(generation, version, phase);
        self.objects().merge(&cluster::KIND, fleet::NAMESPACE, &name, &status).await.map(drop)
    }

    /// Plays Cluster API for all Clusters, once the manager has set them to another version.
    pub(crate) async fn say_all(&self, clusters: u32, version: &str, phase: Phase) -> Result<()> {
        // Version and image were set in one write: one generation after the first.
        crowd::each(0..clusters, async |number| self.say(number, 2, version, phase).await).await
    }

    /// Awaits that every upgrader says that its Cluster runs this version.
    pub(crate) async fn await_up_to_date(&self, clusters: u32, version: &str) -> Result<()> {
        let (objects, watch) = (self.objects(), Stopwatch::start());
        loop {
            let all = objects.list(&cluster_upgrader::KIND, fleet::NAMESPACE).await?;
            let done = |upgrader: &&Value| {
                let told = find_condition(upgrader, condition::UP_TO_DATE);
                let message = told["message"].as_str().unwrap_or_default();
                told["status"] == "True" && message.ends_with(version)
            };
            let not_done = all.iter().find(|upgrader| done(upgrader).then_some(()).is_none());
            match not_done {
                None if u32::try_from(all.len()).ok() >= Some(clusters) => return Ok(()),
                found if watch.elapsed() > WITHIN => {
                    let what = format!("every upgrader is up to date at {version}");
                    let found = found.map(ToString::to_string).unwrap_or_default();
                    return Err(Error::Deadline { what, within: WITHIN, found });
                }
                _ => tokio::time::sleep(LIST_EVERY).await,
            }
        }
    }

    /// Publishes the next version, and asks for a fetch as a user would who cannot wait for the interval.
    pub(crate) async fn publish(&self) -> Result<()> {
        let version = fleet::TO.trim_start_matches('v');
        self.repository.publish(FOLDER, &format!("{version}-1.1"));
        let annotation = debian_repository_source::REQUESTED_AT_ANNOTATION;
        let patch = json!({"metadata": {"annotations": {annotation: "bench"}}});
        let kind = debian_repository_source::KIND;
        self.objects().merge(&kind, fleet::NAMESPACE, fleet::NAME, &patch).await.map(drop)
    }

    /// An upgrader of a Cluster that does not exist: what is decided about it is told at once.
    pub(crate) async fn create_late_upgrader(&self) -> Result<()> {
        let upgrader = fleet::upgrader("late", "missing");
        self.objects().create(&cluster_upgrader::KIND, fleet::NAMESPACE, &upgrader).await.map(drop)
    }
}
