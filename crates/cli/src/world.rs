//! The objects that were read, and what could not be read.

use std::collections::BTreeMap;

use domain::object::Kind;

use crate::object::{Id, Object};

/// The objects that were read.
#[derive(Clone, Debug, Default)]
pub(crate) struct World {
    objects: BTreeMap<Id, Object>,
    /// Sentences on what could not be read, although less is told without it.
    pub(crate) missing: Vec<String>,
}

impl World {
    pub(crate) fn put(&mut self, object: Object) {
        self.objects.insert(object.id.clone(), object);
    }

    pub(crate) fn get(&self, id: &Id) -> Option<&Object> {
        self.objects.get(id)
    }

    /// All objects of a kind, by namespace and name.
    pub(crate) fn all(&self, kind: Kind) -> impl Iterator<Item = &Object> {
        self.objects.values().filter(move |object| object.id.is(kind))
    }

    /// The objects of a kind in a namespace, by name.
    pub(crate) fn within<'a>(&'a self, kind: Kind, namespace: &'a str) -> impl Iterator<Item = &'a Object> {
        self.all(kind).filter(move |object| *object.id.key.namespace == *namespace)
    }

    /// All objects of any kind.
    pub(crate) fn objects(&self) -> impl Iterator<Item = &Object> {
        self.objects.values()
    }
}

impl FromIterator<Object> for World {
    fn from_iter<I: IntoIterator<Item = Object>>(objects: I) -> Self {
        let mut world = Self::default();
        for object in objects {
            world.put(object);
        }
        world
    }
}
