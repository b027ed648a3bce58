"""Uploads to a tus server that nobody here wrote: @tus/server of Node, with the engine killed in
the middle.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.sessions import engine_process
from tests.promises.rules.conftest import OpenMonitor

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.timeout(400)]
SIZE = 200_000_000
KILLS = 5
MB = 1_000_000

_SERVER = """
const {Server} = require('@tus/server')
const {FileStore} = require('@tus/file-store')
const http = require('http')
const store = new FileStore({directory: process.argv[2]})
const tus = new Server({path: '/files', datastore: store})
const sockets = []  // bytesRead is what came, read by the server or not
const server = http.createServer((request, response) => {
  if (request.url === '/received') {
    response.end(String(sockets.reduce((sum, socket) => sum + socket.bytesRead, 0)))
  } else {
    tus.handle(request, response)
  }
})
server.on('connection', socket => sockets.push(socket))
server.listen(0, '127.0.0.1', () => console.log(server.address().port))
"""


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the packages; a skip where they cannot be had."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("Node is not installed")
    folder = tmp_path_factory.mktemp("node")
    (folder / "package.json").write_text('{"private": true}')
    command = [
        "npm",
        "install",
        "--no-audit",
        "--no-fund",
        "--silent",
        "@tus/server@2",
        "@tus/file-store@2",
    ]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=300
    )
    if done.returncode:
        pytest.skip(f"@tus/server cannot be installed here: {done.stderr.strip()[:200]}")
    return folder


@pytest.fixture
def url(modules: Path, tmp_path: Path) -> Iterator[str]:
    (modules / "server.cjs").write_text(_SERVER)
    (tmp_path / "store").mkdir()
    server = subprocess.Popen(
        ["node", str(modules / "server.cjs"), str(tmp_path / "store")],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    yield f"http://127.0.0.1:{server.stdout.readline().strip()}"
    server.terminate()
    server.wait()
    server.stdout.close()


async def test_an_upload_survives_five_kills_and_sends_little_twice(
    url: str, open_monitor: OpenMonitor, tmp_path: Path
):
    content = os.urandom(SIZE)
    (tmp_path / "film").write_bytes(content)
    first = f"task = session.upload_task({url + '/files'!r}, {str(tmp_path / 'film')!r}, protocol='tus')"
    for number in range(KILLS):
        goal = SIZE * (number + 1) // (KILLS + 2)
        script = f"""
tasks = session.tasks.records()
{first if number == 0 else "task = session.task(tasks[0].number)"}
while task.count_of_bytes_sent < {goal}:
    await asyncio.sleep(0.002)
print("there", flush=True)
await asyncio.Event().wait()
"""
        with engine_process(tmp_path, script) as process:
            assert process.stdout is not None
            assert await asyncio.to_thread(process.stdout.readline) == "there\n"
            process.kill()
            process.wait()
    async with open_monitor() as monitor:
        (record,) = monitor.tasks()
        record = await monitor.handle(record.key).wait()
        assert record.succeeded, record.error
        received = int(await monitor.read(f"{url}/received"))
    stored = [path for path in (tmp_path / "store").iterdir() if path.suffix != ".json"]
    assert [hashlib.sha256(path.read_bytes()).digest() for path in stored] == [
        hashlib.sha256(content).digest()
    ]
    assert received - SIZE <= KILLS * 8 * MB, f"{received - SIZE} bytes were sent twice"
