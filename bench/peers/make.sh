#!/bin/sh
# GNU Make: one rule per step, every photo a prerequisite; it compares modification times.
set -eu
here=$(cd "$(dirname "$0")" && pwd)

case ${1-} in
version)
    command -v make >/dev/null || exit 1
    make --version | awk 'NR == 1 { print "make", $NF }'
    ;;
photos)
    cp "$here/work.py" "$2/work.py"
    cat >"$2/Makefile" <<'EOF'
# The paths of the photos that label.csv names.
PHOTOS := $(shell sed -E '1d; s|^(..)(..)([^,]*),.*|objects/\1/\2/\1\2\3|' label.csv)

features.json: split.csv work.py $(PHOTOS)
	python3 work.py features split.csv objects $@

split.csv: label.csv work.py $(PHOTOS)
	python3 work.py split label.csv $@

.DELETE_ON_ERROR:
EOF
    ;;
nodes)
    mkdir -p "$2/out"
    echo input >"$2/input.txt"
    awk -v n="$3" -v shape="$4" 'BEGIN {
        printf "all:"
        for (i = 0; i < n; i++) printf " out/%d.txt", i
        print "\n\n.PHONY: all\n.DELETE_ON_ERROR:"
        for (i = 0; i < n; i++) {
            from = shape == "deep" && i > 0 ? "out/" (i - 1) ".txt" : "input.txt"
            printf "\nout/%d.txt: %s\n\tcat %s > out/%d.txt\n", i, from, from, i
        }
    }' >"$2/Makefile"
    ;;
run)
    cd "$2"
    # -r: without its built-in rules, or it would look for a way to make every single photo.
    exec make -j4 -r -s
    ;;
*)
    echo "usage: $0 version | photos DIR | nodes DIR N deep|wide | run DIR" >&2
    exit 2
    ;;
esac
