//! What the overlay uses of MLX's headers, against what other commits declare.

use mlx_fork::series;
use mlx_fork::upstream::drift::api::{Api, Miss, Needs};

use crate::upstream::{World, git};

const DEVICE: &str = "#include \"mlx/array.h\"\nnamespace mlx::core::metal {\nclass MLX_API Encoder {\n \
    public:\n  void set_bytes(const void* p, int n);\n private:\n  int fence_;\n};\n\
    MLX_API Encoder& encoder(Stream s);\nvoid unused(int);\n}\n";
const ARRAY: &str =
    "namespace mlx::core {\nclass array {\n public:\n  void eval();\n  int size() const;\n};\n}\n";
const UTILS: &str = "#define DO_TWICE(x) x; x\nnamespace mlx::core {\nusing S = int;\n}\n";

/// A world whose overlay uses two headers, as they are at a new pin.
fn world() -> World {
    let mut world = World::new();
    world.write("mlx/device.h", DEVICE);
    world.write("mlx/array.h", ARRAY);
    world.write("mlx/utils.h", UTILS);
    world.commit("pin", "Headers");
    let own = |name: &str, text: &str| {
        std::fs::write(world.layout.root().join("own").join(name), text).unwrap();
    };
    own(
        "a.cpp",
        "#include \"mlx/own/a.h\"\nnamespace mlx::core {\nvoid f(array& a, S s) {\n  \
        auto& e = metal::encoder(s);\n  e.set_bytes(&s, sizeof(s));\n  a.eval();\n  DO_TWICE(f);\n}\n}\n",
    );
    own(
        "a.h",
        "#include \"mlx/device.h\"\n#include \"mlx/utils.h\"\n",
    );
    world.manifest(", [\"own/a.h\", \"mlx/own/a.h\"]");
    world
}

fn against(world: &World, names: &[&str], imports: Option<&[&str]>) -> Api {
    let series = series::load(&world.layout).unwrap();
    let commits = world.find(names).unwrap();
    let imports = imports.map(|all| all.iter().map(|n| n.to_string()).collect::<Vec<_>>());
    let needs = Needs::of(&series, &commits.base, imports.as_deref()).unwrap();
    needs.against(&commits).unwrap()
}

fn missing(api: &Api) -> Vec<(Miss, &str, &[String], &[String])> {
    let all = api.missing.iter().map(|(missing, _)| missing);
    all.map(|m| {
        let name = if m.name.is_empty() {
            &m.header
        } else {
            &m.name
        };
        (m.what, name.as_str(), m.was.as_slice(), m.is.as_slice())
    })
    .collect()
}

#[test]
fn what_stays_as_it_is_declared_is_not_missed() {
    let mut world = world();
    world.edit("mlx/device.h", "void unused(int);\n", "// gone\n");
    world.edit("mlx/device.h", "int fence_;", "long fence_;");
    world.edit(
        "mlx/device.h",
        "(const void* p, int n)",
        "(const void* /* what */ bytes,\n      int length)",
    );
    world.edit("mlx/utils.h", "x; x", "x;x; ");
    world.commit("next", "Nothing that the overlay uses");
    let api = against(&world, &["pin..main"], None);
    assert_eq!(missing(&api), []);
    assert_eq!((api.headers, api.imported), (2, None));
    // array, S, encoder, Encoder's set_bytes, eval, DO_TWICE, and what they are made of.
    assert!((5..=9).contains(&api.names), "{}", api.names);
}

#[test]
fn a_name_a_header_and_a_declaration_that_are_gone_are_named_with_their_commits() {
    let mut world = world();
    world.edit("mlx/device.h", "encoder(Stream s)", "get_encoder(Stream s)");
    world.commit("renames", "Rename a function (#21)");
    world.edit("mlx/array.h", "void eval();", "void eval(bool async);");
    world.edit("mlx/device.h", "get_encoder(Stream s)", "encoder(Stream s)");
    world.commit("changes", "Change one, bring back the other (#22)");
    git(&world.up(), &["rm", "-q", "mlx/utils.h"]);
    world.commit("removes", "Remove a header (#23)");
    let api = against(&world, &["pin..main"], None);
    let text = |texts: &[&str]| texts.iter().map(|t| t.to_string()).collect::<Vec<_>>();
    let found = missing(&api);
    assert_eq!(found[0], (Miss::Header, "mlx/utils.h", &[][..], &[][..]));
    let gone: Vec<&str> = found[1..]
        .iter()
        .filter(|m| m.0 == Miss::Name)
        .map(|m| m.1)
        .collect();
    assert_eq!(
        gone,
        ["mlx::core::metal::encoder", "DO_TWICE", "mlx::core::S"]
    );
    let changed = found.iter().find(|m| m.0 == Miss::Changed).unwrap();
    assert_eq!(changed.1, "mlx::core::array::eval");
    assert_eq!(changed.2, text(&["void eval()"]));
    assert_eq!(changed.3, text(&["void eval(bool async)"]));
    let (renamed, spans) = &api.missing[1];
    assert_eq!(renamed.users, ["own/a.cpp"]);
    assert_eq!((spans.len(), spans[0].commits), (1, 1));
    assert_eq!(spans[0].first.upstream.pull_request, Some(21));
}

#[test]
fn what_a_build_imports_counts_though_no_source_shows_it() {
    let mut world = world();
    world.edit("mlx/array.h", "  int size() const;\n", "");
    world.commit("next", "Remove what only inline code uses");
    let without = against(&world, &["main"], None);
    assert_eq!(missing(&without), []);
    let with = against(
        &world,
        &["main"],
        Some(&["mlx::core::array::size() const", "other::x()"]),
    );
    assert_eq!(with.imported, Some(1));
    let (size, _) = &with.missing[0];
    assert_eq!(
        (size.name.as_str(), size.imported),
        ("mlx::core::array::size", true)
    );
    assert!(size.users.is_empty());
}
