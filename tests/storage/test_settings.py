"""Preferences and the state folder: private, whole, and never trusted blindly."""

from __future__ import annotations

import dataclasses
import json
import os
import stat
from pathlib import Path

import pytest

from tests.helpers import mounts
from transfermon.engine.monitor import Monitor
from transfermon.model.errors import StateError
from transfermon.model.events import Event, NotificationEvent
from transfermon.storage.settings import (
    ENVIRONMENT,
    Settings,
    ensure_private,
    keep_whole,
    open_to_others,
    state_folder,
    write_whole,
)


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "settings.json")


# ---- where things live


def test_a_given_folder_comes_before_the_environment_and_that_before_the_users_own(
    monkeypatch, tmp_path: Path
):
    monkeypatch.setenv(ENVIRONMENT, str(tmp_path / "from-environment"))
    assert state_folder(str(tmp_path / "given")) == str(tmp_path / "given")
    assert state_folder() == str(tmp_path / "from-environment")
    monkeypatch.delenv(ENVIRONMENT)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    assert state_folder() == str(tmp_path / "state" / "transfermon")


def test_a_state_folder_is_absolute(monkeypatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert state_folder("here") == str(tmp_path / "here")
    assert state_folder("~/there") == str(tmp_path / "home" / "there")


def test_a_new_state_folder_is_the_owners_only(tmp_path: Path):
    folder = tmp_path / "a" / "b"
    ensure_private(str(folder))
    ensure_private(str(folder))
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_an_open_state_folder_is_closed_to_others(tmp_path: Path):
    folder = tmp_path / "open"
    folder.mkdir(mode=0o755)
    folder.chmod(0o777)
    ensure_private(str(folder))
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("kind", ["link", "file", "below a file"])
def test_what_is_not_our_own_folder_is_refused(tmp_path: Path, kind: str):
    target = tmp_path / "state"
    if kind == "link":
        (tmp_path / "elsewhere").mkdir()
        target.symlink_to(tmp_path / "elsewhere")
    else:
        target.touch()
    with pytest.raises(StateError) as refusal:
        ensure_private(str(target / "sub" if kind == "below a file" else target))
    assert str(target) in refusal.value.title
    assert refusal.value.hint


# ---- writing whole


def test_a_small_file_is_replaced_whole_and_nothing_else_stays(tmp_path: Path):
    path = tmp_path / "small"
    write_whole(str(path), b"old" * 1000)
    write_whole(str(path), b"new")
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["small"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_that_is_there_is_the_owners_only_from_then_on(tmp_path: Path):
    path = tmp_path / "icon.png"
    path.write_bytes(b"picture")
    path.chmod(0o666)
    written = path.stat().st_mtime_ns
    keep_whole(str(path), b"picture")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.stat().st_mtime_ns == written
    keep_whole(str(path), b"another")
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"another", 0o600)


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path):
    path = tmp_path / "small"
    path.mkdir()  # it cannot be replaced by a file
    with pytest.raises(OSError):
        write_whole(str(path), b"new")
    assert os.listdir(tmp_path) == ["small"]


def test_a_planted_link_is_not_followed(tmp_path: Path):
    victim = tmp_path / "victim"
    victim.write_bytes(b"untouched")
    (tmp_path / "small.tmp").symlink_to(victim)  # the name that is written first
    with pytest.raises(OSError):
        write_whole(str(tmp_path / "small"), b"new")
    assert victim.read_bytes() == b"untouched"


# ---- preferences


USABLE = {
    "theme": "dark",
    "close_to": "tray",
    "keep_after_quit": "no",
    "notify": "off",
    "wake_policy": "strict",
}


def other(name: str, value: object) -> object:
    """A value of the same type that is not the default."""
    if name in USABLE:
        return USABLE[name]
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, float)):
        return value + 1
    return ("example.org:80",) if isinstance(value, tuple) else f"{value}other"


@pytest.mark.parametrize(
    "item", [item for item in dataclasses.fields(Settings) if item.name not in ("path", "faults")]
)
def test_every_preference_comes_back(path: str, item: dataclasses.Field[object]):
    changed = other(item.name, item.default)
    Settings.load(path).replaced(**{item.name: changed})
    assert getattr(Settings.load(path), item.name) == changed


