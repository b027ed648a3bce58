from __future__ import annotations

import errno

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfermon.storage import file_system
from transfermon.storage.file_system import MB


@pytest.mark.parametrize(
    ("kind", "ends"),
    [
        ("vfat", True),
        ("msdos", True),
        ("fuse.fusefat", True),
        ("fuseblk.vfat", True),
        ("exfat", False),
        ("fuse.exfat", False),
        ("fuseblk.exfat", False),
        ("fuseblk", False),
        ("ext4", False),
        ("fuse.exfat-fuse", False),
        ("", False),
    ],
)
def test_exfat_is_not_fat(kind: str, ends: bool):
    assert file_system.ends_at_4_gib(kind) == ends


@pytest.mark.parametrize(
    ("size", "left"),
    [(16 * MB, 16 * MB), (1600 * MB, 16 * MB), (5_000 * MB, 50 * MB), (4_000_000 * MB, 100 * MB)],
)
def test_the_reserve_is_one_per_cent_within_bounds(size: int, left: int):
    assert file_system.reserve(size) == left
    assert file_system.usable(size, size) == size - left
    assert file_system.usable(left, size) == file_system.usable(0, size) == 0


def test_a_disk_is_asked_again_with_more_room_only():
    assert not file_system.has_more_room(50 * MB, 50 * MB)
    assert not file_system.has_more_room(50 * MB + 4096, 50 * MB), "a log was rotated"
    assert file_system.has_more_room(52 * MB, 50 * MB)


@pytest.mark.parametrize(
    "number", [errno.EIO, errno.EPERM, errno.EINVAL, errno.ENOSYS, errno.EMLINK, errno.EACCES]
)
def test_only_a_name_that_is_taken_ends_the_search_for_a_way(number: int):
    assert file_system.may_try_another_way(number)
    assert not file_system.may_try_another_way(errno.EEXIST)


@pytest.mark.parametrize(
    ("number", "nothing"), [(errno.EPERM, True), (errno.ESPIPE, True), (errno.EIO, False)]
)
def test_a_disk_that_is_written_once_gives_nothing_back(number: int, nothing: bool):
    assert file_system.gives_nothing_back(number) == nothing


WRITTEN = (1, 77, 1000, 5_000_000_000)


@pytest.mark.parametrize(
    ("found", "same"),
    [
        (WRITTEN, True),
        ((9, 77, 1000, 9_000_000_000), True),  # touched; its disk was mounted anew
        ((1, 12, 1000, 5_000_000_000), True),  # another number by the next mount
        ((1, 12, 1000, 6_000_000_000), True),  # times to two seconds
        ((1, 77, 999, 5_000_000_000), False),  # written by somebody, or the number was given again
        ((1, 12, 1000, 9_000_000_000), False),  # another file of that size
        ((), False),
    ],
)
def test_a_file_is_known_again_by_size_and_inode_or_time(found: tuple[int, ...], same: bool):
    assert file_system.is_same_file(found, WRITTEN) == same


@given(st.integers(0, 1 << 40), st.integers(0, 1 << 40), st.sampled_from([0, 512, 4096, 1 << 20]))
def test_a_cut_is_left_out_only_where_the_length_stays(size: int, length: int, block: int):
    held = -(-size // max(block, 512)) * max(block, 512) // 512
    assert file_system.changes_nothing(size, held, block, length) == (size == length)
    assert not file_system.changes_nothing(size, held + 4096, block, size), (
        "reserved blocks are given back"
    )


@pytest.mark.parametrize(
    ("reason", "resumable", "useless"),
    [
        ("disk.full", False, True),
        ("disk.full", True, False),
        ("disk.append", True, True),
        ("net.closed", False, False),
        ("disk.io", False, False),
    ],
)
def test_a_part_goes_that_the_next_attempt_cannot_use(reason: str, resumable: bool, useless: bool):
    assert file_system.is_of_no_use(reason, resumable=resumable) == useless
