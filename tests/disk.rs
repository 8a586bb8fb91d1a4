//! Disks that are full, may only be read, or are gone; and what a store takes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::photos::project;
use crate::common::{Project, Ran};

#[test]
fn a_full_disk_is_told_and_the_store_stays_usable() {
    let expected = project(16).finished(&[]);
    for point in (1..60).step_by(7) {
        let project = project(16);
        let mut command = project.command(&["run"]);
        let ran = Ran::from(command.env("PIPE_FAULT", format!("full:any:{point}")).output().unwrap());
        if ran.code == 0 {
            // Only the record of the run did not fit.
            assert!(ran.stderr.contains("the run is not recorded") || !ran.stderr.contains("error"), "{}", ran.stderr);
        } else {
            assert_eq!(ran.code, 1, "{}", ran.stderr);
            assert!(ran.stderr.contains("no storage space") && ran.stderr.contains("pipe gc"), "{}", ran.stderr);
        }
        assert_eq!(project.ok(&["store", "verify"]).code, 0);
        let event = project.finished(&[]);
        assert_eq!(event["nodes"]["eval"]["digest"], expected["nodes"]["eval"]["digest"]);
    }
}

/// A file system of its own, gone when dropped.
struct Mount(PathBuf);

impl Mount {
    /// `None` where nobody may mount.
    fn new(words: &[&str], at: &Path) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let mounted = Command::new("mount").args(words).arg(at).output().is_ok_and(|ran| ran.status.success());
        if !mounted {
            eprintln!("SKIPPED: this test needs the right to mount");
        }
        mounted.then(|| Self(at.to_owned()))
    }

    fn again(&self, options: &str) {
        let status = Command::new("mount").args(["-o", options]).arg(&self.0).status().unwrap();
        assert!(status.success());
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_small_file_system_fills_up_and_is_enlarged() {
    let project = project(40);
    let Some(small) = Mount::new(&["-t", "tmpfs", "-o", "size=64k", "none"], &project.path("disk")) else { return };
    let run = || Ran::from(project.command(&["run"]).env("PIPE_STORE", project.path("disk/store")).output().unwrap());
    let full = run();
    assert_eq!(full.code, 1, "{}", full.stderr);
    assert!(full.stderr.to_lowercase().contains("no space left"), "{}", full.stderr);
    small.again("remount,size=64m");
    let ran = run();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
}

#[test]
fn a_store_that_may_only_be_read_serves_what_it_has() {
    let project = project(16);
    project.ok(&["run"]);
    let store = project.path(".pipe");
    let Some(mount) = Mount::new(&["--bind", store.to_str().unwrap()], &store) else { return };
    mount.again("remount,bind,ro");
    let again = project.ok(&["run"]);
    assert!(again.stderr.contains("everything was reused"), "{}", again.stderr);
    assert!(again.stderr.contains("the run is not recorded"), "{}", again.stderr);
    project.ok(&["plan"]);
    project.ok(&["show", "eval"]);
    project.ok(&["status"]);
    let changed = project.pipe(&["run", "--set", "epochs=7"]);
    assert_eq!(changed.code, 1);
    assert!(changed.stderr.contains("the store cannot") && changed.stderr.contains("PIPE_STORE"), "{}", changed.stderr);
}

#[test]
fn a_place_where_no_store_can_be_is_told() {
    let project = project(16);
    project.write("file", "");
    let ran = Ran::from(project.command(&["run"]).env("PIPE_STORE", project.path("file/store")).output().unwrap());
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("cannot make the folder") && ran.stderr.contains("PIPE_STORE"), "{}", ran.stderr);
}

#[test]
fn a_store_with_spaces_and_letters_of_any_alphabet_works() {
    let project = project(16);
    let store = project.path("mein Lager/données/保管庫");
    for ran in [6, 0] {
        let mut command = project.command(&["run", "--format", "json"]);
        let out = Ran::from(command.env("PIPE_STORE", &store).output().unwrap());
        assert!(out.stdout.contains(&format!("\"ran\":{ran},")), "{}{}", out.stdout, out.stderr);
    }
}

#[test]
fn a_store_that_vanishes_is_an_error_and_no_panic() {
    let project = Project::with(
        "
nodes:
  photos: { kind: dataset.synthetic, with: { count: 4, size: 16 } }
  gone: { kind: shell, from: photos, with: { command: 'rm -rf .pipe' } }
  after: { kind: split.hash, from: photos, with: { by: content } }
",
    );
    let ran = project.pipe(&["run", "gone"]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(!ran.stderr.contains("panicked") && !ran.stderr.contains("internal error"), "{}", ran.stderr);
    project.ok(&["run", "after"]);
}

#[test]
fn a_newer_store_is_refused_and_left_alone() {
    let project = project(16);
    project.write(".pipe/v2/format", "of the future");
    let ran = project.pipe(&["run"]);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("written by a newer pipe (format 2"), "{}", ran.stderr);
    assert_eq!(project.files(".pipe").len(), 1);
}

#[test]
fn a_run_with_nothing_to_do_adds_one_record() {
    let project = project(16);
    project.ok(&["run"]);
    project.ok(&["run"]);
    let before = project.files(".pipe");
    project.ok(&["run"]);
    let after = project.files(".pipe");
    let new: Vec<_> = after.keys().filter(|path| !before.contains_key(*path)).collect();
    assert_eq!(new.len(), 1, "{new:?}");
    assert!(new[0].starts_with(".pipe/v1/documents/runs") && after[new[0]].len() < 2000);
    let changed: Vec<_> =
        before.keys().filter(|path| after.get(*path).map(Vec::len) != Some(before[*path].len())).collect();
    assert!(changed.is_empty(), "{changed:?}");
}
