use super::*;
use proptest::prelude::*;

/// `status.path` as `v1.34 v1.34.3 a`, and the message of `UpToDate`.
fn told(yaml: &str) -> (Vec<String>, String) {
    let status = run(yaml).1.status.unwrap();
    let entries = status["path"].as_array().cloned().unwrap_or_default();
    let word = |entry: &Value, field: &str| entry[field].as_str().unwrap_or_default().to_owned();
    let line = |entry: &Value| match entry["missing"].as_bool() {
        Some(true) => format!("{} missing", word(entry, "minor")),
        _ => ["minor", "version", "machineImage"].map(|field| word(entry, field)).join(" "),
    };
    let conditions = status["conditions"].as_array().unwrap();
    let condition = conditions.iter().find(|condition| condition["type"] == "UpToDate").unwrap();
    (entries.iter().map(line).collect(), word(condition, "message"))
}

fn plan_with(range: &str, images: &[(&str, &str)]) -> String {
    let images = images.iter().map(|(name, version)| image(name, version, &format!("id-{name}")));
    plan(&format!("{{versionRange: \"{range}\"}}")) + &images.collect::<String>()
}

#[test]
fn each_minor_has_its_newest_image_or_is_missing() {
    let images = [("a", "v1.33.9"), ("b", "v1.34.1"), ("c", "1.34.3"), ("d", "v1.36.2"), ("e", "v1.36.0")];
    let (path, message) = told(&plan_with(">=1.34 <1.37", &images));
    assert_eq!(path, ["v1.34 1.34.3 c", "v1.35 missing", "v1.36 v1.36.2 d"]);
    assert_eq!(message, "v1.36.2 with image id-d of MachineImage d; no image of v1.35: Clusters below wait");
    let (path, message) = told(&plan_with("v1.36.x", &images));
    assert_eq!(path, ["v1.36 v1.36.2 d"]);
    assert_eq!(message, "v1.36.2 with image id-d of MachineImage d");
}

#[test]
fn a_hole_leaves_the_plan_up_to_date() {
    let (verdict, report) = run(&plan_with("1.x", &[("a", "v1.34.1"), ("b", "v1.36.1")]));
    assert_eq!(shown(&verdict, at(0)), "done");
    let status = report.status.unwrap();
    assert_eq!(conditions(&status), "Ready=True/FoundMachineImage UpToDate=True/FoundMachineImage");
    assert_eq!(report.notes[0].message, "v1.36.1 with image id-b of MachineImage b");
}

#[test]
fn a_path_stays_within_what_the_schema_takes() {
    let (path, message) = told(&plan_with(">=0.0", &[("a", "v1.0.0"), ("b", "v1.950.0"), ("c", "v1.999.0")]));
    assert_eq!((path.len(), &*path[0], &*path[49]), (50, "v1.950 v1.950.0 b", "v1.999 v1.999.0 c"));
    assert_eq!(
        message,
        "v1.999.0 with image id-c of MachineImage c; no image of v1.951, v1.952, v1.953, v1.954, v1.955 and 43 more: \
         Clusters below wait"
    );
    let largest = format!("v1.{}.0", u64::MAX);
    let (path, _) = told(&plan_with(">=0.0", &[("a", "v0.99.0"), ("b", "v1.900.0"), ("c", &largest)]));
    assert_eq!(path, [format!("v1.{} {largest} c", u64::MAX)]);
    let hundred: Vec<(String, String)> =
        (0..130).map(|minor| (format!("i{minor:03}"), format!("v1.{minor}.0"))).collect();
    let hundred: Vec<(&str, &str)> = hundred.iter().map(|(name, version)| (&**name, &**version)).collect();
    let (path, _) = told(&plan_with("1.x", &hundred));
    assert_eq!((path.len(), &*path[0], &*path[99]), (100, "v1.30 v1.30.0 i030", "v1.129 v1.129.0 i129"));
}

