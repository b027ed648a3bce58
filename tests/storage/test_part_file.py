"""The part file, with real faults: full disks, links in the way, folders that vanish."""

from __future__ import annotations

import hashlib
import os
import resource
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from transfermon.http.digests import Hashes
from transfermon.model.errors import Retry, TransferFailure
from transfermon.storage.disk_space import free_space
from transfermon.storage.held_folder import HeldFolder
from transfermon.storage.linux_calls import boot_id, mount_id
from transfermon.storage.part_file import PartFile, PartMissing

M = 1024 * 1024
ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


@pytest.fixture
def part(tmp_path: Path) -> Iterator[PartFile]:
    made = PartFile.create(str(tmp_path))
    yield made
    made.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB of its own."""
    place = tmp_path / "small"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m,nr_inodes=8", "tmpfs", str(place)]
    if not ROOT or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("needs the right to mount a small file system")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def test_a_part_is_private_hidden_and_empty(part: PartFile, tmp_path: Path):
    status = os.stat(part.path)
    assert stat.S_IMODE(status.st_mode) == 0o600
    assert status.st_size == 0
    (name,) = names(tmp_path)
    assert name.startswith(".transfermon-")
    assert name.endswith(".part")
    assert len(name) == len(".transfermon-.part") + 16
    assert not os.get_inheritable(part.fd)


def test_what_is_written_can_be_read_cut_and_hashed(part: PartFile):
    data = os.urandom(3 * M + 7)
    assert part.write(0, data[: 2 * M]) == 2 * M
    part.write(2 * M, data[2 * M :])
    part.sync()
    assert part.length() == len(data)
    assert part.read(2 * M - 1, M) == data[2 * M - 1 : 3 * M - 1]
    assert part.read(3 * M, M) == data[3 * M :]
    assert part.digest("sha-256", M + 1) == hashlib.sha256(data[: M + 1]).hexdigest()
    part.cut(5)
    assert part.read(0, 100) == data[:5]


def test_hashes_go_on_with_what_others_brought(part: PartFile):
    data = os.urandom(2 * M + 3)
    part.write(0, data)
    hashes = Hashes(["sha-256", "md5"])
    hashes.update(memoryview(data)[:1000])  # came in its order
    part.write(0, b"x" * 1000)  # and is not read again
    part.feed(hashes, len(data))
    assert hashes.count == len(data)
    assert hashes.value("sha-256") == hashlib.sha256(data).hexdigest()
    assert hashes.value("md5") == hashlib.md5(data).hexdigest()
    part.feed(hashes, len(data))
    assert hashes.count == len(data)
    with pytest.raises(TransferFailure):
        part.feed(hashes, len(data) + 1)


def test_a_digest_needs_all_its_bytes_and_a_known_name(part: PartFile):
    part.write(0, b"abc")
    with pytest.raises(TransferFailure) as caught:
        part.digest("sha-512", 4)
    assert caught.value.code == -3001
    with pytest.raises(ValueError, match="crc"):
        part.digest("crc-64", 3)


@pytest.mark.parametrize("make", ["nothing", "a file"])
def test_a_folder_that_is_none_is_refused_in_words(make: str, tmp_path: Path):
    place = tmp_path / "downloads"
    if make == "a file":
        place.write_text("x")
    with pytest.raises(TransferFailure) as caught:
        PartFile.create(str(place))
    error = caught.value.error
    assert (error.code, error.reason, error.retry) == (-3000, "disk.missing-folder", Retry.FINAL)
    assert str(place) in error.message
    assert error.hint


def test_a_folder_that_takes_no_files_is_refused_in_words():
    with pytest.raises(TransferFailure) as caught:
        PartFile.create("/proc/self")
    assert caught.value.code == -3000
    assert caught.value.error.message.endswith(".")


@pytest.mark.skipif(ROOT, reason="root may write everywhere")
def test_a_folder_without_the_right_to_write_is_refused(tmp_path: Path):
    tmp_path.chmod(0o500)
    with pytest.raises(TransferFailure) as caught:
        PartFile.create(str(tmp_path))
    assert (caught.value.code, caught.value.error.reason) == (-3000, "disk.permission")


def test_a_read_only_disk_is_refused_in_words(small_disk: Path):
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(TransferFailure) as caught:
        PartFile.create(str(small_disk))
    assert (caught.value.code, caught.value.error.reason) == (-3000, "disk.read-only")


def test_a_full_disk_keeps_what_is_there_and_is_waited_for(small_disk: Path):
    part = PartFile.create(str(small_disk))
    part.write(0, b"x" * M)
    with pytest.raises(TransferFailure) as caught:
        part.write(M, b"y" * (2 * M))
    error = caught.value.error
    assert (error.code, error.reason, error.retry) == (-3003, "disk.full", Retry.WAIT)
    assert part.read(0, M) == b"x" * M
    part.close()


def test_without_inodes_a_part_cannot_be_made(small_disk: Path):
    while os.statvfs(small_disk).f_favail:
        PartFile.create(str(small_disk)).close()
    with pytest.raises(TransferFailure) as caught:
        PartFile.create(str(small_disk))
    assert (caught.value.code, caught.value.error.reason) == (-3000, "disk.full")


def test_a_file_that_outgrows_its_limit_says_so(part: PartFile):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (M, before[1]))
    try:
        with pytest.raises(TransferFailure) as caught:
            part.write(0, b"x" * (M + 1))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert (caught.value.code, caught.value.error.reason) == (-3003, "disk.too-large")


def test_a_reservation_leaves_the_length_alone_and_a_cut_gives_it_back(part: PartFile):
    part.write(0, b"abc")
    if not part.reserve(8 * M):
        pytest.skip("this file system cannot reserve")
    assert part.length() == 3
    assert os.fstat(part.fd).st_blocks * 512 >= 8 * M
    part.cut(3)
    assert os.fstat(part.fd).st_blocks * 512 < M


def test_a_strangers_huge_length_takes_at_most_half_of_the_free_space(
    part: PartFile, tmp_path: Path
):
    before = free_space(str(tmp_path))
    part.reserve(2**62)
    assert free_space(str(tmp_path)) > before * 0.4
    assert part.length() == 0
    part.cut(0)


def test_small_files_and_memory_disks_are_not_reserved(part: PartFile, small_disk: Path):
    assert part.reserve(1000) is False
    other = PartFile.create(str(small_disk))
    assert other.reserve(M) is False
    other.close()


@pytest.mark.parametrize(
    ("length", "durable", "same_boot", "same_mount", "good"),
    [
        (1000, 600, True, True, 1000),
        (1000, 600, False, True, 600),
        (1000, 600, True, False, 600),
        (600, 600, False, False, 600),
        (500, 600, True, True, 0),
        (500, 600, False, False, 0),
        (0, 0, True, True, 0),
    ],
)
def test_a_reopened_part_is_good_up_to_what_can_be_trusted(
    tmp_path: Path, length: int, durable: int, same_boot: bool, same_mount: bool, good: int
):
    part = PartFile.create(str(tmp_path))
    part.write(0, b"x" * length)
    mount = mount_id(part.fd)
    part.close()
    again, usable = PartFile.reopen(
        part.path,
        durable,
        boot_id() if same_boot else "another",
        mount if same_mount else mount + 1,
    )
    assert usable == good == again.length()
    again.close()


def test_without_a_boot_id_only_the_checkpoint_counts(tmp_path: Path):
    part = PartFile.create(str(tmp_path))
    part.write(0, b"x" * 10)
    part.close()
    again, usable = PartFile.reopen(part.path, 4, "", 1)
    assert usable == 4
    again.close()


@pytest.mark.parametrize("what", ["gone", "folder gone", "link", "hard link", "folder", "pipe"])
def test_a_part_that_is_not_our_own_regular_file_is_missing(what: str, tmp_path: Path):
    folder = tmp_path / "d"
    folder.mkdir()
    part = PartFile.create(str(folder))
    part.close()
    other = tmp_path / "precious"
    other.write_bytes(b"precious")
    if what == "hard link":
        os.link(part.path, tmp_path / "second")
    else:
        os.unlink(part.path)
    if what == "folder gone":
        folder.rmdir()
    elif what == "link":
        os.symlink(other, part.path)
    elif what == "folder":
        os.mkdir(part.path)
    elif what == "pipe":
        os.mkfifo(part.path)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(PartMissing):
        PartFile.reopen(part.path, 0, boot_id(), 1)
    assert len(os.listdir("/proc/self/fd")) == before
    assert other.read_bytes() == b"precious"


@pytest.mark.skipif(not ROOT, reason="needs another owner's file")
def test_a_part_of_another_owner_is_missing(part: PartFile):
    os.chown(part.path, 12345, -1)
    with pytest.raises(PartMissing):
        PartFile.reopen(part.path, 0, boot_id(), 1)


def test_finishing_gives_the_final_name_and_an_ordinary_mode(part: PartFile, tmp_path: Path):
    part.write(0, b"whole")
    before = os.umask(0o027)
    try:
        path = part.finish("a.bin", overwrite=False)
    finally:
        os.umask(before)
    assert path == str(tmp_path / "a.bin")
    assert names(tmp_path) == ["a.bin"]
    assert Path(path).read_bytes() == b"whole"
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o640


def test_an_existing_file_is_never_touched_without_a_word(tmp_path: Path):
    (tmp_path / "a.tar.gz").write_text("old")
    made = []
    for text in (b"one", b"two", b"three"):
        part = PartFile.create(str(tmp_path))
        part.write(0, text)
        made.append(os.path.basename(part.finish("a.tar.gz", overwrite=False)))
        part.close()
    assert made == ["a (1).tar.gz", "a (2).tar.gz", "a (3).tar.gz"]
    assert (tmp_path / "a.tar.gz").read_text() == "old"
    assert (tmp_path / "a (2).tar.gz").read_bytes() == b"two"


def test_a_sync_that_fails_is_told():
    reading, writing = os.pipe()
    part = PartFile("/somewhere/part", writing, HeldFolder("/somewhere"))
    with pytest.raises(TransferFailure) as caught:
        part.sync()
    assert (caught.value.code, caught.value.error.reason) == (-3003, "disk.io")
    part.close()
    os.close(reading)


def test_the_first_free_number_is_taken(tmp_path: Path):
    for name in ("a.txt", "A (1).txt", "a (3).txt"):
        (tmp_path / name).write_text("old")
    part = PartFile.create(str(tmp_path))
    assert part.finish("a.txt", overwrite=False).endswith("/a (2).txt")
    part.close()


@pytest.mark.parametrize("what", ["link", "dangling link", "folder"])
def test_whatever_has_the_name_is_left_alone(what: str, part: PartFile, tmp_path: Path):
    target = tmp_path / "precious"
    if what != "dangling link":
        target.write_text("precious")
    if what == "folder":
        (tmp_path / "a").mkdir()
    else:
        (tmp_path / "a").symlink_to(target)
    assert part.finish("a", overwrite=False) == str(tmp_path / "a (1)")
    assert target.exists() is (what != "dangling link")


def test_overwriting_replaces_the_file_and_keeps_its_mode_but_never_runs(
    part: PartFile, tmp_path: Path
):
    old = tmp_path / "a"
    old.write_text("old")
    old.chmod(0o754)
    part.write(0, b"new")
    assert part.finish("a", overwrite=True) == str(old)
    assert old.read_text() == "new"
    assert stat.S_IMODE(old.stat().st_mode) == 0o644


def test_overwriting_a_link_replaces_the_link_not_its_target(part: PartFile, tmp_path: Path):
    target = tmp_path / "precious"
    target.write_text("precious")
    (tmp_path / "a").symlink_to(target)
    part.write(0, b"new")
    part.finish("a", overwrite=True)
    assert target.read_text() == "precious"
    assert not (tmp_path / "a").is_symlink()


def test_a_folder_cannot_be_overwritten_and_the_part_stays(part: PartFile, tmp_path: Path):
    (tmp_path / "a").mkdir()
    part.write(0, b"new")
    with pytest.raises(TransferFailure) as caught:
        part.finish("a", overwrite=True)
    assert caught.value.code == -3005
    assert stat.S_IMODE(os.stat(part.path).st_mode) == 0o600
    assert part.read(0, 9) == b"new"


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/a", "a\0b"])
def test_a_final_name_is_one_component(name: str, part: PartFile):
    with pytest.raises(ValueError):
        part.finish(name, overwrite=False)


def test_a_name_too_long_for_the_disk_is_cut(part: PartFile, tmp_path: Path):
    path = part.finish("x" * 300 + ".txt", overwrite=False)
    assert os.path.basename(path).startswith("xxx")
    assert path.endswith(".txt")
    assert len(names(tmp_path)) == 1


def test_a_folder_that_moved_takes_the_file_along(tmp_path: Path):
    (tmp_path / "old").mkdir()
    part = PartFile.create(str(tmp_path / "old"))
    part.write(0, b"x")
    (tmp_path / "old").rename(tmp_path / "new")
    (tmp_path / "old").symlink_to("/")
    assert part.finish("a", overwrite=False) == str(tmp_path / "new" / "a")
    assert not os.path.exists("/a")
    part.close()


def test_a_part_that_was_removed_or_replaced_is_not_finished(part: PartFile, tmp_path: Path):
    os.unlink(part.path)
    Path(part.path).write_text("somebody else's")
    with pytest.raises(TransferFailure) as caught:
        part.finish("a", overwrite=False)
    assert caught.value.code == -3005
    assert "removed" in caught.value.error.message
    part.discard()
    assert Path(part.path).read_text() == "somebody else's"


@pytest.mark.parametrize("then", ["nothing", "another disk"])
def test_a_disk_that_was_taken_away_is_no_place_to_have_saved_in(small_disk: Path, then: str):
    """Unmounted lazily, the open file lives on, and no path leads to it."""
    part = PartFile.create(str(small_disk))
    part.write(0, b"what nobody would find")
    subprocess.run(["umount", "-l", str(small_disk)], check=True)
    # for the fixture, too
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(small_disk)], check=True)
    if then == "nothing":
        subprocess.run(["umount", "-l", str(small_disk)], check=True)
    with pytest.raises(TransferFailure) as caught:
        part.finish("f.bin", overwrite=False)
    if then == "nothing":
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(small_disk)], check=True)
    assert caught.value.error.reason == "disk.missing-folder"
    assert names(small_disk) == []
    part.close()


def test_a_folder_that_was_moved_is_followed(tmp_path: Path):
    (tmp_path / "one").mkdir()
    part = PartFile.create(str(tmp_path / "one"))
    (tmp_path / "one").rename(tmp_path / "two")
    assert part.finish("f.bin", overwrite=False) == str(tmp_path / "two" / "f.bin")
    part.close()


def test_discarding_removes_the_part_and_may_be_repeated(part: PartFile, tmp_path: Path):
    part.discard()
    part.close()
    assert names(tmp_path) == []


def test_no_descriptor_is_left_open(tmp_path: Path):
    before = len(os.listdir("/proc/self/fd"))
    for number in range(5):
        part = PartFile.create(str(tmp_path))
        again, _ = PartFile.reopen(part.path, 0, boot_id(), mount_id(part.fd))
        part.close()
        again.finish(f"{number}", overwrite=False)
        again.close()
        with pytest.raises(TransferFailure):
            PartFile.create(str(tmp_path / "none"))
    assert len(os.listdir("/proc/self/fd")) == before


WRITER = """
import sys
from transfermon.storage.linux_calls import mount_id
from transfermon.storage.part_file import PartFile
part = PartFile.create(sys.argv[1])
part.reserve(1 << 26)
print(part.path, mount_id(part.fd), flush=True)
offset = 0
while True:
    offset += part.write(offset % (1 << 26), bytes([offset // 70001 % 251]) * 70001) if offset < 1 << 26 else 0
"""


def test_after_a_kill_the_length_is_a_prefix_of_right_bytes(tmp_path: Path):
    child = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    path, mount = child.stdout.readline().split()
    while os.stat(path).st_size < 5 * M:
        assert child.poll() is None
    child.kill()
    child.wait()
    child.stdout.close()
    part, good = PartFile.reopen(path, 0, boot_id(), int(mount))
    assert good >= 5 * M
    data = part.read(0, good)
    expected = b"".join(bytes([number % 251]) * 70001 for number in range(good // 70001 + 1))
    assert data == expected[:good]
    part.close()
