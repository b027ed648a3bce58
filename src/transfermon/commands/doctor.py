"""What `transfermon doctor` finds out: whether an address will resume, and how this installation
stands.

Rule: nothing is changed by looking. No folder is made, no lock is taken, no part file is touched,
and an address is asked by the very rules that a download goes by (resume.py), so that the answer is
the one that a pause would get.
"""

from __future__ import annotations

import os
import platform
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from importlib import metadata
from typing import Any

from transfermon import __version__
from transfermon.control.client import LONGEST_PATH, SOCKET, Client, NoEngine
from transfermon.http import evidence, naming, resume, retry
from transfermon.http.evidence import ResumeVerdict
from transfermon.model import units
from transfermon.model.errors import TransferFailure, redacted
from transfermon.model.record import record
from transfermon.model.task import UNKNOWN, Response, Validators
from transfermon.storage.database import SQLITE_VERSION
from transfermon.storage.settings import Settings, download_folder, open_to_others
from transfermon.system.lock import owner
from transfermon.system.metered import metered_now
from transfermon.system.notifier import Notifier
from transfermon.wire.answer import Answer
from transfermon.wire.call import Call
from transfermon.wire.transport import Transport

Facts = list[tuple[str, str]]
YES, CARE, NO = "yes", "with care", "no"
_STORED = 2 * resume.OVERLAP  # bytes after which a download is imagined to have broken off
_TRAY = """
import sys
from PySide6.QtWidgets import QApplication
from transfermon.gui.window.tray import Tray
application = QApplication([])
sys.exit(Tray.available())
"""
_TRAY_SECONDS = 10.0
_DISTRIBUTIONS = ("PySide6-Essentials", "qasync", "httpx", "desktop-notifier")


@record
class Prognosis:
    """Whether a download that stops in the middle would go on there."""

    verdict: str  # YES, CARE or NO
    reason: str  # a sentence; "" for a plain YES
    url: str  # the last one of the redirects, redacted
    redirects: int
    response: Response
    validators: Validators

    def to_dict(self) -> dict[str, Any]:
        return {
            "resumes": self.verdict,
            "reason": self.reason,
            "url": self.url,
            "redirects": self.redirects,
            "status": self.response.status,
            "size": self.validators.total,
            "etag": self.validators.etag,
            "lastModified": self.validators.last_modified,
            "acceptRanges": self.validators.accept_ranges,
            "contentType": self.validators.content_type,
            "contentEncoding": self.validators.content_encoding or self.validators.label,
        }

    def facts(self) -> Facts:
        found = self.validators
        etag = (
            found.etag and f"{found.etag} ({'strong' if resume.is_strong(found.etag) else 'weak'})"
        )
        rows = [
            ("Resumes", self.verdict if not self.reason else f"{self.verdict}. {self.reason}"),
            ("Address", self.url),
            ("Redirects", str(self.redirects) if self.redirects else ""),
            ("Status", str(self.response.status)),
            ("Size", units.size(found.total) if found.total != UNKNOWN else "not said"),
            ("Type", found.content_type),
            ("Entity tag", etag or "none"),
            ("Changed", found.last_modified or "not said"),
            ("Ranges", found.accept_ranges or "not said"),
            ("Coding", found.content_encoding or found.label),
        ]
        return [(name, value) for name, value in rows if value]


async def examine_address(url: str, headers: Mapping[str, str]) -> Prognosis:
    """Ask for the file, then for its rest as after a pause, and read no more of a body than tells
    whether it is coded. Raises TransferFailure for an address that does not answer or answers with
    an error.
    """
    transport = Transport()
    try:
        answer = await _open(transport, url, headers, {})
        try:
            first, where, redirects = answer.response, answer.response.url, len(answer.redirects)
            error = retry.judge_download(first, "status", now=time.time(), url=where)
            if error is not None:
                raise TransferFailure(error)
            label = await answer.judged(naming.suggested(first, where))
        finally:
            await answer.aclose()
        validators = resume.validators_of(first, decoded=bool(label.undo), now=time.time())
        verdict, reason = NO, resume.why_not_resumable(validators, "GET", resume.CAREFUL)
        if not reason:
            verdict, reason = await _rest(transport, where, headers, validators)
        return Prognosis(
            verdict=verdict,
            reason=reason,
            url=redacted(where),
            redirects=redirects,
            response=first,
            validators=validators,
        )
    finally:
        await transport.aclose()


async def _rest(
    transport: Transport, url: str, headers: Mapping[str, str], validators: Validators
) -> tuple[str, str]:
    """The verdict on the answer to a question for the rest, as a download that broke off asks
    it.
    """
    stored = min(_STORED, validators.total - 1) if validators.total != UNKNOWN else _STORED
    asked = resume.ask(stored, validators, resume.CAREFUL, places=1)
    if not asked.headers:
        return (NO, "It is so small that it comes in one piece.")
    answer = await _open(transport, url, headers, asked.headers)
    await answer.aclose()
    judged = evidence.judge(asked, stored, validators, answer.response, resume.CAREFUL)
    if judged.verdict is ResumeVerdict.COMPARE:
        weakness = resume.weakness(validators, resume.CAREFUL)
        return (CARE, weakness) if weakness else (YES, "")
    if judged.verdict is ResumeVerdict.STATUS:
        return (NO, f"Asked for the rest, the server answers {answer.response.status}.")
    return (NO, judged.reason or evidence.IGNORES_RANGES)


