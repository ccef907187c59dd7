//! What comes as mails, diffs and commits, in all the forms in which people send it.

use mlx_fork::manager::check;
use mlx_fork::manager::incoming::{self, Request as Import};

use super::imports::import;
use super::*;

/// A clone with a folder for what is sent, and two commits: a new file and a hook, a hook.
fn sent(project: &Project) -> std::path::PathBuf {
    let clone = project.dir.path().join("theirs");
    let from = project.layout.mlx_local();
    clone_at(&from, "refs/mlx-fork/pins/base", &clone);
    change(
        &clone.join(EXPORT),
        "export line 20\n",
        "export line 20\nsorted\n",
    );
    fs::write(clone.join("mlx/sort.cpp"), "int sort; // Größe\n").unwrap();
    git(&clone, &["add", "--all"]);
    let message = "[CUDA] Sort\n\nIt is für alle.";
    git(&clone, &["commit", "--quiet", "--message", message]);
    change(
        &clone.join(BINDING),
        "binding line 5\n",
        "binding line 5\nsorted\n",
    );
    git(
        &clone,
        &["commit", "--quiet", "--all", "--message", "Bind it"],
    );
    clone
}

fn of(files: Vec<std::path::PathBuf>) -> Import {
    Import {
        files,
        ..Import::default()
    }
}

fn range(clone: &Path, range: &str) -> Import {
    Import {
        commits: Some((clone.to_path_buf(), range.into())),
        ..Import::default()
    }
}

/// Both commits are there, then gone again; what the import said.
fn both_come(project: &Project, request: &Import) -> incoming::Placed {
    let before = files(project);
    let (placed, _) = import(project, request).unwrap();
    let series = project.series();
    let names: Vec<&str> = series.features.iter().map(|f| f.name.as_str()).collect();
    assert_eq!(names, ["fused", "second", "cuda_sort", "bind_it"]);
    is_the_first(project);
    assert_in_step(project);
    manager(project).undo().unwrap();
    assert_eq!(files(project), before);
    placed
}

fn is_the_first(project: &Project) {
    let series = project.series();
    let header = &series.features[2].patch.header;
    assert_eq!(
        (header.name.as_str(), header.email.as_str()),
        ("A Person", "a@person")
    );
    assert!(
        header
            .message
            .starts_with("[CUDA] Sort\n\nIt is für alle.\n"),
        "{header}"
    );
    let file = fs::read_to_string(project.local("mlx/sort.cpp")).unwrap();
    assert_eq!(file, "int sort; // Größe\n");
    let export = fs::read_to_string(project.local(EXPORT)).unwrap();
    assert!(export.contains("export line 20\nsorted\n"));
}

#[test]
fn a_mailbox_of_several_mails_comes_in_whole_and_its_first_letter_is_told() {
    let project = shown();
    let clone = sent(&project);
    let mailbox = project.dir.path().join("their.mbox");
    for (cover, empty) in [("--no-cover-letter", 0), ("--cover-letter", 1)] {
        let text = git(&clone, &["format-patch", "--stdout", cover, "HEAD~2"]);
        fs::write(&mailbox, text).unwrap();
        let placed = both_come(&project, &of(vec![mailbox.clone()]));
        assert_eq!(placed.empty.len(), empty);
    }
}

#[test]
fn a_mail_comes_in_the_same_however_programs_saved_and_encoded_it() {
    let project = shown();
    let clone = sent(&project);
    let text = git(&clone, &["format-patch", "--stdout", "HEAD~2..HEAD~1"]);
    let (head, body) = text.split_once("\n\n").unwrap();
    let plain = head.split_once('\n').unwrap().1;
    let crlf = |text: &str| text.replace('\n', "\r\n");
    let encoded = |how: &str, body: String| {
        let head = head.replace("Encoding: 8bit", &format!("Encoding: {how}"));
        assert!(head.contains(how), "{head}");
        format!("{head}\n\n{body}")
    };
    let quoted = |text: &str| -> String {
        let quote = |b: u8| match b {
            b'\n' => "\n".to_string(),
            b' '..=b'~' if b != b'=' => char::from(b).to_string(),
            _ => format!("={b:02X}"),
        };
        text.bytes().map(quote).collect()
    };
    let utc = plain.lines().map(|line| match line.starts_with("Date: ") {
        true => "Date: Thu, 1 Jan 2026 00:00:00 GMT (UTC)\n".to_string(),
        false => format!("{line}\n"),
    });
    let forms = [
        format!("{plain}\n\n{body}"),
        crlf(&format!("Return-Path: <a@person>\n{plain}\n\n{body}")),
        format!("\u{feff}{plain}\n\n{body}"),
        format!("{}\n{body}", utc.collect::<String>()),
        encoded("quoted-printable", quoted(body)),
        encoded("quoted-printable", quoted(&crlf(body))),
        encoded("base64", base64(body.as_bytes())),
        encoded("base64", base64(crlf(body).as_bytes())),
    ];
    let mail = project.dir.path().join("their.eml");
    for form in forms {
        fs::write(&mail, &form).unwrap();
        import(&project, &of(vec![mail.clone()])).unwrap_or_else(|e| panic!("{e}\n{form}"));
        is_the_first(&project);
        assert_in_step(&project);
        manager(&project).undo().unwrap();
    }
}

