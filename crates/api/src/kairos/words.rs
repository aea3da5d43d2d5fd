//! Words of a status. They are read whatever they are: a word of another writer, or of a newer version, must not hide what
//! else the status says.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

macro_rules! words {
    ($(#[doc = $doc:literal])* pub enum $name:ident { $($(#[doc = $text:literal])+ $variant:ident,)+ } $(spelled { $($as:ident = $word:literal,)+ })?) => {
        $(#[doc = $doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name {
            $($(#[doc = $text])+ $variant,)+
            /// Any other word, kept as it is.
            Other(Box<str>),
        }

        impl $name {
            /// The words that are known, in the order of an operation.
            pub const KNOWN: &'static [Self] = &[$(Self::$variant,)+];

            /// The word on the wire.
            #[allow(unreachable_patterns, reason = "those with a spelling of their own come first")]
            pub fn as_str(&self) -> &str {
                match self {
                    $($(Self::$as => $word,)+)?
                    $(Self::$variant => stringify!($variant),)+
                    Self::Other(word) => word,
                }
            }
        }

        impl From<&str> for $name {
            fn from(word: &str) -> Self {
                let known = Self::KNOWN.iter().find(|known| known.as_str() == word);
                known.cloned().unwrap_or_else(|| Self::Other(word.into()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Cow::<str>::deserialize(deserializer).map(|word| Self::from(&*word))
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({"type": "string"})
            }
        }
    };
}

words! {
    /// Where a node stands: `status.nodeStatuses.*.phase`.
    pub enum NodePhase {
        /// Its preflight pod runs.
        Preflight,
        /// Its Job is made, or about to be.
        Pending,
        /// Its Job runs, or it reboots.
        Running,
        /// Done, or skipped by its preflight. Still at work while its [`RebootStatus`] is pending.
        Completed,
        /// Failed, by preflight, Job or reboot.
        Failed,
    }
}

words! {
    /// Where an operation stands: `status.phase` of a NodeOp. Empty before it was first looked at.
    pub enum OperationPhase {
        /// Documented by the original, which never wrote it: no node has started.
        Pending,
        /// A node is at work, or has not started.
        Running,
        /// Every node is done. The original looks at those that have started only, so that it writes this between two
        /// nodes: what has ended says so in `status.finishedAt`.
        Completed,
        /// A node has failed.
        Failed,
    }
}

words! {
    /// Where an upgrade stands: `status.phase` of a NodeOpUpgrade; that of its NodeOp, once there is one.
    pub enum UpgradePhase {
        /// Its NodeOp was just made. The original's word, which its documentation does not have.
        Initializing,
        /// No node has started.
        Pending,
        /// A node is at work, or has not started.
        Running,
        /// Every node is done.
        Completed,
        /// A node has failed.
        Failed,
    }
}

words! {
    /// Where the reboot of a node stands: `status.nodeStatuses.*.rebootStatus`.
    pub enum RebootStatus {
        /// None is asked for, or its preflight skipped the node.
        NotRequested,
        /// It is to come, or runs.
        Pending,
        /// The node is back.
        Completed,
        /// The Job has failed, so that there is none.
        Cancelled,
    }
    spelled {
        NotRequested = "not-requested",
        Pending = "pending",
        Completed = "completed",
        Cancelled = "cancelled",
    }
}

words! {
    /// How the operation ended on a node: `status.nodeRecords.*.outcome`.
    pub enum NodeOutcome {
        /// Everything was done.
        Completed,
        /// Its preflight found nothing to do.
        Skipped,
        /// The Node is gone, or is another one of the same name.
        Removed,
        /// The NodeOp was deleted.
        Stopped,
        /// It failed.
        Failed,
    }
}

words! {
    /// How far a node was changed when the operation failed on it: `status.nodeRecords.*.reach`.
    pub enum NodeReach {
        /// The command was not run.
        Untouched,
        /// The command was run, and no reboot was asked for.
        Worked,
        /// The node was asked to reboot.
        Rebooted,
    }
}
