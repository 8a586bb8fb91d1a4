//! `pipe diff`.

use std::collections::{BTreeMap, BTreeSet};

use pipe_core::{Run, run_nodes};
use serde_json::{Value, json};

use super::log::metrics;
use super::runs;
use crate::args::{DiffArgs, Format};
use crate::project::{Place, split_words};
use crate::{Program, Stop, diagnostic, output, table};

pub(crate) fn diff(program: &Program, args: &DiffArgs) -> Result<(), Stop> {
    let (file, words) = split_words(program, &args.words);
    let place = Place::of(&file).map_err(|error| diagnostic::unusable(&error))?;
    let all = runs::of_file(&place.store, Some(&place.id));
    let (one, other) = match words.as_slice() {
        [] => ("last~1", "last"),
        [one] => (one.as_str(), "last"),
        [one, other] => (one.as_str(), other.as_str()),
        _ => {
            diagnostic::error("more than two runs", Some("name two: `pipe diff RUN RUN`"));
            return Err(Stop::Mistake);
        }
    };
    let (one, other) = (runs::wanted(&all, one)?, runs::wanted(&all, other)?);
    let params = differing(&one.params, &other.params);
    let (metrics_one, metrics_other) = (metrics(&place.store, one), metrics(&place.store, other));
    let keys = |run: &Run| -> BTreeMap<String, Value> {
        let nodes = run_nodes(&place.store, run).unwrap_or_default();
        nodes.into_iter().map(|(name, result)| (name, json!(result.key.to_string()))).collect()
    };
    let nodes = differing(&keys(one), &keys(other));
    if args.format == Format::Json {
        let value = json!({
            "runs": [one.id, other.id],
            "params": params,
            "metrics": { "left": metrics_one, "right": metrics_other },
            "nodes": nodes.keys().collect::<Vec<_>>(),
        });
        return output::result(&format!("{value:#}\n"));
    }
    let mut text = format!("{}  {}\n{}  {}\n", one.id, one.time, other.id, other.time);
    let text_of = |value: &Value| if value.is_null() { "-".to_owned() } else { value.to_string() };
    if !params.is_empty() {
        let row = |(name, (one, other)): (&String, &(Value, Value))| vec![name.clone(), text_of(one), text_of(other)];
        let rows: Vec<_> = params.iter().map(row).collect();
        text.push_str(&format!("\n{}", table::table(&["param", "left", "right"], &rows)));
    }
    let names: BTreeSet<&String> = metrics_one.keys().chain(metrics_other.keys()).collect();
    let number = |value: Option<&f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.4}"));
    let rows: Vec<Vec<String>> = names
        .into_iter()
        .map(|name| {
            let (one, other) = (metrics_one.get(name), metrics_other.get(name));
            let change = one.zip(other).map_or_else(String::new, |(one, other)| format!("{:+.4}", other - one));
            vec![name.clone(), number(one), number(other), change]
        })
        .collect();
    if !rows.is_empty() {
        text.push_str(&format!("\n{}", table::table(&["metric", "left", "right", "change"], &rows)));
    }
    let names: Vec<&str> = nodes.keys().map(String::as_str).collect();
    text.push_str(&match names.as_slice() {
        [] => "\nno node's result differs\n".to_owned(),
        names => format!("\nnodes that differ: {}\n", names.join(", ")),
    });
    output::result(&text)
}

/// The names whose values differ, with both; `null` where there is none.
fn differing(one: &BTreeMap<String, Value>, other: &BTreeMap<String, Value>) -> BTreeMap<String, (Value, Value)> {
    let names: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
    let both = |name: &String| {
        let side = |map: &BTreeMap<String, Value>| map.get(name).cloned().unwrap_or_default();
        (side(one), side(other))
    };
    names.into_iter().map(|name| (name.clone(), both(name))).filter(|(_, (one, other))| one != other).collect()
}
