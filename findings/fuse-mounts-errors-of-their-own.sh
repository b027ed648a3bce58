#!/bin/sh
# rclone 1.60.1 (Debian 12) refuses link(2) on its mounts with EIO, "Input/output
# error". POSIX has EOPNOTSUPP or EPERM for a file system without hard links; EIO is what a dying disk says. A program
# that gives a finished file its name by link() takes the disk for broken. Why it matters here: transfermon tries each
# way to give a name, and takes only EEXIST for an answer (src/transfermon/storage/file_system.py).
# exfat-fuse 1.3.0 answers ENOENT, "No such file or directory", where a name that exFAT cannot hold is to be created, in
# place of EINVAL; fusefat 0.1a answers EPERM to names that are not ASCII, and to a truncate to the length that the file
# has. Why it matters here: no error number tells a refused name from a missing folder, so names are tried beforehand
# beside an ordinary one (src/transfermon/storage/name_trial.py), and a cut that changes nothing is not made.
# Needs root, FUSE, a loop device and Debian 12, from which it installs what is missing.
# Exits 0 while they behave like that, 1 when one does not any more, 77 where it cannot be tried.
set -eu
[ "$(id -u)" = 0 ] && [ -e /dev/fuse ] || { echo "needs root and FUSE"; exit 77; }
for program in rclone mount.exfat-fuse mkfs.exfat fusefat mkfs.vfat fusermount3; do
    command -v "$program" >/dev/null || {
        apt-get install -qq -y --no-install-recommends \
            "rclone=1.60.1*" "exfat-fuse=1.3.0*" "fusefat=0.1a*" exfatprogs dosfstools fuse3 >/dev/null || exit 77
    }
done
place=$(mktemp -d)
device=
ended() {
    for one in rclone exfat fat; do umount -l "$place/$one" 2>/dev/null || true; done
    [ -z "$device" ] || losetup -d "$device"
    rm -rf "$place"
}
trap ended EXIT
mkdir "$place/behind" "$place/rclone" "$place/exfat" "$place/fat"
rclone mount "$place/behind" "$place/rclone" --vfs-cache-mode writes --cache-dir "$place/cache" \
    --config "$place/rclone.conf" --daemon
truncate -s 40M "$place/exfat.image" "$place/fat.image"
mkfs.exfat "$place/exfat.image" >/dev/null
mkfs.vfat "$place/fat.image" >/dev/null
device=$(losetup -f --show "$place/exfat.image")
mount.exfat-fuse "$device" "$place/exfat" >/dev/null
fusefat "$place/fat.image" "$place/fat" -o rw+ >/dev/null 2>&1
rclone version | head -1
python3 - "$place" <<'EOF'
import errno
import os
import sys

place = sys.argv[1]


def said(call, *arguments):
    try:
        call(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno]
    return "done"


def create(name):
    os.close(os.open(f"{place}/{name}", os.O_CREAT | os.O_WRONLY, 0o600))


create("rclone/part")
with open(f"{place}/fat/part", "wb") as file:
    file.write(b"12345")
found = {
    "rclone: link": (said(os.link, f"{place}/rclone/part", f"{place}/rclone/name"), "EIO"),
    "exfat-fuse: create a:b": (said(create, "exfat/a:b"), "ENOENT"),
    "fusefat: create ä": (said(create, "fat/ä"), "EPERM"),
    "fusefat: truncate 5 bytes to 5": (said(os.truncate, f"{place}/fat/part", 5), "EPERM"),
}
for what, (answer, seen) in found.items():
    print(f"{what}: {answer}" + ("" if answer == seen else f", {seen} before"))
sys.exit(any(answer != seen for answer, seen in found.values()))
EOF
