"""The VideoFarm server: a small REST video service, for the demo, the tests and as an example.

    python -m transfermon.videofarm.server --port 0 --fault rate=2M

It runs without the rest of transfermon. The one rule to keep: whoever asks must name this very
server as the host, and a web page from elsewhere gets nothing, since any page in a browser can
reach a loopback port.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ctypes
import dataclasses
import html
import logging
import os
import re
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from transfermon.model.record import record
from transfermon.videofarm import faults as fault_grammar
from transfermon.videofarm import samples
from transfermon.videofarm.bodies import Content, ContentResponse, content_of_json, problem_answer
from transfermon.videofarm.catalogue import Catalogue, FarmError, Video, iso_time, parse_time
from transfermon.videofarm.faults import FaultError, FaultPlan, parse_rule
from transfermon.videofarm.gate import Gate, is_loopback
from transfermon.videofarm.push import PushProvider
from transfermon.videofarm.uploads import (
    MAX_PICTURE,
    MAX_SIZE,
    PARTIAL,
    Begun,
    Depot,
    UploadRefused,
    begun_answer,
    checked_picture,
    count_of,
    is_true,
    length_mismatch,
    offered_length,
    state_answer,
)

PORT = 8787
_MOST_BYTES = 1 << 50
_PR_SET_PDEATHSIG = 1
_M_ARENA_MAX = -8
T = TypeVar("T")


class NotFound(Exception):  # noqa: N818
    """There is no such thing here; the text says what was asked for."""


def _now() -> int:
    return time.time_ns() // 1_000_000


class Farm:
    """The resources. Each method answers one route; what blocks runs in the bounded pool."""

    def __init__(self, catalogue: Catalogue, pool: ThreadPoolExecutor, folder: Path) -> None:
        self._catalogue, self._pool = catalogue, pool
        self._depot = Depot(folder / "uploads", self._off_loop)
        try:
            self._push = PushProvider(folder / "push.json", self._off_loop)
        except (OSError, ValueError, AttributeError) as error:
            raise FarmError(
                f"The subscriptions in {folder / 'push.json'} cannot be read: {error}."
            ) from error

    def routes(self) -> list[Route]:
        return [
            Route("/", self.index),
            Route("/videos", self.videos),
            Route("/videos", self.create, methods=["POST"]),
            Route("/videos/{id}", self.video),
            Route("/videos/{id}", self.remove, methods=["DELETE"]),
            Route("/videos/{id}/movie", self.movie),
            Route("/videos/{id}/movie", self.put_movie, methods=["PUT", "POST"]),
            Route("/videos/{id}/movie", self.movie_options, methods=["OPTIONS"]),
            Route("/uploads/{token}", self.upload, methods=["HEAD", "PATCH", "DELETE"]),
            Route("/videos/{id}/thumbnail", self.thumbnail),
            Route("/photos", self.photos),
            Route("/photos/{id}", self.photo),
            Route("/files", self.files),
            Route("/files/{name}", self.file),
            Route("/bytes/{n}", self.bytes),
            Route("/demo/publish", self.publish, methods=["POST"]),
            *self._push.routes(),
        ]

    async def publish_next(self) -> Video:
        return await self._off_loop(self._catalogue.publish, _now())

    async def index(self, request: Request) -> Response:
        rows = "".join(
            f'<li><img src="/videos/{video.id}/thumbnail" alt=""><p><a href="/videos/{video.id}/movie">'
            f"{html.escape(video.title)}</a><br>{html.escape(video.description)}</p></li>"
            for video in reversed(self._catalogue.videos())
        )
        policy = (
            "default-src 'none'; img-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'none'"
        )
        return HTMLResponse(
            _PAGE.replace("ROWS", rows), headers={"content-security-policy": policy}
        )

    async def videos(self, request: Request) -> Response:
        after = -1
        if (since := request.query_params.get("since")) is not None:
            try:
                after = parse_time(since)
            except (ValueError, OverflowError):
                return problem_answer(
                    400, "since must be a time with a zone, like 2024-05-01T06:00:00.000Z."
                )
        found = [video for video in self._catalogue.videos() if video.created > after]
        return self._answer(content_of_json([describe(video, _base(request)) for video in found]))

    async def video(self, request: Request) -> Response:
        return self._answer(content_of_json(describe(self._video(request), _base(request))))

    async def create(self, request: Request) -> Response:
        """V-02, V-03: a form with title, thumbnail and perhaps a description."""
        if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
            return problem_answer(
                415, "A new video comes as multipart/form-data with title and thumbnail."
            )
        async with request.form(max_files=2, max_fields=10, max_part_size=64 * 1024) as form:
            title, picture = form.get("title"), form.get("thumbnail")
            description = form.get("description") or ""
            if not isinstance(title, str) or not title.strip() or len(title) > 200:
                return problem_answer(400, "A video needs a title of 1 to 200 characters.")
            if not isinstance(picture, UploadFile):
                return problem_answer(400, "A video needs a thumbnail, a PNG or JPEG picture.")
            if not isinstance(description, str) or len(description) > 10_000:
                return problem_answer(
                    400, "A description is a text of 10000 characters at the most."
                )
            data = await picture.read(MAX_PICTURE + 1)
        ending = checked_picture(data)
        video = await self._off_loop(
            self._catalogue.create, title.strip(), description, data, ending, _now()
        )
        return Response(status_code=303, headers={"location": f"/videos/{video.id}"})

    async def remove(self, request: Request) -> Response:
        await self._off_loop(self._catalogue.remove, self._video(request))
        return Response(status_code=204)

    async def movie_options(self, request: Request) -> Response:
        self._video(request)
        return offered_length()

    async def put_movie(self, request: Request) -> Response:
        """V-04 and the beginning of V-08."""
        video = self._video(request)
        media_type = request.headers.get("content-type", "application/octet-stream")[:100]
        complete, length = is_true(request, "Upload-Complete"), count_of(request, "Upload-Length")
        announced = count_of(request, "Content-Length")
        if max(length or 0, announced or 0) > MAX_SIZE:
            return problem_answer(
                413, f"A movie has {MAX_SIZE} bytes at the most.", headers={"connection": "close"}
            )
        if complete is not None:
            if complete and length is None:
                length = announced
            token = await self._off_loop(self._depot.begin, str(video.id), length, media_type)
            location = f"{_base(request)}/uploads/{token}"
            if (
                announced
                or (announced is None and "transfer-encoding" in request.headers)
                or complete
            ):
                answer = await self._append(request, token, complete)
                answer.headers["location"] = location
                return answer
            return begun_answer(location)
        if request.method != "PUT":
            return problem_answer(
                405, "A whole movie comes by PUT.", headers={"allow": "GET, HEAD, OPTIONS, PUT"}
            )
        token = await self._off_loop(self._depot.begin, str(video.id), announced, media_type)
        try:
            received = await self._depot.receive(request, self._depot.part(token), MAX_SIZE)
            if received < 0 or (announced is not None and received != announced):
                return problem_answer(
                    400, "The movie ended too early.", headers={"connection": "close"}
                )
            return await self._complete(token, video)
        finally:
            await self._off_loop(self._depot.forget, token)

    async def upload(self, request: Request) -> Response:
        """V-08, V-09: an unfinished upload, by its unguessable address."""
        token = request.path_params["token"]
        begun = await self._off_loop(self._depot.find, token)
        if begun is None:
            return problem_answer(404, "There is no such upload; it may have expired.")
        if request.method == "DELETE":
            async with self._depot.turn(token):
                await self._off_loop(self._depot.forget, token)
            return Response(status_code=204)
        if request.method == "HEAD":
            async with self._depot.turn(token):
                return state_answer(await self._offset(token, begun), begun)
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != PARTIAL:
            return problem_answer(
                415, f"A part comes as {PARTIAL}.", headers={"accept-patch": PARTIAL}
            )
        complete = is_true(request, "Upload-Complete")
        if complete is None:
            return problem_answer(400, "Upload-Complete is missing.")
        return await self._append(request, token, complete)

    async def _append(self, request: Request, token: str, complete: bool) -> Response:
        async with self._depot.turn(token) as stop:
            begun = await self._off_loop(self._depot.find, token)
            if begun is None:
                return problem_answer(404, "There is no such upload; it may have expired.")
            offset = await self._offset(token, begun)
            provided = count_of(request, "Upload-Offset") if request.method == "PATCH" else 0
            if begun.complete or provided != offset:
                return length_mismatch(offset, provided or 0)
            length = begun.length
            left = MAX_SIZE - offset if length is None else length - offset
            received = await self._depot.receive(request, self._depot.part(token), left, stop)
            if received < 0:
                return problem_answer(
                    409,
                    "Another request goes on with this upload.",
                    headers={"connection": "close"},
                )
            offset += received
            if not complete:
                return state_answer(offset, begun)
            if length is not None and offset != length:
                return problem_answer(
                    400, f"The upload has {offset} of {length} bytes and cannot be complete."
                )
            video = self._catalogue.video(begun.video)
            if video is None:
                return problem_answer(404, "There is no such video.")
            answer = await self._complete(token, video)
            answer.headers["upload-complete"] = "?1"
            answer.headers["upload-offset"] = str(offset)
            return answer

    async def _complete(self, token: str, video: Video) -> Response:
        begun = await self._off_loop(self._depot.find, token)
        if begun is None:
            return problem_answer(404, "There is no such upload; it may have expired.")
        path = await self._off_loop(self._depot.finish, token, begun)
        replaced = await self._off_loop(
            self._catalogue.put_movie, str(video.id), path, begun.media_type
        )
        location = {} if replaced else {"location": f"/videos/{video.id}/movie"}
        return Response(status_code=204 if replaced else 201, headers=location)

    async def _offset(self, token: str, begun: Begun) -> int:
        if begun.complete and begun.length is not None:
            return begun.length
        return await self._off_loop(self._depot.offset, token)

    async def movie(self, request: Request) -> Response:
        return self._answer(await self._off_loop(self._catalogue.movie, self._video(request)))

    async def thumbnail(self, request: Request) -> Response:
        return self._answer(await self._off_loop(self._catalogue.thumbnail, self._video(request)))

    async def photos(self, request: Request) -> Response:
        described = []
        for number, photo in enumerate(samples.PHOTOS, 1):
            width, height = samples.picture_size(photo.data)
            url = f"{_base(request)}/photos/{number}"
            described.append(
                {
                    "id": number,
                    "title": photo.title,
                    "url": url,
                    "image": url,
                    "width": width,
                    "height": height,
                }
            )
        return self._answer(content_of_json(described))

    async def photo(self, request: Request) -> Response:
        numbers = {str(number): photo for number, photo in enumerate(samples.PHOTOS, 1)}
        if (photo := numbers.get(request.path_params["id"])) is None:
            raise NotFound("There is no such photo.")
        return self._answer(await self._off_loop(self._catalogue.photo, photo))

    async def files(self, request: Request) -> Response:
        found = await self._off_loop(self._catalogue.files)
        base = f"{_base(request)}/files"
        return self._answer(
            content_of_json(
                [
                    {"name": name, "url": f"{base}/{quote(name)}", "size": size}
                    for name, size in found
                ]
            )
        )

    async def file(self, request: Request) -> Response:
        return self._answer(await self._off_loop(self._catalogue.file, request.path_params["name"]))

    async def bytes(self, request: Request) -> Response:
        text = request.path_params["n"]
        if not re.fullmatch(r"[0-9]{1,16}", text, re.ASCII) or int(text) > _MOST_BYTES:
            raise NotFound(f"After /bytes/ comes a number up to {_MOST_BYTES}.")
        return self._answer(
            Content(
                size=int(text),
                media_type="application/octet-stream",
                etag=f"bytes-{int(text)}",
                read=samples.pattern,
                modified=samples.MADE_AT,
                filename=f"{int(text)}.bin",
                attachment=True,
            )
        )

    async def publish(self, request: Request) -> Response:
        if request.client is None or not is_loopback(request.client.host):
            return problem_answer(403, "Only this machine may publish.")
        video = await self.publish_next()
        return JSONResponse(
            describe(video, _base(request)),
            status_code=201,
            headers={"location": f"/videos/{video.id}"},
        )

    def _video(self, request: Request) -> Video:
        if (video := self._catalogue.video(request.path_params["id"])) is None:
            raise NotFound("There is no such video.")
        return video

    def _answer(self, content: Content) -> Response:
        return ContentResponse(content, self._pool)

    async def _off_loop(self, work: Callable[..., T], *values: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work, *values)


def describe(video: Video, base: str) -> dict[str, Any]:
    """The eight keys of a video, with absolute addresses that begin with `base`."""
    url = f"{base}/videos/{video.id}"
    return {
        "id": video.id,
        "title": video.title,
        "description": video.description,
        "url": url,
        "image": f"{url}/thumbnail",
        "movie": f"{url}/movie",
        "duration": video.duration,
        "created": iso_time(video.created),
    }


def _base(request: Request) -> str:
    host: str = request.state.host
    return f"http://{host}"


_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>VideoFarm</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; color: #1d2b47 }
ul { list-style: none; padding: 0 } li { display: flex; gap: 1rem; align-items: center; margin: 0 0 1rem }
img { width: 180px; height: 120px; border-radius: 8px } p { margin: 0 } a { color: #a8464a; font-weight: 600 }
</style>
<h1>VideoFarm</h1>
<p>For programs: <a href="/videos">videos</a>, <a href="/photos">photos</a>, <a href="/files">files</a>,
<a href="/bytes/1000000">bytes</a>.</p>
<ul>ROWS</ul></html>
"""


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    words = {404: "There is nothing here.", 405: f"{request.method} is not possible here."}
    return problem_answer(
        error.status_code, words.get(error.status_code, error.detail), headers=error.headers
    )


async def _on_not_found(request: Request, error: Exception) -> Response:
    return problem_answer(
        404, str(error) if isinstance(error, NotFound) else "There is no such file."
    )


async def _on_refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, UploadRefused)
    return error.answer


async def _on_disk_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, OSError)
    return problem_answer(507, f"The farm cannot use its disk: {error.strerror or error}.")


async def _on_our_mistake(request: Request, error: Exception) -> Response:
    return problem_answer(500, "The server made a mistake.")


def make_app(
    farm: Farm, *, hosts: Sequence[str], plan: FaultPlan, fault_queries: bool, token: str = ""
) -> ASGIApp:
    app = Starlette(
        routes=farm.routes(),
        exception_handlers={
            HTTPException: _on_http_error,
            NotFound: _on_not_found,
            UploadRefused: _on_refused,
            FileNotFoundError: _on_not_found,
            OSError: _on_disk_error,
            Exception: _on_our_mistake,
        },
    )
    app.router.redirect_slashes = False
    return Gate(app, hosts=hosts, plan=plan, fault_queries=fault_queries, token=token)


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
