"""The command line.

Rule: a command imports what it needs when it runs. `--help` loads argparse and nothing of ours, a
command to a running engine no event loop and no HTTP library. What goes wrong is one sentence on
stderr, never a traceback.
"""

from __future__ import annotations

import argparse
import atexit
import gc
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from transfermon.commands import request_arguments
from transfermon.commands.act import (
    act_on_tasks,
    end_engine,
    quit_engine,
    send_push,
    simulate_phone,
    start_fetch,
)
from transfermon.commands.arguments import (
    ACTIONS,
    add_action_options,
    add_doctor_options,
    add_event_options,
    add_get_options,
    add_gui_options,
    add_list_options,
    add_push_options,
    add_put_options,
    add_quit_options,
    add_script_options,
    add_send_options,
    add_simulation_options,
    add_standby_options,
    add_task,
    add_videofarm_options,
    common_options,
)
from transfermon.commands.engine_access import Arguments, folder_of
from transfermon.commands.show import list_sessions, list_tasks, print_events, show_task
from transfermon.host.terminal import (
    DONE,
    FAILED,
    INTERRUPTED,
    NO_ENGINE,
    USAGE,
    Untold,
    Wrong,
    complain,
    say_json,
    say_table,
    sentence,
)

# new objects between two looks for cycles: more than any start makes, and those stay anyway
_OBJECTS = 100_000


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit codes are 0 done, 1 a transfer failed, 2 wrong usage, 3 no engine,
    130 interrupted.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if sys.stdout is None:  # closed by whoever started us
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - as long as we live
    before = gc.get_threshold()
    gc.set_threshold(_OBJECTS, *before[1:])
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            # a terminal that cannot show a name must not end the program
            stream.reconfigure(errors="replace")
    try:
        code = _parsed_and_run(words)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # `transfermon list | head`
        _say_no_more()
        return FAILED
    except Untold as exc:
        _say_no_more()
        return complain(f"The output cannot be written: {exc}.", code=FAILED)
    finally:
        gc.set_threshold(*before)
    return code


