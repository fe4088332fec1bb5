from typing import Annotated

import msgspec
import pytest
from msgspec import Meta, Struct

from rynxs.api.problem import InvalidField
from rynxs.api.shape import Misshapen, read


class Inner(Struct, forbid_unknown_fields=True, rename="camel"):
    some_text: Annotated[str, Meta(pattern="^[a-z]+$", max_length=5, min_length=1, extra={"valid": "letters"})]
    maybe: str | int | None = None
    checked: int = 0

    def __post_init__(self):
        if self.checked > 1:
            raise InvalidField("checked", "evil` - at `$.nowhere`", "1")


class Outer(Struct, forbid_unknown_fields=True):
    items: Annotated[list[Inner], Meta(max_length=4)] = []
    by_key: Annotated[dict[str, str], Meta(max_length=1)] = {}
    ratio: float = 1.0


def problems(value):
    with pytest.raises(Misshapen) as error:
        read(value, Outer)
    return [str(problem) for problem in error.value.problems]


def test_every_difference_is_found():
    wrong = {
        "items": [{"sometext": "a"}, {"someText": "A", "maybe": []}, 3],
        "by_key": {"k": True},
        "ratio": "x",
    }
    assert problems(wrong) == [
        "items[0].sometext: unknown field (did you mean 'someText'?)",
        "items[0].someText: is required",
        "items[1].someText: 'A' is not valid: letters",
        "items[1].maybe: expected a string or a number, got a list",
        "items[2]: expected a mapping, got 3",
        "by_key.k: expected a string, got true: write it in quotes",
        "ratio: expected a number, got 'x'",
    ]


def test_lengths():
    assert problems({"items": [{"someText": "abcdef"}]}) == ["items[0].someText: has 6 characters, over the limit of 5"]
    assert problems({"items": [{"someText": ""}]}) == ["items[0].someText: must not be empty"]
    assert problems({"items": [{"someText": "a"}] * 5}) == ["items: has 5 items, over the limit of 4"]
    assert problems({"by_key": {"a": "1", "b": "2"}}) == ["by_key: has 2 items, over the limit of 1"]


def test_a_line_end_does_not_slip_past_a_pattern():
    assert problems({"items": [{"someText": "a\n"}]}) == ["items[0].someText: 'a\\n' is not valid: letters"]


def test_what_a_struct_itself_refuses_gets_its_full_path():
    assert problems({"items": [{"someText": "a"}, {"someText": "a", "checked": 2}]}) == [
        "items[1].checked: evil` - at `$.nowhere` (did you mean '1'?)"
    ]


def test_null_and_whole_numbers():
    assert read({"items": [{"someText": "a", "maybe": None}], "ratio": 2}, Outer).ratio == 2.0


def test_msgspec_has_the_last_word():
    class Narrow(Struct):
        number: Annotated[int, Meta(ge=5)]

    with pytest.raises(Misshapen, match=r"Expected `int` >= 5 - at `\$.number`"):
        read({"number": 1}, Narrow)
    assert msgspec.convert({"number": 6}, Narrow).number == 6
