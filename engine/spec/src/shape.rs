//! The shape of a param: what may be written for it.
//!
//! Read off the JSON Schema that `schemars` derives from a kind's params struct, so that the
//! struct stays the only place where a param is described.

use std::fmt;

use serde_json::Value;

use crate::RemoteFile;
use crate::path::{FILE_FORMAT, FOLDER_FORMAT, TREE_FORMAT};
use crate::remote::REMOTE_FORMAT;

/// What may be written for a value.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    /// `true` or `false`.
    Bool,
    /// A whole number within inclusive bounds.
    Int {
        /// The least value allowed.
        min: Option<i64>,
        /// The greatest value allowed.
        max: Option<i64>,
    },
    /// A number within bounds.
    Float {
        /// The least value allowed.
        min: Option<f64>,
        /// A bound that the value must exceed.
        above: Option<f64>,
        /// The greatest value allowed.
        max: Option<f64>,
        /// A bound that the value must stay under.
        below: Option<f64>,
    },
    /// Any text, or text of a pattern.
    Text {
        /// A regular expression that the text must match, with an example of it.
        pattern: Option<(String, String)>,
    },
    /// One of a few words.
    Choice(Vec<Choice>),
    /// A path to a file.
    File,
    /// A path to a folder.
    Folder,
    /// A path to a file or a folder.
    Tree,
    /// A [`RemoteFile`].
    Remote,
    /// A sequence.
    List {
        /// What each element is.
        item: Box<Shape>,
        /// The least number of elements.
        min: Option<usize>,
        /// The greatest number of elements.
        max: Option<usize>,
    },
    /// A mapping with known keys.
    Struct(Vec<Field>),
    /// A mapping with keys of the author's own.
    Map(Box<Shape>),
    /// Any one of several shapes, the first that fits.
    OneOf(Vec<Shape>),
    /// No value (`null` or `~`).
    Null,
    /// Anything.
    Any,
}

/// One word of a [`Shape::Choice`].
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// The word.
    pub name: String,
    /// What it means, in Markdown.
    pub doc: String,
}

/// One key of a [`Shape::Struct`].
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// The key.
    pub name: String,
    /// What it means, in Markdown.
    pub doc: String,
    /// What may be written for it.
    pub shape: Shape,
    /// Whether it must be written.
    pub required: bool,
    /// What it is when it is not written.
    pub default: Option<Value>,
}

/// A JSON Schema that has no [`Shape`]: a mistake in a kind's params struct.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShapeError(String);

impl fmt::Display for ShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no shape for the JSON Schema {}", self.0)
    }
}

impl std::error::Error for ShapeError {}

impl Shape {
    /// Reads a JSON Schema as `schemars` writes it, with subschemas inlined.
    ///
    /// # Errors
    /// When the schema uses a construct that is not known here.
    pub fn from_schema(schema: &Value) -> Result<Self, ShapeError> {
        let unknown = || ShapeError(schema.to_string());
        if let Some(variants) = schema.get("oneOf").or_else(|| schema.get("anyOf")) {
            let variants = variants.as_array().ok_or_else(unknown)?;
            let shapes = variants.iter().map(Self::from_schema).collect::<Result<Vec<_>, _>>()?;
            return Ok(Self::one_of(shapes));
        }
        if let Some(word) = schema.get("const").and_then(Value::as_str) {
            return Ok(Self::Choice(vec![Choice { name: word.into(), doc: doc(schema) }]));
        }
        if let Some(words) = schema.get("enum").and_then(Value::as_array) {
            let choices = words.iter().filter_map(Value::as_str);
            return Ok(Self::Choice(choices.map(|word| Choice { name: word.into(), doc: String::new() }).collect()));
        }
        match schema.get("type") {
            Some(Value::String(name)) => Self::of_type(name, schema),
            Some(Value::Array(names)) => {
                let shapes = names.iter().map(|name| Self::of_type(name.as_str().unwrap_or_default(), schema));
                Ok(Self::one_of(shapes.collect::<Result<Vec<_>, _>>()?))
            }
            _ => Err(unknown()),
        }
    }

