//! The life of an image, request by request, on a server of a few lines; killed before and after every one of them.

use runtime::room::Recall;
use std::collections::BTreeMap;

use super::super::apply::{holding, recording};
use super::*;

/// An API server that holds one image and its Jobs.
struct World {
    image: Value,
    jobs: BTreeMap<String, Value>,
    version: u64,
    /// Seconds since the story began.
    now: i64,
    memory: Memory,
    events: Vec<String>,
}

/// How a pass ends.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Kill {
    Never,
    /// Before the request with this number.
    Before(usize),
    /// After it was served: its answer is lost.
    After(usize),
}

impl World {
    fn new() -> Self {
        let image = objects(&image("", "", "")).remove(0);
        Self {
            image,
            jobs: BTreeMap::new(),
            version: 1,
            now: 0,
            memory: Memory::default(),
            events: Vec::new(),
        }
    }

    fn store(&self) -> Store {
        store(&yaml(std::iter::once(&self.image).chain(self.jobs.values())))
    }

    /// One pass; returns the number of its requests. A killed process has no memory left.
    fn pass(&mut self, kill: Kill) -> usize {
        for request in 0..16 {
            let looked = look_in(&self.store(), &mut self.memory, self.now);
            let Some(step) = looked.verdict.steps.first() else {
                if kill == Kill::Before(request) {
                    self.memory = Memory::default();
                    return request;
                }
                self.image["status"] = looked.status(&self.image["status"]);
                self.touched();
                self.events.extend(looked.events().into_iter().map(ToOwned::to_owned));
                if kill == Kill::After(request) {
                    self.memory = Memory::default();
                }
                return request + 1;
            };
            if kill == Kill::Before(request) {
                self.memory = Memory::default();
                return request;
            }
            let served = self.serve(step);
            if kill == Kill::After(request) {
                self.memory = Memory::default();
                return request + 1;
            }
            match served {
                Ok(Some(answer)) => {
                    assert!(MachineImageRoom.learn(
                        Recall { memory: &mut self.memory, shared: &mut () },
                        step,
                        Ok(answer),
                        at(0)
                    ));
                }
                Ok(None) => {}
                Err(refusal) => assert!(MachineImageRoom.learn(
                    Recall { memory: &mut self.memory, shared: &mut () },
                    step,
                    Err(&refusal),
                    at(0)
                )),
            }
        }
        panic!("a pass without end");
    }

    fn touched(&mut self) {
        self.version += 1;
        self.image["metadata"]["resourceVersion"] = json!(self.version.to_string());
    }

    fn serve(&mut self, step: &Step) -> Result<Option<Answer>, Refusal> {
        match step {
            Step::HoldMove { image, .. } => {
                merge(&mut self.image, &holding(image, Some("kubernetes-upgrader")))
            }
            Step::ReleaseMove { image } => merge(&mut self.image, &holding(image, None)),
            Step::RecordId { image, id, let_go } => {
                assert_eq!(
                    json!(image.resource_version.to_string()),
                    self.image["metadata"]["resourceVersion"]
                );
                merge(&mut self.image, &recording(image, id, *let_go));
            }
            Step::ReadTemplate { image } => {
                let resource_version = domain::object::ResourceVersion(self.version);
                let spec = self.image["spec"]["jobTemplate"]["spec"].clone();
                return Ok(Some(Answer::Template(TemplateRead {
                    uid: image.uid.clone(),
                    generation: image.generation,
                    resource_version,
                    spec,
                    lineage: std::collections::BTreeMap::new(),
                })));
            }
            Step::ReadJobs { seen, .. } => {
                let unseen = |job: &&Value| seen.iter().all(|uid| job["metadata"]["uid"] != **uid);
                let unseen = self.jobs.values().find(unseen);
                return Ok(Some(Answer::Jobs(
                    unseen.map(|job| job["metadata"]["name"].as_str().unwrap().into()),
                )));
            }
            Step::ReadPods { .. } => return Ok(Some(Answer::Pods(Vec::new()))),
            Step::CreateJob { name, body, .. } => {
                assert!(self.is_held(), "a build that could be moved away from");
                if self.jobs.contains_key(&**name) {
                    return Err(Refusal::AlreadyExists);
                }
                let mut job = body.clone();
                self.version += 1;
                job["metadata"]["uid"] = json!(format!("uid-{}", self.version));
                job["metadata"]["creationTimestamp"] = json!(at(self.now).to_string());
                job["status"] = json!({"active": 1});
                self.jobs.insert(name.to_string(), job);
                return Ok(None);
            }
        }
        self.touched();
        Ok(None)
    }

    fn is_held(&self) -> bool {
        self.image["metadata"]["annotations"].get(api::clusterctl::BLOCK_MOVE_ANNOTATION).is_some()
    }

    fn job(&mut self) -> &mut Value {
        assert_eq!(self.jobs.len(), 1, "{:?}", self.jobs.keys());
        self.jobs.values_mut().next().unwrap()
    }

    fn named(&mut self) -> Value {
        self.job()["metadata"]["name"].clone()
    }
}

/// A pass that is killed, and the one of the next process.
fn passes(world: &mut World, kill: Kill) {
    world.pass(kill);
    world.pass(Kill::Never);
}

