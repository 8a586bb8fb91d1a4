//! Documentation that is written from the code is what the code says.

use std::path::Path;

#[test]
fn nodes_md_is_what_the_specifications_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/nodes.md");
    let text = pipe_cli::kinds_as_markdown(&pipe_stdlib::kinds().unwrap());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == text, "docs/nodes.md is out of date: `UPDATE_DOCS=1 cargo test docs` writes it");
}
