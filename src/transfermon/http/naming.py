"""The name that a download gets when no person has given one.

Rule: what the server says is decoded first, made safe then, and only at last given an ending where
it has none.
"""

from __future__ import annotations

from transfermon.http.disposition import filename_in
from transfermon.http.endings import charset, with_ending
from transfermon.http.filenames import from_url, safe
from transfermon.model.task import Response


def suggested(response: Response | None, url: str) -> str:
    """A safe name: that of Content-Disposition, else the last segment of the address that answered,
    else "download"; with the ending of its type where it has none (D-12).
    """
    if response is None:
        return safe(from_url(url))
    kind = response.header("Content-Type")
    name = filename_in(response.header("Content-Disposition"), charset(kind)) or from_url(
        response.url or url
    )
    return with_ending(safe(name), kind)
