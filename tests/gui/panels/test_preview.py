from __future__ import annotations

import os
import random
import struct
import sys
import zlib
from pathlib import Path

import pytest
from PySide6.QtCore import QSize
from PySide6.QtGui import QColor, QImage, QImageWriter, qRgb

from tests.helpers.records import a_failed_task, a_finished_task, a_paused_task, a_task
from transfermon.gui.panels import pictures as module
from transfermon.gui.panels.picture_helper import magic_of
from transfermon.gui.panels.pictures import Helper, HelperError, Pictures, Question
from transfermon.gui.panels.preview import SHEET, Preview

LIMIT = 60_000  # ms: a machine under load still starts the helper in this


def painted(path: Path, width: int = 64, height: int = 48, color: str = "#c06c84") -> Path:
    image = QImage(width, height, QImage.Format.Format_RGB32)
    image.fill(QColor(color))
    assert image.save(str(path))
    return path


def png_of_size(path: Path, width: int, height: int) -> Path:
    """A small file whose header promises a huge picture."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = zlib.compress(b"\0" * 1000)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    )
    return path


@pytest.fixture
def preview(qtbot):
    preview = Preview()
    qtbot.addWidget(preview, before_close_func=lambda preview: preview.pictures.close())
    preview.resize(300, 400)
    preview.show()
    return preview


@pytest.fixture
def helper():
    helper = Helper()
    yield helper
    helper.end()


def question(path: object, width: int = 100, height: int = 100) -> Question:
    return Question(generation=0, number=0, path=str(path), width=width, height=height)


def shown(qtbot, preview, *tasks):
    with qtbot.waitSignal(preview.shown, timeout=LIMIT):
        preview.show_tasks(tasks)


def finished(path: Path, number: int = 1):
    return a_finished_task(number=number, name=path.name, final_path=str(path))


# The helper


@pytest.mark.parametrize(("kind", "suffix"), [("PNG", "png"), ("JPEG", "jpg"), ("WebP", "webp")])
def test_pictures_come_scaled_with_their_format_and_full_size(helper, tmp_path, kind, suffix):
    path = painted(tmp_path / f"a.{suffix}", 400, 200)
    image, name, full = helper.ask(question(path))
    assert (image.width(), image.height(), name, full) == (100, 50, kind, (400, 200))
    color, wanted = image.pixelColor(50, 25), QColor("#c06c84")
    pairs = [
        (color.red(), wanted.red()),
        (color.green(), wanted.green()),
        (color.blue(), wanted.blue()),
    ]
    assert max(abs(a - b) for a, b in pairs) < 8


def test_a_small_picture_is_not_enlarged(helper, tmp_path):
    image, _, full = helper.ask(question(painted(tmp_path / "a.png", 20, 10)))
    assert (image.size(), full) == (QSize(20, 10), (20, 10))


def test_one_helper_answers_many_questions(helper, tmp_path):
    path = painted(tmp_path / "a b\n\u00e4.png")
    helper.ask(question(path))
    first = helper.pid
    helper.ask(question(path))
    assert helper.pid == first


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("page.png", b"<html>404</html>", "format"),
        ("x.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "format"),
        ("empty.png", b"", "format"),
        ("cut.png", b"\x89PNG\r\n\x1a\n" + b"\0" * 100, "damaged"),
        ("x.gif", b"GIF89a" + b"\xff" * 100, "damaged"),
    ],
)
def test_what_is_no_picture_is_refused_and_the_helper_lives_on(
    helper, tmp_path, name, data, reason
):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(HelperError) as refused:
        helper.ask(question(tmp_path / name))
    assert refused.value.reason == reason
    helper.ask(question(painted(tmp_path / "good.png")))


def test_a_huge_picture_is_refused_by_its_header(helper, tmp_path):
    with pytest.raises(HelperError) as refused:
        helper.ask(question(png_of_size(tmp_path / "bomb.png", 20_000, 20_000)))
    assert refused.value.reason == "large"


def test_a_missing_file_and_a_pipe_are_refused(helper, tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    for name in ("none.png", "pipe.png"):
        with pytest.raises(HelperError) as refused:
            helper.ask(question(tmp_path / name))
        assert refused.value.reason == "missing"


def test_the_helper_may_write_no_file_and_has_a_limit_of_memory(helper, tmp_path):
    helper.ask(question(painted(tmp_path / "a.png")))
    limits = {
        line[:26].strip(): line[26:].split()
        for line in Path(f"/proc/{helper.pid}/limits").read_text().splitlines()
    }
    assert limits["Max file size"][:2] == ["0", "0"]
    assert limits["Max core file size"][:2] == ["0", "0"]
    assert limits["Max address space"][0] != "unlimited"
    assert limits["Max cpu time"][0] != "unlimited"


def test_a_helper_that_was_killed_is_replaced(helper, tmp_path):
    path = painted(tmp_path / "a.png")
    helper.ask(question(path))
    os.kill(helper.pid, 9)
    with pytest.raises(HelperError):
        helper.ask(question(path))
    assert helper.ask(question(path))[1] == "PNG"


LIES = {
    "larger than asked": "ok 200 200 800 160000 PNG 200 200",
    "no rows": "ok 0 10 40 400 PNG 1 1",
    "more bytes than a picture has": "ok 10 10 40 99999999 PNG 10 10",
    "a stride that is too small": "ok 10 10 4 40 PNG 10 10",
    "a huge stride": "ok 10 10 4000000 40000000 PNG 10 10",
    "an unknown format": "ok 10 10 40 400 EXE 10 10",
    "words for numbers": "ok x 10 40 400 PNG 10 10",
    "too few words": "ok 10",
    "no line at all": "x" * 1000,
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES.keys())
def test_an_answer_that_lies_ends_the_helper(tmp_path, lie):
    script = tmp_path / "liar.py"
    script.write_text(
        f"import sys\nprint('ready', flush=True)\nsys.stdin.readline()\nprint({lie!r}, flush=True)\nsys.stdin.read()\n"
    )
    helper = Helper(str(script))
    with pytest.raises(HelperError) as refused:
        helper.ask(question(tmp_path / "a.png"))
    assert refused.value.reason == "damaged"
    assert helper.pid is None


def test_a_picture_that_takes_too_long_ends_the_helper(tmp_path):
    script = tmp_path / "slow.py"
    script.write_text("import sys\nprint('ready', flush=True)\nsys.stdin.read()\n")
    helper = Helper(str(script), limit=0.2)
    with pytest.raises(HelperError) as refused:
        helper.ask(question(tmp_path / "a.png"))
    assert (refused.value.reason, helper.pid) == ("slow", None)


def test_a_helper_that_does_not_start_is_one_sentence(tmp_path):
    script = tmp_path / "broken.py"
    script.write_text("raise SystemExit(1)\n")
    with pytest.raises(HelperError) as refused:
        Helper(str(script)).ask(question(tmp_path / "a.png"))
    assert module.SENTENCES[refused.value.reason] == "Pictures cannot be shown now."


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\xff\xd8\xff\xe0", "JPEG"),
        (b"\x89PNG\r\n\x1a\n", "PNG"),
        (b"GIF89a", "GIF"),
        (b"RIFF\0\0\0\0WEBP", "WebP"),
        (b"RIFF\0\0\0\0AVI ", ""),
        (b"BM", ""),
        (b"", ""),
    ],
)
def test_the_format_is_told_by_the_first_bytes(head, kind):
    assert magic_of(head) == kind


# The thread


def test_old_questions_are_passed_over(qtbot, tmp_path):
    pictures = Pictures()
    answers = []
    pictures.answered.connect(answers.append)
    path = str(painted(tmp_path / "a.png"))
    old, new = pictures.new_generation(), pictures.new_generation()
    for generation in (old, old, new):
        pictures.ask(Question(generation=generation, number=0, path=path, width=10, height=10))
    qtbot.waitUntil(lambda: len(answers) == 1, timeout=LIMIT)
    assert answers[0].question.generation == new
    pictures.close()


def test_the_helper_ends_after_a_while_without_work_and_comes_back(qtbot, tmp_path):
    pictures = Pictures(idle=0.1)
    path = str(painted(tmp_path / "a.png"))
    for _ in range(2):
        with qtbot.waitSignal(pictures.answered, timeout=LIMIT) as told:
            pictures.ask(
                Question(
                    generation=pictures.new_generation(), number=0, path=path, width=10, height=10
                )
            )
        assert told.args[0].kind == "PNG"
        qtbot.waitUntil(lambda: pictures.helper.pid is None, timeout=LIMIT)
    pictures.close()


def test_no_helper_is_started_for_what_is_no_picture(qtbot, tmp_path):
    pictures = Pictures()
    (tmp_path / "a.png").write_bytes(b"not at all")
    with qtbot.waitSignal(pictures.answered, timeout=LIMIT) as told:
        pictures.ask(question(tmp_path / "a.png"))
    assert (told.args[0].reason, told.args[0].length, pictures.helper.pid) == ("format", 10, None)
    pictures.close()


def test_close_does_not_wait_for_a_picture_that_hangs(qtbot, tmp_path):
    (tmp_path / "slow.py").write_text("import sys\nprint('ready', flush=True)\nsys.stdin.read()\n")
    pictures = Pictures()
    pictures.helper = Helper(str(tmp_path / "slow.py"), limit=60)
    pictures.ask(question(painted(tmp_path / "a.png")))
    qtbot.waitUntil(lambda: pictures.helper.pid is not None, timeout=LIMIT)
    worker = pictures.worker
    pictures.close()
    assert worker is not None
    assert not worker.alive


# The panel


def test_a_finished_picture_is_shown_with_size_format_and_length(preview, qtbot, tmp_path):
    path = painted(tmp_path / "harbour.png", 640, 480)
    shown(qtbot, preview, finished(path))
    assert preview.pages.currentWidget() is preview.canvas
    assert preview.foot.facts.text().startswith("640 × 480  ·  PNG  ·  ")
    assert preview.zoom.isVisible()
    assert preview.canvas.target().width() <= preview.canvas.width()


def test_at_100_percent_it_has_its_own_pixels(preview, qtbot, tmp_path):
    shown(qtbot, preview, finished(painted(tmp_path / "a.png", 1200, 900)))
    assert preview.canvas.image.width() < 1200
    with qtbot.waitSignal(preview.shown, timeout=LIMIT):
        preview.zoom.click()
    assert preview.canvas.image.size() == QSize(1200, 900)
    assert preview.canvas.target().width() * preview.devicePixelRatioF() == 1200
    preview.zoom.click()
    assert preview.canvas.target().width() <= preview.canvas.width()


def test_several_are_a_contact_sheet(preview, qtbot, tmp_path):
    tasks = [
        finished(painted(tmp_path / f"{n}.png", color=color), n)
        for n, color in ((1, "#ff0000"), (2, "#00ff00"))
    ]
    tasks += [a_task(number=3), a_failed_task(number=4)]
    preview.show_tasks(tasks)
    qtbot.waitUntil(lambda: set(preview.sheet.images) == {0, 1}, timeout=LIMIT)
    assert preview.sheet.images[0].pixelColor(5, 5) == QColor("#ff0000")
    assert preview.foot.facts.text().startswith("4 transfers")
    assert not preview.grab().isNull()


def test_a_sheet_has_a_limit(preview):
    preview.show_tasks([a_task(number=number) for number in range(1, SHEET + 11)])
    assert not preview.grab().isNull()
    assert preview.sheet._more == 10


def test_a_movie_has_its_icon_type_and_buttons(preview, qtbot, tmp_path):
    (tmp_path / "film.avi").write_bytes(b"RIFF\0\0\0\0AVI " + b"\0" * 988)
    task = finished(tmp_path / "film.avi")
    shown(qtbot, preview, task)
    assert preview.foot.facts.text() == "Movie (AVI), 1.0 kB"
    assert preview.foot.buttons.isVisible()
    assert not preview.zoom.isVisible()
    with qtbot.waitSignal(preview.open_wanted) as opened:
        preview.foot.open_button.click()
    with qtbot.waitSignal(preview.folder_wanted) as folder:
        preview.foot.folder_button.click()
    assert opened.args == folder.args == [task.key]


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 50, "This picture is damaged and cannot be shown."),
        (None, "The file is no longer where it was saved."),
    ],
)
def test_what_cannot_be_shown_is_one_sentence(preview, qtbot, tmp_path, data, sentence):
    path = tmp_path / "a.png"
    if data is not None:
        path.write_bytes(data)
    shown(qtbot, preview, finished(path))
    assert preview.sentence.text() == sentence
    assert preview.pages.currentWidget() is preview.card


def test_a_huge_picture_is_one_sentence(preview, qtbot, tmp_path):
    shown(qtbot, preview, finished(png_of_size(tmp_path / "a.png", 30_000, 30_000)))
    assert preview.sentence.text() == "This picture is too large to show here."


@pytest.mark.parametrize(
    ("task", "words"),
    [(a_task(), "Downloading."), (a_paused_task(), "Paused."), (a_failed_task(), "Failed.")],
)
def test_an_unfinished_file_is_never_opened(preview, task, words):
    preview.show_tasks([task])
    assert preview.sentence.text() == words
    assert not preview.foot.buttons.isVisible()
    assert preview.pictures.worker is None


def noisy_jpeg(path: Path, *, progressive: bool = False) -> bytes:
    """Red above, blue below, and enough of everything that half of the bytes are half of the
    picture.
    """
    image = QImage(400, 400, QImage.Format.Format_RGB32)
    noise = random.Random(7)
    for y in range(400):
        for x in range(400):
            grain = noise.randrange(60)
            image.setPixel(
                x,
                y,
                qRgb(255 - grain, grain, grain) if y < 200 else qRgb(grain, grain, 255 - grain),
            )
    writer = QImageWriter(str(path), b"jpeg")
    writer.setQuality(90)
    writer.setProgressiveScanWrite(progressive)
    assert writer.write(image)
    return path.read_bytes()


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_that_arrives_is_shown_as_far_as_it_is_here(preview, qtbot, tmp_path, progressive):
    whole = noisy_jpeg(tmp_path / "whole.jpg", progressive=progressive)
    part = tmp_path / "a.part"
    part.write_bytes(whole[: len(whole) // 3])
    task = a_task(name="a.jpg", part_path=str(part))
    shown(qtbot, preview, task)
    assert preview.pages.currentWidget() is preview.canvas
    assert "still arriving" in preview.foot.facts.text()
    first = preview.canvas.image
    assert QColor(first.pixel(10, 10)).red() > 150
    # coarse, but all of it
    assert (QColor(first.pixel(10, first.height() - 10)).blue() > 150) is progressive
    part.write_bytes(whole)
    preview._arrival.next_look = 0.0
    with qtbot.waitSignal(preview.shown, timeout=LIMIT):
        preview.note_progress(task, len(whole), len(whole))
    assert preview.canvas.image is not first
    seen = []
    preview.pages.currentChanged.connect(seen.append)
    shown(qtbot, preview, a_finished_task(name="a.jpg", final_path=str(tmp_path / "whole.jpg")))
    assert not seen  # the picture stays until the whole one is there
    assert "still arriving" not in preview.foot.facts.text()
    assert preview.foot.buttons.isVisible()


def test_an_arriving_picture_is_not_looked_at_too_often(preview, qtbot, tmp_path):
    whole = noisy_jpeg(tmp_path / "whole.jpg")
    task = a_task(name="a.jpg", part_path=str(tmp_path / "whole.jpg"))
    shown(qtbot, preview, task)
    asked = []
    preview.pictures.ask = asked.append
    preview.note_progress(task, len(whole), len(whole))  # a moment later
    preview._arrival.next_look = 0.0
    preview.note_progress(task, round(len(whole) * 0.01), len(whole))  # with next to nothing more
    assert asked == []
    preview.note_progress(task, round(len(whole) * 0.5), len(whole))
    preview.note_progress(task, round(len(whole) * 0.9), len(whole))  # the answer is not there yet
    assert len(asked) == 1


def test_nothing_selected_says_what_to_do(preview):
    preview.show_tasks([a_task()])
    preview.show_tasks([])
    assert preview.sentence.text() == "Select a transfer to see its file."


def test_a_late_answer_does_not_replace_another_selection(preview, qtbot, tmp_path):
    preview.show_tasks([finished(painted(tmp_path / "a.png"), 1)])
    with qtbot.waitSignal(preview.shown, timeout=LIMIT):
        preview.show_tasks([finished(painted(tmp_path / "b.png", 30, 30), 2)])
    assert preview.foot.facts.text().startswith("30 × 30")


def test_close_ends_the_helper(preview, qtbot, tmp_path):
    shown(qtbot, preview, finished(painted(tmp_path / "a.png")))
    pid = preview.pictures.helper.pid
    preview.close()
    assert not os.path.exists(f"/proc/{pid}")


def test_markup_in_a_name_is_plain_text(preview):
    preview.show_tasks([a_task(name="<b>x</b>.mp4")])
    assert "<b>" in preview.foot.name.text().replace("\u200b", "")
    assert preview.foot.name.textFormat().name == "PlainText"


def test_the_helper_needs_nothing_of_ours(helper, tmp_path):
    helper.ask(question(painted(tmp_path / "a.png")))
    command = Path(f"/proc/{helper.pid}/cmdline").read_bytes().split(b"\0")
    assert command[:3] == [os.fsencode(sys.executable), b"-I", b"-S"]


def test_the_words_are_right_under_the_picture(preview, qtbot, tmp_path):
    preview.resize(300, 600)
    shown(qtbot, preview, finished(painted(tmp_path / "wide.png", 800, 400)))

    def gap() -> int:
        words, picture = preview.foot.name, preview.canvas
        top, bottom = words.rect().topLeft(), picture.rect().bottomLeft()
        return int(words.mapTo(preview, top).y() - picture.mapTo(preview, bottom).y())

    qtbot.waitUntil(lambda: 0 < gap() < 20)
    target = preview.canvas.target()
    assert (round(target.width()), round(target.height())) == (276, 138)
    preview.zoom.setChecked(True)
    qtbot.waitUntil(lambda: preview.canvas.height() > 400)
