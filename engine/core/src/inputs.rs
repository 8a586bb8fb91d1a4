//! The artifacts at a node's inputs.

use std::collections::BTreeMap;

use pipe_store::Store;

use crate::{Artifact, Collection, Document, Failure, Records};

/// The artifacts at a node's inputs, by port.
#[derive(Debug)]
pub struct Inputs<'a> {
    pub(crate) store: &'a Store,
    pub(crate) artifacts: BTreeMap<&'static str, Artifact>,
}

impl Inputs<'_> {
    /// The table at a port.
    ///
    /// # Errors
    /// When the port holds something else.
    pub fn records(&self, port: &str) -> Result<&Records, Failure> {
        match self.artifacts.get(port) {
            Some(Artifact::Records(records)) => Ok(records),
            _ => Err(wrong(port, "records")),
        }
    }

    /// The collection at a port.
    ///
    /// # Errors
    /// When the port holds something else.
    pub fn collection(&self, port: &str) -> Result<&Collection, Failure> {
        match self.artifacts.get(port) {
            Some(Artifact::Collection(collection)) => Ok(collection),
            _ => Err(wrong(port, "a collection")),
        }
    }

    /// The document at a port.
    ///
    /// # Errors
    /// When the port holds something else.
    pub fn document(&self, port: &str) -> Result<&Document, Failure> {
        match self.artifacts.get(port) {
            Some(Artifact::Document(document)) => Ok(document),
            _ => Err(wrong(port, "a document")),
        }
    }

    /// The bytes of every item of the collection at a port, in the order of its rows.
    ///
    /// # Errors
    /// When the port holds something else, or an item is lost or damaged.
    pub fn items(&self, port: &str) -> Result<Vec<Vec<u8>>, Failure> {
        let collection = self.collection(port)?;
        let entries = self.store.find_items(&collection.items);
        let read = entries.iter().map(|entry| entry.as_ref().and_then(|entry| self.store.item(entry)));
        read.zip(&collection.records.rows)
            .map(|(bytes, row)| {
                bytes.ok_or_else(|| {
                    Failure::new("pipe::store", format!("the stored item of `{}` is lost or damaged", row.id))
                        .help("run again: it is computed again")
                })
            })
            .collect()
    }
}

fn wrong(port: &str, wanted: &str) -> Failure {
    Failure::new("pipe::type_mismatch", format!("the input `{port}` is not {wanted}"))
}
