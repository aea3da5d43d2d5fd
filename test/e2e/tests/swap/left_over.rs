//! Webhooks that `kubectl apply -k` cannot empty, since it does not know that they were its own.

use e2e::{Expected, Installed, LogLine, WITHIN};

use crate::original_install::{self, Way};
use crate::{WRITES, chain, check_install, original};

/// Both configurations, three kinds each.
const LEFT: usize = 6;

/// They are named in the log, counted, and named on the object whose write they refuse; the command of the log removes them.
pub(crate) async fn is_reported(way: Way) {
    let (plane, packages, builds) = original(way).await;
    let world = Installed::on(plane).await.unwrap();
    check_install(&world, LEFT).await;
    packages.publish(chain::FOLDER, "1.27.6-1.1");

    let manager = world.start_manager_with(&[]).await.unwrap();
    let syncer = (&api::upgrader::machine_image_syncer::KIND, chain::NAMESPACE, chain::SYNCER);
    let refused =
        world.objects().await_condition(syncer, ("Ready", "False", "ForeignWebhook"), WITHIN).await.unwrap();
    let message = e2e::find_condition(&refused, "Ready")["message"].as_str().unwrap().to_owned();
    assert!(message.contains("mmachineimage.kb.io"), "{message}");
    let counted = format!("kubernetes_upgrader_foreign_webhooks {LEFT}");
    let metrics = manager.metrics().await.unwrap();
    assert!(metrics.lines().any(|line| line == counted), "{metrics}");

    let command = remedy(&manager.log_lines());
    let words: Vec<&str> = command.split_whitespace().collect();
    world.plane().run_kubectl(&words).await.unwrap();
    assert_eq!(original_install::webhooks(world.plane()).await, [""; 0]);

    chain::await_newest(&world, "v1.27.6").await;
    assert_eq!(builds.builds().len(), 1, "{:?}", builds.trouble());
    assert!(manager.terminate().await.unwrap().success());
    world.finish(Expected::nothing().machine_images(2).jobs(1).writes_at_most(WRITES)).await.unwrap();
}

/// The command of the warning, as somebody would copy it, without the word `kubectl`.
fn remedy(log: &[LogLine]) -> String {
    let warning = log.iter().find(|line| line.level == "WARN" && line.text.contains("kubectl delete"));
    let text = &warning.unwrap().text;
    let line: serde_json::Value = serde_json::from_str(text).unwrap();
    let message = ["message", "fields"].iter().find_map(|field| match &line[field] {
        serde_json::Value::String(message) => Some(message.clone()),
        fields => fields["message"].as_str().map(str::to_owned),
    });
    message.unwrap().split_once("kubectl ").unwrap().1.to_owned()
}
