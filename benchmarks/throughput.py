"""Downloads from a local nginx: one large file, eight at once, many small ones, one over TLS; and
an upload to it.

`python -m benchmarks.throughput [--size MIB] [--rounds N] [--case NAME]...`
Everything is on a tmpfs where there is one, so that the programs are compared and not the disk.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import trustme

from benchmarks.peers import Peer, compare, measure, transfermon
from tests.helpers.nginx import PATH, WHY_NOT, Nginx, running
from transfermon.control.client import Client

MIB = 1 << 20
SMALL_FILES, SMALL_SIZE = 2000, 16 * 1024


class Bench:
    """A folder for everything, and the server's root in it."""

    def __init__(self, folder: Path, size: int, rounds: int) -> None:
        self.folder, self.size, self.rounds = folder, size, rounds
        self.root, self.out, self.state = folder / "root", folder / "out", folder / "state"
        for path in (self.root, self.out):
            path.mkdir()

    def fresh(self) -> None:
        """No output and no memory of earlier runs."""
        for path in (self.out, self.state):
            shutil.rmtree(path, ignore_errors=True)
        self.out.mkdir()

    def get(self, *words: str) -> list[str]:
        return transfermon("--state-dir", str(self.state), "get", "-q", *words)

    def peer(self, name: str, *command: str, stdin: str = "") -> Peer:
        return Peer(name=name, command=command, prepare=self.fresh, stdin=stdin)

    def make(self, name: str, size: int) -> Path:
        path = self.root / name
        block = os.urandom(MIB)
        with open(path, "wb") as file:
            for _ in range(size // MIB):
                file.write(block)
                block = block[1:] + block[:1]
            file.write(block[: size % MIB])
        return path


def one(bench: Bench, nginx: Nginx) -> None:
    """One large file over plain HTTP; also its SHA-256 and the memory while it runs."""
    source = bench.make("big.bin", bench.size)
    url, target = nginx.url("/big.bin"), str(bench.out / "big.bin")
    ours = bench.peer("transfermon", *bench.get("-o", target, url))
    runs = compare(
        f"one file of {bench.size // MIB} MiB over HTTP to a tmpfs",
        [
            ours,
            bench.peer("curl", "curl", "-sS", "-o", target, url),
            bench.peer("wget", "wget", "-q", "-O", target, url),
            bench.peer(
                "aria2c", "aria2c", "-q", "-x1", "--file-allocation=none", "-d", str(bench.out), url
            ),
        ],
        rounds=bench.rounds,
        amount=bench.size / 1e6,
        unit="MB/s",
    )
    measure(ours)
    same = _digest(source) == _digest(Path(target))
    print(f"  SHA-256 of the file: {'right' if same else 'WRONG'}")
    growth = max(run.flat for run in runs["transfermon"])
    print(f"  memory grows by {growth / 1e6:.1f} MB at the most after the first quarter of a run")
    source.unlink()


def eight(bench: Bench, nginx: Nginx) -> None:
    """Eight files of an eighth of the size at the same time."""
    names = [f"part{number}.bin" for number in range(8)]
    for name in names:
        bench.make(name, bench.size // 8)
    urls = [nginx.url(f"/{name}") for name in names]
    outputs = [
        word
        for name, url in zip(names, urls, strict=True)
        for word in ("-o", str(bench.out / name), url)
    ]
    compare(
        f"8 files of {bench.size // 8 // MIB} MiB at once over HTTP to a tmpfs",
        [
            bench.peer("transfermon", *bench.get("-d", str(bench.out), *urls)),
            bench.peer(
                "curl --parallel", "curl", "-sS", "--parallel", "--parallel-immediate", *outputs
            ),
            bench.peer("aria2c", *_aria(bench, 8), stdin="\n".join(urls)),
        ],
        rounds=bench.rounds,
        amount=bench.size / 1e6,
        unit="MB/s",
    )
    for name in names:
        (bench.root / name).unlink()


def small(bench: Bench, nginx: Nginx) -> None:
    """Many small files, each with its rows, its journal and its events."""
    names = [f"small{number}.bin" for number in range(SMALL_FILES)]
    for name in names:
        bench.make(name, SMALL_SIZE)
    urls = [nginx.url(f"/{name}") for name in names]
    compare(
        f"{SMALL_FILES} files of {SMALL_SIZE // 1024} KiB over HTTP to a tmpfs, state on it too",
        [
            bench.peer("transfermon", *bench.get("-d", str(bench.out), *urls)),
            bench.peer("aria2c", *_aria(bench, 16), stdin="\n".join(urls)),
        ],
        rounds=bench.rounds,
        amount=SMALL_FILES,
        unit="files/s",
    )
    for name in names:
        (bench.root / name).unlink()


def tls(bench: Bench, nginx: Nginx) -> None:
    """One file of half the size over TLS, the authority of the benchmark being trusted by both."""
    source = bench.make("secure.bin", bench.size // 2)
    url, target = f"https://localhost:{nginx.tls_port}/secure.bin", str(bench.out / "secure.bin")
    os.environ["SSL_CERT_FILE"] = os.environ["CURL_CA_BUNDLE"] = str(bench.folder / "authority.pem")
    compare(
        f"one file of {bench.size // 2 // MIB} MiB over TLS to a tmpfs",
        [
            bench.peer("transfermon", *bench.get("-o", target, url)),
            bench.peer("curl", "curl", "-sS", "-o", target, url),
        ],
        rounds=bench.rounds,
        amount=bench.size / 2e6,
        unit="MB/s",
    )
    source.unlink()


def put(bench: Bench, nginx: Nginx) -> None:
    """One file of half the size to nginx (dav), which writes it to the tmpfs."""
    source = bench.make("upload.bin", bench.size // 2)
    url = nginx.url("/in/upload.bin")
    with running_app(bench.folder / "app") as state:
        compare(
            f"one file of {bench.size // 2 // MIB} MiB sent to nginx over HTTP",
            [
                Peer(
                    # from its acceptance to the server's answer: no start of a program in it
                    name="upload, in app",
                    command=transfermon(
                        "--state-dir", str(state), "put", "--json", str(source), url
                    ),
                    prepare=bench.fresh,
                    timed=_sending,
                ),
                bench.peer(
                    "put, app running",
                    *transfermon("--state-dir", str(state), "put", "-q", str(source), url),
                ),
                bench.peer(
                    "put on its own",
                    *transfermon("--state-dir", str(bench.state), "put", "-q", str(source), url),
                ),
                bench.peer("curl -T", "curl", "-sS", "-T", str(source), url),
            ],
            rounds=bench.rounds,
            amount=bench.size / 2e6,
            unit="MB/s",
        )
    same = _digest(source) == _digest(bench.root / "in" / "upload.bin")
    print(f"  SHA-256 of what nginx has: {'right' if same else 'WRONG'}")
    source.unlink()
    (bench.root / "in" / "upload.bin").unlink()


def _sending(output: str) -> float:
    """Seconds from the moment in which the engine had the task to its end, by the events."""
    events = [json.loads(line) for line in output.splitlines()]
    (begin,) = [event["time"] for event in events if event["type"] == "taskcreated"]
    return float(events[-1]["time"] - begin)


CASES: dict[str, Callable[[Bench, Nginx], None]] = {
    "one": one,
    "eight": eight,
    "small": small,
    "tls": tls,
    "put": put,
}


def _aria(bench: Bench, at_once: int) -> list[str]:
    return [
        "aria2c",
        "-q",
        "-x1",
        f"-j{at_once}",
        "--file-allocation=none",
        "-d",
        str(bench.out),
        "-i",
        "-",
    ]


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def running_app(state: Path) -> Iterator[Path]:
    """The app with its window, on no screen, for as long as the block lasts; its state
    directory.
    """
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
    app = subprocess.Popen(
        transfermon("--state-dir", str(state), "gui"), env=environment, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 30
        while not Client(str(state)).alive():
            if app.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the app does not start")
            time.sleep(0.05)
        yield state
    finally:
        app.terminate()
        app.wait(20)


@contextmanager
def _served(bench: Bench) -> Iterator[Nginx]:
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    authority.cert_pem.write_to_path(str(bench.folder / "authority.pem"))
    certificate.private_key_pem.write_to_path(str(bench.folder / "key.pem"))
    (bench.folder / "chain.pem").write_bytes(
        b"".join(pem.bytes() for pem in certificate.cert_chain_pems)
    )
    with running(
        bench.folder / "nginx",
        bench.root,
        server="location /in/ { dav_methods PUT; create_full_put_path on; client_max_body_size 0; }",
        log=False,
        certificate=(bench.folder / "chain.pem", bench.folder / "key.pem"),
    ) as nginx:
        yield nginx


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--size", type=int, default=2048, metavar="MIB", help="of the large file (2048)"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--case", action="append", choices=sorted(CASES), help="only this one (may be repeated)"
    )
    arguments = parser.parse_args(words)
    if PATH is None:
        print(WHY_NOT, file=sys.stderr)
        return 2
    base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="transfermon-bench.", dir=base) as folder:
        bench = Bench(Path(folder), arguments.size * MIB, arguments.rounds)
        with _served(bench) as nginx:
            for name in arguments.case or CASES:
                CASES[name](bench, nginx)
    return 0


if __name__ == "__main__":
    sys.exit(main())
