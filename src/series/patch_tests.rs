//! The parser of patch files, on small texts; whole series are in tests/series.rs.

use super::*;

const DIFF: &str = "diff --git a/x y b/x y\nindex 1111111111111111111111111111111111111111..2222222222222222222222222222222222222222 100644\n\
    --- a/x y\n+++ b/x y\n@@ -2,3 +2,4 @@ int f() {\n one\n+two\n \n three\n@@ -9 +10,2 @@\n-nine\n+NINE\n+TEN\n\\ No newline at end of file\n";

fn mail(stat: &str, diff: &str) -> Vec<u8> {
    format!(
        "From {} Mon Sep 17 00:00:00 2001\nFrom: a <b>\nDate: Thu, 1 Jan 2026 00:00:00 +0000\nSubject: s\n\n\
         Upstream-Status: not-sent\nFeature: f\n---\n{stat}\n{diff}",
        "0".repeat(40)
    )
    .into_bytes()
}

const STAT: &str = " x y | 4 +++-\n 1 file changed, 3 insertions(+), 1 deletion(-)\n";

#[test]
fn hunks_are_read_with_their_places_and_last_lines() {
    let patch = Patch::parse("p", mail(STAT, DIFF)).unwrap();
    let file = &patch.files[0];
    assert_eq!((file.path.as_str(), file.action), ("x y", Action::Change));
    assert_eq!(file.hunks[0].header, "@@ -2,3 +2,4 @@");
    assert_eq!(
        file.hunks[0].old(),
        [b"one\n".as_slice(), b"\n", b"three\n"]
    );
    assert_eq!((file.hunks[1].old_start, file.hunks[1].new_start), (9, 10));
    assert_eq!(file.hunks[1].new_lines(), [b"NINE\n".as_slice(), b"TEN"]);
}

#[test]
fn a_line_number_of_the_file_is_in_every_complaint() {
    let error = Patch::parse(
        "p",
        mail(STAT, &DIFF.replace("@@ -9 +10,2 @@", "@@ -9 +11,2 @@")),
    )
    .unwrap_err();
    let text = mail(STAT, DIFF);
    let text = String::from_utf8(text).unwrap();
    let line = text.lines().position(|l| l.starts_with("@@ -9")).unwrap() + 1;
    assert!(
        error.what().starts_with(&format!("line {line}: ")),
        "{error}"
    );
}

#[test]
fn the_diffstat_has_to_be_true() {
    for (from, to) in [
        ("1 file", "2 files"),
        ("3 ins", "2 ins"),
        ("1 del", "0 del"),
        (", 1 deletion(-)", ""),
    ] {
        let error = Patch::parse("p", mail(&STAT.replace(from, to), DIFF)).unwrap_err();
        assert!(error.what().contains("diffstat says"), "{error}");
    }
}
