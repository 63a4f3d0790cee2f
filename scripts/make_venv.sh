#!/usr/bin/env bash
# Makes a virtual environment with this package installed in it, for work and tests.
#
#     scripts/make_venv.sh .venv
#
# PYTHON names another interpreter than the newest of 3.10 to 3.13 that PATH has, EXTRAS other
# extras of setup.py than those for tests.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=${1:-.venv}

suits() { # whether a command is a Python that TensorFlow has wheels for
    "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null
}

if [[ -n ${PYTHON:-} ]]; then
    suits "$PYTHON" || { echo "PYTHON=$PYTHON is not a Python from 3.10 to 3.13" >&2; exit 1; }
else
    for candidate in python3 python3.13 python3.12 python3.11 python3.10; do
        if suits "$candidate"; then PYTHON=$candidate; break; fi
    done
    [[ -n ${PYTHON:-} ]] || { echo "PATH has no Python from 3.10 to 3.13" >&2; exit 1; }
fi

echo "making $venv with $("$PYTHON" --version) ..."
"$PYTHON" -m venv --clear "$venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --editable ".[${EXTRAS:-test}]"
touch "$venv/.installed"
