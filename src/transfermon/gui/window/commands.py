"""Every command of the window: its words, icon, keys and menu, in one table.

Rule: no Qt here; the window makes one action of each row, and the menus, the toolbar and the tray share them.
"""

from __future__ import annotations

from collections.abc import Sequence

from transfermon.model.record import record
from transfermon.model.task import Action, Activity, State, Task
from transfermon.model.translate import marked, tr

TABLE = "table"  # keys that act only while the list has the focus: a text box needs them for itself


@record
class Command:
    id: str
    text: str  # in English, like `tip` and `label`: whoever shows it translates it
    menu: str
    icon: str = ""
    keys: str = ""
    where: str = ""  # TABLE, or the whole window
    tip: str = ""
    label: str = ""  # shorter, for the toolbar


COMMANDS: tuple[Command, ...] = (
    Command(id="add", text=marked("&Add transfers…"), label=marked("Add"), menu="Transfer", icon="plus", keys="Ctrl+N", tip=marked("Add addresses to download")),
    Command(id="upload", text=marked("&Upload files…"), label=marked("Upload"), menu="Transfer", icon="upload", keys="Ctrl+U", tip=marked("Send files to an address")),
    Command(id="paste", text=marked("Add links from the &clipboard"), menu="Transfer", icon="clipboard-paste", keys="Ctrl+V"),
    Command(id="open_list", text=marked("Open a l&ist or push…"), menu="Transfer", icon="file-text", keys="Ctrl+O", tip=marked("A text file with one address a line, or a JSON file with a push")),
    Command(id="open", text=marked("&Open"), menu="Transfer/", icon="file", keys="Return", where=TABLE),
    Command(id="show_in_folder", text=marked("Show in &folder"), menu="Transfer", icon="folder-open", keys="Ctrl+Return", where=TABLE),
    Command(id="resume", text=marked("&Resume"), menu="Transfer/", icon="play", tip=marked("Resume the selected transfers, or all that are shown")),
    Command(id="pause", text=marked("&Pause"), menu="Transfer", icon="pause", tip=marked("Pause the selected transfers, or all that are shown")),
    Command(id="toggle", text=marked("Pause or resume"), menu="Transfer", keys="Space", where=TABLE),
    Command(id="cancel", text=marked("&Cancel"), menu="Transfer", icon="x", tip=marked("Cancel the selected transfers")),
    Command(id="retry", text=marked("Re&try"), menu="Transfer", icon="rotate-cw", tip=marked("Try the failed ones of the selection again, or all that are shown")),
    Command(id="retry_url", text=marked("Retry with a &new URL…"), menu="Transfer", icon="rotate-cw", tip=marked("For an address that has expired: what is stored is kept where the new one has the same file")),
    Command(id="copy_url", text=marked("Copy &URLs"), menu="Transfer/", icon="copy", keys="Ctrl+C", where=TABLE),
    Command(id="copy_curl", text=marked("Copy as cur&l"), menu="Transfer", icon="terminal"),
    Command(id="copy_events", text=marked("Copy &events"), menu="Transfer", icon="copy", tip=marked("The journal of the selected transfer, one JSON object a line")),
    Command(id="priority_high", text=marked("&High priority"), menu="Transfer/", icon="circle-arrow-up", tip=marked("Before the others that wait for the same host")),
    Command(id="priority_normal", text=marked("N&ormal priority"), menu="Transfer", icon="clock"),
    Command(id="priority_low", text=marked("Lo&w priority"), menu="Transfer", icon="circle-arrow-down", tip=marked("After the others that wait for the same host")),
    Command(id="queue_first", text=marked("Move to the front of the queue"), menu="Transfer", icon="circle-arrow-up", tip=marked("Start before the others of the same priority")),
    Command(id="queue_last", text=marked("Move to the back of the queue"), menu="Transfer", icon="circle-arrow-down", tip=marked("Start after the others of the same priority")),
    Command(id="speed_limit", text=marked("&Speed limit…"), menu="Transfer", icon="sliders-horizontal"),
    Command(id="verify", text=marked("&Verify checksum…"), menu="Transfer", icon="circle-check", tip=marked("Compare the finished file with a SHA-256, or show its own")),
    Command(id="remove", text=marked("Re&move from the list"), menu="Transfer/", icon="list-x", keys="Del", where=TABLE),
    Command(id="remove_and_delete", text=marked("Remove and &delete the file…"), menu="Transfer", icon="trash-2", keys="Shift+Del", where=TABLE),
    Command(id="close", text=marked("Close the &window"), menu="Transfer/", keys="Ctrl+W"),
    Command(id="quit", text=marked("&Quit"), menu="Transfer", icon="log-out", keys="Ctrl+Q"),
    Command(id="select_all", text=marked("Select &all shown"), menu="Edit", keys="Ctrl+A", where=TABLE),
    Command(id="find", text=marked("&Filter"), menu="Edit", icon="search", keys="Ctrl+F"),
    Command(id="pause_all", text=marked("&Pause all"), menu="Edit/", icon="pause"),
    Command(id="resume_all", text=marked("&Resume all"), menu="Edit", icon="play"),
    Command(id="retry_failed", text=marked("Re&try all failed"), menu="Edit", icon="rotate-cw"),
    Command(id="settings", text=marked("&Settings…"), menu="Edit/", icon="sliders-horizontal", keys="Ctrl+,", tip=marked("How the app behaves")),
    Command(id="fetch", text=marked("Background &fetch"), menu="Background", icon="download-cloud", keys="Ctrl+Shift+B", tip=marked("Let the app look for new content now, as in the background")),
    Command(id="push", text=marked("&Silent push…"), label=marked("Silent push"), menu="Background", icon="bell", keys="Ctrl+Shift+S", tip=marked("Write a push payload and deliver it to this app")),
    Command(id="channel", text=marked("Push &channel…"), menu="Background", icon="bell", tip=marked("Its state, and the settings of the push channel")),
    Command(id="simulate", text=marked("&Simulate a suspension, or wake the app"), menu="Background/", tip=marked("Listeners hear nothing while the app is suspended; transfers go on")),
    Command(id="details", text=marked("&Details"), menu="View", icon="info", keys="Ctrl+I"),
    Command(id="events", text=marked("&Events"), menu="View", icon="list", keys="Ctrl+E"),
    Command(id="background", text=marked("&Background"), menu="View", icon="activity", keys="Ctrl+B", tip=marked("Fetches and pushes, and what was said to them")),
    Command(id="videofarm", text=marked("&VideoFarm"), menu="View", icon="video", keys="Ctrl+Shift+V", tip=marked("Browse the videos of a VideoFarm server")),
    Command(id="demo", text=marked("Start the &demo"), menu="Help", icon="video"),
    Command(id="about", text=marked("&About Transfermon"), menu="Help"),
)  # fmt: skip
MENUS = {  # a menu's title, by what `Command.menu` calls it
    "Transfer": marked("&Transfer"),
    "Edit": marked("&Edit"),
    "Background": marked("&Background"),
    "View": marked("&View"),
    "Help": marked("&Help"),
}
BY_ID = {command.id: command for command in COMMANDS}

