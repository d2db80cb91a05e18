"""Lighthouse's four scores of a phone's visit to the production build: sign-in, chat and health.

``python -m tests.benchmarks.lighthouse [--times N]`` prints one line of JSON: medians of the scores, 0 to 100, and of
the largest paint. The browser is signed in as a person is, by its cookie. The floor is a page of one line, by Granian.
Target: above 90 in all four.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.async_api import async_playwright

from tests.benchmarks.stand import BROWSER_ARGUMENTS, Stand, chromium, standing, tell
from tests.fixtures.js_checks import NODE, installed
from tests.fixtures.processes import Running, free_port

CATEGORIES = ("performance", "accessibility", "best-practices", "seo")
_PAGES = ("/chat", "/admin/health")
_TARGET = 90
_LONGEST_S = 180


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Ask Lighthouse about the pages.")
    parser.add_argument("--times", type=int, default=3)
    times: int = parser.parse_args().times
    program = installed("lighthouse") / "cli" / "index.js"
    with (
        tempfile.TemporaryDirectory(prefix="aw-bench-") as folder,
        standing(Path(folder)) as stand,
        _bare(Path(folder)) as bare,
    ):
        pages = asyncio.run(_measure(stand, bare, program, Path(folder), times))
    floor = pages.pop("floor")
    lowest = min(pages[page]["performance"] for page in pages)
    ratio = round(lowest / floor["performance"], 2)
    figures = {"times": times, "pages": pages, "floor_bare_page": floor, "performance_ratio_to_floor": ratio}
    tell("lighthouse", figures | {"target_each": _TARGET, "met": _met(pages)})


def _met(pages: dict[str, dict[str, float]]) -> bool:
    return all(found[category] > _TARGET for found in pages.values() for category in CATEGORIES)


async def _measure(stand: Stand, bare: str, program: Path, folder: Path, times: int) -> dict[str, dict[str, float]]:
    """Visit the bare page and the sign-in page as a stranger, then the others signed in."""
    port = free_port()
    arguments = [*BROWSER_ARGUMENTS, f"--remote-debugging-port={port}"]
    async with async_playwright() as playwright:
        context = await playwright.chromium.launch_persistent_context(
            folder / "browser", executable_path=chromium(), args=arguments
        )
        try:
            found = {"floor": await _scores(program, port, bare, times)}
            found["/sign-in"] = await _scores(program, port, f"{stand.url}/sign-in", times)
            await context.add_cookies(stand.browser_cookies())  # pyright: ignore[reportArgumentType]
            for page in _PAGES:
                found[page] = await _scores(program, port, f"{stand.url}{page}", times)
        finally:
            await context.close()
    return found


async def _scores(program: Path, port: int, url: str, times: int) -> dict[str, float]:
    reports = [await asyncio.to_thread(_visit, program, port, url) for _ in range(times)]
    scores = {name: statistics.median(_score(each, name) for each in reports) for name in CATEGORIES}
    paint = statistics.median(each["audits"]["largest-contentful-paint"]["numericValue"] for each in reports)
    return scores | {"largest_paint_ms": round(paint)}


def _visit(program: Path, port: int, url: str) -> dict[str, Any]:
    command = [NODE, program, url, f"--port={port}", "--output=json", "--quiet", "--form-factor=mobile"]
    command.append(f"--only-categories={','.join(CATEGORIES)}")
    done = subprocess.run(
        command, env={**os.environ, "CI": "1"}, capture_output=True, text=True, timeout=_LONGEST_S, check=False
    )
    report = json.loads(done.stdout) if done.stdout else {}
    if done.returncode or "runtimeError" in report:
        raise RuntimeError(f"Lighthouse at {url}: {report.get('runtimeError') or done.stderr[-2000:]}")
    # A page that sent the visitor elsewhere is another page's score.
    if report["finalDisplayedUrl"].rstrip("/") != url.rstrip("/"):
        raise RuntimeError(f"{url} led to {report['finalDisplayedUrl']}.")
    return report


def _score(report: dict[str, Any], category: str) -> float:
    return round(report["categories"][category]["score"] * 100)


@contextmanager
def _bare(folder: Path) -> Generator[str]:
    """Serve the bare page."""
    port = free_port()
    command = [sys.executable, "-m", "granian", "--interface", "asgi", "--port", str(port)]
    granian = Running([*command, "tests.benchmarks.peers.bare:app"], folder)
    try:
        granian.wait_for("Started worker")
        yield f"http://127.0.0.1:{port}/"
    finally:
        granian.process.terminate()
        granian.end()


if __name__ == "__main__":
    main()
