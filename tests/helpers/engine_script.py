"""A small engine for the crash tests: downloads some addresses and says on stdout what it is told,
a JSON line each.

    python -m tests.helpers.engine_script STATE FOLDER [--wait] [--stay] [--deaf]
    [--kill-at EVENT[:N]] [--connections N] [--url URL]... [--mirror URL]...

An address that has a task already gets no second one, so that a restart with the same words goes
on. With `--wait` tasks are made after a line on stdin. `--kill-at` ends the process with SIGKILL
when the N-th event of that name is told. With `--deaf` nobody listens, and events are only seen.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import json
import os
import signal
import sys
from typing import Any

from transfermon.engine.monitor import Monitor
from transfermon.model.configuration import RetryPolicy, SessionConfiguration
from transfermon.model.events import TERMINAL, Event
from transfermon.model.request_options import RequestOptions
from transfermon.storage.settings import Settings

SESSION = "faults"
_PR_SET_PTRACER, _ANYBODY = 0x59616D61, -1


def say(what: str, **fields: Any) -> None:
    """Written at once and whole: what was said before a kill was said."""
    os.write(1, (json.dumps({"say": what, **fields}) + "\n").encode())


def configuration() -> SessionConfiguration:
    own = SessionConfiguration.background(SESSION)
    own.retry_policy = RetryPolicy(minimum=0.05, maximum=0.2)
    own.http_maximum_connections_per_host = 8
    return own


class Teller:
    """Says every event that is no progress, and dies where it was told to."""

    def __init__(self, kill_at: str) -> None:
        self._name, _, count = kill_at.partition(":")
        self._left = int(count or 1)

    def __call__(self, event: Event) -> None:
        if event.type == self._name:
            self._left -= 1
            if not self._left:
                os.kill(os.getpid(), signal.SIGKILL)
        say("event", **event.to_dict())


async def run(words: argparse.Namespace) -> None:
    async with Monitor.open(
        words.state, settings=Settings(download_folder=words.folder)
    ) as monitor:
        monitor.system_watch.on_frozen = lambda reason: say("frozen", reason=reason)
        monitor.subscribe(Teller(words.kill_at))
        for name in () if words.deaf else TERMINAL:
            monitor.add_event_listener(name, lambda event: say("heard", **event.to_dict()))
        own = configuration()
        own.connections = words.connections
        session = monitor.create_session(own)
        monitor.ready()
        say("ready", set_aside=monitor.set_aside)
        if words.wait:
            await asyncio.to_thread(sys.stdin.readline)
        known = {
            task.record.url
            for task in [session.task(record.number) for record in session.tasks.records()]
        }
        for url in words.url:
            if url not in known:
                options = RequestOptions(
                    mirrors=tuple(words.mirror), mirrors_are_the_same=bool(words.mirror)
                )
                task = session.download_task(url, options=options)
                await task.accepted
                say("accepted", key=str(task.key), url=url)
        for record in session.tasks.records():
            done = await session.task(record.number).wait()
            say(
                "done",
                key=str(done.key),
                path=done.final_path,
                reason=done.error.reason if done.error else "",
            )
        say("idle")
        if words.stay:
            await asyncio.to_thread(sys.stdin.readline)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("state")
    parser.add_argument("folder")
    parser.add_argument("--url", action="append", default=[])
    parser.add_argument("--wait", action="store_true")
    parser.add_argument("--stay", action="store_true")
    parser.add_argument("--deaf", action="store_true")
    parser.add_argument("--kill-at", default="")
    parser.add_argument("--mirror", action="append", default=[])
    parser.add_argument("--connections", type=int, default=0)
    words = parser.parse_args()
    # strace may attach to us
    ctypes.CDLL(None).prctl(_PR_SET_PTRACER, ctypes.c_ulong(_ANYBODY), 0, 0, 0)
    asyncio.run(run(words))


if __name__ == "__main__":
    main()
