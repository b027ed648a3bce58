"""What the tools for new machines and for the locks decide; the machines themselves are made by
`make fresh`.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from PySide6.QtGui import QImage

from tools import check_lock, fresh, lock, machine, screen

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("listed", "environment", "there"),
    [
        ("", {}, {}),
        (
            "global.index-url='https://example.com/simple'",
            {},
            {"index-url": "https://example.com/simple"},
        ),
        # the first one listed counts
        (":env:.default-timeout='9'\nglobal.timeout='60'", {}, {"timeout": "9"}),
        ("global.find-links='/opt/wheels'\nglobal.constraint='/etc/c.txt'", {}, {}),
        (
            "global.extra-index-url='file:///opt/simple https://example.com/more'",
            {},
            {"extra-index-url": "https://example.com/more"},
        ),
        ("install.no-deps='true'\nuser.name='x'", {}, {}),
        ("WARNING: not a setting", {}, {}),
        ("", {"REQUESTS_CA_BUNDLE": "/etc/ca.pem", "https_proxy": ""}, {"cert": "/etc/ca.pem"}),
        ("global.cert='/etc/own.pem'", {"CURL_CA_BUNDLE": "/etc/ca.pem"}, {"cert": "/etc/own.pem"}),
        ("", {"HTTPS_PROXY": "http://proxy.example:3128"}, {"proxy": "http://proxy.example:3128"}),
    ],
)
def test_pips_settings_go_along_and_folders_of_this_system_do_not(listed, environment, there):
    assert machine.pip_settings(listed, environment) == there


@pytest.mark.parametrize(
    ("targets", "found"),
    [
        ("", {}),
        (
            "Debian|Debian|http://a.example/debian/\nDebian|Debian|http://b.example/debian/",
            "http://a.example/debian/",
        ),
        ("Debian|Debian-Security|http://a.example/debian-security/", {}),
        ("$(ORIGIN)|$(LABEL)|http://a.example/debian", "http://a.example/debian"),
        ("Node Source|Node Source|http://a.example/debian", {}),
        ("Ubuntu|Ubuntu|http://a.example/ubuntu/", {"Ubuntu": "http://a.example/ubuntu/"}),
    ],
)
def test_a_mirror_is_one_that_apt_uses_here(targets, found):
    assert machine.mirrors(targets) == ({"Debian": found} if isinstance(found, str) else found)


def test_a_release_whose_family_has_no_mirror_cannot_be_had():
    way = machine.Way(mirrors={"Debian": "http://a.example/debian"}, files={}, copies={})
    assert way.mirror_of("trixie") == "http://a.example/debian"
    with pytest.raises(machine.UnavailableError, match="Ubuntu"):
        way.mirror_of("noble")


def test_what_root_has_to_run_is_the_line_that_was_printed():
    said = "setup: missing: a b\nsetup: as root, run: apt-get update && apt-get install -y a b\nmake: *** Error 1\n"
    assert fresh.asked_for(said) == "apt-get update && apt-get install -y a b"
    assert fresh.asked_for("setup: making .venv\n") == ""


@pytest.mark.parametrize(
    ("log", "words"),
    [
        ("..\n12 passed, 3 skipped in 4.56s\n", "61 s, 12 passed, 3 skipped"),
        (
            "=== 1 failed, 2 passed, 1 error in 100.00s (0:01:40) ===\n",
            "61 s, 1 failed, 2 passed, 1 error",
        ),
        ("setup: the packages could not be installed\n", "61 s"),
    ],
)
def test_a_suite_is_told_in_a_few_words(log, words):
    assert fresh.counted(log, 60.9) == words


def test_the_table_lines_up_and_says_what_could_not_be_had():
    good = fresh.Row(
        name="trixie",
        python="3.13.5",
        packages=40,
        run="window 17 s, rows 18 s",
        suite="61 s, 12 passed",
    )
    none = fresh.unavailable("noble", "apt has no mirror of Ubuntu here")
    head, first, second = fresh.table([good, none]).splitlines()
    assert head.index("result") == first.index("green") == second.index("not to be had")
    assert (good.made, none.made, none.failed) == (True, False, False)
    assert second.endswith("not to be had here: apt has no mirror of Ubuntu here")


def test_a_picture_of_rows_is_the_same_picture():
    image = QImage.fromData(screen.png(2, 1, b"\0" + bytes([255, 0, 0, 1, 2, 3])))
    assert [image.pixel(x, 0) & 0xFFFFFF for x in (0, 1)] == [0xFF0000, 0x010203]


APP = 'a==1.0 \\\n    --hash=sha256:00\nb==2.0 ; python_full_version < "3.12" \\\n    --hash=sha256:01\n'


def test_the_second_lock_holds_what_the_first_does_not():
    everything = APP + "c==3.0 \\\n    --hash=sha256:02\n"
    assert lock.dev_only(everything, APP) == "c==3.0 \\\n    --hash=sha256:02\n"


@pytest.mark.parametrize(
    ("wanted", "python", "faults"),
    [
        ("a>=1,<2", "3.14", 0),
        ("A>=2", "3.14", 1),  # pinned outside of the range
        ("b>=2; python_version < '3.12'", "3.11", 0),
        ("b>=2; python_version < '3.12'", "3.12", 0),  # not wanted there
        ("b>=2", "3.12", 1),  # wanted, and not pinned there
        ("c", "3.11", 1),
    ],
)
def test_a_lock_fits_what_the_project_asks_for_on_each_python(wanted, python, faults):
    pins, wrong = check_lock.pins(APP)
    assert wrong == []
    assert len(check_lock.misfits([wanted], pins, python)) == faults


@pytest.mark.parametrize(
    "line",
    [
        "--index-url https://example.com/simple",
        "a==1.0",
        "a @ file:///a.whl",
        "--find-links /opt/wheels",
    ],
)
def test_a_lock_holds_pins_with_hashes_and_nothing_else(line):
    assert check_lock.pins(APP + line + "\n")[1] == [line]


def test_the_locks_fit_this_project():
    assert check_lock.main() == 0


def test_a_goal_that_is_none_is_refused_in_one_line():
    done = subprocess.run(
        [ROOT / "tools/setup", "nothing"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("setup: usage: ")


def test_a_pin_is_read_with_its_marker():
    pins, _ = check_lock.pins(APP)
    assert pins == [Requirement("a==1.0"), Requirement('b==2.0; python_full_version < "3.12"')]
