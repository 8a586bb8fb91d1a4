//! Runs a chain of maps item by item, with bounded memory.
//!
//! Every item goes through all stages before it is stored, so nothing between is written. Stages
//! that take one item at a time run on every thread side by side; from the first stage that takes
//! a batch on, one thread gathers batches. An item that is stored behind one of the stages starts
//! there.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

use pipe_store::{Digest, ItemEntry};

use crate::graph::packs_of;
use crate::job::NoBytes;
use crate::kind::ErasedMap;
use crate::manifest::item_key;
use crate::{
    Collection, Failure, ItemError, ItemFailure, Job, Looks, Meta, OnError, Pace, Records, Skipped, Stage, Worker,
};

/// One map of a chain.
pub(crate) struct Link<'a> {
    pub(crate) map: Arc<dyn ErasedMap>,
    pub(crate) recipe: Digest,
    /// The folder of the file that its node is written in.
    pub(crate) folder: &'a Path,
}

/// What a chain gave.
pub(crate) struct Streamed {
    pub(crate) collection: Collection,
    /// The packs that the items lie in, with their sizes.
    pub(crate) packs: BTreeMap<Digest, u64>,
    /// Rows whose item was in the store.
    pub(crate) reused: usize,
    /// For each stage, how many items it computed.
    pub(crate) computed: Vec<usize>,
    /// Whether another try may compute items that were left out.
    pub(crate) unsettled: bool,
}

/// An item on its way.
struct Moving {
    /// Its place in the list of what is missing.
    at: usize,
    /// The stage that it started at.
    first: usize,
    /// Its bytes, or what broke it.
    item: Result<Vec<u8>, Broken>,
}

/// Why an item could not be computed, and by which stage.
#[derive(Clone)]
struct Broken {
    stage: usize,
    reason: String,
    /// Whether its bytes were in the store and are lost.
    lost: bool,
    /// Whether another try may go well.
    passing: bool,
}

impl Broken {
    fn new(stage: usize, error: ItemError) -> Self {
        Self { stage, reason: error.reason, lost: false, passing: error.passing }
    }
}

/// A chain's failure, and which of its stages it belongs to.
pub(crate) type StageFailure = (usize, Failure);

