import time

import pytest

from rynxs.api import document
from rynxs.api.document import MAX_DEPTH, MAX_DOCUMENTS, MAX_SIZE, MAX_VALUES, Unreadable


def values(text):
    return [(found.number, found.value) for found in document.read(text)]


def problem(text):
    """The one problem of a text."""
    problems = [str(found.problem) for found in document.read(text) if found.problem]
    assert len(problems) == 1
    return problems[0]


def test_documents_are_numbered_with_the_empty_ones():
    assert values("# a\n---\n---\na: 1\n---\n# nothing\n---\nb: [1, x]\n") == [
        (2, {"a": 1}),
        (4, {"b": [1, "x"]}),
    ]


@pytest.mark.parametrize("text", ["", "\n", "# x", "---\n---\n", "~", b"\xef\xbb\xbf"])
def test_nothing_is_no_document(text):
    assert values(text) == []


def test_quoted_scalars_are_strings():
    assert values("a: 'yes'\nb: \"1\"\nc: |-\n  010\n") == [(1, {"a": "yes", "b": "1", "c": "010"})]


def test_aliases_stand_for_their_values():
    assert values("a: &x [1]\nb: *x\nc: {k: *x}") == [(1, {"a": [1], "b": [1], "c": {"k": [1]}})]


def test_anchors_end_with_their_document():
    assert problem("a: &x 1\n---\nb: *x\n") == "b: line 3: alias *x has no anchor &x before it"


def test_a_bom_and_windows_line_ends_are_taken():
    assert values(b"\xef\xbb\xbfa: 1\r\nb: x\r\n") == [(1, {"a": 1, "b": "x"})]


BAD = {
    "a: 1\nb: 2\na: 3\n": "line 3: key 'a' is there twice (first in line 1)",
    "x: {k: 1, 'k': 2}": "x: line 1: key 'k' is there twice (first in line 1)",
    "a: {<<: {b: 1}}": "a: line 1: merge keys (<<) are not allowed: write the fields out",
    "on: 1": "line 1: key on is not a string: write it in quotes",
    "1: a": "line 1: key 1 is not a string: write it in quotes",
    "~: a": "line 1: key ~ is not a string: write it in quotes",
    "? [a]\n: b": "line 1: key a mapping or a list is not a string: write it in quotes",
    "a: !!str 1": "a: line 1: tag 'tag:yaml.org,2002:str' is not allowed: write the plain value",
    "a: !x {}": "a: line 1: tag '!x' is not allowed: write the plain value",
    "a: !!python/object/apply:os.system [ls]": (
        "a: line 1: tag 'tag:yaml.org,2002:python/object/apply:os.system' is not allowed: write the plain value"
    ),
    'a: "x\\0y"': "a: line 1: control character U+0000 is not allowed",
    'a: ["\\e[31m"]': "a[0]: line 1: control character U+001B is not allowed",
    "a: .inf": "a: line 1: .inf is not a number in JSON",
    "a: &x [*x]": "a[0]: line 1: alias *x is inside what it stands for",
    "a: 1\n\tb: 2": "is not YAML: line 2, column 1: found a tab character that violates indentation",
    "\ta": "is not YAML: line 1, column 1: found character that cannot start any token",
    "a: [": "is not YAML: line 2, column 1: did not find expected node content",
    "a: \x00": "is not YAML: control characters are not allowed",
    'a: "\\ud800"': "is not YAML: line 1, column 7: found invalid Unicode character escape code",
}


@pytest.mark.parametrize(("text", "message"), BAD.items())
def test_what_is_refused(text, message):
    assert problem(text) == message


def test_reading_goes_on_after_a_refused_document_but_not_after_what_is_no_yaml():
    found = list(document.read("a: 1\na: 2\n---\nb: 1\n---\nc: [\n---\nd: 1\n"))
    assert [(one.number, one.value, one.problem is None) for one in found] == [
        (1, None, False),
        (2, {"b": 1}, True),
        (3, None, False),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"\xff\xfea\x00", "is not UTF-8 text (at byte 0)"),
        (b"a: \x80", "is not UTF-8 text (at byte 3)"),
        ("a: \ud800", "is not UTF-8 text (at byte 3)"),
        (b"x" * 5_000_000, f"has 5000000 bytes, over the limit of {MAX_SIZE}: split it"),
        ("é" * MAX_SIZE, f"has {2 * MAX_SIZE} bytes, over the limit of {MAX_SIZE}: split it"),
    ],
)
def test_a_file_that_cannot_be_read_at_all(text, message):
    with pytest.raises(Unreadable) as error:
        list(document.read(text))
    assert str(error.value) == message


def nested(levels):
    return "[" * levels + "]" * levels


def test_the_depth_limit():
    assert len(values(nested(MAX_DEPTH))) == 1
    assert problem(nested(MAX_DEPTH + 1)).endswith("line 1: is nested more than 32 levels deep")


def test_aliases_do_not_get_around_the_depth_limit():
    text = "".join(f"a{i + 1}: &a{i + 1} [[[[*a{i}]]]]\n" for i in range(40))
    assert problem("a0: &a0 1\n" + text) == "a8[0][0][0][0]: line 9: is nested more than 32 levels deep"


def test_an_alias_bomb_is_refused_before_it_goes_off():
    bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n"
    bomb += "".join(f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(20))
    assert problem(bomb).endswith(f"the document has more than {MAX_VALUES} values, aliases followed")


def test_too_many_documents():
    message = f"is over the limit of {MAX_DOCUMENTS}: split the file"
    assert problem("--- 1\n" * (MAX_DOCUMENTS + 1)) == message


@pytest.mark.parametrize(
    "text",
    ["[" * 1_000_000, "{a: 1, a: " + "[" * 1_000_000, "- " * 500_000, "? " * 500_000, "{a: " * 250_000],
    ids=["lists", "lists after an error", "block lists", "keys", "mappings"],
)
def test_deep_nesting_costs_nothing(text):
    """Libyaml takes minutes for these when it is let."""
    before = time.process_time()
    assert list(document.read(text))[-1].problem is not None
    assert time.process_time() - before < 2
