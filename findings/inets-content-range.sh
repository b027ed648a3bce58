#!/bin/sh
# Erlang/OTP inets 8.2.2 (Debian 12's erlang-inets), mod_range: `Content-Range: bytes=6-9/10`.
#
# With mod_range among its modules httpd answers a range with 206, the right bytes, and a Content-Range that has `=` in
# place of the blank of RFC 9110 section 14.4.
# Why it matters here: a strict reader of Content-Range refuses the answer and asks for the same range for ever. The
# numbers are there to be read.
set -eu
work=$(mktemp -d)
trap 'kill $server 2>/dev/null || true; rm -rf "$work"' EXIT
chmod 755 "$work"
(cd "$work" && apt-get download -q erlang-base erlang-inets > log 2>&1)
for package in "$work"/*.deb; do dpkg-deb -x "$package" "$work/root"; done
dpkg-deb -f "$work"/erlang-inets*.deb Package Version
mkdir "$work/files"
printf 0123456789 > "$work/files/f"
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
export ROOTDIR="$work/root/usr/lib/erlang" BINDIR="$(echo "$work"/root/usr/lib/erlang/erts-*/bin)" EMU=beam PROGNAME=erl
"$BINDIR/erlexec" -noshell -boot "$ROOTDIR/bin/start_clean" -eval "
  {ok, _} = application:ensure_all_started(inets),
  {ok, _} = inets:start(httpd, [{port, $port}, {bind_address, {127,0,0,1}}, {server_name, \"x\"},
    {server_root, \"$work\"}, {document_root, \"$work/files\"}, {modules, [mod_alias, mod_range, mod_get, mod_head]}])." &
server=$!
cat > "$work/ask.py" <<'END'
import sys, time, http.client
def ask(**fields):
    c = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=10)
    c.request("GET", "/f", headers=fields)
    r = c.getresponse()
    found = r.status, r.getheader("Content-Range"), r.read()
    print(fields, "->", *found)
    return found
for _ in range(150):
    try: ask(); break
    except OSError: time.sleep(0.1)
assert ask(Range="bytes=6-") == (206, "bytes=6-9/10", b"6789")
END
python3 "$work/ask.py" "$port"
