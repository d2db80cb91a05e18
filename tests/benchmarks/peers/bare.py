"""The least that answers: an ASGI application with a page of one line, for Granian to serve."""

from typing import Any

PAGE = (
    b'<!doctype html><html lang="en"><head><title>Bare</title><meta name="description" content="A bare page">'
    b'<meta name="viewport" content="width=device-width"></head><body><main><h1>Bare</h1></main></body></html>'
)


async def app(_scope: Any, _receive: Any, send: Any) -> None:
    headers = [(b"content-type", b"text/html; charset=utf-8")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": PAGE})