async def _open(
    transport: Transport, url: str, headers: Mapping[str, str], more: Mapping[str, str]
) -> Answer:
    sensitive = frozenset(name.lower() for name in headers)
    return await transport.open(Call(url=url, headers={**headers, **more}, sensitive=sensitive))


# ---- this installation


async def examine_installation(state_dir: str) -> dict[str, str]:
    """What stands where, in words, for a report of a fault. No secret and no address of a transfer
    is in it.
    """
    settings, damage = _settings(os.path.join(state_dir, "settings.json"))
    folder = settings.download_folder or download_folder()
    pid = owner(state_dir)
    return {
        "transfermon": __version__,
        "Python": f"{platform.python_version()} ({sys.executable})",
        "SQLite": SQLITE_VERSION,
        **{name: _version(name) for name in _DISTRIBUTIONS},
        "System": f"{platform.system()} {platform.release()} {platform.machine()}",
        "State folder": _folder(state_dir),
        "Settings": damage or "read",
        "Database": _size(os.path.join(state_dir, "transfermon.db")),
        "Engine": _engine(state_dir, pid),
        "Control socket": _socket(state_dir),
        "Download folder": f"{folder}, {_free(folder)} free",
        "Open files": _limit(resource.RLIMIT_NOFILE),
        "Transfers at once": f"{settings.running_tasks}, {settings.connections_per_host or 'as many as help'} to one host",
        "Speed limit": units.rate(settings.speed_limit) if settings.speed_limit else "none",
        "Background modes": ", ".join(settings.background_modes) or "none",
        "Background fetch": _interval(settings),
        "Push channel": "on" if settings.push_enabled else "off",
        "Network": (await metered_now()).in_words,
        "Display": _display(),
        "Tray": _tray(),
        "Notifications": "a service answers"
        if await Notifier().probe()
        else "no service: shown in the window",
    }


def _settings(path: str) -> tuple[Settings, str]:
    """Those on disk; the defaults and what is wrong where they cannot be read."""
    try:
        settings = Settings.look(path)
        return settings, " ".join(settings.faults)
    except (ValueError, OSError) as exc:
        return Settings(), f"{path} cannot be read: {exc}; the defaults are used"


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "missing"


def _folder(path: str) -> str:
    if not os.path.isdir(path):
        return f"{path} (not made yet)"
    mode = os.stat(path).st_mode & 0o777
    return f"{path} (mode {mode:04o}, {_free(path)} free). {open_to_others(path)}".removesuffix(
        ". "
    )


def _free(path: str) -> str:
    there = path
    while not os.path.isdir(there) and os.path.dirname(there) != there:
        there = os.path.dirname(there)
    return units.size(shutil.disk_usage(there).free)


def _size(path: str) -> str:
    try:
        return units.size(os.path.getsize(path))
    except OSError:
        return "none yet"


def _engine(state_dir: str, pid: int) -> str:
    try:
        status, body = Client(state_dir, timeout=3.0).request("GET", "/v1/status")
    except NoEngine as exc:
        return f"process {pid} holds the lock. {exc.title}" if pid and _lives(pid) else "none runs"
    if status != 200:
        return f"process {pid} answers {status}"
    return f"process {body['pid']}, {body['version']}, {body['running']} running, app in the {body['appState']}"


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False  # it was killed; its number stands in the lock file until the next owner
    except PermissionError:
        return True
    return True


def _socket(state_dir: str) -> str:
    """The path; where it is too long for a socket's address, how curl reaches it all the same."""
    path = os.path.join(state_dir, SOCKET)
    if len(os.fsencode(path)) <= LONGEST_PATH:
        return path
    return f"{path} (too long for curl: cd there and say --unix-socket {SOCKET})"


def _limit(which: int) -> str:
    soft, hard = resource.getrlimit(which)
    return f"{soft} of {'any number' if hard == resource.RLIM_INFINITY else hard}"


def _interval(settings: Settings) -> str:
    return (
        f"every {units.duration(settings.fetch_interval)}"
        if settings.fetch_interval >= 0
        else "never by itself"
    )


def _display() -> str:
    from transfermon.gui.app import display_problem, plugin_problem

    return (
        display_problem(os.environ, sys.platform)
        or plugin_problem(os.environ, sys.platform)
        or "usable"
    )


def _tray() -> str:
    """Asked in a process of its own: Qt ends the one that cannot reach its display."""
    if _display() != "usable":
        return "unknown without a display"
    try:
        done = subprocess.run(
            [sys.executable, "-c", _TRAY],
            capture_output=True,
            timeout=_TRAY_SECONDS,
            check=False,
            cwd="/",
        )
    except (OSError, subprocess.TimeoutExpired):
        return "unknown: Qt does not answer"
    return {0: "none: closing the window minimises it", 1: "there"}.get(
        done.returncode, "unknown: Qt cannot start"
    )
