"""The map beside a part whose bytes do not come in their order: what of it is believed, and when."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from transfermon.model.ranges import of_stored
from transfermon.storage import linux_calls, part_names, range_map
from transfermon.storage.held_folder import HeldFolder
from transfermon.storage.part_file import PartFile

TOTAL = 1_000_000
CHECKPOINT = of_stored([(0, 1000), (500_000, 500_010)], TOTAL)


@pytest.fixture
def part(tmp_path: Path) -> PartFile:
    return PartFile.create(str(tmp_path), mark="abcdef")


def again(part: PartFile, boot: str | None = None, mount: int | None = None) -> object:
    """What of it is good after its process has ended."""
    mount = linux_calls.mount_id(part.fd) if mount is None else mount
    part.close()
    boot = linux_calls.boot_id() if boot is None else boot
    reopened, good = PartFile.reopen_ranges(part.path, CHECKPOINT, boot, mount)
    reopened.close()
    return good


def filled(part: PartFile) -> None:
    """With what the test's map tells of."""
    part.write(0, b"a" * 2000)
    part.write(500_000, b"b" * 3000)
    written = part.new_map(TOTAL, [(0, 1000)])
    row = written.add(500_000)
    written.put(0, 2000)
    written.put(row, 503_000)
    written.close()


def test_on_the_same_boot_and_mount_the_map_is_the_progress(part: PartFile):
    filled(part)
    assert again(part) == ((0, 2000, 500_000), (500_000, 503_000, TOTAL))
    assert os.path.getsize(part.path) == 503_000


@pytest.mark.parametrize(("boot", "mount"), [("another", None), ("", None), (None, 1), (None, 0)])
def test_after_anything_else_the_last_checkpoint_is(
    part: PartFile, boot: str | None, mount: int | None
):
    filled(part)
    assert again(part, boot, mount) == CHECKPOINT
    assert not os.path.exists(part_names.map_of(part.path))  # nobody may believe it later


def test_a_map_of_another_part_is_not_believed(part: PartFile, tmp_path: Path):
    filled(part)
    other = PartFile.create(str(tmp_path))
    other.write(500_009, b"x")
    os.replace(part_names.map_of(part.path), part_names.map_of(other.path))
    assert again(other) == CHECKPOINT


@pytest.mark.parametrize("size", [0, 10, 40])
def test_a_map_that_is_cut_short_is_not_believed(part: PartFile, size: int):
    filled(part)
    os.truncate(part_names.map_of(part.path), size)
    assert again(part) == CHECKPOINT


def test_a_part_that_is_shorter_than_its_map_loses_what_is_behind_its_end(part: PartFile):
    filled(part)
    os.truncate(part.path, 400_000)
    assert again(part) == ((0, 2000, TOTAL),)


def test_a_part_that_has_lost_its_beginning_has_nothing(part: PartFile):
    filled(part)
    os.truncate(part.path, 1999)
    assert again(part) == ((0, 0, TOTAL),)


def test_a_map_goes_with_its_part(part: PartFile):
    filled(part)
    part.discard()
    assert not os.listdir(os.path.dirname(part.path))


def test_a_map_goes_with_its_part_by_path(part: PartFile):
    filled(part)
    part.close()
    assert part_names.remove_part(part.path)
    assert not os.listdir(os.path.dirname(part.path))


def test_a_map_without_a_part_is_swept(part: PartFile, tmp_path: Path):
    filled(part)
    part_names.sweep_parts([str(tmp_path)], "abcdef", [])
    assert len(os.listdir(tmp_path)) == 2
    os.unlink(part.path)
    part_names.sweep_parts([str(tmp_path)], "bcdefa", [])
    assert len(os.listdir(tmp_path)) == 1
    part_names.sweep_parts([str(tmp_path)], "abcdef", [])
    assert not os.listdir(tmp_path)


def test_rows_are_used_once_and_come_to_an_end(part: PartFile):
    written = part.new_map(TOTAL, [(0, 1)])
    for number in range(1, range_map.ROWS):
        assert written.add(10 * number) == number
    assert written.full
    written.drop()
    assert not os.path.exists(part_names.map_of(part.path))


def test_what_cannot_be_written_says_less(part: PartFile):
    filled(part)
    written = part.new_map(TOTAL, [(0, 2000)])
    written.close()
    written.put(0, 3000)  # as on a full disk
    part.close()
    folder = HeldFolder.open(os.path.dirname(part.path))
    found = range_map.stored_in_map(folder, os.path.basename(part.path), os.stat(part.path).st_ino)
    folder.close()
    assert found == ((0, 2000),)


def test_a_killed_process_leaves_what_it_wrote(tmp_path: Path):
    script = f"""
import os, signal
from transfermon.storage.part_file import PartFile
part = PartFile.create({str(tmp_path)!r})
rows = part.new_map({TOTAL}, [(0, 0)])
part.write(0, b"x" * 70_000)
for at in range(1, 70_001):
    rows.put(0, at)
print(part.path, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    path = ended.stdout.strip()
    with open(path, "rb") as file:
        mount = linux_calls.mount_id(file.fileno())
    part, good = PartFile.reopen_ranges(path, ((0, 0, TOTAL),), linux_calls.boot_id(), mount)
    part.close()
    assert good == ((0, 70_000, TOTAL),)
