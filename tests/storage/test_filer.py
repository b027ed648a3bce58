"""The filer: batches with names that collide and errors in the middle, its list of folders, and
what a crash leaves.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transfermon.model.errors import Code, TransferFailure
from transfermon.model.task import Kind, Task
from transfermon.storage import disk_failures, filer, small_parts
from transfermon.storage.filer import Filer, SmallFile, file_all
from transfermon.storage.name_trial import Targets

MARK = "abcdef"
NAMES = ("a.bin", "A.bin", "a (1).bin", "b", "b.tar.gz", "long" * 70 + ".txt", "ü.txt")
FAULTS = ("", "", "", "create", "name", "sync", "link")


class _RefusingTargets(Targets):
    """A disk that can hold no file of some names."""

    def settled(
        self, folder: str, name: str, *, given: bool, overwrite: bool, mark: str = ""
    ) -> str:
        if name.startswith("refused"):
            raise TransferFailure(disk_failures.name_refused("No such name here."))
        return super().settled(folder, name, given=given, overwrite=overwrite, mark=mark)


def a_file(folder: Path, number: int, name: str, data: bytes) -> SmallFile:
    return SmallFile(
        folder=str(folder), part=f".transfermon-{MARK}{number:010x}.part", name=name, data=data
    )


def failing(call: Callable[..., None], calls: set[int]) -> Callable[..., None]:
    """The system call, but for those of that order, which fail."""
    count = 0

    def called(*arguments: object, **more: object) -> None:
        nonlocal count
        count += 1
        if count in calls:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        call(*arguments, **more)

    return called


@settings(max_examples=60, deadline=None)
@given(
    files=st.lists(
        st.tuples(st.sampled_from(NAMES), st.binary(max_size=300), st.sampled_from(FAULTS)),
        min_size=1,
        max_size=12,
    ),
    there=st.sets(st.sampled_from(NAMES[:5])),
    unsynced=st.sets(st.integers(1, 12)),
    unlinked=st.sets(st.integers(1, 12)),
)
def test_each_file_of_a_batch_has_its_name_or_left_nothing(
    files: list[tuple[str, bytes, str]],
    there: set[str],
    unsynced: set[int],
    unlinked: set[int],
):
    with tempfile.TemporaryDirectory() as place, pytest.MonkeyPatch.context() as patched:
        folder = Path(place)
        for name in there:
            (folder / name).write_bytes(b"was there")
        batch = []
        for number, (name, data, fault) in enumerate(files):
            one = a_file(folder, number, name, data)
            if fault == "create":
                one.part = f"no-such-folder/{one.part}"
            elif fault == "name":
                one.name = f"refused {name[:20]}"
            batch.append(one)
        descriptors = os.listdir("/proc/self/fd")
        faults = {fault for _, _, fault in files}
        if "sync" in faults:
            patched.setattr(os, "fdatasync", failing(os.fdatasync, unsynced))
        if "link" in faults:
            patched.setattr(os, "link", failing(os.link, unlinked))
        file_all(place, batch, _RefusingTargets(), MARK)
        assert len(os.listdir("/proc/self/fd")) == len(descriptors)
        assert all((folder / name).read_bytes() == b"was there" for name in there)
        left = set(os.listdir(place)) - there
        for one in batch:
            assert one.error is None
            if one.path:
                assert Path(one.path).read_bytes() == one.data
                assert os.stat(one.path).st_nlink == 2
                assert os.path.samefile(one.path, one.part_path)
                left -= {os.path.basename(one.path), one.part}
            else:
                assert not os.path.exists(one.part_path)
        assert not left
        paths = [one.path for one in batch if one.path]
        assert len(set(paths)) == len(paths)
        if faults == {""}:
            assert len(paths) == len(batch)


def test_names_that_are_taken_are_numbered_as_ever(tmp_path: Path):
    (tmp_path / "a.bin").write_bytes(b"old")
    batch = [a_file(tmp_path, number, "a.bin", b"new") for number in range(3)]
    file_all(str(tmp_path), batch, Targets(), MARK)
    assert [os.path.basename(one.path) for one in batch] == [
        "a (1).bin",
        "a (2).bin",
        "a (3).bin",
    ]
    assert os.stat(batch[0].path).st_mode & 0o777 == 0o666 & ~_umask()


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def test_a_file_system_without_second_names_is_not_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def refused(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refused)
    one = a_file(tmp_path, 1, "a.bin", b"data")
    file_all(str(tmp_path), [one], Targets(), MARK)
    assert (one.path, one.error, one.no_links) == ("", None, True)
    assert os.listdir(tmp_path) == []


def test_a_folder_that_cannot_be_synced_is_a_failure_and_the_name_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def broken(_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    one = a_file(tmp_path, 1, "a.bin", b"data")
    monkeypatch.setattr(os, "fsync", broken)
    file_all(str(tmp_path), [one], Targets(), MARK)
    assert one.error is not None
    assert one.error.error.code == Code.CANNOT_MOVE_FILE
    found = small_parts.named_file(one.part_path)
    assert found is not None
    assert found == (str(tmp_path / "a.bin"), 4)


def test_what_a_batch_has_no_room_for_is_not_begun(tmp_path: Path):
    class Huge(bytes):
        def __len__(self) -> int:
            return 1 << 62

    one = a_file(tmp_path, 1, "a.bin", Huge())
    file_all(str(tmp_path), [one], Targets(), MARK)
    assert not one.path
    assert os.listdir(tmp_path) == []


# ---- on the loop


class _Kept:
    """The database's value."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def __call__(self, text: str) -> asyncio.Future[None]:
        self.texts.append(text)
        stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        stored.set_result(None)
        return stored

    @property
    def folders(self) -> list[str]:
        return filer.folders_of(self.texts[-1])