def test_preferences_without_a_path_stay_in_memory(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert Settings().replaced(theme="dark").theme == "dark"
    assert os.listdir(tmp_path) == []


def test_without_a_file_there_are_defaults(path: str):
    assert Settings.load(path) == Settings(path=path)


@pytest.mark.parametrize("text", ["{", "[]", "7", "", '"x"', b"\xff\xfe"])
def test_a_damaged_file_is_set_aside(path: str, text: str | bytes):
    Path(path).write_bytes(text if isinstance(text, bytes) else text.encode())
    assert Settings.load(path) == Settings(path=path)
    assert Path(path + ".damaged").exists()
    assert not Path(path).exists()


@pytest.mark.parametrize("text", ["[" * 200_000, '{"theme":' * 100_000])
def test_a_file_of_endless_brackets_is_set_aside(path: str, text: str):
    Path(path).write_text(text)
    with pytest.raises(ValueError):
        Settings.look(path)
    assert Settings.load(path) == Settings(path=path)
    assert Path(path + ".damaged").exists()


def test_the_connections_to_a_host_that_nobody_set_are_automatic_whatever_an_older_build_wrote(
    path: str,
):
    Path(path).write_text('{"connections_per_host": 3}')
    found = Settings.load(path)
    assert found.connections_per_host == 0
    assert Settings.load(path) == found.replaced(theme="dark").replaced(theme="system")
    assert found.replaced(connections_per_host=3) == Settings.load(path)
    assert Settings.load(path).connections_per_host == 3


def test_values_of_another_type_and_unknown_names_are_passed_over(path: str):
    stored = {
        "running_tasks": "many",
        "speed_limit": True,
        "theme": None,
        "allowed_hosts": [1, 2],
        "path": "/elsewhere",
        "unheard_of": 1,
        "connections_per_host": 5,
    }
    Path(path).write_text(json.dumps(stored))
    found = Settings.load(path)
    assert found == Settings(path=path, connections_per_host=5)
    assert len(found.faults) == 4, "unknown names may be of a newer version"
    assert 'The setting “running_tasks” cannot be "many"; 8 is used.' in found.faults


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("running_tasks", "0"),
        ("running_tasks", "-1"),
        ("running_tasks", "1e3"),
        ("running_tasks", "100000000000000000000"),
        ("connections_per_host", "-1"),
        ("connections", "-1"),
        ("connections", "9"),
        ("attempts", "-5"),
        ("speed_limit", "-1"),
        ("fetch_interval", "NaN"),
        ("fetch_interval", "Infinity"),
        ("fetch_interval", "-Infinity"),
        ("fetch_interval", "1e999"),
        ("fetch_interval", "1" + "0" * 400),
        ("theme", '"pink"'),
        ("close_to", '""'),
        ("wake_policy", '"lax"'),
        ("download_folder", '"a\\u0000b"'),
        ("download_folder", '"caf\\ud800"'),
        ("push_topics", '["caf\\ud800"]'),
        ("push_maximum_bytes", "-1"),
        ("push_enabled", "1"),
    ],
)
def test_a_value_written_by_hand_that_cannot_be_is_the_default_and_told(
    path: str, name: str, text: str
):
    Path(path).write_text(f'{{"{name}": {text}, "notify_names": false}}')
    found = Settings.load(path)
    assert found == Settings(path=path, notify_names=False)
    (said,) = found.faults
    assert name in said
    assert said.endswith("is used.")
    said.encode()
    saved = found.replaced(theme="dark")
    assert saved.faults == Settings.load(path).faults == (), "saved once, all of it can be used"


@pytest.mark.parametrize(
    ("name", "value"), [("fetch_interval", 900), ("running_tasks", 1), ("fetch_interval", -1)]
)
def test_a_value_written_by_hand_that_can_be_is_used(path: str, name: str, value: float):
    Path(path).write_text(json.dumps({name: value}))
    assert getattr(Settings.load(path), name) == value
    assert Settings.load(path).faults == ()


@pytest.mark.anyio
async def test_what_cannot_be_used_is_told(tmp_path: Path, path: str):
    Path(path).write_text('{"running_tasks": 0}')
    told: list[Event] = []
    async with Monitor.open(str(tmp_path)) as monitor:
        monitor.subscribe(told.append)
        monitor.ready()
        await monitor.overview.history()
        assert monitor.settings.running_tasks == 8
    (notice,) = [event for event in told if isinstance(event, NotificationEvent)]
    assert notice.alert_body == "The setting “running_tasks” cannot be 0; 8 is used."


@pytest.mark.anyio
async def test_a_state_folder_that_cannot_be_closed_is_told_once(tmp_path: Path):
    place = tmp_path / "disk"
    place.mkdir()
    told: list[Event] = []
    try:
        with mounts.ntfs(place):
            for _ in range(2):
                async with Monitor.open(str(place / "state")) as monitor:
                    monitor.subscribe(told.append)
                    monitor.ready()
                    await monitor.overview.history()
            said = open_to_others(str(place / "state"))
    except mounts.Unavailable as why:
        pytest.skip(str(why))
    assert "can read the state folder" in said
    (notice,) = [event for event in told if isinstance(event, NotificationEvent)]
    assert notice.alert_title == "The state folder is not private"
    assert open_to_others(str(tmp_path)) == ""


def test_the_file_is_the_owners_only_and_readable_by_people(path: str):
    Settings.load(path).replaced(theme="dark")
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert '"theme": "dark"' in Path(path).read_text()
