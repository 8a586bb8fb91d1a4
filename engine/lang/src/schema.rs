//! The language as a JSON Schema, for editors that complete and check YAML as it is typed.
//!
//! Made from the same specifications that the decoder reads. Draft 7, which editors know.

use std::sync::Arc;

use pipe_spec::{ArtifactType, KindSpec};
use serde_json::{Map, Value, json};

use crate::declare;
use crate::{Language, head, nodes};

/// What names of nodes are made of.
const NAME: &str = r##"^[^\s!-,./:-@\[-^`{-~]+$"##;
/// Text that asks for a param.
const ASKS: &str = r"\$\{";

/// The JSON Schema of a pipeline's file.
pub fn schema(language: Language<'_>) -> Value {
    let doc = |text: &str| json!({ "description": text });
    let top = |key: &str| match key {
        "name" => {
            json!({ "type": text()["type"], "description": "What the pipeline is called; the file's name otherwise." })
        }
        "doc" => json!({ "type": text()["type"], "description": "What the pipeline is for." }),
        "params" => json!({
            "type": ["object", "null"],
            "description": "Values to change from outside: `name: value`, or `name: { type: int, default: 10 }`.",
            "additionalProperties": param(),
        }),
        "profiles" => json!({
            "type": ["object", "null"],
            "description": "Named sets of params: `pipe run --profile NAME`.",
            "additionalProperties": { "type": ["object", "null"] },
        }),
        "inputs" => json!({
            "type": ["object", "null"],
            "description": "What the pipeline takes as a part of others, each with its type.",
            "additionalProperties": { "enum": ArtifactType::ALL.map(|artifact| artifact.to_string()) },
        }),
        "outputs" => json!({
            "type": ["object", "null"],
            "description": "What the pipeline gives as a part of others, the main output first.",
            "additionalProperties": reference(),
        }),
        "nodes" => json!({
            "type": "object",
            "description": "The nodes, in any order.",
            "minProperties": 1,
            "propertyNames": { "pattern": NAME },
            "additionalProperties": node(language),
        }),
        _ => doc(""),
    };
    let properties: Map<String, Value> = head::KEYS.iter().map(|&key| (key.to_owned(), top(key))).collect();
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "A pipeline of pipe",
        "type": "object",
        "properties": properties,
        "required": ["nodes"],
        "additionalProperties": false,
    })
}

fn param() -> Value {
    let key = |key: &str| match key {
        "type" => json!({ "enum": declare::TYPES, "description": "What may be given." }),
        "default" => json!({ "description": "What it is where nothing is given; it must be given otherwise." }),
        "min" => json!({ "type": "number", "description": "The least value, of `int` and `float`." }),
        "max" => json!({ "type": "number", "description": "The greatest value, of `int` and `float`." }),
        "choices" => json!({ "type": "array", "items": text(), "description": "The words that `text` may be." }),
        "of" => json!({ "enum": declare::TYPES, "description": "What the elements of a `list` are." }),
        _ => json!({ "type": text()["type"], "description": "What it means." }),
    };
    let properties: Map<String, Value> = declare::KEYS.iter().map(|&name| (name.to_owned(), key(name))).collect();
    let number = |name: &str, value: Value| {
        json!({ "if": { "properties": { "type": { "const": name } } },
            "then": { "properties": { "default": or_asks(value.clone()), "min": value, "max": value } } })
    };
    let plain = |name: &str, value: Value, more: &str| {
        let mut properties =
            json!({ "default": or_asks(value), "min": false, "max": false, "choices": false, "of": false });
        properties.as_object_mut().map(|properties| properties.remove(more));
        json!({ "if": { "properties": { "type": { "const": name } } }, "then": { "properties": properties } })
    };
    json!({
        "if": { "type": "object", "required": ["type"] },
        "then": {
            "properties": properties,
            "additionalProperties": false,
            "allOf": [
                number("int", json!({ "type": "integer" })),
                number("float", json!({ "type": "number" })),
                plain("bool", json!({ "type": "boolean" }), ""),
                plain("text", text(), "choices"),
                plain("list", json!({ "type": "array" }), "of"),
            ],
        },
    })
}

fn node(language: Language<'_>) -> Value {
    let names: Vec<&str> = language.kinds.iter().map(|kind| kind.name).collect();
    let library: Vec<&str> = language.library.keys().copied().collect();
    let kinds: Vec<Value> = language
        .kinds
        .iter()
        .map(|kind| json!({ "const": kind.name, "description": kind.summary() }))
        .chain([json!({ "type": "string", "pattern": ASKS })])
        .collect();
    let key = |key: &str| match key {
        "kind" => json!({ "anyOf": kinds, "description": "What the node runs: one of the kinds." }),
        "uses" => json!({
            "type": "string",
            "description": "The pipeline that the node is: a file, or one that comes with the program.",
            "examples": library,
        }),
        "with" => json!({ "type": ["object", "null", "string"], "description": "The node's params." }),
        "from" => json!({ "anyOf": [reference(), { "type": "array", "items": reference() }, { "type": "object" }],
            "description": "Where the node's inputs come from." }),
        "when" => or_asks(json!({ "type": "boolean", "description": "Whether the node is part of the pipeline." })),
        "keep" => or_asks(
            json!({ "type": "boolean", "description": "Whether its items are stored even where nothing needs them stored." }),
        ),
        "matrix" => {
            json!({ "type": ["object", "string"], "pattern": ASKS, "minProperties": 1, "description": "Axes and their values: the node fans out over all combinations, and so do those after it.",
            "properties": {
                "include": { "type": "array", "items": { "type": "object" }, "description": "Combinations that are added." },
                "exclude": { "type": "array", "items": { "type": "object" }, "description": "Combinations that are left out." },
            },
            "additionalProperties": { "anyOf": [{ "type": "array" }, { "type": "object" }, { "type": "string", "pattern": ASKS }] } })
        }
        _ => json!({ "anyOf": [text(), { "type": "object", "additionalProperties": text() }],
            "description": "Where its first output is left as ordinary files after every run, or a mapping from outputs to paths." }),
    };
    let properties: Map<String, Value> = nodes::KEYS.iter().map(|&name| (name.to_owned(), key(name))).collect();
    let each = language.kinds.iter().map(|kind| {
        json!({ "if": { "properties": { "kind": { "const": kind.name } }, "required": ["kind"] }, "then": of_kind(kind) })
    });
    let each: Vec<Value> = each.collect();
    json!({
        "type": "object",
        "properties": properties,
        "oneOf": [{ "required": ["kind"] }, { "required": ["uses"] }],
        "additionalProperties": false,
        "allOf": each,
        "examples": names,
    })
}