fn kills() -> impl Iterator<Item = Kill> {
    std::iter::once(Kill::Never)
        .chain((0..6).flat_map(|request| [Kill::Before(request), Kill::After(request)]))
}

/// T11 of the original's acceptance list, and T10, with a kill at each request of each pass.
#[test]
fn one_job_an_attempt_and_one_id_wherever_it_is_killed() {
    const NEVER: Kill = Kill::Never;
    let stories = kills().flat_map(|kill| [(kill, NEVER, NEVER), (NEVER, kill, NEVER), (NEVER, NEVER, kill)]);
    for (first, second, third) in stories {
        let mut world = World::new();
        passes(&mut world, first);
        let name = world.named();
        assert_eq!(world.image["status"]["jobRef"]["name"], name);
        assert!(world.is_held());

        // Deleted before it succeeded.
        world.jobs.clear();
        passes(&mut world, second);
        let next = world.named();
        assert_ne!(name, next, "{first:?} {second:?}");
        assert_eq!(
            (&world.image["status"]["jobRef"]["name"], &world.image["status"]["phase"]),
            (&next, &json!("Building"))
        );
        assert_eq!(world.image["status"].get("ready"), None);

        let job = world.job();
        job["metadata"]["annotations"] = json!({"kubernetesupgraded.dimitrikoshkin.com/image-id": "test-id"});
        job["status"] = json!({"succeeded": 1});
        passes(&mut world, third);
        assert_eq!(world.image["spec"]["id"], "test-id", "{first:?} {second:?} {third:?}");
        let status = &world.image["status"];
        assert_eq!(
            (&status["ready"], &status["phase"], &status["jobRef"]["name"]),
            (&json!(true), &json!("Created"), &next)
        );
        assert!(!world.is_held());
        assert_eq!(
            world.events,
            ["CreatingJob", "CreatingJob", "ImageAvailable"],
            "{first:?} {second:?} {third:?}"
        );

        world.jobs.clear();
        assert_eq!(world.pass(Kill::Never), 1, "nothing but a look at the status");
        assert!(world.jobs.is_empty());
    }
}

#[test]
fn a_job_takes_three_requests_and_an_id_one() {
    let mut world = World::new();
    assert_eq!(world.pass(Kill::Never), 3 + 1);
    world.job()["status"] = json!({"succeeded": 1, "conditions": [{"type": "Complete", "status": "True"}]});
    world.job()["metadata"]["labels"]["kubernetesupgraded.dimitrikoshkin.com/image-id"] = json!("ami-1");
    assert_eq!(world.pass(Kill::Never), 1 + 1);
}

/// Three builds that fail, with a kill at each request of each pass: never more Jobs than asked for, never two at a time,
/// none before its time, and none is deleted.
#[test]
fn retries_are_counted_wherever_it_is_killed() {
    for kill in kills() {
        for killed in 0..4 {
            let mut world = World::new();
            world.image["spec"]["build"] = json!({"retries": 2, "deadlineSeconds": 600});
            for (attempt, failed_at) in [(1, 100), (2, 300), (3, 600)] {
                passes(&mut world, if killed == attempt { kill } else { Kill::Never });
                assert_eq!(world.jobs.len(), attempt, "{kill:?} {killed}");
                let newest = world.image["status"]["jobRef"]["name"].as_str().unwrap().to_owned();
                let job = world.jobs.get_mut(&newest).unwrap();
                assert_eq!(
                    job["metadata"]["annotations"]["kubernetesupgraded.dimitrikoshkin.com/attempt"],
                    attempt.to_string()
                );
                assert_eq!(job["spec"]["activeDeadlineSeconds"], 600);
                let condition = json!({
                    "type": "Failed", "status": "True", "reason": "BackoffLimitExceeded",
                    "lastTransitionTime": at(failed_at).to_string(),
                });
                job["status"] = json!({"failed": 7, "conditions": [condition]});
                // The pause, and the end of it.
                let pause = if attempt == 1 { 60 } else { 120 };
                world.now = failed_at + 1;
                passes(&mut world, if killed == 0 { kill } else { Kill::Never });
                assert_eq!((world.jobs.len(), world.is_held()), (attempt, false), "{kill:?} {killed}");
                world.now = failed_at + pause;
            }
            passes(&mut world, kill);
            assert_eq!(world.jobs.len(), 3);
            assert_eq!(world.image["status"]["conditions"][0]["reason"], "JobFailed");
            let told = |reason: &str| world.events.iter().filter(|event| *event == reason).count();
            assert_eq!(
                (told("CreatingJob"), told("JobFailed")),
                (3, 1),
                "{kill:?} {killed}: {:?}",
                world.events
            );

            // A human deletes the last one: another at once, and counted anew.
            let last = world.image["status"]["jobRef"]["name"].as_str().unwrap().to_owned();
            world.jobs.remove(&last);
            passes(&mut world, kill);
            assert_eq!(world.jobs.len(), 3, "{kill:?}");
            let next = world.image["status"]["jobRef"]["name"].as_str().unwrap();
            assert_ne!(next, last);
            assert_eq!(
                world.jobs[next]["metadata"]["annotations"]["kubernetesupgraded.dimitrikoshkin.com/attempt"],
                "1"
            );
        }
    }
}
