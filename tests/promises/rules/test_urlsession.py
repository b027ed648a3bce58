"""The ancestors' function names, as their samples use them."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.byte_server import ByteServer, Resource
from transfermon import urlsession
from transfermon.engine.monitor import Monitor
from transfermon.model.errors import InvalidAction

pytestmark = pytest.mark.anyio


@pytest.fixture
def names(monitor: Monitor) -> Iterator[Any]:
    """The facade on this monitor."""
    with urlsession.attached(monitor):
        yield urlsession


@pytest.fixture
def server() -> Iterator[ByteServer]:
    with ByteServer(Resource(b"x" * 1000)) as server:
        yield server


async def test_s18_the_five_old_names_work_and_each_warns_once(names: Any, server: ByteServer):
    def warned(call: Any, *arguments: Any) -> Any:
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            result = call(*arguments)
        assert [warning.category for warning in seen] == [DeprecationWarning], call
        assert seen[0].filename == __file__
        return result

    configuration = warned(names.create_url_session_background_configuration, "com.example.old")
    session = warned(names.create_url_session, configuration)
    task = warned(names.background_download_task_with_url, session, server.url("/a.png"))
    assert task.task_identifier == 1
    assert (await task.wait()).succeeded
    warned(names.finish_tasks_and_invalidate, session)
    assert (
        names.monitor.find_session("com.example.old") is None
        or session.session.state.value != "active"
    )
    other = names.create_session(names.create_session_configuration("com.example.other"))
    warned(names.invalidate_and_cancel, other)
    assert other.session.state.value != "active"


async def test_s18_the_new_names_do_not_warn(names: Any):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        configuration = names.create_session_configuration(
            identifier="com.example.new", http_header_fields={"X-App": "photos"}
        )
        session = names.create_session(configuration=configuration)
    assert session.configuration.http_header_fields == {"X-App": "photos"}


async def test_s06_the_facade_gives_the_identical_object_while_it_is_active(names: Any):
    configuration = names.create_session_configuration("com.example.same")
    session = names.create_session(configuration)
    assert names.create_session(configuration) is session
    assert session.session is names.monitor.session("com.example.same")


@pytest.mark.parametrize(
    ("identifier", "error"), [("", ValueError), (None, TypeError), (7, TypeError)]
)
async def test_s01_the_facade_refuses_a_bad_identifier(names: Any, identifier, error):
    with pytest.raises(error):
        names.create_session_configuration(identifier)


async def test_s02_the_facade_takes_only_a_mapping_of_texts(names: Any):
    configuration = names.create_session_configuration(
        "com.example.bad", http_header_fields=["X: 1"]
    )
    with pytest.raises(TypeError):
        names.create_session(configuration)


async def test_d08_a_download_through_the_facade_is_a_temporary_file(
    names: Any, server: ByteServer, tmp_path: Path, downloads: Path
):
    kept = tmp_path / "kept.png"
    seen = []

    def completed(event: Any) -> None:
        seen.append((event.data.path, os.path.exists(event.data.path)))
        if event.task_identifier == 2:
            event.data.save_to(kept)

    names.monitor.add_event_listener("downloadcompleted", completed)
    session = names.create_session(names.create_session_configuration("com.example.temporary"))
    for _ in range(2):
        await session.download_task(url=server.url("/a.png")).wait()
    assert [there for _, there in seen] == [True, True]
    await names.monitor.overview.history(limit=1)
    assert not any(os.path.exists(path) for path, _ in seen)
    assert kept.read_bytes() == b"x" * 1000
    assert not downloads.exists()
    stays = await session.download_task(
        server.url("/a.png"), destination=tmp_path / "own.png"
    ).wait()
    assert Path(stays.final_path).exists()


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("DownloadTask", "download_task"),
        ("invalidateAndCancel", "invalidate_and_cancel"),
        ("nothing", ""),
    ],
)
async def test_tr02_the_samples_spelling_is_an_attribute_error_that_names_ours(
    names: Any, name, ours
):
    session = names.create_session(names.create_session_configuration("com.example.slip"))
    with pytest.raises(AttributeError) as raised:
        getattr(session, name)
    assert (f"in Python it is {ours!r}" in str(raised.value)) == bool(ours)
    with pytest.raises(AttributeError, match="create_url_session_background_configuration"):
        names.createURLSessionBackgroundConfiguration  # noqa: B018 - the looking is the test


def test_without_a_monitor_the_facade_says_how_to_get_one():
    with pytest.raises(InvalidAction, match="transfermon run"):
        urlsession.create_session(urlsession.create_session_configuration("com.example.none"))
    with pytest.raises(InvalidAction, match="transfermon run"):
        urlsession.monitor  # noqa: B018 - as above
