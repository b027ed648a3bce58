from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from PySide6.QtCore import QSize
from PySide6.QtGui import QColor, QFont, QFontInfo, QIcon, QPalette

from transfermon.gui.list.columns import KINDS
from transfermon.gui.list.scope import LOOKS
from transfermon.gui.toolkit import style_sheet, theme
from transfermon.gui.toolkit.style_sheet import DARK, LIGHT
from transfermon.gui.window.commands import COMMANDS

GUI = Path(theme.__file__).parents[1]
TEXTS = ("text", "muted", "accent", "good", "bad", "warn", "violet")


@pytest.fixture(autouse=True)
def _light_again(qapp):
    theme.apply(qapp, "light")
    yield
    theme.apply(qapp, "light")


def luminance(name: str) -> float:
    color = QColor(name)
    parts = [_linear(value) for value in (color.redF(), color.greenF(), color.blueF())]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def _linear(value: float) -> float:
    return value / 12.92 if value <= 0.04045 else float(((value + 0.055) / 1.055) ** 2.4)


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_the_measure_of_contrast_is_that_of_wcag():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("colors", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("role", TEXTS)
def test_every_text_can_be_read_on_every_ground(colors, role):
    text = getattr(colors, role)
    grounds = [colors.window, colors.base, colors.alternate, colors.button, colors.tip]
    grounds += [
        style_sheet.mixed(colors.accent, ground, colors.tint)
        for ground in (colors.base, colors.alternate, colors.window)
    ]
    grounds += [
        style_sheet.mixed(colors.text, ground, colors.hover)
        for ground in (colors.base, colors.alternate)
    ]
    assert min(contrast(text, ground) for ground in grounds) >= 4.5


@pytest.mark.parametrize("colors", [LIGHT, DARK], ids=["light", "dark"])
def test_the_primary_button_can_be_read(colors):
    assert contrast(colors.on_accent, colors.primary) >= 4.5


@pytest.mark.parametrize("colors", [LIGHT, DARK], ids=["light", "dark"])
def test_bars_stand_out_from_the_row(colors):
    for name in ("bar", "bar_good", "bar_bad"):
        assert contrast(getattr(colors, name), colors.base) >= 3


@pytest.mark.parametrize("colors", [LIGHT, DARK], ids=["light", "dark"])
def test_the_tint_of_a_selection_is_between_14_and_22_percent(colors):
    assert 0.14 <= colors.tint <= 0.22


@pytest.mark.parametrize("colors", [LIGHT, DARK], ids=["light", "dark"])
def test_the_palette_is_complete_in_all_three_groups(colors):
    palette = style_sheet.palette(colors)
    left_out = {QPalette.ColorRole.NoRole, QPalette.ColorRole.NColorRoles}
    for group in (
        QPalette.ColorGroup.Active,
        QPalette.ColorGroup.Inactive,
        QPalette.ColorGroup.Disabled,
    ):
        missing = [
            role.name
            for role in QPalette.ColorRole
            if role not in left_out and not palette.isBrushSet(group, role)
        ]
        assert missing == []


def test_a_switch_changes_palette_sheet_and_icons_while_running(qapp, qtbot):
    before = theme.icon("pause").pixmap(16, 16).toImage()
    with qtbot.waitSignal(theme.themed.changed):
        theme.apply(qapp, "dark")
    assert theme.themed.colors is DARK
    assert qapp.palette().color(QPalette.ColorRole.Base).name() == DARK.base
    assert DARK.base in qapp.styleSheet()
    assert LIGHT.window not in qapp.styleSheet()
    assert theme.color("text").name() == DARK.text
    assert theme.icon("pause").pixmap(16, 16).toImage() != before


def test_a_system_that_does_not_say_is_light(qapp):
    theme.apply(qapp, "system")  # the offscreen platform's scheme is Unknown
    assert theme.themed.colors is LIGHT


def test_an_unknown_scheme_is_the_systems(qapp):
    theme.apply(qapp, "sepia")
    assert theme.themed.scheme == "system"


def test_the_font_is_inter_where_it_is_installed(qapp):
    font = theme.font(qapp)
    assert font.pointSizeF() == 9.5


def test_a_tip_shows_markup_as_it_is():
    assert theme.plain_tip("<b>x</b>") == "<qt>&lt;b&gt;x&lt;/b&gt;</qt>"
    assert theme.plain_tip("") == ""


def test_every_icon_that_is_named_is_there():
    names = {command.icon for command in COMMANDS if command.icon}
    names |= {icon for icon, _ in LOOKS.values()} | {icon for icon, _ in KINDS.values()}
    names |= {
        theme.file_icon(f"x.{extension}")
        for extension in ("png", "mp4", "ogg", "zip", "pdf", "json", "xyz", "")
    }
    for name in names:
        assert not theme.icon(name).isNull()


def test_every_icon_that_is_there_is_drawn_in_the_colour_of_its_role():
    for path in (GUI / "toolkit" / "icons").glob("*.svg"):
        image = theme.pixmap(path.stem, "bad", 24, 1.0).toImage()
        colors = {
            image.pixelColor(x, y).name()
            for x in range(24)
            for y in range(24)
            if image.pixelColor(x, y).alpha() == 255
        }
        own = path.stem in ("transfermon", "check-mark") or path.stem.startswith("arrow-")
        assert own or colors <= {theme.color("bad").name()}, path.stem
        assert any(image.pixelColor(x, y).alpha() for x in range(24) for y in range(24)), path.stem


def test_the_icons_have_their_licence():
    assert "Lucide" in (GUI / "toolkit" / "icons" / "LICENSE").read_text(encoding="utf-8")


def test_a_copy_of_an_icon_that_is_changed_is_one_of_its_own(qapp):
    for number in range(200):
        copy = QIcon(theme.icon("pause"))
        copy.setIsMask(bool(number % 2))  # Qt takes a copy of the engine
        assert copy.pixmap(16, 16).toImage() == theme.icon("pause").pixmap(16, 16).toImage()


def test_an_icon_that_cannot_be_pressed_is_faint(qapp):
    usual, faint = (
        theme.icon("pause").pixmap(QSize(16, 16), 2.0, mode)
        for mode in (QIcon.Mode.Normal, QIcon.Mode.Disabled)
    )
    assert (usual.size(), faint.size()) == (QSize(32, 32), QSize(32, 32))
    assert usual.toImage() != faint.toImage()


def test_an_icon_that_is_not_there_is_our_own_mistake():
    with pytest.raises(FileNotFoundError):
        theme.icon("no-such-icon")


@pytest.mark.parametrize("size", [16, 22, 32, 64, 128, 256])
def test_the_application_icon_is_drawn_for_each_size(size):
    assert QSize(size, size) in theme.app_icon().availableSizes()
    image = theme.app_icon().pixmap(size, size).toImage()
    assert image.pixelColor(size // 2, size // 2).alpha() == 255
    assert image.pixelColor(0, 0).alpha() < 255


def test_icons_for_painting_are_as_sharp_as_the_screen():
    sharp = theme.pixmap("clock", "muted", 16, 2.0)
    assert (sharp.width(), sharp.devicePixelRatio()) == (32, 2.0)


@pytest.mark.parametrize(
    ("name", "icon", "words"),
    [
        ("a.JPG", "image", "Picture (JPG)"),
        ("a.tar.gz", "archive", "Archive (GZ)"),
        ("film.avi", "film", "Movie (AVI)"),
        ("x.unknown", "file", "File"),
        ("x.bin", "file", "File (BIN)"),
        ("README", "file", "File"),
        ("x.<b>", "file", "File"),
    ],
)
def test_a_files_type_is_told_by_its_name(name, icon, words):
    assert theme.file_icon(name) == icon
    assert theme.file_words(name) == words


def test_the_style_sheet_names_files_that_exist():
    for path in re.findall(
        r'url\("([^"]+)"\)', style_sheet.style_sheet(DARK) + style_sheet.style_sheet(LIGHT)
    ):
        assert os.path.exists(path)


def test_every_icon_that_is_there_is_used():
    code = "".join(path.read_text(encoding="utf-8") for path in GUI.rglob("*.py"))
    words = set(re.findall(r"[a-z0-9]+(?:-[a-z0-9]+)*", code))
    drawn = {f"arrow-{way}-{scheme}" for way in ("up", "down") for scheme in ("dark", "light")}
    assert {path.stem for path in (GUI / "toolkit" / "icons").glob("*.svg")} - words <= drawn


def test_every_icon_that_the_code_asks_for_is_there():
    there = {path.stem for path in (GUI / "toolkit" / "icons").glob("*.svg")}
    code = "".join(path.read_text(encoding="utf-8") for path in GUI.rglob("*.py"))
    asking = (
        r'theme\.(?:icon|pixmap)\(\s*"([a-z0-9-]+)"',
        r'draw_icon\(painter, "([a-z0-9-]+)"',
        r'item\("\w+", "[^"]+", "([a-z0-9-]+)"',
        r'icon="([a-z0-9-]+)"',
    )
    names = {name for pattern in asking for name in re.findall(pattern, code)}
    assert len(names) > 20
    assert names - there == set()


def test_the_font_is_set_again_with_the_style_sheet(qapp):
    wanted = theme.font(qapp)
    qapp.setFont(QFont("DejaVu Sans", 14))
    theme.apply(qapp, "dark")
    assert qapp.font().pointSizeF() == wanted.pointSizeF()
    assert QFontInfo(qapp.font()).family() == QFontInfo(wanted).family()
