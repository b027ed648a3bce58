#!/bin/sh
# serve 14.2.7 and sirv-cli 3.0.1 (npm): a PUT to a file that is there is answered like GET.
#
# Both are for reading only. A PUT to the name of an existing file is answered `200` with the file as it was, after the
# body was read, in place of the 405 of RFC 9110 section 15.5.6; the file stays. PUT to another name is 404.
# Why it matters here: 200 is the answer of a server that has stored the body. A client that trusts the status alone calls
# an upload sent that nobody has; here even a HEAD with the right length is no proof when the old file is as long.
set -eu
work=$(mktemp -d)
trap 'kill $first $second 2>/dev/null || true; rm -rf "$work"' EXIT
first= second=
npm install --silent --prefix "$work" serve@14.2.7 sirv-cli@3.0.1
mkdir "$work/files"
printf 0123456789 > "$work/files/f.txt"
cat > "$work/ask.py" <<'END'
import http.client, subprocess, sys, time
name, port, folder = sys.argv[1], int(sys.argv[2]), sys.argv[3]
def ask(method, path, body=None):
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    c.request(method, path, body, {"Accept-Encoding": "identity"})
    r = c.getresponse()
    found = r.status, r.read()
    print(name, method, path, "->", found[0], found[1][:20])
    return found
for _ in range(150):
    try: ask("GET", "/f.txt"); break
    except OSError: time.sleep(0.1)
assert ask("PUT", "/f.txt", b"abcdefghij") == (200, b"0123456789")
assert open(folder + "/f.txt").read() == "0123456789"
assert ask("PUT", "/new.txt", b"abcdefghij")[0] == 404
END
free() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
port=$(free)
"$work/node_modules/.bin/serve" -l "tcp://127.0.0.1:$port" -L "$work/files" > "$work/log" 2>&1 &
first=$!
python3 "$work/ask.py" "serve 14.2.7" "$port" "$work/files"
port=$(free)
"$work/node_modules/.bin/sirv" "$work/files" --host 127.0.0.1 --port "$port" --quiet > "$work/log" 2>&1 &
second=$!
python3 "$work/ask.py" "sirv-cli 3.0.1" "$port" "$work/files"
