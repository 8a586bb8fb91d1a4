//! The specification of a kind.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};

use crate::ports::ports;
use crate::{Port, Ports, Shape, ShapeError};

/// What a kind is called, takes and gives.
#[derive(Debug, Clone)]
pub struct KindSpec {
    /// The name written after `kind:`, `family.variant`.
    pub name: &'static str,
    /// The version of the code behind it, part of every key; raised when a result changes.
    pub version: u32,
    /// What it does, in Markdown, the first line a summary.
    pub doc: String,
    /// Its inputs, in order; every one must be connected.
    pub inputs: Vec<Port>,
    /// Whether it takes further inputs of any type, each under a name of the author's.
    pub more_inputs: bool,
    /// Its outputs; the first is the one a bare node name means.
    pub outputs: Vec<Port>,
    /// Whether it works item by item.
    pub per_item: bool,
    /// The JSON Schema of its params.
    pub schema: Schema,
    /// The same, as the decoder reads it; always a [`Shape::Struct`].
    pub params: Shape,
}

impl KindSpec {
    /// Reads the specification off the params struct `P`, whose doc comment documents the kind,
    /// and the types of its inputs `I` and outputs `O`, which are given with their names.
    ///
    /// # Errors
    /// When `P`'s JSON Schema uses a construct that [`Shape`] does not know: a mistake in the
    /// kind, found by the first test that touches it.
    pub fn of<P: JsonSchema, I: Ports, O: Ports>(
        name: &'static str,
        version: u32,
        inputs: &[&'static str],
        outputs: &[&'static str],
        per_item: bool,
    ) -> Result<Self, ShapeError> {
        let schema = SchemaSettings::draft2020_12()
            .with(|settings| settings.inline_subschemas = true)
            .into_generator()
            .into_root_schema_for::<P>();
        let params = Shape::from_schema(schema.as_value())?;
        let doc = schema.get("description").and_then(|doc| doc.as_str()).unwrap_or_default().to_owned();
        let (inputs, outputs) = (ports::<I>(inputs), ports::<O>(outputs));
        Ok(Self { name, version, doc, inputs, more_inputs: I::MORE, outputs, per_item, schema, params })
    }

    /// The first line of the documentation.
    pub fn summary(&self) -> &str {
        self.doc.lines().next().unwrap_or_default()
    }

    /// The output of that name.
    pub fn output(&self, name: &str) -> Option<Port> {
        self.outputs.iter().find(|port| port.name == name).copied()
    }

    /// The output that a bare node name means.
    pub fn main_output(&self) -> Option<Port> {
        self.outputs.first().copied()
    }
}
