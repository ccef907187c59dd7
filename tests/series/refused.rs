//! Patches that are hostile, damaged, cut off or altered: refused, and nothing written.

use std::fs;
use std::process::Command;

use git2::Repository;
use mlx_fork::Kind;
use mlx_fork::series::{self, Patch};

use crate::compose_error;
use crate::synthetic::{self, Project, hooked, mail, text, tree, upstream, with};

fn project_with_patch(text: impl AsRef<[u8]>) -> Project {
    let project = Project::new();
    project.patch("0001-fused.patch", text);
    project
}

fn good_patch() -> String {
    let project = Project::new();
    fs::read_to_string(project.layout.patches().join("0001-fused.patch")).unwrap()
}

#[test]
fn hostile_and_damaged_patches_are_refused_and_nothing_is_written() {
    let good = good_patch();
    let new_file = |path: &str, mode: &str| {
        format!(
            "{}---\n x | 1 +\n 1 file changed, 1 insertion(+)\n\ndiff --git a/{path} b/{path}\nnew file mode {mode}\n--- /dev/null\n+++ b/{path}\n@@ -0,0 +1 @@\n+evil\n",
            synthetic::head("fused")
        )
    };
    let mut cases: Vec<(String, Vec<u8>, &str)> = Vec::new();
    for (path, says) in [
        ("/etc/cron.d/x", ""),
        ("../outside", "`..`"),
        ("mlx/../../outside", "`..`"),
        ("link/x", "through the symbolic link link"),
        ("link", "is a symbolic link"),
        (".git/hooks/post-checkout", ".git"),
        (".GIT/config", ".git"),
        (".git /config", ".git"),
        ("git~1/config", ".git"),
        (".g\u{200c}it/config", ".git"),
        ("mlx/.git/config", ".git"),
        (".git./x", ".git"),
        (".git::$INDEX_ALLOCATION/x", ".git"),
        ("MLX/evil.cpp", "only by case"),
        ("mlx/Export.cpp", "only by case"),
        ("readme.MD", "only by case"),
        ("mlx//x", "empty part"),
        ("./x", "part `.`"),
        ("c:/x", "absolute"),
        ("a\\..\\x", ""),
        ("a\u{e9}", "character"),
        ("README.md/x", "through the file README.md"),
        ("mlx", "is a folder"),
    ] {
        cases.push((path.into(), new_file(path, "100644").into_bytes(), says));
    }
    for (what, mode) in [
        ("link", "120000"),
        ("submodule", "160000"),
        ("setuid", "104755"),
        ("mode", ""),
    ] {
        cases.push((
            what.into(),
            new_file("x", mode).into_bytes(),
            "no plain file",
        ));
    }
    let text = |what: &str, text: String| (what.to_string(), text.into_bytes());
    for ((what, bytes), says) in [
        (text("empty", String::new()), "empty"),
        (
            text("no diff", good[..good.find("diff --git").unwrap()].into()),
            "it has 0, 0 and 0: it is cut off",
        ),
        (text("CRLF", good.replace('\n', "\r\n")), "CR"),
        (
            text(
                "one CR in the head",
                good.replacen(
                    "Upstream-Status: not-sent\n",
                    "Upstream-Status: not-sent\r\n",
                    1,
                ),
            ),
            "CR",
        ),
        (
            (
                "NUL".into(),
                good.replace("hook one", "hook\0one").into_bytes(),
            ),
            "NUL",
        ),
        (
            ("garbage".into(), (0..=255).cycle().take(5000).collect()),
            "NUL",
        ),
        (
            (
                "latin 1".into(),
                good.replace("hook one", "hook \u{1}")
                    .bytes()
                    .map(|b| if b == 1 { 0xe9 } else { b })
                    .collect(),
            ),
            "UTF-8",
        ),
        (
            text(
                "more lines than counted",
                good.replace("@@ -9,4 +9,5 @@", "@@ -9,4 +9,4 @@"),
            ),
            "has more lines",
        ),
        (
            text(
                "fewer lines than counted",
                good.replace("@@ -9,4 +9,5 @@", "@@ -9,5 +9,6 @@"),
            ),
            "isn't complete",
        ),
        (
            text("a place that lies", good.replace("+29,5 @@", "+28,5 @@")),
            "doesn't follow",
        ),
        (
            text(
                "hunks in the wrong order",
                good.replace("@@ -28,4 +29,5 @@", "@@ -2,4 +3,5 @@"),
            ),
            "doesn't follow",
        ),
        (
            text(
                "huge numbers",
                good.replace("@@ -9,4", "@@ -99999999999999999999,4"),
            ),
            "no head of a hunk",
        ),
        (
            text(
                "no place",
                good.replace("@@ -9,4 +9,5 @@", "@@ -0,0 +9,5 @@"),
            ),
            "line",
        ),
        (
            text("a file twice", {
                let file = &good[good.find("diff --git a/mlx/CMake").unwrap()
                    ..good.find("diff --git a/mlx/export").unwrap()];
                format!("{good}{file}")
            }),
            "twice",
        ),
        (
            text(
                "a rename",
                good.replace("b/mlx/export.cpp\nindex", "b/mlx/import.cpp\nindex"),
            ),
            "rename",
        ),
        (
            text(
                "a rename header",
                good.replacen(
                    "index ",
                    "similarity index 90%\nrename from a\nrename to b\nindex ",
                    1,
                ),
            ),
            "renames or copies",
        ),
        (
            text(
                "a copy header",
                good.replacen("index ", "copy from a\ncopy to b\nindex ", 1),
            ),
            "copies",
        ),
        (
            text(
                "a mode change",
                good.replacen("index ", "old mode 100644\nnew mode 120000\nindex ", 1),
            ),
            "mode",
        ),
        (
            text(
                "another file below",
                good.replace("--- a/mlx/export.cpp", "--- a/../../x"),
            ),
            "expected",
        ),
        (
            text(
                "another target below",
                good.replace("+++ b/mlx/export.cpp", "+++ b/.git/config"),
            ),
            "expected",
        ),
        (
            text(
                "binary",
                good.replacen("--- a/mlx", "GIT binary patch\nliteral 3\n--- a/mlx", 1),
            ),
            "binary",
        ),
        (
            text("a signature", format!("{good}-- \n2.50.0\n")),
            "signature",
        ),
        (
            text(
                "quoted",
                good.replace(
                    "a/mlx/export.cpp b/mlx/export.cpp",
                    "\"a/mlx/export.cpp\" \"b/mlx/export.cpp\"",
                ),
            ),
            "quoted",
        ),
        (
            text("no diffstat", good.replace(" changed", " chnged")),
            "diffstat",
        ),
        (
            text(
                "short ids",
                good.replacen("index ", "index 123abc..456def 100644\n#", 1),
            ),
            "40 hex digits",
        ),
        (
            text("altered", good.replace("+hook one", "+hook 0ne")),
            "damaged",
        ),
        (text("no date", good.replace("Date:", "Dote:")), "Dote"),
    ] {
        cases.push((what, bytes, says));
    }
    let project = Project::new();
    for (what, bytes, says) in cases {
        project.patch("0001-fused.patch", &bytes);
        let error = compose_error(&project);
        assert!(error.to_string().contains(says), "{what:?}: {error}");
        assert!(
            error.to_string().contains("0001-fused.patch")
                || error.to_string().contains("nothing was written"),
            "{what:?}: {error}"
        );
        assert_eq!(error.kind(), Kind::Usage, "{what:?}: {error}");
        assert!(!project.dir.path().join("outside").exists());
    }
    project.patch("0001-fused.patch", &good);
    assert_eq!(project.compose().commits.len(), 2);
}

