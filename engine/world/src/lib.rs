//! Files of the world: what they hold, told without reading those that did not change.
//!
//! Identity is apart from freshness. The digest of its bytes says what a file is; path, size, times
//! and inode only say whether it must be read again. Whatever a [`World`] is asked goes into a
//! [`Trace`]; as long as a trace [`Trace::holds`], everything that was made of it holds too.

mod identity;
mod stat;
mod trace;
mod tree;
mod view;

pub use identity::Identity;
pub use trace::{Located, Trace};
pub use view::{Absent, World};
