//! The numbers that the reference scripts make from names: `tests/reference/hashed.py`.

use sha1::{Digest, Sha1};

/// Numbers in 0..1, exact in `f32`.
pub(crate) fn uniform(name: &str, count: usize) -> Vec<f64> {
    let digest = Sha1::digest(name.as_bytes());
    let seed = u64::from_le_bytes(digest[..8].try_into().unwrap());
    (0..count as u64)
        .map(|i| {
            let mut z = seed.wrapping_add((i + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            z ^= z >> 31;
            (z >> 40) as f64 / (1u64 << 24) as f64
        })
        .collect()
}
