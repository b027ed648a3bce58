"""How well one finds one's way in src: sizes, names and methods, against the limits of this house.

`make check` runs it. What stands in WAITING is larger than it should be and may only shrink; a
module that is longer than LINES says why in its docstring, behind the word "Length:".
"""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

SOURCE = Path(__file__).resolve().parent.parent / "src" / "transfermon"
LINES, CLASS_LINES, METHODS = 650, 400, 40
SINGLE_WORDS = 1 / 3  # of the names of public functions
WAITING: dict[str, int] = {}

Function = ast.FunctionDef | ast.AsyncFunctionDef


class Size(NamedTuple):
    what: str
    found: int
    limit: int


def modules() -> Iterator[tuple[str, str, ast.Module]]:
    """Path below `src/transfermon`, text and tree."""
    for path in sorted(SOURCE.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        yield path.relative_to(SOURCE).as_posix(), text, ast.parse(text)


def sizes(name: str, text: str, tree: ast.Module) -> Iterator[Size]:
    reason = "Length:" in (ast.get_docstring(tree) or "")
    yield Size(f"{name} lines", text.count("\n"), sys.maxsize if reason else LINES)
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            methods = sum(isinstance(item, Function) for item in node.body)
            yield Size(
                f"{name} {node.name} lines", (node.end_lineno or 0) - node.lineno + 1, CLASS_LINES
            )
            yield Size(f"{name} {node.name} methods", methods, METHODS)


def public(tree: ast.Module, kind: type[ast.AST] | tuple[type[ast.AST], ...]) -> list[str]:
    return [
        node.name
        for node in tree.body
        if isinstance(node, kind)
        and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
    ]


def main() -> int:
    wrong: list[str] = []
    functions: list[str] = []
    homes: dict[str, list[str]] = defaultdict(list)
    largest: dict[str, Size] = {}
    for name, text, tree in modules():
        functions += public(tree, (ast.FunctionDef, ast.AsyncFunctionDef))
        for known in public(tree, ast.ClassDef):
            homes[known].append(name)
        for size in sizes(name, text, tree):
            kind = f"{'class' if size.what.count(' ') > 1 else 'module'} {size.what.rpartition(' ')[2]}"
            if size.limit < sys.maxsize and size.found > largest.get(kind, size).found - 1:
                largest[kind] = size
            waiting = WAITING.get(size.what, 0)
            if size.found > max(size.limit, waiting):
                wrong.append(f"{size.what}: {size.found}, at most {max(size.limit, waiting)}")
            elif waiting and size.found <= size.limit:
                wrong.append(f"{size.what} waits no longer: take it out of WAITING")
    single = [name for name in functions if "_" not in name]
    if len(single) > len(functions) * SINGLE_WORDS:
        wrong.append(
            f"{len(single)} of {len(functions)} public functions are single words, at most one in three"
        )
    wrong += [
        f"{name} is the name of {len(where)} classes: {', '.join(where)}"
        for name, where in homes.items()
        if len(where) > 1
    ]
    for kind, size in sorted(largest.items()):
        print(f"{kind}: {size.found} at most ({size.what.rpartition(' ')[0]}; limit {size.limit})")
    print(
        f"public functions of one word: {len(single)} of {len(functions)}; classes: {len(homes)} names"
    )
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
