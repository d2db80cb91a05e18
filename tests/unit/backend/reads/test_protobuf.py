"""BUS-6: the numbers of Protobuf fields are for ever."""

import re

from backend.foundation.events.types import CATALOGUE
from backend.reads.protobuf import protobuf


def numbers(text: str, message: str) -> dict[str, int]:
    body = text.partition(f"message {message} {{\n")[2].partition("\n}")[0]
    return {name: int(number) for name, number in re.findall(r"(\w+) = (\d+) \[", body)}


def test_every_payload_has_a_message_with_all_its_fields() -> None:
    text = protobuf()
    for entry in CATALOGUE.values():
        assert set(numbers(text, entry.data.__name__)) == set(entry.data.__struct_fields__)


def test_what_was_written_is_kept_whatever_the_order_of_the_fields() -> None:
    text = protobuf()
    turned = text.replace("string run = 1 ", "string run = 40 ")
    again = protobuf(turned)
    assert numbers(again, "RunFinished")["run"] == 40
    assert protobuf(again) == again


def test_a_new_field_gets_a_number_that_no_field_has_had() -> None:
    without = re.sub(r"  optional string output = \d+ [^\n]*\n", "", protobuf())
    taken = set(numbers(without, "RunFinished").values())
    new = numbers(protobuf(without), "RunFinished")["output"]
    assert new == max(taken) + 1


def test_the_number_and_the_name_of_a_field_that_is_gone_are_reserved_for_ever() -> None:
    old = '  string old = 77 [json_name = "old"];'
    before = protobuf().replace("message RunFinished {\n", f"message RunFinished {{\n{old}\n")
    after = protobuf(before)
    assert '  reserved 77; // old\n  reserved "old";\n' in after
    assert protobuf(after) == after
    assert 77 not in numbers(after, "RunFinished").values()
