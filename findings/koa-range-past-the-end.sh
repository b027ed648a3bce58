#!/bin/sh
# koa-range 0.3.0 (over koa-static 5.0.0, Koa 3.2.1): a range that begins at or behind the end is answered 206.
#
# `Range: bytes=10-` for a file of 10 bytes is answered `206`, `Content-Range: bytes 10-9/10`; `bytes=12-` is
# `bytes 12-9/10` with `Content-Length: -2`, where RFC 9110 has 416 for both. If-Range is not looked at.
# Why it matters here: this is what a client asks that has the whole file, or more than the file is long by now. A
# last byte before the first one is no part of any file; only a plain request shows what is there.
set -eu
work=$(mktemp -d)
trap 'kill $server 2>/dev/null || true; rm -rf "$work"' EXIT
npm install --silent --prefix "$work" koa@3.2.1 koa-range@0.3.0 koa-static@5.0.0
mkdir "$work/files"
printf 0123456789 > "$work/files/f"
cat > "$work/app.mjs" <<END
import Koa from "koa"
import range from "koa-range"
import files from "koa-static"
const app = new Koa({ silent: true })
app.use(range)
app.use(files("$work/files"))
const server = app.listen(0, "127.0.0.1", () => console.log(server.address().port))
END
node "$work/app.mjs" > "$work/port" 2> "$work/log" &
server=$!
until [ -s "$work/port" ]; do sleep 0.1; done
cat > "$work/ask.py" <<'END'
import sys, http.client
def ask(**fields):
    c = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=10)
    c.request("GET", "/f", headers={k.replace("_", "-"): v for k, v in fields.items()})
    r = c.getresponse()
    print(fields, "->", r.status, r.getheader("Content-Range"), "length", r.getheader("Content-Length"))
    return r.status, r.getheader("Content-Range")
assert ask(Range="bytes=4-") == (206, "bytes 4-9/10")
assert ask(Range="bytes=10-") == (206, "bytes 10-9/10")
assert ask(Range="bytes=12-") == (206, "bytes 12-9/10")
assert ask(Range="bytes=4-", If_Range='"another"') == (206, "bytes 4-9/10")
END
python3 "$work/ask.py" "$(cat "$work/port")"
