"""What may be written behind each command.

Rule: importing this loads argparse and nothing of ours.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from transfermon.commands import request_arguments

if TYPE_CHECKING:  # each of these costs time that `--help` does not have
    from transfermon.model.task import TaskKey


SMALLEST_PUSH = '{"aps": {"content-available": 1}}'


def common_options(*, top: bool = False) -> argparse.ArgumentParser:
    """Options that may stand before and after the command. Only the first place has defaults, or
    the second one's would overwrite what was given there.
    """
    common = argparse.ArgumentParser(add_help=False)
    suppress = argparse.SUPPRESS
    common.add_argument(
        "--state-dir",
        metavar="DIR",
        default=None if top else suppress,
        help="where the transfers are remembered",
    )
    common.add_argument(
        "--json",
        action="store_true",
        default=False if top else suppress,
        help="print one JSON object per line",
    )
    return common


ACTIONS = {
    "pause": "stop moving bytes; they are kept",
    "resume": "go on with paused transfers",
    "cancel": "end transfers for good",
    "retry": "try failed transfers again; bytes that are there are used",
    "remove": "take transfers out of the list; finished files stay",
}


def add_gui_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--demo", action="store_true", help="show it with a server and transfers of its own"
    )
    parser.add_argument("--minimized", action="store_true", help="start in the tray")
    parser.add_argument("--add", action="store_true", help="ask for addresses to download")
    parser.add_argument("--fetch", action="store_true", help="start a background fetch, too")
    parser.add_argument(
        "urls",
        metavar="URL",
        nargs="*",
        help="ask whether to download this; put -- before the first",
    )


def add_get_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("urls", metavar="URL", nargs="+")
    place = parser.add_mutually_exclusive_group()
    place.add_argument("-o", "--output", metavar="FILE", help="save as this file")
    place.add_argument(
        "-d",
        "--directory",
        metavar="DIR",
        help="save into this folder; the current one if not given",
    )
    parser.add_argument(
        "--session", metavar="ID", default="cli", help="the session it belongs to (%(default)s)"
    )
    parser.add_argument(
        "-H",
        "--header",
        metavar="'NAME: VALUE'",
        action="append",
        default=[],
        help="send this header, too",
    )
    parser.add_argument(
        "--sha256", metavar="HEX", default="", help="fail unless the file has this digest"
    )
    parser.add_argument(
        "--limit-rate", metavar="RATE", default="0", help="bytes per second, such as 500K or 2M"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a file that is there")
    parser.add_argument(
        "--retry",
        metavar="N",
        type=whole_number,
        default=5,
        help="give up after N attempts (%(default)s)",
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="print nothing but errors")
    request_arguments.add(parser, sends=False)


def add_put_options(parser: argparse.ArgumentParser) -> None:
    # the list is not loaded for anything else
    from transfermon.http.upload_protocols.registry import words_for_help

    parser.add_argument("file", metavar="FILE")
    parser.add_argument(
        "url", metavar="URL", help="where to; behind a slash at its end the file's name is put"
    )
    parser.add_argument("--method", metavar="WORD", default="", help="the request's method (PUT)")
    parser.add_argument(
        "--protocol",
        metavar="WORD",
        type=protocol_name,
        default="",
        help=f"{words_for_help()}; auto asks the server what it can (auto)",
    )
    parser.add_argument(
        "--limit-rate", metavar="RATE", default="0", help="bytes per second, such as 500K or 2M"
    )
    _add_sending(parser)


def add_send_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("url", metavar="URL")
    parser.add_argument(
        "--method", metavar="WORD", default="POST", help="the request's method (%(default)s)"
    )
    parser.add_argument("--data", metavar="TEXT|@FILE", help="the body of the request")
    _add_sending(parser)


def _add_sending(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--session", metavar="ID", default="cli", help="the session it belongs to (%(default)s)"
    )
    parser.add_argument(
        "-H",
        "--header",
        metavar="'NAME: VALUE'",
        action="append",
        default=[],
        help="send this header, too",
    )
    parser.add_argument(
        "--retry",
        metavar="N",
        type=whole_number,
        default=5,
        help="give up after N attempts (%(default)s)",
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="print nothing but errors")
    request_arguments.add(parser, sends=True)


def add_task(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "task", metavar="TASK", type=task_key, help="SESSION:NUMBER, as `transfermon list` shows it"
    )


def add_list_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--csv", action="store_true", help="as CSV with all columns, for a spreadsheet"
    )


def add_event_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-f", "--follow", action="store_true", help="go on with new ones as they happen"
    )
    parser.add_argument(
        "--since", metavar="SEQ", type=whole_number, default=0, help="only those after this number"
    )


def add_action_options(name: str, parser: argparse.ArgumentParser) -> None:
    parser.add_argument("tasks", metavar="TASK", nargs="*", type=task_key, help="SESSION:NUMBER")
    parser.add_argument("--all", action="store_true", help="all that it is possible for")
    if name == "retry":
        parser.add_argument("--url", help="the new address, where the old one has expired")
    if name == "remove":
        parser.add_argument(
            "--delete-file", action="store_true", help="delete the finished files, too"
        )


def add_push_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "payload", metavar="PAYLOAD", nargs="?", default=SMALLEST_PUSH, help="JSON, @FILE or -"
    )


def add_simulation_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "what",
        choices=("suspend", "wake", "network"),
        help="suspend: listeners hear nothing; wake: they hear what they missed; network: a bad one, until the app ends",
    )
    network = parser.add_argument_group(
        "with network; without any of them it says what is simulated"
    )
    network.add_argument(
        "--profile",
        metavar="NAME",
        help="a slow line: gprs, edge, 3g, slow-4g, wi-fi-far-away, none",
    )
    network.add_argument(
        "--offline", action=argparse.BooleanOptionalAction, help="no network at all"
    )
    network.add_argument(
        "--loss", metavar="PERCENT", type=float, help="break so many connections, again each second"
    )
    network.add_argument(
        "--answer",
        metavar="STATUS",
        type=whole_number,
        help="answer requests with it, 503 for example; 0 ends",
    )
    network.add_argument(
        "--count", metavar="N", type=whole_number, help="give this answer N times only"
    )
    network.add_argument(
        "--etag-change", action="store_true", default=None, help="all files are other ones now"
    )
    network.add_argument(
        "--drop", action="store_true", default=None, help="break all open connections now"
    )
    network.add_argument(
        "--off", action="store_true", default=None, help="end all that is not named beside it"
    )


def add_doctor_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "url",
        metavar="URL",
        nargs="?",
        help="exit code 0 when it resumes, 1 when a pause starts over",
    )
    parser.add_argument(
        "-H",
        "--header",
        metavar="'NAME: VALUE'",
        action="append",
        default=[],
        help="send this header, too",
    )


def add_script_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "script", metavar="SCRIPT.py", help="it registers its listeners with `monitor`"
    )
    parser.add_argument(
        "arguments", metavar="ARGUMENT", nargs=argparse.REMAINDER, help="for the script"
    )
    parser.add_argument(
        "--headless",
        action="store_true",
        help="without a window, until nothing is left to wait for",
    )


def add_standby_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--lock-fd", metavar="N", type=whole_number, help=argparse.SUPPRESS
    )  # from the process that waited


def add_quit_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--stop-transfers",
        action="store_true",
        help="end all transfers for good; what is stored is kept for a retry",
    )


def add_videofarm_options(parser: argparse.ArgumentParser) -> None:
    # its options live with the server, which is not loaded for anything else
    from transfermon.videofarm.server import add_arguments

    add_arguments(parser)


def task_key(text: str) -> TaskKey:
    from transfermon.model.task import TaskKey

    try:
        return TaskKey.parse(text)
    except ValueError as exc:
        raise argparse.ArgumentTypeError(str(exc)) from None


def whole_number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise argparse.ArgumentTypeError(f"“{text}” is not a whole number")
    return int(text)


def protocol_name(text: str) -> str:
    from transfermon.http.upload_protocols.registry import check_name

    try:
        check_name(text or "auto")
    except ValueError as exc:
        raise argparse.ArgumentTypeError(str(exc)) from None
    return text
