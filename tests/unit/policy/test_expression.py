import subprocess
import sys
import textwrap

import pytest

from rynxs.policy.expression import CompileError, Environment, EvaluationError

ENVIRONMENT = Environment(
    {
        "action.tool": "string",
        "action.args.argv": "list(string)",
        "action.args.timeout": "double",
        "action.args.recursive": "bool",
        "action.args.limit": "int",
        "agent.labels": "map(string, string)",
        "principal.groups": "list(string)",
    }
)
VALUES = {
    "action.tool": "shell_exec",
    "action.args.argv": ["git", "push"],
    "action.args.timeout": 60.0,
    "action.args.recursive": False,
    "action.args.limit": 3,
    "agent.labels": {"role": "coder"},
    "principal.groups": [],
}


def evaluate(source, **more):
    return ENVIRONMENT.compile(source).evaluate(ENVIRONMENT.bind(VALUES | more))


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("true", True),
        ("false", False),
        ('action.args.argv[0] in ["git", "ls"]', True),
        ('action.args.argv.exists(a, a == "--force")', False),
        ('action.args.argv[0] == "git" && action.args.argv.size() > 1', True),
        ("action.args.timeout <= 60.0", True),
        ("action.args.recursive", False),
        ('agent.labels.role == "coder"', True),
        ('agent.labels["role"].matches("^co")', True),
        ('"leads" in principal.groups', False),
        ('action.tool.matches("^(" + action.tool + ")$")', True),
        ("has(agent.labels.role) && !has(agent.labels.team)", True),
        ("has( // the role\n  agent.labels.role)", True),
        ('"has(action.tool)" == "has(" + "action.tool)"', True),
        ('false && action.args.argv[7] == "x"', False),
    ],
)
def test_expressions(source, value):
    assert evaluate(source) is value


@pytest.mark.parametrize(
    ("source", "line", "column", "reason", "suggestion"),
    [
        ('acton.tool == "x"', 1, 6, "undeclared reference to 'acton'", "action"),
        ('action.args.agv[0] == "x"', 1, 12, "undeclared reference to 'action.args.agv'", "action.args.argv"),
        ('action.args.path == "x"', 1, 12, "undeclared reference to 'action.args.path'", ""),
        ('action.tol == "x"', 1, 7, "undeclared reference to 'action.tol'", "action.tool"),
        ("action.args == 1", 1, 7, "undeclared reference to 'action.args'", ""),
        ('action.tool.strtsWith("a")', 1, 22, "undeclared reference to 'strtsWith'", "startsWith"),
        ("true &&\n  nope", 2, 3, "undeclared reference to 'nope'", ""),
        ("1 +", 1, 4, "syntax error: unexpected end", ""),
        ("true\n false", 2, 2, "syntax error: unexpected 'false'", ""),
        ('action.args.argv == "rm"', 1, 18, "'==' does not take (list(string), string)", ""),
        (
            "action.args.timeout > 5",
            1,
            21,
            "'>' does not take (double, int): write the number with a point, as 5.0",
            "",
        ),
        ("1", 1, 1, "gives int, and must give bool", ""),
        ("dyn(true)", 1, 1, "gives dyn, and must give bool", ""),
        ("null", 1, 1, "gives null, and must give bool", ""),
        ('true ||\n "".matches("(")', 2, 13, "invalid regular expression: missing ): (", ""),
        ("(" * 100 + "true" + ")" * 100, 1, 1, "Expression recursion limit exceeded. limit: 32", ""),
    ],
)
def test_what_does_not_compile(source, line, column, reason, suggestion):
    with pytest.raises(CompileError) as error:
        ENVIRONMENT.compile(source)
    found = error.value
    assert (found.line, found.column, found.reason, found.suggestion) == (line, column, reason, suggestion)


@pytest.mark.parametrize(
    "source",
    [
        "has(action.args.recursive)",
        "has((action.args).recursive)",
        "has((action.args.recursive))",
        "has(action.args.`recursive`)",
        "has(.action.args.recursive)",
        ".has(action.args.recursive)",
        "has /* */ (action.args.recursive)",
        "true || has (\n action . args . recursive )",
        '"\'" == "\'" && has(action.args.recursive) && "\'" == "\'"',
        "r'\\' == r'\\' && has(action.args.recursive) && r'\\' == r'\\'",
        "'''it's''' == '' && has(action.args.recursive)",
        "has(dyn({}).a)",
        "has({'a': 1}.a)",
    ],
)
def test_has_asks_for_a_key_of_a_map_only(source):
    """`has(action.args.recursive)` would be its value: false for an argument that is there."""
    with pytest.raises(CompileError):
        ENVIRONMENT.compile(source)


