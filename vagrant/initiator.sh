#!/usr/bin/env bash
# initiator.sh ADDRESS INITIATOR SECRET: logs in as INITIATOR to what is served at ADDRESS, and mounts it at /mnt/lun.
#
# SECRET is the file with the CHAP secret, which is removed. It can be run again.
set -euo pipefail
address=$1 initiator=$2 secret=$3
export DEBIAN_FRONTEND=noninteractive

install=(apt-get install -y open-iscsi)
"${install[@]}" || { apt-get update && "${install[@]}"; } # a box has old lists of packages, or none

if [ -e "$secret" ]; then
  echo "InitiatorName=$initiator" >/etc/iscsi/initiatorname.iscsi
  sed -i '/^node.session.auth\.\|^node.startup/d' /etc/iscsi/iscsid.conf
  chmod 600 /etc/iscsi/iscsid.conf
  {
    echo "node.startup = automatic"
    echo "node.session.auth.authmethod = CHAP"
    echo "node.session.auth.username = $initiator"
    echo "node.session.auth.password = $(cat "$secret")"
  } >>/etc/iscsi/iscsid.conf
  rm "$secret"
  systemctl restart iscsid
fi
systemctl enable --now open-iscsi
target=$(iscsiadm -m discovery -t sendtargets -p "$address" | cut -d' ' -f2 | head -n 1)
iscsiadm -m session 2>/dev/null | grep -q " $target " || iscsiadm -m node -T "$target" -p "$address" --login
disk=/dev/disk/by-path/ip-$address:3260-iscsi-$target-lun-0
for _ in $(seq 100); do
  [ ! -e "$disk" ] || break
  sleep 0.1
done

# A disk with something on it is left alone.
blkid "$disk" >/dev/null || mkfs.ext4 -q "$disk"
mkdir -p /mnt/lun
grep -q " /mnt/lun " /etc/fstab || echo "$disk /mnt/lun ext4 _netdev,nofail 0 2" >>/etc/fstab
systemctl daemon-reload
mountpoint -q /mnt/lun || mount /mnt/lun
findmnt /mnt/lun
