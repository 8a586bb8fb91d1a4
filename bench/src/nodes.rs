//! Many small nodes: a chain, and side by side.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::Failure;
use crate::command::{median, pipe, time};
use crate::peer::Peer;
use crate::report::{Report, ratio, seconds};

/// Writes a pipeline of `count` shell nodes, each `cat`: one after another, or all of one file.
fn write(folder: &Path, count: usize, deep: bool) -> Result<(), Failure> {
    fs::create_dir_all(folder)?;
    fs::write(folder.join("input.txt"), "some text\n")?;
    let mut yaml = "nodes:\n".to_owned();
    for node in 0..count {
        let (from, command, inputs) = match (deep, node) {
            (true, 1..) => (format!("from: {{ before: n{} }}, ", node - 1), "cat \"$before\"", ""),
            _ => (String::new(), "cat input.txt", ", inputs: [input.txt]"),
        };
        // The number makes every node another: equal ones would run once.
        writeln!(
            yaml,
            "  n{node}: {{ kind: shell, {from}with: {{ command: '{command} > \"$out/{node}.txt\"'{inputs} }} }}"
        )?;
    }
    fs::write(folder.join("pipe.yaml"), yaml)?;
    Ok(())
}

/// First run and nothing to do, pipe and others in turns.
pub(crate) fn nodes(
    report: &mut Report,
    program: &Path,
    folder: &Path,
    peers: &[Peer],
    count: usize,
    repeats: usize,
) -> Result<(), Failure> {
    for shape in ["deep", "wide"] {
        let ours = folder.join(format!("pipe-{shape}"));
        write(&ours, count, shape == "deep")?;
        let (first, _) = pipe(program, &ours, &[])?;
        let mut ready = Vec::new();
        for peer in peers {
            let place = folder.join(format!("{}-{shape}", peer.name));
            fs::create_dir_all(&place)?;
            let first = peer.prepare(&place, "nodes", &[&count.to_string(), shape]).and_then(|()| peer.run(&place));
            match first {
                Ok(first) => ready.push((peer, place, first, Vec::new())),
                Err(failure) => eprintln!("{} fails at {count} {shape} nodes: {failure}", peer.name),
            }
        }
        let mut noop: Vec<Duration> = Vec::new();
        for _ in 0..repeats {
            noop.push(time(Command::new(program).arg("run").current_dir(&ours))?);
            for (peer, place, first, times) in &mut ready {
                // One that is slow is measured once.
                if times.is_empty() || *first < Duration::from_secs(10) {
                    times.push(peer.run(place)?);
                }
            }
        }
        let ours_noop = median(noop);
        let mut rows = vec![vec!["pipe".into(), seconds(first), "1".into(), seconds(ours_noop), "1".into()]];
        for (peer, _, first_of, times) in ready {
            let noop = median(times);
            let cells = [seconds(first_of), ratio(first_of, first), seconds(noop), ratio(noop, ours_noop)];
            rows.push([peer.version.clone()].into_iter().chain(cells).collect());
        }
        report.say(&format!("{count} nodes, {shape}: each is `cat` through `sh`."));
        report.table(&["", "first run", "of pipe's", "nothing to do", "of pipe's"], &rows);
    }
    Ok(())
}