#[test]
fn a_path_is_cleared_with_the_result() {
    let stale =
        "status: {phase: FoundMachineImage, path: [{minor: v1.36, version: v1.36.2, machineImage: a}]}\n";
    let (_, report) = run(&(plan("{versionRange: 1.36.x}") + stale));
    let status = report.status.unwrap();
    assert!(status.as_object().unwrap().contains_key("path") && status["path"].is_null(), "{status}");
}

/// The versions and names of [`candidates`].
fn of_candidates(yaml: &str) -> Vec<String> {
    let store = store(yaml);
    let snapshot = store.snapshot();
    let row = snapshot.get::<PlanRow>(&ObjectKey::new("ns", "plan")).unwrap();
    let hops = candidates(snapshot, row);
    hops.iter().map(|hop| format!("{} {}", hop.version, hop.image.meta.key.name)).collect()
}

#[test]
fn candidates_are_the_newest_first_and_one_for_each_version() {
    let younger = |name: &str, version: &str| {
        image(name, version, "y").replace(
            &format!("name: {name}"),
            &format!("name: {name}, creationTimestamp: \"2026-11-22T00:00:00Z\""),
        )
    };
    let images = [
        image("a", "1.35.1", "x"),
        image("b", "v1.35.1", "x"),
        image("c", "v1.36.1+k3s2", "x"),
        younger("d", "v1.36.1+k3s1"),
        image("e", "v1.36.1+k3s1", "x"),
        image("f", "v1.37.0", "x"),
        image("g", "v1.36.0", ""),
        image("h", "newest", "x"),
        younger("i", "v1.34.0"),
        image("j", "v1.34.0", "x"),
    ];
    let yaml = plan("{versionRange: \">=1.34 <1.37\", machineImageSelector: {matchLabels: {tier: a}}}");
    let expected = ["v1.36.1+k3s1 d", "v1.36.1+k3s2 c", "v1.35.1 a", "v1.34.0 i"];
    assert_eq!(of_candidates(&(yaml.clone() + &images.concat())), expected);
    let invalid = yaml.replace("matchLabels: {tier: a}", "matchExpressions: [{key: z, operator: NotIn}]");
    assert!(of_candidates(&(invalid + &images.concat())).is_empty());
    assert!(of_candidates(&(plan("{versionRange: 1x}") + &images.concat())).is_empty());
}

/// What the path of a plan promises for a minor is the hop that a Cluster makes.
#[test]
fn the_path_tells_the_hops_of_a_cluster_below_it() {
    let images =
        [("a", "v1.34.1"), ("b", "v1.34.3"), ("c", "v1.35.0-rc.1"), ("d", "v1.35.1+x"), ("e", "v1.36.2")];
    let yaml = plan_with(">=1.34.0-0 <1.37.0-0", &images);
    let store = store(&yaml);
    let snapshot = store.snapshot();
    let row = snapshot.get::<PlanRow>(&ObjectKey::new("ns", "plan")).unwrap();
    let hops = candidates(snapshot, row);
    let from = "v1.33.0".parse().unwrap();
    let walked = domain::path::path(&from, None, &hops[0].version, domain::path::Allowed::All, &hops);
    assert_eq!(walked.stopped, None);
    let line = |hop: &&domain::path::Hop<Candidate>| format!("{} {}", hop.version, hop.image.meta.key.name);
    let walked: Vec<String> = walked.hops.iter().map(line).collect();
    let (path, _) = told(&yaml);
    let path: Vec<&str> = path.iter().filter_map(|line| line.split_once(' ')).map(|(_, rest)| rest).collect();
    assert_eq!(walked, path);
}

