"""Certificates of the test authority, good ones and others."""

from __future__ import annotations

import datetime

import trustme

from tests.helpers.byte_server import authority

NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)


def certificate(
    *names: str, begins: int = -1, ends: int = 1, ca: trustme.CA | None = None
) -> trustme.LeafCert:
    return (ca or authority()).issue_cert(
        *names, not_before=NOW + begins * DAY, not_after=NOW + ends * DAY
    )