/// Gives every row of `records` its item.
pub(crate) fn stream(links: &[Link<'_>], records: &Records, job: &Job<'_>) -> Result<Streamed, StageFailure> {
    let end = links.len().saturating_sub(1);
    let at_end = |failure: Failure| (end, failure);
    let keys = item_keys(links, records).map_err(|failure| (0, failure))?;
    let last = keys.last().ok_or_else(|| at_end(Failure::new("pipe::internal", "a chain without stages")))?;
    let mut found: HashMap<Digest, Digest> = HashMap::new();
    let mut packs: BTreeSet<Digest> = BTreeSet::new();
    for (&key, entry) in last.iter().zip(job.store.find_items(last)) {
        if let Some(entry) = entry {
            found.insert(key, entry.content);
            packs.insert(entry.pack);
        }
    }
    let reused = last.iter().filter(|key| found.contains_key(key)).count();
    // Rows with equal bytes share one item.
    let mut missing: Vec<usize> = Vec::new();
    let mut listed = HashSet::new();
    for (row, key) in last.iter().enumerate() {
        if !found.contains_key(key) && listed.insert(*key) {
            missing.push(row);
        }
    }
    job.progress(reused, records.rows.len(), reused);
    let mut broken: HashMap<Digest, Broken> = HashMap::new();
    let mut computed = vec![0; links.len()];
    let (stages, meta) = open(links, job, !missing.is_empty())?;
    if !missing.is_empty() {
        let starts = starts(&keys, &missing, records, job);
        let mut writer = job.store.item_writer();
        let mut written = Ok(());
        thread::scope(|scope| {
            let results = spawn(scope, &stages, &starts, job);
            let mut done = reused;
            let mut looks = Looks::default();
            for Moving { at, first, item } in results {
                let key = last[missing[at]];
                let through = item.as_ref().map_or_else(|broken| broken.stage.max(first), |_| links.len());
                computed[first..through].iter_mut().for_each(|count| *count += 1);
                match item {
                    Ok(bytes) => match writer.put(key, &bytes) {
                        Ok(content) => drop(found.insert(key, content)),
                        Err(error) => {
                            // The threads stop when nobody takes what they send.
                            written = Err(error);
                            break;
                        }
                    },
                    Err(reason) => drop(broken.insert(key, reason)),
                }
                done += 1;
                job.progress(done, records.rows.len(), reused);
                if looks.is_due() {
                    stages.iter().filter_map(|stage| stage.load()).for_each(|load| job.load(load));
                }
            }
        });
        let finished = writer.finish();
        let logs: Vec<u8> = stages.iter().filter_map(|stage| stage.log()).flatten().collect();
        if !logs.is_empty() {
            job.keep_log(&logs).map_err(at_end)?;
        }
        written.and(finished).map_err(|error| at_end(error.into()))?;
        job.checkpoint().map_err(at_end)?;
    }
    let unsettled = broken.values().any(|broken| broken.passing);
    let collection = collect(links, records, last, &found, &broken, meta)?;
    // Rows that share an item with another count as reused.
    let reused = collection.items.len().saturating_sub(computed.last().copied().unwrap_or_default());
    let packs = if missing.is_empty() {
        packs.into_iter().map(|pack| (pack, job.store.pack_length(pack))).collect()
    } else {
        // What was written a moment ago is found by its content like the rest.
        packs_of(job.store, &collection.items).ok_or_else(|| at_end(Failure::lost("some items")))?
    };
    Ok(Streamed { collection, packs, reused, computed, unsettled })
}

/// The stages, where something is to be computed, and how the items behind the last are made.
///
/// A stage is opened before it tells of its items: it may find out that it cannot work before it
/// fetches what it tells of.
fn open(links: &[Link<'_>], job: &Job<'_>, is_needed: bool) -> Result<(Vec<Box<dyn Stage>>, Meta), StageFailure> {
    let (mut stages, mut meta) = (Vec::new(), Meta::default());
    for (at, link) in links.iter().enumerate() {
        let job = Job { folder: link.folder, ..job.clone() };
        if is_needed {
            stages.push(link.map.open(&meta, &job).map_err(|failure| (at, failure))?);
        }
        meta = link.map.meta(&meta, &job).map_err(|failure| (at, failure))?;
    }
    Ok((stages, meta))
}

/// The keys of every row's item after each stage.
fn item_keys(links: &[Link<'_>], records: &Records) -> Result<Vec<Vec<Digest>>, Failure> {
    let contents: Option<Vec<Digest>> = records.rows.iter().map(|row| row.content).collect();
    let mut inputs = contents.ok_or_else(|| {
        Failure::new("pipe::data", "the records have labels but no files").help("give the dataset node its `objects`")
    })?;
    let mut keys = Vec::new();
    for link in links {
        inputs = inputs.into_iter().map(|input| item_key(link.recipe, input)).collect();
        keys.push(inputs.clone());
    }
    Ok(keys)
}

/// Where the way of a missing item starts: at the bytes of its record, or behind the last stage
/// whose item is in the store.
struct Start {
    content: Digest,
    stored: Option<(usize, ItemEntry)>,
}

fn starts(keys: &[Vec<Digest>], missing: &[usize], records: &Records, job: &Job<'_>) -> Vec<Start> {
    let between: Vec<Vec<Option<ItemEntry>>> = keys[..keys.len() - 1]
        .iter()
        .map(|keys| job.store.find_items(&missing.iter().map(|&row| keys[row]).collect::<Vec<_>>()))
        .collect();
    let start = |(at, &row): (usize, &usize)| Start {
        content: records.rows[row].content.unwrap_or_else(|| Digest::of(&[])),
        stored: between.iter().enumerate().rev().find_map(|(stage, entries)| Some((stage, entries[at]?))),
    };
    missing.iter().enumerate().map(start).collect()
}

/// Starts the threads; what comes out of the receiver is finished.
fn spawn<'scope, 'env>(
    scope: &'scope thread::Scope<'scope, 'env>,
    stages: &'env [Box<dyn Stage>],
    starts: &'env [Start],
    job: &'env Job<'_>,
) -> Receiver<Moving> {
    let batched = stages.iter().position(|stage| stage.pace() != Pace::EveryCore).unwrap_or(stages.len());
    let threads = job.threads.clamp(1, starts.len().max(1));
    // Threads that wait for each other want a core each.
    let cores = (job.threads.min(thread::available_parallelism().map_or(1, usize::from)) / threads).max(1);
    // Room for the next batch, so that nobody waits while one is computed.
    let (size, workers) = pace(&stages[batched..]);
    let (send, receive) = sync_channel(2 * size.max(threads));
    let next: Arc<AtomicUsize> = Arc::default();
    for _ in 0..threads {
        let (send, next) = (send.clone(), next.clone());
        scope.spawn(move || one_by_one(&stages[..batched], cores, starts, &next, &send, job));
    }
    drop(send);
    if batched == stages.len() {
        return receive;
    }
    let (send, finished) = sync_channel(2 * size.max(threads));
    let receive = Arc::new(Mutex::new(receive));
    for _ in 0..workers {
        let (send, receive) = (send.clone(), receive.clone());
        scope.spawn(move || in_batches(&stages[batched..], batched, size, &receive, &send, job));
    }
    finished
}

/// The size of the batches that stages take together, and how many workers may take one.
fn pace(stages: &[Box<dyn Stage>]) -> (usize, usize) {
    let paces = stages.iter().filter_map(|stage| match stage.pace() {
        Pace::EveryCore => None,
        Pace::Batches { size, workers } => Some((size, workers)),
    });
    let (sizes, workers): (Vec<usize>, Vec<usize>) = paces.unzip();
    (sizes.into_iter().max().unwrap_or(1).max(1), workers.into_iter().min().unwrap_or(1).max(1))
}

fn one_by_one(
    stages: &[Box<dyn Stage>],
    cores: usize,
    starts: &[Start],
    next: &AtomicUsize,
    send: &SyncSender<Moving>,
    job: &Job<'_>,
) {
    let mut workers: Vec<_> = stages.iter().map(|stage| stage.worker(cores)).collect();
    loop {
        let at = next.fetch_add(1, Ordering::Relaxed);
        let Some(start) = starts.get(at) else { return };
        if job.interrupt.is_set() {
            return;
        }
        let broken = |stage| move |error| Broken::new(stage, error);
        // What was stored on the way and is damaged is made again.
        let stored = start.stored.as_ref().and_then(|(stage, entry)| Some((stage + 1, job.store.item(entry)?)));
        let (first, mut item) = match stored {
            Some((first, bytes)) => (first, Ok(bytes)),
            None => (0, job.bytes(start.content).map_err(no_bytes)),
        };
        for (stage, worker) in workers.iter_mut().enumerate().skip(first) {
            item = item.and_then(|bytes| only(worker.as_mut(), bytes).map_err(broken(stage)));
        }
        if send.send(Moving { at, first, item }).is_err() {
            return;
        }
    }
}

fn no_bytes(why: NoBytes) -> Broken {
    match why {
        NoBytes::Lost => Broken { lost: true, ..Broken::new(0, "its bytes are lost or damaged".into()) },
        NoBytes::Unreadable(reason) => Broken::new(0, ItemError { reason, passing: true }),
    }
}

fn only(worker: &mut dyn Worker, item: Vec<u8>) -> Result<Vec<u8>, ItemError> {
    worker.map(vec![item]).pop().unwrap_or_else(|| Err("the node gave no item".into()))
}

fn in_batches(
    stages: &[Box<dyn Stage>],
    before: usize,
    size: usize,
    receive: &Mutex<Receiver<Moving>>,
    send: &SyncSender<Moving>,
    job: &Job<'_>,
) {
    let mut workers: Vec<_> = stages.iter().map(|stage| stage.worker(1)).collect();
    let mut open = true;
    while open && !job.interrupt.is_set() {
        let mut batch: Vec<Moving> = Vec::with_capacity(size);
        // One worker gathers a batch while the others compute theirs.
        let waiting = receive.lock().unwrap_or_else(PoisonError::into_inner);
        while batch.len() < size {
            match waiting.recv() {
                Ok(moving) if moving.item.is_ok() => batch.push(moving),
                Ok(broken) => {
                    if send.send(broken).is_err() {
                        return;
                    }
                }
                Err(_) => {
                    open = false;
                    break;
                }
            }
        }
        drop(waiting);
        for (at, worker) in workers.iter_mut().enumerate() {
            let stage = before + at;
            let mut waiting: Vec<&mut Moving> =
                batch.iter_mut().filter(|moving| moving.first <= stage && moving.item.is_ok()).collect();
            // Each stage gets as many at once as it wants.
            let most = match stages[at].pace() {
                Pace::EveryCore => 1,
                Pace::Batches { size, .. } => size.max(1),
            };
            for waiting in waiting.chunks_mut(most) {
                let take = |moving: &mut &mut Moving| moving.item.as_mut().map(std::mem::take).unwrap_or_default();
                let mut results = worker.map(waiting.iter_mut().map(take).collect()).into_iter();
                for moving in waiting {
                    let result = results.next().unwrap_or_else(|| Err("the node gave no item".into()));
                    moving.item = result.map_err(|error| Broken::new(stage, error));
                }
            }
        }
        for finished in batch {
            if send.send(finished).is_err() {
                return;
            }
        }
    }
}

fn collect(
    links: &[Link<'_>],
    records: &Records,
    keys: &[Digest],
    found: &HashMap<Digest, Digest>,
    broken: &HashMap<Digest, Broken>,
    meta: Meta,
) -> Result<Collection, StageFailure> {
    let skip = links.iter().any(|link| link.map.on_error() == OnError::Skip);
    let Records { classes, rows } = records;
    if broken.values().any(|broken| broken.lost) {
        return Err((0, Failure::lost("the bytes of some rows")));
    }
    let (mut kept, mut items, mut failures) = (Vec::new(), Vec::new(), Vec::new());
    let mut first = links.len() - 1;
    for (row, key) in rows.iter().zip(keys) {
        match found.get(key) {
            Some(&content) => {
                kept.push(row.clone());
                items.push(content);
            }
            None => {
                let lost = || Broken::new(0, "it was not computed".into());
                let Broken { stage, reason, .. } = broken.get(key).cloned().unwrap_or_else(lost);
                first = first.min(stage);
                failures.push(ItemFailure { id: row.id.clone(), reason });
            }
        }
    }
    if !failures.is_empty() && (!skip || kept.is_empty()) {
        let (count, total) = (failures.len(), rows.len());
        let failure = Failure::items(format!("{count} of {total} items could not be computed"), failures).help(
            if count == total {
                "mend what computes them, if it is not the files; `pipe show NODE --log` has what a command wrote"
            } else {
                "mend or remove them, or leave them out with `on_error: skip`"
            },
        );
        return Err((first, failure));
    }
    let skipped = failures.into_iter().map(|failure| Skipped { id: failure.id, reason: failure.reason }).collect();
    let Meta { json: meta, parts } = meta;
    Ok(Collection { records: Records { classes: classes.clone(), rows: kept }, items, meta, skipped, parts })
}