fn base64(bytes: &[u8]) -> String {
    const SIGNS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for (at, three) in bytes.chunks(3).enumerate() {
        let number = (0..3).fold(0, |n, i| n << 8 | u32::from(*three.get(i).unwrap_or(&0)));
        for place in 0..4 {
            let sign = SIGNS[(number >> (18 - 6 * place) & 63) as usize];
            text.push(if place > three.len() {
                '='
            } else {
                char::from(sign)
            });
        }
        if at % 18 == 17 {
            text.push('\n');
        }
    }
    text
}

#[test]
fn what_a_person_set_up_git_to_do_does_not_change_what_a_range_brings() {
    let project = shown();
    let clone = sent(&project);
    for (key, value) in [
        ("diff.context", "0"),
        ("diff.noprefix", "true"),
        ("diff.relative", "true"),
        ("format.noprefix", "true"),
        ("format.coverLetter", "true"),
        ("format.subjectPrefix", "RFC"),
        ("format.signOff", "true"),
        ("format.useAutoBase", "true"),
        ("i18n.logOutputEncoding", "ISO-8859-1"),
        ("mailinfo.scissors", "true"),
        ("log.showSignature", "true"),
    ] {
        git(&clone, &["config", key, value]);
    }
    both_come(&project, &range(&clone, "HEAD~2..HEAD"));
}

#[test]
fn merges_in_a_range_are_named_and_nothing_of_it_is_taken() {
    let project = shown();
    let before = files(&project);
    let clone = sent(&project);
    git(&clone, &["checkout", "--quiet", "-b", "side", "HEAD~1"]);
    fs::write(clone.join("side.txt"), "side\n").unwrap();
    git(&clone, &["add", "--all"]);
    git(&clone, &["commit", "--quiet", "--message", "Side"]);
    git(
        &clone,
        &["merge", "--quiet", "--no-ff", "-m", "Join both", "main"],
    );
    let error = import(&project, &range(&clone, "HEAD~2..HEAD")).unwrap_err();
    assert_eq!(error.kind(), Kind::Usage);
    assert!(error.what().contains("Join both"), "{error}");
    // What git would take for all commits since this one.
    let error = import(&project, &range(&clone, "main")).unwrap_err();
    assert!(error.hints()[0].contains("main~1..main"), "{error:?}");
    assert_eq!(files(&project), before);
}

#[test]
fn what_holds_no_changes_is_named_with_what_it_is() {
    let project = shown();
    let folder = project.dir.path();
    let file = |name: &str, bytes: &[u8]| {
        fs::write(folder.join(name), bytes).unwrap();
        of(vec![folder.join(name)])
    };
    for (request, says) in [
        (of(vec![folder.join("nothing")]), "isn't there"),
        (of(vec![folder.to_path_buf()]), "is a folder"),
        (file("empty", b""), "no line `diff --git"),
        (file("garbage", b"\x00\xff\x01"), "isn't UTF-8"),
        (
            file("p0", b"diff --git x x\n--- x\n+++ x\n"),
            "has no `a/` and `b/`",
        ),
        (range(folder, "a..b"), "reading a..b"),
        (range(&folder.join("nothing"), "a..b"), "nothing"),
    ] {
        let error = import(&project, &request).unwrap_err();
        assert_eq!(error.kind(), Kind::Usage, "{error}");
        assert!(error.to_string().contains(says), "{error}");
        assert!(
            !error.hints().is_empty() || says.contains("UTF-8"),
            "{error}"
        );
    }
    let clone = sent(&project);
    let mut text = git(&clone, &["format-patch", "--stdout", "HEAD~2"]);
    let second = text.find("Subject: [PATCH 2/2]").unwrap();
    let at = second + text[second..].find("\n@@ ").unwrap();
    text.replace_range(at..=at + 3, "\n@! ");
    let error = import(&project, &file("mails", text.as_bytes())).unwrap_err();
    assert!(error.to_string().contains("mails, mail 2"), "{error}");
}

