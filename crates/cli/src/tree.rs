//! Trees for people, in the glyphs of `clusterctl describe`.

/// Puts the glyphs before each line of a tree: `visit` is called with the prefix of the node, the prefix of further lines
/// that belong to it, and the node, in the order of the lines.
pub(crate) fn walk<'a, T>(
    roots: &'a [T],
    children: &dyn Fn(&'a T) -> &'a [T],
    visit: &mut dyn FnMut(&str, &str, &'a T),
) {
    for root in roots {
        visit("", if children(root).is_empty() { "  " } else { "│ " }, root);
        below(children(root), "", children, visit);
    }
}

fn below<'a, T>(
    nodes: &'a [T],
    prefix: &str,
    children: &dyn Fn(&'a T) -> &'a [T],
    visit: &mut dyn FnMut(&str, &str, &'a T),
) {
    for (place, node) in nodes.iter().enumerate() {
        let last = place + 1 == nodes.len();
        let inner = format!("{prefix}{}", if last { "  " } else { "│ " });
        let own = format!("{prefix}{}", if last { "└─" } else { "├─" });
        let further = format!("{inner}{}", if children(node).is_empty() { "  " } else { "│ " });
        visit(&own, &further, node);
        below(children(node), &inner, children, visit);
    }
}
