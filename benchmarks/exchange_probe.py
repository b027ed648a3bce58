"""One process of `exchange`: small files over kept connections. Prints CPU in ms for each."""

from __future__ import annotations

import asyncio
import resource
import sys

from transfermon.wire.call import Call
from transfermon.wire.transport import Transport

WARM = 20  # requests of each connection before the clock starts


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def main(url: str, size: int, count: int, at_once: int) -> float:
    transport = Transport()

    async def fetch(times: int) -> None:
        for _ in range(times):
            answer = await transport.open(Call(url=url))
            body = await answer.read(size + 1)
            await answer.aclose()
            assert len(body) == size, len(body)

    await asyncio.gather(*(fetch(WARM) for _ in range(at_once)))
    began = cpu()
    await asyncio.gather(*(fetch(count // at_once) for _ in range(at_once)))
    used = cpu() - began
    await transport.aclose()
    return used / (count // at_once * at_once) * 1000


if __name__ == "__main__":
    print(asyncio.run(main(sys.argv[1], *map(int, sys.argv[2:5]))))
