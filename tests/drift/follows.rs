//! History for others: commits in order, and which of them moved the lines around a hunk.

use mlx_fork::Kind;
use mlx_fork::git::history::{History, Upstream, copy_of};
use mlx_fork::ui::Silent;

use crate::upstream::{EXPORT, World, git};

fn names(world: &World, found: &[Upstream]) -> Vec<&'static str> {
    let name = |commit: &Upstream| {
        let mut all = world.ids.iter();
        *all.find(|(_, id)| **id == commit.id).unwrap().0
    };
    found.iter().map(name).collect()
}

/// The commits that moved lines of the file, by their names.
fn movers(world: &World, lines: std::ops::Range<usize>, from: &str, to: &str) -> Vec<&'static str> {
    let (from, to) = (&world.ids[from], &world.ids[to]);
    let found = world.history().movers(EXPORT, lines, from, to).unwrap();
    names(world, &found)
}

/// The lines `two(); three();` of the pin.
const LINES: std::ops::Range<usize> = 8..10;

#[test]
fn only_commits_that_change_the_lines_or_those_beside_them_are_movers() {
    let mut world = World::new();
    world.edit(EXPORT, "#include", "#include <map>\n#include");
    world.commit("shift", "Lines far above (#1)");
    world.edit(EXPORT, "  five();\n", "  5;\n");
    world.commit("below", "Lines far below (#2)");
    world.edit(EXPORT, "void first() {\n", "void first(int x) {\n");
    world.commit("context", "Two lines above (#3)");
    world.edit(EXPORT, "  two();\n", "  two();\n  more();\n");
    world.commit("inside", "Between the lines (#4)");
    world.edit(EXPORT, "}\n\nvoid second", "}\n\n\nvoid second");
    world.commit("beyond", "Three lines below (#5)");
    world.edit(EXPORT, "  more();\n", "");
    world.commit("back", "Between the lines again (#6)");
    let found = movers(&world, LINES, "pin", "back");
    assert_eq!(found, ["context", "inside", "back"]);
}

#[test]
fn a_file_is_followed_under_its_new_name_and_until_it_is_gone() {
    let mut world = World::new();
    std::fs::create_dir_all(world.up().join("src")).unwrap();
    git(&world.up(), &["mv", EXPORT, "src/out.cpp"]);
    world.edit("src/out.cpp", "#include", "#include <map>\n#include");
    world.commit("rename", "Rename it");
    world.edit("src/out.cpp", "  six();\n", "  6;\n");
    world.commit("far", "Far from the lines");
    world.edit("src/out.cpp", "  three();\n", "  3;\n");
    world.commit("inside", "One of the lines");
    git(&world.up(), &["rm", "-q", "src/out.cpp"]);
    world.commit("gone", "Delete it");
    world.write("src/out.cpp", "something else\n");
    world.commit("other", "Another file of that name");
    let found = movers(&world, LINES, "pin", "other");
    assert_eq!(found, ["rename", "inside", "gone"]);
}

#[test]
fn the_way_back_to_an_older_commit_has_the_same_movers() {
    let mut world = World::new();
    world.edit(EXPORT, "#include", "#include <map>\n#include");
    world.commit("shift", "Above");
    world.edit(EXPORT, "  three();\n", "  3;\n");
    world.commit("inside", "Inside");
    world.edit(EXPORT, "#include", "#include <set>\n#include");
    world.commit("newer", "Above");
    let lines = LINES.start + 2..LINES.end + 2;
    assert_eq!(movers(&world, lines, "newer", "pin"), ["inside"]);
}

#[test]
fn a_range_follows_first_parents_and_ends_where_a_clone_is_cut_off() {
    let mut world = World::new();
    git(&world.up(), &["switch", "-qc", "side"]);
    world.write("side", "1\n");
    world.commit("on side", "On the side");
    git(&world.up(), &["switch", "-q", "main"]);
    world.write("main", "1\n");
    world.commit("on main", "On main (#12)");
    git(
        &world.up(),
        &["merge", "-q", "--no-ff", "-m", "Merge side (#13)", "side"],
    );
    world
        .ids
        .insert("merge", git(&world.up(), &["rev-parse", "HEAD"]));
    let history = world.history();
    let (pin, merge) = (world.ids["pin"].as_str(), world.ids["merge"].as_str());
    let range = history.range(pin, merge).unwrap();
    assert_eq!(names(&world, &range), ["on main", "merge"]);
    assert_eq!(
        (range[0].pull_request, range[1].pull_request),
        (Some(12), Some(13))
    );
    assert_eq!(history.range(merge, merge).unwrap(), []);
    let error = history.range(merge, pin).unwrap_err();
    assert_eq!(error.kind(), Kind::Usage);

    world.local(&["pin", "merge"]);
    let cut = History::open(&world.layout.mlx_local()).unwrap();
    let error = cut.range(pin, merge).unwrap_err();
    assert!(error.hints()[0].contains("--unshallow"), "{error:?}");
}

#[test]
fn a_urls_history_is_copied_once_and_brought_up_to_date() {
    let mut world = World::new();
    let url = format!("file://{}", world.up().display());
    let all = world.layout.histories();
    let folder = copy_of(&url, &all, &Silent).unwrap();
    let at = |name: &str| History::open(&folder).unwrap().find(name);
    assert_eq!(at("main").unwrap().as_ref(), Some(&world.ids["pin"]));
    world.commit("next", "Next");
    git(&world.up(), &["tag", "v9"]);
    assert_eq!(copy_of(&url, &all, &Silent).unwrap(), folder);
    assert_eq!(at("v9").unwrap().as_ref(), Some(&world.ids["next"]));
    assert_eq!(std::fs::read_dir(&all).unwrap().count(), 1);
    let error = copy_of("file:///nowhere/at/all", &all, &Silent).unwrap_err();
    assert_eq!(error.kind(), Kind::Mirror);
}
