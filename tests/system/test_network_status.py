from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from transfermon.system import network_status
from transfermon.system.network_status import (
    Connectivity,
    Policy,
    SystemConnectivity,
    SystemPolicy,
    is_local,
    on_battery,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("http://127.0.0.1:80/a", True),
        ("http://127.9.9.9/a", True),
        ("http://[::1]:8080/a", True),
        ("http://localhost/a", True),
        ("http://LOCALHOST./a", True),
        ("http://demo.localhost:1/a", True),
        ("http://example.org/a", False),
        ("http://localhost.example.org/a", False),
        ("http://10.0.0.1/a", False),
        ("http://0.0.0.0/a", False),
    ],
)
def test_this_machine_needs_no_network(url: str, local: bool):
    assert is_local(url) is local


def test_a_change_is_told_once():
    told: list[bool] = []
    network = Connectivity()
    network.changed = lambda: told.append(network.online)
    network.update(True)
    network.update(False)
    network.update(False)
    network.update(True, frozenset({"wlan0"}))
    network.update(True, frozenset({"wlan0"}))
    network.update(True, frozenset({"eth0"}))  # another network is a change
    network.update(True, frozenset({"eth0"}), anew=True)  # and so is one that went and came back
    assert told == [False, True, True, True]


def test_a_simulated_end_of_the_network_is_told_and_cuts_off_this_machine_too():
    told: list[bool] = []
    network = Connectivity()
    network.changed = lambda: told.append(network.online)
    network.update(False)
    assert network.leads_to("http://localhost/a")
    network.cut(True)
    network.cut(True)
    assert not network.leads_to("http://localhost/a")
    network.update(True, frozenset({"eth0"}))
    assert not network.leads_to("http://example.org/a")
    network.cut(False)
    assert network.leads_to("http://example.org/a")
    assert told == [False, False, False, True]
    network.cut(True)
    network.close()
    assert network.online


async def test_the_system_is_asked_once_and_let_go():
    network = SystemConnectivity()
    network.open()
    assert network.online is bool(network_status.ways_out())
    network.close()
    await asyncio.sleep(0)


def supply(folder: Path, name: str, **fields: str) -> None:
    (folder / name).mkdir(parents=True)
    for field, value in fields.items():
        (folder / name / field).write_text(value + "\n")


@pytest.mark.parametrize(
    ("supplies", "battery"),
    [
        ({}, False),
        (
            {
                "AC": {"type": "Mains", "online": "1"},
                "BAT0": {"type": "Battery", "status": "Charging"},
            },
            False,
        ),
        (
            {
                "AC": {"type": "Mains", "online": "0"},
                "BAT0": {"type": "Battery", "status": "Discharging"},
            },
            True,
        ),
        (
            {
                "AC": {"type": "Mains", "online": "1"},
                "BAT0": {"type": "Battery", "status": "Discharging"},
            },
            False,
        ),
        ({"BAT0": {"type": "Battery", "status": "Discharging"}}, True),
        ({"BAT0": {"type": "Battery", "status": "Full"}}, False),
        ({"mouse": {"type": "Battery", "status": "Discharging", "scope": "Device"}}, False),
        (
            {
                "usb": {"type": "USB", "online": "1"},
                "BAT0": {"type": "Battery", "status": "Discharging"},
            },
            False,
        ),
    ],
)
def test_power_is_read_as_the_kernel_shows_it(
    tmp_path: Path, supplies: dict[str, dict[str, str]], battery: bool
):
    for name, fields in supplies.items():
        supply(tmp_path, name, **fields)
    assert on_battery(str(tmp_path)) is battery


async def test_the_policy_starts_from_what_the_system_says(tmp_path: Path):
    supply(tmp_path, "BAT0", type="Battery", status="Discharging")
    policy = SystemPolicy(str(tmp_path))
    policy.open()
    assert policy.why_not() == "The computer runs on battery."
    policy.close()


def test_a_policy_tells_of_changes_only():
    told: list[str] = []
    policy = Policy()
    policy.changed = lambda: told.append(policy.why_not())
    policy.update(on_battery=False)
    policy.update(metered=True)
    policy.update(metered=True)
    policy.update(on_battery=True)
    policy.update(on_battery=False, metered=False)
    assert told == ["The network is metered.", "The computer runs on battery.", ""]
