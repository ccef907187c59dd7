//! Runs that are killed, meet each other, or find no room: what the next run makes of it.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use crate::project::{Contents, NONE, Project, Ran, Random, differing, done, fork_id};

/// Kills a run, alone or with all that it started, unless it ended before.
fn kill(mut run: Child, whole_group: bool) -> bool {
    let ended = run.try_wait().unwrap().is_some();
    if whole_group {
        // SAFETY: a plain system call; the group is the child's own, and it is not reaped yet.
        unsafe { libc::kill(-(run.id() as i32), libc::SIGKILL) };
    }
    run.kill().unwrap();
    run.wait().unwrap();
    !ended
}

fn start(project: &Project) -> Child {
    // A log in a file: a pipe's reader would be ours, and a full pipe would stop the run.
    let log = fs::File::create(project.base().join("log")).unwrap();
    let mut command = project.setup_command(&[]);
    command.process_group(0).stdout(log.try_clone().unwrap());
    command.stderr(log).spawn().unwrap()
}

/// The command goes on from whatever is there to where it would have come undisturbed.
fn converges(project: &Project, id: &str, expected: &Contents, why: &str) {
    let summary = project.setup(&[]).succeeded();
    assert_eq!(fork_id(&summary), id, "{why}");
    assert_eq!(differing(&project.made(), expected), NONE, "{why}");
    project.assert_clean(id);
    assert_eq!(done(&project.setup(&[]).succeeded()), NONE, "{why}");
}

/// All that the command made.
fn wipe(project: &Project) {
    for made in ["target", "mlx_local", "sys/src/bindings.rs"] {
        let path = project.layout.root().join(made);
        match path.is_dir() {
            true => fs::remove_dir_all(path).unwrap(),
            false => fs::remove_file(path).unwrap(),
        }
    }
}

#[test]
fn kill_9_at_any_time_and_the_next_run_comes_to_the_same_end() {
    let project = Project::new();
    let begun = Instant::now();
    let first = fork_id(&project.setup(&[]).succeeded());
    let whole = begun.elapsed();
    let mut random = Random::new();
    println!("seed {}, a whole run takes {whole:?}", random.seed);
    let first_made = project.made();
    project.edit("int more() { return 2; }\n");
    let begun = Instant::now();
    let second = fork_id(&project.setup(&[]).succeeded());
    let change = begun.elapsed();
    let second_made = project.made();
    let ours = project.layout.root().join(crate::project::OURS);
    let edited = fs::read_to_string(&ours).unwrap();
    let unedited = edited.replace("int more() { return 2; }\n", "");

    let mut kills = 0;
    for round in 0..2 {
        let why = format!("round {round}, seed {}", random.seed);
        // From nothing, a few kills on the way.
        wipe(&project);
        fs::write(&ours, &unedited).unwrap();
        for n in 0..3 {
            let run = start(&project);
            std::thread::sleep(whole.mul_f64(random.next() * 0.6));
            kills += usize::from(kill(run, n == 1));
        }
        converges(&project, &first, &first_made, &why);
        // From one fork to the next.
        fs::write(&ours, &edited).unwrap();
        for n in 0..2 {
            let run = start(&project);
            std::thread::sleep(change.mul_f64(random.next() * 0.8));
            kills += usize::from(kill(run, n == 1));
        }
        converges(&project, &second, &second_made, &why);
    }
    println!("{kills} runs were killed before their end");
    assert!(kills >= 6, "{kills} kills only, seed {}", random.seed);
}

