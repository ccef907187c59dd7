//! What a person does between two operations: edits of every kind in `mlx_local` and in the
//! project, each with a mark of its own text by which it is found again.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use git2::{IndexAddOption, Oid, Repository, Signature};

use super::sequences_world::{local, project_files};
use super::synthetic::Project;

/// Numbers that depend on a seed alone.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xD1B5_4A32_D192_ED03)
    }
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }
    /// True in so many of a hundred cases.
    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
    pub fn pick<'t, T>(&mut self, from: &'t [T]) -> Option<&'t T> {
        let at = self.below(from.len());
        from.get(at)
    }
}

/// Texts that mark edits; none of them occurs twice in a sequence.
#[derive(Default)]
pub struct Marks(usize);

impl Marks {
    pub fn new_one(&mut self) -> String {
        self.0 += 1;
        format!("@m{}@", self.0)
    }

    /// All marks in some bytes.
    pub fn of(bytes: &[u8], found: &mut BTreeSet<String>) {
        for at in bytes
            .windows(2)
            .enumerate()
            .filter(|(_, w)| *w == b"@m")
            .map(|(at, _)| at)
        {
            let digits = bytes[at + 2..]
                .iter()
                .take_while(|b| b.is_ascii_digit())
                .count();
            let end = at + 2 + digits;
            if digits > 0 && bytes.get(end) == Some(&b'@') {
                found.insert(String::from_utf8_lossy(&bytes[at..=end]).into_owned());
            }
        }
    }
}

/// A person at work on a project.
pub struct Person<'a> {
    pub project: &'a Project,
    pub random: Random,
    pub marks: Marks,
    /// Files of the project that were damaged, and how they were.
    damaged: Vec<(PathBuf, Option<Vec<u8>>)>,
    /// True once files below patches/ were edited by hand.
    pub by_hand: bool,
}

impl<'a> Person<'a> {
    pub fn new(project: &'a Project, seed: u64) -> Self {
        Person {
            project,
            random: Random::new(seed),
            marks: Marks::default(),
            damaged: Vec::new(),
            by_hand: false,
        }
    }

    /// Does something; says what.
    pub fn act(&mut self) -> String {
        if !self.damaged.is_empty() && self.random.chance(70) {
            return self.mend();
        }
        match self.random.below(100) {
            0..60 => self.edit_local(),
            60..72 => self.use_git(),
            72..78 => self.change_kind(),
            _ => self.edit_project(),
        }
    }

    fn some_file(&mut self) -> Option<(String, PathBuf)> {
        let files: Vec<String> = local(&self.project.layout).into_keys().collect();
        let hooked = [
            "mlx/export.cpp",
            "mlx/fused/a.cpp",
            "mlx/crlf.h",
            "mlx/ops.cpp",
        ];
        let path = match self.random.chance(35) {
            true => self.random.pick(&hooked)?.to_string(),
            false => self.random.pick(&files)?.clone(),
        };
        let full = self.project.local(&path);
        let meta = full.symlink_metadata().ok()?;
        meta.is_file().then_some((path, full))
    }

    fn edit_local(&mut self) -> String {
        let Some((path, full)) = self.some_file() else {
            return "nothing".into();
        };
        let mark = self.marks.new_one();
        let content = fs::read(&full).unwrap();
        match self.random.below(12) {
            0..5 => {
                fs::write(&full, self.edited(&content, &mark)).unwrap();
                format!("edits {path} ({mark})")
            }
            5 => {
                let end = ["", "\n", "\r\n"][self.random.below(3)];
                fs::write(&full, [&content, mark.as_bytes(), end.as_bytes()].concat()).unwrap();
                format!("appends {mark}{end:?} to {path}")
            }
            6 => {
                let text = [b"\0\xff", mark.as_bytes(), b"\r\n\0"].concat();
                fs::write(&full, text).unwrap();
                format!("makes {path} binary ({mark})")
            }
            7 => {
                fs::remove_file(&full).unwrap();
                format!("deletes {path}")
            }
            8 => {
                let mode = fs::metadata(&full).unwrap().permissions().mode();
                fs::set_permissions(&full, fs::Permissions::from_mode(mode ^ 0o111)).unwrap();
                format!("changes the mode of {path}")
            }
            9 => {
                let to = format!("{path}.moved");
                fs::write(&full, self.edited(&content, &mark)).unwrap();
                fs::rename(&full, self.project.local(&to)).unwrap();
                format!("renames {path} to {to} ({mark})")
            }
            _ => {
                let folder = ["mlx/fused", "mlx", "notes", "build"][self.random.below(4)];
                let name = ["x.cpp", "y.txt", "z.o"][self.random.below(3)];
                let path = format!("{folder}/{name}");
                let full = self.project.local(&path);
                if fs::create_dir_all(self.project.local(folder)).is_err() || full.is_dir() {
                    return "nothing".into();
                }
                let _ = fs::remove_file(&full);
                fs::write(&full, format!("new {mark}\n")).unwrap();
                format!("makes {path} ({mark})")
            }
        }
    }

