#!/bin/sh
# h11 0.16.0 takes valid answers for malformed:
#  - `5 ;name=value` as the first line of a chunk. RFC 9112 section 7.1.1 lets blanks stand before the semicolon of an
#    extension; h11 allows them at the end of the line only.
#  - `Transfer-Encoding: , chunked`. RFC 9110 section 5.6.1.2: a recipient must ignore empty members of a list.
# httpx 0.28.1 cannot ask a host with an emoji in its name (`xn--i-7iq.example`, a name by the rules of DNS, and such
# names exist): to fill in Host it decodes the name by IDNA 2008, and raises idna.InvalidCodepoint, which is none of its
# own exceptions. A Host given by the caller avoids that.
# curl and browsers take all three. Why it matters here: src/transfermon/http/heads.py and chunks.py rewrite such lines before
# h11 sees them, and src/transfermon/wire/transport.py gives every request its Host.
# Exits 0 while they behave like that, 1 when one does not any more, 77 where it cannot be tried.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv" || exit 77
"$place/venv/bin/pip" install -q --disable-pip-version-check "h11==0.16.0" "httpx==0.28.1" "idna==3.20" || exit 77
"$place/venv/bin/python" - <<'EOF'
import sys

import h11
import httpx
import idna


def body(answer: bytes) -> str:
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method="GET", target="/", headers=[("Host", "a")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(answer)
    data = b""
    try:
        while not isinstance(event := connection.next_event(), h11.EndOfMessage):
            data += bytes(event.data) if isinstance(event, h11.Data) else b""
    except h11.RemoteProtocolError as exc:
        return f"refused: {exc}"
    return data.decode()


def host() -> str:
    try:
        return httpx.Request("GET", "http://xn--i-7iq.example/").headers["Host"]
    except idna.IDNAError as exc:
        return f"refused: {type(exc).__name__}: {exc}"


HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
found = {
    "plain chunks": body(HEAD + b"5\r\nhello\r\n0\r\n\r\n"),
    "a blank before an extension": body(HEAD + b"5 ;name=value\r\nhello\r\n0\r\n\r\n"),
    "an empty member of Transfer-Encoding": body(HEAD.replace(b": ", b": , ") + b"5\r\nhello\r\n0\r\n\r\n"),
    "an emoji in a host's name": host(),
}
print(f"h11 {h11.__version__}, httpx {httpx.__version__}, idna {idna.__version__}")
for what, result in found.items():
    print(f"{what}: {result}")
refused = [result.startswith("refused") for result in found.values()]
sys.exit(0 if refused == [False, True, True, True] else 1)
EOF
