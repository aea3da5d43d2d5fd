//! `kill -9` at moments that nobody chose, through two hops of the chain. At the end there is one MachineImage for each version,
//! one Job for each and one patch of the Cluster for each, and no Event is told twice.

use std::env;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::Duration;

use api::batch::job;
use api::clusterctl::BLOCK_MOVE_ANNOTATION;
use api::upgrader::{cluster_upgrader, debian_repository_source, machine_image};
use controlplane::ClassCluster;
use domain::object::Kind;
use e2e::{BuildActor, Installed, Manager, Objects, PackageRepository, Part, ROLLED_WITHIN, WITHIN, name};
use serde_json::{Value, json};

use super::tail::{Tail, Write};
use crate::given;

const NAMESPACE: &str = "kills";
const CLUSTER: &str = "red";
const FOLDER: &str = "v1.35/deb";
const SOURCE: Kind = debian_repository_source::KIND;
const EVENT: Kind = Kind { group: "events.k8s.io", versions: &["v1"], kind: "Event", plural: "events" };
/// A process that has nothing to write is killed all the same.
const IDLE: Duration = Duration::from_secs(2);
/// How closely a moment is met.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// Kills while the first version is built, the Cluster being created beside it; and while the second is, the Cluster rolling.
const FIRST: usize = 8;
const SECOND: usize = 5;

struct Scene<'a> {
    world: &'a Installed,
    tail: Tail,
    writes: Vec<Write>,
    seed: u64,
    killed: usize,
}

/// Plays it, and gives the number of kills.
pub(super) async fn play(world: &Installed, builds: &BuildActor) -> usize {
    let seed = env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| RandomState::new().build_hasher().finish());
    eprintln!("kills: SEED={seed}");
    let mut scene = Scene { world, tail: Tail::of(world, NAMESPACE), writes: Vec::new(), seed, killed: 0 };
    let objects = world.objects();
    let repository = PackageRepository::start().await.unwrap();
    repository.publish(FOLDER, "1.35.1-1.1");
    let mut cluster = ClassCluster::new(CLUSTER, "v1.35.0");
    NAMESPACE.clone_into(&mut cluster.namespace);
    cluster.worker_replicas = 1;
    world.plane().create_class_cluster(&cluster).await.unwrap();
    let spec = json!({"url": repository.url(FOLDER), "interval": "10s"});
    given::create(objects, &SOURCE, (NAMESPACE, "packages"), spec).await;
    given::template(objects, NAMESPACE, "template", given::pod_spec()).await;
    given::syncer(objects, NAMESPACE, "node", (&SOURCE, "packages", "v1.35.x")).await;
    given::plan(objects, NAMESPACE, "newest", "v1.35.x").await;
    given::upgrader(objects, NAMESPACE, "red", (CLUSTER, "newest", "image")).await;

    // The container ends halfway, so that both what comes before its Job and what comes after it meets a kill.
    scene.kill_at_random(FIRST / 2).await;
    builds.play_in(NAMESPACE, Part::usual());
    scene.kill_at_random(FIRST - FIRST / 2).await;
    world.plane().await_cluster_available(&cluster, ROLLED_WITHIN).await.unwrap();
    scene.kill_at_the_patch("v1.35.1").await;

    builds.play_in(NAMESPACE, Part::Hangs);
    repository.publish(FOLDER, "1.35.2-1.1");
    scene.kill_at_random(SECOND / 2).await;
    builds.play_in(NAMESPACE, Part::usual());
    scene.kill_at_random(SECOND - SECOND / 2).await;
    scene.kill_at_the_patch("v1.35.2").await;

    let manager = scene.start().await;
    let upgrader = (&cluster_upgrader::KIND, NAMESPACE, "red");
    // The hop before it had the same reason.
    let rolling = |upgrader: &Value| {
        let told = e2e::find_condition(upgrader, "UpToDate");
        upgrader["status"]["latestSetVersion"] == "v1.35.2" && told["reason"] == "UpgradeInProgress"
    };
    objects.await_object("the upgrader tells of v1.35.2", upgrader, WITHIN, rolling).await.unwrap();
    assert!(manager.terminate().await.unwrap().success());
    scene.check(objects).await;
    scene.killed
}

