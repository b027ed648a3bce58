"""Which servers are believed to be who they say: the contexts of TLS."""

from __future__ import annotations

import asyncio
import errno
import os
import ssl
import sys


class KeysUnwritable(Exception):  # noqa: N818 - a failure of the outside, soon in words
    """The file for the keys of connections cannot be written."""


def trust(ca_file: str, tls_keys: str = "") -> ssl.SSLContext:
    """What the system trusts, and the authorities in a PEM file; "" for none. With `tls_keys` a
    context of its own whose connections write their keys there, in a file for nobody else's eyes.
    Raises OSError when the first is no such file, KeysUnwritable when the second cannot be written.
    """
    context = system_trust()
    if ca_file:
        context.load_verify_locations(ca_file)
    if tls_keys:
        try:
            os.close(
                os.open(tls_keys, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            )
            context.keylog_filename = tls_keys
        except OSError as exc:
            raise KeysUnwritable(os.strerror(exc.errno or errno.EIO)) from exc
    return context


def system_trust() -> ssl.SSLContext:
    """A context that trusts what the system trusts. Takes 20 ms: build it in a thread, once.

    truststore asks the system on Windows and macOS. On Linux it would read the bundle again for
    every connection, 20 ms each on the loop, so its part is only to find the bundle where OpenSSL
    does not.
    """
    where = ssl.get_default_verify_paths()
    if sys.platform == "linux" and where.cafile:
        # Not by create_default_context, which lets the variable SSLKEYLOGFILE give all keys away.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_default_certs()
    else:
        import truststore

        context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # whatever the system's OpenSSL would still take (RFC 8996)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


class TlsContexts:
    """The contexts of one transport, each built once, by the files of own authorities and of
    keys.
    """

    def __init__(self, usual: ssl.SSLContext | None = None) -> None:
        self.contexts: dict[tuple[str, str], ssl.SSLContext] = {}
        if usual is not None:
            self.contexts["", ""] = usual
        self._building = asyncio.Lock()

    def __repr__(self) -> str:
        return f"<TlsContexts, {len(self.contexts)} built>"

    async def context_for(self, ca_file: str, tls_keys: str) -> ssl.SSLContext:
        """Raises as `trust` does."""
        async with self._building:
            wanted = (ca_file, tls_keys)
            if wanted not in self.contexts:
                self.contexts[wanted] = await asyncio.to_thread(trust, ca_file, tls_keys)
            context = self.contexts[wanted]
            context.set_alpn_protocols(["http/1.1"])
            return context
