# Recipes for contributors: `just` lists them.

_default:
    @just --list

# Train and evaluate a classifier without any data of one's own
quickstart:
    cargo run --release -- run pipelines/quickstart.yaml

# All tests; those on real photos are skipped where these are not there
test:
    cargo test --workspace

# What a change must pass
check:
    .ci/run

# Write docs/nodes.md anew from the specifications
nodes:
    UPDATE_DOCS=1 cargo test --test tests docs

# Accept what kinds give now, after raising their versions
golden:
    UPDATE_GOLDEN=1 cargo test --test tests golden

# Measure the cache beside other tools, and write docs/performance.md
bench:
    cargo build --release --workspace
    cargo run --release -p pipe-bench -- cache --write docs/performance.md

# Measure a GPU beside PyTorch, and write docs/performance.md
bench-gpu python="python3":
    cargo build --release --workspace
    cargo run --release -p pipe-bench -- gpu --python {{python}} --write docs/performance.md

# Accept what the terminal shows now as what it should show
snapshots:
    INSTA_UPDATE=always cargo test --test tests mistakes
