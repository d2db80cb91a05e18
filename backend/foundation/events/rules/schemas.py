"""What differs between two JSON Schemas: which values are refused now, and which are new."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from backend.foundation.events.rules.parts import Document, items, joined, mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One difference.

    Attributes:
        path: of the property, from the schema's root; empty for the root itself.
        words: what has changed, as a sentence.
        narrows: values that were good are refused.
        widens: values are good that were refused.
    """

    path: str
    words: str
    narrows: bool = False
    widens: bool = False

    @property
    def harmless(self) -> bool:
        """Whether the same values are good."""
        return not self.narrows and not self.widens


_TYPES = frozenset({"null", "boolean", "integer", "number", "string", "array", "object"})
_LOWER = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_UPPER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_ANYTHING = "anything"
_COUNTS = frozenset({"minLength", "minItems", "minProperties"})
_CHECKS = ("format", "pattern", "multipleOf", "contentEncoding", "contentMediaType")
_ANNOTATIONS = frozenset({
    "title", "description", "default", "example", "examples", "deprecated", "readOnly", "writeOnly", "externalDocs",
    "$comment", "$id", "$schema", "$defs", "definitions",
})  # fmt: skip
_JUDGED = frozenset({
    "type", "enum", "const", "required", "properties", "additionalProperties", "items", "uniqueItems", "anyOf", "allOf",
    *_LOWER, *_UPPER, *_CHECKS,
})  # fmt: skip


class Comparison:
    """Compares schemas of an old and a new document, in which their references lead."""

    def __init__(self, old: Document, new: Document) -> None:
        self._old = old
        self._new = new
        self._open: set[tuple[str, str]] = set()

    def differences(self, old: Any, new: Any, path: str = "") -> Iterator[Difference]:
        """Yield what differs; a keyword that is not understood counts as both narrower and wider when it changes."""
        pair = (_sign(old), _sign(new))
        if pair in self._open or pair == (_ANYTHING, _ANYTHING):
            return
        if all(pair):
            self._open.add(pair)
        try:
            yield from self._compare(self._old.at(old), self._new.at(new), path)
        finally:
            self._open.discard(pair)

    def _compare(self, old: Any, new: Any, path: str) -> Iterator[Difference]:
        if old is False or new is False:
            if old is not new:
                words = "Nothing was allowed here, now something is." if old is False else "Nothing is allowed here."
                yield Difference(path=path, words=words, narrows=new is False, widens=old is False)
            return
        before, after = mapping(old), mapping(new)
        for judge in (_type, _values, _bounds, _checks, _default):
            yield from judge(before, after, path)
        yield from self._properties(before, after, path)
        yield from self.differences(before.get("additionalProperties", True),
                                    after.get("additionalProperties", True), joined(path, "*"))  # fmt: skip
        yield from self._items(before, after, path)
        for keyword in ("anyOf", "allOf"):
            yield from self._branches(keyword, before, after, path)
        yield from self._others(before, after, path)

    def _properties(self, old: Mapping[str, Any], new: Mapping[str, Any], path: str) -> Iterator[Difference]:
        before, after = mapping(old.get("properties")), mapping(new.get("properties"))
        needed, needs = (set(map(str, items(one.get("required")))) for one in (old, new))
        for name in before | after:
            place = joined(path, name)
            if name in before and name in after:
                yield from self.differences(before[name], after[name], place)
            elif name in after and name in needed:
                yield from self.differences(old.get("additionalProperties", True), after[name], place)
            elif name in after:
                yield from self._added(old.get("additionalProperties", True), after[name], place, name in needs)
            else:
                # Whoever reads it finds it no more, even where it may still be sent.
                yield Difference(path=place, words="The property is gone.", narrows=True, widens=True)
        for name in sorted(needs - needed):
            words = "The property is required now." if name in before else "The property is new and required."
            yield Difference(path=joined(path, name), words=words, narrows=True)
        for name in sorted((needed - needs) - (before.keys() - after.keys())):
            yield Difference(path=joined(path, name), words="The property is not required any more.", widens=True)

    def _added(self, others: Any, schema: Any, place: str, needed: bool) -> Iterator[Difference]:
        # Where any other property was allowed, nobody reads what he does not know.
        if self._old.at(others) not in (True, {}):
            yield from self.differences(others, schema, place)
        elif not needed:
            yield Difference(path=place, words="The property is new, and optional.")

    def _items(self, old: Mapping[str, Any], new: Mapping[str, Any], path: str) -> Iterator[Difference]:
        before, after = old.get("items", True), new.get("items", True)
        if isinstance(before, list) or isinstance(after, list):
            if self._old.expanded(before) != self._new.expanded(after):
                yield _unjudged("items", path)
        else:
            yield from self.differences(before, after, joined(path, "[]"))
        if bool(old.get("uniqueItems")) != bool(new.get("uniqueItems")):
            unique = bool(new.get("uniqueItems"))
            words = "Values may not repeat any more." if unique else "Values may repeat now."
            yield Difference(path=path, words=words, narrows=unique, widens=not unique)

    def _branches(
        self, keyword: str, old: Mapping[str, Any], new: Mapping[str, Any], path: str
    ) -> Iterator[Difference]:
        if keyword not in old and keyword not in new:
            return
        # Each branch of allOf is one more condition, each of anyOf one more way; without any, all is good.
        conditions = keyword == "allOf" or keyword not in old or keyword not in new
        gone, come = items(old.get(keyword)), items(new.get(keyword))
        # Each pair once: branches hold branches, and doing it again at each level would double the work as often.
        found = [[list(self.differences(branch, other, path)) for other in come] for branch in gone]
        left, free = list[int](), list(range(len(come)))
        for number, row in enumerate(found):
            like = next((other for other in free if all(one.harmless for one in row[other])), None)
            if like is None:
                left.append(number)
            else:
                free.remove(like)
                yield from row[like]
        if len(left) == len(free) == 1:
            yield from found[left[0]][free[0]]
        elif left or free:
            narrows, widens = (bool(free), bool(left)) if conditions else (bool(left), bool(free))
            words = f"The branches of {keyword} are others: {len(left)} gone, {len(free)} new."
            yield Difference(path=path, words=words, narrows=narrows, widens=widens)

    def _others(self, old: Mapping[str, Any], new: Mapping[str, Any], path: str) -> Iterator[Difference]:
        for keyword in sorted((old.keys() | new.keys()) - _JUDGED - _ANNOTATIONS):
            if not keyword.startswith("x-") and self._old.expanded(old.get(keyword)) != self._new.expanded(
                new.get(keyword)
            ):
                yield _unjudged(keyword, path)


