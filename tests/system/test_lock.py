"""The engine lock."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from transfermon.model.errors import Code, EngineBusyError, StateError
from transfermon.system.lock import NAME, EngineLock

HOLDER = """
import subprocess, sys, time
from transfermon.system.lock import EngineLock
lock = EngineLock.acquire(sys.argv[1], "a test holder")
if "child" in sys.argv:
    subprocess.Popen(["sleep", "60"], close_fds=False)
print("held", flush=True)
time.sleep(60)
"""


def a_holder(folder: Path, *more: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder), *more], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait(10)
    assert process.stdout is not None
    process.stdout.close()


def test_only_one_owner_at_a_time(tmp_path):
    first = EngineLock.acquire(str(tmp_path))
    with pytest.raises(EngineBusyError):
        EngineLock.acquire(str(tmp_path))
    first.release()
    second = EngineLock.acquire(str(tmp_path))
    assert (first.held, second.held) == (False, True)
    second.release()


def test_the_refused_are_told_who_owns_it(tmp_path):
    process = a_holder(tmp_path)
    try:
        with pytest.raises(EngineBusyError) as caught:
            EngineLock.acquire(str(tmp_path))
        assert (
            caught.value.title
            == f"The transfers are in the hands of a test holder (process {process.pid})."
        )
        assert caught.value.code == Code.SESSION_IN_USE
    finally:
        end(process)
    EngineLock.acquire(str(tmp_path)).release()


def test_a_killed_owner_leaves_the_lock_free_even_while_its_child_lives(tmp_path):
    process = a_holder(tmp_path, "child")
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="ascii")
    process.kill()
    process.wait(10)
    try:
        EngineLock.acquire(str(tmp_path)).release()
    finally:
        for pid in children.split():
            os.kill(int(pid), signal.SIGKILL)
        end(process)


def test_the_file_is_owner_only_close_on_exec_and_stays(tmp_path):
    old = os.umask(0)
    try:
        lock = EngineLock.acquire(str(tmp_path))
    finally:
        os.umask(old)
    assert stat.S_IMODE(os.stat(tmp_path / NAME).st_mode) == 0o600
    assert not os.get_inheritable(lock._fd)
    inode = os.stat(tmp_path / NAME).st_ino
    lock.release()
    lock.release()
    assert os.stat(tmp_path / NAME).st_ino == inode


def test_a_link_in_the_place_of_the_lock_is_refused(tmp_path):
    (tmp_path / NAME).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StateError, match="it is a link"):
        EngineLock.acquire(str(tmp_path))
    assert not (tmp_path / "elsewhere").exists()


def test_nothing_of_a_hostile_owner_text_reaches_the_screen(tmp_path):
    lock = EngineLock.acquire(str(tmp_path), "evil\x1b[2J\nname" + "x" * 500)
    with pytest.raises(EngineBusyError) as caught:
        EngineLock.acquire(str(tmp_path))
    lock.release()
    assert caught.value.title.isprintable()
    assert len(caught.value.title) < 300
