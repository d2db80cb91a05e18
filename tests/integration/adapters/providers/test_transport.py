"""AGT-8: the connections under a provider, against a server that answers byte by byte as it is told."""

import asyncio
import datetime
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_address
from pathlib import Path

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from backend.adapters.providers.library.transport import StreamTransport, behind_proxy

pytestmark = pytest.mark.integration

_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Server:
    """Counts connections and requests; answers each request as the test says."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.connections = 0
        self.requests: list[bytes] = []
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
                )
                self.requests.append(head + await reader.readexactly(length))
                await self.answer(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def _server(answer: Answer, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    made = Server(answer)
    listening = await asyncio.start_server(made.serve, "127.0.0.1", 0, ssl=tls)
    made.url = f"http{'s' if tls else ''}://127.0.0.1:{listening.sockets[0].getsockname()[1]}/"
    try:
        yield made
    finally:
        listening.close()


@asynccontextmanager
async def _client(
    tls: ssl.SSLContext | None = None, *, most: int = 10, keep_s: float = 60.0
) -> AsyncIterator[httpx2.AsyncClient]:
    transport = StreamTransport(max_connections=most, keep_alive_s=keep_s, tls=tls)
    async with httpx2.AsyncClient(transport=transport, timeout=httpx2.Timeout(5.0, pool=0.1)) as client:
        yield client


def _saying(*parts: bytes) -> Answer:
    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for part in parts:
            writer.write(part)
            await writer.drain()

    return answer


async def test_requests_one_after_the_other_share_a_connection() -> None:
    """AGT-8."""
    async with _server(_saying(_OK)) as server, _client() as client:
        for number in range(3):
            response = await client.post(server.url, content=f"body {number}")
            assert response.text == "ok"
    assert server.connections == 1
    assert [request.rpartition(b"\r\n")[2] for request in server.requests] == [b"body 0", b"body 1", b"body 2"]


async def test_what_one_read_brings_comes_as_one_part() -> None:
    """AGT-8."""
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    body = b"1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\n\r\n"
    async with (
        _server(_saying(head + body)) as server,
        _client() as client,
        client.stream("GET", server.url) as response,
    ):
        assert [part async for part in response.aiter_raw()] == [b"abc"]


async def test_bytes_behind_an_answer_are_not_taken_for_the_next_one() -> None:
    """AGT-8: or a broken server could put words into another turn's mouth."""
    async with (
        _server(_saying(_OK + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")) as server,
        _client() as client,
    ):
        for _ in range(3):
            assert (await client.get(server.url)).text == "ok"
    assert server.connections == 3


async def test_a_connection_that_was_closed_meanwhile_is_not_used_again() -> None:
    """AGT-8."""
    closed = asyncio.Semaphore(0)

    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(_OK)
        writer.close()
        await writer.wait_closed()
        closed.release()

    async with _server(answer) as server, _client() as client:
        for _ in range(3):
            assert (await client.get(server.url)).text == "ok"
            await asyncio.wait_for(closed.acquire(), 5)
            # The end is in the socket now; two turns of the loop bring it to the connection.
            await asyncio.sleep(0)
            await asyncio.sleep(0)
    assert server.connections == 3


async def test_an_old_connection_is_not_used_again() -> None:
    """AGT-8: servers and middle boxes forget connections without saying so."""
    async with _server(_saying(_OK)) as server, _client(keep_s=0.0) as client:
        for _ in range(2):
            await client.get(server.url)
    assert server.connections == 2


async def test_one_request_too_many_waits_and_is_then_refused() -> None:
    """AGT-8: bounded everywhere."""
    async with _server(_saying(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")) as server, _client(most=1) as client:
        async with client.stream("GET", server.url):
            with pytest.raises(httpx2.PoolTimeout):
                await client.get(server.url)
        with pytest.raises(httpx2.ReadTimeout):
            await client.get(server.url, timeout=httpx2.Timeout(0.1))


async def test_an_answer_that_is_left_gives_its_place_back() -> None:
    """AGT-8."""
    async with _server(_saying(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx")) as server, _client(most=1) as client:
        for _ in range(3):
            async with client.stream("GET", server.url):
                pass
    assert server.connections == 3


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (b"", httpx2.ReadError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx", httpx2.RemoteProtocolError),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", httpx2.RemoteProtocolError),
        (b"no http at all\r\n\r\n", httpx2.RemoteProtocolError),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", httpx2.RemoteProtocolError),
    ],
)
async def test_a_server_that_breaks_the_protocol_is_an_error(said: bytes, error: type[Exception]) -> None:
    """AGT-8."""

    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        writer.close()

    async with _server(answer) as server, _client() as client:
        with pytest.raises((error, httpx2.RemoteProtocolError)):
            await client.get(server.url)


async def test_a_large_answer_makes_its_sender_wait_and_arrives_whole() -> None:
    """AGT-8: what is not read does not fill the memory."""
    size = 20 * 1024 * 1024
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size
    async with _server(_saying(head, b"x" * size)) as server, _client() as client:
        assert len((await client.get(server.url)).content) == size


async def test_a_certificate_is_checked(tmp_path: Path) -> None:
    """AGT-8: the one that is trusted works, any other does not."""
    serving, trusting = _certificate(tmp_path)
    async with _server(_saying(_OK), serving) as server:
        async with _client(trusting) as client:
            assert (await client.get(server.url)).text == "ok"
        async with _client() as client:
            with pytest.raises(httpx2.ConnectError):
                await client.get(server.url)


def _certificate(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "stub")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = folder / "stub.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(file)
    return serving, ssl.create_default_context(cafile=str(file))


def test_a_proxy_of_the_machine_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    """AGT-8: then httpx's own transport is used, which knows proxies."""
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    assert not behind_proxy("https://api.openai.com/v1")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    assert behind_proxy("https://api.openai.com/v1")
    monkeypatch.setenv("NO_PROXY", "api.openai.com")
    assert not behind_proxy("https://api.openai.com/v1")