    fn of_type(name: &str, schema: &Value) -> Result<Self, ShapeError> {
        let unknown = || ShapeError(schema.to_string());
        let float = |key: &str| schema.get(key).and_then(Value::as_f64);
        let size = |key: &str| schema.get(key).and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok());
        Ok(match name {
            "null" => Self::Null,
            "boolean" => Self::Bool,
            "integer" => Self::Int {
                min: schema.get("minimum").and_then(Value::as_i64),
                max: schema.get("maximum").and_then(Value::as_i64),
            },
            "number" => Self::Float {
                min: float("minimum"),
                above: float("exclusiveMinimum"),
                max: float("maximum"),
                below: float("exclusiveMaximum"),
            },
            "string" => match schema.get("format").and_then(Value::as_str) {
                Some(FILE_FORMAT) => Self::File,
                Some(FOLDER_FORMAT) => Self::Folder,
                Some(TREE_FORMAT) => Self::Tree,
                Some(REMOTE_FORMAT) => Self::Remote,
                _ => Self::Text {
                    pattern: schema.get("pattern").and_then(Value::as_str).map(|pattern| {
                        let example = schema.get("examples").and_then(|all| all.get(0)).and_then(Value::as_str);
                        (pattern.into(), example.unwrap_or_default().into())
                    }),
                },
            },
            "array" => Self::List {
                item: Box::new(Self::from_schema(schema.get("items").ok_or_else(unknown)?)?),
                min: size("minItems"),
                max: size("maxItems"),
            },
            "object" => match schema.get("additionalProperties") {
                Some(value) if value.is_object() => Self::Map(Box::new(Self::from_schema(value)?)),
                _ => Self::Struct(Self::fields(schema)?),
            },
            _ => return Err(unknown()),
        })
    }

    fn fields(schema: &Value) -> Result<Vec<Field>, ShapeError> {
        let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
            return Ok(Vec::new());
        };
        let required: Vec<&str> = schema
            .get("required")
            .and_then(Value::as_array)
            .map(|names| names.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default();
        properties
            .iter()
            .map(|(name, property)| {
                Ok(Field {
                    name: name.clone(),
                    doc: doc(property),
                    shape: Self::from_schema(property)?,
                    required: required.contains(&name.as_str()),
                    default: property.get("default").cloned(),
                })
            })
            .collect()
    }

    /// Joins alternatives: neighbouring words become one list of words.
    fn one_of(shapes: Vec<Self>) -> Self {
        let mut joined: Vec<Self> = Vec::new();
        for shape in shapes {
            match (joined.last_mut(), shape) {
                (Some(Self::Choice(words)), Self::Choice(more)) => words.extend(more),
                (_, shape) => joined.push(shape),
            }
        }
        if joined.len() == 1 { joined.remove(0) } else { Self::OneOf(joined) }
    }

    /// The value's form when it differs from its shape's: every file replaced by what `content`
    /// says of it, every folder left out. So no path becomes part of a key.
    ///
    /// # Errors
    /// Whatever `content` returns for a file.
    pub fn without_paths<E>(
        &self,
        value: &Value,
        content: &mut impl FnMut(&str) -> Result<Value, E>,
    ) -> Result<Option<Value>, E> {
        Ok(match (self, value) {
            (Self::File | Self::Tree, Value::String(path)) => Some(content(path)?),
            (Self::Folder, Value::String(_)) => None,
            (Self::Remote, Value::String(text)) => {
                let digest = RemoteFile::parse(text).map(|remote| format!("sha256:{}", remote.sha256()));
                Some(digest.unwrap_or_else(|_| text.clone()).into())
            }
            (Self::List { item, .. }, Value::Array(values)) => {
                let mut kept = Vec::new();
                for value in values {
                    kept.extend(item.without_paths(value, content)?);
                }
                (!matches!(**item, Self::Folder)).then_some(Value::Array(kept))
            }
            (Self::Map(shape), Value::Object(map)) => {
                let mut kept = serde_json::Map::new();
                for (key, value) in map {
                    kept.extend(shape.without_paths(value, content)?.map(|value| (key.clone(), value)));
                }
                Some(Value::Object(kept))
            }
            (Self::Struct(fields), Value::Object(map)) => {
                let mut kept = serde_json::Map::new();
                for (key, value) in map {
                    let shape = fields.iter().find(|field| &field.name == key).map(|field| &field.shape);
                    let value = match shape {
                        Some(shape) => shape.without_paths(value, content)?,
                        None => Some(value.clone()),
                    };
                    kept.extend(value.map(|value| (key.clone(), value)));
                }
                Some(Value::Object(kept))
            }
            (Self::OneOf(shapes), value) => match shapes.iter().find(|shape| shape.fits(value)) {
                Some(shape) => shape.without_paths(value, content)?,
                None => Some(value.clone()),
            },
            (_, value) => Some(value.clone()),
        })
    }

    /// The value with another text for each path in it.
    pub fn map_paths(&self, value: &Value, path: &impl Fn(&str) -> String) -> Value {
        match (self, value) {
            (Self::File | Self::Tree | Self::Folder, Value::String(text)) => path(text).into(),
            (Self::List { item, .. }, Value::Array(values)) => {
                values.iter().map(|value| item.map_paths(value, path)).collect()
            }
            (Self::Map(shape), Value::Object(map)) => {
                map.iter().map(|(key, value)| (key.clone(), shape.map_paths(value, path))).collect()
            }
            (Self::Struct(fields), Value::Object(map)) => {
                let shape = |key: &str| fields.iter().find(|field| field.name == key).map(|field| &field.shape);
                let value = |key: &str, value: &Value| shape(key).map(|shape| shape.map_paths(value, path));
                map.iter().map(|(key, held)| (key.clone(), value(key, held).unwrap_or_else(|| held.clone()))).collect()
            }
            (Self::OneOf(shapes), value) => match shapes.iter().find(|shape| shape.fits(value)) {
                Some(shape) => shape.map_paths(value, path),
                None => value.clone(),
            },
            (_, value) => value.clone(),
        }
    }

    /// Whether a decoded value is of this shape, bounds aside.
    fn fits(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Choice(words), Value::String(text)) => words.iter().any(|word| &word.name == text),
            (Self::Remote, Value::String(text)) => RemoteFile::is_meant(text),
            (Self::Text { .. } | Self::File | Self::Folder | Self::Tree, Value::String(_))
            | (Self::Bool, Value::Bool(_))
            | (Self::Null, Value::Null)
            | (Self::List { .. }, Value::Array(_))
            | (Self::Map(_), Value::Object(_))
            | (Self::Any, _) => true,
            (Self::Int { .. }, Value::Number(number)) => number.is_i64() || number.is_u64(),
            (Self::Float { .. }, Value::Number(_)) => true,
            (Self::Struct(fields), Value::Object(map)) => {
                map.keys().all(|key| fields.iter().any(|field| &field.name == key))
                    && fields.iter().filter(|field| field.required).all(|field| map.contains_key(&field.name))
            }
            (Self::OneOf(shapes), value) => shapes.iter().any(|shape| shape.fits(value)),
            _ => false,
        }
    }
}

