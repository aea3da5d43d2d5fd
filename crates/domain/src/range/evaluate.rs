//! What a comparator means. The rules are those of Masterminds/semver 3.2.1, told by what each lets through.

use std::cmp::Ordering;

use semver::Version;

use super::{Comparator, Given, Operand, Operator};

impl Comparator {
    pub(super) fn matches(&self, version: &Version) -> bool {
        if !version.pre.is_empty() && !self.takes_prereleases() {
            return false;
        }
        let to = &self.operand;
        match self.operator {
            Operator::Equal if to.given == Given::Patch => to.order(version).is_eq(),
            Operator::Equal | Operator::Tilde => to.tilde(version),
            Operator::NotEqual => to.not_equal(version),
            Operator::Greater => to.greater(version),
            Operator::GreaterEqual => to.order(version).is_ge(),
            Operator::Less => to.order(version).is_lt(),
            Operator::LessEqual => to.less_equal(version),
            Operator::Caret => to.caret(version),
        }
    }

    /// An operand without a prerelease asks for releases; to exclude one full version asks for nothing.
    fn takes_prereleases(&self) -> bool {
        !self.operand.floor.pre.is_empty()
            || (self.operator == Operator::NotEqual && self.operand.given == Given::Patch)
    }
}

impl Operand {
    /// The version as compared with the lowest one of the operand.
    fn order(&self, version: &Version) -> Ordering {
        version.cmp_precedence(&self.floor)
    }

    fn same_major(&self, version: &Version) -> bool {
        version.major == self.floor.major
    }

    fn same_minor(&self, version: &Version) -> bool {
        self.same_major(version) && version.minor == self.floor.minor
    }

    /// `~1.27.3` and `~1.27` stay in the minor, `~1` in the major; `~*` and `~0.0.0` have no upper end.
    fn tilde(&self, version: &Version) -> bool {
        let zero = self.floor.major == 0 && self.floor.minor == 0 && self.floor.patch == 0;
        self.order(version).is_ge()
            && match self.given {
                Given::Nothing => true,
                Given::Patch if zero => true,
                Given::Major => self.same_major(version),
                Given::Minor | Given::Patch => self.same_minor(version),
            }
    }

    /// `^` keeps the first number that is not zero; of `^0` and `^0.0` the last one that was given.
    fn caret(&self, version: &Version) -> bool {
        let Version { major, minor, .. } = self.floor;
        self.order(version).is_ge()
            && if major > 0 || self.given == Given::Major {
                self.same_major(version)
            } else if minor > 0 || self.given == Given::Minor {
                self.same_minor(version)
            } else {
                self.same_minor(version) && version.patch == self.floor.patch
            }
    }

    /// `!=1.27` excludes the minor, `!=1` the major. A prerelease named with a minor (`!=1.27-rc.1`) excludes that
    /// prerelease of each patch.
    fn not_equal(&self, version: &Version) -> bool {
        match self.given {
            Given::Nothing | Given::Patch => self.order(version).is_ne(),
            Given::Major => !self.same_major(version),
            Given::Minor => !self.same_minor(version) || version.pre != self.floor.pre,
        }
    }

    /// `>1.27` is from 1.28.0 on, `>1` from 2.0.0 on.
    fn greater(&self, version: &Version) -> bool {
        match self.given {
            Given::Nothing | Given::Patch => self.order(version).is_gt(),
            Given::Major => version.major > self.floor.major,
            Given::Minor => (version.major, version.minor) > (self.floor.major, self.floor.minor),
        }
    }

    /// `<=1.27` takes in every 1.27.z, `<=1` every 1.y.z. `<=*` is read as `<=0.0`.
    fn less_equal(&self, version: &Version) -> bool {
        match self.given {
            Given::Patch => self.order(version).is_le(),
            Given::Major => version.major <= self.floor.major,
            Given::Nothing | Given::Minor => {
                (version.major, version.minor) <= (self.floor.major, self.floor.minor)
            }
        }
    }
}
