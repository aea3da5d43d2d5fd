//! Durations as users write them: the original's integer nanoseconds, or text such as `1h30m`.

use std::fmt;
use std::str::FromStr;

use jiff::SignedDuration;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A duration: on the wire an integer number of nanoseconds (the original's only form) or a string in Go's notation
/// (`90s`, `1h30m`, `1.5h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Interval(pub SignedDuration);

impl Interval {
    /// The pattern of the text form, for the schema.
    pub const PATTERN: &str = r"^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$";
}

/// Text that is no duration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotInterval(Box<str>);

impl fmt::Display for NotInterval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is not a duration such as \"1h30m\"", self.0)
    }
}

impl std::error::Error for NotInterval {}

/// The text form; never negative.
impl FromStr for Interval {
    type Err = NotInterval;

    fn from_str(text: &str) -> Result<Self, NotInterval> {
        let known = text.chars().all(|c| c.is_ascii_digit() || ".nuµmsh".contains(c));
        text.parse().ok().filter(|_| known).map(Self).ok_or_else(|| NotInterval(text.into()))
    }
}

impl Serialize for Interval {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(i64::try_from(self.0.as_nanos()).unwrap_or(i64::MAX))
    }
}

struct Read;

impl Visitor<'_> for Read {
    type Value = Interval;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a duration: an integer number of nanoseconds, or text such as \"1h30m\"")
    }

    fn visit_i64<E: Error>(self, nanos: i64) -> Result<Interval, E> {
        Ok(Interval(SignedDuration::from_nanos(nanos)))
    }

    fn visit_u64<E: Error>(self, nanos: u64) -> Result<Interval, E> {
        i64::try_from(nanos)
            .map_err(|_| E::custom("the duration is too long"))
            .and_then(|n| self.visit_i64(n))
    }

    /// Helm renders large integers as `3.6e+12`.
    fn visit_f64<E: Error>(self, nanos: f64) -> Result<Interval, E> {
        if nanos.fract() != 0.0 {
            return Err(E::custom("a number of nanoseconds has no fraction"));
        }
        SignedDuration::try_from_secs_f64(nanos / 1e9).map(Interval).map_err(E::custom)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Interval, E> {
        text.parse().map_err(E::custom)
    }
}

impl<'de> Deserialize<'de> for Interval {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn seconds(value: serde_json::Value) -> Option<f64> {
        serde_json::from_value::<Interval>(value).ok().map(|interval| interval.0.as_secs_f64())
    }

    #[test]
    fn integers_and_go_durations_are_read() {
        assert_eq!(seconds(json!(3_600_000_000_000_i64)), Some(3600.0));
        assert_eq!(seconds(json!(3.6e12)), Some(3600.0));
        assert_eq!(seconds(json!("1h30m")), Some(5400.0));
        assert_eq!(seconds(json!("1.5h")), Some(5400.0));
        assert_eq!(seconds(json!("250ms")), Some(0.25));
        assert_eq!(seconds(json!(-1_000_000_000)), Some(-1.0));
    }

    #[test]
    fn anything_else_is_refused() {
        for wrong in [json!("PT1H"), json!("1 hour"), json!(""), json!("1d"), json!(true), json!(0.5)] {
            assert_eq!(seconds(wrong.clone()), None, "{wrong}");
        }
    }

    #[test]
    fn it_is_written_as_the_original_writes_it() {
        let hour = Interval(SignedDuration::from_hours(1));
        assert_eq!(serde_json::to_value(hour).unwrap(), json!(3_600_000_000_000_i64));
    }
}
