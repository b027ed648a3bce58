from __future__ import annotations

import pytest
from PySide6.QtCore import QRectF
from PySide6.QtGui import QImage, QPainter

from tests.helpers.records import NOW, a_finished_task, a_paused_task, a_progress, a_task
from transfermon.gui.list.columns import Row
from transfermon.gui.panels.connections import ConnectionsBar, words_of, words_of_stretch
from transfermon.gui.panels.details import Details, facts_of
from transfermon.gui.toolkit import theme
from transfermon.gui.toolkit.range_bar import draw_connections, draw_ranges
from transfermon.model.ranges import NOBODY, Picture, Stretch
from transfermon.model.request_options import RequestOptions

TOTAL = 100_000_000
MIRRORS = ("http://m.example/a", "https://n.example:8443/a")
OPTIONS = RequestOptions(mirrors=MIRRORS, mirrors_are_the_same=True)
# the first quarter and a bit of the rest: the first address, two connections to a mirror, nobody
PICTURE: Picture = (
    Stretch(0, 25_000_000, 40_000_000, 0),
    Stretch(40_000_000, 45_000_000, 60_000_000, 2),
    Stretch(60_000_000, 60_000_000, 80_000_000, 2),
    Stretch(80_000_000, 90_000_000, TOTAL, NOBODY),
)


def live(picture: Picture = PICTURE):
    progress = a_progress(40_000_000, TOTAL, speed=1_000_000)
    progress.shared = lambda: picture
    return progress


def test_the_words_say_what_is_there_and_who_brings_the_rest():
    assert (
        words_of(PICTURE, ("m.example", "n.example:8443"))
        == "3 connections, 2 of them to n.example:8443: 0–25 %, 40–45 %, 80–90 % are there"
    )
    alone = (Stretch(0, 10, 50, 0), Stretch(50, 50, 100, NOBODY))
    assert words_of(alone, ()) == "1 connection: 0–10 % are there"
    assert words_of((), ()) == ""


def test_what_touches_is_said_as_one_and_hundreds_are_not_all_said():
    met = (Stretch(0, 50, 50), Stretch(50, 80, 100))
    assert words_of(met, ()) == "0–80 % are there"
    many = tuple(Stretch(at, at + 1, at + 3) for at in range(0, 300, 3))
    assert words_of(many, ()).endswith("11–11 %, … are there")
    assert words_of(many, ()).count("%") <= 14


def test_a_range_says_where_it_is_and_where_it_comes_from():
    assert words_of_stretch(PICTURE[1], TOTAL, ("m.example", "n.example")) == (
        "40 % – 60 %: 5.0 MB of 20.0 MB (25 %), from n.example"
    )
    assert "first address" in words_of_stretch(PICTURE[0], TOTAL, ())
    assert words_of_stretch(PICTURE[3], TOTAL, ()).endswith("(50 %)")


def test_the_facts_name_the_mirrors_and_the_parts():
    found = facts_of(a_task(options=OPTIONS), live(), NOW, 10.0)
    assert found["Mirrors"] == "m.example, n.example:8443"
    assert found["Parts"].startswith("3 connections, 2 of them to n.example:8443")
    paused = a_paused_task(ranges=((0, 25, 50), (50, 60, 100)))
    assert facts_of(paused, None, NOW, 10.0)["Parts"] == "0–25 %, 50–60 % are there"


@pytest.mark.parametrize("task", [a_task(), a_finished_task()])
def test_a_file_of_one_connection_has_no_parts(task):
    assert facts_of(task, a_progress(1, TOTAL), NOW, 10.0)["Parts"] == ""
    assert facts_of(task, live(PICTURE[:1]), NOW, 10.0)["Parts"] == ""
    assert Row(task).parts == ()


def test_a_row_has_the_parts_of_its_counters_while_it_runs():
    row = Row(a_task())
    row.counters(live(), 10.0)
    assert row.parts == PICTURE
    row.take(a_paused_task(ranges=((0, 25, 50), (50, 60, 100))))
    assert [one.by for one in row.parts] == [NOBODY, NOBODY]
    row.take(a_finished_task())
    assert row.parts == ()


@pytest.fixture
def details(qtbot):
    details = Details()
    qtbot.addWidget(details)
    details.resize(700, 300)
    details.show()
    return details


def test_the_picture_is_there_for_a_file_of_several_ranges_only(details):
    bar = details.general.connections
    details.show_task(a_task(options=OPTIONS))
    assert not bar.isVisible()
    details.set_progress(live())
    assert bar.isVisible()
    assert bar.picture == PICTURE
    assert bar.accessibleName() == "Parts"
    assert bar.accessibleDescription() == details.general.text_of("Parts")
    details.show_task(a_task(number=2))
    assert not bar.isVisible()
    assert bar.accessibleDescription() == ""


def test_the_pointer_is_over_a_range(qtbot):
    bar = ConnectionsBar()
    qtbot.addWidget(bar)
    assert bar.stretch_at(0) is None
    bar.resize(1000, 24)
    bar.show_picture(PICTURE, "words", (), "bar")
    assert [bar.stretch_at(x) for x in (0, 399, 400, 650, 999)] == [
        PICTURE[place] for place in (0, 0, 1, 2, 3)
    ]


def painted(draw, ratio: float = 1.0) -> QImage:
    image = QImage(round(400 * ratio), round(24 * ratio), QImage.Format.Format_RGB32)
    image.setDevicePixelRatio(ratio)
    image.fill(theme.color("base"))
    painter = QPainter(image)
    draw(painter, QRectF(0, 6, 400, 12), PICTURE, "bar")
    painter.end()
    return image


@pytest.fixture(params=["light", "dark"])
def scheme(request, qapp):
    theme.apply(qapp, request.param)
    yield request.param
    theme.apply(qapp, "light")


@pytest.mark.usefixtures("scheme")
@pytest.mark.parametrize("ratio", [1.0, 1.5, 2.0])
def test_a_bar_is_filled_where_bytes_are(ratio: float):
    image = painted(draw_ranges, ratio)

    def color(share: float) -> str:
        return image.pixelColor(round(400 * share * ratio), round(12 * ratio)).name()

    filled, empty = theme.color("bar").name(), theme.color("track").name()
    stored = [color(share) == filled for share in (0.1, 0.24, 0.3, 0.42, 0.5, 0.7, 0.85, 0.95)]
    assert stored == [True, True, False, True, False, False, True, False]
    assert color(0.95) == empty
    # what is on its way has a tint, which a mirror's has of its own
    assert len({empty, filled, color(0.3), color(0.7)}) == 4
    assert color(0.5) == color(0.7)


@pytest.mark.usefixtures("scheme")
def test_what_comes_from_a_mirror_has_stripes_and_a_line_is_where_it_arrives():
    image = painted(draw_connections)

    def colors(begin: float, end: float) -> set[str]:
        places = range(round(400 * begin), round(400 * end))
        return {image.pixelColor(x, y).name() for x in places for y in range(9, 15)}

    assert len(colors(0.28, 0.38)) == 1  # the first address: even
    assert len(colors(0.62, 0.78)) > 1  # a mirror: striped
    assert colors(0.92, 0.97) == {theme.color("track").name()}  # nobody
    text, ground = theme.color("text").name(), theme.color("base").name()
    over = [image.pixelColor(x, 4).name() for x in range(400)]  # above the bar
    assert {x for x, found in enumerate(over) if found == text} <= set(range(95, 245))
    assert text in over
    assert over[150] == ground
