"""A member in a process of its own: reads 80 messages, commits some of the partitions and says of how many messages.

On a line of input it commits everything, and says whether it was refused.
"""

import asyncio
import sys

from backend.foundation.kernel.errors import Fenced
from tests.contract.conftest import bus_of
from tests.contract.members import Mesh, join, received


async def _main(kind: str, url: str, namespace: str) -> None:
    bus = bus_of(Mesh(kind, url, namespace, bus_of, 0))
    await bus.start()
    sink = await join(bus, member="child")
    await received(sink, 80)
    last = sink.last()
    done = {partition: offset for partition, offset in last.items() if partition.number % 2}
    assert sink.reader is not None
    await sink.reader.commit(done)
    print(sum(each.partition in done for each in sink.deliveries), flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    try:
        await sink.reader.commit(last)
    except Fenced:
        print("fenced", flush=True)
    else:
        print("committed", flush=True)
    await asyncio.Event().wait()


asyncio.run(_main(*sys.argv[1:]))
