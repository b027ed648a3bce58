from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel, QMessageBox

from transfermon.gui.dialogs.add import DOWNLOAD, LARGEST_BODY, AddDialog, AddRequest
from transfermon.gui.dialogs.questions import ask
from transfermon.gui.dialogs.typed_text import (
    MOST_LINKS,
    digest_in,
    headers_in,
    links_in,
    sorted_out,
)
from transfermon.model.request_options import RequestOptions
from transfermon.model.task import Kind, changed

DIGEST = "a" * 64


@pytest.mark.parametrize(
    ("text", "links"),
    [
        ("", []),
        ("nothing here", []),
        ("https://example.com/a.zip", ["https://example.com/a.zip"]),
        (
            "See https://example.com/a.zip, and http://example.com/b.",
            ["https://example.com/a.zip", "http://example.com/b"],
        ),
        ('<a href="https://example.com/a">x</a>', ["https://example.com/a"]),
        ("(https://example.com/a)", ["https://example.com/a"]),
        ("https://example.com/a_(b)", ["https://example.com/a_(b)"]),
        ("https://example.com/a\nhttps://example.com/a", ["https://example.com/a"]),
        ("HTTPS://EXAMPLE.COM/A", ["HTTPS://EXAMPLE.COM/A"]),
        ("ftp://example.com/a file:///etc/passwd javascript:alert(1)", []),
        ("https://", []),
        ("https://example.com/?a=1&b=2#c", ["https://example.com/?a=1&b=2#c"]),
    ],
)
def test_links_are_found_in_any_text(text, links):
    assert links_in(text) == links


def test_a_paste_gives_a_limited_number_of_links():
    assert (
        len(links_in("\n".join(f"https://example.com/{n}" for n in range(MOST_LINKS + 50))))
        == MOST_LINKS
    )


def test_each_bad_address_has_its_own_sentence_and_the_good_ones_are_kept():
    found = sorted_out(
        "https://example.com/a\n\nftp://example.com/b\nexample.com/c\nhttps://example.com/d\n"
    )
    assert found.good == ("https://example.com/a", "https://example.com/d")
    assert [address for address, _ in found.bad] == ["ftp://example.com/b", "example.com/c"]
    assert all(sentence.endswith(".") for _, sentence in found.bad)


@pytest.mark.parametrize(
    ("text", "headers"),
    [("", {}), ("Accept: text/html\n\nX-A:  b: c ", {"Accept": "text/html", "X-A": "b: c"})],
)
def test_header_lines_become_headers(text, headers):
    assert headers_in(text) == headers


@pytest.mark.parametrize("text", ["no colon", "Range: bytes=0-", "bad name: x", ": x"])
def test_a_header_line_that_cannot_be_sent_is_refused(text):
    with pytest.raises(ValueError):
        headers_in(text)


@pytest.mark.parametrize(
    ("text", "digest"),
    [
        ("", ""),
        (DIGEST, f"sha-256:{DIGEST}"),
        (f" SHA256: {DIGEST.upper()} ", f"sha-256:{DIGEST}"),
        (f"sha-256={DIGEST}", f"sha-256:{DIGEST}"),
    ],
)
def test_a_checksum_is_taken_as_people_paste_it(text, digest):
    assert digest_in(text) == digest


def test_a_checksum_of_the_wrong_length_is_refused():
    with pytest.raises(ValueError):
        digest_in("abc")


@pytest.fixture
def dialog(qtbot):
    made = AddDialog(text="https://example.com/a", sessions=["one", "two"], session="two")
    made.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose, False)
    qtbot.addWidget(made)
    made.show()
    return made


def test_start_now_asks_for_the_addresses_and_closes_the_dialog(dialog, qtbot):
    with qtbot.waitSignal(dialog.requested) as asked:
        dialog.start_button.click()
    assert asked.args[0] == AddRequest(
        urls=("https://example.com/a",),
        session="two",
        new=changed(DOWNLOAD, request_headers={}, method="GET"),
    )
    assert not dialog.isVisible()


