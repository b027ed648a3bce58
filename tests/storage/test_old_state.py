"""A state directory of an older build is read as it was meant, and written as before.

What lies in `old_state` was made by the build of commit 446e00f, by `old_state/build.py`, which
says how and knows what is in it.
"""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.storage.old_state import build
from transfermon.model import configuration, errors, events, request_options, task, wake_policy
from transfermon.storage import changes
from transfermon.storage.changes import Remembered
from transfermon.storage.records import configuration_of, configuration_text, task_of, task_text
from transfermon.storage.schema import MIGRATIONS
from transfermon.storage.secrets import Vault
from transfermon.storage.settings import Settings
from transfermon.storage.store import Store
from transfermon.storage.tables import history, part_paths

pytestmark = pytest.mark.anyio
WRITTEN = Path(__file__).with_name("old_state")
OURS = SimpleNamespace(
    **{
        name: value
        for module in (configuration, errors, events, request_options, task, wake_policy, changes)
        for name, value in vars(module).items()
    },
    Verdict=wake_policy.WakeVerdict,  # their names in that build
    Outcome=wake_policy.WakeOutcome,
)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    for name in ("transfermon.db", "settings.json", "secrets.json"):
        shutil.copyfile(WRITTEN / name, tmp_path / name)
    return tmp_path


async def remembered(state: Path) -> Remembered:
    store = Store(str(state / "transfermon.db"))
    found = await store.open()
    await store.close()
    return found


async def test_every_record_comes_back(state: Path):
    found = await remembered(state)
    assert found.set_aside == ""
    assert list(found.sessions) == build.sessions(OURS)
    assert list(found.tasks) == build.tasks(OURS)
    assert list(found.resume) == build.resume_rows(OURS)
    assert list(found.wakes) == build.wakes(OURS)
    assert found.values == build.VALUES
    assert found.sequence == len(build.KEPT)


async def test_its_journal_is_told_on(state: Path):
    store = Store(str(state / "transfermon.db"))
    found = await store.open()
    kept = await store.read(history(0, None, 1000))
    paths = await store.read(part_paths)
    await store.close()
    assert kept == build.events(OURS)
    terminal = [event for event in kept if event.type in events.TERMINAL - build.HEARD]
    assert list(found.unheard.events) == terminal
    assert found.unheard.idle == {"films"}
    assert found.unheard.notified
    assert paths == {build.PART, build.OLDER, build.SUSPENDED_PART}


async def test_what_is_written_is_what_was_written(state: Path):
    """So that the older build can open it again, and nothing is rewritten that has not changed."""
    with sqlite3.connect(state / "transfermon.db") as database:
        records = [
            *database.execute("select record from task"),
            *database.execute("select record from resume_data"),
        ]
        texts = [*database.execute("select configuration from session")]
        (version,) = database.execute("pragma user_version").fetchone()
    database.close()
    assert version == len(MIGRATIONS)
    assert [task_text(task_of(text)) for (text,) in records] == [text for (text,) in records]
    assert [configuration_text(configuration_of(text)) for (text,) in texts] == [
        text for (text,) in texts
    ]


async def test_secrets_and_settings_come_back(state: Path):
    vault = Vault(str(state / "secrets.json"))
    vault.load()
    assert {owner: vault.get(owner) for owner in build.SECRETS} == build.SECRETS
    settings = Settings.load(str(state / "settings.json"))
    assert settings.faults == ()
    assert {name: getattr(settings, name) for name in build.SETTINGS} == build.SETTINGS
