#!/usr/bin/env bash
# Writes locks/*.txt from pyproject.toml: every version pinned, every file hashed, no index named.
# The image locks are constrained by the development lock, so tests run what the images hold.
# With arguments, they go to `uv pip compile`, for instance: hack/lock.sh --upgrade-package torch
set -euo pipefail

cache=${DISTILLERY_CACHE:-/var/cache/distillery}
cd "$(dirname "${BASH_SOURCE[0]}")/.."
uv=$(hack/venv.sh --uv)
export UV_CACHE_DIR=$cache/uv

compile() {
  local extra=$1
  shift
  "$uv" pip compile --quiet --no-config pyproject.toml --extra "$extra" \
    --python-version 3.11 --python-platform x86_64-manylinux_2_28 --generate-hashes \
    --custom-compile-command "make lock" --no-annotate --output-file "locks/$extra.txt" "$@"
}

mkdir -p locks
compile dev "$@"
for extra in operator worker server cli; do
  compile "$extra" --constraints locks/dev.txt
done
