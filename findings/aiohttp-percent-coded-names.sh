#!/bin/sh
# aiohttp 3.12.15: the name of a file is percent-coded in `filename=`, and there is no `filename*` beside it.
#
# `MultipartWriter` and `Payload.set_content_disposition` write `filename="mein%20bericht.pdf"`; with a name beyond ASCII it
# is the percent-coded UTF-8. RFC 6266 has percent signs in `filename*` alone. aiohttp's own reader, werkzeug 3.1.3 and
# Python's `email` read the name as it stands, percent signs and all; Chromium and Firefox undo them.
# Why it matters here: whoever believes the grammar saves `mein%20bericht.pdf`. What browsers take is the measure
# (src/transfermon/http/disposition.py).
# Exits 0 while it is like that.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q aiohttp==3.12.15 werkzeug==3.1.3
cat > "$work/ask.py" <<'END'
import email.message
import aiohttp, aiohttp.multipart, aiohttp.payload, werkzeug.http
from importlib.metadata import version
print("aiohttp", aiohttp.__version__, "werkzeug", version("werkzeug"))
def written(name):
    payload = aiohttp.payload.BytesPayload(b"x")
    payload.set_content_disposition("attachment", filename=name)
    return payload.headers["Content-Disposition"]
def by_email(value):
    message = email.message.Message()
    message["Content-Disposition"] = value
    return message.get_filename()
for name, coded in [("mein bericht.pdf", "mein%20bericht.pdf"), ("J\u00e4nner.pdf", "J%C3%A4nner.pdf")]:
    value = written(name)
    print(value)
    assert value == f'attachment; filename="{coded}"', value
    assert werkzeug.http.parse_options_header(value)[1]["filename"] == coded
    assert by_email(value) == coded
    assert aiohttp.multipart.content_disposition_filename(aiohttp.multipart.parse_content_disposition(value)[1]) == coded
END
"$work/venv/bin/python" "$work/ask.py"
