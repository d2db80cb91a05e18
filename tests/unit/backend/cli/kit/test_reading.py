"""BUS-8: what is wrong with a spec is told with line, cause and fix; hostile text harms nobody."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.cli.kit.checking import load
from backend.cli.kit.project import project, sample
from backend.cli.kit.reading import MOST_BYTES

SAMPLE = sample()


def line_of(text: str, words: str) -> int:
    """The number of the first line that holds the words."""
    return next(number for number, line in enumerate(text.split("\n"), 1) if words in line)


def found(text: str) -> list[tuple[int, str]]:
    """Line and cause of what is wrong; each has a fix."""
    mesh, findings = load(text.encode())
    assert (mesh is None) == bool(findings)
    assert all(one.fix for one in findings)
    return [(one.line, one.cause) for one in findings]


def test_the_sample_is_good_and_has_comments() -> None:
    mesh, findings = load(SAMPLE.encode())
    assert findings == []
    assert mesh is not None
    assert "tea shop" in mesh.agents["reviewer"].instructions
    assert "# " in SAMPLE


def test_yaml_alone_will_do_and_line_ends_do_not_matter() -> None:
    front = SAMPLE.split("---\n")[1].replace("    fallback:", "    instructions: Decide.\n    fallback:")
    assert found(front) == []
    assert found("\ufeff" + SAMPLE.replace("\n", "\r\n")) == []


@pytest.mark.parametrize(
    ("old", "new", "at", "cause"),
    [
        ("name: order-mesh", "name: Order Mesh", "name: Order", "no name of small letters"),
        ("name: order-mesh", "name: ../../etc", "name: ../", "no name of small letters"),
        ("name: order-mesh", "name: asyncio", "name: asyncio", "the project needs"),
        ("version: 1.0.0", "version: 1", "version: 1", "no text"),
        ("consumes: [order.placed]", "consumes: [order.plcaed]", "consumes:", "no topic 'order.plcaed'"),
        ("consumes: [order.placed]", "consumes: [order.placed, order.placed]", "consumes:", "there twice"),
        ("    consumes: [order.placed]\n", "", "  reviewer:", "consumes nothing"),
        ("consumes: [order.placed]", "consumes: [order.decided]", "  reviewer:", "ever: reviewer -> reviewer"),
        ("    schema: Decision", "    schema: Nothing", "schema: Nothing", "no schema 'Nothing'"),
        ("    key: order_id\n\nagents", "    key: amount\n\nagents", "key: amount", "no required text of Decision"),
        ("  order.decided:", "  order.placed:", "  order.placed:\n", "there twice, first in line"),
        ("  order.decided:", "  dead.reviewer:", "  dead.reviewer:", "is reserved"),
        ("  shop:", "  class:", "  class:", "a reserved word"),
        ("  shop:", "  settings:", "  settings:", "a reserved word"),
        ("  shop:", "  null:", "  null:", "a reserved word"),
        ("  shop:", "  '../shop':", "  '../shop'", "no name of small letters"),
        ("kind: producer", "kind: wizard", "kind: wizard", "is none"),
        ("path: /order", "path: /../order", "path: /../", "no path"),
        ("path: /order", "path: /health", "path: /health", "is reserved"),
        ("quantity: {type: integer", "model_config: {type: integer", "model_config", "a reserved word"),
        ("quantity: {type: integer", "quantity: {type: integre", "quantity:", "no JSON Schema"),
        ("minimum: 1, maximum: 1000", "minimum: x", "quantity:", "no JSON Schema"),
        ("minimum: 1, maximum: 1000", "minimum: 10, maximum: 1", "quantity:", "Nothing lies between"),
        ("minimum: 1, maximum: 1000", "multipleOf: 2", "quantity:", "cannot be generated"),
        ("item: {type: string", "item: {type: string, pattern: '(?=x)y'", "item:", "every language reads alike"),
        ("item: {type: string", "item: {type: string, pattern: '^x$'", "item:", "does not fit"),
        ("examples: [Green tea]", "examples: ['']", "item:", "does not fit"),
        ("note: {type: string", "note: {$ref: '#/schemas/Gone'", "note:", "leads nowhere"),
        ("note: {type: string, maxLength: 1000, default: \"\"}", "note: {type: object}", "note:", "has no name"),
        ("enum: [model, rule]", "enum: [model]", "publishes: [order.decided]", "does not say whether the model"),
        ("accepted: false", "accepted: maybe", "accepted: maybe", "does not fit"),
        ("      accepted: false\n", "", "fallback:", "does not say 'accepted'"),
        ("description: Takes", "descripton: Takes", "descripton:", "says nothing to the spec"),
        ("## reviewer", "## shop", "## shop", "which has no model"),
        ("## reviewer", "## somebody", "  reviewer:", "Nothing tells the model"),
        ("  shop:", "  dict:", "  dict:", "a reserved word"),
        ("name: order-mesh", "name: build", "name: build", "the project needs"),
        ("minimum: 1, maximum: 1000", "minimum: 1, enum: [a]", "quantity:", "cannot be generated"),
        ("note: {type: string", "note: {type: string, enum: []", "note:", "each once"),
        ("note: {type: string", "note: {type: string, enum: [a, a]", "note:", "each once"),
        ("note: {type: string", "code: {type: string, pattern: '^x$', examples: []}\n      note: {type: string",
         "code:", "needs an example"),
        ("note: {type: string", "note: {type: string, minLength: 999999999", "note:", "more than 2000"),
        ("note: {type: string, maxLength: 1000, default: \"\"}", "note: {type: array, minItems: 10000000, "
         "items: {type: string}}", "note:", "more than 200"),
        ("maxLength: 1000", "maxLength: 1e9", "note:", "no whole number"),
        ("schemas:\n", "schemas:\n  Always: true\n", "  Always:", "is no mapping"),
        ("partitions: 6", "partitions: 1000000", "partitions:", "no number of partitions"),
        ("item: {type: string", "item: {type: string, default: \"\\0\"", "item:", "escaped control character"),
    ],
)  # fmt: skip
def test_an_error_has_line_cause_and_fix(old: str, new: str, at: str, cause: str) -> None:
    assert old in SAMPLE
    text = SAMPLE.replace(old, new, 1)
    causes = found(text)
    assert any(cause in one for _, one in causes), causes
    if at:
        line = line_of(text, at.rstrip("\n")) if not at.endswith("\n") else text.count("\n", 0, text.rindex(at)) + 1
        assert line in [number for number, one in causes if cause in one], causes


def test_topics_that_are_one_in_kafkas_metrics_are_refused() -> None:
    assert any("would have one name" in cause for _, cause in found(SAMPLE.replace("order.decided", "order_placed")))


def test_references_that_stand_for_gigabytes_are_refused_at_once() -> None:
    """Each schema holds the next one twice, or ten times."""
    began = time.process_time()
    twice = "{type: object, properties: {a: {$ref: '#/schemas/D%d'}, b: {$ref: '#/schemas/D%d'}}}"
    ten = "{type: object, properties: {a: {type: array, minItems: 10, items: {$ref: '#/schemas/D%d'}}}}"
    for form, count in ((twice, 20), (twice, 60), (ten, 12)):
        numbers = range(1, count)
        inner = "".join(f"  D{n}: {form.replace('%d', str(n + 1))}\n" for n in numbers)
        text = SAMPLE.replace("schemas:\n", f"schemas:\n{inner}  D{count}: {{type: object, properties: "
                              "{a: {type: string}}}\n", 1)  # fmt: skip
        causes = [cause for _, cause in found(text)]
        assert any("schemas deep" in one or "values at the least" in one for one in causes), causes
    assert time.process_time() - began < 10


def test_no_agent_has_the_name_of_the_function_that_runs_another() -> None:
    more = "  run_reviewer: {kind: worker, consumes: [order.decided]}\n"
    assert any("runs 'reviewer'" in one for _, one in found(SAMPLE.replace("  # Watches", more + "  # W")))


def test_circles_are_named() -> None:
    more = "  packer: {kind: worker, consumes: [order.decided], publishes: [order.placed]}\n"
    assert any(
        "reviewer -> packer -> reviewer" in one for _, one in found(SAMPLE.replace("  # Watches", more + "  # W"))
    )
    schemas = "  A: {type: object, required: [b], properties: {b: {$ref: '#/schemas/B'}}}\n"
    schemas += "  B: {type: object, required: [a], properties: {a: {$ref: '#/schemas/A'}}}\n"
    assert any("A -> B -> A" in one for _, one in found(SAMPLE.replace("schemas:\n", "schemas:\n" + schemas, 1)))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"- a",
        b"just words",
        b"a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n",
        b"!!python/object/apply:os.system ['true']",
        b"name: !!binary aGk=",
        b"<<: {name: a}",
        b"name: a\0b",
        b"name: \xff\xfe",
        b'name: "\\ud800"',
        b"a: b\n---\nc: d\n---\ne: f",
        b"[a]: b",
        b"[" * 200_000,
        b"a: " + b"{a: " * 50_000,
        b"- " * 100_000,
        b"? " * 100_000,
        b"\n".join(b" " * depth + b"a:" for depth in range(600)),
        b'name: "' + b"a " * 100_000,
        b"version: " + b"9" * 200_000,
        b"version: 1e999999",
        b"a" * 10_000_000,
    ],
    ids=range(21),
)
def test_hostile_text_is_refused_at_once(text: bytes) -> None:
    began = time.process_time()
    mesh, findings = load(text)
    assert mesh is None
    assert findings
    assert all(len(one.cause) < 400 and one.cause.isprintable() for one in findings)
    # A second or so is what the parser takes at most for as much text as it is given.
    assert time.process_time() - began < 10
    assert MOST_BYTES == 256 * 1024


def test_a_pattern_that_would_run_for_ever_is_tried_by_an_engine_that_does_not() -> None:
    evil = "item: {type: string, pattern: '^(a|a)*$', examples: ['" + "a" * 60 + "!']"
    began = time.process_time()
    assert any("does not fit" in cause for _, cause in found(SAMPLE.replace("item: {type: string", evil, 1).replace(
        ", maxLength: 200, examples: [Green tea]}", "}")))  # fmt: skip
    assert time.process_time() - began < 5


WORDS = st.sampled_from([
    "order.placed", "order.decided", "order_id", "Order", "Decision", "reviewer", "shop", "string", "integer", "object",
    "required", "properties", "kind", "producer", "reasoner", "worker", "publishes", "consumes", "fallback", "enum",
    "true", "null", "6", "-1", "1e9", "''", "[]", "{}", "[a]", "{a: b}", "class", "../x", "\u65e5", "type",
    "spec.changed",
])  # fmt: skip


@settings(deadline=None)
@given(st.lists(st.tuples(WORDS, WORDS, st.integers(0, 3)), min_size=1, max_size=4))
def test_whatever_is_written_is_refused_or_generates(changes: list[tuple[str, str, int]]) -> None:
    text = SAMPLE
    for old, new, skip in changes:
        parts = text.split(old)
        if len(parts) > skip + 1:
            text = old.join(parts[: skip + 1]) + new + old.join(parts[skip + 1 :])
    mesh, findings = load(text.encode())
    assert (mesh is None) == bool(findings)
    if mesh is not None:
        for path, file in project(mesh).items():
            if path.endswith(".py"):
                compile(file.text, path, "exec")
