#!/usr/bin/env bash
# storage.sh ADDRESS INITIATOR PACKAGES SECRET: installs vdsprovd and serves a LUN of 1 GiB at ADDRESS to INITIATOR.
#
# PACKAGES is the folder with the Debian packages, SECRET the file with the CHAP secret, which is removed. What is there
# already stays as it is, so it can be run again.
set -euo pipefail
address=$1 initiator=$2 packages=$3 secret=$4
export DEBIAN_FRONTEND=noninteractive
target=iqn.2026-11.org.example:storage

install=(apt-get install -y "$packages"/*.deb)
"${install[@]}" || { apt-get update && "${install[@]}"; } # a box has old lists of packages, or none

install -d -m 700 /srv/luns
if [ ! -e /etc/vdsprovd/vdsprovd.toml ]; then
  sed "s|^#portals = .*|portals = [\"$address:3260\"]|" /usr/share/doc/vdsprovd/examples/vdsprovd.toml \
    >/etc/vdsprovd/vdsprovd.toml
fi
vdsprovd --check
systemctl start vdsprovd.socket vdsprovd.service

if ! vdsprovctl target show "$target" >/dev/null 2>&1; then
  vdsprovctl target create "$target" --portal all
  vdsprovctl lun create data --size 1G --target "$target" --initiator "$initiator"
fi
if [ -e "$secret" ]; then
  vdsprovctl target chap set "$target" <"$secret"
  rm "$secret"
fi
vdsprovctl lun list
