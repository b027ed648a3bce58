#!/bin/sh
# sirv-cli 3.0.1: lengths, dates and tags of the start, bytes of today.
#
# Without `--dev` the heads of all files are made at the start of the process. A file replaced by a longer one is sent
# with the old length and date: the first bytes of the new file, cut off without a word; a shorter one ends too early.
# Why it matters here: a plain download is "whole" by every header and is no version of the file. No client can know
# it; a resumed one shows it only where an overlap is compared.
set -eu
work=$(mktemp -d)
trap 'kill $server 2>/dev/null || true; rm -rf "$work"' EXIT
npm install --silent --prefix "$work" sirv-cli@3.0.1
mkdir "$work/files"
printf 'old old old old ' > "$work/files/f"
touch -d '2 hours ago' "$work/files/f"
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$work/node_modules/.bin/sirv" "$work/files" -H 127.0.0.1 -p "$port" -q --etag > "$work/log" 2>&1 &
server=$!
cat > "$work/ask.py" <<'END'
import os, sys, time, http.client
port, work = int(sys.argv[1]), sys.argv[2]
def ask(**fields):
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    c.request("GET", "/f", headers=fields)
    r = c.getresponse()
    found = r.status, r.getheader("ETag"), r.getheader("Last-Modified"), r.getheader("Content-Length"), r.read()
    print(fields, "->", *found)
    return found
for _ in range(100):
    try: ask(); break
    except OSError: time.sleep(0.1)
before = ask()
with open(work + "/files/new", "wb") as f: f.write(b"new new new new new new ")
os.replace(work + "/files/new", work + "/files/f")
after = ask()
assert after[:4] == before[:4] and after[4] == b"new new new new ", "it behaves differently now"
assert ask(Range="bytes=8-")[4] == b"new new "
END
python3 "$work/ask.py" "$port" "$work"
