#!/usr/bin/env bash
# Imports every module and runs the fast tests on every supported Python, with the oldest and the
# newest supported TensorFlow and protobuf, each in an environment that is thrown away afterwards.
#
#     make matrix                      every Python, oldest with oldest and newest with newest
#     scripts/matrix.sh 3.12           one Python
#     FULL=1 scripts/matrix.sh         TensorFlow and protobuf across as well
#
# A Python that PATH lacks is skipped by name. Takes some minutes for each combination.
set -euo pipefail
cd "$(dirname "$0")/.."
unset PYTHONPATH
pythons=("$@")
((${#pythons[@]})) || pythons=(3.10 3.11 3.12 3.13)
pairs=("2.20.* 6.31.1" "2.21.* 7.*") # TensorFlow and protobuf
[[ -n ${FULL:-} ]] && pairs+=("2.20.* 7.*" "2.21.* 6.31.1")
packages=(rules config utils ops datasets dataset_tools builders metrics data)
venv=.venv-matrix
trap 'rm -rf "$venv"' EXIT
summary=()
failed=0

finds() { # where python$1 is: on PATH, else among pyenv's, whose shims answer for one version only
    if "python$1" -c '' 2>/dev/null; then
        command -v "python$1"
    elif command -v pyenv >/dev/null; then
        ls -d "$(pyenv root)"/versions/"$1".*/bin/python 2>/dev/null | tail -n 1
    fi
}

tests() { # with Python $1: an environment with TensorFlow $2 and protobuf $3, imports, fast tests
    "$1" -m venv --clear "$venv" &&
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
            "tensorflow==$2" "protobuf==$3" --editable '.[test]' &&
        "$venv/bin/python" scripts/import_all.py &&
        "$venv/bin/python" -m pytest -q "${existing[@]}"
}

existing=()
for package in "${packages[@]}"; do
    [[ -d tests/$package ]] && existing+=("tests/$package")
done
for version in "${pythons[@]}"; do
    python=$(finds "$version" || true)
    if [[ -z $python ]]; then
        summary+=("skipped  Python $version: PATH has none")
        continue
    fi
    for pair in "${pairs[@]}"; do
        read -r tensorflow protobuf <<<"$pair"
        what="Python $version, tensorflow $tensorflow, protobuf $protobuf"
        printf '\n== %s\n' "$what"
        if tests "$python" "$tensorflow" "$protobuf"; then
            summary+=("passed   $what")
        else
            summary+=("FAILED   $what")
            failed=1
        fi
    done
done
printf '\n'
printf '%s\n' "${summary[@]}"
exit "$failed"
