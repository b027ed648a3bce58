"""What is read at once means the same to h11, and whatever is odd is left to it."""

from __future__ import annotations

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transfermon.http.heads import heal
from transfermon.http.plain_head import PlainHead, plain_head


def block(*lines: str, status: str = "HTTP/1.1 200 OK") -> bytes:
    return "\r\n".join((status, *lines, "", "")).encode("latin-1")


def test_a_usual_head_is_read_with_its_fields_as_they_came():
    head = plain_head(
        block("Server: nginx/1.2", "Content-LENGTH: 12 ", "Set-Cookie: a", "set-cookie:b", "X:")
    )
    assert head == PlainHead(
        status=200,
        fields=(
            ("Server", "nginx/1.2"),
            ("Content-LENGTH", "12"),
            ("Set-Cookie", "a"),
            ("set-cookie", "b"),
            ("X", ""),
        ),
        length=12,
        keeps=True,
    )


@pytest.mark.parametrize(
    ("status", "lines", "length", "keeps"),
    [
        ("HTTP/1.1 200", ["Content-Length: 0", "Connection: close"], 0, False),
        (
            "HTTP/1.1 404 Nicht gefunden: x",
            ["Content-Length: 3", "Connection: Keep-Alive"],
            3,
            True,
        ),
        ("HTTP/1.1 204 No", [], 0, True),
        ("HTTP/1.1 304 Not Modified", ["Content-Length: 500"], 0, True),
    ],
)
def test_the_end_of_the_body_and_of_the_connection_are_told(status, lines, length, keeps):
    head = plain_head(block(*lines, status=status))
    assert head is not None
    assert (head.length, head.keeps, len(head.fields)) == (length, keeps, len(lines))


@pytest.mark.parametrize(
    "odd",
    [
        block(),
        block("Content-Length: 1", "Content-Length: 1"),
        block("Content-Length: 1, 1"),
        block("Content-Length: +1"),
        block("Content-Length: \xb2"),
        block("Content-Length:"),
        block("Content-Length: 1", "Transfer-Encoding: chunked"),
        block("Content-Length: 1", "Connection: close, x"),
        block("Content-Length: 9999999999999999999"),
        block("Content-Length: 1", "X: a\x00b"),
        block("Content-Length: 1", " folded"),
        block("Content-Length: 1", "X Y: z"),
        block("Content-Length : 1"),
        block("Content-Length: 1", status="HTTP/1.0 200 OK"),
        block("Content-Length: 1", status="HTTP/1.1 100 Continue"),
        block("Content-Length: 1", status="HTTP/1.1 101 Switching"),
        block("Content-Length: 1", status="HTTP/1.1 600 X"),
        block("Content-Length: 1", status="http/1.1 200 OK"),
        block("Content-Length: 1").replace(b"\r\n", b"\n"),
        block("Content-Length: x", status="HTTP/1.1 204 No"),
    ],
)
def test_whatever_is_unusual_is_not_read_here(odd):
    assert plain_head(odd) is None


names = st.sampled_from(
    [
        "A",
        "X-Long",
        "X Y",
        "",
        "Content-Length",
        "content-length",
        "Transfer-Encoding",
        "Connection",
    ]
)
values = st.sampled_from(["", "5", "6", "05", "chunked", "close", "keep-alive", "a b", "a\tb "]) | (
    st.text(st.characters(max_codepoint=255), max_size=4)
)
colons = st.sampled_from([":", ": ", ":\t", " :"])
lines = st.tuples(names, colons, values).map("".join)
statuses = st.sampled_from(
    ["HTTP/1.1 200 OK", "HTTP/1.1 200", "HTTP/1.1 204 A: b", "HTTP/1.1 304 ", "HTTP/1.0 200 OK"]
)


@settings(deadline=None, max_examples=500)
@given(statuses, st.lists(lines, max_size=5))
def test_what_is_read_here_is_valid_and_means_the_same_to_h11(status: str, fields: list[str]):
    whole = block(*fields, status=status)
    head = plain_head(whole)
    if head is None:
        return
    assert heal(whole) is whole
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method="GET", target="/", headers=[("Host", "a")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(whole + b"x" * head.length)
    event = connection.next_event()
    assert isinstance(event, h11.Response)
    assert event.status_code == head.status
    assert [
        (name.decode("latin-1"), value.decode("latin-1"))
        for name, value in event.headers.raw_items()
    ] == list(head.fields)
    body = b""
    while isinstance(event := connection.next_event(), h11.Data):
        body += event.data
    assert isinstance(event, h11.EndOfMessage)
    assert len(body) == head.length
    assert (connection.their_state is h11.DONE) == head.keeps