/// How a shape reads in a message or a table: `int 1..`, `nearest | bilinear`, `list of float`.
impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool => write!(f, "true or false"),
            Self::Int { min, max } => match (min, max) {
                (Some(min), Some(max)) => write!(f, "int {min}..={max}"),
                (Some(min), None) => write!(f, "int {min}.."),
                (None, Some(max)) => write!(f, "int ..={max}"),
                (None, None) => write!(f, "int"),
            },
            Self::Float { min, above, max, below } => {
                write!(f, "number")?;
                if let Some(min) = min {
                    write!(f, " ≥ {min}")?;
                }
                if let Some(above) = above {
                    write!(f, " > {above}")?;
                }
                if let Some(max) = max {
                    write!(f, " ≤ {max}")?;
                }
                if let Some(below) = below {
                    write!(f, " < {below}")?;
                }
                Ok(())
            }
            Self::Text { pattern: Some((_, example)) } if !example.is_empty() => write!(f, "text like {example}"),
            Self::Text { .. } => write!(f, "text"),
            Self::Choice(words) => join(f, words.iter().map(|word| word.name.as_str())),
            Self::File => write!(f, "path to a file"),
            Self::Folder => write!(f, "path to a folder"),
            Self::Tree => write!(f, "path to a file or folder"),
            Self::Remote => write!(f, "hub:… or https://… with #sha256=…"),
            Self::List { item, min, max } => match (min, max) {
                (Some(min), Some(max)) if min == max => write!(f, "list of {min} × {item}"),
                _ => write!(f, "list of {item}"),
            },
            Self::Struct(fields) => {
                write!(f, "{{ ")?;
                for (index, field) in fields.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    write!(f, "{comma}{}: {}", field.name, field.shape)?;
                }
                write!(f, " }}")
            }
            Self::Map(value) => write!(f, "{{ NAME: {value} }}"),
            Self::OneOf(shapes) => join(f, shapes.iter()),
            Self::Null => write!(f, "null"),
            Self::Any => write!(f, "anything"),
        }
    }
}

fn join(f: &mut fmt::Formatter<'_>, parts: impl Iterator<Item = impl fmt::Display>) -> fmt::Result {
    for (index, part) in parts.enumerate() {
        let bar = if index == 0 { "" } else { " | " };
        write!(f, "{bar}{part}")?;
    }
    Ok(())
}

fn doc(schema: &Value) -> String {
    schema.get("description").and_then(Value::as_str).unwrap_or_default().to_owned()
}
