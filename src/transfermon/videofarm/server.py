"""The VideoFarm server: a small REST video service, for the demo, the tests and as an example.

    python -m transfermon.videofarm.server --port 0 --fault rate=2M

Here is its process: options, socket, signals and what runs beside it. What it offers is `farm`.
Rule: it runs without the rest of transfermon.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ctypes
import dataclasses
import logging
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from transfermon.model.record import record
from transfermon.videofarm import faults as fault_grammar
from transfermon.videofarm.catalogue import Catalogue, FarmError
from transfermon.videofarm.farm import Farm, make_app
from transfermon.videofarm.faults import FaultError, FaultPlan, parse_rule

PORT = 8787
_PR_SET_PDEATHSIG = 1
_M_ARENA_MAX = -8


class _Connection(H11Protocol):
    """A connection whose transport the answers can reach, to look whether it lives and to break it
    off.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}


class _Server(uvicorn.Server):
    """Says when it listens, and ends at once: nobody waits for a body of an hour."""

    def __init__(self, config: uvicorn.Config, announcement: str) -> None:
        super().__init__(config)
        self._announcement = announcement

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        print(self._announcement, flush=True)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # The base class would send the signal to ourselves again at the end, and the exit code
        # would be its.
        yield

    def quit(self) -> None:
        # The answers under way are cancelled; the library would report each one with a traceback.
        logging.getLogger("uvicorn.error").disabled = True
        self.should_exit = self.force_exit = True
        # from 3.12 on, a closed server waits for connections that are open
        self.config.timeout_graceful_shutdown = 0
        for connection in list(self.server_state.connections):
            if isinstance(connection, _Connection):
                connection.transport.abort()


@record
class Options:
    host: str
    port: int
    data_dir: Path
    plan: FaultPlan
    fault_queries: bool
    new_video_every: float
    parent: int | None
    token: str = dataclasses.field(default="", repr=False)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `transfermon videofarm`; `serve` takes the parsed namespace."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    grammar = (fault_grammar.__doc__ or "").split("\n\nThe one rule")[0]
    parser.epilog = f"{grammar}\n"
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
    add(
        "--port",
        type=int,
        default=PORT,
        help="port to listen on; 0 takes a free one (default %(default)s)",
    )
    add(
        "--data-dir",
        type=Path,
        metavar="DIR",
        help="where the farm lives; without it, in a folder of its own until the end",
    )
    add("--empty", action="store_true", help="a new farm begins without sample videos")
    add(
        "--fault",
        action="append",
        default=[],
        metavar="SPEC",
        help="do something wrong, see below; may be repeated",
    )
    add(
        "--fault-queries",
        action="store_true",
        help="also take faults from the address: ?fault=rate=1M",
    )
    add(
        "--new-video-every",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="publish one more video each time (0: never)",
    )
    add(
        "--exit-with-parent",
        nargs="?",
        type=int,
        const=0,
        metavar="PID",
        help="end when the parent process ends; with PID, also when it is gone already",
    )


def serve(namespace: argparse.Namespace) -> int:
    """Runs the server until SIGINT or SIGTERM (0); 2 with one sentence on stderr when it cannot
    begin.

    Main thread only. Without --data-dir everything it wrote is removed at the end.
    """
    _share_one_heap()
    try:
        with contextlib.ExitStack() as stack:
            options = _options(namespace, stack)
            listener = stack.enter_context(_listen(options.host, options.port))
            catalogue = Catalogue(options.data_dir, empty=namespace.empty)
            pool = ThreadPoolExecutor(8, thread_name_prefix="farm")
            stack.callback(pool.shutdown, wait=False, cancel_futures=True)
            asyncio.run(_run(options, listener, Farm(catalogue, pool, options.data_dir)))
    except (FarmError, FaultError) as error:
        print(f"transfermon videofarm: {error}", file=sys.stderr)
        return 2
    return 0


