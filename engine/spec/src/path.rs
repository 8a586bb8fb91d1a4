//! Params that lead to the file system.
//!
//! A path is never part of a key; the content that it leads to is. The types tell the engine
//! how to find that content: a file or a tree is hashed by the engine, a folder is scanned by the kind.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// The format that marks a file in a JSON Schema.
pub(crate) const FILE_FORMAT: &str = "file-path";
/// The format that marks a file or a folder in a JSON Schema.
pub(crate) const TREE_FORMAT: &str = "file-or-folder-path";
/// The format that marks a folder in a JSON Schema.
pub(crate) const FOLDER_FORMAT: &str = "folder-path";

macro_rules! path_param {
    ($(#[$doc:meta])* $name:ident, $format:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(PathBuf);

        impl $name {
            /// The path, absolute once the pipeline has been checked.
            pub fn path(&self) -> &Path {
                &self.0
            }
        }

        impl From<PathBuf> for $name {
            fn from(path: PathBuf) -> Self {
                Self(path)
            }
        }

        impl From<&Path> for $name {
            fn from(path: &Path) -> Self {
                Self(path.to_owned())
            }
        }

        impl From<&str> for $name {
            fn from(path: &str) -> Self {
                Self(path.into())
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "format": $format })
            }
        }
    };
}

path_param! {
    /// A file that a node reads; its content is part of the node's key.
    FilePath, FILE_FORMAT
}
path_param! {
    /// A file, or a folder with all that is below it; their content is part of the node's key.
    TreePath, TREE_FORMAT
}
path_param! {
    /// A folder that a node scans; the kind says which of its content counts.
    FolderPath, FOLDER_FORMAT
}