@pytest.mark.anyio
async def test_a_folder_is_durable_before_and_off_the_list_after(tmp_path: Path):
    kept = _Kept()
    one = Filer(Targets(), kept)
    one.mark = MARK
    assert await one.enter(str(tmp_path))
    assert kept.folders == [str(tmp_path)]
    files = [a_file(tmp_path, number, f"{number}.bin", b"data") for number in range(5)]
    for _ in files[1:]:
        await one.enter(str(tmp_path))
    await asyncio.gather(*(one.file(file) for file in files))
    assert all(file.path for file in files)
    for file in files[1:]:
        one.forget(file.part_path)
    await one.close()
    assert kept.folders == [str(tmp_path)]  # one end is not durable yet
    assert sorted(os.listdir(tmp_path)) == [files[0].part, *(f"{n}.bin" for n in range(5))]


@pytest.mark.anyio
async def test_nothing_is_left_when_all_ends_are_durable(tmp_path: Path):
    kept = _Kept()
    one = Filer(Targets(), kept)
    await one.enter(str(tmp_path))
    file = a_file(tmp_path, 1, "a.bin", b"data")
    await one.file(file)
    one.forget(file.part_path)
    await one.close()
    assert os.listdir(tmp_path) == ["a.bin"]
    assert kept.folders == []


@pytest.mark.anyio
async def test_a_folder_stays_on_the_list_with_a_second_name_that_cannot_be_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    kept = _Kept()
    one = Filer(Targets(), kept)
    one.mark = MARK
    await one.enter(str(tmp_path))
    file = a_file(tmp_path, 1, "a.bin", b"data")
    await one.file(file)
    monkeypatch.setattr(os, "unlink", failing(os.unlink, {1}))
    one.forget(file.part_path)
    await one.close()
    assert sorted(os.listdir(tmp_path)) == [file.part, "a.bin"]
    assert kept.folders == [str(tmp_path)]


@pytest.mark.anyio
async def test_who_waits_for_the_end_finds_no_second_name(tmp_path: Path):
    one = Filer(Targets(), _Kept())
    await one.enter(str(tmp_path))
    file = a_file(tmp_path, 1, "a.bin", b"data")
    await one.file(file)
    gone = asyncio.Event()
    one.when_gone(file.part_path, gone.set)
    assert not gone.is_set()
    one.forget(file.part_path)
    await gone.wait()
    assert os.listdir(tmp_path) == ["a.bin"]
    again = asyncio.Event()
    one.when_gone(file.part_path, again.set)
    assert again.is_set()
    await one.close()


