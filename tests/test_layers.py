"""The import table of docs/architecture.md, kept true: imports go downwards only."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import transfermon

ROOT = Path(transfermon.__file__).parent
RULES = {
    *(
        "advice",
        "record",
        "units",
        "upload_protocol",
        "errors",
        "task",
        "configuration",
        "events",
        "resume",
        "evidence",
        "questions",
        "parts",
        "retry",
        "filenames",
        "disposition",
        "endings",
        "naming",
        "payload",
        "jsontext",
        "ntfy",
        "pushmemory",
        "humanize",
        "notices",
        "gathering",
        "urls",
        "metrics",
        "waiting",
        "digests",
        "spreadsheet",
        "resumable",
        "probing",
        "receipts",
        "wakes",
        "tally",
        "challenges",
        "simulation",
        "words",
        "carried_headers",
        "cookies",
        "proxies",
        "request_options",
        "texts",
        "filesystem",
        "pace",
        "answers",
        "heads",
        "chunks",
        "labels",
        "hostnames",
    ),
}
DOORS = {
    "codings",
    "settings",
    "store",
    "vault",
    "blob",
    "partfile",
    "pump",
    "network",
    "transfer",
    "connectivity",
    "suffixes",
    "cookie_file",
    "dialing",
    "socks",
    "notifier",
    "clock",
    "autostart",
    "targets",
    "disks",
}
ENGINE = {
    "runners",
    "inhibitor",
    "sleep",
    "bus",
    "slots",
    "lock",
    "engine",
    "download",
    "upload",
    "sources",
    "exchanges",
    "session",
    "background",
    "alerts",
    "approvals",
    "pushchannel",
    "delivery",
    "monitor",
}
FRONT_ENDS = {
    "control",
    "control_api",
    "control_client",
    "cli",
    "getting",
    "request_arguments",
    "terminal",
    "cloud",
    "demo",
    "videofarm",
    "gui",
    "standby",
    "standby_wait",
    "scripting",
    "urlsession",
    "crash",
    "doctor",
    "__main__",
}
LEVELS = [RULES, DOORS, ENGINE, FRONT_ENDS]
FORBIDDEN_IN_RULES = {"asyncio", "socket", "sqlite3", "subprocess", "httpx", "httpcore", "PySide6", "threading", "ssl"}
ONLY_IN = {  # a foreign library has one door
    "PySide6": {"gui"},
    "qasync": {"gui"},
    "sqlite3": {"store"},
    "httpx": {"transfer"},
    "httpcore": {"transfer", "network", "dialing"},
    "socksio": {"socks"},
    "publicsuffixlist": {"suffixes"},
    "desktop_notifier": {"notifier"},
    "dbus_fast": {"inhibitor"},
    "starlette": {"videofarm"},
    "uvicorn": {"videofarm"},
    "platformdirs": {"settings"},
    "idna": {"hostnames"},
    "brotli": {"codings"},
    "backports": {"codings"},
    "compression": {"codings"},
}
GUI_MUST_NOT = {"store", "transfer", "network", "pump", "partfile", "session", "download", "engine", "cli"}
PANELS = {"sessions", "tasks", "details", "preview", "events", "background", "videofarm"}


def unit_of(module: str) -> str:
    """`transfermon.gui.tasks` belongs to the unit `gui`, `transfermon.session` to `session`."""
    return module.removeprefix("transfermon").strip(".").partition(".")[0] or "__init__"


def imports_of(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path} imports relatively"
            if node.module in ("transfermon", "transfermon.gui", "transfermon.videofarm"):
                found |= {f"{node.module}.{name.name}" for name in node.names}
            else:
                found.add(node.module)
    return found


def modules() -> list[tuple[str, Path]]:
    out = []
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        out.append((".".join(("transfermon", *parts)).removesuffix(".__init__"), path))
    return out


MODULES = modules()


@pytest.mark.parametrize(("name", "path"), MODULES, ids=[name for name, _ in MODULES])
def test_imports_go_downwards_only(name, path):
    unit = unit_of(name)
    if unit == "__init__":
        return  # the public names, brought when asked for
    level = next((index for index, units in enumerate(LEVELS) if unit in units), None)
    assert level is not None, f"{name} has no place in the table"
    for imported in imports_of(path):
        if not imported.startswith("transfermon."):
            continue
        other = unit_of(imported)
        if other in (unit, "__version__"):
            continue
        other_level = next((index for index, units in enumerate(LEVELS) if other in units), None)
        assert other_level is not None, f"{name} imports {imported}, which has no place in the table"
        assert other_level <= level, f"{name} imports upwards: {imported}"


@pytest.mark.parametrize(("name", "path"), MODULES, ids=[name for name, _ in MODULES])
def test_each_foreign_library_has_one_door(name, path):
    unit = unit_of(name)
    for imported in imports_of(path):
        top = imported.partition(".")[0]
        if top in ONLY_IN:
            assert unit in ONLY_IN[top], f"{name} imports {top}"
        if unit in RULES:
            assert top not in FORBIDDEN_IN_RULES, f"{name} is a rule and imports {top}"


def test_the_window_and_the_command_line_do_not_know_each_other():
    for name, path in MODULES:
        imported = {unit_of(module) for module in imports_of(path) if module.startswith("transfermon.")}
        if unit_of(name) == "gui":
            assert not imported & GUI_MUST_NOT, f"{name} imports {imported & GUI_MUST_NOT}"
        if name == "transfermon.cli":
            lazily = {"gui"}  # the command `gui` starts the window
            assert imported - lazily == imported or "transfermon.gui.app" in imports_of(path)


def test_panels_do_not_import_panels():
    for name, path in MODULES:
        parts = name.split(".")
        if parts[:2] == ["transfermon", "gui"] and parts[-1] in PANELS:
            others = {
                module.split(".")[2]
                for module in imports_of(path)
                if module.startswith("transfermon.gui.") and module.count(".") >= 2
            }
            assert not (others & PANELS) - {parts[-1]}, f"{name} imports another panel"


def test_there_is_no_circle():
    graph = {name: imports_of(path) for name, path in MODULES}
    names = set(graph)
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join((*trail, name))
        if name in done:
            return
        for other in graph[name] & names:
            if not (name == "transfermon" or other == "transfermon"):
                visit(other, (*trail, name))
        done.add(name)

    for name in names:
        visit(name, ())


@pytest.mark.parametrize(
    ("pattern", "allowed"),
    [
        ("verify=False", set()),
        ("follow_redirects=True", set()),
        ("shell=True", set()),
        ("import pickle", set()),
        ("os.fork(", set()),
        ("openUrl", {"transfermon.gui.opening"}),
        (".exec(", {"transfermon.gui.dragging"}),  # a drag has no other way, and starts in no coroutine
        ("processEvents", set()),
    ],
)
def test_calls_that_must_not_be_there(pattern, allowed):
    found = {name for name, path in MODULES if pattern in path.read_text(encoding="utf-8")}
    assert found <= allowed, f"{pattern} in {found - allowed}"
