"""What a person asks of a task that exists: other options, another place in the queue, another
address.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from transfermon.engine.prepared_task import check_priority
from transfermon.engine.task_run import TaskRun, abandon_upload, at_address
from transfermon.http.cookies import Cookie
from transfermon.http.mirrors import checked_mirrors
from transfermon.http.upload_protocols.registry import check_name
from transfermon.model import upload_protocol
from transfermon.model.configuration import checked_headers
from transfermon.model.errors import InvalidAction
from transfermon.model.events import activity_event
from transfermon.model.request_options import RequestOptions
from transfermon.model.task import Activity, Kind, State, Task
from transfermon.model.task_steps import asked_anew


def adjust(
    run: TaskRun,
    *,
    speed_limit: int | None = None,
    maximum_attempts: int | None = None,
    request_headers: Mapping[str, str] | None = None,
    options: RequestOptions | None = None,
    cookies: Sequence[Cookie] | None = None,
    method: str = "",
    protocol: str = "",
) -> None:
    """Headers hold from the task's next request on. Raises as `Session.download_task`.

    Another `method` or `protocol` of an upload starts it over with that; "" leaves what was asked
    for before.
    """
    task, engine = run.record, run.engine
    _send_otherwise(run, task, method.upper() or task.method, protocol or task.wanted_protocol)
    headers = (
        engine.secrets_of(task) if request_headers is None else checked_headers(request_headers)
    )
    if request_headers is not None:
        engine.keep_secrets(task, headers)
    if options is not None:
        options.check()
        run.change(options=checked_mirrors(options, task.url, task.expected_digest))
    if cookies is not None:
        engine.keep_cookies(task, cookies)
    limit = task.speed_limit if speed_limit is None else max(0, speed_limit)
    attempts = task.maximum_attempts if maximum_attempts is None else max(0, maximum_attempts)
    run.change(speed_limit=limit, maximum_attempts=attempts, header_names=tuple(headers))
    engine.limit_task(task.key, limit)


def _send_otherwise(run: TaskRun, task: Task, method: str, wanted: str) -> None:
    check_name(wanted or upload_protocol.AUTO)
    wanted = wanted if upload_protocol.decided(wanted) else ""
    if task.kind is not Kind.UPLOAD or (method, wanted) == (task.method, task.wanted_protocol):
        return
    if task.upload is not None and (run.attempt is None or not run.attempt.moving):
        abandon_upload(run)
    anew = asked_anew(wanted) if task.source else {}
    run.change(
        method=method,
        wanted_protocol=wanted,
        upload=None,
        renewed=False,
        sent=0,
        exposed=False,
        **anew,
    )
    run.stop_attempt()


def set_priority(run: TaskRun, priority: float) -> None:
    """T-09. Raises ValueError outside 0.0 to 1.0."""
    check_priority(priority)
    run.change(priority=priority)
    run.engine.slots.reprioritise(run.key, priority)


def hasten(run: TaskRun, url: str | None = None) -> None:
    """End the wait of a running task for its next attempt; with `url`, ask that address from now
    on.

    An attempt that runs goes on, unless there is another address. Raises as `TaskRun.retry`.
    """
    if run.record.state is not State.RUNNING:
        raise InvalidAction(f"task {run.key} does not run")
    if url is not None:
        task = at_address(run, url)
        run.core.move_to_address(run, task.url)
        run.core.record_task(run, task, activity_event(task))
        run.stop_attempt()  # the next one asks there
    if run.wait.timed and run.record.activity in (Activity.RETRYING, Activity.WAITING_UNTIL):
        run.again()
