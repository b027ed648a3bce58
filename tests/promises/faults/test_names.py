"""G: names from servers, through real downloads: one visible file in the folder, and never one
elsewhere.
"""

from __future__ import annotations

import asyncio
import csv
import dataclasses
import errno
import io
import os
import sqlite3
import unicodedata
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.helpers.byte_server import ByteServer, Conn, Request, reply
from tests.helpers.engine_script import configuration
from transfermon.commands import main
from transfermon.engine.monitor import Monitor
from transfermon.model.configuration import SessionConfiguration
from transfermon.model.task import Task
from transfermon.model.units import clean
from transfermon.storage.settings import Settings
from transfermon.text import spreadsheet

pytestmark = pytest.mark.anyio

# By row: the value as it is on the wire, and the name of the file (None: any safe one); "url.bin"
# is the address's own.
DISPOSITIONS: dict[str, list[tuple[str, str | None]]] = {
    "g1": [
        ("inline", "url.bin"),
        ("attachment", "url.bin"),
        ('attachment; filename="foo.html"', "foo.html"),
        ('inline; filename="foo.html"', "foo.html"),
        ('ATTACHMENT; FILENAME="foo.html"', "foo.html"),
        ("attachment; filename=foo.html", "foo.html"),
        ("attachment; filename=foo.html ;", "foo.html"),
        ("attachment; filename=foo bar.html", "foo bar.html"),
        ("attachment; filename=foo,bar.html", "foo,bar.html"),
        ("attachment; filename='foo.bar'", "'foo.bar'"),
        ("attachment; filename=foo[1](2).html", "foo[1](2).html"),
        ('attachment; filename ="foo.html"', "foo.html"),
        ('attachment; filename="f\\oo.html"', "foo.html"),
        ('attachment; filename="\\"quoting\\" tested.html"', "_quoting_ tested.html"),
        ('attachment; filename="Here\'s a semicolon;.html"', "Here's a semicolon;.html"),
        ('attachment; foo="bar"; filename="foo.html"', "foo.html"),
        ('attachment; foo="\\"\\\\";filename="foo.html"', "foo.html"),
        ('attachment; filename="foo-%41.html"', "foo-A.html"),
        ('attachment; filename="50%.html"', "50%.html"),
        ('attachment; filename="foo-\xe4.html"', "foo-ä.html"),
        ('attachment; filename="foo-\xc3\xa4.html"', "foo-ä.html"),
        ("attachment; xfilename=foo.html", "url.bin"),
        ('attachment; filename="foo.html"; filename="bar.html"', "foo.html"),
        ('attachment; filename="foo.html', "foo.html"),
        ('attachment; filename="foo"bar.html', "foo_bar.html"),
        ("filename=foo.html", "foo.html"),
        ("x=y; filename=foo.html", "foo.html"),
        ("; filename=foo.html", "foo.html"),
        (": inline; attachment; filename=foo.html", "url.bin"),
        ("attachment; filename=", "url.bin"),
        ("attachment; ; filename=foo", "foo"),
        ("attachment; filename*=iso-8859-1''foo-%E4.html", "foo-ä.html"),
        ("attachment; filename*=UTF-8''foo-%c3%a4-%e2%82%ac.html", "foo-ä-€.html"),
        ("attachment; filename*= UTF-8''foo-%c3%a4.html", "foo-ä.html"),
        ("attachment; filename*=UTF-8'en'foo-%c3%a4.html", "foo-ä.html"),
        ("attachment; filename*=UTF-8''foo-a%cc%88.html", "foo-ä.html"),  # composed by us
        ("attachment; filename*=UTF-8''A-%2541.html", "A-%41.html"),
    ],
    "g4": [
        ("attachment; filename=\"plain.html\"; filename*=UTF-8''f%c3%bcr.html", "für.html"),
        ("attachment; filename*=UTF-8''f%c3%bcr.html; filename=\"plain.html\"", "für.html"),
        ("attachment; filename*=''foo-%c3%a4.html; filename=plain.html", "plain.html"),
        ("attachment; filename*=KOI8-R''foo.html; filename=plain.html", "foo.html"),
        ("attachment; filename*=UTF-8''foo%", "url.bin"),
        ("attachment; filename*=UTF-8''f%oo.html; filename=plain.html", "plain.html"),
        ("attachment; filename*=UTF-8''foo-%E4.html; filename=plain.html", "plain.html"),
        ("attachment; filename*=UTF-8'foo.html", "url.bin"),
        ('attachment; filename*0="foo."; filename*1="html"', "url.bin"),
        (
            "attachment; filename==?ISO-8859-1?Q?foo-=E4.html?=",
            "foo-ä.html",
        ),  # RFC 2047 does not belong here, and is used
        ('attachment; filename="=?ISO-8859-1?Q?foo-=E4.html?="', "foo-ä.html"),
    ],
    "g2": [
        ('attachment; filename="../../.bashrc"', None),
        ("attachment; filename*=UTF-8''..%2f..%2f.bashrc", "bashrc"),
        ('attachment; filename="/etc/passwd"', "passwd"),
        ("attachment; filename*=UTF-8''%2fetc%2fpasswd", "passwd"),
        ("attachment; filename*=UTF-8''..%5c..%5cx", "x"),
        ('attachment; filename="C:\\\\x"', "x"),
        ('attachment; filename="f:foo"', "f_foo"),
        ('attachment; filename="x:ads"', "x_ads"),
        ('attachment; filename="%2e%2e%2f"', "download"),
    ],
    "g5": [
        ('attachment; filename=""', "url.bin"),
        ('attachment; filename="."', "download"),
        ('attachment; filename=".."', "download"),
        ('attachment; filename="..."', "download"),
        ('attachment; filename=" "', "download"),
        ('attachment; filename=".hidden"', "hidden"),
        ('attachment; filename="~"', "_"),
        ('attachment; filename="-rf"', "_rf"),
        ('attachment; filename="a."', "a"),
        ('attachment; filename="a "', "a"),
    ],
    "g6": [
        ("attachment; filename*=UTF-8''a%0Ab%1B%5B31m.txt", "a_b_[31m.txt"),
        ("attachment; filename*=UTF-8''a%7Fb%C2%9Bc.txt", "a_b_c.txt"),
        ("attachment; filename*=UTF-8''zero%E2%80%8Bwidth%EF%BB%BF.txt", "zero_width_.txt"),
        ("attachment; filename*=UTF-8''evil%E2%80%AEgpj.exe", "evil_gpj.exe"),
    ],
    "g11": [
        ("attachment; filename*=UTF-8''half%ED%A0%80.txt", "url.bin"),
        ('attachment; filename="\xff\xfe.txt"', "ÿþ.txt"),
        ('attachment; filename="\xe6\x96\x87.txt"', "文.txt"),
    ],
    # the name stays; no file is ever executable
    "g12": [
        *(
            (f'attachment; filename="{name}"', name)
            for name in ("a.desktop", "a.lnk", "a.url", "a.scf", "a.local")
        ),
        *((f'attachment; filename="{name}"', name) for name in ("a.py", "a.sh", "a.appimage")),
    ],
}


