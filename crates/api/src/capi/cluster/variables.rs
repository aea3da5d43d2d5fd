//! `spec.topology.variables`, packed: a Cluster has ten or twenty, and a fleet has them thousands of times.

use std::fmt;

/// A value of `spec.topology.variables`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variable<'a> {
    /// Name, unique in the list.
    pub name: &'a str,
    /// Its value as compact JSON, keys sorted; `null` where absent.
    pub value: &'a str,
}

/// The variables in the order of the list, which JSON Patch counts by.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Variables {
    /// Name and value of each, one after another.
    text: Box<str>,
    /// Where in the text each name, and each value, ends.
    ends: Box<[(u32, u32)]>,
}

impl Variables {
    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = Variable<'_>> {
        let mut begin = 0;
        self.ends.iter().map(move |(name, value)| {
            let (name, value) = (*name as usize, *value as usize);
            let of = |range: std::ops::Range<usize>| self.text.get(range).unwrap_or_default();
            let variable = Variable { name: of(begin..name), value: of(name..value) };
            begin = value;
            variable
        })
    }

    /// One of them, with its place in the list.
    pub fn get(&self, name: &str) -> Option<(usize, Variable<'_>)> {
        self.iter().enumerate().find(|(_, variable)| variable.name == name)
    }
}

impl<N: AsRef<str>, V: fmt::Display> FromIterator<(N, V)> for Variables {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        use fmt::Write as _;
        let (mut text, mut ends) = (String::new(), Vec::new());
        // No object of a Kubernetes API has 4 GiB.
        let end = |text: &String| u32::try_from(text.len()).unwrap_or(u32::MAX);
        for (name, value) in variables {
            text.push_str(name.as_ref());
            let name = end(&text);
            // Writing to a String cannot fail.
            let _ = write!(text, "{value}");
            ends.push((name, end(&text)));
        }
        Self { text: text.into(), ends: ends.into() }
    }
}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_in_comes_out_in_its_order() {
        let variables: Variables = [("b", "1"), ("", "{}"), ("ä", "\"ö\"")].into_iter().collect();
        let told: Vec<_> = variables.iter().map(|variable| (variable.name, variable.value)).collect();
        assert_eq!(told, [("b", "1"), ("", "{}"), ("ä", "\"ö\"")]);
        assert_eq!(variables.get("ä"), Some((2, Variable { name: "ä", value: "\"ö\"" })));
        assert_eq!(variables.get("1"), None);
        assert_eq!(Variables::default().iter().count(), 0);
    }
}
