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
            let mut damaged = whole.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            fs::write(&path, damaged).unwrap();
            let store = Store::open(folder.path()).unwrap();
            assert!(store.get(blob).is_none_or(|bytes| bytes == b"a blob of some bytes"));
            assert!(store.document::<Vec<u8>>("nodes", "one").is_none_or(|list| list == [1, 2, 3]));
            for (name, entry) in (0..5).zip(store.find_items(&(0..5).map(key).collect::<Vec<_>>())) {
                let item = entry.and_then(|entry| store.item(&entry));
                assert!(item.is_none_or(|bytes| bytes == format!("item {name}").as_bytes()));
            }
            flips += 1;
        }
        fs::write(&path, whole).unwrap();
    }
    assert!(flips > 1000, "{flips} flips");
}

#[test]
fn a_damaged_blob_is_mended_by_putting_it_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let digest = store.put(b"bytes").unwrap();
    let path = files(&folder.path().join("v1/blobs")).remove(0);
    fs::write(path, b"bytez").unwrap();
    assert_eq!(store.get(digest), None);
    assert_eq!(store.put(b"bytes").unwrap(), digest);
    assert_eq!(store.get(digest).unwrap(), b"bytes");
}
