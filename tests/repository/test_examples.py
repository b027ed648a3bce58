"""The samples in `examples/`, each run in the app and headless against a server: the order that the
guides promise.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.helpers.byte_server import ByteServer, Resource
from tests.helpers.farm import Farm
from tests.helpers.owners import Place, until

pytestmark = pytest.mark.slow  # whole programs, most of them with a window
EXAMPLES = Path(__file__).parents[2] / "examples"
BODY = bytes(range(256)) * 4000  # about 1 MB
HEADLESS = pytest.mark.parametrize("headless", [["--headless"], []], ids=["headless", "app"])


@pytest.fixture
def resource() -> Resource:
    return Resource(BODY, piece=100_000, pause=0.03)


@pytest.fixture
def server(resource: Resource) -> Iterator[ByteServer]:
    with ByteServer(resource) as server:
        yield server


class Run:
    """One script that runs; what it prints is read as it comes."""

    def __init__(self, place: Place, name: str, *words: str) -> None:
        self.place = place
        self.process = place.start("run", str(EXAMPLES / name), *words)
        self.lines: list[str] = []

    def up(self) -> Run:
        until("its engine", self._answers)
        return self

    def _answers(self) -> bool:
        assert self.process.poll() is None, self.process.communicate()
        return self.place.status().get("pid") == self.process.pid

    def reads(self, word: str) -> str:
        """The line that begins with `word`."""
        assert self.process.stdout is not None
        while line := self.process.stdout.readline():
            self.lines.append(line.rstrip("\n"))
            if line.split()[0] == word:
                return self.lines[-1]
        raise AssertionError(f"no {word}: {self.lines} {self.process.communicate(timeout=60)}")

    def ends(self, *, asked: bool) -> list[str]:
        """The first words of all it has printed, repeated ones once."""
        if asked:
            assert self.place.run("quit")[0] == 0
        out, err = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, err
        words = [line.split()[0] for line in (*self.lines, *out.splitlines())]
        return [word for word, _ in itertools.groupby(words)]


def notified(place: Place) -> list[str]:
    return [event["alertBody"] for event in place.events() if event["type"] == "notification"]


@HEADLESS
def test_the_download_sample(place, server, headless):
    run = Run(place, "download.py", *headless, server.url("/photo.jpg"), str(place.out))
    assert run.reads("alert") == "alert Downloads completed successfully."
    order = run.ends(asked=not headless)
    assert order == ["downloadprogress", "downloadcompleted", "image", "sessioncompleted", "alert"]
    assert (place.out / "photo.jpg").read_bytes() == BODY
    assert "Download completed!" in notified(place)


@HEADLESS
def test_the_background_fetch_sample(place, server, headless):
    run = Run(
        place, "background_fetch.py", *headless, server.url("/photo.jpg"), str(place.out)
    ).up()
    assert place.run("fetch")[0] == 0
    run.reads("alert")
    order = run.ends(asked=True)
    assert order == [
        "backgroundfetch",
        "downloadprogress",
        "downloadcompleted",
        "image",
        "sessioncompleted",
        "alert",
    ]
    assert (place.out / "photo.jpg").read_bytes() == BODY
    told = notified(place)
    assert told.index("Background download initiated ...") < told.index("Download completed!")
    ended = [event for event in place.events() if event["type"] == "handlerended"]
    assert [(event["result"], event["startedTasks"]) for event in ended] == [("new_data", 1)]
    assert ended[0]["elapsed"] < 30


@HEADLESS
def test_the_silent_push_sample(place, server, headless):
    place.state.mkdir(mode=0o700)
    (place.state / "settings.json").write_text(
        json.dumps({"allowed_hosts": [f"127.0.0.1:{server.port}"]})
    )
    run = Run(place, "silent_push.py", *headless, str(place.out)).up()
    payload = {
        "alert": "",
        "content-available": 1,
        "download_url": server.url("/photo.jpg"),
        "album": 7,
    }
    assert place.run("push", json.dumps(payload))[0] == 0
    event = json.loads(run.reads("silentpush").partition(" ")[2])
    assert (event["download_url"], event["album"]) == (payload["download_url"], 7)
    run.reads("alert")
    assert (
        place.run("push", '{"content-available": 1, "download_url": "file:///etc/passwd"}')[0] == 0
    )
    assert "file:" in run.reads("refused")
    order = run.ends(asked=True)
    assert order[:6] == [
        "silentpush",
        "downloadprogress",
        "downloadcompleted",
        "image",
        "sessioncompleted",
        "alert",
    ]
    assert order[6:] == ["silentpush", "refused"]
    assert (place.out / "photo.jpg").read_bytes() == BODY


@HEADLESS
def test_the_image_downloader_ends_while_its_download_goes_on_and_finds_it_later(
    place, server, resource, headless
):
    run = Run(
        place, "image_downloader.py", *headless, str(place.out), server.url("/photo.jpg")
    ).up()
    run.reads("started")
    until("its first bytes", lambda: place.received() > 0)
    place.kill(run.process)
    if headless:  # behind the app somebody waits; here it is started by hand
        assert place.run("standby")[0] == 0
    else:
        # it takes over in its own time
        until("the standby's work", lambda: "100 %" in place.run("list")[1])
        until("the standby's end", lambda: not place.owner() and place.waiter() is None)
    assert place.run("list")[1].count("100 %") == 1
    assert not list(place.out.iterdir())

    run = Run(place, "image_downloader.py", *headless, str(place.out))
    assert run.reads("completionhandler") == "completionhandler True"
    order = run.ends(asked=not headless)
    promised = [
        "backgroundtransfer",
        "downloadcompleted",
        "sessioncompleted",
        "sessioneventscompleted",
    ]
    assert order == [*promised, "completionhandler"]
    assert (place.out / "photo.jpg").read_bytes() == BODY


@HEADLESS
def test_the_videofarm_sample(place, headless):
    place.state.mkdir(mode=0o700)
    (place.state / "settings.json").write_text(json.dumps({"download_folder": str(place.out)}))
    with Farm.start(
        "--fault", "/videos/2/movie:rate=6M", "--fault", "/videos/6/movie:rate=6M"
    ) as farm:
        run = Run(place, "videofarm.py", *headless, farm.url)
        assert run.reads("stored") == "stored 9 videos"
        run.ends(asked=not headless)
        told = [line.split() for line in run.lines]
        words = [line[0] for line in told]
        assert words.count("video") == 8
        of_task: dict[str, list[str]] = {}
        for kind, what, task, *_ in (line for line in told if line[1] in ("download", "upload")):
            of_task.setdefault(f"{what} {task}", []).append(kind)
        ends = [kinds[-1] for kinds in of_task.values()]
        paused = ends.count("paused")
        assert paused in (1, 2)  # the movie, and its picture where that had not come yet
        assert ends.count("completed") == len(ends) - paused == 5
        for kinds in of_task.values():
            assert kinds[0] == "started"
            assert set(kinds[1:-1]) <= {"progress"}
        assert [task.split()[0] for task in of_task] == ["download"] * (4 + paused) + ["upload"]
        places = [
            words.index(word)
            for word in ("video", "started", "paused", "resuming", "file", "prepared")
        ]
        assert places == sorted(places)
        sent = {
            path: got(farm, path)
            for path in ("videos/2/movie", "videos/6/movie", "videos/2/thumbnail")
        }
        assert {path.read_bytes() for path in place.out.iterdir()} >= set(sent.values())
        assert got(farm, "videos/9/movie") == sent["videos/2/movie"]
        assert got(farm, "videos/9/thumbnail") == sent["videos/2/thumbnail"]


def got(farm: Farm, path: str) -> bytes:
    with urlopen(farm.url + path) as answer:
        body: bytes = answer.read()
        return body


def test_no_example_uses_what_the_guides_got_wrong():
    for path in EXAMPLES.glob("*.py"):
        text = path.read_text()
        for mistake in (
            "invalidate_and_cancel",
            "DownloadTask(",
            "create_url_session",
            "background_download_task",
        ):
            assert mistake not in text, (path, mistake)


def test_an_example_outside_transfermon_says_how_to_run_it(place):
    path = str(EXAMPLES / "download.py")
    process = place._popen(path)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "transfermon run" in err
