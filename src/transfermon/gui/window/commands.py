"""Every command of the window: its words, icon, keys, menu, and the function that does it, in one
table.

Rule: the window makes one action of each row, and the menus, the toolbar and the tray share them.
"""

from __future__ import annotations

from collections.abc import Callable

from transfermon.gui.window import (
    adding,
    background_commands,
    closing,
    settings_commands,
    task_commands,
    view_commands,
)
from transfermon.gui.window.context import WindowContext
from transfermon.model.record import record
from transfermon.model.translate import marked

TABLE = "table"  # keys that act only while the list has the focus: a text box needs them for itself


@record
class Command:
    id: str
    run: Callable[[WindowContext], None]
    text: str  # in English, like `tip` and `label`: whoever shows it translates it
    menu: str
    icon: str = ""
    keys: str = ""
    where: str = ""  # TABLE, or the whole window
    tip: str = ""
    label: str = ""  # shorter, for the toolbar


COMMANDS: tuple[Command, ...] = (
    Command(id="add", run=adding.add_from_clipboard, text=marked("&Add transfers…"), label=marked("Add"), menu="Transfer", icon="plus", keys="Ctrl+N", tip=marked("Add addresses to download")),
    Command(id="upload", run=adding.show_upload, text=marked("&Upload files…"), label=marked("Upload"), menu="Transfer", icon="upload", keys="Ctrl+U", tip=marked("Send files to an address")),
    Command(id="paste", run=adding.paste, text=marked("Add links from the &clipboard"), menu="Transfer", icon="clipboard-paste", keys="Ctrl+V"),
    Command(id="open_list", run=adding.ask_for_list, text=marked("Open a l&ist or push…"), menu="Transfer", icon="file-text", keys="Ctrl+O", tip=marked("A text file with one address a line, or a JSON file with a push")),
    Command(id="open", run=task_commands.open_selected, text=marked("&Open"), menu="Transfer/", icon="file", keys="Return", where=TABLE),
    Command(id="show_in_folder", run=task_commands.show_selected_in_folder, text=marked("Show in &folder"), menu="Transfer", icon="folder-open", keys="Ctrl+Return", where=TABLE),
    Command(id="resume", run=task_commands.resume, text=marked("&Resume"), menu="Transfer/", icon="play", tip=marked("Resume the selected transfers, or all that are shown")),
    Command(id="pause", run=task_commands.pause, text=marked("&Pause"), menu="Transfer", icon="pause", tip=marked("Pause the selected transfers, or all that are shown")),
    Command(id="toggle", run=task_commands.toggle, text=marked("Pause or resume"), menu="Transfer", keys="Space", where=TABLE),
    Command(id="cancel", run=task_commands.cancel, text=marked("&Cancel"), menu="Transfer", icon="x", tip=marked("Cancel the selected transfers")),
    Command(id="retry", run=task_commands.retry, text=marked("Re&try"), menu="Transfer", icon="rotate-cw", tip=marked("Try the failed ones of the selection again, or all that are shown")),
    Command(id="retry_url", run=task_commands.retry_with_new_url, text=marked("Retry with a &new URL…"), menu="Transfer", icon="rotate-cw", tip=marked("For an address that has expired: what is stored is kept where the new one has the same file")),
    Command(id="copy_url", run=task_commands.copy_urls, text=marked("Copy &URLs"), menu="Transfer/", icon="copy", keys="Ctrl+C", where=TABLE),
    Command(id="copy_curl", run=task_commands.copy_as_curl, text=marked("Copy as cur&l"), menu="Transfer", icon="terminal"),
    Command(id="copy_events", run=task_commands.copy_events, text=marked("Copy &events"), menu="Transfer", icon="copy", tip=marked("The journal of the selected transfer, one JSON object a line")),
    Command(id="priority_high", run=task_commands.prioritise_high, text=marked("&High priority"), menu="Transfer/", icon="circle-arrow-up", tip=marked("Before the others that wait for the same host")),
    Command(id="priority_normal", run=task_commands.prioritise_normal, text=marked("N&ormal priority"), menu="Transfer", icon="clock"),
    Command(id="priority_low", run=task_commands.prioritise_low, text=marked("Lo&w priority"), menu="Transfer", icon="circle-arrow-down", tip=marked("After the others that wait for the same host")),
    Command(id="queue_first", run=task_commands.queue_first, text=marked("Move to the front of the queue"), menu="Transfer", icon="circle-arrow-up", tip=marked("Start before the others of the same priority")),
    Command(id="queue_last", run=task_commands.queue_last, text=marked("Move to the back of the queue"), menu="Transfer", icon="circle-arrow-down", tip=marked("Start after the others of the same priority")),
    Command(id="speed_limit", run=task_commands.ask_for_speed_limit, text=marked("&Speed limit…"), menu="Transfer", icon="sliders-horizontal"),
    Command(id="verify", run=task_commands.verify, text=marked("&Verify checksum…"), menu="Transfer", icon="circle-check", tip=marked("Compare the finished file with a SHA-256, or show its own")),
    Command(id="remove", run=task_commands.remove, text=marked("Re&move from the list"), menu="Transfer/", icon="list-x", keys="Del", where=TABLE),
    Command(id="remove_and_delete", run=task_commands.remove_and_delete, text=marked("Remove and &delete the file…"), menu="Transfer", icon="trash-2", keys="Shift+Del", where=TABLE),
    Command(id="close", run=closing.hide_or_minimise, text=marked("Close the &window"), menu="Transfer/", keys="Ctrl+W"),
    Command(id="quit", run=closing.quit_app, text=marked("&Quit"), menu="Transfer", icon="log-out", keys="Ctrl+Q"),
    Command(id="select_all", run=task_commands.select_all, text=marked("Select &all shown"), menu="Edit", keys="Ctrl+A", where=TABLE),
    Command(id="find", run=view_commands.find, text=marked("&Filter"), menu="Edit", icon="search", keys="Ctrl+F"),
    Command(id="pause_all", run=task_commands.pause_all, text=marked("&Pause all"), menu="Edit/", icon="pause"),
    Command(id="resume_all", run=task_commands.resume_all, text=marked("&Resume all"), menu="Edit", icon="play"),
    Command(id="retry_failed", run=task_commands.retry_all_failed, text=marked("Re&try all failed"), menu="Edit", icon="rotate-cw"),
    Command(id="settings", run=settings_commands.show_general_settings, text=marked("&Settings…"), menu="Edit/", icon="sliders-horizontal", keys="Ctrl+,", tip=marked("How the app behaves")),
    Command(id="fetch", run=background_commands.fetch_in_background, text=marked("Background &fetch"), menu="Background", icon="download-cloud", keys="Ctrl+Shift+B", tip=marked("Let the app look for new content now, as in the background")),
    Command(id="push", run=background_commands.compose_push, text=marked("&Silent push…"), label=marked("Silent push"), menu="Background", icon="bell", keys="Ctrl+Shift+S", tip=marked("Write a push payload and deliver it to this app")),
    Command(id="channel", run=settings_commands.show_push_settings, text=marked("Push &channel…"), menu="Background", icon="bell", tip=marked("Its state, and the settings of the push channel")),
    Command(id="simulate", run=background_commands.simulate_suspension, text=marked("&Simulate a suspension, or wake the app"), menu="Background/", tip=marked("Listeners hear nothing while the app is suspended; transfers go on")),
    Command(id="details", run=view_commands.show_details, text=marked("&Details"), menu="View", icon="info", keys="Ctrl+I"),
    Command(id="events", run=view_commands.show_events, text=marked("&Events"), menu="View", icon="list", keys="Ctrl+E"),
    Command(id="background", run=view_commands.show_background, text=marked("&Background"), menu="View", icon="activity", keys="Ctrl+B", tip=marked("Fetches and pushes, and what was said to them")),
    Command(id="videofarm", run=view_commands.show_videofarm, text=marked("&VideoFarm"), menu="View", icon="video", keys="Ctrl+Shift+V", tip=marked("Browse the videos of a VideoFarm server")),
    Command(id="demo", run=background_commands.start_demo, text=marked("Start the &demo"), menu="Help", icon="video"),
    Command(id="about", run=view_commands.show_about, text=marked("&About Transfermon"), menu="Help"),
)  # fmt: skip
MENUS = {  # a menu's title, by what `Command.menu` calls it
    "Transfer": marked("&Transfer"),
    "Edit": marked("&Edit"),
    "Background": marked("&Background"),
    "View": marked("&View"),
    "Help": marked("&Help"),
}
BY_ID = {command.id: command for command in COMMANDS}

TOOLBAR: tuple[str, ...] = (
    "add",
    "upload",
    "",
    "resume",
    "pause",
    "cancel",
    "retry",
    "",
    "fetch",
    "push",
)
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
