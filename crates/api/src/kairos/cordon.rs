//! Who cordoned a node: the value of [`super::CORDONED_BY_ANNOTATION`].

use std::fmt;

use domain::object::{Meta, ObjectKey};

/// One incarnation of a NodeOp, as `<namespace>/<name>@<uid>`. A cordon is undone by the NodeOp whose it is, and by no other:
/// one of the same name, made anew, has another uid.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CordonOwner {
    /// Where the NodeOp is.
    pub key: ObjectKey,
    /// Its uid.
    pub uid: Box<str>,
}

impl CordonOwner {
    /// The owner that a NodeOp is.
    pub fn of(meta: &Meta) -> Self {
        Self { key: meta.key.clone(), uid: meta.uid.clone() }
    }

    /// Reads the value of the annotation; `None` where it is nobody's: a part is missing or empty.
    pub fn read(text: &str) -> Option<Self> {
        let (key, uid) = text.rsplit_once('@')?;
        let (namespace, name) = key.split_once('/')?;
        let whole = [namespace, name, uid].iter().all(|part| !part.is_empty() && !part.contains(['/', '@']));
        whole.then(|| Self { key: ObjectKey::new(namespace, name), uid: uid.into() })
    }
}

impl fmt::Display for CordonOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}@{}", self.key.namespace, self.key.name, self.uid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_what_it_writes() {
        let owner = CordonOwner { key: ObjectKey::new("operator-system", "up.grade"), uid: "7d1f-a2".into() };
        assert_eq!(owner.to_string(), "operator-system/up.grade@7d1f-a2");
        assert_eq!(CordonOwner::read(&owner.to_string()), Some(owner));
    }

    #[test]
    fn what_is_torn_is_nobodys() {
        for text in [
            "",
            "/",
            "@",
            "ns/name",
            "ns/name@",
            "/name@uid",
            "ns/@uid",
            "name@uid",
            "a/b/c@u",
            "a/b@c@u",
            "true",
        ] {
            assert_eq!(CordonOwner::read(text), None, "{text}");
        }
    }
}
