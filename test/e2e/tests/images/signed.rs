//! A repository that asks for credentials and signs what it has. What it takes is in a Secret and a ConfigMap, which the manager
//! may read only where somebody has bound the ClusterRole for it.

use api::upgrader::debian_repository_source::{KIND, REQUESTED_AT_ANNOTATION};
use domain::object::Kind;
use e2e::{ACCOUNT, Expected, Installed, NAMESPACE as SYSTEM, Objects, PackageRepository, WITHIN};
use jiff::Timestamp;
use serde_json::{Value, json};
use sources::signing::{Heading, Signer, release};

use crate::given;

const NAMESPACE: &str = "signed";
const FOLDER: &str = "private/deb";
const PASSWORD: &str = "a-password-of-this-test";
/// `robot` and the password, as HTTP has them.
const AUTHORIZATION: &str = "Basic cm9ib3Q6YS1wYXNzd29yZC1vZi10aGlzLXRlc3Q=";
const SOURCE: (&Kind, &str, &str) = (&KIND, NAMESPACE, "private");
const SECRET: Kind = Kind { group: "", versions: &["v1"], kind: "Secret", plural: "secrets" };
const CONFIG_MAP: Kind = Kind { group: "", versions: &["v1"], kind: "ConfigMap", plural: "configmaps" };

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// Signs an index, which need not be the one that is served.
fn sign(signer: &mut Signer, repository: &PackageRepository, index: &[u8]) {
    let heading = Heading { date: Some(at(1_780_000_000)), valid_until: None };
    let signed = signer.sign(&release(&heading, &[("Packages", index)])).unwrap();
    repository.put(&format!("{FOLDER}/InRelease"), signed);
}

/// Has the source read at once, and awaits what it says of that.
async fn read(objects: &Objects, request: &str, (status, reason): (&str, &str)) -> Value {
    let asked = json!({"metadata": {"annotations": {REQUESTED_AT_ANNOTATION: request}}});
    objects.merge(&KIND, NAMESPACE, SOURCE.2, &asked).await.unwrap();
    objects.await_condition(SOURCE, ("Ready", status, reason), WITHIN).await.unwrap()
}

#[tokio::test]
async fn a_signed_repository_with_credentials_is_read_where_that_is_allowed() {
    let world = Installed::start().await.unwrap();
    let objects = world.objects();
    given::namespace(objects, NAMESPACE).await;
    let repository = PackageRepository::start().await.unwrap();
    repository.protect(AUTHORIZATION);
    repository.publish(FOLDER, "1.35.1-1.1");
    let mut signer = Signer::new(1, at(1_700_000_000), None).unwrap();
    sign(&mut signer, &repository, &repository.index(FOLDER));

    let secret = json!({
        "metadata": {"name": "robot"}, "type": "kubernetes.io/basic-auth",
        "stringData": {"username": "robot", "password": PASSWORD},
    });
    objects.create(&SECRET, NAMESPACE, &secret).await.unwrap();
    let key = String::from_utf8(signer.public_key().unwrap()).unwrap();
    let key = json!({"metadata": {"name": "repository-key"}, "data": {"key.asc": key}});
    objects.create(&CONFIG_MAP, NAMESPACE, &key).await.unwrap();
    let spec = json!({
        "url": repository.url(FOLDER), "interval": "1h", "secretRef": {"name": "robot"},
        "verification": {"publicKey": {"kind": "ConfigMap", "name": "repository-key"}},
    });
    given::create(objects, &KIND, (NAMESPACE, SOURCE.2), spec).await;
    let manager = world.start_manager_with(&[]).await.unwrap();

    // The role that is installed reads no Secret.
    objects.await_condition(SOURCE, ("Stalled", "True", "SecretForbidden"), WITHIN).await.unwrap();
    assert_eq!(repository.requests(FOLDER), [], "nothing is fetched without what it takes");
    // As the page about sources says it.
    let role = "--clusterrole=kubernetes-upgrader-repository-secrets-reader-role";
    let account = format!("--serviceaccount={SYSTEM}:{ACCOUNT}");
    let bind = ["create", "rolebinding", "repository-secrets", "-n", NAMESPACE, role, &account];
    world.plane().run_kubectl(&bind).await.unwrap();
    let found = read(objects, "1", ("True", "VersionsFound")).await;
    assert_eq!(found["status"]["versions"], json!(["v1.35.1"]));
    assert!(!found["status"]["releases"][0]["date"].is_null(), "what was verified is told: {found}");

    // What is served is not what was signed.
    repository.publish(FOLDER, "1.35.2-1.1");
    sign(&mut signer, &repository, b"something else");
    let mismatch = read(objects, "2", ("False", "IndexHashMismatch")).await;
    assert_eq!(mismatch["status"]["versions"], json!(["v1.35.1"]), "the last good list stays");
    sign(&mut signer, &repository, &repository.index(FOLDER));
    let found = read(objects, "3", ("True", "VersionsFound")).await;
    assert_eq!(found["status"]["versions"], json!(["v1.35.1", "v1.35.2"]));

    assert!(repository.requests(FOLDER).iter().all(|request| request.status != 401));
    let log = manager.log();
    assert!(!log.contains(PASSWORD) && !log.contains(AUTHORIZATION), "a secret is in the log");
    assert!(manager.terminate().await.unwrap().success());
    let expected = Expected::nothing().forbidden("secrets").forbidden("configmaps").writes_at_most(30);
    println!("{:?}", world.finish(expected).await.unwrap());
}