@pytest.mark.anyio
async def test_only_so_many_folders_are_kept_in_mind(tmp_path: Path):
    kept = _Kept()
    one = Filer(Targets(), kept)
    for number in range(filer.MOST_FOLDERS):
        assert await one.enter(f"/folder/{number}")
    assert not await one.enter("/one/more")
    one.leave("/folder/3")
    assert await one.enter("/one/more")
    assert "/folder/3" not in kept.folders
    assert len(kept.folders) == filer.MOST_FOLDERS


@pytest.mark.anyio
async def test_a_disk_that_hangs_holds_up_no_other_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(filer, "PATIENCE", 0.05)
    hangs, answers = threading.Event(), threading.Event()

    class Hanging(Targets):
        def settled(
            self, folder: str, name: str, *, given: bool, overwrite: bool, mark: str = ""
        ) -> str:
            hangs.set()
            answers.wait()
            return name

    for name in ("silent", "well"):
        (tmp_path / name).mkdir()
    one = Filer(Hanging(), _Kept())
    first = a_file(tmp_path / "silent", 1, "a", b"1")
    second = a_file(tmp_path / "well", 2, "b", b"2")
    slow = one.file(first)
    await asyncio.to_thread(hangs.wait)
    await one.file(second)
    assert not second.path  # its ordinary way is to be taken
    assert not one.takes(str(tmp_path / "well"))
    assert not slow.done()
    answers.set()
    await slow
    assert first.path == str(tmp_path / "silent" / "a")
    await one.close()


# ---- after a crash


def a_task(folder: Path, number: int = 1, **changes: object) -> Task:
    return Task(
        session="s",
        number=number,
        kind=Kind.DOWNLOAD,
        url="http://127.0.0.1/a",
        folder=str(folder),
        added=1700000000.25,
        **changes,  # type: ignore[arg-type]
    )


def test_a_part_is_known_by_its_task_and_when_that_was_added(tmp_path: Path):
    task = a_task(tmp_path)
    name = filer.part_name(MARK, task)
    assert name == filer.part_name(MARK, a_task(tmp_path))
    assert name != filer.part_name(MARK, a_task(tmp_path, 2))
    assert name.startswith(f".transfermon-{MARK}")


def test_the_sweep_keeps_what_will_be_asked_for_and_drops_the_rest(tmp_path: Path):
    goes_on, over, strange, known = (
        str(tmp_path / f".transfermon-{MARK}{number:010x}.part") for number in range(4)
    )
    alone = str(tmp_path / f".transfermon-{MARK}{9:010x}.part")
    for path in (goes_on, over, strange, known, alone):
        Path(path).write_bytes(b"data")
    for path, name in ((goes_on, "a"), (over, "b")):
        os.link(path, tmp_path / name)
    away = str(tmp_path / "away")
    leftover = small_parts.sweep(
        [str(tmp_path), away],
        [],
        MARK,
        {known},
        lambda: {goes_on: True, over: False, alone: True},
    )
    assert (set(leftover.named), set(leftover.unseen)) == ({goes_on}, {away})
    assert sorted(os.listdir(tmp_path)) == sorted(
        [*map(os.path.basename, (goes_on, strange, known)), "a", "b"]
    )


def test_a_part_without_another_name_is_no_file(tmp_path: Path):
    part = tmp_path / f".transfermon-{MARK}{1:010x}.part"
    part.write_bytes(b"data")
    assert small_parts.named_file(str(part)) is None
    assert os.listdir(tmp_path) == []


def test_a_link_in_the_place_of_a_part_is_left_alone(tmp_path: Path):
    (tmp_path / "theirs").write_bytes(b"data")
    part = tmp_path / f".transfermon-{MARK}{1:010x}.part"
    part.symlink_to("theirs")
    assert small_parts.named_file(str(part)) is None
    assert part.is_symlink()


@pytest.mark.parametrize("text", ["", "no json", json.dumps([1, "/a"])])
def test_a_damaged_list_is_read_as_far_as_it_goes(text: str):
    assert filer.folders_of(text) == (["/a"] if "/a" in text else [])