/// The params, inputs and outputs of one kind.
fn of_kind(kind: &Arc<KindSpec>) -> Value {
    let mut properties = Map::new();
    let with = with_asks(kind.schema.as_value());
    let required = with["required"].as_array().is_some_and(|names| !names.is_empty());
    let nothing = if required { Value::Null } else { json!({ "type": "null" }) };
    let forms: Vec<Value> = [with, json!({ "type": "string", "pattern": ASKS }), nothing]
        .into_iter()
        .filter(|form| !form.is_null())
        .collect();
    properties.insert("with".to_owned(), json!({ "anyOf": forms, "description": kind.doc }));
    if kind.inputs.is_empty() && !kind.more_inputs {
        properties.insert("from".to_owned(), Value::Bool(false));
    } else {
        let input = |many: bool| if many { references() } else { reference() };
        let named: Map<String, Value> =
            kind.inputs.iter().map(|port| (port.name.to_owned(), input(port.many))).collect();
        let names: Vec<&str> = kind.inputs.iter().map(|port| port.name).collect();
        let more = if kind.more_inputs { input(true) } else { Value::Bool(false) };
        let mut forms =
            vec![json!({ "type": "object", "properties": named, "required": names, "additionalProperties": more })];
        if kind.inputs.len() + usize::from(kind.more_inputs) == 1 {
            forms.push(reference());
        }
        if kind.more_inputs || matches!(kind.inputs.as_slice(), [only] if only.many) {
            let least = usize::from(!kind.more_inputs);
            forms.push(json!({ "type": "array", "items": reference(), "minItems": least }));
        }
        properties
            .insert("from".to_owned(), json!({ "anyOf": forms, "description": "Where the node's inputs come from." }));
    }
    let outputs: Map<String, Value> = kind
        .outputs
        .iter()
        .map(|port| (port.name.to_owned(), json!({ "type": text()["type"], "description": port.artifact.to_string() })))
        .collect();
    let paths = json!({ "type": "object", "properties": outputs, "additionalProperties": false });
    properties.insert("export".to_owned(), json!({ "anyOf": [text(), paths] }));
    let mut needed: Vec<&str> = Vec::new();
    if required {
        needed.push("with");
    }
    if !kind.inputs.is_empty() {
        needed.push("from");
    }
    json!({ "properties": properties, "required": needed })
}

/// The schema of params with `${...}` allowed wherever a value is.
fn with_asks(schema: &Value) -> Value {
    let Value::Object(map) = schema else { return schema.clone() };
    let mut map = map.clone();
    for key in ["$schema", "title"] {
        map.remove(key);
    }
    if map.get("type").and_then(Value::as_str) == Some("string") && !map.contains_key("pattern") {
        // Text may be written without quotes, whatever it looks like.
        map.insert("type".to_owned(), text()["type"].clone());
    }
    if let Some(Value::Object(properties)) = map.get_mut("properties") {
        properties.values_mut().for_each(|value| *value = or_asks(with_asks(value)));
        // As strict as the decoder, whatever serde would let pass.
        map.insert("additionalProperties".to_owned(), false.into());
        if map.get("required").and_then(Value::as_array).is_none_or(Vec::is_empty) {
            map.insert("type".to_owned(), json!(["object", "null"]));
        }
    }
    for key in ["items", "additionalProperties"] {
        if let Some(value) = map.get_mut(key).filter(|value| value.is_object()) {
            *value = or_asks(with_asks(value));
        }
    }
    for key in ["anyOf", "oneOf"] {
        if let Some(Value::Array(forms)) = map.remove(key) {
            // Not `oneOf`: `${...}` suits every form.
            map.insert("anyOf".to_owned(), forms.iter().map(with_asks).collect());
        }
    }
    Value::Object(map)
}

fn or_asks(schema: Value) -> Value {
    let doc = schema.get("description").cloned();
    let mut either = json!({ "anyOf": [schema, { "type": "string", "pattern": ASKS }] });
    if let Some(doc) = doc {
        either["description"] = doc;
    }
    either
}

fn reference() -> Value {
    text()
}

/// One reference or several.
fn references() -> Value {
    json!({ "anyOf": [reference(), { "type": "array", "items": reference(), "minItems": 1 },
        { "type": "object", "additionalProperties": reference(), "minProperties": 1 }] })
}

fn text() -> Value {
    json!({ "type": ["string", "number", "boolean"] })
}