fn wait_until(what: &str, ready: impl Fn() -> bool) {
    let begun = Instant::now();
    while !ready() {
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "waiting for {what}"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn of_two_runs_at_once_the_second_waits_or_says_who_is_at_work() {
    let project = Project::new();
    let first = project.setup_command(&[]).spawn().unwrap();
    let pid = first.id();
    let lock = project.layout.target().join("lock");
    wait_until("the first run's lock", || {
        let holder = fs::read_to_string(&lock).unwrap_or_default();
        holder.contains(&format!("\"pid\":{pid},")) && holder.ends_with('}')
    });
    let pid = format!("pid {pid}");
    let impatient = project.setup(&["--wait", "0"]);
    impatient.failed(
        5,
        &[
            "another run holds this checkout",
            &pid,
            "xtask setup-mlx",
            " s",
        ],
    );
    let second = project.setup(&[]);
    let first = Ran::from(first.wait_with_output().unwrap());
    let (one, two) = (first.succeeded(), second.succeeded());
    assert!(second.err.contains("waiting for another run") && second.err.contains(&pid));
    assert_eq!(fork_id(&one), fork_id(&two));
    assert_eq!(done(&two), NONE);
    project.assert_clean(&fork_id(&one));
}

#[test]
fn a_limit_on_the_size_of_files_is_explained_and_the_next_run_converges() {
    let project = Project::built();
    let (id, expected) = (project.git(&["rev-parse", "fork"]), project.made());
    wipe(&project);
    // In blocks of 512 bytes: from a git object to the library, something is too large.
    for blocks in [0, 1, 24] {
        let script = "trap '' XFSZ; ulimit -f \"$1\" && shift && exec \"$@\"";
        let mut command = Command::new("sh");
        project.ready(&mut command);
        command.args(["-c", script, "sh", &blocks.to_string()]);
        command
            .arg(crate::machine::xtask())
            .args(project.arguments());
        let ran = Ran::of(command.env("CCACHE_DISABLE", "1"));
        ran.failed(5, &["File too large", "raise `ulimit -f`"]);
    }
    converges(&project, &id, &expected, "after the limits");
}

/// A small file system; `None` where this user may not mount one.
struct Disk(PathBuf);

impl Disk {
    fn at(path: &Path, size: &str) -> Option<Self> {
        fs::create_dir_all(path).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]);
        let output = mount.arg(path).output().ok()?;
        output.status.success().then(|| Disk(path.to_path_buf()))
    }

    fn remount(&self, options: &str) {
        let options = format!("remount,{options}");
        let mut mount = Command::new("mount");
        let status = mount.args(["-o", &options]).arg(&self.0).status();
        assert!(status.unwrap().success());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Where a disk can't be mounted, the test above and this one's second part stand for it.
#[test]
fn a_full_or_read_only_folder_is_explained_and_the_next_run_converges() {
    let project = Project::built();
    let (id, expected) = (project.git(&["rev-parse", "fork"]), project.made());
    let target = project.layout.target().to_path_buf();
    wipe(&project);
    let local = project.layout.mlx_local();
    if let Some(disk) = Disk::at(&local, "32k") {
        project.setup(&[]).failed(5, &["free some disk space"]);
        disk.remount("ro,size=1m");
        project.setup(&[]).failed(5, &["make the folder writable"]);
        disk.remount("rw,size=64m");
        converges(&project, &id, &expected, "after a full disk for mlx_local");
        drop(disk);
        wipe(&project);
    }
    if let Some(disk) = Disk::at(&target, "80k") {
        for size in ["80k", "300k", "700k"] {
            disk.remount(&format!("rw,size={size}"));
            project
                .setup(&[])
                .failed(5, &["the disk is full", "free some disk space"]);
            disk.remount(&format!("ro,size={size}"));
            project.setup(&[]).failed(5, &["make the folder writable"]);
        }
        disk.remount("rw,size=64m");
        converges(&project, &id, &expected, "after a full disk");
        drop(disk);
        wipe(&project);
    }
    // No folder can be made where a file is, whoever asks.
    for (folder, code) in [(target.as_path(), 5), (&local, 3)] {
        fs::create_dir_all(folder.parent().unwrap()).unwrap();
        fs::write(folder, "in the way\n").unwrap();
        project.setup(&[]).failed(code, &[folder.to_str().unwrap()]);
        assert_eq!(fs::read_to_string(folder).unwrap(), "in the way\n");
        fs::remove_file(folder).unwrap();
    }
    converges(&project, &id, &expected, "after files in the way");
}