    /// A line of a text replaced, or one put in, in the manner of its line ends.
    pub fn edited(&mut self, content: &[u8], mark: &str) -> Vec<u8> {
        let mut lines: Vec<Vec<u8>> = content
            .split_inclusive(|b| *b == b'\n')
            .map(<[u8]>::to_vec)
            .collect();
        let at = self.random.below(lines.len() + 1);
        let end = match lines.get(at) {
            Some(line) if line.ends_with(b"\r\n") => "\r\n",
            Some(line) if !line.ends_with(b"\n") => "",
            _ => "\n",
        };
        let new = format!("{mark}{end}").into_bytes();
        match lines.get_mut(at) {
            Some(line) if self.random.chance(60) => *line = new,
            Some(_) if !end.is_empty() => lines.insert(at, new),
            Some(line) => line.extend(new),
            None => {
                if let Some(last) = lines.last_mut().filter(|line| !line.ends_with(b"\n")) {
                    last.push(b'\n');
                }
                lines.push(new);
            }
        }
        lines.concat()
    }

    fn use_git(&mut self) -> String {
        let repo = Repository::open(self.project.layout.mlx_local()).unwrap();
        let mut index = repo.index().unwrap();
        let mark = self.marks.new_one();
        match self.random.below(10) {
            0..4 => {
                index.add_all(["*"], IndexAddOption::DEFAULT, None).unwrap();
                index.write().unwrap();
                "git add --all".into()
            }
            4..6 => {
                let Some((path, full)) = self.some_file() else {
                    return "nothing".into();
                };
                let content = fs::read(&full).unwrap();
                fs::write(&full, self.edited(&content, &mark)).unwrap();
                let staged = index.add_path(Path::new(&path));
                index.write().unwrap();
                fs::write(&full, content).unwrap();
                format!("stages {path} ({mark}) and takes the edit back ({staged:?})")
            }
            6..9 => {
                index.add_all(["*"], IndexAddOption::DEFAULT, None).unwrap();
                index.write().unwrap();
                let tree = repo.find_tree(index.write_tree().unwrap()).unwrap();
                let who = Signature::now("A Person", "a@person").unwrap();
                let head = repo.head().unwrap().peel_to_commit().unwrap();
                let message = format!("work {mark}\n");
                repo.commit(Some("HEAD"), &who, &who, &message, &tree, &[&head])
                    .unwrap();
                format!("git commit --all ({mark})")
            }
            _ => {
                let head: Oid = repo.head().unwrap().target().unwrap();
                let name = format!("mine{}", self.random.below(1000));
                let head = repo.find_commit(head).unwrap();
                repo.branch(&name, &head, true).unwrap();
                repo.set_head(&format!("refs/heads/{name}")).unwrap();
                format!("git switch --create {name}")
            }
        }
    }

    /// A file becomes a link or a folder, a folder a link or a file.
    fn change_kind(&mut self) -> String {
        let Some((path, full)) = self.some_file() else {
            return "nothing".into();
        };
        let mark = self.marks.new_one();
        match self.random.below(4) {
            0 => {
                fs::remove_file(&full).unwrap();
                symlink(format!("to {mark}"), &full).unwrap();
                format!("makes {path} a link ({mark})")
            }
            1 => {
                fs::remove_file(&full).unwrap();
                fs::create_dir(&full).unwrap();
                fs::write(full.join("mine"), &mark).unwrap();
                format!("makes {path} a folder ({mark})")
            }
            2 if path.starts_with("tools/") => {
                let away = self.project.dir.path().join(format!("tools{mark}"));
                fs::rename(self.project.local("tools"), &away).unwrap();
                symlink(&away, self.project.local("tools")).unwrap();
                "makes tools/ a link".into()
            }
            _ => {
                let folder = full.parent().unwrap();
                if folder == self.project.layout.mlx_local() {
                    return "nothing".into();
                }
                fs::remove_dir_all(folder).unwrap();
                fs::write(folder, &mark).unwrap();
                format!("makes the folder of {path} a file ({mark})")
            }
        }
    }

