use domain::object::{Meta, ResourceVersion, WireMeta};
use serde::Deserialize;

use super::*;

#[derive(Debug, PartialEq, Clone)]
struct Plan {
    meta: Meta,
    cluster: Box<str>,
}

#[derive(Deserialize)]
struct Wire {}

impl Row for Plan {
    type Wire = Wire;
    fn from_wire(meta: &WireMeta, _: Wire) -> Self {
        Self { meta: meta.meta(), cluster: Box::default() }
    }
    fn malformed(meta: &WireMeta, _: &str) -> Self {
        Self { meta: meta.meta(), cluster: Box::default() }
    }
    fn meta(&self) -> &Meta {
        &self.meta
    }
    fn references(&self, put: &mut dyn FnMut(&'static str, &str)) {
        put("cluster", &self.cluster);
    }
}

fn plan(name: &str, version: u64, cluster: &str) -> Plan {
    let key = ObjectKey::new("ns", name);
    Plan {
        meta: Meta { key, uid: "u".into(), resource_version: ResourceVersion(version), ..Meta::default() },
        cluster: cluster.into(),
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn names(table: &Table<Plan>) -> Vec<String> {
    table.iter().map(|row| format!("{}@{}", row.meta.key.name, row.meta.resource_version)).collect()
}

#[test]
fn an_older_event_does_not_undo_our_write() {
    let mut table = Table::default();
    table.shown(plan("a", 5, "x"));
    assert!(table.wrote(plan("a", 9, "y"), at(10)).is_some());
    assert!(table.shown(plan("a", 7, "x")).is_none());
    assert_eq!(names(&table), ["a@9"]);
    assert!(table.shown(plan("a", 12, "z")).is_some());
    assert_eq!(names(&table), ["a@12"]);
}

#[test]
fn a_list_that_began_before_our_create_does_not_remove_it() {
    let mut table = Table::default();
    table.listing_began();
    table.wrote(plan("new", 9, "x"), at(10));
    table.shown(plan("old", 3, "x"));
    assert!(table.listing_done(at(5)).is_empty());
    assert_eq!(names(&table), ["new@9", "old@3"]);
    table.listing_began();
    table.shown(plan("old", 3, "x"));
    assert_eq!(table.listing_done(at(11)).len(), 1, "the watch had its time to show it");
    assert_eq!(names(&table), ["old@3"]);
}

#[test]
fn a_deletion_of_a_former_incarnation_is_ignored() {
    let mut table = Table::default();
    table.wrote(plan("a", 9, "x"), at(10));
    assert!(table.deleted(&plan("a", 8, "x")).is_none());
    assert!(table.deleted(&plan("a", 10, "x")).is_some());
    assert!(table.is_empty());
}

#[test]
fn an_answer_that_comes_after_the_deletion_revives_nothing() {
    let mut table = Table::default();
    table.shown(plan("a", 5, "x"));
    table.deleted(&plan("a", 9, "x"));
    assert!(table.wrote(plan("a", 8, "y"), at(10)).is_none());
    assert!(table.is_empty());
    assert!(table.wrote(plan("a", 11, "y"), at(10)).is_some(), "made again");
}

#[test]
fn references_follow_their_rows() {
    let mut table = Table::default();
    table.shown(plan("a", 1, "x"));
    table.shown(plan("b", 2, "x"));
    let found = |table: &Table<Plan>, value: &str| {
        table.referring("cluster", "ns", value).map(|row| row.meta.key.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(found(&table, "x"), ["a", "b"]);
    table.shown(plan("a", 3, "y"));
    assert_eq!((found(&table, "x"), found(&table, "y")), (vec!["b".to_owned()], vec!["a".to_owned()]));
    table.deleted(&plan("b", 4, "x"));
    assert!(found(&table, "x").is_empty());
    assert!(table.referring("cluster", "other", "y").next().is_none());
}

#[test]
fn an_unchanged_row_is_no_change() {
    let mut table = Table::default();
    assert!(table.shown(plan("a", 1, "x")).is_some());
    assert!(table.shown(plan("a", 1, "x")).is_none());
}

#[test]
fn after_a_restore_of_the_server_the_list_holds() {
    let mut table = Table::default();
    table.shown(plan("a", 100, "x"));
    table.listing_began();
    assert!(table.shown(plan("a", 7, "y")).is_some());
    table.listing_done(at(0));
    assert_eq!(names(&table), ["a@7"]);
}
