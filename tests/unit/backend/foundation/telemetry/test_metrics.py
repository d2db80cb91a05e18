"""Figures, their labels and their page."""

import re
from pathlib import Path

from prometheus_client import Counter, Histogram
from prometheus_client.parser import text_string_to_metric_families

from backend.foundation.telemetry import metrics

ROOT = Path(__file__).parents[5]
GUIDE = ROOT / "docs" / "guides" / "telemetry.md"


def test_every_metric_and_label_is_in_the_guide() -> None:
    """OBS-2."""
    guide = {line.split("|")[1].strip(" `"): line for line in GUIDE.read_text().splitlines() if line.startswith("| `")}
    for family in metrics.REGISTRY.collect():
        if not family.name.startswith("autoweave_"):
            continue
        name = f"{family.name}_total" if family.type == "counter" else family.name
        assert name in guide, f"{name} is missing in {GUIDE.name}"
        for label in {label for sample in family.samples for label in sample.labels} - {"le"}:
            assert f"`{label}`" in guide[name]


def test_every_metric_is_counted_somewhere() -> None:
    """OBS-1: one that stands at nothing for ever says that nothing happens."""
    declared = {name for name, value in vars(metrics).items() if isinstance(value, Counter | Histogram)}
    files = [file for file in (ROOT / "backend").rglob("*.py") if file != Path(metrics.__file__)]
    counted = re.findall(r"\b([A-Z_]+)\.(?:labels|inc|observe)\(", "\n".join(file.read_text() for file in files))
    assert declared - set(counted) == set()


def test_a_label_has_at_most_a_hundred_values() -> None:
    """OBS-1."""
    few = metrics.Few()
    shown = {few(f"tool{number}") for number in range(1_000)}
    assert len(shown) == 101
    assert few("tool3") == "tool3"
    assert few("tool999") == "other"


def test_what_was_never_counted_does_not_travel() -> None:
    """OBS-1."""
    metrics.BUS_EVENTS.labels("nobody", "dead").inc(0)
    sent = metrics.samples()
    assert not any(labels.get("consumer") == "nobody" for _, labels, _ in sent.get("autoweave_bus_events", ()))
    metrics.BUS_EVENTS.labels("somebody", "dead").inc(2)
    assert ("_total", {"consumer": "somebody", "result": "dead"}, 2.0) in metrics.samples()["autoweave_bus_events"]


def test_other_processes_stand_beside_this_one_and_hostile_labels_cannot_break_the_page() -> None:
    """API-2."""
    metrics.RUNS.labels("SUCCEEDED").inc()
    others = {
        "worker": {"autoweave_runs": [("_total", {"status": 'x"\n# HELP'}, 7.0)], "never_heard_of": [("", {}, 1.0)]}
    }
    page = metrics.exposition("web", others).decode()
    (runs,) = [family for family in text_string_to_metric_families(page) if family.name == "autoweave_runs"]
    assert {sample.labels["process"] for sample in runs.samples} == {"web", "worker"}
    assert [sample.value for sample in runs.samples if sample.labels["process"] == "worker"] == [7.0]
    assert "never_heard_of" not in page
