"""The load benchmark of VideoFarm's server sees what is wrong, and a small load has nothing wrong
in it.
"""

from __future__ import annotations

import asyncio

import pytest

from benchmarks.videofarm_load import Load, Wave, forget_peak, memory, run
from tests.helpers.farm import Farm

pytestmark = pytest.mark.slow

SIZE = 300_000


def waved(*faults: str) -> Wave:
    with Farm.start("--empty", *(word for fault in faults for word in ("--fault", fault))) as farm:
        return asyncio.run(Load(farm.url, clients=6, uploads=3, size=SIZE, seed=1).wave(3))


def test_a_good_server_has_no_wrong_byte_and_no_error():
    wave = waved()
    assert (wave.wrong, wave.errors, wave.up) == (0, [], 3 * SIZE)
    assert wave.requests == 6 * 3 + 3 * 3
    assert wave.down > 3 * SIZE


def test_a_wrong_byte_is_seen():
    wave = waved("/bytes:etag=change")
    assert wave.errors == []
    assert wave.wrong > SIZE


def test_a_wrong_byte_of_an_uploaded_movie_is_seen():
    wave = waved("/videos:etag=change")
    assert wave.errors == []
    assert wave.wrong == 3 * SIZE  # each byte is shifted by the same


@pytest.mark.parametrize(
    "fault", ["/bytes:cut=0", "/bytes:status=503", "/bytes:no-range", "/bytes:reset=0"]
)
def test_an_answer_that_is_missing_is_an_error_of_its_client(fault: str):
    wave = waved(fault)
    assert (wave.wrong, len(wave.errors)) == (0, 6)
    assert all(error.startswith("client") for error in wave.errors)


def test_the_figures_are_printed_and_the_peak_is_the_server_s(capsys: pytest.CaptureFixture[str]):
    with Farm.start("--empty") as farm:
        assert run(farm, clients=4, uploads=2, requests=4, size=SIZE, seed=1)
        forget_peak(farm.process.pid)
        assert memory(farm.process.pid, "VmHWM") >= memory(farm.process.pid, "VmRSS") > 1_000_000
    out = capsys.readouterr().out
    assert "wrong bytes: 0; errors: 0" in out
    assert "4 clients" in out
