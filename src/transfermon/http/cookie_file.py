"""Cookies that a person hands over in a file.

Rule: nothing but what a host gets is taken from it, and no message holds anything of the file.
"""

from __future__ import annotations

import time
from urllib.parse import urlsplit

from transfermon.http import cookies, public_suffixes
from transfermon.http.cookies import Cookie

LARGEST = 4 << 20  # bytes


def for_address(path: str, url: str) -> list[Cookie]:
    """Those that a request to a checked address carries. Blocking. Raises ValueError with a
    sentence where the file cannot be read, is not in Netscape's form, or has none.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as exc:
        raise ValueError(f"The cookie file {path} cannot be read: {exc.strerror}.") from None
    if len(data) > LARGEST:
        raise ValueError(f"The cookie file {path} is larger than 4 MB.")
    host = urlsplit(url).hostname or ""
    found = cookies.of_host(
        cookies.from_file(data.decode("latin-1")), host, public_suffixes.is_public, time.time()
    )
    if not found:
        raise ValueError(f"The cookie file {path} has no cookie for {host} that is still valid.")
    return found
