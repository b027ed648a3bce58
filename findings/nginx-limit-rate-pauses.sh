#!/bin/sh
# nginx 1.22.1 (Debian 12): `limit_rate` sends a burst at full speed and then nothing for half a second and more.
#
# With `limit_rate 4m` a client that reads all the time gets some 2 MiB within a few milliseconds, then nothing for
# about 0.5 s, and so on. The rate is right over seconds; over any window below the pause it is zero or a hundred times
# too high.
# Why it matters here: whether one more connection made a download faster cannot be told from a window shorter than the
# pause, although the round trip is well below a millisecond. The rate of such a server counts over whole pauses.
set -eu
work=$(mktemp -d)
server=
trap 'kill $server 2>/dev/null || true; rm -rf "$work"' EXIT
(cd "$work" && apt-get download -q nginx > log 2>&1 && dpkg -x nginx_*.deb tree)
mkdir "$work/files" "$work/logs"
head -c 33554432 /dev/zero > "$work/files/f.bin"
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
cat > "$work/nginx.conf" <<END
daemon off; master_process off; pid $work/pid; error_log $work/error;
events {}
http {
    access_log off; sendfile on;
    client_body_temp_path $work/a; proxy_temp_path $work/b; fastcgi_temp_path $work/c; uwsgi_temp_path $work/d; scgi_temp_path $work/e;
    server { listen 127.0.0.1:$port; root $work/files; limit_rate 4m; }
}
END
"$work/tree/usr/sbin/nginx" -v
"$work/tree/usr/sbin/nginx" -p "$work" -c "$work/nginx.conf" & server=$!
cat > "$work/read.py" <<'END'
import socket, sys, time
for _ in range(100):
    try:
        c = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 10)
        break
    except OSError:
        time.sleep(0.1)
c.sendall(b"GET /f.bin HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
began = last = time.monotonic()
taken, pauses, bursts, burst = 0, [], [], 0
while piece := c.recv(1 << 20):
    now = time.monotonic()
    if now - last > 0.2:
        pauses.append(now - last)
        bursts.append(burst)
        burst = 0
    last, taken, burst = now, taken + len(piece), burst + len(piece)
took = last - began
print(f"{taken:,} bytes in {took:.1f} s; {len(pauses)} pauses of {min(pauses):.2f} to {max(pauses):.2f} s;",
      f"bursts of {min(bursts):,} to {max(bursts):,} bytes")
assert took > 4 and len(pauses) >= 5 and sum(pauses) > 0.7 * took, "it behaves differently now"
END
python3 "$work/read.py" "$port"
