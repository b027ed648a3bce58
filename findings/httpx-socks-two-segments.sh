#!/bin/sh
# httpx 0.28.1 with httpcore 1.0.9 and socksio 1.0.0 takes the answer of a SOCKS 5 proxy for malformed when it comes in
# more than one TCP segment. TCP promises no borders, so a proxy may send its two bytes in two segments; curl and
# browsers read on. Why it matters here: `transfermon` leads this talk itself (src/transfermon/wire/socks.py), reading as many
# bytes as an answer has, and does not use httpcore's SOCKS proxy.
# Exits 0 while it behaves like that, 1 when it does not any more.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/python" -m pip install -q --disable-pip-version-check httpx==0.28.1 httpcore==1.0.9 socksio==1.0.0
"$place/venv/bin/python" - <<'EOF'
import socket
import sys
import threading
import time
from importlib.metadata import version

import httpx


def proxy(pause):
    """The port of a SOCKS 5 proxy that answers every request itself, its bytes singly where a pause is given."""
    listener = socket.create_server(("127.0.0.1", 0))

    def say(sock, data):
        for piece in [data[at : at + 1] for at in range(len(data))] if pause else [data]:
            sock.sendall(piece)
            time.sleep(pause)

    def serve():
        sock, _ = listener.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.recv(262)
        say(sock, b"\x05\x00")
        if sock.recv(300):
            say(sock, b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x01")
            sock.recv(65536)
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        sock.close()

    threading.Thread(target=serve, daemon=True).start()
    return listener.getsockname()[1]


def outcome(pause):
    try:
        return httpx.get("http://far.example/", proxy=f"socks5://127.0.0.1:{proxy(pause)}", trust_env=False).text
    except Exception as exc:
        return f"{type(exc).__module__}.{type(exc).__name__}: {exc}"


print(*(f"{name} {version(name)}" for name in ("httpx", "httpcore", "socksio")))
whole, split = outcome(0), outcome(0.05)
print("answers whole:", whole)
print("answers byte by byte:", split)
sys.exit(0 if whole == "ok" and split.startswith("socksio") else 1)
EOF
