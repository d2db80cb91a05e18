"""Which changes of an AsyncAPI 3 document break who uses the old one. Pure: documents in, verdicts out.

An event once written is read for days, by readers of either version. So what was good must stay good (nothing becomes
narrower), and whoever listens must understand what is new (nothing becomes wider, except in messages that the
application only receives).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from backend.foundation.events.rules.parts import Document, items, joined, leaves, mapping
from backend.foundation.events.rules.schemas import Comparison, Difference
from backend.foundation.kernel.errors import Invalid


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change and the verdict on it; ``fix`` is empty where nothing breaks."""

    place: str
    change: str
    breaking: bool
    cause: str = ""
    fix: str = ""


class NotAsyncApi(Invalid):
    """The document cannot be compared."""

    code = "document_not_asyncapi"
    hint = "Give two AsyncAPI 3 documents, such as `autoweave spec asyncapi` prints."


_NEW_VERSION = "Leave this type as it is and add a new version of it (`….v2`) beside it."
_OPTIONAL = "Make it optional with a default, or add a new version of the type (`….v2`) beside the old one."
_KEEP = "Keep it; add the new one beside it and remove the old one when nobody uses it any more."


def compare(old: Any, new: Any) -> list[Change]:
    """Return every change that matters to who sends, listens or connects; the breaking ones first.

    Raises:
        NotAsyncApi: one of them is no AsyncAPI 3 document.
    """
    for name, document in (("old", old), ("new", new)):
        if not str(mapping(document).get("asyncapi", "")).startswith("3."):
            raise NotAsyncApi(f"The {name} document is not AsyncAPI 3.", field="asyncapi")
    found = _Documents(Document(mapping(old)), Document(mapping(new))).changes()
    return sorted(found, key=lambda one: (not one.breaking, one.place, one.change))


