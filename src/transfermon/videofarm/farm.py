"""What the VideoFarm server offers: videos, photos, files and uploads, each route a method.

Rule: whoever asks must name this very server as the host, and a web page from elsewhere gets
nothing, since any page in a browser can reach a loopback port. `make_app` puts the gate before it.
"""

from __future__ import annotations

import asyncio
import html
import re
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from transfermon.videofarm import samples
from transfermon.videofarm.bodies import Content, ContentResponse, content_of_json, problem_answer
from transfermon.videofarm.catalogue import Catalogue, FarmError, Video, iso_time, parse_time
from transfermon.videofarm.faults import FaultPlan
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

_MOST_BYTES = 1 << 50
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
