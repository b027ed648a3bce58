#!/bin/sh
# Falcon 4.4.0, Starlette 1.10.0, Werkzeug 3.1.9: another file of the same length and time has the same strong tag.
#
# All three make a *strong* ETag of length and time of change (as nginx, Apache and Caddy do). A file that is replaced
# by another one with both kept (rsync -t, tar, reproducible builds) bears the same tag, and If-Range under it brings
# the rest of the other file.
# Why it matters here: RFC 9110 section 8.8.1 lets a client join parts under a strong tag. Behind most servers of the
# world that joins two files now and then; an overlap that is compared shows it, unless the files agree there.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m pip install -q --target "$work/packages" falcon==4.4.0 starlette==1.10.0 httpx==0.28.1 werkzeug==3.1.9
mkdir "$work/files"
cat > "$work/ask.py" <<'END'
import os, sys, importlib.metadata as m
import falcon, falcon.testing
from starlette.responses import FileResponse
from starlette.testclient import TestClient
from werkzeug.test import Client, EnvironBuilder
from werkzeug.utils import send_file
from werkzeug.wrappers import Request
folder = sys.argv[1]
path = folder + "/f"
def put(body):
    with open(path + ".new", "wb") as f: f.write(body)
    os.utime(path + ".new", (1_700_000_000, 1_700_000_000))
    os.replace(path + ".new", path)
def by_falcon(fields):
    app = falcon.App(); app.add_static_route("/", folder)
    r = falcon.testing.TestClient(app).simulate_get("/f", headers=fields)
    return r.status_code, r.headers["etag"], r.content
def by_starlette(fields):
    async def app(scope, receive, send): await FileResponse(path)(scope, receive, send)
    r = TestClient(app).get("/f", headers=fields)
    return r.status_code, r.headers["etag"], r.content
def by_werkzeug(fields):
    def app(environ, start):
        return send_file(path, environ, conditional=True)(environ, start)
    r = Client(app).get("/f", headers=fields)
    return r.status_code, r.headers["ETag"], r.data
for name, ask in (("falcon", by_falcon), ("starlette", by_starlette), ("werkzeug", by_werkzeug)):
    put(b"old old old old ")
    _, tag, _ = ask({})
    put(b"new new new new ")
    found = ask({"Range": "bytes=8-", "If-Range": tag})
    print(name, m.version(name), tag, "->", *found)
    assert not tag.startswith("W/") and found == (206, tag, b"new new "), "it behaves differently now"
END
PYTHONPATH="$work/packages" python3 "$work/ask.py" "$work/files"