impl Scene<'_> {
    /// A number below `end`: splitmix64, so that a seed gives the same moments again.
    fn below(&mut self, end: u64) -> u64 {
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.seed;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }

    async fn start(&self) -> Manager {
        let namespace = format!("--namespace={NAMESPACE}");
        Manager::start(self.world.plane(), &[&namespace]).await.unwrap()
    }

    /// Takes in what was written since the last look; how much that is.
    fn look(&mut self) -> usize {
        let new = self.tail.writes();
        let count = new.len();
        self.writes.extend(new);
        count
    }

    fn patches(&self) -> Vec<&Write> {
        self.writes.iter().filter(|write| write.resource == "clusters").collect()
    }

    /// Kills some processes, one after another, each after a few writes of its own and some milliseconds. A death between a
    /// request and its answer is one of these: the API server writes its log before it answers.
    async fn kill_at_random(&mut self, times: usize) {
        for _ in 0..times {
            let (writes, millis) = (self.below(4), self.below(40));
            self.look();
            let manager = self.start().await;
            let mut written = 0;
            let moment = async {
                while written <= usize::try_from(writes).unwrap() {
                    written += self.look();
                    tokio::time::sleep(LOOK_EVERY).await;
                }
                // The one wait that nothing ends: it is the moment itself.
                tokio::time::sleep(Duration::from_millis(millis)).await;
            };
            let met = tokio::time::timeout(IDLE, moment).await.is_ok();
            self.kill(manager, if met { "in its work" } else { "idle" }).await;
        }
    }

    /// Lets a process come to the write that counts, and kills it before it can say so.
    async fn kill_at_the_patch(&mut self, version: &str) {
        let before = self.patches().len();
        let manager = self.start().await;
        let world = self.world;
        // More closely than the deadlines of others look.
        let patched = async {
            while self.patches().len() == before {
                self.look();
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        if tokio::time::timeout(ROLLED_WITHIN, patched).await.is_err() {
            let found = world.objects().describe(NAMESPACE).await;
            unreachable!("no patch to {version}; what is there:\n{found}\n{}", manager.log());
        }
        self.kill(manager, "at the patch").await;
        let cluster = world.objects().get(&api::capi::cluster::KIND, NAMESPACE, CLUSTER).await.unwrap();
        assert_eq!(cluster.unwrap()["spec"]["topology"]["version"], version);
    }

    async fn kill(&mut self, manager: Manager, when: &str) {
        manager.kill9().await.unwrap();
        self.killed += 1;
        self.look();
        let last = self.writes.last().map(|write| format!("{} {}", write.verb, write.resource));
        eprintln!("kills: {} {when}, after {}", self.killed, last.unwrap_or_else(|| "nothing".to_owned()));
    }

    /// Each thing was done twice, once for each version. Of a request that a death cut off (504 in the log) only what follows
    /// tells whether it was done; and of one that was, a second create says that it exists.
    fn check_writes(&self, resource: &str) {
        let verb = if resource == "clusters" { "patch" } else { "create" };
        let codes = |wanted: &[u64]| {
            let of = self.writes.iter().filter(|it| it.verb == verb && it.resource == resource);
            of.filter(|it| wanted.contains(&it.code)).count()
        };
        let (done, cut) = (codes(&[200, 201]), codes(&[504]));
        assert!(done <= 2 && done + cut >= 2, "{resource}: done {done} times, cut off {cut} times");
        let others: Vec<_> = self
            .writes
            .iter()
            .filter(|it| it.verb == verb && it.resource == resource)
            .filter(|it| ![200, 201, 409, 504].contains(&it.code))
            .collect();
        assert!(others.is_empty(), "{others:?}");
    }

    async fn check(&mut self, objects: &Objects) {
        assert!(self.killed >= 10, "{}", self.killed);
        self.look();
        for resource in ["machineimages", "jobs", "clusters"] {
            self.check_writes(resource);
        }
        let images = objects.list(&machine_image::KIND, NAMESPACE).await.unwrap();
        let mut versions: Vec<_> =
            images.iter().map(|image| image["spec"]["version"].as_str().unwrap()).collect();
        versions.sort_unstable();
        assert_eq!(versions, ["v1.35.1", "v1.35.2"]);
        for image in &images {
            let id = format!("registry.example.org/node:{}", image["spec"]["version"].as_str().unwrap());
            assert_eq!(image["spec"]["id"], *id);
            // Nothing holds `clusterctl move` any more.
            assert!(image["metadata"]["annotations"][BLOCK_MOVE_ANNOTATION].is_null(), "{image}");
        }
        assert_eq!(objects.list(&job::KIND, NAMESPACE).await.unwrap().len(), 2);
        let events = objects.list(&EVENT, NAMESPACE).await.unwrap();
        let told = |reason: &str| {
            let mut about: Vec<_> = events
                .iter()
                .filter(|event| event["reason"] == reason)
                .map(|event| format!("{} {}", name(&event["regarding"]), event["note"].as_str().unwrap()))
                .collect();
            about.sort();
            about
        };
        for reason in ["SettingClusterVersion", "CreatedMachineImage", "CreatingJob"] {
            // A death between a write and its Event costs the Event; none is told twice.
            assert!(told(reason).len() <= 2, "{:?}", told(reason));
        }
    }
}
