"""Signed addresses for emulated stores: AWS signature version 4 and Azure's account signature, both
as a query.

The keys are the ones that the emulators document for everybody.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from urllib.parse import quote, urlencode

S3_USER, S3_KEY, S3_REGION = "S3RVER", "S3RVER", "us-east-1"
AZURE_USER = "devstoreaccount1"
AZURE_KEY = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)
_AZURE_VERSION = "2021-08-06"
_SECONDS = 3600


def signed(kind: str, method: str, host: str, path: str) -> str:
    """The path with a query that allows `method` for an hour; the path alone for a store that signs
    nothing.
    """
    if kind == "s3":
        return _s3(method, host, path)
    if kind == "azure":
        return _azure(path)
    return path


def _s3(method: str, host: str, path: str) -> str:
    now = time.gmtime()
    day, stamp = time.strftime("%Y%m%d", now), time.strftime("%Y%m%dT%H%M%SZ", now)
    scope = f"{day}/{S3_REGION}/s3/aws4_request"
    plain, _, query = path.partition("?")
    fields = {
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": f"{S3_USER}/{scope}",
        "X-Amz-Date": stamp,
        "X-Amz-Expires": str(_SECONDS),
        "X-Amz-SignedHeaders": "host",
    }
    asked = urlencode(sorted({**fields, **({query: ""} if query else {})}.items()), quote_via=quote)
    request = f"{method}\n{plain}\n{asked}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD"
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    key = f"AWS4{S3_KEY}".encode()
    for part in (day, S3_REGION, "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return f"{plain}?{asked}&X-Amz-Signature={hmac.digest(key, text.encode(), 'sha256').hex()}"


def _azure(path: str) -> str:
    end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + _SECONDS))
    text = "\n".join([AZURE_USER, "rwc", "b", "sco", "", end, "", "", _AZURE_VERSION, "", ""])
    signature = base64.b64encode(
        hmac.digest(base64.b64decode(AZURE_KEY), text.encode(), "sha256")
    ).decode()
    fields = {
        "sv": _AZURE_VERSION,
        "ss": "b",
        "srt": "sco",
        "sp": "rwc",
        "se": end,
        "sig": signature,
    }
    return f"{path}{'&' if '?' in path else '?'}{urlencode(fields)}"
