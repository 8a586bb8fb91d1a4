#!/bin/sh
# Snakemake: one rule per step, every photo an input; its default rerun triggers, unchanged.
set -eu
here=$(cd "$(dirname "$0")" && pwd)

case ${1-} in
version)
    command -v snakemake >/dev/null || exit 1
    echo "snakemake $(snakemake --version)"
    ;;
photos)
    cp "$here/work.py" "$2/work.py"
    cat >"$2/Snakefile" <<'EOF'
import csv

with open("label.csv", newline="") as file:
    NAMES = [row["objectId"] for row in csv.DictReader(file)]
PHOTOS = [f"objects/{name[:2]}/{name[2:4]}/{name}" for name in NAMES]

rule features:
    input: "work.py", PHOTOS, split="split.csv"
    output: "features.json"
    shell: "python3 work.py features {input.split} objects {output}"

rule split:
    input: "work.py", PHOTOS, labels="label.csv"
    output: "split.csv"
    shell: "python3 work.py split {input.labels} {output}"
EOF
    ;;
nodes)
    mkdir -p "$2"
    echo input >"$2/input.txt"
    cat >"$2/Snakefile" <<EOF
N, DEEP = $3, "$4" == "deep"

shell.executable("/bin/sh")

def source(wildcards):
    return f"out/{int(wildcards.i) - 1}.txt" if DEEP and wildcards.i != "0" else "input.txt"

rule all:
    input: expand("out/{i}.txt", i=range(N))

rule step:
    input: source
    output: "out/{i}.txt"
    shell: "cat {input} > {output}"
EOF
    ;;
run)
    cd "$2"
    exec snakemake -j4 --quiet all
    ;;
*)
    echo "usage: $0 version | photos DIR | nodes DIR N deep|wide | run DIR" >&2
    exit 2
    ;;
esac