def _share_one_heap() -> None:
    # A piece is made in a thread of the pool and let go on the loop. With a heap for each thread
    # glibc keeps the holes of all of them: with 200 clients 330 MB, and growing, where one heap
    # stays below 200.
    if (
        sys.platform == "linux"
        and (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)) is not None
    ):
        mallopt(_M_ARENA_MAX, 1)


def _options(namespace: argparse.Namespace, stack: contextlib.ExitStack) -> Options:
    plan = FaultPlan([parse_rule(spec) for spec in namespace.fault])
    if not 0 <= namespace.port <= 65535:
        raise FarmError(f"There is no port {namespace.port}.")
    if not 0 <= namespace.new_video_every < 1e9:
        raise FarmError("--new-video-every needs a number of seconds.")
    folder = namespace.data_dir
    if folder is None:
        try:
            made = tempfile.TemporaryDirectory(prefix="videofarm-", ignore_cleanup_errors=True)
        except OSError as error:
            raise FarmError(f"There is no place for temporary files: {error}.") from error
        folder = Path(stack.enter_context(made))
    parent = namespace.exit_with_parent
    return Options(
        host=namespace.host.strip("[]"),
        port=namespace.port,
        data_dir=folder,
        plan=plan,
        fault_queries=namespace.fault_queries,
        new_video_every=namespace.new_video_every,
        parent=os.getppid() if parent == 0 else parent,
        token=os.environ.get("VIDEOFARM_TOKEN", ""),
    )


def _listen(host: str, port: int) -> socket.socket:
    listener = None
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        if os.name == "posix":  # elsewhere it would let two servers share a port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        # With the queue made now, a taken port shows here and not later on the loop.
        listener.listen(1024)
    except (OSError, UnicodeError) as error:
        if listener is not None:
            listener.close()
        reason = getattr(error, "strerror", None) or error
        raise FarmError(f"Cannot listen on {host} port {port}: {reason}.") from error
    return listener


async def _run(options: Options, listener: socket.socket, farm: Farm) -> None:
    app = make_app(
        farm,
        hosts=[options.host],
        plan=options.plan,
        fault_queries=options.fault_queries,
        token=options.token,
    )
    config = uvicorn.Config(
        app, http=_Connection, loop="asyncio", ws="none", lifespan="off", log_config=None, access_log=False,
        server_header=False, timeout_keep_alive=30, backlog=1024,
    )  # fmt: skip
    server = _Server(config, f"VideoFarm at {_own_url(listener)}")
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, server.quit)
    async with asyncio.TaskGroup() as group:
        helpers = [group.create_task(work) for work in _helpers(options, farm, server)]
        await server.serve(sockets=[listener])
        for helper in helpers:
            helper.cancel()


def _helpers(options: Options, farm: Farm, server: _Server) -> Iterator[Coroutine[Any, Any, None]]:
    if options.new_video_every > 0:
        yield _publish_now_and_then(farm, options.new_video_every)
    if options.parent is not None:
        yield _end_with_parent(options.parent, server.quit)


def _own_url(listener: socket.socket) -> str:
    address, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)  # noqa: S104 (the address is only read)
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


async def _publish_now_and_then(farm: Farm, seconds: float) -> None:
    while True:
        await asyncio.sleep(seconds)
        try:
            await farm.publish_next()
        except OSError as error:
            print(f"transfermon videofarm: No new video: {error}.", file=sys.stderr)


async def _end_with_parent(parent: int, quit_server: Callable[[], None]) -> None:
    gone = asyncio.Event()

    def look() -> None:
        if os.getppid() != parent:
            gone.set()

    # The kernel's signal comes also when only the thread that started us ends. So it makes us look,
    # no more.
    if sys.platform == "linux":
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, look)
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGUSR1, 0, 0, 0)
    look()
    while not gone.is_set():
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1):
                await gone.wait()
        look()
    quit_server()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m transfermon.videofarm.server")
    add_arguments(parser)
    return serve(parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
