"""What the desktop reads about the app: the launcher, the store's description, the icons."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from configparser import RawConfigParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PySide6.QtGui import QImage

from transfermon.commands import main
from transfermon.gui import app
from transfermon.gui.launch import Asked

ROOT = Path(__file__).parents[2]
ASSETS = ROOT / "assets"
LAUNCHER = ASSETS / "transfermon.desktop"
METAINFO = ASSETS / "transfermon.metainfo.xml"
ICONS = ASSETS / "icons" / "hicolor"
SIZES = (16, 22, 24, 32, 48, 64, 128, 256)


def launcher() -> RawConfigParser:
    parser = RawConfigParser(delimiters=("=",), comment_prefixes=("#",), strict=True)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(LAUNCHER.read_text(encoding="utf-8"))
    return parser


def commands() -> dict[str, str]:
    found = launcher()
    return {section: found[section]["Exec"] for section in found.sections()}


def test_the_launcher_has_what_a_menu_needs():
    entry = launcher()["Desktop Entry"]
    assert entry["Type"] == "Application"
    assert entry["Icon"] == "transfermon"
    assert entry["Terminal"] == "false"
    for key in ("Name", "GenericName", "Comment", "Keywords"):
        assert entry[key].strip()
    assert "Network;FileTransfer;" in entry["Categories"]
    for key in ("Categories", "Keywords", "Actions"):
        assert entry[key].endswith(";")


def test_each_action_is_announced_and_has_its_group():
    found = launcher()
    announced = [name for name in found["Desktop Entry"]["Actions"].split(";") if name]
    groups = [section.removeprefix("Desktop Action ") for section in found.sections()[1:]]
    assert announced == groups
    assert all(found[f"Desktop Action {name}"]["Name"] for name in announced)


def test_the_window_is_found_by_its_launcher():
    """Qt's desktop file name, the launcher's file name and its window class agree."""
    life = (ROOT / "src/transfermon/gui/app_life.py").read_text(encoding="utf-8")
    assert f'setDesktopFileName("{LAUNCHER.stem}")' in life
    assert launcher()["Desktop Entry"]["StartupWMClass"] == LAUNCHER.stem


def test_it_becomes_no_web_browser():
    assert "MimeType" not in launcher()["Desktop Entry"]


def asked_for(monkeypatch: pytest.MonkeyPatch) -> list[Asked]:
    """Grows by what each start of the app is asked for."""
    seen: list[Asked] = []

    def run(*_: object, asked: Asked, **__: object) -> int:
        seen.append(asked)
        return 0

    monkeypatch.setattr(app, "run", run)
    return seen


@pytest.mark.parametrize("command", commands().values(), ids=commands())
def test_each_command_of_the_launcher_is_one_that_the_app_takes(command, monkeypatch):
    seen = asked_for(monkeypatch)
    words = [word for word in shlex.split(command) if not re.fullmatch("%[a-zA-Z]", word)]
    assert words[0] == "transfermon"
    assert main.main(words[1:]) == 0
    assert len(seen) == 1


def test_fault_l15_what_the_desktop_puts_in_is_never_an_option(monkeypatch):
    """`%U` stands alone behind `--`."""
    seen = asked_for(monkeypatch)
    given = ["--demo", "--state-dir=/tmp/elsewhere", "-h", "https://example.com/a", "--"]
    words = shlex.split(launcher()["Desktop Entry"]["Exec"])
    assert words[-2:] == ["--", "%U"]
    assert main.main([*words[1:-1], *given]) == 0
    assert seen == [Asked(urls=tuple(given))]


@pytest.mark.skipif(
    shutil.which("desktop-file-validate") is None, reason="desktop-file-validate is not installed"
)
def test_the_launcher_is_valid(tmp_path):
    """A validator of an older specification gets the launcher without what it cannot know."""
    text = LAUNCHER.read_text(encoding="utf-8")
    usage = subprocess.run(
        ["desktop-file-validate", "--help"], capture_output=True, text=True, check=True
    ).stdout
    known = re.search(r"specification (1\.\d)", usage)
    if known is not None and known[1] < "1.5":
        text = text.replace("Version=1.5", f"Version={known[1]}").replace(
            "SingleMainWindow=true\n", ""
        )
    copy = tmp_path / LAUNCHER.name
    copy.write_text(text, encoding="utf-8")
    done = subprocess.run(
        ["desktop-file-validate", copy], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_the_description_is_well_formed_and_names_what_is_there():
    root = ElementTree.parse(METAINFO).getroot()
    assert root.tag == "component"
    assert root.attrib["type"] == "desktop-application"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert root.findtext("launchable") == LAUNCHER.name
    assert root.findtext("icon") == launcher()["Desktop Entry"]["Icon"]
    assert root.findtext("project_license") == project["license"]
    assert root.findtext("name") == launcher()["Desktop Entry"]["Name"]
    assert root.findtext("provides/binary") in project["scripts"]
    summary = root.findtext("summary") or ""
    assert 0 < len(summary) <= 80
    assert not summary.endswith(".")
    menu = launcher()["Desktop Entry"]["Categories"]
    assert all(f"{category.text};" in menu for category in root.iterfind("categories/category"))


@pytest.mark.skipif(shutil.which("appstreamcli") is None, reason="appstreamcli is not installed")
def test_the_description_has_no_errors():
    command = ["appstreamcli", "validate", "--no-net", "--no-color", str(METAINFO)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert not re.search("^E:", done.stdout, re.MULTILINE), done.stdout


@pytest.mark.parametrize("size", SIZES)
def test_an_icon_has_the_size_of_its_folder_and_is_small(size):
    path = ICONS / f"{size}x{size}" / "apps" / "transfermon.png"
    image = QImage(str(path))
    assert (image.width(), image.height()) == (size, size)
    assert image.pixelColor(0, 0).alpha() == 0  # round corners
    assert image.pixelColor(size // 2, size // 2).alpha() == 255
    assert path.stat().st_size < 16_384


def test_the_icons_are_those_of_the_drawing(tmp_path):
    """tools/make_icons.py was run after the last change of the drawing."""
    script = str(ROOT / "tools" / "make_icons.py")
    subprocess.run([sys.executable, script, "--folder", str(tmp_path)], check=True, timeout=60)
    made = sorted(path.relative_to(tmp_path / "hicolor") for path in tmp_path.rglob("*.*"))
    assert made == sorted(path.relative_to(ICONS) for path in ICONS.rglob("*.*"))
    assert (ICONS / "scalable/apps/transfermon.svg").read_bytes() == (
        ASSETS / "transfermon.svg"
    ).read_bytes()
    for path in made:
        if path.suffix == ".png":
            assert close(QImage(str(tmp_path / "hicolor" / path)), QImage(str(ICONS / path))), path


def close(one: QImage, other: QImage) -> bool:
    """Edges may differ a little between versions of Qt."""
    size = one.width()
    apart = 0
    for y in range(0, size, max(1, size // 16)):
        for x in range(0, size, max(1, size // 16)):
            a, b = one.pixelColor(x, y), other.pixelColor(x, y)
            apart = max(
                apart, abs(a.red() - b.red()), abs(a.blue() - b.blue()), abs(a.alpha() - b.alpha())
            )
    return apart <= 24


def test_a_wheel_carries_them_to_where_the_desktop_looks():
    targets = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"][
        "build"
    ]["targets"]
    for source, place in targets["wheel"]["shared-data"].items():
        assert (ROOT / source).exists()
        assert place.startswith("share/")
