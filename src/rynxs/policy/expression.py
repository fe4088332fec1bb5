"""Expressions: CEL source compiled against typed variables. The only module that knows cel-expr-python.

What the library would let through and a policy must not (each found by experiment): a type other than bool,
errors that come back as values, and `has()` on a dotted variable, which gives the variable's value and not
whether it is there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from cel_expr_python import cel

from rynxs.api.problem import near, shown

_TYPES = {
    "string": cel.Type.STRING,
    "bool": cel.Type.BOOL,
    "int": cel.Type.INT,
    "double": cel.Type.DOUBLE,
    "list(string)": cel.Type.List(cel.Type.STRING),
    "map(string, string)": cel.Type.Map(cel.Type.STRING, cel.Type.STRING),
}
_FUNCTIONS = (
    *(
        "all",
        "exists",
        "exists_one",
        "filter",
        "has",
        "map",
        "contains",
        "endsWith",
        "matches",
        "size",
        "startsWith",
    ),
    *("bool", "double", "duration", "dyn", "int", "string", "timestamp", "type"),
)
_NATIVE_ERRORS = (RuntimeError, ValueError, TypeError, ArithmeticError, LookupError, MemoryError)
"""What the binding (pybind11) turns C++ errors into."""

_COMPILE_ERROR = re.compile(r"ERROR: <input>:(\d+):(\d+): (.*)")
_STATUS = re.compile(r"^[A-Z_]+: | \[[A-Z_]+\]$")
_UNDECLARED = re.compile(r"undeclared reference to '([^']*)'")
_OVERLOAD = re.compile(r"found no matching overload for '_?(.*?)_?' applied to '(.*)'")
_UNEXPECTED = re.compile(
    r"Syntax error: (mismatched input|extraneous input|no viable alternative at input|"
    r"token recognition error at:)"
)
_TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n]*)
    |(?P<string>(?:[bB]?[rR]|[rR][bB])(?:\"{3}.*?\"{3}|'{3}.*?'{3}|"[^"]*"|'[^']*')
       |[bB]?(?:\"{3}(?:\\.|.)*?\"{3}|'{3}(?:\\.|.)*?'{3}|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'))
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)


class CompileError(Exception):
    """The source is no rule. `line` and `column` count from 1."""

    def __init__(self, reason: str, *, line: int = 1, column: int = 1, suggestion: str = "") -> None:
        self.reason = reason
        self.line = line
        self.column = column
        self.suggestion = suggestion
        super().__init__(reason)


class EvaluationError(Exception):
    """The expression gave no boolean: an error, or more work than the evaluator's budget."""


class _Token(NamedTuple):
    kind: str
    text: str
    start: int


