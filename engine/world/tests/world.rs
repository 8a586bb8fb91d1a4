//! What the world is said to hold is what it holds, whatever is done to it.
#![allow(clippy::unwrap_used, reason = "in a test an unwrap is an assertion")]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime};

use pipe_store::Digest;
use pipe_world::{Absent, Identity, Trace, World};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

/// How long a file must be left alone before its times are trusted.
const SETTLED: Duration = Duration::from_millis(2100);
const FILES: usize = 5;

/// Something that is done to a file.
#[derive(Debug, Clone)]
enum Deed {
    /// Other bytes of the same length; with the old time where `true`.
    Replace(usize, u8, bool),
    /// Another file of the same length renamed over it, with the old time.
    RenameOver(usize, u8),
    /// Longer.
    Append(usize),
    Remove(usize),
    /// The same bytes again.
    Touch(usize),
    /// A time in the future.
    Future(usize),
    /// A file in the folder that is searched first.
    Shadow(usize, u8),
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let file = 0..FILES;
    let deed = prop_oneof![
        (file.clone(), any::<u8>(), any::<bool>()).prop_map(|(file, byte, keep)| Deed::Replace(file, byte, keep)),
        (file.clone(), any::<u8>()).prop_map(|(file, byte)| Deed::RenameOver(file, byte)),
        file.clone().prop_map(Deed::Append),
        file.clone().prop_map(Deed::Remove),
        file.clone().prop_map(Deed::Touch),
        file.clone().prop_map(Deed::Future),
        (file, any::<u8>()).prop_map(|(file, byte)| Deed::Shadow(file, byte)),
    ];
    prop::collection::vec(deed, 0..4)
}

fn places(folder: &Path, file: usize) -> [PathBuf; 2] {
    ["first", "second"].map(|place| folder.join(place).join(format!("{file}.bin")))
}

fn act(folder: &Path, deed: &Deed) {
    let [first, second] = [0, 1].map(|place| move |file: usize| places(folder, file)[place].clone());
    let set_time = |path: &Path, time: SystemTime| {
        File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
    };
    let time = |path: &Path| path.metadata().and_then(|file| file.modified()).unwrap_or(SystemTime::now());
    match *deed {
        Deed::Replace(file, byte, keep) => {
            let (path, before) = (second(file), time(&second(file)));
            let length = fs::read(&path).map_or(8, |bytes| bytes.len());
            fs::write(&path, vec![byte; length]).unwrap();
            if keep {
                set_time(&path, before);
            }
        }
        Deed::RenameOver(file, byte) => {
            let (path, before) = (second(file), time(&second(file)));
            let length = fs::read(&path).map_or(8, |bytes| bytes.len());
            let other = folder.join("other");
            fs::write(&other, vec![byte; length]).unwrap();
            set_time(&other, before);
            fs::rename(other, path).unwrap();
        }
        Deed::Append(file) => {
            let mut bytes = fs::read(second(file)).unwrap_or_default();
            bytes.push(1);
            fs::write(second(file), bytes).unwrap();
        }
        Deed::Remove(file) => drop(fs::remove_file(second(file))),
        Deed::Touch(file) => {
            if let Ok(bytes) = fs::read(second(file)) {
                fs::write(second(file), bytes).unwrap();
            }
        }
        Deed::Future(file) => {
            if second(file).exists() {
                set_time(&second(file), SystemTime::now() + Duration::from_secs(1000));
            }
        }
        Deed::Shadow(file, byte) => fs::write(first(file), [byte; 3]).unwrap(),
    }
}

fn look(folder: &Path, earlier: Option<&Trace>) -> (Vec<Result<Digest, Absent>>, Trace) {
    let world = World::new(earlier.cloned(), 2);
    let digests = world.find(FILES, Identity::Content, |file| places(folder, file));
    (digests, world.into_trace(Digest::of(b"result")))
}

/// Without a memory.
fn truth(folder: &Path) -> Vec<Result<Digest, Absent>> {
    let one = |file| {
        let found = places(folder, file).into_iter().find_map(|path| fs::read(path).ok());
        found.map(|bytes| Digest::of(&bytes)).ok_or(Absent::Nowhere)
    };
    (0..FILES).map(one).collect()
}

#[test]
fn no_change_goes_unnoticed() {
    let mut runner = TestRunner::deterministic();
    let cases: Vec<(tempfile::TempDir, Vec<Deed>)> = (0..400)
        .map(|_| {
            let folder = tempfile::tempdir().unwrap();
            fs::create_dir(folder.path().join("first")).unwrap();
            fs::create_dir(folder.path().join("second")).unwrap();
            (0..FILES).for_each(|file| fs::write(&places(folder.path(), file)[1], vec![file as u8; 8]).unwrap());
            (folder, deeds().new_tree(&mut runner).unwrap().current())
        })
        .collect();
    // One wait for all, so that their times are trusted.
    thread::sleep(SETTLED);
    let mut held = 0;
    let traces: Vec<Trace> = cases.iter().map(|(folder, _)| look(folder.path(), None).1).collect();
    for ((folder, deeds), trace) in cases.iter().zip(traces) {
        let folder = folder.path();
        let trace = Trace::decode(&trace.encode()).unwrap();
        assert!(trace.holds(2), "nothing has changed yet");
        let before = truth(folder);
        for deed in deeds {
            act(folder, deed);
        }
        if trace.holds(2) {
            assert_eq!(truth(folder), before, "{deeds:?}");
            held += 1;
        }
        let (digests, again) = look(folder, Some(&trace));
        assert_eq!(digests, truth(folder), "{deeds:?}");
        assert!(Trace::decode(&again.encode()).is_some());
    }
    assert!(held > 20, "some cases change nothing: {held}");
}

#[test]
fn what_is_young_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, "one").unwrap();
    let world = World::new(None, 1);
    world.digest(&path).unwrap();
    assert!(!world.into_trace(Digest::of(&[])).holds(1));
}

#[test]
fn a_tree_is_its_names_and_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let tree = |name: &str| World::new(None, 2).tree(&folder.path().join(name)).unwrap();
    for (name, file, text) in
        [("a", "x/1", "one"), ("b", "x/1", "one"), ("c", "x/1", "two"), ("d", "x/2", "one"), ("e", "x1", "one")]
    {
        let path = folder.path().join(name).join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    assert_eq!(tree("a"), tree("b"));
    let others = ["a", "c", "d", "e"].map(tree);
    assert!((0..4).all(|one| (0..one).all(|other| others[one] != others[other])));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// A trace that was cut or overwritten is none, or another: never a panic.
    #[test]
    fn any_bytes_may_be_a_trace(bytes in prop::collection::vec(any::<u8>(), 0..400), cut in any::<prop::sample::Index>()) {
        let _ = Trace::decode(&bytes);
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a"), "a").unwrap();
        fs::write(folder.path().join("ab"), "b").unwrap();
        let world = World::new(None, 1);
        world.tree(folder.path()).unwrap();
        let mut whole = world.into_trace(Digest::of(b"x")).encode();
        let at = cut.index(whole.len());
        for (byte, other) in whole[at..].iter_mut().zip(&bytes) {
            *byte = *other;
        }
        let _ = Trace::decode(&whole);
        whole.truncate(at);
        prop_assert!(Trace::decode(&whole).is_none() || at >= 52);
    }
}
