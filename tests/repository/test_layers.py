"""The folders are the layers: each imports those before it in this list, and nothing behind it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import transfermon

ROOT = Path(transfermon.__file__).parent
ORDER = [
    "model",
    "http",
    "text",
    "storage",
    "wire",
    "system",
    "engine",
    "urlsession",
    "cloud",
    "control",
    "videofarm",
    "host",
    "gui",
    "commands",
]
WINDOW = ["toolkit", "dialogs", "list", "panels", "videofarm", "window"]  # the folders of gui
PUBLIC = {
    "__init__",
    "__main__",
    "events",
    "errors",
    "configuration",
    "task",
}  # names for scripts: nothing of ours uses them
PURE = {"model", "http", "text"}
IMPURE = {
    "asyncio",
    "socket",
    "sqlite3",
    "subprocess",
    "httpx",
    "httpcore",
    "PySide6",
    "threading",
    "ssl",
}
ONLY_IN = {  # a foreign library has one door
    "PySide6": {"gui"},
    "qasync": {"gui"},
    "sqlite3": {"storage.database", "storage.tables", "storage.tasks_at_rest"},
    "httpx": {"wire.digest_answers", "wire.httpx_transport"},
    "httpcore": set(),
    "h11": {"wire.unusual_answer", "control.connection"},
    "socksio": {"wire.proxy_talks"},
    "publicsuffixlist": {"http.public_suffixes"},
    "desktop_notifier": {"system.notifier"},
    "dbus_fast": {"system.bus_line"},
    "starlette": {"videofarm"},
    "uvicorn": {"videofarm"},
    "platformdirs": {"storage.settings"},
    "idna": {"http.host_names"},
    "brotli": {"wire.codings"},
    "backports": {"wire.codings"},
    "compression": {"wire.codings"},
}


def imports_of(path: Path) -> Iterator[str]:
    """What a module imports, inside of functions too: `transfermon.model.task.Task`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield from (f"{node.module}.{name.name}" for name in node.names)


MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): tuple(
        imports_of(path)
    )
    for path in sorted(ROOT.rglob("*.py"))
}


def ours(imported: tuple[str, ...]) -> list[list[str]]:
    return [name.split(".")[1:] for name in imported if name.startswith("transfermon.")]


@pytest.mark.parametrize("name", sorted(MODULES.keys() - PUBLIC))
def test_a_folder_imports_only_those_before_it(name):
    here, *inner = name.split(".")
    for there, *rest in ours(MODULES[name]):
        if there == "__version__":
            continue
        assert ORDER.index(there) <= ORDER.index(here), f"{name} imports {there}.{'.'.join(rest)}"
        if here == there == "gui" and len(inner) > 1:
            assert WINDOW.index(rest[0]) <= WINDOW.index(inner[0]), (
                f"{name} imports {'.'.join(rest)}"
            )


@pytest.mark.parametrize("name", MODULES)
def test_each_foreign_library_has_one_door(name):
    for imported in MODULES[name]:
        top = imported.partition(".")[0]
        doors = ONLY_IN.get(top, {name})
        assert name in doors or name.partition(".")[0] in doors, f"{name} imports {top}"
        assert top not in IMPURE or name.partition(".")[0] not in PURE, (
            f"{name} is a rule and imports {top}"
        )


def test_the_window_goes_through_the_monitor():
    inner = {
        "store",
        "database",
        "tables",
        "part_file",
        "part_names",
        "session",
        "session_core",
        "task_run",
        "task_handles",
        "download",
        "upload",
        "shared",
    }
    for name, imported in MODULES.items():
        if name.startswith("gui."):
            found = [
                rest
                for rest in ours(imported)
                if rest[0] in ("wire", "commands") or inner & set(rest[1:2])
            ]
            assert not [rest for rest in found if rest[:2] != ["wire", "simulation"]], (
                f"{name} imports {found}"
            )


def test_there_is_no_circle():
    graph = {
        name: {
            other
            for parts in ours(imported)
            for other in (".".join(parts), ".".join(parts[:-1]))
            if other in MODULES and other not in (name, "__init__", "")
        }
        for name, imported in MODULES.items()
    }
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join((*trail, name))
        if name in done:
            return
        for other in graph[name]:
            visit(other, (*trail, name))
        done.add(name)

    for name in graph.keys() - {"__init__"}:
        visit(name, ())


@pytest.mark.parametrize(
    ("pattern", "allowed"),
    [
        ("verify=False", set()),
        ("follow_redirects=True", set()),
        ("shell=True", set()),
        ("import pickle", set()),
        ("os.fork(", set()),
        ("openUrl", {"gui.toolkit.files"}),
        (".exec(", {"gui.list.dragging"}),  # a drag has no other way, and starts in no coroutine
        ("processEvents", set()),
    ],
)
def test_calls_that_must_not_be_there(pattern, allowed):
    found = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in ROOT.rglob("*.py")
        if pattern in path.read_text(encoding="utf-8")
    }
    assert found <= allowed, f"{pattern} in {found - allowed}"
