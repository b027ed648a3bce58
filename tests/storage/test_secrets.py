"""Secrets on disk: owner-only, whole or not at all, gone with their owner."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from transfermon.engine.monitor import Monitor
from transfermon.model.configuration import SessionConfiguration
from transfermon.storage.secrets import Vault

pytestmark = pytest.mark.anyio


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "secrets.json")


def loaded(path: str) -> Vault:
    vault = Vault(path)
    vault.load()
    return vault


async def test_what_was_saved_comes_back(path: str):
    vault = loaded(path)
    vault.put("s:1", {"Authorization": "Bearer t", "X-Ä": "ü"})
    vault.put("s", {"Cookie": "c=1"})
    await vault.saved()
    again = loaded(path)
    assert again.get("s:1") == {"Authorization": "Bearer t", "X-Ä": "ü"}
    assert again.get("s") == {"Cookie": "c=1"}
    assert again.get("s:2") == {}


async def test_the_file_is_the_owners_only(path: str):
    old = os.umask(0)
    try:
        vault = loaded(path)
        vault.put("s", {"A": "1"})
        await vault.saved()
    finally:
        os.umask(old)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600


async def test_what_was_dropped_is_gone_from_the_disk(path: str):
    vault = loaded(path)
    vault.put("s:1", {"A": "secret-value"})
    vault.put("s:2", {"A": "2"})
    await vault.saved()
    vault.drop("s:1")
    vault.drop("s:1")
    await vault.saved()
    assert "secret-value" not in Path(path).read_text()
    assert os.listdir(os.path.dirname(path)) == ["secrets.json"]


async def test_nothing_is_written_without_a_change(path: str):
    vault = loaded(path)
    vault.put("s", {})
    vault.drop("nobody")
    await vault.saved()
    assert not os.path.exists(path)


async def test_what_is_given_out_and_taken_in_are_copies(path: str):
    vault, mine = loaded(path), {"A": "1"}
    vault.put("s", mine)
    mine["A"] = "2"
    vault.get("s")["A"] = "3"
    assert vault.get("s") == {"A": "1"}


@pytest.mark.parametrize(
    "text", ["{", "[]", "7", '{"s": "no mapping"}', '{"s": ["a"]}', "\ud800", '"x"']
)
async def test_a_damaged_file_is_set_aside(path: str, text: str):
    Path(path).write_bytes(text.encode("utf-8", "surrogatepass"))
    vault = loaded(path)
    assert vault.get("s") == {}
    assert Path(path + ".damaged").exists()
    vault.put("s", {"A": "1"})
    await vault.saved()
    assert json.loads(Path(path).read_text()) == {"s": {"A": "1"}}


async def test_a_file_of_endless_brackets_is_set_aside(path: str):
    Path(path).write_text("[" * 200_000)
    assert loaded(path).get("s") == {}
    assert Path(path + ".damaged").exists()


async def test_one_bad_entry_costs_no_other(path: str):
    Path(path).write_text(
        json.dumps({"s": {"A": "1"}, "t": [1], "u": {"B": 2}, "v": {"C": "\ud800"}, "w": {}})
    )
    vault = loaded(path)
    assert [vault.get(owner) for owner in "stuvw"] == [{"A": "1"}, {}, {}, {}, {}]
    assert Path(path + ".damaged").read_bytes() == Path(path).read_bytes()


async def test_a_failed_save_is_tried_again(tmp_path: Path):
    folder = tmp_path / "later"
    vault = Vault(str(folder / "secrets.json"))
    vault.put("s", {"A": "1"})
    with pytest.raises(OSError):
        await vault.saved()
    folder.mkdir()
    await vault.saved()
    assert loaded(vault.path).get("s") == {"A": "1"}


async def test_its_repr_names_no_secret(path: str):
    vault = loaded(path)
    vault.put("s", {"Authorization": "Bearer secret-value"})
    assert repr(vault) == "<Vault 1 owners>"


async def test_the_password_of_a_proxy_is_not_in_the_database(tmp_path):
    configuration = SessionConfiguration.background("com.example.proxied")
    configuration.proxy = "http://user:swordfish@127.0.0.1:3128"
    async with Monitor.open(str(tmp_path / "state")) as monitor:
        session = monitor.create_session(configuration)
        assert session.configuration.proxy == configuration.proxy
        assert monitor.create_session(configuration) is session
        session.download_task("http://127.0.0.1:9/", start=False)
    state = tmp_path / "state"
    kept = [
        path.name
        for path in state.iterdir()
        if path.is_file() and b"swordfish" in path.read_bytes()
    ]
    assert kept == ["secrets.json"]
    async with Monitor.open(str(state)) as monitor:
        restored = monitor.find_session("com.example.proxied")
        assert restored is not None
        assert restored.configuration.proxy == configuration.proxy
