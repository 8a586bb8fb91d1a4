//! A program with a kind of its own: `filter.class` keeps the rows of some classes.
//!
//! `cargo run --example own_kind -- run FILE.yaml` runs pipelines that use it beside the standard
//! library's kinds; `nodes filter.class` documents it, and `schema` has it for editors.

use std::process::ExitCode;

use pipe::{Artifact, Failure, Inputs, Job, Kind, Records, Whole, types};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Keeps the rows of some classes.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct FilterClass {
    /// The classes that are kept.
    #[schemars(length(min = 1))]
    keep: Vec<String>,
}

impl Kind for FilterClass {
    const NAME: &'static str = "filter.class";
    // Raised whenever the same input gives another result: it is part of every key.
    const VERSION: u32 = 1;
    type Inputs = types::Records;
    const INPUTS: &'static [&'static str] = &["records"];
    type Outputs = types::Records;
    const OUTPUTS: &'static [&'static str] = &["records"];
}

impl Whole for FilterClass {
    fn run(&self, inputs: &Inputs<'_>, job: &Job<'_>) -> Result<Vec<Artifact>, Failure> {
        let records = inputs.records("records")?;
        if let Some(unknown) = self.keep.iter().find(|class| !records.classes.contains(class)) {
            let help = format!("the classes are {}", records.classes.join(", "));
            return Err(Failure::new("filter::class", format!("no row is a `{unknown}`")).param("keep").help(help));
        }
        let kept: Vec<_> = records.rows.iter().filter(|row| self.keep.contains(&row.value)).cloned().collect();
        job.note(format!("kept {} of {} rows", kept.len(), records.rows.len()));
        Ok(vec![Artifact::Records(Records::new(kept))])
    }
}

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let mut kinds = pipe::kinds();
    kinds.whole::<FilterClass>()?;
    Ok(pipe::main(kinds))
}
