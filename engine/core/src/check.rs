//! What kinds need of a machine, and whether it is there: for `pipe doctor`.

use serde::Serialize;

use crate::Device;

/// One thing that a machine may have.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Check {
    /// What it is: `cuda:0`.
    pub name: String,
    /// How it stands.
    pub state: CheckState,
    /// In words: what was found, or why there is nothing.
    pub text: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// The device, where it is one: whether it computes is still to be tried.
    #[serde(skip)]
    pub device: Option<Device>,
}

/// How a thing stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckState {
    /// It is there and works.
    Good,
    /// It is not there, and need not be.
    Absent,
    /// It is there and does not work.
    Broken,
}

/// Looks at the machine, and tries a device.
#[derive(Debug, Clone, Copy)]
pub struct Checks {
    /// What is there. It must not touch what may not be there.
    pub look: fn() -> Vec<Check>,
    /// Computes something small on a device, and tells how that went. It may abort the process.
    pub attempt: fn(Device) -> Result<String, String>,
}

impl Check {
    /// A thing by name, as it stands.
    pub fn new(name: impl Into<String>, state: CheckState, text: impl Into<String>) -> Self {
        Self { name: name.into(), state, text: text.into(), help: None, device: None }
    }

    /// Says what to do about it.
    #[must_use]
    pub fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    /// Names the device that it is.
    #[must_use]
    pub fn device(self, device: Device) -> Self {
        Self { device: Some(device), ..self }
    }
}
