//! Every bit of a store may flip: what is read is right, or it is not there.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use pipe_core::{Context, Device, Interrupt, Options, last};
use pipe_lang::Given;
use pipe_store::{Digest, Store};

const PIPELINE: &str = "
nodes:
  photos: { kind: dataset.synthetic, with: { count: 12, size: 16 } }
  split: { kind: split.hash, from: photos, with: { by: content, test: 0..=80, validation: 81..=160 } }
  images: { kind: preprocess.image, from: split, with: { size: 32 }, keep: true }
  features: { kind: features.backbone, from: images, with: { model: squeezenet1_1, weights: random } }
  head: { kind: train.head, from: features, with: { epochs: 1, batch_size: 4 } }
  eval: { kind: eval.classifier, from: { model: head, data: features } }
";
const FLIPS: usize = 2000;

/// Runs the pipeline on a store and gives the digest of every output, each read and checked.
fn outputs(store: &Path) -> Result<Vec<(String, Digest)>, String> {
    let kinds = pipe_stdlib::kinds().unwrap();
    let given = Given::default();
    let pipeline = pipe_lang::check("pipe.yaml", PIPELINE, Path::new("."), &given, kinds.language()).unwrap();
    let store = Store::open(store).map_err(|error| error.to_string())?;
    let last = last(&store, "pipe.yaml");
    let context = Context {
        pipeline: &pipeline,
        kinds: &kinds,
        store: &store,
        file: "pipe.yaml",
        last: last.as_ref(),
        threads: 1,
        rehash: false,
    };
    let options = Options {
        targets: Vec::new(),
        device: Device::Cpu,
        keep_going: false,
        interrupt: Interrupt::default(),
        given: given.clone(),
    };
    let outcome = pipe_core::run(context, &options, |_| {}).map_err(|problems| problems.to_string())?;
    if !outcome.ok {
        return Err(outcome.failures.iter().map(|(_, failure)| failure.message().to_owned()).collect());
    }
    let nodes = pipe_core::last(&store, "pipe.yaml").ok_or("no record of the run")?.nodes;
    let outputs = nodes.into_values().flat_map(|node| node.result.outputs);
    // A damaged artifact that nothing read is not served either.
    Ok(outputs.filter(|(_, digest)| context.artifact(*digest).is_some()).collect())
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        if entry.path().is_dir() { found.extend(files(&entry.path())) } else { found.push(entry.path()) }
    }
    found.sort();
    found
}

fn copy(from: &Path, to: &Path) {
    for path in files(from) {
        let to = to.join(path.strip_prefix(from).unwrap());
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(path, to).unwrap();
    }
}

#[test]
fn a_flipped_bit_anywhere_is_a_miss_or_an_error() {
    let whole = tempfile::tempdir().unwrap();
    let expected = outputs(whole.path()).unwrap();
    assert_eq!(expected.len(), 8);
    let files = files(whole.path());
    let bits: Vec<u64> = files.iter().map(|path| path.metadata().unwrap().len() * 8).collect();
    let total: u64 = bits.iter().sum();
    let (next, errors) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let flip = next.fetch_add(1, Ordering::SeqCst);
                    if flip >= FLIPS {
                        return;
                    }
                    // Evenly over all bits of all files, never twice at the same place in a byte.
                    let mut bit = (total / FLIPS as u64) * flip as u64 + flip as u64 % 8;
                    let at = bits.iter().position(|&size| {
                        let inside = bit < size;
                        bit -= if inside { 0 } else { size };
                        inside
                    });
                    let path = &files[at.unwrap()];
                    let trial = tempfile::tempdir().unwrap();
                    copy(whole.path(), trial.path());
                    let damaged = trial.path().join(path.strip_prefix(whole.path()).unwrap());
                    let mut bytes = fs::read(&damaged).unwrap();
                    bytes[(bit / 8) as usize] ^= 1 << (bit % 8);
                    fs::remove_file(&damaged).unwrap();
                    fs::write(&damaged, bytes).unwrap();
                    match outputs(trial.path()) {
                        Ok(found) => {
                            assert!(found.iter().all(|output| expected.contains(output)), "{path:?} bit {bit}");
                        }
                        Err(_) => drop(errors.fetch_add(1, Ordering::SeqCst)),
                    }
                }
            });
        }
    });
    eprintln!("{FLIPS} flips, {} of them told as errors", errors.into_inner());
}
