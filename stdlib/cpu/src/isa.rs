//! The instruction sets that there are kernels for.

use std::fmt;

/// An instruction set that this processor has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Isa(&'static str);

impl Isa {
    /// Those of this processor, the fastest first. The last, plain code, is always there.
    pub fn available() -> Vec<Self> {
        let mut found = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            if std::arch::is_x86_feature_detected!("avx512f") {
                found.push(Self("avx512"));
            }
            if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
                found.push(Self("avx2"));
            }
        }
        #[cfg(target_arch = "aarch64")]
        if std::arch::is_aarch64_feature_detected!("neon") {
            found.push(Self("neon"));
        }
        found.push(Self("plain"));
        found
    }

    /// The fastest of this processor.
    pub fn best() -> Self {
        Self::available()[0]
    }

    /// `avx512`, `avx2`, `neon` or `plain`.
    pub fn name(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}