class Environment:
    """Typed variables that expressions are compiled against, and that values are bound to."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        """`variables` are names and types as in `schema.Variables`. Raises KeyError for another type."""
        self._variables = dict(variables)
        self._native = cel.NewEnv(variables={name: _TYPES[type_] for name, type_ in variables.items()})

    def compile(self, source: str) -> Expression:
        """Compile an expression. Raises CompileError."""
        try:
            native = self._native.compile(source)
        except _NATIVE_ERRORS as error:
            raise self._explained(str(error)) from error
        self._check_has(source)
        if native.return_type() != cel.Type.BOOL:
            raise CompileError(f"gives {native.return_type().name().lower()}, and must give bool")
        self._check_patterns(source)
        return Expression(native)

    def bind(self, values: Mapping[str, Any]) -> Binding:
        """Bind the values of one action, for any number of this environment's expressions."""
        return Binding(self._native.Activation(values))

    def _explained(self, text: str) -> CompileError:
        match = _COMPILE_ERROR.search(text)
        if match is None:
            return CompileError(_STATUS.sub("", text.partition("\n")[0]))
        line, column, reason = int(match[1]), int(match[2]), _STATUS.sub("", match[3])
        suggestion = ""
        if undeclared := _UNDECLARED.match(reason):
            name, suggestion = self._meant(undeclared[1])
            reason = f"undeclared reference to '{name}'"
        elif overload := _OVERLOAD.match(reason):
            reason = f"'{overload[1]}' does not take ({overload[2].strip('()')})"
            if {"int", "double"} <= set(overload[2].strip("()").split(", ")):
                reason += ": write the number with a point, as 5.0"
        else:
            reason = _UNEXPECTED.sub("syntax error: unexpected", reason.partition(" expecting ")[0])
            reason = reason.replace("'<EOF>'", "end")
        return CompileError(reason, line=line, column=column, suggestion=suggestion)

    def _meant(self, name: str) -> tuple[str, str]:
        """Split an undeclared name: it, up to the part that is wrong, and what was meant."""
        head = name.partition(".")[0]
        heads = {known.partition(".")[0] for known in self._variables}
        if head not in heads:
            return head, near(head, [*heads, *_FUNCTIONS])
        parent, _, last = name.rpartition(".")
        siblings = {known.rpartition(".")[2] for known in self._variables if known.rpartition(".")[0] == parent}
        if siblings:
            sibling = near(last, siblings)
            return name, f"{parent}.{sibling}" if sibling else ""
        return name, near(name, self._variables)

    def _check_has(self, source: str) -> None:
        """Let `has()` ask for a key of a map variable only."""
        maps = [name for name, type_ in self._variables.items() if type_.startswith("map")]
        tokens = list(_tokens(source))
        for index, token in enumerate(tokens[:-1]):
            if token.text != "has" or tokens[index + 1].text != "(":
                continue
            argument = ""
            for inner in tokens[index + 2 :]:
                if inner.text == ")":
                    break
                argument += inner.text
            parent, _, key = argument.rpartition(".")
            if parent not in maps or not key.isidentifier():
                line, column = _position(source, token.start)
                asked = " or ".join(f"has({name}.KEY)" for name in maps)
                raise CompileError(f"has() asks for a key of a map: {asked}", line=line, column=column)

    def _check_patterns(self, source: str) -> None:
        """Refuse a literal regular expression that would fail whenever it is used: `x.matches("(")`."""
        tokens = list(_tokens(source))
        for name, opening, token, closing in zip(tokens, tokens[1:], tokens[2:], tokens[3:], strict=False):
            if (name.text, opening.text, token.kind, closing.text) != ("matches", "(", "string", ")"):
                continue
            result = self._native.compile(f'"".matches({token.text})').eval()
            if result.type() != cel.Type.BOOL:
                line, column = _position(source, token.start)
                raise CompileError(_STATUS.sub("", str(result.value())), line=line, column=column)


class Binding:
    """Values bound to an environment's variables."""

    def __init__(self, native: cel.Activation) -> None:
        self.native = native


class Expression:
    """A compiled expression that gives a boolean."""

    def __init__(self, native: cel.Expression) -> None:
        self._native = native

    def evaluate(self, binding: Binding) -> bool:
        """Its value. Raises EvaluationError; whoever asks must take that for a refusal."""
        try:
            result = self._native.eval(binding.native)
            value = result.value()
        except _NATIVE_ERRORS as error:
            raise EvaluationError(_STATUS.sub("", str(error))) from error
        if isinstance(value, bool):
            return value
        if result.type() == cel.Type.ERROR:
            raise EvaluationError(_STATUS.sub("", str(value)))
        raise EvaluationError(f"gave {shown(value)}, which is no boolean")


def _tokens(source: str) -> Iterator[_Token]:
    for match in _TOKEN.finditer(source):
        if match.lastgroup and match.lastgroup != "space":
            yield _Token(match.lastgroup, match[0], match.start())


def _position(source: str, offset: int) -> tuple[int, int]:
    before = source[:offset]
    return before.count("\n") + 1, offset - before.rfind("\n")
