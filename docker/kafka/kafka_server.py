#!/usr/bin/env python3
"""Run Apache Kafka (one KRaft node) without Docker: for development and for tests. Standard library only.

    python docker/kafka/kafka_server.py --data DIR --port N [--version 3.7.2]

Prints ``kafka://host:port`` once the broker answers, and ends it on SIGTERM, SIGINT or the end of its parent. The jars
come from Maven Central the first time (54 MB) and stay in ``.tools/kafka``.
"""

import argparse
import base64
import contextlib
import ctypes
import fcntl
import hashlib
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / ".tools" / "kafka"
POM = Path(__file__).resolve().with_name("pom.xml")
MIN_JAVA = 17
# Before, a node that is alone is told so in its settings, and not when its folder is formatted.
FIRST_STANDALONE = (3, 9)
START_TIMEOUT_S = 90.0
STOP_TIMEOUT_S = 20.0
_PR_SET_PDEATHSIG = 1
_LIBC: ctypes.CDLL | None = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class KafkaToolError(RuntimeError):
    """The broker cannot run here; the message says what to do."""


class MissingTool(KafkaToolError):
    """Java or Maven is not installed."""


def java() -> str:
    """Return the path of a Java that is new enough; raise `MissingTool` otherwise."""
    found = shutil.which("java")
    if found is None:
        raise MissingTool(f"Apache Kafka needs Java {MIN_JAVA} or newer: install openjdk-17-jre-headless.")
    told = subprocess.run([found, "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "(\d+)', told)
    if version is None or int(version[1]) < MIN_JAVA:
        raise MissingTool(f"Apache Kafka needs Java {MIN_JAVA} or newer, but {found} says {told.splitlines()[:1]}.")
    return found


def libraries(tools: Path = TOOLS, version: str = "") -> Path:
    """Return the folder of jars, fetched by Maven once for each version of ``pom.xml`` and of Kafka."""
    folder = tools / f"libs-{hashlib.sha256(POM.read_bytes() + version.encode()).hexdigest()[:12]}"
    tools.mkdir(parents=True, exist_ok=True)
    with (tools / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            _fetch(folder, version)
    return folder


def _fetch(folder: Path, version: str) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise MissingTool("Fetching Apache Kafka needs Maven once: install maven (or set --libs to a folder of jars).")
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        command = [maven, "-q", "-B", "-f", str(POM), "dependency:copy-dependencies", f"-Dlibs={scratch}/libs"]
        command += [f"-Dkafka.version={version}"] if version else []
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise KafkaToolError(f"Maven could not fetch Apache Kafka:\n{(done.stdout + done.stderr)[-2000:]}")
        Path(scratch, "libs").rename(folder)


def free_port(host: str = "127.0.0.1") -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def _string(text: str) -> bytes:
    return struct.pack(">h", len(text)) + text.encode()


def _read(connection: socket.socket, size: int) -> bytes:
    chunks = b""
    while len(chunks) < size:
        chunk = connection.recv(size - len(chunks))
        if not chunk:
            raise ConnectionError("closed")
        chunks += chunk
    return chunks


def _take_string(data: bytes, at: int) -> tuple[str, int]:
    (length,) = struct.unpack_from(">h", data, at)
    end = at + 2 + max(length, 0)
    return data[at + 2 : end].decode(), end


def cluster_id(host: str, port: int, timeout_s: float = 2.0) -> str:
    """Ask the broker for its metadata (protocol version 4); raise `OSError` when it does not answer."""
    request = struct.pack(">hhi", 3, 4, 1) + _string("autoweave-launcher") + struct.pack(">ib", 0, 0)
    with socket.create_connection((host, port), timeout=timeout_s) as connection:
        connection.sendall(struct.pack(">i", len(request)) + request)
        (size,) = struct.unpack(">i", _read(connection, 4))
        data = _read(connection, size)
    (brokers,) = struct.unpack_from(">i", data, 8)
    at = 12
    for _ in range(brokers):
        _, at = _take_string(data, at + 4)
        _, at = _take_string(data, at + 4)
    # A broker that is still fenced is not in its own list yet: it would refuse topics.
    return _take_string(data, at)[0] if brokers else ""


def _die_with_parent() -> None:
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class KafkaServer:
    """One broker in a private folder; it keeps its ports and its data over `stop` or `kill` and `start`.

    Args:
        data: its folder; made when missing.
        port: where clients connect, 0 for a free one.
        controller_port: where the controller listens, 0 for a free one.
        host: the address to listen on and to tell clients.
        heap: Java's ``-Xmx``.
        settings: broker properties beside the launcher's own.
        libs: a folder of jars instead of ``.tools/kafka``.
        java_options: more options of Java.
        version: of Kafka, such as ``3.7.2``; that of ``pom.xml`` when empty.
        format_options: of the tool that formats a new folder, such as ``--add-scram``.
        voters: the controllers of a cluster of several, each ``host:port``; this server is the ``node``-th, from 1.
        cluster: the name of that cluster, the same for all its servers; 22 letters and digits.
    """

    def __init__(
        self,
        data: Path,
        *,
        port: int = 0,
        controller_port: int = 0,
        host: str = "127.0.0.1",
        heap: str = "512m",
        settings: Mapping[str, str] | None = None,
        libs: Path | None = None,
        java_options: Sequence[str] = (),
        version: str = "",
        format_options: Sequence[str] = (),
        voters: Sequence[str] = (),
        node: int = 1,
        cluster: str = "",
    ) -> None:
        self.data = data.resolve()
        self.host = host
        self.port = port or free_port(host)
        self._heap = heap
        self._settings = dict(settings or {})
        self._libs = libs
        self._java_options = tuple(java_options)
        self._version = version
        self._format_options = tuple(format_options)
        self._voters = tuple(voters)
        self._node = node
        self._cluster = cluster
        self._controller_port = controller_port or free_port(host)
        self._identity = ""
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        """``host:port``."""
        return f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """``kafka://host:port``."""
        return f"kafka://{self.bootstrap}"

    @property
    def pid(self) -> int | None:
        """The broker's process id while it runs."""
        return self._process.pid if self._process and self._process.poll() is None else None

    @property
    def log(self) -> Path:
        """What the broker printed."""
        return self.data / "server.log"

    def start(self, timeout_s: float = START_TIMEOUT_S) -> str:
        """Launch the broker and wait for it; return its URL."""
        self.launch()
        return self.wait_ready(timeout_s)

    def launch(self) -> None:
        """Start the process. Call it from the main thread: Linux ends the broker with the thread that started it."""
        if self.pid is not None:
            return
        program, libs = java(), self._libs or libraries(version=self._version)
        self.data.mkdir(parents=True, exist_ok=True)
        properties = self._write_properties()
        base = [program, f"-Xmx{self._heap}", *self._java_options, "-Dlog4j2.level=WARN", "-cp", f"{libs}/*"]
        self._identity = self._format(base, properties)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*base, "kafka.Kafka", str(properties)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.data,
                process_group=0,
                preexec_fn=_die_with_parent,
            )

    def wait_ready(self, timeout_s: float = START_TIMEOUT_S) -> str:
        """Return the URL once the broker answers and is checked to be this one; end it and raise otherwise."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if self.wait(0.1) is not None:
                raise KafkaToolError(f"Kafka ended while starting:\n{self._tail()}")
            if self._answers():
                return self.url
        self.kill()
        raise KafkaToolError(f"Kafka did not answer in time:\n{self._tail()}")

    def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> None:
        """End the broker in an orderly way, by force when that takes too long."""
        if self._process is None:
            return
        if self.pid is not None:
            self.proceed()
            self._process.terminate()
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End the broker by SIGKILL, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def freeze(self) -> None:
        """Stop the broker's process (SIGSTOP): it accepts connections, but answers nothing."""
        if (pid := self.pid) is not None:
            os.kill(pid, signal.SIGSTOP)
            # Its threads stop one by one: until the last has, it may still answer.
            os.waitid(os.P_PID, pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def proceed(self) -> None:
        """Let a frozen broker go on."""
        if self.pid is not None:
            os.kill(self.pid, signal.SIGCONT)

    def wait(self, timeout_s: float) -> int | None:
        """Return the exit code once the broker has ended, ``None`` after the time."""
        if self._process is None:
            return 0
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._process.wait(timeout_s)
        return None

    def _write_properties(self) -> Path:
        own = {
            "process.roles": "broker,controller",
            "node.id": str(self._node),
            "listeners": f"PLAINTEXT://{self.bootstrap},CONTROLLER://{self.host}:{self._controller_port}",
            "advertised.listeners": f"PLAINTEXT://{self.bootstrap}",
            "controller.listener.names": "CONTROLLER",
            **self._quorum(),
            "log.dirs": str(self.data / "log"),
            "auto.create.topics.enable": "false",
            "default.replication.factor": "1",
            "offsets.topic.replication.factor": "1",
            "offsets.topic.num.partitions": "4",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1",
            "group.initial.rebalance.delay.ms": "0",
            # After a crash it is let in again only when its last session is over.
            "broker.session.timeout.ms": "3000",
            "broker.heartbeat.interval.ms": "500",
        }
        path = self.data / "server.properties"
        path.write_text("".join(f"{name}={value}\n" for name, value in (own | self._settings).items()))
        return path

    @property
    def _standalone(self) -> bool:
        numbers = tuple(int(part) for part in self._version.split(".")[:2] if part.isdecimal())
        return not numbers or numbers >= FIRST_STANDALONE

    def _quorum(self) -> dict[str, str]:
        if self._voters:
            named = (f"{node}@{address}" for node, address in enumerate(self._voters, 1))
            return {"controller.quorum.voters": ",".join(named)}
        controller = f"{self.host}:{self._controller_port}"
        if self._standalone:
            return {"controller.quorum.bootstrap.servers": controller}
        return {"controller.quorum.voters": f"1@{controller}"}

    def _format(self, base: list[str], properties: Path) -> str:
        meta = self.data / "log" / "meta.properties"
        if not meta.exists():
            # Kafka reads a leading "-" as an option.
            identity = self._cluster or "A" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode()[1:22]
            command = [*base, "kafka.tools.StorageTool", "format", "-t", identity, "-c", str(properties)]
            command += [*(["--standalone"] if self._standalone and not self._voters else []), *self._format_options]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise KafkaToolError(f"Kafka could not format {self.data}:\n{(done.stdout + done.stderr)[-2000:]}")
        found = re.search(r"^cluster\.id=(.+)$", meta.read_text(), re.MULTILINE)
        if found is None:
            raise KafkaToolError(f"{meta} holds no cluster.id: give another --data folder.")
        return found[1].strip()

    def _answers(self) -> bool:
        try:
            answer = cluster_id(self.host, self.port)
        except (OSError, struct.error):
            return False
        if answer and answer != self._identity:
            self.kill()
            raise KafkaToolError(f"Another Kafka answers on {self.bootstrap}: give another --port.")
        return bool(answer)

    def _tail(self) -> str:
        return self.log.read_text(errors="replace")[-2000:] if self.log.exists() else "(no output)"


def _end(_number: int, _frame: FrameType | None) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    raise SystemExit(0)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Run Apache Kafka without Docker.")
    parser.add_argument("--data", type=Path, required=True, help="the broker's own folder")
    parser.add_argument("--port", type=int, default=9092, help="where clients connect; 0 takes a free port")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on")
    parser.add_argument("--heap", default="512m", help="Java's heap (-Xmx)")
    parser.add_argument("--libs", type=Path, help="a folder of jars instead of .tools/kafka")
    parser.add_argument("--version", default="", help="of Kafka; that of pom.xml by default")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a broker property")
    return parser.parse_args()


def main() -> int:
    """Run until told to end; return 0, or 1 with a message on stderr."""
    given = _arguments()
    settings = dict(entry.split("=", 1) for entry in given.set)
    server = KafkaServer(
        given.data,
        port=given.port,
        host=given.host,
        heap=given.heap,
        settings=settings,
        libs=given.libs,
        version=given.version,
    )
    parent = os.getppid()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    try:
        print(server.start(), flush=True)
        while os.getppid() == parent and server.wait(0.5) is None:
            pass
    except KafkaToolError as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        server.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
