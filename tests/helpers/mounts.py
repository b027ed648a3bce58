"""File systems of our own for tests: images on loop devices, and programs that put one in front of
a folder.

Rule: each is there inside its block only. What is not installed or may not be mounted raises
`Unavailable` with one line why.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SIZE = 120_000_000
PACKAGES = {  # program: the package that brings it
    "mkfs.btrfs": "btrfs-progs",
    "mkfs.exfat": "exfatprogs",
    "mount.exfat-fuse": "exfat-fuse",
    "mkfs.vfat": "dosfstools",
    "fusefat": "fusefat",
    "mkntfs": "ntfs-3g",
    "ntfs-3g": "ntfs-3g",
    "bindfs": "bindfs",
    "rclone": "rclone",
    "losetup": "mount",
}


class Unavailable(Exception):  # noqa: N818 - a state of affairs
    pass


def _need(*programs: str) -> None:
    if os.geteuid() != 0:
        raise Unavailable("needs the right to mount")
    if not os.path.exists("/dev/fuse"):
        raise Unavailable("needs FUSE")
    for program in programs:
        if shutil.which(program) is None:
            raise Unavailable(
                f"{program} is not installed (package {PACKAGES.get(program, program)})"
            )


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unavailable(f"{command[0]}: {(done.stderr or done.stdout).strip()[:200]}")
    return done.stdout.strip()


@contextmanager
def _device(image: Path) -> Iterator[str]:
    """The image as a block device; its file system is made by the caller."""
    device = _run("losetup", "-f", "--show", str(image))
    try:
        yield device
    finally:
        subprocess.run(["losetup", "-d", device], check=False, capture_output=True)


@contextmanager
def _image(place: Path, *maker: str) -> Iterator[Path]:
    image = place.with_suffix(".image")
    with image.open("wb") as file:
        file.truncate(SIZE)
    _run(*maker, str(image))
    try:
        yield image
    finally:
        image.unlink()


def _unmounted(place: Path) -> None:
    subprocess.run(["umount", str(place)], check=False, capture_output=True)
    if os.path.ismount(place):
        subprocess.run(["umount", "-l", str(place)], check=False, capture_output=True)


@contextmanager
def _at(place: Path, *command: str) -> Iterator[Path]:
    """Mounted by that command, which returns when it is, or soon after."""
    try:
        _run(*command)
        end = time.monotonic() + 10
        while not os.path.ismount(place):
            if time.monotonic() > end:
                raise Unavailable(f"{command[0]} mounts nothing")
            time.sleep(0.02)
        yield place
    finally:
        _unmounted(place)


@contextmanager
def btrfs(place: Path) -> Iterator[Path]:
    _need("mkfs.btrfs", "losetup")
    made = _image(place, "mkfs.btrfs", "-q")
    with (
        made as image,
        _device(image) as device,
        _at(place, "mount", "-t", "btrfs", device, str(place)),
    ):
        yield place


@contextmanager
def exfat(place: Path) -> Iterator[Path]:
    _need("mkfs.exfat", "mount.exfat-fuse", "losetup")
    made = _image(place, "mkfs.exfat")
    with (
        made as image,
        _device(image) as device,
        _at(place, "mount.exfat-fuse", device, str(place)),
    ):
        yield place


@contextmanager
def fat(place: Path) -> Iterator[Path]:
    _need("mkfs.vfat", "fusefat")
    with (
        _image(place, "mkfs.vfat") as image,
        _at(place, "fusefat", str(image), str(place), "-o", "rw+"),
    ):
        yield place


@contextmanager
def ntfs(place: Path) -> Iterator[Path]:
    _need("mkntfs", "ntfs-3g", "losetup")
    made = _image(place, "mkntfs", "-F", "-q", "-Q")
    with made as image, _device(image) as device, _at(place, "ntfs-3g", device, str(place)):
        yield place


@contextmanager
def _served(place: Path, *command: str) -> Iterator[int]:
    """Mounted by a program that stays; its process."""
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 10
        while not os.path.ismount(place):
            if process.poll() is not None or time.monotonic() > end:
                raise Unavailable(f"{command[0]} mounts nothing here")
            time.sleep(0.02)
        yield process.pid
    finally:
        _unmounted(place)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)
        if process.poll() is None:
            process.kill()
            process.wait()


@contextmanager
def other_owner(place: Path) -> Iterator[Path]:
    """All files belong to another user, whoever makes them."""
    with hanging(place) as (mounted, _):
        yield mounted


@contextmanager
def hanging(place: Path) -> Iterator[tuple[Path, int]]:
    """As `other_owner`; it answers nothing while that process is stopped."""
    _need("bindfs")
    behind = place.with_suffix(".behind")
    behind.mkdir()
    with _served(place, "bindfs", "-f", "--force-user=nobody", str(behind), str(place)) as process:
        yield place, process


@contextmanager
def rclone(place: Path, cache: str = "writes") -> Iterator[Path]:
    _need("rclone", "fusermount3")
    behind = place.with_suffix(".behind")
    behind.mkdir()
    cached = [
        "--cache-dir",
        str(place.parent / "cache"),
        "--config",
        str(place.parent / "rclone.conf"),
    ]
    options = ["--vfs-cache-mode", cache, *cached]
    with _served(place, "rclone", "mount", str(behind), str(place), *options):
        yield place


def rclone_without_cache(place: Path) -> contextlib.AbstractContextManager[Path]:
    return rclone(place, "off")
