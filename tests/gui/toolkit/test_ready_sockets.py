"""Sockets of the app's loop: whoever waits for one hears of it, however many are ready."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator

import pytest

from transfermon.gui.toolkit.app_loop import AppLoop
from transfermon.gui.toolkit.ready_sockets import AT_ONCE

LIMIT = 60


@pytest.fixture
def loop(qapp) -> Iterator[AppLoop]:
    found = AppLoop(qapp)
    yield found
    found.close()


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    near, far = socket.socketpair()
    near.setblocking(False)
    yield near, far
    near.close()
    far.close()


async def until(heard: list[bytes], count: int) -> None:
    async with asyncio.timeout(LIMIT):
        while len(heard) < count:
            await asyncio.sleep(0.001)


def test_a_reader_hears_of_each_piece_until_it_is_removed(loop, pair):
    near, far = pair
    heard: list[bytes] = []

    async def main() -> None:
        loop.add_reader(near, lambda: heard.append(near.recv(100)))
        for number in range(3):
            far.send(b"%d" % number)
            await until(heard, number + 1)
        assert loop.remove_reader(near)
        assert not loop.remove_reader(near)
        far.send(b"unheard")
        await asyncio.sleep(0.01)

    loop.run_until_complete(main())
    assert heard == [b"0", b"1", b"2"]


def test_a_second_reader_takes_the_place_of_the_first(loop, pair):
    near, far = pair
    first: list[bytes] = []
    second: list[bytes] = []

    async def main() -> None:
        loop.add_reader(near, lambda: first.append(near.recv(100)))
        loop.add_reader(near, lambda: second.append(near.recv(100)))
        far.send(b"a")
        await until(second, 1)

    loop.run_until_complete(main())
    assert (first, second) == ([], [b"a"])


def test_all_are_heard_of_where_more_are_ready_than_have_their_turn_at_once(loop):
    pairs = [socket.socketpair() for _ in range(3 * AT_ONCE)]
    heard: list[bytes] = []

    async def main() -> None:
        for number, (near, far) in enumerate(pairs):
            near.setblocking(False)
            far.send(b"%d" % number)
            loop.add_reader(near, lambda near=near: heard.append(near.recv(100)))
        await until(heard, len(pairs))
        for near, _ in pairs:
            loop.remove_reader(near)

    loop.run_until_complete(main())
    for near, far in pairs:
        near.close()
        far.close()
    assert sorted(map(int, heard)) == list(range(len(pairs)))


def test_a_reader_that_another_one_removes_in_the_same_turn_is_not_told(loop):
    pairs = [socket.socketpair() for _ in range(2)]
    heard: list[int] = []

    def hear(number: int) -> None:
        heard.append(number)
        for near, _ in pairs:
            loop.remove_reader(near)

    async def main() -> None:
        for number, (near, far) in enumerate(pairs):
            far.send(b"x")
            loop.add_reader(near, hear, number)
        async with asyncio.timeout(LIMIT):
            while not heard:
                await asyncio.sleep(0.001)
        await asyncio.sleep(0.01)

    loop.run_until_complete(main())
    for near, far in pairs:
        near.close()
        far.close()
    assert len(heard) == 1


def test_the_number_of_a_socket_that_was_closed_can_be_used_again(loop):
    heard: list[bytes] = []

    async def main() -> None:
        for _ in range(3):
            near, far = socket.socketpair()
            near.setblocking(False)
            loop.add_reader(near, lambda near=near: heard.append(near.recv(100)))
            before = len(heard)
            far.send(b"x")
            await until(heard, before + 1)
            number = near.fileno()
            near.close()  # as a careless library does
            loop.remove_reader(number)
            far.close()

    loop.run_until_complete(main())
    assert heard == [b"x"] * 3


def test_streams_and_pipes_work_as_ever(loop, tmp_path):
    async def main() -> bytes:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write((await reader.readline()).upper() * 20_000)
            await writer.drain()
            writer.close()

        path = os.path.join(tmp_path, "socket")
        server = await asyncio.start_unix_server(answer, path)
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b"words\n")
        found = await reader.read()
        writer.close()
        server.close()
        return found

    assert loop.run_until_complete(main()) == b"WORDS\n" * 20_000
