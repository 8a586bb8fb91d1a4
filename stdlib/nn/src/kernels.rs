//! Where kernels are kept from one start to the next, and which of them were the fastest.

use std::path::Path;
use std::sync::Once;

use burn_cubecl::cubecl::config::cache::CacheConfig;
use burn_cubecl::cubecl::config::{CubeClRuntimeConfig, RuntimeConfig};

/// Keeps compiled kernels, and what was found out about which are the fastest on each device, in a folder.
/// Only the first call counts, and only before a device is used.
pub fn keep_kernels(folder: &Path) {
    static FIRST: Once = Once::new();
    FIRST.call_once(|| {
        let mut config = CubeClRuntimeConfig::default().override_from_env();
        config.autotune.cache = CacheConfig::File(folder.to_owned());
        config.compilation.cache = Some(CacheConfig::File(folder.to_owned()));
        CubeClRuntimeConfig::set(config);
    });
}
