import pytest

from rynxs.api.label import MAX_ANNOTATIONS, check_annotations, check_key, check_labels, check_value
from rynxs.api.problem import InvalidField


@pytest.mark.parametrize("key", ["a", "A-b_c.d", "rynxs.dev/role", "a.b-c/x", "x" * 63, "a/" + "x" * 63])
def test_keys(key):
    check_key(key, "labels")


@pytest.mark.parametrize(
    "key",
    ["", "/", "a/", "/a", "-a", "a-", "a b", "a/b/c", "A.B/c", "x" * 64, "a..b/c", "a\n", f"{'a.' * 127}a/x"],
)
def test_bad_keys(key):
    with pytest.raises(InvalidField, match=r"labels: .* is not a valid key"):
        check_key(key, "labels")


@pytest.mark.parametrize("value", ["", "a", "A.b_c-1", "x" * 63])
def test_values(value):
    check_value(value, "v")


@pytest.mark.parametrize("value", [" ", "a b", "-a", "a.", "x" * 64, "é", "a\n"])
def test_bad_values(value):
    with pytest.raises(InvalidField, match=r"labels.k: .* is not a valid label value"):
        check_labels({"k": value}, "labels")


def test_annotations_may_say_anything_up_to_a_size():
    check_annotations({"a": "x y\nz"}, "annotations")
    with pytest.raises(InvalidField, match=f"has {MAX_ANNOTATIONS + 1} bytes, over the limit of {MAX_ANNOTATIONS}"):
        check_annotations({"a": "x" * MAX_ANNOTATIONS}, "annotations")