def _sign(schema: Any) -> str:
    """Return what a schema is known by when it is met again below itself."""
    return str(mapping(schema).get("$ref", "")) if schema not in (True, {}) else _ANYTHING


def _unjudged(keyword: str, path: str) -> Difference:
    return Difference(path=path, words=f"`{keyword}` has changed, which cannot be judged.", narrows=True, widens=True)


def _type(old: Mapping[str, Any], new: Mapping[str, Any], path: str) -> Iterator[Difference]:
    before, after = _types(old), _types(new)
    if before != after:
        words = f"The type is {_named(after)} instead of {_named(before)}."
        yield Difference(path=path, words=words, narrows=not before <= after, widens=not after <= before)


def _types(schema: Mapping[str, Any]) -> frozenset[str]:
    told = schema.get("type", list(_TYPES))
    names = frozenset({told} if isinstance(told, str) else map(str, items(told)))
    return names | {"integer"} if "number" in names else names


def _named(types: frozenset[str]) -> str:
    if types >= _TYPES:
        return "anything"
    return " or ".join(sorted(types - {"integer"} if "number" in types else types))


def _values(old: Mapping[str, Any], new: Mapping[str, Any], path: str) -> Iterator[Difference]:
    before, after = _allowed(old), _allowed(new)
    if before == after:
        return
    if before is None or after is None:
        words = "Only listed values are good now." if before is None else "Any value is good now, not only listed ones."
        yield Difference(path=path, words=words, narrows=before is None, widens=after is None)
        return
    for keyword, values in (("gone", before - after), ("new", after - before)):
        if values:
            words = f"Values are {keyword}: {', '.join(sorted(values))}."
            yield Difference(path=path, words=words, narrows=keyword == "gone", widens=keyword == "new")


def _allowed(schema: Mapping[str, Any]) -> frozenset[str] | None:
    lists = [[schema["const"]]] if "const" in schema else []
    lists += [items(schema["enum"])] if "enum" in schema else []
    sets = [frozenset(msgspec.json.encode(one, order="deterministic").decode() for one in values) for values in lists]
    return frozenset[str].intersection(*sets) if sets else None


def _bounds(old: Mapping[str, Any], new: Mapping[str, Any], path: str) -> Iterator[Difference]:
    for keyword in (*_LOWER, *_UPPER):
        none: Any = 0 if keyword in _COUNTS else None
        before, after = old.get(keyword, none), new.get(keyword, none)
        if before == after and type(before) is type(after):
            continue
        if not all(_is_number(bound) for bound in (before, after) if bound is not None):
            yield _unjudged(keyword, path)
            continue
        stricter = after is not None and (before is None or (after > before) == (keyword in _LOWER))
        if before != after:
            words = f"`{keyword}` is {_bound(after)} instead of {_bound(before)}."
            yield Difference(path=path, words=words, narrows=stricter, widens=not stricter)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _bound(value: Any) -> str:
    return "open" if value is None else str(value)


def _checks(old: Mapping[str, Any], new: Mapping[str, Any], path: str) -> Iterator[Difference]:
    for keyword in _CHECKS:
        before, after = old.get(keyword), new.get(keyword)
        if before != after:
            words = f"`{keyword}` is {_bound(after)} instead of {_bound(before)}."
            yield Difference(path=path, words=words, narrows=after is not None, widens=before is not None)


def _default(old: Mapping[str, Any], new: Mapping[str, Any], path: str) -> Iterator[Difference]:
    if old.get("default") != new.get("default"):
        yield Difference(path=path, words="The default is another; the values that are good are the same.")
