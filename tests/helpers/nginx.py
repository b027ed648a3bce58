"""A real nginx of our own on a free loopback port: another opponent than the servers that we
wrote.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.helpers.real_server import RealServer, free_port, program

PATH = program("nginx")
WHY_NOT = "nginx is not installed (make test-all installs nginx-light where it may)"

_CONFIG = """
worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log; {main}
events {{ worker_connections 1024; }}
http {{
  log_format requests '$request_method $uri $status $body_bytes_sent "$http_range" "$http_if_range" $connection';
  access_log {log}; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  sendfile on; keepalive_requests 1000000; types {{ text/plain txt; }} default_type application/octet-stream;
  {http}
  server {{ listen 127.0.0.1:{port}; {tls} root {root}; {server} }}
  server {{ listen 127.0.0.1:{aside}; return 204; }}
}}
"""


class Nginx(RealServer):
    """Started and stopped by `running`."""

    def __init__(self, folder: Path, root: Path, port: int, tls_port: int) -> None:
        assert PATH is not None, WHY_NOT
        super().__init__(
            folder, root, port, [PATH, "-p", str(folder), "-c", str(folder / "nginx.conf")]
        )
        self.tls_port = tls_port
        self.aside = free_port()  # answers 204 to all; the log has it, and no test means it
        self._marks = 0

    def requests(self) -> list[str]:
        """Every answer that was whole before this call is in it: nginx writes its line after it has
        sent the answer, and its one worker has done so before it takes up another request.
        """
        if self.process is not None and self.process.poll() is None:
            self._marks += 1
            mark = f"/mark-{self._marks}-"
            with socket.create_connection(("127.0.0.1", self.aside), 60) as connection:
                connection.sendall(f"GET {mark} HTTP/1.0\r\n\r\n".encode())
                while connection.recv(4096):
                    pass
            deadline = time.monotonic() + 60
            while not any(mark in line for line in super().requests()):
                assert time.monotonic() < deadline, "nginx does not write its log"
                time.sleep(0.005)
        return [line for line in super().requests() if " /mark-" not in line]


@contextmanager
def running(
    folder: Path,
    root: Path,
    *,
    server: str = "",
    http: str = "",
    main: str = "",
    log: bool = True,
    certificate: tuple[Path, Path] | None = None,
) -> Iterator[Nginx]:
    """An nginx that serves `root` from a prefix of its own; the texts go into the blocks of its
    configuration.
    """
    folder.mkdir(parents=True, exist_ok=True)
    port, tls_port = free_port(), free_port()
    nginx = Nginx(folder, root, port, tls_port)
    tls = ""
    if certificate is not None:
        tls = f"listen 127.0.0.1:{tls_port} ssl; ssl_certificate {certificate[0]}; ssl_certificate_key {certificate[1]};"
    if os.geteuid() == 0:
        main = "user root; " + main  # else the worker may not read what a test made
    (folder / "nginx.conf").write_text(
        _CONFIG.format(
            folder=folder,
            root=root,
            port=port,
            aside=nginx.aside,
            server=server,
            http=http,
            main=main,
            tls=tls,
            log=f"{folder}/access.log requests" if log else "off",
        ),
        encoding="utf-8",
    )
    nginx.start()
    try:
        yield nginx
    finally:
        nginx.stop()