#[test]
fn a_change_of_our_own_file_is_no_hook() {
    let project = shown();
    let before = files(&project);
    let diff = project.dir.path().join("own.diff");
    change(&project.local("mlx/fused/a.cpp"), "int a;", "int a = 1;");
    fs::write(
        &diff,
        format!("{}\n", project.git(&["diff", "--full-index"])),
    )
    .unwrap();
    project.git(&["checkout", "--quiet", "."]);
    let request = Import {
        name: Some("own".into()),
        ..of(vec![diff])
    };
    let error = import(&project, &request).unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict);
    assert!(
        error.what().contains("mlx_primitives/a.cpp of the project"),
        "{error}"
    );
    assert_eq!(files(&project), before);
    // By hand such a patch can be written; then `check` says so.
    let repo = project.repo();
    let text = synthetic::with(synthetic::hooked(), BINDING, "binding line 15\n", "x\n");
    let mut after = text.clone();
    let a = ("mlx/fused/a.cpp", "int a;\n".to_string(), 0o100_644);
    let mut below = synthetic::hooked();
    below.push(a.clone());
    after.push((a.0, "int a = 1;\n".into(), a.2));
    let trees = [
        synthetic::tree(&repo, &below),
        synthetic::tree(&repo, &after),
    ];
    project.patch(
        "0002-second.patch",
        synthetic::mail(&repo, "second", trees[0], trees[1]),
    );
    let found = check::check(&manager(&project)).unwrap();
    let found: Vec<&str> = found.iter().map(|found| found.what.as_str()).collect();
    let says = "changes mlx/fused/a.cpp, which is mlx_primitives/a.cpp of the project";
    assert!(found.contains(&says), "{found:?}");
}

#[test]
fn new_files_of_one_name_and_with_spaces_get_files_of_their_own() {
    let project = shown();
    let clone = sent(&project);
    for path in ["twin.cpp", "mlx/twin.cpp", "mlx/with space.cpp"] {
        fs::write(clone.join(path), format!("int {};\n", path.len())).unwrap();
    }
    git(&clone, &["add", "--all"]);
    git(&clone, &["commit", "--quiet", "--message", "Twins"]);
    import(&project, &range(&clone, "HEAD~1..HEAD")).unwrap();
    let series = project.series();
    let own = series.features[2].overlay.iter();
    let sources: Vec<&str> = own.map(|file| file.source.as_str()).collect();
    let wanted = ["twin.cpp", "with space.cpp", "2/twin.cpp"];
    assert_eq!(
        sources,
        wanted.map(|name| format!("mlx_primitives/twins/{name}"))
    );
    assert_eq!(
        fs::read_to_string(project.local("twin.cpp")).unwrap(),
        "int 8;\n"
    );
    assert_eq!(
        fs::read_to_string(project.local("mlx/twin.cpp")).unwrap(),
        "int 12;\n"
    );
    assert_in_step(&project);
}

#[test]
fn subjects_that_give_one_name_give_two_features() {
    let project = shown();
    let clone = sent(&project);
    git(
        &clone,
        &["commit", "--quiet", "--amend", "--message", "[CUDA] Sort!"],
    );
    import(&project, &range(&clone, "HEAD~2..HEAD")).unwrap();
    let names: Vec<String> = project
        .series()
        .features
        .into_iter()
        .map(|f| f.name)
        .collect();
    assert_eq!(names[2..], ["cuda_sort", "cuda_sort_2"]);
}

#[test]
fn an_author_whose_name_git_would_change_makes_patches_too() {
    let project = shown();
    project.git(&["config", "user.email", "a@person"]);
    for (number, (name, becomes)) in [
        ("J. Doe Jr.", "J. Doe Jr"),
        ("Joe \"Q\" Doe", "Joe Q Doe"),
        ("Jané", "Jané"),
    ]
    .into_iter()
    .enumerate()
    {
        project.git(&["config", "user.name", name]);
        let feature = format!("f{number}");
        incoming::new(&manager(&project), &feature, "Subject", None).unwrap();
        let series = project.series();
        assert_eq!(series.features.last().unwrap().patch.header.name, becomes);
        assert_in_step(&project);
    }
}