class _Documents:
    def __init__(self, old: Document, new: Document) -> None:
        self._old = old
        self._new = new
        self._schemas = Comparison(old, new)
        self._channel_names = _paired_channels(old, new)
        self._only_received = _only_received(old) & _only_received(new)

    def changes(self) -> Iterator[Change]:
        yield from self._servers()
        yield from self._channels()
        yield from self._operations()

    def _servers(self) -> Iterator[Change]:
        before, after = mapping(self._old.root.get("servers")), mapping(self._new.root.get("servers"))
        yield from _come_and_gone("servers", before, after, "server", "Who connects to it finds it no more.")
        for name in before.keys() & after.keys():
            old, new = self._old.expanded(before[name]), self._new.expanded(after[name])
            for part in ("protocol", "host", "pathname", "security"):
                yield from _facts(f"servers/{name}/{part}", mapping(old).get(part), mapping(new).get(part),
                                  "Who connects as before does not get in.")  # fmt: skip

    def _channels(self) -> Iterator[Change]:
        before, after = mapping(self._old.root.get("channels")), mapping(self._new.root.get("channels"))
        cause = "Who publishes there or listens to it is alone."
        renamed = {self._channel_names.get(name, name): channel for name, channel in before.items()}
        yield from _come_and_gone("channels", renamed, after, "channel", cause)
        for name in renamed.keys() & after.keys():
            yield from self._channel(name, renamed[name], after[name])

    def _channel(self, name: str, old: Any, new: Any) -> Iterator[Change]:
        place = f"channels/{name}"
        before, after = mapping(self._old.at(old)), mapping(self._new.at(new))
        yield from _facts(f"{place}/address", before.get("address", name), after.get("address", name), cause=
                          "Who publishes to the old address or listens there is alone.")  # fmt: skip
        for part, cause in (
            ("bindings", "Events of one key may come out of order, or on another topic."),
            ("parameters", "Who fills in the address as before gets another one."),
        ):
            yield from _facts(f"{place}/{part}", self._old.expanded(before.get(part)),
                              self._new.expanded(after.get(part)), cause)  # fmt: skip
        yield from self._channel_servers(place, before, after)
        sent, now = mapping(before.get("messages")), mapping(after.get("messages"))
        yield from _come_and_gone(f"{place}/messages", sent, now, "message", "Who sends it or waits for it is alone.")
        for message in sent.keys() & now.keys():
            yield from self._message(f"{place}/messages/{message}", (name, message), sent[message], now[message])

    def _channel_servers(self, place: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[Change]:
        after = _references(new.get("servers"))
        before = _references(old.get("servers")) or set(mapping(self._old.root.get("servers")))
        if after:
            for server in sorted(before - after):
                yield Change(place=f"{place}/servers", change=f"The channel is not on the server {server!r} any more.",
                             breaking=True, cause="Who uses it there finds it no more.", fix=_KEEP)  # fmt: skip

    def _message(self, place: str, name: tuple[str, str], old: Any, new: Any) -> Iterator[Change]:
        before, after = _with_traits(self._old, old), _with_traits(self._new, new)
        for part, default in (("name", None), ("contentType", "")):
            first, second = before.get(part, default), after.get(part, default)
            if part == "contentType":
                first = first or self._old.root.get("defaultContentType")
                second = second or self._new.root.get("defaultContentType")
            yield from _facts(f"{place}/{part}", first, second, "Readers tell by it how to read the event.")
        for part in ("correlationId", "x-partition-key"):
            yield from _facts(f"{place}/{part}", _bare(self._old.expanded(before.get(part))),
                              _bare(self._new.expanded(after.get(part))), "Events are told apart by it.")  # fmt: skip
        key, key_now = (_kafka_key(side, one) for side, one in ((self._old, before), (self._new, after)))
        yield from _facts(f"{place}/bindings/kafka/key", _bare(key), _bare(key_now),
                          "Events of one key may come out of order.")  # fmt: skip
        for part in ("headers", "payload"):
            yield from self._schema(f"{place}/{part}", name, before.get(part), after.get(part))

    def _schema(self, place: str, name: tuple[str, str], old: Any, new: Any) -> Iterator[Change]:
        before, after = self._old.at(old), self._new.at(new)
        if "schemaFormat" in mapping(before) or "schemaFormat" in mapping(after):
            formats = [mapping(one).get("schemaFormat") for one in (before, after)]
            yield from _facts(f"{place}/schemaFormat", *formats, cause="Readers tell by it how to read the event.")
            old, new = mapping(before).get("schema", before), mapping(after).get("schema", after)
        nothing = True
        pair = (nothing if old is None else old, nothing if new is None else new)
        for one in self._schemas.differences(*pair):
            yield _verdict(place, one, only_received=name in self._only_received)

    def _operations(self) -> Iterator[Change]:
        before, after = mapping(self._old.root.get("operations")), mapping(self._new.root.get("operations"))
        yield from _come_and_gone("operations", before, after, "operation", "Nobody sends or listens there any more.")
        for name in before.keys() & after.keys():
            yield from self._operation(f"operations/{name}", before[name], after[name])

    def _operation(self, place: str, old: Any, new: Any) -> Iterator[Change]:
        before, after = _with_traits(self._old, old), _with_traits(self._new, new)
        yield from _facts(
            f"{place}/action", before.get("action"), after.get("action"), "Sender and listener change sides."
        )
        channel, now = _last(before.get("channel")), _last(after.get("channel"))
        yield from _facts(f"{place}/channel", self._channel_names.get(channel, channel), now,
                          "The other side uses the old channel.")  # fmt: skip
        for part, cause in (
            ("reply", "Who asks waits for the old answer."),
            ("security", "Who is let in as before is not any more."),
            ("bindings", "Another consumer group begins anew, or the broker treats it otherwise."),
        ):
            yield from _facts(f"{place}/{part}", self._old.expanded(before.get(part)),
                              self._new.expanded(after.get(part)), cause)  # fmt: skip
        carried = _references(before.get("messages")) or _messages_of(self._old, channel)
        for message in sorted(carried - (_references(after.get("messages")) or _messages_of(self._new, now))):
            yield Change(place=f"{place}/messages", change=f"The message {message!r} is gone.", breaking=True,
                         cause="Who sends it or waits for it is alone.", fix=_KEEP)  # fmt: skip


def _verdict(place: str, one: Difference, *, only_received: bool) -> Change:
    where = joined(place, one.path)
    if one.harmless or (only_received and not one.narrows):
        return Change(place=where, change=one.words, breaking=False)
    cause = "Events sent as before, or kept on the topic, are refused." if one.narrows else (
        "Who listens with the old schema may not understand the new events."
    )  # fmt: skip
    return Change(
        place=where,
        change=one.words,
        breaking=True,
        cause=cause,
        fix=_OPTIONAL if "required" in one.words else _NEW_VERSION,
    )


def _come_and_gone(place: str, old: dict[str, Any], new: dict[str, Any], kind: str, cause: str) -> Iterator[Change]:
    for name in old.keys() - new.keys():
        yield Change(place=f"{place}/{name}", change=f"The {kind} is gone.", breaking=True, cause=cause, fix=_KEEP)
    for name in new.keys() - old.keys():
        yield Change(place=f"{place}/{name}", change=f"The {kind} is new.", breaking=False)


def _facts(place: str, old: Any, new: Any, cause: str) -> Iterator[Change]:
    """Judge values that are used as they stand: one that is new breaks nothing, another or none does."""
    if old == new or old is None:
        if old != new and place.endswith("/security"):
            yield Change(place=place, change="It is asked for now.", breaking=True, cause=cause, fix=_KEEP)
        elif old != new:
            yield Change(place=place, change="It is told now.", breaking=False)
        return
    before, after = dict(leaves(old)), dict(leaves(new))
    for path in sorted(before.keys() | after.keys()):
        was, now = before.get(path), after.get(path)
        if was == now or path.rpartition("/")[2] in ("description", "bindingVersion"):
            continue
        words = f"It is {now!r} instead of {was!r}." if path in before and path in after else f"It was {was!r}."
        where = joined(place, path)
        if path in before:
            yield Change(place=where, change=words, breaking=True, cause=cause, fix=_KEEP)
        else:
            yield Change(place=where, change=f"It is {now!r} now.", breaking=False)


def _paired_channels(old: Document, new: Document) -> dict[str, str]:
    """Return how channels are called now that had another name in the document, by their addresses."""
    before, after = mapping(old.root.get("channels")), mapping(new.root.get("channels"))
    names = {mapping(new.at(one)).get("address", name): name for name, one in after.items() if name not in before}
    addresses = {name: mapping(old.at(one)).get("address", name) for name, one in before.items() if name not in after}
    return {name: names[address] for name, address in addresses.items() if address is not None and address in names}


def _only_received(document: Document) -> set[tuple[str, str]]:
    """Return the messages, by channel and name, that the application receives and does not send."""
    by_action: dict[str, set[tuple[str, str]]] = {"send": set(), "receive": set()}
    for operation in mapping(document.root.get("operations")).values():
        told = _with_traits(document, operation)
        channel = _last(told.get("channel"))
        messages = _references(told.get("messages")) or _messages_of(document, channel)
        by_action.setdefault(str(told.get("action")), set()).update((channel, name) for name in messages)
    return by_action["receive"] - by_action["send"]


def _messages_of(document: Document, channel: str) -> set[str]:
    found = document.at(mapping(document.root.get("channels")).get(channel))
    return set(mapping(mapping(found).get("messages")))


def _with_traits(document: Document, value: Any) -> dict[str, Any]:
    """Return an object with what its traits bring; what it says itself counts."""
    own = mapping(document.at(value))
    merged: dict[str, Any] = {}
    for trait in items(own.get("traits")):
        merged = _merged(merged, mapping(document.at(trait)))
    return _merged(merged, own)


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    both = {name: _merged(mapping(below[name]), mapping(above[name])) for name in below.keys() & above.keys()
            if isinstance(below[name], dict) and isinstance(above[name], dict)}  # fmt: skip
    return {**below, **above, **both}


def _kafka_key(document: Document, message: dict[str, Any]) -> Any:
    return mapping(mapping(document.expanded(message.get("bindings"))).get("kafka")).get("key")


def _bare(value: Any) -> Any:
    """Return a value without the words about it."""
    return {name: part for name, part in mapping(value).items() if name != "description"} or value


def _references(value: Any) -> set[str]:
    return {_last(one) for one in items(value)}


def _last(reference: Any) -> str:
    """Return the name at the end of a reference."""
    return str(mapping(reference).get("$ref", "")).rpartition("/")[2].replace("~1", "/").replace("~0", "~")
