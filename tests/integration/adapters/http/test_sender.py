"""BUS-9: a webhook reaches the address that was checked and no other, and no receiver can hold it up.

Name servers are not ours: what they say is put in their place; all else is real sockets.
"""

import asyncio
import datetime
import ipaddress
import socket
import ssl
import time
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from backend.adapters.http import sender as module
from backend.adapters.http.sender import HttpWebhookSender
from backend.domain.webhooks.errors import AddressRefused, NotDelivered, WebhookUrlInvalid
from backend.domain.webhooks.rules.addresses import Allowed, allowed
from tests.fixtures.receiver import STALL, Receiver, answer, ended

pytestmark = pytest.mark.integration

HERE = allowed(["127.0.0.0/8"], http=True)
NAME = "hooks.example.org"


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Let a name lead to these addresses, one list a question; return who was asked for."""
    asked: list[str] = []

    def leads_to(*answers: list[str]) -> list[str]:
        left = list(answers)

        def look_up(host: str, port: int, **_: Any) -> list[Any]:
            asked.append(host)
            found = left.pop(0) if len(left) > 1 else left[0]
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

        monkeypatch.setattr("backend.adapters.http.checked.socket.getaddrinfo", look_up)
        return asked

    return leads_to


@pytest_asyncio.fixture
async def sender() -> AsyncGenerator[HttpWebhookSender]:
    made = HttpWebhookSender(HERE, connect_s=1, whole_s=2)
    yield made
    await made.close()


async def test_what_is_sent_arrives_as_it_is_and_the_answer_comes_back(
    sender: HttpWebhookSender, receiver: Receiver
) -> None:
    receiver.answers.append(answer(202, b"taken", retry_after="7"))
    said = await sender.post(receiver.url, {"webhook-id": "whd_1"}, b'{"a": 1}')
    assert (said.status, said.body, said.retry_after) == (202, b"taken", "7")
    [request] = receiver.requests
    assert (request.id, request.body) == ("whd_1", b'{"a": 1}')
    assert request.headers["host"] == f"127.0.0.1:{receiver.port}"


@pytest.mark.parametrize(
    "addresses",
    [["10.0.0.1"], ["169.254.169.254"], ["::ffff:127.0.0.1"], ["2002:7f00:1::"], ["8.8.8.8", "127.0.0.1"], ["0.0.0.0"]],
)
async def test_a_name_that_leads_to_a_private_address_is_not_connected_to(
    receiver: Receiver, names: Callable[..., list[str]], addresses: list[str]
) -> None:
    names(addresses)
    strict = HttpWebhookSender(Allowed(http=True))
    with pytest.raises(AddressRefused) as refused:
        await strict.post(f"http://{NAME}:{receiver.port}/", {}, b"")
    assert not any(address in refused.value.message for address in addresses)
    assert receiver.connections == 0


async def test_a_name_that_changes_its_mind_after_the_check_plays_no_part(
    receiver: Receiver, names: Callable[..., list[str]]
) -> None:
    """The first answer is what is checked and connected to; nobody asks a second time."""
    asked = names(["127.0.0.1"], ["10.0.0.1"])
    good = HttpWebhookSender(HERE)
    assert (await good.post(f"http://{NAME}:{receiver.port}/", {}, b"")).status == 204
    assert asked == [NAME]
    assert receiver.requests[0].headers["host"] == f"{NAME}:{receiver.port}"


@pytest.mark.parametrize("url", ["http://127.1:{port}/", "http://2130706433:{port}/", "http://0x7f.1:{port}/"])
async def test_an_address_in_disguise_is_seen_through(receiver: Receiver, url: str) -> None:
    with pytest.raises((AddressRefused, NotDelivered)):
        await HttpWebhookSender(Allowed(http=True)).post(url.format(port=receiver.port), {}, b"")
    assert receiver.connections == 0


async def test_what_is_no_longer_allowed_is_not_sent(receiver: Receiver) -> None:
    with pytest.raises(WebhookUrlInvalid):
        await HttpWebhookSender(Allowed()).post(receiver.url, {}, b"")


async def test_a_redirect_is_not_followed(sender: HttpWebhookSender, receiver: Receiver) -> None:
    receiver.answers.append(answer(307, location=receiver.url + "/elsewhere"))
    assert (await sender.post(receiver.url, {}, b"")).status == 307
    assert len(receiver.requests) == 1


async def test_a_proxy_of_the_environment_is_not_asked(
    sender: HttpWebhookSender, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert (await sender.post(receiver.url, {}, b"")).status == 204


async def test_no_more_of_an_answer_is_read_than_is_kept(sender: HttpWebhookSender, receiver: Receiver) -> None:
    receiver.answers.append(answer(500, b"x" * 5_000_000))
    assert (await sender.post(receiver.url, {}, b"")).body == b"x" * module.KEPT_BYTES


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (STALL, "within 2 s"),
        (b"", "HTTP"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "HTTP"),
        (b"HTTP/1.1 200 OK\r\n" + b"x-y: z\r\n" * 50_000 + b"\r\n", "HTTP"),
        (b"HTTP/1.1 999999 OK\r\n\r\n", "HTTP"),
    ],
)
async def test_a_receiver_that_misbehaves_is_a_failure_in_time(
    sender: HttpWebhookSender, receiver: Receiver, said: bytes, words: str
) -> None:
    receiver.answers.append(said)
    began = time.monotonic()
    with pytest.raises(NotDelivered, match=words):
        await sender.post(receiver.url, {}, b"")
    assert time.monotonic() - began < 10


async def test_a_body_that_never_ends_does_not_hold_anybody_up(sender: HttpWebhookSender) -> None:
    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
        try:
            while True:
                writer.write(b".")
                await writer.drain()
                await asyncio.sleep(0.05)
        except ConnectionError:
            writer.close()

    server = await asyncio.start_server(trickle, "127.0.0.1", 0)
    try:
        with pytest.raises(NotDelivered, match="within 2 s"):
            await sender.post(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", {}, b"")
    finally:
        await ended(server)


async def test_a_name_that_leads_nowhere_and_a_port_where_nobody_listens_are_told(
    sender: HttpWebhookSender, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(NotDelivered, match="No connection"):
        await sender.post(f"http://127.0.0.1:{port}/", {}, b"")

    def nowhere(*_: Any, **__: Any) -> None:
        raise socket.gaierror("Name or service not known")

    monkeypatch.setattr("backend.adapters.http.checked.socket.getaddrinfo", nowhere)
    with pytest.raises(NotDelivered, match="leads nowhere"):
        await sender.post("http://no.example.org/", {}, b"")


@pytest.mark.parametrize(("name", "good"), [(NAME, True), ("other.example.org", False)])
async def test_tls_is_checked_against_the_name_and_not_the_address(
    names: Callable[..., list[str]], tmp_path: Path, name: str, good: bool
) -> None:
    names(["127.0.0.1"])
    authority, context = certified(tmp_path, NAME)
    receiver = Receiver()
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0, ssl=context)
    url = f"https://{name}:{server.sockets[0].getsockname()[1]}/"
    trusting = HttpWebhookSender(allowed(["127.0.0.0/8"], http=False), authorities=str(authority))
    wary = HttpWebhookSender(allowed(["127.0.0.0/8"], http=False))
    try:
        with pytest.raises(NotDelivered, match="certificate"):
            await wary.post(url, {}, b"")
        if good:
            assert (await trusting.post(url, {}, b"")).status == 204
        else:
            with pytest.raises(NotDelivered, match="certificate"):
                await trusting.post(url, {}, b"")
    finally:
        await ended(server)
    assert len(receiver.requests) == int(good)


def certified(folder: Path, name: str) -> tuple[Path, ssl.SSLContext]:
    """Return the certificate of a name, signed by itself, and a server's context with it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    names_of = x509.SubjectAlternativeName([x509.DNSName(name), x509.IPAddress(ipaddress.ip_address("192.0.2.1"))])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(names_of, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate, secret = folder / "cert.pem", folder / "key.pem"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, secret)
    return certificate, context