    fn edit_project(&mut self) -> String {
        let root = self.project.layout.root().to_path_buf();
        let files: Vec<String> = project_files(&self.project.layout).into_keys().collect();
        let starting = |start: &str| -> Vec<String> {
            files
                .iter()
                .filter(|f| f.starts_with(start))
                .cloned()
                .collect()
        };
        let mark = self.marks.new_one();
        match self.random.below(10) {
            0..3 => {
                let Some(path) = self.random.pick(&starting("mlx_primitives/")).cloned() else {
                    return "nothing".into();
                };
                let content = fs::read(root.join(&path)).unwrap();
                fs::write(root.join(&path), self.edited(&content, &mark)).unwrap();
                format!("edits the project's {path} ({mark})")
            }
            3..7 => {
                let patches: Vec<String> = files
                    .iter()
                    .filter(|f| f.ends_with(".patch"))
                    .cloned()
                    .collect();
                let Some(path) = self.random.pick(&patches).cloned() else {
                    return "nothing".into();
                };
                self.edit_patch(&root.join(&path), &mark)
            }
            7 => {
                let full = root.join("patches/series.toml");
                let text = fs::read_to_string(&full).unwrap();
                self.by_hand = true;
                fs::write(&full, format!("{text}# {mark}\n")).unwrap();
                format!("comments series.toml ({mark})")
            }
            8 => {
                let names = [
                    "patches/0001-second.patch",
                    "patches/0002-fused.patch",
                    "patches/0005-more.patch",
                    "mlx_primitives/x.cpp",
                    "mlx_primitives/notes",
                ];
                let full = root.join(self.random.pick(&names).unwrap());
                if full.exists() {
                    return "nothing".into();
                }
                fs::write(&full, format!("mine {mark}\n")).unwrap();
                format!("makes {} ({mark})", full.display())
            }
            _ => {
                let Some(path) = self.random.pick(&starting("mlx_primitives/")).cloned() else {
                    return "nothing".into();
                };
                self.by_hand = true;
                self.damaged
                    .push((root.join(&path), Some(fs::read(root.join(&path)).unwrap())));
                fs::remove_file(root.join(&path)).unwrap();
                format!("deletes the project's {path}")
            }
        }
    }

    fn edit_patch(&mut self, full: &Path, mark: &str) -> String {
        let name = full.file_name().unwrap().to_string_lossy().into_owned();
        let bytes = fs::read(full).unwrap();
        let Ok(text) = String::from_utf8(bytes.clone()) else {
            return "nothing".into();
        };
        self.by_hand = true;
        match self.random.below(4) {
            0 | 1 => {
                let text = text.replacen("What it is for.", &format!("What it is for. {mark}"), 1);
                fs::write(full, text).unwrap();
                format!("edits the message of {name} ({mark})")
            }
            2 => {
                // The lines that a patch makes; its ids go, as docs/patch.md says.
                let mut done = false;
                let mut new = String::new();
                for line in text
                    .split_inclusive('\n')
                    .filter(|l| !l.starts_with("index "))
                {
                    if !done && line.starts_with('+') && !line.starts_with("+++") {
                        let end = if line.ends_with("\r\n") { "\r\n" } else { "\n" };
                        new.push_str(&format!("+{mark}{end}"));
                        done = true;
                    } else {
                        new.push_str(line);
                    }
                }
                fs::write(full, new).unwrap();
                format!("edits a line of {name} ({mark})")
            }
            _ => {
                self.damaged.push((full.to_path_buf(), Some(bytes)));
                fs::write(full, &text[..text.len() / 2]).unwrap();
                format!("damages {name}")
            }
        }
    }

    fn mend(&mut self) -> String {
        for (path, content) in std::mem::take(&mut self.damaged).into_iter().rev() {
            match content {
                Some(content) => fs::write(&path, content).unwrap(),
                None => drop(fs::remove_file(&path)),
            }
        }
        "mends what was damaged".into()
    }

    /// Resolves what conflicts in one way or another, or only a part of it.
    pub fn resolve(&mut self) -> String {
        let mut said = String::from("resolves");
        for (path, (content, mode)) in local(&self.project.layout) {
            let text = String::from_utf8_lossy(&content).into_owned();
            if mode == 0o120_000 || !text.contains("<<<<<<< ") {
                continue;
            }
            if self.random.chance(8) {
                said.push_str(&format!(" (not {path})"));
                continue;
            }
            let choice = self.random.below(4);
            let mark = self.marks.new_one();
            let mut new = String::new();
            let mut side = 0;
            for line in text.split_inclusive('\n') {
                match line {
                    line if line.starts_with("<<<<<<< ") => side = 1,
                    line if side == 1 && line.starts_with("||||||| ") => side = 2,
                    line if side == 2 && line.starts_with("=======") => side = 3,
                    line if side == 3 && line.starts_with(">>>>>>> ") => {
                        side = 0;
                        if choice == 3 {
                            new.push_str(&format!("{mark}\r\n"));
                        }
                    }
                    line if side == 0
                        || (side == 1 && choice != 1)
                        || (side == 3 && choice != 0 && choice != 3) =>
                    {
                        new.push_str(line);
                    }
                    _ => {}
                }
            }
            if self.random.chance(20) {
                new.truncate(new.trim_end().len());
            }
            fs::write(self.project.local(&path), new).unwrap();
            said.push_str(&format!(" {path} ({choice}, {mark})"));
        }
        if self.random.chance(15) {
            said.push_str(" and ");
            said.push_str(&self.edit_local());
        }
        said
    }
}
