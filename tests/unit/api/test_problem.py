from rynxs.api.problem import InvalidField, Problem, join, near, shown


def test_how_problems_read():
    assert str(Problem("spec.a", "is required")) == "spec.a: is required"
    assert str(Problem("", "is empty", "x")) == "is empty (did you mean 'x'?)"
    assert str(InvalidField("a", "no", "b")) == "a: no (did you mean 'b'?)"


def test_paths():
    assert join("", "spec") == "spec"
    assert join("spec", "rules") == "spec.rules"
    assert join("rules", "[1].when") == "rules[1].when"
    assert join("spec", "") == "spec"


def test_near_names():
    assert near("hots", ["hosts", "ports"]) == "hosts"
    assert near("zzz", ["hosts", "ports"]) == ""


def test_values_are_shown_short_and_on_one_line():
    assert shown("a\nb\u202e") == "'a\\nb\\u202e'"
    assert shown("x" * 100) == "'" + "x" * 61 + "...'"
