#!/usr/bin/env bash
# Makes the development virtualenv from locks/dev.txt and prints its path; with --uv, only uv, and prints that path.
#
#   $DISTILLERY_CACHE/venv-<key>   one per lock file, Python and uv version, shared by every clone
#   $DISTILLERY_CACHE/venv         symlink to the one made last
#   $DISTILLERY_CACHE/uv           wheels; hard links of what the virtualenv holds, so they cost no extra space
#
# Neither holds this project's code: pytest, mypy and the Makefile put the packages of their own clone on the path.
set -euo pipefail

cache=${DISTILLERY_CACHE:-/var/cache/distillery}
repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
lock_file=$repo/locks/dev.txt
uv_version=$(<"$repo/hack/uv-version")

install_python() {
  [ "$(id -u)" = 0 ] || { echo "hack/venv.sh: install python3.11 with its venv module first" >&2; exit 1; }
  apt-get update -qq && apt-get install -y -qq --no-install-recommends python3.11 python3.11-venv >&2
}

# uv is a single program; an ordinary virtualenv of its own brings it.
make_uv() {
  [ -e "$uv_home/complete" ] && return
  rm -rf "$uv_home"
  "$python" -m venv "$uv_home"
  "$uv_home/bin/pip" install --quiet --disable-pip-version-check "uv==$uv_version" >&2
  touch "$uv_home/complete"
}

# A virtualenv cannot be built elsewhere and moved here: its scripts name its path. The marker, written last, tells a
# finished one from the remains of an interrupted run.
make_venv() {
  [ -e "$venv/complete" ] && return
  rm -rf "$venv"
  "$uv_home/bin/uv" venv --quiet --no-config --python "$python" "$venv"
  "$uv_home/bin/uv" pip install --quiet --no-config --python "$venv/bin/python" --require-hashes --no-deps \
    --compile-bytecode -r "$lock_file" >&2
  touch "$venv/complete"
}

point_symlink() {
  [ "$(readlink "$cache/venv" || true)" = "$venv" ] && return
  ln -sfn "$venv" "$cache/venv.next" && mv -T "$cache/venv.next" "$cache/venv"
}

describe='import ensurepip, os, sys; print(os.path.realpath(sys.executable), sys.version.split()[0])'
described=$(python3.11 -c "$describe" 2>/dev/null) || { install_python && described=$(python3.11 -c "$describe"); }
python=${described% *}
uv_home=$cache/uv-$uv_version
export UV_CACHE_DIR=$cache/uv

mkdir -p "$cache"
exec 9>"$cache/venv.lock"
flock 9
make_uv
if [ "${1:-}" = --uv ]; then
  echo "$uv_home/bin/uv"
  exit
fi
key=$({ grep -v "^ *#" "$lock_file"; echo "$uv_version $python"; echo "Python ${described#* }"; } | sha256sum | cut -c1-12)
venv=$cache/venv-$key
make_venv
point_symlink
echo "$venv"
