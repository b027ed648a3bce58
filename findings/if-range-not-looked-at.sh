#!/bin/sh
# Bottle 0.13.4, Paste 3.10.1, serve 14.2.7, http-server 14.1.1: If-Range is not looked at.
#
# A range under `If-Range` with any other tag is answered 206 with the part, where RFC 9110 section 13.1.5 has 200 and
# the whole file. About a third of all servers of docs/servers.md do so, S3 and Azure emulators among them.
# Why it matters here: the condition protects nobody by itself. The tag and the date of the 206 must be compared with
# those of the stored part, and the bytes as well.
set -eu
work=$(mktemp -d)
trap 'kill $servers 2>/dev/null || true; rm -rf "$work"' EXIT
servers=
python3 -m pip install -q --target "$work/packages" bottle==0.13.4 paste==3.10.1 setuptools==80.9.0
npm install --silent --prefix "$work" serve@14.2.7 http-server@14.1.1
mkdir "$work/files"
printf 0123456789 > "$work/files/f.bin"
port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
one=$(port); two=$(port); three=$(port); four=$(port)
cat > "$work/app.py" <<END
import sys, wsgiref.simple_server as simple, bottle
from paste.urlparser import StaticURLParser
app = bottle.Bottle()
app.route("/<name>")(lambda name: bottle.static_file(name, root="$work/files"))
simple.make_server("127.0.0.1", int(sys.argv[2]), app if sys.argv[1] == "bottle" else StaticURLParser("$work/files")).serve_forever()
END
export PYTHONPATH="$work/packages"
python3 "$work/app.py" bottle "$one" 2> "$work/log1" & servers="$servers $!"
python3 "$work/app.py" paste "$two" 2> "$work/log2" & servers="$servers $!"
"$work/node_modules/.bin/serve" -L --no-port-switching -l "tcp://127.0.0.1:$three" "$work/files" > "$work/log3" 2>&1 & servers="$servers $!"
"$work/node_modules/.bin/http-server" "$work/files" -a 127.0.0.1 -p "$four" -s > "$work/log4" 2>&1 & servers="$servers $!"
cat > "$work/ask.py" <<'END'
import sys, time, http.client
def ask(port, fields):
    for _ in range(150):
        try:
            c = http.client.HTTPConnection("127.0.0.1", int(port), timeout=10)
            c.request("GET", "/f.bin", headers=fields)
            r = c.getresponse()
            return r.status, r.getheader("ETag"), r.read()
        except OSError:
            time.sleep(0.1)
for name, port in zip(("bottle", "paste", "serve", "http-server"), sys.argv[1:]):
    status, tag, body = ask(port, {})
    found = ask(port, {"Range": "bytes=6-", "If-Range": '"another"'})
    print(name, tag, "-> Range under another tag:", *found)
    assert status == 200 and body == b"0123456789" and found[0] == 206 and found[2] == b"6789", "it behaves differently now"
END
python3 "$work/ask.py" "$one" "$two" "$three" "$four"
