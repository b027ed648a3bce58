"""The requests of one attempt of an upload or of a data task, and their answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field

from transfermon.engine.answers import LONGEST
from transfermon.engine.attempt import Attempt
from transfermon.engine.shared import Engine
from transfermon.engine.task_calls import call_for_task
from transfermon.http.upload_protocols.registry import protocol_of
from transfermon.model.configuration import SessionConfiguration
from transfermon.model.record import record
from transfermon.model.task import Progress, Response, Task
from transfermon.wire.call import Call, Content
from transfermon.wire.rate_limit import Limiter

Body = Callable[[], Content] | bytes | None  # made anew each time that it is sent
Interim = Callable[[Response, bool], None]  # told the head, and whether its server is a public one


@record
class Heard:
    """A final answer, read to what is kept of it."""

    response: Response
    body: bytes = field(repr=False)
    confines: bool  # an address that its server names must not lead into a private network
    most: int  # bytes of the body that are kept (U-07); one more was read

    @property
    def text(self) -> str:
        return decoded(self.body[: self.most], self.response.header("Content-Type"))

    @property
    def whole(self) -> bool:
        """Whether nothing is missing of the text."""
        return len(self.body) <= self.most


class Exchanges:
    """Made for one attempt. `counts`: whether what goes out is counted as it goes, and not by
    whoever makes the body.
    """

    def __init__(self, attempt: Attempt, limiters: list[Limiter], *, counts: bool = True) -> None:
        self._attempt = attempt
        self._counter = attempt.progress if counts else Progress()
        self._limiters = limiters  # those without a rate, too: they may get one meanwhile

    def __repr__(self) -> str:
        return f"<Exchanges of {self._attempt}>"

    @property
    def gave(self) -> bool:
        """Whether a byte of the last body reached the network."""
        return self._counter.received > 0

    async def exchange(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: Body = None,
        *,
        length: int | None = None,
        most: int | None = None,
        on_interim: Interim | None = None,
    ) -> Heard:
        """Send it and read the answer, with as much of its body as is kept, or `most` bytes. Raises
        TransferFailure.
        """
        lines = await self._attempt.engine.lines()
        answer = await lines.open(self._call(method, url, headers, body, length, on_interim))
        try:
            most = LONGEST[self._attempt.task.kind] if most is None else most
            text = await answer.read(most + 1 if most else 0)
            return Heard(response=answer.response, body=text, confines=answer.confines, most=most)
        finally:
            await answer.aclose()

    async def head(self, method: str, url: str, headers: Mapping[str, str]) -> Response:
        """The head of the answer to a request without a body."""
        return (await self.exchange(method, url, headers, most=0)).response

    def _call(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        content: Body,
        length: int | None,
        on_interim: Interim | None,
    ) -> Call:
        task, own = self._attempt.task, self._attempt.configuration
        resource = task.upload if task.upload is not None and url == task.upload.url else None
        elsewhere = resource is not None and resource.elsewhere
        return call_for_task(
            self._attempt.engine,
            own,
            task,
            headers,
            elsewhere=elsewhere,
            url=url,
            method=method,
            content=content,
            content_length=length,
            sending=self._counter,
            limiters=self._limiters,
            on_interim=on_interim,
            confined=resource is not None and elsewhere and resource.confined,
            follows_redirects=own.follows_redirects,
            secret_path=resource is not None,
            traces=self._attempt.new_traces(),
        )


async def abandon(engine: Engine, configuration: SessionConfiguration, task: Task) -> None:
    """Delete a task's upload resource (U-22). Raises TransferFailure."""
    upload = task.upload
    assert upload is not None
    ask = protocol_of(task).cancellation(upload)
    call = call_for_task(
        engine,
        configuration,
        task,
        ask.fields,
        elsewhere=upload.elsewhere,
        url=upload.url,
        method=ask.method,
        confined=upload.elsewhere and upload.confined,
        cookies=False,
        idle_timeout=min(10.0, configuration.timeout_interval_for_request),
    )
    answer = await (await engine.lines()).open(call)
    await answer.aclose()


def decoded(body: bytes, content_type: str) -> str:
    """The text of a body, by the charset that its type declares; bytes that are no such text show
    as �.
    """
    charset = "utf-8"
    for part in content_type.split(";")[1:]:
        name, _, value = part.partition("=")
        if name.strip().lower() == "charset":
            charset = value.strip().strip('"')
    try:
        return body.decode(charset, "replace")
    except (LookupError, ValueError):
        return body.decode("utf-8", "replace")