def test_add_paused_carries_everything_under_more(dialog, qtbot):
    dialog.more_button.setChecked(True)
    dialog.headers.setPlainText("Accept: image/png")
    dialog.digest.setText(DIGEST)
    dialog.limit.setValue(1.5)
    dialog.folder.setText("/tmp/there")
    dialog.name.setText("mine.png")
    with qtbot.waitSignal(dialog.requested) as asked:
        dialog.paused_button.click()
    assert asked.args[0] == AddRequest(
        urls=("https://example.com/a",),
        session="two",
        new=changed(
            DOWNLOAD,
            method="GET",
            destination="/tmp/there/",
            name="mine.png",
            request_headers={"Accept": "image/png"},
            expected_digest=f"sha-256:{DIGEST}",
            speed_limit=1_500_000,
            start=False,
        ),
    )


@pytest.mark.parametrize(
    ("name", "words"),
    [("../../x", "“x” would do"), ("a?b", "“a_b” would do"), (".hidden", "“hidden”")],
)
def test_a_name_that_no_file_can_have_everywhere_is_refused_with_one_that_does(dialog, name, words):
    dialog.name.setText(name)
    assert not dialog.start_button.isEnabled()
    assert words in dialog.problems.text()
    dialog.name.setText("a name.iso")
    assert dialog.start_button.isEnabled()


def test_a_name_for_two_addresses_is_a_mistake(dialog):
    dialog.urls.setPlainText("https://example.com/a\nhttps://example.com/b")
    dialog.name.setText("mine")
    assert not dialog.start_button.isEnabled()
    assert "one address" in dialog.problems.text()


def test_another_method_has_a_body_and_no_file(dialog, qtbot):
    dialog.more_button.setChecked(True)
    assert not dialog.body.isVisible()
    dialog.digest.setText(DIGEST)
    dialog.method.setCurrentText("PATCH")
    assert dialog.body.isVisible()
    assert not any([dialog.digest.isVisible(), dialog.limit.isVisible(), dialog.folder.isEnabled()])
    dialog.body.setPlainText('{"a": 1}')
    with qtbot.waitSignal(dialog.requested) as asked:
        dialog.start_button.click()
    new = asked.args[0].new
    assert (new.kind, new.method, new.data) == (Kind.DATA, "PATCH", b'{"a": 1}')
    assert new.request_headers == {"Content-Type": "application/json"}


def test_a_body_that_was_typed_is_not_sent_with_a_method_that_has_none(dialog, qtbot):
    dialog.method.setCurrentText("POST")
    dialog.body.setPlainText("typed")
    dialog.method.setCurrentText("GET")
    with qtbot.waitSignal(dialog.requested) as asked:
        dialog.start_button.click()
    new = asked.args[0].new
    assert (new.kind, new.method, new.data) == (Kind.DOWNLOAD, "GET", None)