/// The page for users shows a status as it is written.
#[test]
fn the_page_shows_what_is_written() {
    let page = include_str!("../../../../../docs/paths.md");
    let block = page.split("```yaml\n").find(|block| block.starts_with("status:")).unwrap();
    let shown: Value = serde_saphyr::from_str(block.split("```").next().unwrap()).unwrap();
    let images = image("ubuntu-v1.34.3-x2vqp", "v1.34.3", "ubuntu-2404-kube-v1.34.3")
        + &image("ubuntu-v1.36.2-h79k2", "v1.36.2", "ubuntu-2404-kube-v1.36.2");
    let (_, report) = run(&(plan("{versionRange: \">=1.34 <1.37\"}") + &images));
    let mut written = report.status.unwrap();
    assert_eq!(written["path"], shown["status"]["path"]);
    assert_eq!(written["machineImageDetails"], shown["status"]["machineImageDetails"]);
    let conditions = written["conditions"].as_array_mut().unwrap();
    conditions.retain(|condition| condition["type"] == "UpToDate");
    let condition = conditions[0].as_object_mut().unwrap();
    condition.retain(|field, _| ["type", "status", "reason", "message"].contains(&&**field));
    assert_eq!(written["conditions"], shown["status"]["conditions"]);
}

/// The numbers of versions, whether each has an id, and how old its image is.
fn images() -> impl Strategy<Value = Vec<(u64, u64, u64, bool, u32)>> {
    let major = prop_oneof![12 => Just(1_u64), 1 => Just(0), 1 => Just(2), 1 => Just(u64::MAX)];
    let minor = prop_oneof![12 => 28_u64..37, 2 => 0_u64..300, 1 => Just(u64::MAX)];
    prop::collection::vec((major, minor, 0_u64..3, prop::bool::weighted(0.8), 0_u32..3), 0..16)
}

proptest! {
    /// From a minor that has an image up to the result, without a gap, each entry with an image of it or missing.
    #[test]
    fn a_path_has_every_minor_once(images in images()) {
        let documents = images.iter().enumerate().map(|(index, (major, minor, patch, has_id, age))| {
            let name = format!("i{index}");
            let id = if *has_id { &*name } else { "" };
            image(&name, &format!("v{major}.{minor}.{patch}"), id).replace(
                &format!("name: {name}"),
                &format!("name: {name}, creationTimestamp: \"2026-11-2{age}T00:00:00Z\""),
            )
        });
        let (verdict, report) = run(&(plan("{versionRange: \">=0.0\"}") + &documents.collect::<String>()));
        let status = report.status.unwrap();
        let path = status["path"].as_array().cloned().unwrap_or_default();
        prop_assert_eq!(path.is_empty(), status["machineImageDetails"].is_null());
        prop_assert_eq!(path.is_empty(), verdict.then.because().is_some());
        prop_assert!(path.len() <= 100);
        let Some((first, last)) = path.first().zip(path.last()) else { return Ok(()) };
        prop_assert!(first["missing"].is_null());
        prop_assert_eq!(&last["version"], &status["machineImageDetails"]["version"]);
        prop_assert_eq!(&last["machineImage"], &status["machineImageRef"]["name"]);
        let minor = |entry: &Value| -> domain::version::Minor { entry["minor"].as_str().unwrap().parse().unwrap() };
        for pair in path.windows(2) {
            prop_assert_eq!(minor(&pair[0]).next(), Some(minor(&pair[1])));
        }
        for entry in &path {
            let of_minor = images.iter().enumerate().filter(|(_, (major, number, _, has_id, _))| {
                *has_id && domain::version::Minor { major: *major, minor: *number } == minor(entry)
            });
            // The newest patch, then the younger.
            let best = of_minor.clone().map(|(_, (_, _, patch, _, age))| (*patch, *age)).max();
            prop_assert_eq!(entry["missing"] == true, best.is_none());
            let Some(best) = best else { continue };
            let mut names = of_minor.filter(|(_, (_, _, patch, _, age))| (*patch, *age) == best);
            let named = |index: usize| entry["machineImage"] == format!("i{index}");
            prop_assert!(names.any(|(index, _)| named(index)), "{entry}");
        }
    }
}
