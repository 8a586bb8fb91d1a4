//! The store through its public surface.
#![allow(clippy::unwrap_used, reason = "in a test an unwrap is an assertion")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use pipe_store::{Digest, Store};
use proptest::prelude::*;

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        if entry.path().is_dir() { found.extend(files(&entry.path())) } else { found.push(entry.path()) }
    }
    found
}

fn key(name: u16) -> Digest {
    Digest::of(format!("recipe {name}").as_bytes())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is written by any number of writers is found by a store opened anew, and nothing else.
    #[test]
    fn items_are_what_was_put(writers in prop::collection::vec(prop::collection::btree_map(any::<u16>(), prop::collection::vec(any::<u8>(), 0..40), 0..20), 0..14)) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let mut expected: BTreeMap<u16, Vec<u8>> = BTreeMap::new();
        for items in writers {
            let mut writer = store.item_writer();
            for (name, bytes) in items {
                // A recipe gives one item, always the same.
                let bytes = expected.entry(name).or_insert(bytes).clone();
                prop_assert_eq!(writer.put(key(name), &bytes).unwrap(), Digest::of(&bytes));
            }
            writer.finish().unwrap();
        }
        for store in [&store, &Store::open(folder.path()).unwrap()] {
            let keys: Vec<Digest> = (0..2000).chain(expected.keys().copied()).map(key).collect();
            let names: Vec<u16> = (0..2000).chain(expected.keys().copied()).collect();
            for (name, entry) in names.into_iter().zip(store.find_items(&keys)) {
                let found = entry.and_then(|entry| store.item(&entry));
                prop_assert_eq!(found.as_ref(), expected.get(&name));
            }
        }
        prop_assert!(files(&folder.path().join("v1/index")).len() <= 9, "index files are merged");
        prop_assert!(files(&folder.path().join("v1/tmp")).is_empty());
    }
}

#[test]
fn a_flipped_bit_anywhere_is_a_miss() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let blob = store.put(b"a blob of some bytes").unwrap();
    store.put_document("nodes", "one", &vec![1, 2, 3]).unwrap();
    let mut writer = store.item_writer();
    for name in 0..5 {
        writer.put(key(name), format!("item {name}").as_bytes()).unwrap();
    }
    writer.finish().unwrap();
    let mut flips = 0;
    for path in files(&folder.path().join("v1")) {
        let whole = fs::read(&path).unwrap();
        for bit in (0..whole.len() * 8).step_by(7) {
            // Each on a copy of its own, since damage that is found is repaired.
            let trial = tempfile::tempdir().unwrap();
            for path in files(folder.path()) {
                let to = trial.path().join(path.strip_prefix(folder.path()).unwrap());
                fs::create_dir_all(to.parent().unwrap()).unwrap();
                fs::copy(path, to).unwrap();
            }
            let damaged = trial.path().join(path.strip_prefix(folder.path()).unwrap());
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            fs::remove_file(&damaged).unwrap();
            fs::write(&damaged, bytes).unwrap();
            let store = Store::open(trial.path()).unwrap();
            assert!(store.get(blob).is_none_or(|bytes| bytes == b"a blob of some bytes"));
            assert!(store.document::<Vec<u8>>("nodes", "one").is_none_or(|list| list == [1, 2, 3]));
            for (name, entry) in (0..5).zip(store.find_items(&(0..5).map(key).collect::<Vec<_>>())) {
                let item = entry.and_then(|entry| store.item(&entry));
                assert!(item.is_none_or(|bytes| bytes == format!("item {name}").as_bytes()));
            }
            flips += 1;
        }
    }
    assert!(flips > 1000, "{flips} flips");
}

#[test]
fn a_damaged_blob_is_mended_by_putting_it_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let digest = store.put(b"bytes").unwrap();
    let path = files(&folder.path().join("v1/blobs")).remove(0);
    fs::remove_file(&path).unwrap();
    fs::write(path, b"bytez").unwrap();
    assert_eq!(store.get(digest), None);
    assert_eq!(store.put(b"bytes").unwrap(), digest);
    assert_eq!(store.get(digest).unwrap(), b"bytes");
}

#[test]
fn a_pack_whose_writer_died_is_taken_over_up_to_its_last_whole_item() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let mut writer = store.item_writer();
    for name in 0..20 {
        writer.put(key(name), format!("item {name}").as_bytes()).unwrap();
    }
    // Not finished: as a kill leaves it, but for the last item, of which half is there.
    drop(writer);
    let open = files(&folder.path().join("v1/tmp")).remove(0);
    let length = open.metadata().unwrap().len();
    fs::File::options().write(true).open(&open).unwrap().set_len(length - 3).unwrap();
    let store = Store::open(folder.path()).unwrap();
    let found = store.find_items(&(0..20).map(key).collect::<Vec<_>>());
    let read: Vec<_> = found.iter().map(|entry| entry.and_then(|entry| store.item(&entry))).collect();
    for (name, bytes) in read.iter().enumerate().take(19) {
        assert_eq!(bytes.as_deref(), Some(format!("item {name}").as_bytes()));
    }
    assert_eq!(read[19], None);
    assert!(files(&folder.path().join("v1/tmp")).is_empty());
    assert!(store.verify(2, false).unwrap().damage.is_empty());
}

#[test]
fn a_pack_that_is_being_written_is_left_to_its_writer() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let mut writer = store.item_writer();
    writer.put(key(1), b"one").unwrap();
    let other = Store::open(folder.path()).unwrap();
    assert_eq!(other.find_items(&[key(1)]), [None]);
    writer.put(key(2), b"two").unwrap();
    writer.finish().unwrap();
    other.refresh_items();
    assert!(other.find_items(&[key(1), key(2)]).iter().all(Option::is_some));
}

#[test]
fn a_key_is_locked_for_one_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let inside = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..5 {
                    let lock = store.lock_key(key(7), || true).unwrap();
                    assert_eq!(inside.fetch_add(1, std::sync::atomic::Ordering::SeqCst), 0);
                    std::thread::sleep(std::time::Duration::from_millis(2));
                    inside.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                    drop(lock);
                }
            });
        }
    });
    let _held = store.lock_key(key(7), || true).unwrap();
    assert!(store.lock_key(key(7), || false).unwrap().is_none(), "who does not want to wait gets nothing");
    assert!(store.lock_key(key(8), || false).unwrap().is_some(), "another key is free");
    let _used = store.lock_use().unwrap();
    assert!(store.lock_alone(|| false).unwrap().is_none());
}

#[test]
fn one_damaged_item_does_not_take_those_beside_it_along() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let mut writer = store.item_writer();
    for name in 0..50 {
        writer.put(key(name), format!("item {name}").as_bytes()).unwrap();
    }
    writer.finish().unwrap();
    let pack = files(&folder.path().join("v1/packs")).remove(0);
    let mut bytes = fs::read(&pack).unwrap();
    let content = bytes.windows(7).position(|window| window == b"item 25").unwrap();
    bytes[content] ^= 1;
    fs::write(&pack, bytes).unwrap();
    let keys: Vec<Digest> = (0..50).map(key).collect();
    let lost = |store: &Store| {
        let found = store.find_items(&keys);
        found.iter().filter(|entry| entry.and_then(|entry| store.item(&entry)).is_none()).count()
    };
    lost(&store);
    assert_eq!(lost(&store), 1);
    assert_eq!(lost(&Store::open(folder.path()).unwrap()), 1);
}