#[test]
fn a_patch_that_is_huge_or_no_file_is_refused_without_being_read() {
    let project = Project::new();
    let path = project.layout.patches().join("0001-fused.patch");
    fs::File::create(&path).unwrap().set_len(100 << 20).unwrap();
    let start = std::time::Instant::now();
    let error = compose_error(&project);
    assert!(error.to_string().contains("104857600 bytes"), "{error}");
    assert!(start.elapsed().as_millis() < 1000);
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
    let error = compose_error(&project);
    assert!(
        error.to_string().contains("no regular file") && error.kind() == Kind::Usage,
        "{error}"
    );
    fs::remove_file(&path).unwrap();
    assert!(
        Command::new("mkfifo")
            .arg(&path)
            .status()
            .unwrap()
            .success()
    );
    assert!(
        compose_error(&project)
            .to_string()
            .contains("no regular file")
    );
}

#[test]
fn a_patch_cut_off_at_any_byte_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let repo = Repository::init(dir.path()).unwrap();
    let from = tree(&repo, &upstream());
    // A change, a last line without a newline, a new file, a deleted one.
    let mut files = with(
        hooked(),
        "mlx/ops.cpp",
        "no newline at the end",
        "still none",
    );
    files.retain(|f| f.0 != "README.md");
    files.push(("zzz.txt", text("z", 2), 0o100755));
    let good = mail(&repo, "fused", from, tree(&repo, &files)).into_bytes();
    let project = project_with_patch(&good);
    let whole = project.compose();
    let mut parsed = 0;
    for end in 0..good.len() {
        if let Ok(patch) = Patch::parse("cut", good[..end].to_vec()) {
            parsed += 1;
            assert!(!patch.files.is_empty());
            project.patch("0001-fused.patch", &good[..end]);
            compose_error(&project);
        }
    }
    assert!(parsed <= 2, "{parsed} cut patches look whole");
    project.patch("0001-fused.patch", &good);
    assert_eq!(project.compose(), whole);
}

#[test]
fn a_patch_with_any_byte_changed_never_panics_and_never_applies_elsewhere() {
    let good = good_patch().into_bytes();
    let project = Project::new();
    let series = project.series();
    let body = good.windows(4).position(|w| w == b"---\n").unwrap();
    for at in body..good.len() {
        for byte in [b'\n', b'+', b' ', b'9', b'/', 0] {
            let mut bytes = good.clone();
            bytes[at] = byte;
            if bytes == good {
                continue;
            }
            let Ok(patch) = Patch::parse("0001-fused.patch", bytes) else {
                continue;
            };
            let mut changed = series.clone();
            changed.features[0].patch = patch;
            if let Ok(fork) = series::compose(&project.layout, &changed, &project.base.to_string())
            {
                // Only text that means nothing to the result may differ.
                assert_eq!(fork.tree, project.compose().tree, "byte {at} as {byte}");
            }
        }
    }
}
