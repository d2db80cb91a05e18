"""Mixed load: what people and programs ask for, each thing under a key of its own and again until it is answered.

Every kind asks as its users do: a request that meets a dead process is sent again with its key, a stream that breaks
off goes on where it was. Each returns only when it has what it asked for, so that ``Asked`` counts what must be there.
"""

import asyncio
import contextlib
import json
import random
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import httpx

from backend.app import Backend
from backend.foundation.kernel.caller import Caller
from backend.foundation.kernel.errors import Unavailable
from backend.foundation.kernel.ids import ThreadId

_TOOL = '#tool calculator {"expression": "40+2"}'
_AGAIN_S = 0.3
_GIVE_UP_S = 180.0
_PAUSE_S = (0.05, 0.25)
_ENDED = ("SUCCEEDED", "FAILED", "CANCELLED")


class Broken(Exception):
    """An answer that is not what was asked for."""


class Asks:
    """The clients.

    Attributes:
        done: how many of each kind have had their answer.
        again: how many requests were sent again.
        broken: what was answered wrongly, in words.
    """

    def __init__(self, client: httpx.AsyncClient, backend: Backend, caller: Caller) -> None:
        self._client = client
        self._backend = backend
        self._caller = caller
        self._stopped = False
        self._tasks: list[asyncio.Task[None]] = []
        self._threads: list[ThreadId] = []
        self.done: Counter[str] = Counter()
        self.again = 0
        self.broken: list[str] = []

    def start(self) -> None:
        """Begin, one client a kind."""
        kinds = (self.waiting, self.looking, self.watching, self.calculating, self.retried, self.stopped, self.event,
                 self.message)  # fmt: skip
        self._tasks = [asyncio.create_task(self._repeat(kind)) for kind in kinds]

    async def stop(self) -> None:
        """Begin nothing new and wait for the answers to what was asked."""
        self._stopped = True
        await asyncio.gather(*self._tasks)

    async def _repeat(self, kind: Callable[[str], Awaitable[None]]) -> None:
        number = 0
        while not self._stopped:
            name = f"{kind.__name__}-{number}"
            try:
                async with asyncio.timeout(_GIVE_UP_S):
                    await kind(name)
            except TimeoutError:
                self.broken.append(f"{name}: no answer within {_GIVE_UP_S:g} s")
            except Broken as error:
                self.broken.append(f"{name}: {error}")
            self.done[kind.__name__] += 1
            number += 1
            await asyncio.sleep(random.uniform(*_PAUSE_S))

    async def waiting(self, name: str) -> None:
        """A run whose answer is waited for."""
        text = f"{name} #tokens 20 #slow 10"
        self._expect(await self._ended(await self._begin(name, text, wait=True)), "token19")

    async def looking(self, name: str) -> None:
        """A run that is started, and looked at now and then."""
        self._expect(await self._ended(await self._begin(name, name, wait=False)), name)

    async def calculating(self, name: str) -> None:
        """A run that calls a tool."""
        self._expect(await self._ended(await self._begin(name, f"{name} {_TOOL}", wait=True)), "42")

    async def retried(self, name: str) -> None:
        """A run whose model fails at first."""
        self._expect(await self._ended(await self._begin(name, f"{name} #fail 1 500", wait=True)), name)

    async def stopped(self, name: str) -> None:
        """A run that is stopped in the middle."""
        run = await self._begin(name, f"{name} #tokens 200 #slow 50", wait=False)
        await asyncio.sleep(random.uniform(0, 1))
        await self._request("POST", f"/v1/runs/{run['id']}/cancel")
        ended = await self._ended(run)
        if ended["status"] != "CANCELLED":
            raise Broken(f"it is {ended['status']}")

    async def watching(self, name: str) -> None:
        """A run whose words are read as they come, over whatever breaks off."""
        run = await self._begin(name, f"{name} #tokens 30 #slow 20", wait=False)
        text: dict[str, str] = {}
        cursor = ""
        while True:
            with contextlib.suppress(httpx.HTTPError):
                async for event, data, number in self._events(run["id"], cursor):
                    cursor = number or cursor
                    if event == "token":
                        text[data["path"]] = text.get(data["path"], "") + data["text"]
                    elif event == "reset":
                        text.pop(data["path"], None)
                    elif event in ("done", "error"):
                        said = "".join(text.values())
                        if data["output"].split() != [f"token{number}" for number in range(30)]:
                            raise Broken(f"{event}: {data}")
                        if said != data["output"]:
                            raise Broken(f"the stream said {said!r}")
                        return
            await self._pause()

    async def event(self, name: str) -> None:
        """An event of another program, sent until it is taken."""
        headers = {"ce-specversion": "1.0", "ce-id": name, "ce-source": "/soak", "ce-type": "agents.start_run.v1"}
        body = {"agent": "concierge", "input": name}
        await self._request("POST", "/events/aw.agents", json=body, headers=headers)

    async def message(self, name: str) -> None:
        """A message in one of some conversations, and its reply."""
        thread = random.choice(self._threads) if len(self._threads) >= 10 else None
        while True:
            with contextlib.suppress(Unavailable):
                sent = await self._backend.chat.send(
                    self._caller, thread=thread, agent="concierge", text=name, client_id=name
                )
                break
            await self._pause()
        if thread is None:
            self._threads.append(sent.thread)
        while True:
            with contextlib.suppress(Unavailable):
                messages = await self._backend.chat.messages(self._caller, sent.thread, limit=20)
                if any(message.role == "assistant" and message.trigger == sent.trigger for message in messages):
                    return
            await asyncio.sleep(_AGAIN_S)

    def _expect(self, run: dict[str, Any], words: str) -> None:
        if run["status"] != "SUCCEEDED" or words not in run["output"]:
            raise Broken(f"it is {run['status']}: {run['output']!r} {run['error']}")

    async def _begin(self, key: str, text: str, *, wait: bool) -> dict[str, Any]:
        body = {"input": text, "wait": wait}
        headers = {"idempotency-key": key}
        return (await self._request("POST", "/v1/agents/concierge/runs", json=body, headers=headers)).json()

    async def _ended(self, run: dict[str, Any]) -> dict[str, Any]:
        while run["status"] not in _ENDED:
            await asyncio.sleep(_AGAIN_S)
            run = (await self._request("GET", f"/v1/runs/{run['id']}")).json()
        return run

    async def _request(self, method: str, path: str, **options: Any) -> httpx.Response:
        while True:
            with contextlib.suppress(httpx.TransportError):
                answer = await self._client.request(method, path, **options)
                if answer.is_success:
                    return answer
                if answer.status_code not in (httpx.codes.SERVICE_UNAVAILABLE, httpx.codes.BAD_GATEWAY):
                    raise Broken(f"{method} {path}: {answer.status_code} {answer.text}")
            await self._pause()

    async def _events(self, run: str, cursor: str) -> AsyncGenerator[tuple[str, dict[str, Any], str]]:
        headers = {"last-event-id": cursor} if cursor else {}
        fields: dict[str, str] = {}
        async with self._client.stream("GET", f"/v1/runs/{run}/events", headers=headers) as answer:
            if not answer.is_success:
                return
            async for line in answer.aiter_lines():
                if line:
                    name, _, value = line.partition(": ")
                    fields[name] = value
                    continue
                if "event" in fields:
                    yield fields["event"], json.loads(fields["data"]), fields.get("id", "")
                fields = {}

    async def _pause(self) -> None:
        self.again += 1
        await asyncio.sleep(_AGAIN_S)
