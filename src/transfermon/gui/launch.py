"""What a launch asks of the window, and handing that to an app that runs already.

Rule: no Qt here; a second launch loads none.
"""

from __future__ import annotations

from transfermon.model.record import record


@record
class Asked:
    """What is wanted of the window besides being there. The addresses come from other programs,
    unchecked.
    """

    add: bool = False
    fetch: bool = False
    urls: tuple[str, ...] = ()


NOTHING = Asked()


def another_shows(folder: str, asked: Asked = NOTHING, *, timeout: float = 3.0) -> bool:
    """Whether the app runs already; its window was raised then, and does what is asked."""
    from transfermon.control.client import Client, NoEngine

    client = Client(folder, timeout=timeout)
    try:
        if not client.show(add=asked.add, urls=asked.urls):
            return False
        if asked.fetch:
            client.request("POST", "/v1/fetch")
    except NoEngine:
        return False
    return True
