//! A feature vector as an item: little-endian `f32`, one after another.

pub(crate) fn encode(features: &[f32]) -> Vec<u8> {
    features.iter().flat_map(|number| number.to_le_bytes()).collect()
}

pub(crate) fn decode(bytes: &[u8]) -> impl Iterator<Item = f32> + '_ {
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
}