TOOLBAR: tuple[str, ...] = ("add", "upload", "", "resume", "pause", "cancel", "retry", "", "fetch", "push")
# Where there is little room these groups lose their words, the last first.
GIVING = (("fetch", "push"), ("upload",), ("resume", "pause", "cancel", "retry"))
TRAY: tuple[str, ...] = (
    "add",
    "upload",
    "",
    "pause_all",
    "resume_all",
    "",
    "fetch",
    "push",
    "channel",
    "",
    "settings",
    "quit",
)

_ACTIONS = {
    "resume": Action.RESUME,
    "pause": Action.SUSPEND,
    "cancel": Action.CANCEL,
    "retry": Action.RETRY,
    "remove": Action.REMOVE,
    "remove_and_delete": Action.REMOVE,
}
PRIORITIES = {"priority_high": 0.75, "priority_normal": 0.5, "priority_low": 0.25}
_ON_SHOWN = frozenset({"resume", "pause", "retry"})  # with nothing selected they mean all that are shown


def enabled(selected: Sequence[Task], shown: Sequence[Task]) -> dict[str, bool]:
    """Which commands about transfers can do something now, by id; the others always can. `shown` is looked at only
    while nothing is selected.
    """
    mine = _samples(selected)
    over = mine if selected else _samples(shown)
    out: dict[str, bool] = {}
    for name, action in _ACTIONS.items():
        out[name] = any(task.can(action) for task in (over if name in _ON_SHOWN else mine))
    out["toggle"] = bool(selected) and (out["pause"] or out["resume"])
    for name in (*PRIORITIES, "speed_limit"):  # for what is still to come
        out[name] = out["cancel"]
    out["queue_first"] = out["queue_last"] = any(queued(task) for task in selected)
    out["verify"] = len(selected) == 1 and selected[0].succeeded
    out["copy_events"] = len(selected) == 1
    out["open"] = len(selected) == 1
    out["retry_url"] = len(selected) == 1 and out["retry"]
    out["show_in_folder"] = len(selected) == 1
    out["copy_url"] = out["copy_curl"] = bool(selected)
    out["select_all"] = bool(selected or shown)
    return out


def queued(task: Task) -> bool:
    """Whether it waits for its turn, and can have another one."""
    return task.state is State.RUNNING and task.activity is Activity.QUEUED


def _samples(tasks: Sequence[Task]) -> list[Task]:
    """One of each kind that `Task.can` tells apart: ten thousand tasks are asked as quickly as five."""
    return list({(id(task.state), task.error is None): task for task in tasks}.values())


def toggled(selected: Sequence[Task]) -> Action:
    """What Space means: pause while anything of it runs, else resume."""
    return Action.SUSPEND if any(task.can(Action.SUSPEND) for task in selected) else Action.RESUME


@record
class Closing:
    """What the window's X does."""

    act: str  # "hide", "minimise", "quit", "ask"


def closing(close_to: str, tray: bool) -> Closing:
    """From the setting (`ask`, `tray`, `quit`) and whether a tray exists at this moment."""
    if close_to == "quit":
        return Closing(act="quit")
    if not tray:
        return Closing(act="minimise")
    return Closing(act="hide" if close_to == "tray" else "ask")


KEEP, STOP = marked("Keep transferring"), marked("Stop all transfers and quit")  # answers


def quit_words(outstanding: int, after_quit: str = "ask") -> str:
    """What quitting does to the transfers that are not done, by the setting; "" when there are none."""
    if outstanding == 0:
        return ""
    if after_quit == "yes":
        return tr(
            "%n transfers go on in the background, without a window.",
            "1 transfer goes on in the background, without a window.",
            outstanding,
        )
    saved = tr(
        "%n transfers are saved and resume at the next start.",
        "1 transfer is saved and resumes at the next start.",
        outstanding,
    )
    if after_quit != "ask":
        return saved
    going = tr(
        "“{keep}” lets them go on now, without a window.", "“{keep}” lets it go on now, without a window.", outstanding
    )
    return f"{saved} {going.format(keep=tr(KEEP))}"


def quit_answers(after_quit: str) -> list[str]:
    """In English; the first is the default, the last is what Escape means."""
    return [marked("Quit"), *([KEEP] if after_quit == "ask" else []), STOP, marked("Cancel")]
