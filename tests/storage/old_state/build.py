"""What an older build wrote into its state directory: every kind, state and activity, and records
with every field.

    PYTHONPATH=<a checkout of 446e00f>/src python tests/storage/old_state/build.py
    tests/storage/old_state

The classes are handed in, so that the build that reads makes the same records out of its own.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import sys
from itertools import cycle
from types import SimpleNamespace
from typing import Any

NOW = 1_790_000_000.0
FOLDER = "/home/somebody/Downloads"
PART = f"{FOLDER}/.transfermon-a1b2c3d4e5f60718.part"
OLDER = f"{FOLDER}/.transfermon-a1b2c39f8e7d6c5b.part"
SUSPENDED_PART = f"{FOLDER}/.transfermon-a1b2c30011223344.part"
KINDS = ("download", "upload", "data")
STATES = ("suspended", "running", "canceling", "completed")
ACTIVITIES = (
    "",
    "queued",
    "waiting_until",
    "waiting_for_connectivity",
    "connecting",
    "transferring",
    "retrying",
    "verifying",
    "finalizing",
)
RETRIES = ("wait", "retry", "restart", "final")
VERDICTS = ("granted", "delayed", "held", "refused")
OUTCOMES = ("", "new_data", "no_data", "failed", "expired", "interrupted", "dropped")
VALUES = {"push.waiting": "[]", "alerts": '{"asked": true}'}
SECRETS = {
    "films": {"X-Key": "clé"},
    "films:1": {"Authorization": "Basic Zm9vOmJhcg==", ":login": "given"},
}
SETTINGS = {
    "theme": "dark",
    "speed_limit": 250_000,
    "push_topics": ("one", "two"),
    "fetch_interval": 900.0,
}


def configurations(m: Any) -> list[Any]:
    """Of the three kinds of sessions; the first has no field as it is by default."""
    own = m.SessionConfiguration.background("films")
    own.timeout_interval_for_request, own.timeout_interval_for_resource = 12.5, 86_400.0
    own.http_maximum_connections_per_host, own.maximum_redirects = 2, 7
    own.waits_for_connectivity = own.is_discretionary = own.upload_digests = (
        own.allows_insecure_redirects
    ) = True
    own.session_sends_launch_events = own.allows_metered_access = own.http_should_set_cookies = (
        False
    )
    own.follows_redirects = False
    own.proxy, own.ca_file, own.tls_keys = (
        "socks5h://proxy.example.org:1080",
        "/etc/ca.pem",
        "/tmp/keys",
    )
    own.send_along = ("X-Key", "Authorization")
    own.http_error_policy, own.resume_policy, own.upload_protocol = "transport", "strict", "ietf:6"
    own.download_folder, own.speed_limit, own.maximum_bytes = FOLDER, 1_000_000, 4_000_000_000
    own.retry_policy = m.RetryPolicy(
        minimum=0.5, maximum=60.0, attempts=9, reset_bytes=1, unknown_host_attempts=1
    )
    return [own, m.SessionConfiguration.default(), m.SessionConfiguration.ephemeral()]


def sessions(m: Any) -> list[Any]:
    films, plain, private = configurations(m)
    return [
        m.SessionRow(key="films", configuration=films, next_number=40),
        m.SessionRow(key="default-1", configuration=plain, next_number=30),
        m.SessionRow(key="ephemeral-1", configuration=private, state="invalidated", next_number=3),
    ]


def a_download(m: Any) -> Any:
    """With nearly every field that a download can have."""
    validators = m.Validators(
        etag='"v2"',
        last_modified="Wed, 01 Oct 2025 10:00:00 GMT",
        date="Wed, 01 Oct 2025 10:00:07 GMT",
        total=5_000_000_000,
        accept_ranges="bytes",
        content_encoding="gzip",
        content_type="video/mp4",
        digests=("sha-256:" + "ab" * 32, "sha-512:" + "cd" * 64),
        sums=("md5:" + "ef" * 16,),
        host="cdn.example.org:443",
        label="zstd",
    )
    return m.Task(
        session="films",
        number=1,
        kind=m.Kind.DOWNLOAD,
        url="https://example.org/film.mp4?key=…",
        current_url="https://cdn.example.org/ä/film.mp4",
        strayed=True,
        header_names=("Authorization", "X-Key"),
        options=m.RequestOptions(
            send_along=("x-key",),
            insecure_redirects=True,
            ca_file="/etc/own.pem",
            tls_keys="/tmp/k",
        ),
        state=m.State.RUNNING,
        activity=m.Activity.RETRYING,
        suspend_count=2,
        priority=0.75,
        description="Ein Film — 电影",
        earliest_begin=NOW + 60,
        origin=m.Origin.GIVEN,
        user_initiated=False,
        added=NOW,
        started=NOW + 1,
        suspended_seconds=3.5,
        suspended_at=NOW + 9,
        attempt=3,
        received=2_500_000_001,
        expected=5_000_000_000,
        validators=validators,
        part_path=PART,
        part_inode=123_456_789,
        older_part=m.StoredPart(
            path=OLDER,
            inode=987_654_321,
            received=4_000_000_000,
            expected=5_000_000_000,
            validators=m.changed(validators, etag='"v1"', digests=()),
            boot_id="0f0e",
            mount_id=41,
        ),
        evidence=m.Evidence(
            brought=77,
            compared=12,
            no_ranges="example.org:443",
            contradicted=("etag",),
            ignored=("last_modified",),
            refused=503,
            refusals=2,
            found_sum="md5:" + "00" * 16,
        ),
        folder=FOLDER,
        name="film.mp4",
        named=True,
        making_since=NOW + 2,
        remark="the server's checksum does not fit",
        overwrite=True,
        final_path=f"{FOLDER}/film.mp4",
        expected_digest="sha-256:" + "12" * 32,
        speed_limit=50_000,
        maximum_attempts=5,
        response=m.Response(
            status=206,
            url="https://cdn.example.org/ä/film.mp4",
            headers=(("ETag", '"v2"'), ("Set-Cookie", ""), ("Content-Range", "bytes 1-2/3")),
            http_version="HTTP/1.0",
            remote_address="192.0.2.7:443",
            by_proxy="proxy.example.org:8080",
        ),
        error=an_error(m, m.Retry.RETRY),
        waiting_until=NOW + 30,
        waiting_reason="The server is busy.",
        waiting_hint="It goes on by itself.",
        not_resumable="The server sends no validator.",
        restarts=1,
        wasted=1_000,
        handler_id="Fetch-1",
        in_background=True,
        limited_until=NOW + 120,
        room=3_000_000_000,
        boot_id="a0a1",
        mount_id=42,
        transactions=(
            (1, "GET", "https://example.org/film.mp4", 302, NOW, None, None),
            (2, "GET", "x", None),
        ),
        redirect_count=1,
    )


def an_upload(m: Any) -> Any:
    """With nearly every field that an upload can have."""
    return m.Task(
        session="films",
        number=2,
        kind=m.Kind.UPLOAD,
        method="PUT",
        url="https://example.org/in/",
        state=m.State.SUSPENDED,
        suspend_count=1,
        name="report.pdf",
        sent=1_000,
        expected_to_send=9_000,
        source="/home/somebody/report.pdf",
        source_identity=(64_769, 12, 9_000, 1_790_000_000_123_456_789),
        spooled=True,
        wanted_protocol="ietf:6",
        protocol="ietf",
        into_folder=True,
        unconfirmed="The connection broke before the answer came.",
        stored_as="https://example.org/in/report.pdf",
        upload=m.UploadResource(
            protocol="ietf",
            url="https://example.org/uploads/1",
            length=9_000,
            version="6",
            offset=1_000,
            max_append=4_096,
            min_append=16,
            piece=512,
            tried=512,
            given=1_512,
            expires=NOW + 3_600,
            elsewhere=True,
            confined=True,
        ),
        renewed=True,
        exposed=True,
        not_resumable="A plain upload: after a pause it starts over.",
        options=m.RequestOptions(no_content_type=True),
    )


def an_error(m: Any, retry: Any) -> Any:
    return m.TransferError(
        code=-1011,
        message="The server answered 503.",
        reason="srv.busy",
        hint="Try again later.",
        said="Zu viele Anfragen",
        url="https://example.org/film.mp4",
        status=503,
        retry=retry,
        retry_after=12.5,
    )


def tasks(m: Any) -> list[Any]:
    """In the order in which they are read back: by session and number."""
    url = "https://example.org/file"
    of_a_state = [(m.Kind(kind), m.State(state)) for kind in KINDS for state in STATES]
    plain = [
        m.Task(session="default-1", number=number, kind=kind, state=state, url=url, added=NOW)
        for number, (kind, state) in enumerate(of_a_state, 1)
    ]
    films = [a_download(m), an_upload(m)]
    films += [
        m.Task(
            session="films",
            number=number,
            kind=m.Kind.DOWNLOAD,
            state=m.State.RUNNING,
            activity=activity,
            url=url,
        )
        for number, activity in enumerate(map(m.Activity, ACTIVITIES), 3)
    ]
    films += [
        m.Task(
            session="films",
            number=number,
            kind=m.Kind.DOWNLOAD,
            state=m.State.COMPLETED,
            url=url,
            error=an_error(m, retry),
            cancel_reason=2,
            finished=NOW + 5,
        )
        for number, retry in enumerate(map(m.Retry, RETRIES), 20)
    ]
    films.append(
        m.Task(
            session="films",
            number=30,
            kind=m.Kind.DOWNLOAD,
            state=m.State.COMPLETED,
            url=url,
            folder=FOLDER,
            name="page.html",
            instead="a web page instead of a video",
            final_path=f"{FOLDER}/page.html",
            final_identity=(64_769, 13, 120, 1_790_000_000_000_000_001),
            finished=NOW + 6,
            validators=m.Validators(),
        )
    )
    return [*plain, *films]


def resume_rows(m: Any) -> list[Any]:
    cancelled = m.changed(
        a_download(m), number=9, state=m.State.COMPLETED, part_path=SUSPENDED_PART, older_part=None
    )
    spent = m.changed(
        cancelled, number=10, part_path=f"{FOLDER}/.transfermon-ffffffffffffffff.part"
    )
    return [
        m.ResumeRow(token="one", task=cancelled),
        m.ResumeRow(token="two", task=spent, spent=True),
    ]


def wakes(m: Any) -> list[Any]:
    kinds = list(zip(cycle(("fetch", "push")), cycle(VERDICTS), OUTCOMES, strict=False))
    ended = [
        m.Wake(
            identifier=f"w{number}",
            kind=m.WakeKind(kind),
            source="button",
            time=NOW + number,
            verdict=m.Verdict(verdict),
            outcome=m.Outcome(outcome),
        )
        for number, (kind, verdict, outcome) in enumerate(kinds)
    ]
    full = m.Wake(
        identifier="full",
        kind=m.WakeKind.PUSH,
        source="ntfy",
        time=NOW,
        reason="The hour's budget is used up.",
        policy="It would wait.",
        until=NOW + 900,
        payload={"aps": {"content-available": 1}, "film": "ä"},
        handler_id="Push-1",
        delivered=NOW + 1,
        ended=NOW + 2,
        tasks=("films:1",),
        note="Its sender took it back.",
        sequence="s1",
        superseded=True,
    )
    return [*ended, full]


def events(m: Any) -> list[Any]:
    """Every one that is kept, in the order of the journal."""
    given: dict[str, dict[str, Any]] = {
        "taskcreated": {"kind": "download", "url": "https://example.org/file"},
        "taskstate": {
            "state": "running",
            "activity": "queued",
            "reason": "r",
            "until": NOW,
            "attempt": 2,
        },
        "taskremoved": {"file_deleted": True, "file_kept": "/kept"},
        "downloadresumed": {"file_offset": 5, "expected_total_bytes": 10, "reason": "why"},
        "downloadcompleted": {"location": "/final", "suggested_filename": "final"},
        "sessioncompleted": {
            "success": True,
            "error_code": -999,
            "message": "m",
            "status_code": 200,
            "response_text": "text",
            "reason": "r",
            "cancel_reason": 1,
            "resumable": True,
        },
        "sessionfinishing": {"canceling": True},
        "sessionidle": {"completed": 1, "failed": 2},
        "sessioninvalidated": {"error": "e"},
        "backgroundtransfer": {"handler_id": "Transfer-1"},
        "backgroundfetch": {"handler_id": "Fetch-1", "by_hand": True},
        "silentpush": {
            "handler_id": "Push-1",
            "by_hand": True,
            "payload": {"a": {"b": 1}},
            "custom": {"film": 7},
        },
        "handlerended": {
            "handler_id": "Push-1",
            "result": "new_data",
            "elapsed": 1.5,
            "started_tasks": 2,
        },
        "backgroundhandlerexpired": {"handler_id": "Push-2", "kind": "push", "elapsed": 30.0},
        "notification": {
            "alert_title": "t",
            "alert_body": "b",
            "user_info": {"a": 1},
            "identifier": "n",
            "shown": True,
            "in_front": "banner",
        },
    }
    classes = [m.CLASSES[name] for name in KEPT]
    return [
        cls(
            sequence=sequence,
            event_id=f"0a0b0c-{sequence}",
            time=NOW + sequence,
            session="films",
            session_identifier="films",
            **({"task_identifier": 1} if issubclass(cls, m.TaskEvent) else {}),
            **given.get(cls.type, {}),
        )
        for sequence, cls in enumerate(classes, 1)
    ]


KEPT = (  # the events that the build before kept in its journal
    "sessioncreated",
    "taskcreated",
    "taskstate",
    "taskwaiting",
    "downloadresumed",
    "downloadcompleted",
    "sessioncompleted",
    "sessionidle",
    "taskremoved",
    "notification",
    "backgroundfetch",
    "silentpush",
    "handlerended",
    "backgroundhandlerexpired",
    "backgroundtransfer",
    "sessioneventscompleted",
    "sessionfinishing",
    "sessioninvalidated",
)
HEARD = frozenset({"downloadcompleted"})  # every listener has had it


async def write(m: Any, folder: str) -> None:
    store = m.Store(f"{folder}/transfermon.db")
    await store.open()
    for row in sessions(m):
        store.commit(m.Change(session=row))
    for task in tasks(m):
        store.commit(m.Change(task=task))
    for row in resume_rows(m):
        store.commit(m.Change(resume=row))
    for wake in wakes(m):
        store.commit(m.Change(wake=wake))
    for pair in VALUES.items():
        store.commit(m.Change(value=pair))
    for event in events(m):
        await store.commit(m.Change(event=event))
        if event.type in HEARD:
            store.acknowledge(event.sequence)
    await store.close()
    vault = m.Vault(f"{folder}/secrets.json")
    for owner, headers in SECRETS.items():
        vault.put(owner, headers)
    await vault.saved()
    m.Settings(path=f"{folder}/settings.json").replaced(**SETTINGS)


def main() -> None:
    names: dict[str, Any] = {}
    for module in (
        "configuration",
        "errors",
        "events",
        "request_options",
        "settings",
        "store",
        "task",
        "vault",
        "wakes",
    ):
        names.update(vars(importlib.import_module(f"transfermon.{module}")))
    assert {cls.type for cls in names["CLASSES"].values() if cls.journalled} == set(KEPT)
    asyncio.run(write(SimpleNamespace(**names), os.path.abspath(sys.argv[1])))


if __name__ == "__main__":
    main()
