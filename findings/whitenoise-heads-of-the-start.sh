#!/bin/sh
# WhiteNoise 6.12.0: heads are made once, at the start; bodies are read from the disk at each request.
#
# Without `autorefresh` tag, date and length of each file are those of the start of the process. A file that is
# replaced while it runs is sent with the old ETag, the old Last-Modified and the old Content-Length, and with its
# new bytes; a range under `If-Range` of the old tag as well.
# Why it matters here: every validator agrees, the length too, and the bytes are those of another file. Only an
# overlap that is compared shows it.
set -eu
work=$(mktemp -d)
trap 'kill $server 2>/dev/null || true; rm -rf "$work"' EXIT
python3 -m pip install -q --target "$work/packages" whitenoise==6.12.0
mkdir "$work/files"
printf 'old old old old ' > "$work/files/f"
touch -d '2 hours ago' "$work/files/f"
cat > "$work/app.py" <<END
from wsgiref.simple_server import make_server
from whitenoise import WhiteNoise
def nothing(environ, start_response):
    start_response("404 Not Found", [])
    return [b""]
server = make_server("127.0.0.1", 0, WhiteNoise(nothing, root="$work/files"))
print(server.server_port, flush=True)
server.serve_forever()
END
PYTHONPATH="$work/packages" python3 "$work/app.py" > "$work/port" 2> "$work/log" &
server=$!
until [ -s "$work/port" ]; do sleep 0.1; done
cat > "$work/ask.py" <<'END'
import os, sys, http.client
port, work = int(sys.argv[1]), sys.argv[2]
def ask(**fields):
    c = http.client.HTTPConnection("127.0.0.1", port)
    c.request("GET", "/f", headers={k.replace("_", "-"): v for k, v in fields.items()})
    r = c.getresponse()
    return r.status, r.getheader("ETag"), r.getheader("Last-Modified"), r.getheader("Content-Length"), r.read()
_, tag, date, length, body = ask()
print("before:", tag, date, length, body)
with open(work + "/files/new", "wb") as f: f.write(b"new new new new ")
os.replace(work + "/files/new", work + "/files/f")
after = ask()
print("after:", *after)
assert after == (200, tag, date, length, b"new new new new ")
part = ask(Range="bytes=8-", If_Range=tag)
print("Range under If-Range:", *part)
assert part[0] == 206 and part[1:3] == (tag, date) and part[4] == b"new new "
END
python3 "$work/ask.py" "$(cat "$work/port")" "$work"
