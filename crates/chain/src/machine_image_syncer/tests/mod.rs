mod adoption;
mod manifest;
mod moving;
mod never_deleted;
mod reasons;
mod retention;
mod source;
mod talks;
mod template;
mod versions;

use api::capi::in_use::{ClusterInUse, MachinesInUse};
use runtime::room::{Recall, Room as _};
use runtime::store::{Availability, Store, TableId};
use serde_json::{Value, json};
use testkit::{at, conditions, shown};

use super::*;

/// A syncer with its source and its template.
const CHAIN: &str = "
kind: MachineImageSyncer
metadata: {name: syncer, creationTimestamp: '2026-11-21T09:00:00Z'}
spec:
  versionRange: v1.27.x
  sourceRef: {apiVersion: kubernetesupgraded.dimitrikoshkin.com/v1alpha1, kind: DebianRepositorySource, name: source}
  machineImageTemplateRef: {name: template}
---
kind: DebianRepositorySource
metadata: {name: source}
spec: {url: https://packages.example/Packages}
status: {versions: [v1.27.5, v1.27.6, v1.28.1]}
---
kind: MachineImageTemplate
metadata: {name: template}
spec:
  template:
    metadata: {labels: {imageBuilderVersion: v1}}
    spec:
      jobTemplate: {spec: {containers: [{name: builder, image: builder}]}}
";

/// A small cluster: objects, what the room remembers, and how far the watch of foreign sources has come.
struct World {
    objects: Vec<Value>,
    memory: Memory,
    foreign: Option<Availability>,
    /// What a source that may only be read answers.
    feed: Found,
    /// What the server has of Cluster API, or why it cannot be read.
    live: Result<Vec<Value>, Box<str>>,
}

type Looked = (Observed, Verdict<Step, Reason>);

/// One pass as the engine leads it.
struct Pass {
    /// The requests that were made.
    steps: Vec<String>,
    /// What was decided when no request was left.
    decided: String,
    report: Report,
}

impl World {
    fn new(yaml: &str) -> Self {
        Self {
            objects: testkit::objects(yaml),
            memory: Memory::default(),
            foreign: None,
            feed: Found::Missing,
            live: Ok(Vec::new()),
        }
    }

    /// Adds what the server has of Cluster API.
    fn with_live(mut self, yaml: &str) -> Self {
        self.live = self.live.map(|live| live.into_iter().chain(testkit::objects(yaml)).collect());
        self
    }

    fn used(&self, part: &Part) -> Result<Used, Box<str>> {
        let live = self.live.as_ref().map_err(Clone::clone)?;
        let machines = |kind: &str| {
            let of_kind = live.iter().filter(|object| object["kind"] == kind);
            of_kind.map(|object| User::machines(kind, testkit::row::<MachinesInUse>(object))).collect()
        };
        Ok(match part {
            Part::Clusters => {
                let clusters = live.iter().filter(|object| object["kind"] == "Cluster");
                let rows: Vec<_> = clusters.map(testkit::row::<ClusterInUse>).collect();
                let control_planes = rows.iter().filter_map(|row| row.control_plane_ref.clone()).collect();
                Used { users: rows.into_iter().map(User::cluster).collect(), control_planes }
            }
            Part::ControlPlanes(_) => Used { users: machines("KubeadmControlPlane"), ..Used::default() },
            Part::MachineDeployments => Used { users: machines("MachineDeployment"), ..Used::default() },
            Part::MachinePools => Used { users: machines("MachinePool"), ..Used::default() },
            Part::Machines => Used { users: machines("Machine"), ..Used::default() },
        })
    }

    fn restart(&mut self) {
        self.memory = Memory::default();
    }

    fn get(&mut self, kind: &str) -> &mut Value {
        self.objects.iter_mut().find(|object| object["kind"] == kind).unwrap()
    }

    fn syncer(&mut self) -> &mut Value {
        self.get("MachineImageSyncer")
    }

    fn images(&self) -> Vec<&Value> {
        self.objects.iter().filter(|object| object["kind"] == "MachineImage").collect()
    }

    fn remove(&mut self, kind: &str) {
        self.objects.retain(|object| object["kind"] != kind);
    }

    fn look(&mut self, now: Timestamp) -> Looked {
        let documents: Vec<String> = self.objects.iter().map(Value::to_string).collect();
        let mut store: Store = testkit::store(&documents.join("\n---\n"));
        if let Some(availability) = &self.foreign {
            let kind = DynamicKind { api_version: "example.org/v1".into(), kind: "Feed".into() };
            store.set::<VersionsRow>(&TableId::dynamic::<VersionsRow>(&kind), availability.clone());
        }
        let row = testkit::row::<SyncerRow>(self.syncer());
        let observed = SyncerRoom.observe(
            store.snapshot(),
            &row,
            Recall { memory: &mut self.memory, shared: &mut () },
            now,
        );
        let verdict = SyncerRoom.decide(&observed, now);
        (observed, verdict)
    }

    /// Answers a request as the server would.
    fn answer(&mut self, step: &Step) -> Answer {
        match step {
            Step::ReadSource(_) => Answer::Source(self.feed.clone()),
            Step::ReadTemplate(_) => {
                Answer::Template(LiveTemplate::of(self.get("MachineImageTemplate").clone()))
            }
            Step::CreateImage(creation) => {
                let name = &*creation.key.name;
                assert!(self.images().iter().all(|image| image["metadata"]["name"] != name), "{step}: again");
                let object = testkit::objects(&creation.body.to_string()).remove(0);
                let uid = object["metadata"]["uid"].as_str().unwrap().into();
                self.objects.push(object);
                Answer::Created(uid)
            }
            Step::ReadUse { part, .. } => Answer::Use(self.used(part)),
            Step::DeleteImage { image, .. } => {
                let before = self.objects.len();
                self.objects.retain(|object| object["metadata"]["uid"] != *image.uid);
                assert_eq!(self.objects.len() + 1, before, "{step}");
                Answer::Deleted
            }
        }
    }

    /// Makes at most `limit` requests; the last observation, unless the process was killed before it.
    fn lead(&mut self, now: Timestamp, limit: usize) -> (Vec<String>, Option<Looked>) {
        let mut steps = Vec::new();
        loop {
            let (observed, verdict) = self.look(now);
            let Some(step) = verdict.steps.first() else { return (steps, Some((observed, verdict))) };
            if steps.len() >= limit {
                self.restart();
                return (steps, None);
            }
            steps.push(step.to_string());
            let answer = self.answer(step);
            assert!(SyncerRoom.learn(
                Recall { memory: &mut self.memory, shared: &mut () },
                step,
                Ok(answer),
                now
            ));
        }
    }

    /// Passes until nothing is left to do at once: the requests of all of them, and the last.
    fn settle(&mut self, now: Timestamp) -> (Vec<String>, Pass) {
        let mut steps = Vec::new();
        for _ in 0..50 {
            let pass = self.pass(now);
            steps.extend(pass.steps.clone());
            if !pass.decided.ends_with("\nagain in 0 s") {
                return (steps, pass);
            }
        }
        panic!("passes without end: {steps:#?}");
    }

    fn pass(&mut self, now: Timestamp) -> Pass {
        let (steps, last) = self.lead(now, 10);
        let (observed, verdict) = last.unwrap();
        let report = SyncerRoom.report(&observed, &verdict, now);
        if let Some(Value::Object(patch)) = &report.status {
            let patch = patch.clone();
            let syncer = self.syncer();
            for (field, value) in patch {
                syncer["status"][&field] = value;
            }
        }
        Pass { steps, decided: shown(&verdict, now), report }
    }
}

impl Pass {
    fn conditions(&self) -> String {
        conditions(self.report.status.as_ref().unwrap())
    }

    /// The Events as `Type Reason: message`.
    fn notes(&self) -> Vec<String> {
        let one = |note: &domain::verdict::Note| {
            format!("{} {}: {}", note.severity.name(), note.reason, note.message)
        };
        self.report.notes.iter().map(one).collect()
    }
}

#[test]
fn the_newest_version_in_range_gets_an_image() {
    let mut world = World::new(CHAIN);
    let pass = world.pass(at(0));
    let name = world.images()[0]["metadata"]["name"].as_str().unwrap().to_owned();
    assert!(name.starts_with("syncer-v1.27.6-"), "{name}");
    assert_eq!(
        pass.steps,
        ["read MachineImageTemplate ns/template", &*format!("create MachineImage ns/{name} for v1.27.6")]
    );
    assert_eq!(pass.decided, "done", "and nothing to look at again: the rest is watched");
    assert_eq!(pass.conditions(), "Ready=True/ImagesExist UpToDate=True/ImagesExist");
    let status = pass.report.status.as_ref().unwrap();
    assert_eq!(status["latestVersion"], "v1.27.6");
    assert_eq!(status["conditions"][0]["message"], format!("v1.27.6 has MachineImage {name}"));
    assert_eq!(pass.notes(), [format!("Normal CreatedMachineImage: v1.27.6 has MachineImage {name}")]);
}

#[test]
fn an_unchanged_result_is_not_written_again() {
    let mut world = World::new(CHAIN);
    world.pass(at(0));
    assert_eq!(world.pass(at(60)).report, Report::default());
    world.restart();
    let pass = world.pass(at(120));
    assert_eq!((pass.steps.len(), pass.report), (0, Report::default()));
}

#[test]
fn a_new_version_gets_another_image_and_the_old_one_stays() {
    let mut world = World::new(CHAIN);
    world.pass(at(0));
    world.get("DebianRepositorySource")["status"]["versions"] = json!(["v1.27.6", "v1.27.7"]);
    let pass = world.pass(at(60));
    assert_eq!(pass.steps.len(), 2);
    assert_eq!(pass.report.status.unwrap()["latestVersion"], "v1.27.7");
    assert_eq!(world.images().len(), 2);
    // A narrower range takes nothing back.
    world.syncer()["spec"]["versionRange"] = json!("<=1.27.6");
    let pass = world.pass(at(120));
    let status = pass.report.status.unwrap();
    assert_eq!((pass.decided.as_str(), status.get("latestVersion")), ("done", None));
    assert!(status["conditions"][0]["message"].as_str().unwrap().starts_with("v1.27.6 has "));
    assert_eq!(world.images().len(), 2);
}

/// The original asked for the image of a version as the source writes it.
#[test]
fn versions_are_kept_as_the_source_writes_them() {
    let mut world = World::new(CHAIN);
    world.get("DebianRepositorySource")["status"]["versions"] = json!(["1.27.6+vmware.1", "1.27.6p", "1.27"]);
    world.pass(at(0));
    assert_eq!(world.images()[0]["spec"]["version"], "1.27.6+vmware.1");
    assert_eq!(world.pass(at(1)).steps.len(), 0);
}

#[test]
fn a_deleted_image_is_made_again_once_it_is_gone() {
    let mut world = World::new(CHAIN);
    let uid = |world: &World| world.images()[0]["metadata"]["uid"].clone();
    world.pass(at(0));
    let first = uid(&world);
    world.get("MachineImage")["metadata"]["deletionTimestamp"] = json!("2026-11-21T10:00:01Z");
    let pass = world.pass(at(1));
    assert!(
        pass.decided.starts_with("wait: ImageDeleting - the machine image is being deleted"),
        "{}",
        pass.decided
    );
    assert_eq!(pass.conditions(), "Ready=True/ImageDeleting UpToDate=False/ImageDeleting");
    assert_eq!(pass.report.status.as_ref().unwrap()["latestVersion"], Value::Null);
    assert_eq!(pass.notes(), [""; 0]);
    world.remove("MachineImage");
    assert_eq!(world.pass(at(2)).steps.len(), 0, "it may come back");
    let pass = world.pass(at(32));
    assert_eq!((pass.steps.len(), pass.notes().len()), (2, 1));
    assert_eq!(uid(&world), first, "the same name");
}

#[test]
fn a_paused_syncer_makes_nothing_and_stays_ready() {
    let mut world = World::new(CHAIN);
    world.syncer()["spec"]["paused"] = json!(true);
    let pass = world.pass(at(0));
    assert_eq!((pass.steps.len(), pass.decided.as_str()), (0, "wait: Paused - spec.paused is set"));
    assert_eq!(pass.conditions(), "Ready=True/Paused UpToDate=False/Paused");
    assert_eq!(pass.notes(), [""; 0]);
    world.syncer()["spec"]["paused"] = json!(false);
    assert_eq!(world.pass(at(1)).steps.len(), 2);
}

#[test]
fn a_deleted_syncer_is_left_alone() {
    let mut world = World::new(CHAIN);
    world.syncer()["metadata"]["deletionTimestamp"] = json!("2026-11-21T10:00:00Z");
    let pass = world.pass(at(0));
    assert_eq!((pass.steps.len(), pass.report), (0, Report::default()));
}

#[test]
fn an_image_wakes_its_syncer_and_a_stray_one_every_syncer() {
    let other = CHAIN.split("---").next().unwrap().replace("name: syncer", "name: other");
    let store = testkit::store(&format!("{CHAIN}\n---\n{other}"));
    let image = |labels: &str| {
        let yaml = format!(
            "kind: MachineImage\nmetadata: {{name: i, labels: {labels}}}\nspec: {{version: v1.27.6}}\n"
        );
        testkit::row::<MachineImageRow>(&testkit::objects(&yaml)[0])
    };
    let key = ObjectKey::new("ns", "i");
    let woken = |before: Option<&MachineImageRow>, after: Option<&MachineImageRow>| -> Vec<String> {
        let keys = makers_of(store.snapshot(), &key, before, after);
        keys.iter().map(|key| key.name.to_string()).collect()
    };
    let labels = "{kubernetes-upgrader.dimitrikoshkin.com/machine-image-syncer-name: syncer, \
                  kubernetes-upgrader.dimitrikoshkin.com/kubernetes-version: v1.27.6}";
    let (made, stray) = (image(labels), image("{}"));
    assert_eq!(woken(None, Some(&made)), ["syncer"]);
    assert_eq!(woken(Some(&stray), None), ["other", "syncer"]);
    let mut building = made.clone();
    building.status.phase = Some("Building".into());
    assert_eq!(woken(Some(&made), Some(&building)), [""; 0], "a status of it is nobody's concern");
}
