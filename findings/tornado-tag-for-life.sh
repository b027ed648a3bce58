#!/bin/sh
# Tornado 6.6.1: a file that is replaced keeps its entity tag until the process ends, and If-Range is not looked at.
#
# StaticFileHandler keeps the hash of each file for the life of the process (only `reset` clears it). After a
# replacement by a file of the same length it sends the new bytes and the new Last-Modified under the *old* strong
# ETag, also in a 206 to `If-Range`; and it answers 206 to an If-Range with any other tag or date.
# Why it matters here: a strong tag that agrees is no evidence. A client that resumes under it joins two files; the
# date that contradicts the tag, or an overlap that is compared, shows it.
set -eu
work=$(mktemp -d)
trap 'kill $server 2>/dev/null || true; rm -rf "$work"' EXIT
python3 -m pip install -q --target "$work/packages" tornado==6.6.1
mkdir "$work/files"
printf 'old old old old ' > "$work/files/f"
touch -d '2 hours ago' "$work/files/f"
cat > "$work/app.py" <<END
import asyncio, tornado.web
async def main():
    app = tornado.web.Application([(r"/(.*)", tornado.web.StaticFileHandler, {"path": "$work/files"})])
    server = app.listen(0, "127.0.0.1")
    print(next(iter(server._sockets.values())).getsockname()[1], flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
END
PYTHONPATH="$work/packages" python3 "$work/app.py" > "$work/port" &
server=$!
until [ -s "$work/port" ]; do sleep 0.1; done
cat > "$work/ask.py" <<'END'
import os, sys, http.client, importlib.metadata as m
port, work = int(sys.argv[1]), sys.argv[2]
def ask(**fields):
    c = http.client.HTTPConnection("127.0.0.1", port)
    c.request("GET", "/f", headers={k.replace("_", "-"): v for k, v in fields.items()})
    r = c.getresponse()
    return r.status, r.getheader("ETag"), r.getheader("Last-Modified"), r.read()
_, tag, date, body = ask()
print("before:", tag[:12], date, body)
with open(work + "/files/new", "wb") as f: f.write(b"new new new new ")
os.replace(work + "/files/new", work + "/files/f")
status, tag2, date2, rest = ask(Range="bytes=8-", If_Range=tag)
print("after, Range under If-Range:", status, tag2[:12], date2, rest)
assert (status, tag2, rest) == (206, tag, b"new new ") and date2 != date
status, _, _, rest = ask(Range="bytes=8-", If_Range='"another"')
print("Range under another tag:", status, rest)
assert status == 206
END
PYTHONPATH="$work/packages" python3 "$work/ask.py" "$(cat "$work/port")" "$work"
