#!/usr/bin/env bash
# Writes the runtime base as a tar file: Debian 12's Python 3.11 and C++ runtime; no shell, no package manager, no pip.
# Usage: images/base/rootfs.sh OUTPUT.tar
set -euo pipefail

# Packages are extracted, not installed, so the hook does what their scripts would have done and Python needs.
finish() {
  local root=${1:?}
  cat "$root"/usr/share/ca-certificates/mozilla/*.crt >"$root/etc/ssl/certs/ca-certificates.crt"
  ln -s python3.11 "$root/usr/bin/python3"
  printf 'root:x:0:0::/root:/sbin/nologin\nnonroot:x:65532:65532::/tmp:/sbin/nologin\n' >"$root/etc/passwd"
  printf 'root:x:0:\nnonroot:x:65532:\n' >"$root/etc/group"
  rm -f "$root/etc/resolv.conf" "$root/etc/hostname"
  rm -rf "$root"/usr/share/{man,info,locale,lintian,perl5} "$root"/etc/{cron.daily,logrotate.d,update-motd.d}
  rm -rf "$root"/usr/lib/python3.11/pydoc_data
  rm -rf "$root"/usr/{games,sbin,src,share/{debconf,gcc,gdb,pixmaps,menu}} "${root:?}"/{sbin,bin}/*
  find "$root/usr/bin" ! -name "python3*" -type f -delete
  find "$root/usr/share/doc" ! -name copyright -type f -delete
}

if [ "$1" = --finish ]; then
  finish "$2"
  exit
fi
mmdebstrap --quiet --mode=root --variant=extract \
  --include=python3.11-minimal,libpython3.11-stdlib,libstdc++6,libgcc-s1,ca-certificates,tzdata,netbase,base-files \
  --extract-hook="bash '$(readlink -f "$0")' --finish \"\$1\"" \
  bookworm "$1"