def test_has_says_what_it_may_ask():
    with pytest.raises(CompileError, match=r"has\(\) asks for a key of a map: has\(agent\.labels\.KEY\)"):
        ENVIRONMENT.compile("has(action.args.recursive)")


@pytest.mark.parametrize(
    ("source", "more", "message"),
    [
        ('action.args.argv[7] == "x"', {}, "Index error: index=7 size=2"),
        ('agent.labels.team == "x"', {}, 'Key not found in map : "team"'),
        ("1 / 0 == 1", {}, "divide by zero"),
        (
            "action.tool.matches(action.args.argv[0])",
            {"action.args.argv": ["("]},
            "invalid regular expression: missing ): (",
        ),
        ("action.args.argv.all(a, true)", {"action.args.argv": ["x"] * 20_000}, "Iteration budget exceeded"),
        (
            "action.args.argv.all(a, action.args.argv.all(b, a == b))",
            {"action.args.argv": ["x"] * 2_000},
            "Iteration budget exceeded",
        ),
        ('action.tool == "x"', {"action.tool": 5}, "Unexpected value type for 'action.tool': int. (Expected STRING)"),
        ('action.tool == "x"', {"action.tool": "\ud800"}, "basic_string: construction from null is not valid"),
        ("action.args.limit == 1", {"action.args.limit": 2**63}, "int too big to convert"),
    ],
)
def test_what_gives_no_boolean(source, more, message):
    with pytest.raises(EvaluationError) as error:
        evaluate(source, **more)
    assert str(error.value) == message


def test_a_value_that_is_not_bound_is_an_error():
    with pytest.raises(EvaluationError, match=r'No value with name "action\.tool" found'):
        ENVIRONMENT.compile('action.tool == "x"').evaluate(ENVIRONMENT.bind({}))


FUZZ = textwrap.dedent("""
    import random
    from rynxs.policy.expression import CompileError, Environment, EvaluationError

    environment = Environment({"a.b": "list(string)", "a.m": "map(string, string)", "s": "string", "n": "int"})
    values = {"a.b": ["x", "é"] * 20, "a.m": {"k": "v"}, "s": "text", "n": -(2**63)}
    words = ["a.b", "a.m", "s", "n", "has(", "(", ")", "[", "]", "{", "}", ".", ",", ":", "?", "!", "-", "+", "*",
             "/",
             "%", "==", "<", ">=", "&&", "||", "in", "'", '"', "'x'", "b'x'", "r'(", "1", "1u",
             "9223372036854775807",
             "1e999", "0x", "true", "null", ".matches(", ".exists(x, ", ".map(x, ", "size(", "x", "dyn(", "timestamp(",
             "duration('1s')", "\\\\", "\\u00e9", "\\U0001f600", "//", "\\n", "`", "\\x00", "\\ufeff", "int("]
    deep = ["(" * 5000, "[" * 20000, "!" * 50000 + "true", "-" * 50000 + "1 == 1", "{" * 20000,
            "a." * 20000 + "b",
            " + ".join("1" * 20000) + " == 1", " && ".join(["true"] * 9000), "s" + ".map(x, x)" * 5000,
            "true ? " * 9000 + "true" + " : false" * 9000, "[" + "1," * 40000 + "1] == []", "'" * 99999]
    generator = random.Random(20261124)
    made = ("".join(generator.choices(words, k=generator.randint(1, 14))) for _ in range(10000))
    counts = {"refused": 0, "failed": 0, "true": 0, "false": 0}
    for source in [*deep, *made]:
        try:
            expression = environment.compile(source)
            found = str(expression.evaluate(environment.bind(values))).lower()
        except CompileError:
            found = "refused"
        except EvaluationError:
            found = "failed"
        counts[found] += 1
    print(counts)
""")


def test_no_source_crashes_the_native_parser():
    """In a process of its own: a crash there is a failure here, not the end of the test run."""
    run = subprocess.run([sys.executable, "-c", FUZZ], capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stderr[-2000:]
    assert "'true': 0" not in run.stdout