def _say_no_more() -> None:
    """What is still to be written goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _parsed_and_run(words: list[str]) -> int:
    try:
        arguments = _parser(words).parse_args(words)
    except SystemExit as exc:  # argparse has said why
        return exc.code if isinstance(exc.code, int) else USAGE
    return _run(arguments)


class _LastWord:
    """Ends the process where nothing is left to be done but to take apart what is in memory."""

    code: int | None = None  # of a command that has returned

    def __call__(self) -> None:
        # Qt wants its objects in an order of its own
        if self.code is None or "PySide6.QtCore" in sys.modules:
            return
        for stream in filter(None, (sys.stdout, sys.stderr)):  # none where it was closed before
            stream.flush()
        os._exit(self.code)


def program() -> int:
    """`main` as a process: it ends without a look at each object, which takes 9 ms. Threads and
    what was registered for the end, but by whoever was there before, have their turn.
    """
    last = _LastWord()
    atexit.register(last)  # the first to come is the last to go
    last.code = main()
    return last.code


def gui_main() -> int:
    """The app, for launchers that show no terminal."""
    return main(["gui", *sys.argv[1:]])


def _run(arguments: Arguments) -> int:
    from transfermon.control.client import EngineFull, NoEngine
    from transfermon.model.errors import EngineBusyError, TransfermonError

    try:
        code: int = arguments.run(arguments)
    except Wrong as exc:
        return complain(sentence(str(exc)), code=USAGE)
    except (NoEngine, EngineFull, EngineBusyError) as exc:
        return complain(exc.title, exc.hint, code=NO_ENGINE)
    except TransfermonError as exc:  # a state folder that cannot be used, and the like
        return complain(exc.title, exc.hint, code=USAGE)
    return code


# ---- what may be written


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="transfermon",
        description="Background transfers: downloads that survive a closed window, a crash and a reboot.",
        epilog="Exit codes: 0 done; 1 a transfer failed; 2 wrong usage; 3 no engine can be reached or owned; "
        "130 interrupted, what is there is kept.",
        parents=[common_options(top=True)],
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=_version())
    parser.set_defaults(run=_gui, demo=False, minimized=False, add=False, fetch=False, urls=[])
    commands = parser.add_subparsers(metavar="COMMAND", title="commands")

    def add(
        name: str,
        run: Callable[[Arguments], int],
        text: str,
        *options: Callable[[argparse.ArgumentParser], None],
    ) -> None:
        named = name in words  # else nobody can ask for its options, which take long to make
        command = commands.add_parser(
            name,
            help=text,
            description=text[:1].upper() + text[1:] + ".",
            parents=[common_options()] if named else [],
            allow_abbrev=False,
            add_help=named,
        )
        command.set_defaults(run=run, command=name)
        for add_options in options if named else ():
            add_options(command)

    add("gui", _gui, "open the window; without a command, too", add_gui_options)
    add(
        "get",
        _get,
        "download and wait; run again after an interruption, it resumes",
        add_get_options,
    )
    add(
        "put",
        _put,
        "upload a file and wait; run again after an interruption, it goes on where the server can",
        add_put_options,
    )
    add("send", _send, "send a small request and print the answer", add_send_options)
    add("list", list_tasks, "all transfers", add_list_options)
    add("show", show_task, "one transfer in full", add_task)
    add("sessions", list_sessions, "the sessions and what is left in them")
    add(
        "events",
        print_events,
        "what has happened, and with --follow what happens",
        add_event_options,
    )
    for name, text in ACTIONS.items():
        add(name, act_on_tasks, text, partial(add_action_options, name))
    add("push", send_push, "deliver a silent push to the running app", add_push_options)
    add("fetch", start_fetch, "start a background fetch in the running app")
    add(
        "simulate",
        simulate_phone,
        "what a phone's system would do to the running app",
        add_simulation_options,
    )
    add(
        "doctor",
        _doctor,
        "how this installation stands; with an address, whether a download of it resumes",
        add_doctor_options,
    )
    add(
        "run",
        _run_script,
        "run a handler script inside the app, or in an engine without a window",
        add_script_options,
    )
    add(
        "standby",
        _standby,
        "be the engine without a window until nothing is left to do",
        add_standby_options,
    )
    add("release", end_engine, "let the running engine give its transfers to another one, and end")
    add("quit", quit_engine, "end the running engine; its transfers are kept", add_quit_options)
    add("videofarm", _videofarm, "the demo server for videos and pictures", add_videofarm_options)
    return parser


def _version() -> str:
    from transfermon import __version__

    return f"transfermon {__version__}"


# ---- the commands


def _gui(arguments: Arguments) -> int:
    from transfermon.gui import app  # brings Qt only when there is a display for it
    from transfermon.gui.launch import Asked

    asked = Asked(add=arguments.add, fetch=arguments.fetch, urls=tuple(arguments.urls))
    return app.run(
        arguments.state_dir, demo=arguments.demo, minimized=arguments.minimized, asked=asked
    )


def _get(arguments: Arguments) -> int:
    from transfermon.commands import orders

    return _ordered(arguments, orders.download_orders)


def _put(arguments: Arguments) -> int:
    from transfermon.commands import orders

    return _ordered(arguments, orders.upload_orders)


def _send(arguments: Arguments) -> int:
    from transfermon.commands import orders

    return _ordered(arguments, orders.data_orders)


def _ordered(arguments: Arguments, made: Callable[[Arguments], list[dict[str, Any]]]) -> int:
    from transfermon.commands import progress_screens, transfer

    # what is left at the end goes with the process: looking for cycles in it takes 30 ms
    atexit.register(gc.freeze)
    try:
        wanted = made(arguments)
    except ValueError as exc:
        raise Wrong(str(exc)) from None
    for note in request_arguments.notes(arguments):
        complain(note, code=DONE)
    return transfer.Getter(
        folder_of(arguments), wanted, progress_screens.screen_for(arguments)
    ).run()


def _doctor(arguments: Arguments) -> int:
    import asyncio

    from transfermon.commands import doctor

    if not arguments.url:
        found = asyncio.run(doctor.examine_installation(folder_of(arguments)))
        if arguments.json:
            say_json([found])
        else:
            say_table(list(found.items()))
        return DONE
    return asyncio.run(_prognosis(arguments))


async def _prognosis(arguments: Arguments) -> int:
    from transfermon.commands import doctor, orders
    from transfermon.model.errors import TransferFailure

    try:
        url, headers = orders.typed_address(arguments.url), orders.typed_headers(arguments.header)
    except ValueError as exc:
        raise Wrong(str(exc)) from None
    try:
        found = await doctor.examine_address(url, headers)
    except TransferFailure as exc:
        return complain(exc.title, exc.hint, code=FAILED)
    if arguments.json:
        say_json([found.to_dict()])
    else:
        say_table(found.facts())
    return FAILED if found.verdict == doctor.NO else DONE


def _run_script(arguments: Arguments) -> int:
    from transfermon.host import script as scripts

    headless, words = _script_words(arguments.arguments)
    headless |= arguments.headless
    script = scripts.Script.read(arguments.script, words)
    folder = folder_of(arguments)
    scripts.refuse_beside(folder)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            # whoever reads along sees each line as it is printed
            stream.reconfigure(line_buffering=True)
    if headless:
        from transfermon.host.headless import run_headless

        return run_headless(folder, script)
    from transfermon.gui import app

    return app.run(folder, script=script)


def _script_words(words: list[str]) -> tuple[bool, list[str]]:
    """`--headless` may stand behind the script, too; what follows `--` is the script's in any
    case.
    """
    cut = words.index("--") if "--" in words else len(words)
    ours, its = words[:cut], words[cut + 1 :]
    return "--headless" in ours, [word for word in ours if word != "--headless"] + its


def _standby(arguments: Arguments) -> int:
    if arguments.lock_fd is not None:
        _adopted(arguments.lock_fd)
    from transfermon.host import standby

    return standby.run(folder_of(arguments), arguments.lock_fd)


def _adopted(fd: int) -> None:
    """First of all: a child that was started before this would keep the lock."""
    try:
        os.set_inheritable(fd, False)
    except (OSError, OverflowError) as exc:
        raise Wrong(f"There is no open file {fd}.") from exc


def _videofarm(arguments: Arguments) -> int:
    from transfermon.videofarm.server import serve

    return serve(arguments)
