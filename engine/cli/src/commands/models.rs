//! `pipe models`.

use pipe_core::Model;
use serde_json::json;

use crate::args::{Format, ModelsArgs};
use crate::number::count;
use crate::{Program, Stop, diagnostic, output, table};

pub(crate) fn models(program: &Program, args: &ModelsArgs) -> Result<(), Stop> {
    let all = program.kinds.all_models();
    let Some(name) = &args.model else {
        return match args.format {
            Format::Json => {
                let rows: Vec<_> = all.iter().map(without_layers).collect();
                output::result(&format!("{:#}\n", json!(rows)))
            }
            Format::Text => output::result(&list(&all)),
        };
    };
    let Some(model) = all.iter().find(|model| model.name == *name) else {
        let near = pipe_lang::closest(name, all.iter().map(|model| model.name.as_str()));
        let hint = near.map_or_else(|| "`pipe models` lists them".to_owned(), |near| format!("did you mean `{near}`?"));
        diagnostic::error(&format!("there is no network `{name}`"), Some(&hint));
        return Err(Stop::Mistake);
    };
    match args.format {
        Format::Json => output::result(&format!("{:#}\n", json!(model))),
        Format::Text => output::result(&show(model)),
    }
}

/// What a list tells of a network.
fn without_layers(model: &Model) -> serde_json::Value {
    let mut json = json!(model);
    if let Some(fields) = json.as_object_mut() {
        fields.shift_remove("layers");
    }
    json
}

fn list(all: &[Model]) -> String {
    let rows: Vec<Vec<String>> = all
        .iter()
        .map(|model| {
            vec![
                model.name.clone(),
                model.input_size.to_string(),
                count(model.parameters),
                model.features.to_string(),
                billions(model.multiply_adds),
                usual(model).join(", "),
            ]
        })
        .collect();
    let table = table::table(&["model", "pixels", "parameters", "features", "multiply-adds", "usual weights"], &rows);
    format!("{table}\nparameters with the classifier; `pipe models NAME` shows layers, and what weights expect\n")
}

/// The names of its usual weights.
fn usual(model: &Model) -> Vec<&str> {
    model.weights.iter().filter(|weights| weights.usual).map(|weights| weights.name.as_str()).collect()
}

fn show(model: &Model) -> String {
    let layers: Vec<_> = model.layers.iter().map(|layer| json!(layer)).collect();
    let mut text = table::layers(&layers);
    text.push_str(&format!(
        "\n{}: images of {} pixels, {} parameters, {} features, {} multiply-adds\n",
        model.name,
        model.input_size,
        count(model.parameters),
        model.features,
        billions(model.multiply_adds)
    ));
    for weights in &model.weights {
        text.push_str(&format!("\n{} ({}): {}\n", weights.name, weights.license, weights.expects));
        for node in &weights.nodes {
            text.push_str(&format!("  {:<17}  with: {}\n", node.kind, node.with));
        }
    }
    text
}

/// `0.39 G`.
fn billions(number: u64) -> String {
    format!("{:.2} G", number as f64 / 1e9)
}
