"""Links that another program hands over one after the other, while the app is in the tray."""

from __future__ import annotations

import pytest

from tests.helpers.byte_server import ByteServer, reply
from tests.helpers.owners import Place

pytestmark = pytest.mark.slow  # a dozen commands, one after the other


def test_twelve_files_in_a_row_are_no_twelve_notifications(place: Place):
    with ByteServer(lambda conn, _: conn.send(reply(200, {}, b"hi"))) as server:
        app = place.app()
        for number in range(12):
            assert (
                place.run("get", "-q", "-d", str(place.out), server.url(f"/{number}.txt"))[0] == 0
            )
        told = [event for event in place.events() if event["type"] == "notification"]
        assert 1 <= len(told) <= 3
        place.run("quit", "--stop-transfers")
        app.wait(15)
