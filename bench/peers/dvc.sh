#!/bin/sh
# DVC: one stage per step, the folder of photos a dependency; it compares MD5 sums and knows no jobs.
set -eu
here=$(cd "$(dirname "$0")" && pwd)

start() {
    [ -d .dvc ] || dvc init --no-scm --quiet
    # site_cache_dir: its memory of file sums stays in the project, so that a new one starts with none.
    cat >.dvc/config <<EOF
[core]
    analytics = false
    autostage = false
    check_update = false
    no_scm = True
    site_cache_dir = $PWD/.dvc/site
[cache]
    type = "reflink,hardlink,copy"
EOF
}

case ${1-} in
version)
    command -v dvc >/dev/null || exit 1
    echo "dvc $(dvc --version)"
    ;;
photos)
    cp "$here/work.py" "$2/work.py"
    cd "$2"
    start
    cat >dvc.yaml <<'EOF'
stages:
  split:
    cmd: python3 work.py split label.csv split.csv
    deps: [label.csv, objects, work.py]
    outs: [split.csv]
  features:
    cmd: python3 work.py features split.csv objects features.json
    deps: [split.csv, objects, work.py]
    outs: [features.json]
EOF
    ;;
nodes)
    mkdir -p "$2/out"
    cd "$2"
    start
    echo input >input.txt
    awk -v n="$3" -v shape="$4" 'BEGIN {
        print "stages:"
        for (i = 0; i < n; i++) {
            from = shape == "deep" && i > 0 ? "out/" (i - 1) ".txt" : "input.txt"
            printf "  step%d:\n    cmd: cat %s > out/%d.txt\n", i, from, i
            printf "    deps: [%s]\n    outs: [out/%d.txt]\n", from, i
        }
    }' >dvc.yaml
    ;;
run)
    cd "$2"
    # DVC starts commands through $SHELL.
    export SHELL=/bin/sh
    exec dvc repro --quiet
    ;;
*)
    echo "usage: $0 version | photos DIR | nodes DIR N deep|wide | run DIR" >&2
    exit 2
    ;;
esac