ADDRESSES = [  # G3: the path as it is sent, and the name of the file
    ("/dir/a.bin", "a.bin"),
    ("/..%2f..%2fetc%2fpasswd", "passwd"),
    ("/a%5c..%5cb.txt", "b.txt"),
    ("/a%00b.txt", "a_b.txt"),
    ("/dir/", "download"),
    ("////", "download"),
    ("", "download"),
    ("/%2e%2e", "download"),
    ("/caf%E9.txt", "café.txt"),
    ("/caf%C3%A9.txt", "café.txt"),
    ("/%ED%A0%80.txt", None),
    ("/x.bin?name=/y.bin#/z.bin", "x.bin"),
]


class Names:
    """Serves every address; the header of an answer is what the test put there for it."""

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}

    def __call__(self, conn: Conn, request: Request) -> None:
        given = self.headers.get(request.target)
        conn.send(
            reply(
                200,
                {"Content-Disposition": given} if given is not None else {},
                request.target.encode(),
            )
        )


class Place:
    def __init__(self, folder: Path) -> None:
        self.root = folder
        self.state, self.out = folder / "state", folder / "outer" / "out"
        self.out.mkdir(parents=True)

    async def fetch(self, urls: list[str], folders: list[str]) -> list[Task]:
        async with Monitor.open(
            str(self.state), settings=Settings(download_folder=str(self.out))
        ) as monitor:
            monitor.ready()
            session = monitor.create_session(configuration())
            tasks = [
                session.download_task(url, destination=f"{folder}/")
                for url, folder in zip(urls, folders, strict=True)
            ]  # fmt: skip
            return [await task.wait() for task in tasks]

    def check_nothing_elsewhere(self) -> None:
        assert sorted(os.listdir(self.root)) == ["outer", "state"]
        assert os.listdir(self.root / "outer") == ["out"]
        assert {path.name for path in self.state.iterdir()} <= {
            "engine.lock", "transfermon.db", "transfermon.db.copy", "secrets.json", "settings.json", "control.sock"
        }  # fmt: skip


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def is_safe(name: str) -> bool:
    return (
        0 < len(os.fsencode(name)) <= 255
        and name[0] not in ".-~ "
        and not name.endswith((".", " "))
        and not set(name) & set('/\\:*?"<>|')
        and not any(unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") for char in name)
    )


async def test_fault_g1_a_content_disposition_gives_the_name_that_the_rules_say(place: Place):
    await one_safe_name(place, DISPOSITIONS["g1"])


async def test_fault_g2_a_path_in_the_name_never_leaves_the_folder(place: Place):
    await one_safe_name(place, DISPOSITIONS["g2"])


async def test_fault_g4_the_extended_name_wins_and_a_bad_one_is_no_name(place: Place):
    await one_safe_name(place, DISPOSITIONS["g4"])


async def test_fault_g5_no_name_is_hidden_empty_or_an_option(place: Place):
    await one_safe_name(place, DISPOSITIONS["g5"])


async def test_fault_g6_control_characters_are_in_no_name(place: Place):
    await one_safe_name(place, DISPOSITIONS["g6"])


async def test_fault_g11_bytes_that_are_no_text_crash_nothing(place: Place):
    await one_safe_name(place, DISPOSITIONS["g11"])


async def test_fault_g12_dangerous_types_keep_their_name_and_are_not_executable(place: Place):
    await one_safe_name(place, DISPOSITIONS["g12"])


async def one_safe_name(place: Place, cases: list[tuple[str, str | None]]) -> None:
    names = Names()
    with ByteServer(names) as server:
        urls, folders = [], []
        for number, (value, _) in enumerate(cases):
            names.headers[f"/{number}/url.bin"] = value
            urls.append(server.url(f"/{number}/url.bin"))
            folders.append(str(place.out / str(number)))
            (place.out / str(number)).mkdir()
        records = await place.fetch(urls, folders)
    wrong = []
    for record, folder, (value, name) in zip(records, folders, cases, strict=True):
        found = os.listdir(folder)
        assert record.succeeded, (value, record.error)
        assert len(found) == 1, value
        path = Path(folder) / found[0]
        if found != [name if name is not None else found[0]] or not is_safe(found[0]):
            wrong.append((value, name, found))
        assert (record.name, record.final_path) == (found[0], str(path)), value
        assert clean(record.name) == record.name, "the list shows another name than the folder"
        assert path.stat().st_mode & 0o111 == 0
    assert not wrong
    place.check_nothing_elsewhere()
    with sqlite3.connect(place.state / "transfermon.db") as database:
        (count,) = database.execute("select count(*) from task where state='completed'").fetchone()
    database.close()
    assert count == len(cases)


async def test_fault_g3_an_address_gives_a_safe_name_or_download(place: Place):
    with ByteServer(Names()) as server:
        urls, folders = [], []
        for number, (path, _) in enumerate(ADDRESSES):
            urls.append(server.url("").removesuffix("/") + path)
            folders.append(str(place.out / str(number)))
            (place.out / str(number)).mkdir()
        records = await place.fetch(urls, folders)
    for record, folder, (path, name) in zip(records, folders, ADDRESSES, strict=True):
        assert record.succeeded, (path, record.error)
        (found,) = os.listdir(folder)
        assert found == (name or found), path
        assert is_safe(found), path
    place.check_nothing_elsewhere()


LONG = [
    "x" * 300 + ".tar.gz",
    "ä" * 200 + ".html",
    "文" * 100 + ".pdf",
    "🎬" * 80 + ".mp4",
    "a." + "e" * 300,
    "x" * 4096,
]


async def test_fault_g10_a_long_name_is_cut_between_two_characters_and_keeps_its_extension(
    place: Place,
):
    names = Names()
    with ByteServer(names) as server:
        urls, folders = [], []
        for number, name in enumerate(LONG):
            names.headers[f"/{number}"] = f"attachment; filename*=UTF-8''{quote(name)}"
            urls.append(server.url(f"/{number}"))
            folders.append(str(place.out / str(number)))
            (place.out / str(number)).mkdir()
        records = await place.fetch(urls, folders)
    for record, folder, name in zip(records, folders, LONG, strict=True):
        assert record.succeeded, record.error
        (found,) = os.listdir(folder)
        assert is_safe(found)
        assert found.encode() == found.encode("utf-8", "strict")
        assert name.startswith(found.partition(".")[0])
        if name.endswith((".tar.gz", ".html", ".pdf", ".mp4")):
            assert found.endswith(name[name.index(".") :])


async def test_fault_g10_a_path_that_is_too_long_fails_in_words_before_any_request(place: Place):
    deep = "/".join(["d" * 200] * 25)
    with ByteServer(Names()) as server:
        (record,) = await place.fetch([server.url("/a")], [str(place.out / deep)])
    assert record.error is not None
    assert record.error.code == -3000
    assert record.error.message
    place.check_nothing_elsewhere()


@pytest.mark.parametrize("count", [60, pytest.param(1000, marks=pytest.mark.slow)])
async def test_fault_g14_the_same_name_many_times_gives_as_many_files(count: int, place: Place):
    with ByteServer(Names()) as server:
        urls = [server.url(f"/{number}/same.bin") for number in range(count)]
        records = await place.fetch(urls, [str(place.out)] * count)
    assert all(record.succeeded for record in records)
    wanted = {"same.bin", *(f"same ({number}).bin" for number in range(1, count))}
    assert set(os.listdir(place.out)) == wanted
    bodies = {Path(record.final_path).read_text() for record in records}
    assert bodies == {f"/{number}/same.bin" for number in range(count)}, (
        "one was written over another"
    )


# ---- what a file says of where it came from


def origin_of(path: Path) -> bytes | None:
    try:
        return os.getxattr(path, "user.xdg.origin.url")
    except OSError:
        return None


async def test_fault_g16_a_file_says_where_it_came_from_without_secrets_and_only_when_asked(
    tmp_path: Path,
):
    (tmp_path / "probe").touch()
    try:
        os.setxattr(tmp_path / "probe", "user.probe", b"1")
    except OSError:
        pytest.skip("this file system keeps no extended attributes")
    ephemeral = dataclasses.replace(
        SessionConfiguration.ephemeral(), download_folder=str(tmp_path / "private")
    )
    found = {}
    for note in (True, False):
        out = tmp_path / str(note)
        settings = Settings(download_folder=str(out), note_origin=note)
        with ByteServer(Names()) as server:
            async with Monitor.open(str(tmp_path / f"state {note}"), settings=settings) as monitor:
                monitor.ready()
                (tmp_path / "private").mkdir(exist_ok=True)
                url = (
                    server.url("/a.bin?token=s3cret").replace("http://", "http://me:s3cret@")
                    + "#s3cret"
                )
                for session in (monitor.session("a"), monitor.create_session(ephemeral)):
                    record = await session.download_task(url).wait()
                    found[note, session.identifier] = origin_of(Path(record.final_path))
            assert record.succeeded, record.error
        if note:
            assert found[True, "a"] == server.url("/a.bin").encode()
    assert [value for key, value in found.items() if key != (True, "a")] == [None] * 3


async def test_fault_g16_a_disk_without_such_notes_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def refused(*_: object, **__: object) -> None:
        raise OSError(errno.EOPNOTSUPP, "not supported")

    monkeypatch.setattr(os, "setxattr", refused)
    settings = Settings(download_folder=str(tmp_path / "out"), note_origin=True)
    with ByteServer(Names()) as server:
        async with Monitor.open(str(tmp_path / "state"), settings=settings) as monitor:
            monitor.ready()
            assert (await monitor.session("a").download_task(server.url("/a.bin")).wait()).succeeded


@pytest.mark.parametrize("name", ["=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1)", "\tx", "\r=1"])
def test_fault_g19_no_cell_of_an_exported_list_is_a_formula(name: str):
    text = spreadsheet.table(
        [{"id": "a:1", "name": name, "url": name, "received": 5, "expected": -1, "added": 1.5}]
    )
    head, row = list(csv.reader(io.StringIO(text, newline="")))
    cells = dict(zip(head, row, strict=True))
    assert cells["name"] == cells["url"] == f"'{name}"
    assert (cells["received"], cells["expected"], cells["added"]) == ("5", "", "1.5")


async def test_fault_g19_the_command_exports_what_the_list_holds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    names = Names()
    names.headers["/a"] = 'attachment; filename="=HYPERLINK(1),2.txt"'
    with ByteServer(names) as server:
        settings = Settings(download_folder=str(tmp_path / "out"))
        async with Monitor.open(str(tmp_path / "state"), settings=settings) as monitor:
            monitor.ready()
            record = await monitor.session("a").download_task(server.url("/a")).wait()
    assert record.name.startswith("=HYPERLINK")
    assert (
        await asyncio.to_thread(
            main.main, ["--state-dir", str(tmp_path / "state"), "list", "--csv"]
        )
        == 0
    )
    (row,) = csv.DictReader(io.StringIO(capsys.readouterr().out, newline=""))
    assert row["id"] == "a:1"
    assert row["name"] == f"'{record.name}"