def test_a_body_has_a_limit_and_says_what_to_do(dialog):
    dialog.method.setCurrentText("POST")
    dialog.body.setPlainText("é" * (LARGEST_BODY // 2))
    assert dialog.start_button.isEnabled()
    dialog.body.setPlainText("é" * (LARGEST_BODY // 2 + 1))
    assert not dialog.start_button.isEnabled()
    assert "upload" in dialog.problems.text()


def test_the_dialog_stays_open_with_the_bad_addresses_only(dialog, qtbot):
    dialog.urls.setPlainText("https://example.com/a\nftp://example.com/b")
    assert "ftp://example.com/b" in dialog.problems.text()
    with qtbot.waitSignal(dialog.requested) as asked:
        dialog.start_button.click()
    assert asked.args[0].urls == ("https://example.com/a",)
    assert dialog.isVisible()
    assert dialog.urls.toPlainText() == "ftp://example.com/b"
    assert not dialog.start_button.isEnabled()


def test_a_checksum_for_two_addresses_is_a_mistake(dialog):
    dialog.urls.setPlainText("https://example.com/a\nhttps://example.com/b")
    dialog.digest.setText(DIGEST)
    assert not dialog.start_button.isEnabled()
    assert "one address" in dialog.problems.text()


def test_what_an_address_says_is_shown_as_plain_text(dialog):
    dialog.urls.setPlainText("<b>bold</b>\u202egnp")
    assert dialog.problems.textFormat() is Qt.TextFormat.PlainText
    assert "\u202e" not in dialog.problems.text()


def test_a_question_answers_with_the_button_and_the_tick(qtbot):
    answers: list[tuple[str, bool]] = []
    box = ask(
        None,
        "Close?",
        "<b>Now</b>",
        ["Keep", "Quit"],
        lambda a, r: answers.append((a, r)),
        remember="Remember",
    )
    box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose, False)
    qtbot.addWidget(box)
    tick = box.checkBox()
    assert tick is not None
    tick.setChecked(True)
    next(button for button in box.buttons() if button.text() == "Quit").click()
    assert answers == [("Quit", True)]


def test_escape_means_the_last_answer(qtbot):
    answers: list[str] = []
    box = ask(None, "Close?", "", ["Keep", "Cancel"], lambda a, _r: answers.append(a))
    box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose, False)
    qtbot.addWidget(box)
    assert box.textFormat() is Qt.TextFormat.PlainText
    assert isinstance(box, QMessageBox)
    qtbot.keyClick(box, Qt.Key.Key_Escape)
    assert answers == ["Cancel"]


def test_more_carries_what_the_requests_carry_and_trust(dialog, qtbot):
    dialog.more_button.setChecked(True)
    rows = dialog.request
    assert not rows.rows["no_content_type"].isVisible()  # a download has no body
    dialog.method.setCurrentText("PUT")
    assert rows.rows["no_content_type"].isVisible()
    rows.rows["send_along"].setText("bad(name)")
    assert "is not the name of a header" in dialog.problems.text()
    assert not dialog.start_button.isEnabled()
    rows.rows["send_along"].setText("X-Api-Key, Authorization")
    rows.rows["ca_file"].setText("/etc/ca.pem")
    rows.rows["tls_keys"].setText("/tmp/keys")
    rows.cookies.setText("/tmp/cookies.txt")
    rows.rows["insecure_redirects"].click()
    rows.rows["no_content_type"].click()
    with qtbot.waitSignal(dialog.requested) as asked:
        dialog.start_button.click()
    request = asked.args[0]
    assert request.cookie_file == "/tmp/cookies.txt"
    assert request.new.options == RequestOptions(
        send_along=("x-api-key", "authorization"),
        insecure_redirects=True,
        ca_file="/etc/ca.pem",
        tls_keys="/tmp/keys",
        no_content_type=True,
    )


def test_a_download_has_a_number_of_connections_and_a_body_that_is_sent_none(dialog, qtbot):
    dialog.more_button.setChecked(True)
    line = dialog.request.rows["connections"]
    assert line.isVisible()
    line.setText("9")
    assert "1 to 8 connections" in dialog.problems.text()
    assert not dialog.start_button.isEnabled()
    dialog.method.setCurrentText("PUT")
    assert not line.isVisible()
    assert dialog.problems.text() == ""
    dialog.method.setCurrentText("GET")
    line.setText("auto")
    with qtbot.waitSignal(dialog.requested) as asked:
        dialog.start_button.click()
    assert asked.args[0].new.options == RequestOptions(connections=-1)


def test_mirrors_need_a_checksum_or_a_word(dialog, qtbot):
    dialog.more_button.setChecked(True)
    line, word = (dialog.request.rows[name] for name in ("mirrors", "mirrors_are_the_same"))
    line.setText("http://m.example/a  https://n.example/B")
    assert "checksum, or your word" in dialog.problems.text()
    assert not dialog.start_button.isEnabled()
    dialog.digest.setText("0" * 64)
    assert dialog.start_button.isEnabled()
    dialog.digest.setText("")
    word.setChecked(True)
    assert dialog.start_button.isEnabled()
    line.setText("m.example")
    assert "no address of a mirror" in dialog.problems.text()
    line.setText("http://m.example/a  https://n.example/B")
    dialog.method.setCurrentText("PUT")
    assert not line.isVisible()
    assert not word.isVisible()
    dialog.method.setCurrentText("GET")
    with qtbot.waitSignal(dialog.requested) as asked:
        dialog.start_button.click()
    assert asked.args[0].new.options == RequestOptions(
        mirrors=("http://m.example/a", "https://n.example/B"), mirrors_are_the_same=True
    )


def test_more_opens_and_closes_like_a_drawer(qtbot):
    dialog = AddDialog()
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose, False)
    qtbot.addWidget(dialog)
    dialog.show()
    assert (dialog.more.isVisible(), dialog.more_button.text()) == (False, "More")
    dialog.more_button.click()
    assert (dialog.more.isVisible(), dialog.more_button.text()) == (True, "Less")
    labels = [
        label
        for label in dialog.findChildren(QLabel)
        if label.text() in ("Folder", "Session", "Headers", "SHA-256")
    ]
    assert len({label.mapTo(dialog, label.rect().topRight()).x() for label in labels}) == 1
