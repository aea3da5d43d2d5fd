//! Where two servers answer differently.

use std::fmt::Write as _;

/// The exchanges of a script that differ, both ways and whole.
pub(crate) fn difference(name: &str, real: &str, simulated: &str) -> Option<String> {
    if real == simulated {
        return None;
    }
    let mut told = format!("== {name}\n");
    let exchanges = |text: &str| -> Vec<String> { text.split("\n\n").map(str::to_owned).collect() };
    let (real, simulated) = (exchanges(real), exchanges(simulated));
    for place in 0..real.len().max(simulated.len()) {
        let (is, should) = (simulated.get(place), real.get(place));
        if is != should {
            let text = |exchange: Option<&String>| {
                exchange.map_or("nothing".to_owned(), |text| text.trim().to_owned())
            };
            writeln!(told, "-- the real server\n{}\n-- the simulated one\n{}", text(should), text(is))
                .unwrap();
        }
    }
    Some(told)
}

#[test]
fn what_differs_is_told_both_ways() {
    assert_eq!(difference("a", "GET x\n200", "GET x\n200"), None);
    let told = difference("a", "GET x\n200\n\nGET y\n404", "GET x\n200\n\nGET y\n200").unwrap();
    assert_eq!(told, "== a\n-- the real server\nGET y\n404\n-- the simulated one\nGET y\n200\n");
}
