"""A container of Linux namespaces that stands in for Docker and the Supervisor.

The programs of this machine and our own files are mounted read-only; only the volume is
writable. The container has a network of its own, so nothing is announced or requested outside.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from .dockerfile import ROOT

UNPRIVILEGED = 10300  # user and group id that no machine assigns

HOST_NAME = "local-faster-whisper"

# $1 the new root, $2 the folder mounted at $3, $4 the folder whose files replace those of /etc,
# $5 the folders with the programs to run, $6 the user, $7 the host name, $8 the folder mounted at
# /opt/server, $9 more files and folders to mount read-only, each as SOURCE:TARGET; then the
# command. Folders with personal data, which may be unreadable for others,
# are left out. The root becomes read-only last, because mounts need mount points.
_ENTER = r"""
set -eu
root=$1 data=$2 volume=$3 etc=$4 ours=$5 user=$6 host=$7 server=$8 mounts=$9
shift 9
ip link set lo up
hostname "$host"
mount -t tmpfs none "$root"
for entry in /*; do
  case $entry in "$volume" | /home | /mnt | /opt | /root | /run | /srv | /tmp) continue ;; esac
  if [ -L "$entry" ]; then
    cp -P "$entry" "$root$entry"
  elif [ -d "$entry" ]; then
    mkdir "$root$entry"
    mount --rbind "$entry" "$root$entry"
    case $entry in /proc | /sys | /dev) ;; *) mount -o remount,bind,ro "$root$entry" ;; esac
  fi
done
for folder in $ours; do
  if [ ! -d "$root$folder" ]; then
    mkdir -p "$root$folder"
    mount --bind "$folder" "$root$folder"
    mount -o remount,bind,ro "$root$folder"
  fi
done
for file in "$etc"/*; do
  [ -e "$file" ] || continue
  mount --bind "$file" "$root/etc/${file##*/}"
done
mkdir -p "$root/opt/server"
mount --bind "$server" "$root/opt/server"
mount -o remount,bind,ro "$root/opt/server"
for mount in $mounts; do
  source=${mount%%:*} target=$root${mount#*:}
  if [ -d "$source" ]; then mkdir -p "$target"; else mkdir -p "${target%/*}"; touch "$target"; fi
  mount --bind "$source" "$target"
  mount -o remount,bind,ro "$target"
done
mkdir -p "$root$volume" "$root/tmp"  # may exist already: the programs can be in /tmp
mount --bind "$data" "$root$volume"
mount -o remount,bind,ro "$root"
cd "$root"
pivot_root . .
umount -l .
cd /
if [ "$user" = 0 ]; then
  exec "$@"
elif grep -q ' 4294967295$' /proc/self/uid_map; then
  exec setpriv --reuid "$user" --regid "$user" --clear-groups --no-new-privs "$@"
else
  exec unshare --map-user="$user" --map-group="$user" setpriv --no-new-privs "$@"
fi
"""


def enter(
    *command: str,
    scratch: Path,
    user: int = 0,
    volume: str = "/data",
    server: Path | None = None,
    mounts: Mapping[str, Path] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a command in a container and wait for it, for at most 50 s.

    Args:
        scratch: its folder "data" is mounted as the volume; the files in its folder "etc"
            replace those of /etc.
        user: 0, or the id of an unprivileged user.
        server: the folder mounted at /opt/server; an empty folder unless given.
        mounts: by their path in the container, more files and folders, which are read-only there.
    """
    for folder in ("root", "data", "etc", "server"):
        (scratch / folder).mkdir(parents=True, exist_ok=True)
    mapped = [] if os.geteuid() == 0 else ["--map-root-user"]
    if user and not mapped:
        subprocess.run(["chown", "-R", f"{user}:{user}", scratch / "data"], check=True)
    arguments = [
        *(str(scratch / "root"), str(scratch / "data"), volume, str(scratch / "etc")),
        # Shortest first: mounting a folder includes the folders inside it.
        " ".join(sorted((sys.base_prefix, sys.prefix, str(ROOT)), key=len)),
        *(str(user), HOST_NAME, str(server or scratch / "server")),
        " ".join(f"{source}:{target}" for target, source in (mounts or {}).items()),
        *command,
    ]
    return subprocess.run(
        [
            "unshare",
            "--mount",
            "--net",
            "--uts",
            *mapped,
            "sh",
            "-c",
            _ENTER,
            "enter",
            *arguments,
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )


@cache
def why_not(scratch: Path) -> str:
    """Return why this machine cannot run such a container; empty if it can."""
    for tool in ("unshare", "pivot_root", "ip", "hostname", "mount", "setpriv"):
        if shutil.which(tool) is None:
            return f"{tool} is not installed"
    code = f"import os, numpy; os.listdir({str(ROOT)!r})"
    trial = enter(sys.executable, "-c", code, scratch=scratch, user=UNPRIVILEGED)
    return "" if trial.returncode == 0 else f"no container of namespaces: {trial.stderr.strip()}"
