#!/bin/sh
# restify 11.1.0, serveStaticFiles: a range behind the end is answered 403 "NotAuthorizedError".
#
# `Range: bytes=10-` for a file of 10 bytes is `403 Forbidden` with `Content-Range: bytes */10`, where RFC 9110 has
# 416: the plug-in makes one error of everything that its file sender refuses. The plain request is answered 200.
# Why it matters here: after a 403 a client says "you may not have this" and stops for good, though the file only
# became shorter than what is stored. A plain request tells the two apart.
set -eu
work=$(mktemp -d)
trap 'kill $server 2>/dev/null || true; rm -rf "$work"' EXIT
npm install --silent --prefix "$work" restify@11.1.0
mkdir "$work/files"
printf 0123456789 > "$work/files/f"
cat > "$work/app.cjs" <<END
const restify = require("restify")
const app = restify.createServer()
app.get("/*", restify.plugins.serveStaticFiles("$work/files"))
app.listen(0, "127.0.0.1", () => console.log(app.address().port))
END
(cd "$work" && exec node app.cjs) > "$work/port" 2> "$work/log" &
server=$!
until [ -s "$work/port" ]; do sleep 0.1; done
cat > "$work/ask.py" <<'END'
import sys, http.client
def ask(**fields):
    c = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=10)
    c.request("GET", "/f", headers=fields)
    r = c.getresponse()
    print(fields, "->", r.status, r.getheader("Content-Range"), r.read())
    return r.status, r.getheader("Content-Range")
assert ask() == (200, None)
assert ask(Range="bytes=4-") == (206, "bytes 4-9/10")
assert ask(Range="bytes=10-") == (403, "bytes */10")
END
python3 "$work/ask.py" "$(cat "$work/port")"
