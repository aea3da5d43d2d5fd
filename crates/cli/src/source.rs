//! Where the objects come from: a server, or files.

use std::future::Future;

use domain::object::Kind;
use jiff::Timestamp;
use runtime::clock::Clock;

use crate::Failure;
use crate::args::{Flags, From};
use crate::client::Live;
use crate::manifests::{self, Faults};
use crate::object::{Id, Object};
use crate::read_error::ReadError;
use crate::world::World;
use crate::{kinds, lint};

/// What was read, and how it is to be shown.
pub(crate) struct Look {
    pub(crate) world: World,
    /// The namespace that was asked for; `None` for all of them.
    pub(crate) namespace: Option<String>,
    /// What ages are counted to.
    pub(crate) now: Timestamp,
}

impl Look {
    /// Whether an object is in what was asked for.
    pub(crate) fn shows(&self, object: &Object) -> bool {
        self.namespace.as_deref().is_none_or(|namespace| *object.id.key.namespace == *namespace)
    }
}

/// Reads the kinds in `needed`, which must be there, and those in `helpful`, without which less is told.
pub(crate) fn look(flags: &Flags, from: &From, needed: &[Kind], helpful: &[Kind]) -> Result<Look, Failure> {
    let now = from.at.unwrap_or_else(|| Clock::system(0).now());
    if !from.files.is_empty() {
        let mut world = World::default();
        let (read, wrong) = manifests::read_all(&from.files);
        let mut faults = Faults(wrong);
        for manifest in read {
            // A dump may be older than this program, so only what it could not read at all is wrong.
            if lint::is_simulation(&manifest) {
                continue;
            }
            let unknown = lint::unknown(&manifest);
            if !unknown.is_empty() {
                faults.0.extend(unknown);
                continue;
            }
            match Object::parse(manifest.body.clone()) {
                Ok(mut object) => {
                    let namespaced = kinds::of(&object.id.group, &object.id.kind).is_some();
                    if object.id.key.namespace.is_empty() && namespaced {
                        let namespace = flags.namespace.as_deref().unwrap_or("default");
                        object.id.key.namespace = namespace.into();
                        object.meta.namespace = Some(namespace.into());
                    }
                    world.put(object);
                }
                Err((pointer, reason)) => faults.0.push(manifest.fault(pointer, reason)),
            }
        }
        if !faults.0.is_empty() {
            return Err(faults.to_string().into());
        }
        return Ok(Look { world, namespace: flags.namespace.clone(), now });
    }
    on_this_thread(async {
        let mut live = Live::connect(flags.kubeconfig.as_deref(), flags.context.as_deref()).await?;
        let namespace = match &flags.namespace {
            _ if flags.all_namespaces => None,
            Some(namespace) => Some(namespace.clone()),
            None => Some(live.namespace.clone()),
        };
        let mut world = World::default();
        for kind in needed {
            for object in live.list(*kind, namespace.as_deref()).await? {
                world.put(object);
            }
        }
        for kind in helpful {
            match live.list(*kind, namespace.as_deref()).await {
                Ok(objects) => objects.into_iter().for_each(|object| world.put(object)),
                Err(
                    error @ (ReadError::Forbidden { .. }
                    | ReadError::NoClusterApi
                    | ReadError::OtherVersions { .. }),
                ) => {
                    world.missing.push(format!("less is known of this: {error}"));
                }
                Err(error) => return Err(error.into()),
            }
        }
        foreign_sources(&live, &mut world).await;
        Ok(Look { world, namespace, now })
    })
}

/// Reads the sources of syncers that are of a kind of someone else.
async fn foreign_sources(live: &Live, world: &mut World) {
    let mut wanted = Vec::new();
    for object in world.all(api::upgrader::machine_image_syncer::KIND) {
        let text = |field: &str| object.text(&format!("/spec/sourceRef/{field}"));
        let (Some(version), Some(kind), Some(name)) = (text("apiVersion"), text("kind"), text("name")) else {
            continue;
        };
        let group = version.split_once('/').map_or("", |(group, _)| group);
        let id = Id::new(group, kind, object.id.key.sibling(name));
        if kinds::of(group, kind).is_none() && world.get(&id).is_none() {
            wanted.push((version.to_owned(), id));
        }
    }
    for (version, id) in wanted {
        match live.get_named(&version, &id.kind, &id.key.namespace, &id.key.name).await {
            Ok(object) => object.into_iter().for_each(|object| world.put(object)),
            Err(error) => world.missing.push(format!("less is known of this: {error}")),
        }
    }
}

/// Runs something that talks.
pub(crate) fn on_this_thread<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}
