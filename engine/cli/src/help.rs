//! `pipe run --help FILE`: what may be set in a pipeline.

use std::ffi::OsString;
use std::path::Path;

use clap::CommandFactory;
use pipe_lang::{Outline, outline};

use crate::args::Args;
use crate::project::DEFAULT_FILE;
use crate::{Program, table};

/// The help of `pipe run` with the params of the pipeline that the words name, or that lies in this
/// folder; `None` where this is not what the words ask for.
pub(crate) fn of_run(program: &Program, words: &[OsString]) -> Option<String> {
    let asked = words.iter().any(|word| word == "--help" || word == "-h");
    if !asked || words.first()? != "run" {
        return None;
    }
    let is_file =
        |word: &&OsString| word.to_str().is_some_and(|word| word.ends_with(".yaml") || word.ends_with(".yml"));
    let named = words.iter().find(is_file);
    let file = named.map_or(Path::new(DEFAULT_FILE), Path::new);
    let text = match &program.built {
        Some(built) => built.text.clone(),
        None => std::fs::read_to_string(file).ok()?,
    };
    let Outline { doc, params, profiles, .. } = outline(&text);
    let mut command = Args::command();
    command.build();
    let mut help = command.find_subcommand_mut("run")?.render_long_help().to_string();
    help.push_str(&format!("\nParams of {}, to be given with --set, --params or --profile:\n", file.display()));
    if !doc.is_empty() {
        doc.trim().lines().for_each(|line| help.push_str(&format!("  {line}\n")));
    }
    let rows: Vec<Vec<String>> = params
        .iter()
        .map(|param| {
            let default = match &param.default {
                Some(serde_json::Value::String(text)) => text.clone(),
                Some(value) => value.to_string(),
                None => "needed".to_owned(),
            };
            let shape = match param.shape {
                pipe_spec::Shape::Any => String::new(),
                ref shape => shape.to_string(),
            };
            vec![format!("  {}", param.name), default, shape, param.help.clone()]
        })
        .collect();
    help.push_str(&table::table(&["  param", "default", "", ""], &rows));
    if !profiles.is_empty() {
        help.push_str(&format!("\nProfiles: {}\n", profiles.join(", ")));
    }
    Some(help)
}
