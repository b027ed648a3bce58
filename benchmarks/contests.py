"""The contests of the table: what is transferred, over which line, by whom, and what is claimed.

Everything is on a tmpfs where there is one, so that the programs are compared and not the disk. The
floors and goals are the project's own; a floor that is missed is a defect.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import trustme

from benchmarks import relay, tunnel
from benchmarks.builds import Build
from benchmarks.contest import BEFORE, THIS, Claim, Contest
from benchmarks.peers import Peer
from benchmarks.window_small import files_in_window
from tests.helpers.nginx import Nginx, running

MIB = 1 << 20
SMALL_FILES, FEW_FILES, SMALL_SIZE = 2000, 300, 16 * 1024
AT_ONCE = 16
TRIP, MEGABITS, LOSS = 50, 200, 0.001  # milliseconds there and back; of the lines that are made


class Place:
    """A folder for everything, the server's root in it, and the builds that are compared."""

    def __init__(self, folder: Path, builds: Mapping[str, Build], nginx: Nginx) -> None:
        self.folder, self.builds, self.nginx = folder, builds, nginx
        self.root, self.out, self.state = folder / "root", folder / "out", folder / "state"
        self.certificates = str(folder / "authority.pem")

    # ---- what is there

    def make(self, name: str, size: int) -> Path:
        """A file of the server; made once, removed by `clear`."""
        path = self.root / name
        block = os.urandom(min(size, MIB))
        with open(path, "wb") as file:
            for _ in range(size // len(block)):
                file.write(block)
                block = block[1:] + block[:1]
        return path

    def clear(self) -> None:
        for folder in (self.root, self.out, self.state):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()

    def fresh(self, *, at_once: int = 0) -> None:
        """No output and no memory of earlier runs; `at_once` to a host and in all, 0: no setting."""
        for path in (self.out, self.state):
            shutil.rmtree(path, ignore_errors=True)
            path.mkdir()
        if at_once:
            settings = {"running_tasks": at_once, "connections_per_host": at_once}
            (self.state / "settings.json").write_text(json.dumps(settings), encoding="utf-8")

    # ---- who runs

    def builds_with(
        self,
        *words: str,
        check: Callable[[], None] | None = None,
        prepare: Callable[[], None] | None = None,
    ) -> list[Peer]:
        """Each build with the same words."""
        return [
            self.build(name, *words, check=check, prepare=prepare, build=name)
            for name in (THIS, BEFORE)
            if name in self.builds
        ]

    def build(
        self,
        name: str,
        *words: str,
        check: Callable[[], None] | None = None,
        prepare: Callable[[], None] | None = None,
        build: str = THIS,
    ) -> Peer:
        chosen = self.builds[build]
        return Peer(
            name=name,
            command=chosen.command(self.state, *words),
            prepare=prepare or self.fresh,
            environment={**chosen.environment, "SSL_CERT_FILE": self.certificates},
            check=check,
        )

    def other(
        self, name: str, *command: str, stdin: str = "", check: Callable[[], None] | None = None
    ) -> Peer:
        return Peer(
            name=name,
            command=command,
            prepare=self.fresh,
            stdin=stdin,
            environment={**os.environ, "CURL_CA_BUNDLE": self.certificates},
            check=check,
        )

    def aria(self, name: str, *words: str, urls: list[str], check: Callable[[], None]) -> Peer:
        folder = ["--file-allocation=none", "-d", str(self.out), "-i", "-"]
        command = ["aria2c", "-q", *words, *folder]
        return self.other(name, *command, stdin="\n".join(urls), check=check)

    def curl_many(
        self, name: str, at_once: int, urls: list[str], check: Callable[[], None]
    ) -> Peer:
        lines = [f'url="{url}"\noutput="{self.out}/{url.rpartition("/")[2]}"' for url in urls]
        command = ["curl", "-sS", "--parallel", "--parallel-immediate"]
        command += ["--parallel-max", str(at_once), "-K", "-"]
        return self.other(name, *command, stdin="\n".join(lines), check=check)

    def arrived(self, sizes: Mapping[str, int]) -> Callable[[], None]:
        """A check that these files, and no others, are there in full length."""

        def check() -> None:
            found = {path.name: path.stat().st_size for path in self.out.iterdir()}
            if found != dict(sizes):
                raise RuntimeError(f"{len(found)} files, not the {len(sizes)} that were asked for")

        return check


# ---- many small files


def small(place: Place) -> Iterator[Contest]:
    names = [f"small{number}.bin" for number in range(SMALL_FILES)]
    for name in names:
        place.make(name, SMALL_SIZE)
    urls = [place.nginx.url(f"/{name}") for name in names]
    whole = place.arrived(dict.fromkeys(names, SMALL_SIZE))
    words = ["get", "-q", "-d", str(place.out), *urls]
    yield Contest(
        name="small",
        words=f"{SMALL_FILES:,} files of 16 KiB, {AT_ONCE} at once",
        peers=[
            *place.builds_with(*words, check=whole, prepare=lambda: place.fresh(at_once=AT_ONCE)),
            place.aria("aria2c -j16", f"-j{AT_ONCE}", "-x1", urls=urls, check=whole),
            place.curl_many("curl, 16 at once", AT_ONCE, urls, whole),
        ],
        claims=[
            Claim(
                words="time against aria2c -j16",
                figure="seconds",
                against="aria2c -j16",
                quicker=True,
                floor=0.2,
                goal=0.3,
                stretch=0.5,
            ),
            Claim(
                words="CPU per file against the build before",
                figure="cpu",
                against=BEFORE,
                floor=0.35,
                goal=0.2,
                stretch=0.15,
            ),
            Claim(words="peak memory, MB", figure="peak", floor=70, goal=55),
        ],
    )


def small_in_window(place: Place) -> Iterator[Contest]:
    names = [f"small{number}.bin" for number in range(SMALL_FILES)]
    for name in names:
        place.make(name, SMALL_SIZE)
    with files_in_window(place.folder / "window", place.nginx, names) as figures:
        yield Contest(
            name="small_in_window",
            words=f"{SMALL_FILES:,} files of 16 KiB in the app, its window shown, 50 live rows",
            peers=[
                Peer(name=name, command=[build.python], prepare=lambda: None)
                for name, build in place.builds.items()
            ],
            figures=lambda peer: figures(place.builds[peer.name]),
            claims=[
                Claim(
                    words="time against the build before",
                    figure="seconds",
                    against=BEFORE,
                    quicker=True,
                    floor=4,
                    goal=6,
                ),
                Claim(
                    words="lateness of an 8 ms timer, p99, against the build before",
                    figure="late_p99",
                    against=BEFORE,
                    floor=1.0,
                ),
                Claim(words="the same, ms", figure="late_p99", goal=8),
            ],
        )


def small_far(place: Place) -> Iterator[Contest]:
    names = [f"small{number}.bin" for number in range(FEW_FILES)]
    for name in names:
        place.make(name, SMALL_SIZE)
    whole = place.arrived(dict.fromkeys(names, SMALL_SIZE))
    with relay.delayed(place.nginx.tls_port, TRIP) as port:
        urls = [f"https://localhost:{port}/{name}" for name in names]
        yield Contest(
            name="small_far",
            words=f"{FEW_FILES} files of 16 KiB, TLS, {TRIP} ms there and back, no options",
            peers=[
                *place.builds_with("get", "-q", "-d", str(place.out), *urls, check=whole),
                place.curl_many("curl, 16 at once", AT_ONCE, urls, whole),
                place.curl_many("curl, 6 at once", 6, urls, whole),
            ],
            claims=[
                Claim(
                    words="time against curl with 16 connections",
                    figure="seconds",
                    against="curl, 16 at once",
                    quicker=True,
                    floor=0.5,
                    goal=0.75,
                    stretch=1.0,
                )
            ],
        )


# ---- several connections for one file


def _throttled(place: Place, mebibytes: int, floor: float, goal: float) -> Iterator[Contest]:
    size = mebibytes * MIB
    place.make("big.bin", size)
    url, target = place.nginx.url("/slow/big.bin"), str(place.out / "big.bin")
    whole = place.arrived({"big.bin": size})
    yield Contest(
        name=f"throttled_{mebibytes}",
        words=f"{mebibytes} MiB from a server that gives each connection 4 MB/s",
        peers=[
            *place.builds_with("get", "-q", "-o", target, url, check=whole),
            place.build(
                "--connections 8", "get", "-q", "--connections", "8", "-o", target, url, check=whole
            ),
            place.aria("aria2c -x4 -s4", "-x4", "-s4", "-k1M", urls=[url], check=whole),
            place.aria("aria2c -x8 -s8", "-x8", "-s8", "-k1M", urls=[url], check=whole),
        ],
        claims=[
            Claim(
                words="time, without options, against aria2c -x4 -s4",
                figure="seconds",
                against="aria2c -x4 -s4",
                quicker=True,
                floor=floor,
                goal=goal,
            ),
            Claim(
                words="time with --connections 8 against aria2c -x8 -s8",
                figure="seconds",
                of="--connections 8",
                against="aria2c -x8 -s8",
                quicker=True,
                stretch=1.0,
            ),
        ],
        slow=frozenset({BEFORE}),
    )


def throttled_256(place: Place) -> Iterator[Contest]:
    yield from _throttled(place, 256, 0.7, 0.9)


def throttled_64(place: Place) -> Iterator[Contest]:
    yield from _throttled(place, 64, 0.6, 0.8)


def _not_slower(of: str = THIS) -> Claim:
    return Claim(
        words="time, without options, against one connection",
        figure="seconds",
        against="--connections 1",
        floor=1.05,
        goal=1.02,
        of=of,
    )


def unthrottled(place: Place) -> Iterator[Contest]:
    size = 256 * MIB
    place.make("big.bin", size)
    url, target = place.nginx.url("/big.bin"), str(place.out / "big.bin")
    whole = place.arrived({"big.bin": size})
    yield Contest(
        name="unthrottled",
        words="256 MiB from the same server without the limit",
        peers=[
            *place.builds_with("get", "-q", "-o", target, url, check=whole),
            place.build(
                "--connections 1", "get", "-q", "--connections", "1", "-o", target, url, check=whole
            ),
        ],
        claims=[_not_slower()],
    )


def _over_line(place: Place, loss: float) -> Iterator[Contest]:
    size = 64 * MIB
    place.make("big.bin", size)
    target, whole = str(place.out / "big.bin"), place.arrived({"big.bin": size})
    line = f"{MEGABITS} Mbit/s, {TRIP} ms, {loss:.1%} loss, cubic"
    with tunnel.lossy(place.folder / "line", place.root, TRIP, MEGABITS, loss) as address:
        url = f"{address}/big.bin"
        get = ["get", "-q", "-o", target, url]
        eight = place.build("--connections 8", *get, "--connections", "8", check=whole)
        claims = [
            Claim(
                words="time with --connections 8 against aria2c -x8 -s8",
                figure="seconds",
                of="--connections 8",
                against="aria2c -x8 -s8",
                quicker=True,
                floor=0.7,
                goal=0.85,
                stretch=1.0,
            )
        ]
        aria = place.aria("aria2c -x8 -s8", "-x8", "-s8", "-k1M", urls=[url], check=whole)
        one = place.build("--connections 1", *get, "--connections", "1", check=whole)
        yield Contest(
            name="lossy" if loss else "lossless",
            words=f"64 MiB over {line}",
            peers=[*place.builds_with(*get, check=whole), *((eight, aria) if loss else (one,))],
            claims=claims if loss else [_not_slower()],
            slow=frozenset({BEFORE}) if loss else frozenset(),
        )


def lossy(place: Place) -> Iterator[Contest]:
    yield from _over_line(place, LOSS)


def lossless(place: Place) -> Iterator[Contest]:
    yield from _over_line(place, 0.0)


# ---- the start


def one_small(place: Place) -> Iterator[Contest]:
    place.make("small.bin", SMALL_SIZE)
    url, target = place.nginx.url("/small.bin"), str(place.out / "small.bin")
    whole = place.arrived({"small.bin": SMALL_SIZE})
    yield Contest(
        name="one_small",
        words="one file of 16 KiB",
        peers=[
            *place.builds_with("get", "-q", "-o", target, url, check=whole),
            place.aria("aria2c", "-x1", urls=[url], check=whole),
            place.other("curl", "curl", "-sS", "-o", target, url, check=whole),
        ],
        claims=[
            Claim(
                words="time against the build before",
                figure="seconds",
                against=BEFORE,
                floor=0.75,
                goal=0.55,
                stretch=0.4,
            )
        ],
    )


def listing(place: Place) -> Iterator[Contest]:
    place.make("small.bin", SMALL_SIZE)
    url = place.nginx.url("/small.bin")
    peers = []
    for name, build in place.builds.items():
        state = place.folder / f"state-{name}"
        filled = build.command(state, "get", "-q", "-o", str(place.out / f"{name}.bin"), url)
        peers.append(
            Peer(
                name=name,
                command=build.command(state, "list"),
                prepare=_once(filled, build.environment),
                environment=build.environment,
            )
        )
    yield Contest(
        name="list",
        words="`list` with no engine running",
        peers=peers,
        claims=[
            Claim(
                words="time against the build before",
                figure="seconds",
                against=BEFORE,
                floor=0.75,
                goal=0.4,
            )
        ],
    )


def _once(command: list[str], environment: Mapping[str, str]) -> Callable[[], None]:
    done: list[bool] = []

    def run() -> None:
        if not done:
            subprocess.run(command, env=dict(environment), check=True)
            done.append(True)

    return run


# ---- large files


def large(place: Place) -> Iterator[Contest]:
    size = 1024 * MIB
    place.make("big.bin", size)
    url, target = place.nginx.url("/big.bin"), str(place.out / "big.bin")
    whole = place.arrived({"big.bin": size})
    yield Contest(
        name="large",
        words="1 GiB over HTTP",
        peers=[
            *place.builds_with("get", "-q", "-o", target, url, check=whole),
            place.other("curl", "curl", "-sS", "-o", target, url, check=whole),
            place.other("wget", "wget", "-q", "-O", target, url, check=whole),
            place.aria("aria2c", "-x1", urls=[url], check=whole),
        ],
        claims=[
            Claim(
                words="time against curl",
                figure="seconds",
                against="curl",
                quicker=True,
                floor=1.2,
                goal=1.6,
                stretch=2.0,
                busy=(0.9, 1.0),
            )
        ],
    )


def large_tls(place: Place) -> Iterator[Contest]:
    size = 1024 * MIB
    place.make("big.bin", size)
    url, target = f"https://localhost:{place.nginx.tls_port}/big.bin", str(place.out / "big.bin")
    whole = place.arrived({"big.bin": size})
    yield Contest(
        name="large_tls",
        words="1 GiB over TLS",
        peers=[
            *place.builds_with("get", "-q", "-o", target, url, check=whole),
            place.other("curl", "curl", "-sS", "-o", target, url, check=whole),
        ],
        claims=[
            Claim(
                words="time against curl",
                figure="seconds",
                against="curl",
                quicker=True,
                floor=0.9,
                goal=1.0,
            )
        ],
    )


def eight(place: Place) -> Iterator[Contest]:
    size, names = 128 * MIB, [f"part{number}.bin" for number in range(8)]
    for name in names:
        place.make(name, size)
    urls = [place.nginx.url(f"/{name}") for name in names]
    whole = place.arrived(dict.fromkeys(names, size))
    yield Contest(
        name="eight",
        words="8 files of 128 MiB at once over HTTP",
        peers=[
            *place.builds_with("get", "-q", "-d", str(place.out), *urls, check=whole),
            place.curl_many("curl --parallel", 8, urls, whole),
            place.aria("aria2c -j8", "-j8", "-x1", urls=urls, check=whole),
        ],
        claims=[
            Claim(
                words="time against curl --parallel",
                figure="seconds",
                against="curl --parallel",
                quicker=True,
                floor=1.2,
                goal=1.5,
            ),
            Claim(words="peak memory, MB", figure="peak", floor=45, goal=41),
        ],
    )


def put(place: Place) -> Iterator[Contest]:
    size = 1024 * MIB
    source = place.make("upload.bin", size)
    received = place.root / "in" / "upload.bin"
    url = place.nginx.url("/in/upload.bin")

    def whole() -> None:
        if received.stat().st_size != size:
            raise RuntimeError("the server has not all of it")

    def prepare() -> None:
        place.fresh()
        received.unlink(missing_ok=True)

    yield Contest(
        name="put",
        words="PUT of 1 GiB to nginx",
        peers=[
            *place.builds_with("put", "-q", str(source), url, check=whole, prepare=prepare),
            Peer(
                name="curl -T",
                command=["curl", "-sS", "-T", str(source), url],
                prepare=prepare,
                check=whole,
            ),
        ],
        claims=[
            Claim(
                words="time against curl -T",
                figure="seconds",
                against="curl -T",
                quicker=True,
                floor=1.0,
                goal=1.3,
            )
        ],
    )


CONTESTS: dict[str, Callable[[Place], Iterator[Contest]]] = {
    "small": small,
    "small_in_window": small_in_window,
    "small_far": small_far,
    "throttled_256": throttled_256,
    "throttled_64": throttled_64,
    "lossy": lossy,
    "unthrottled": unthrottled,
    "lossless": lossless,
    "one_small": one_small,
    "list": listing,
    "large": large,
    "large_tls": large_tls,
    "eight": eight,
    "put": put,
}
LINES = {"lossy", "lossless"}  # need what `tunnel.why_not` says


@contextlib.contextmanager
def place_in(folder: Path, builds: Mapping[str, Build]) -> Iterator[Place]:
    """With a server that speaks HTTP and TLS, takes uploads below /in/ and is slow below /slow/."""
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    authority.cert_pem.write_to_path(str(folder / "authority.pem"))
    certificate.private_key_pem.write_to_path(str(folder / "key.pem"))
    (folder / "chain.pem").write_bytes(b"".join(pem.bytes() for pem in certificate.cert_chain_pems))
    root = folder / "root"
    root.mkdir()
    with running(
        folder / "nginx",
        root,
        server=(
            "location /in/ { dav_methods PUT; create_full_put_path on; client_max_body_size 0; } "
            f"location /slow/ {{ alias {root}/; limit_rate 4m; }}"
        ),
        log=False,
        certificate=(folder / "chain.pem", folder / "key.pem"),
    ) as nginx:
        place = Place(folder, builds, nginx)
        place.clear()
        yield place
