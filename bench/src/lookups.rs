//! Finding items among many.

use std::path::Path;
use std::time::{Duration, Instant};

use pipe_store::{Digest, Store};

use crate::Failure;
use crate::command::median;
use crate::report::{Report, seconds};

/// Items that are looked for.
const WANTED: u64 = 22_640;

/// Opens stores of different sizes and looks items up.
pub(crate) fn lookups(report: &mut Report, folder: &Path, repeats: usize) -> Result<(), Failure> {
    let mut rows = Vec::new();
    for count in [WANTED, 1_000_000] {
        let place = folder.join(count.to_string());
        let store = Store::open(&place)?;
        let mut writer = store.item_writer();
        let began = Instant::now();
        for number in 0..count {
            writer.put(key(number), &number.to_le_bytes())?;
        }
        writer.finish()?;
        let written = began.elapsed();
        let keys: Vec<Digest> = (0..WANTED).map(|number| key(number * (count / WANTED))).collect();
        let mut times: [Vec<Duration>; 3] = Default::default();
        for _ in 0..repeats {
            let began = Instant::now();
            let store = Store::open(&place)?;
            times[0].push(began.elapsed());
            let first = Instant::now();
            let found = store.find_items(&keys).iter().flatten().count();
            times[1].push(first.elapsed());
            let again = Instant::now();
            store.find_items(&keys);
            times[2].push(again.elapsed());
            if found as u64 != WANTED {
                return Err(format!("found {found} items of {WANTED}").into());
            }
        }
        let cells = [written].into_iter().chain(times.map(median)).map(seconds);
        rows.push([count.to_string()].into_iter().chain(cells).collect());
    }
    report.say(&format!("{WANTED} look-ups in a store of small items:"));
    report
        .table(&["items", "writing them", "opening the store", "first look-ups, with the index read", "again"], &rows);
    Ok(())
}

fn key(number: u64) -> Digest {
    Digest::of(format!("recipe {number}").as_bytes())
}
