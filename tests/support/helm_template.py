"""
Helm's rendering of a chart, as far as ours needs its language. Anything else is refused.

It knows if, else, with, range, define, include, pipelines, and the functions below. Helm itself is in no registry of
packages that the tests use.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

_ACTION = re.compile(r"\{\{(-\s)?\s*(.*?)\s*(\s-)?\}\}", re.DOTALL)
_WORD = re.compile(
    r'\s*(?:(?P<text>"(?:[^"\\]|\\.)*")|(?P<number>\d+)|(?P<name>[$.]?[\w.]*[\w]|[$.])|(?P<sign>\(|\)|\||:=|,))'
)


@dataclass(frozen=True)
class Node:
    """A text, or an action with the nodes within it and those after its ``else``."""

    text: str
    kind: str = "text"
    body: tuple["Node", ...] = ()
    other: tuple["Node", ...] = ()


@dataclass
class Scope:
    """The meaning of ``.`` and of the variables."""

    dot: Any
    variables: dict[str, Any] = field(default_factory=dict)


def _pieces(source: str) -> Iterator[Node]:
    """Texts and actions in turn, with the blanks gone that a hyphen takes."""
    place, trims = 0, False
    for match in _ACTION.finditer(source):
        text = source[place : match.start()]
        text = text.lstrip() if trims else text
        yield Node(text.rstrip() if match[1] else text)
        trims, place = bool(match[3]), match.end()
        if not match[2].startswith("/*"):
            yield Node(match[2], "action")
    yield Node(source[place:].lstrip() if trims else source[place:])


def _tree(pieces: Iterator[Node]) -> tuple[tuple[Node, ...], str]:
    """Return the nodes up to an ``else`` or ``end``, and that word; "" at the end of the file."""
    found = list[Node]()
    for piece in pieces:
        word, _, rest = piece.text.partition(" ")
        if piece.kind == "text":
            found.append(piece)
        elif word in {"end", "else"}:
            if rest:
                raise ValueError(f"not understood: {piece.text}")
            return tuple(found), word
        elif word in {"if", "with", "range", "define"}:
            body, ending = _tree(pieces)
            other, ending = _tree(pieces) if ending == "else" else ((), ending)
            if ending != "end":
                raise ValueError(f"no end of: {piece.text}")
            found.append(Node(rest, word, body, other))
        else:
            found.append(piece)
    return tuple(found), ""


def _quote(value: Any) -> str:
    return json.dumps({True: "true", False: "false"}.get(value, str(value)) if isinstance(value, bool) else str(value))


def _required(message: str, value: Any) -> Any:
    if value in {None, ""}:
        raise ValueError(message)
    return value


def _printf(form: str, *values: Any) -> str:
    return form % values


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "quote": _quote,
    "default": lambda usual, value: value or usual,
    "required": _required,
    "printf": _printf,
    "not": lambda value: not value,
    "nindent": lambda count, text: "\n" + "\n".join(" " * count + line for line in text.split("\n")),
    "toYaml": lambda value: yaml.safe_dump(value, sort_keys=True).rstrip("\n"),
}


class Chart:
    """A chart folder, whose templates are rendered with the values of a release."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.about: dict[str, Any] = yaml.safe_load((folder / "Chart.yaml").read_text(encoding="utf-8"))
        self.values: dict[str, Any] = yaml.safe_load((folder / "values.yaml").read_text(encoding="utf-8"))
        self._defined: dict[str, tuple[Node, ...]] = {}
        self._files = dict[str, tuple[Node, ...]]()
        for path in sorted((folder / "templates").iterdir()):
            nodes, ending = _tree(_pieces(path.read_text(encoding="utf-8")))
            if ending:
                raise ValueError(f"{path.name}: {ending} without a beginning")
            self._defined |= {json.loads(node.text): node.body for node in nodes if node.kind == "define"}
            self._files[path.name] = tuple(node for node in nodes if node.kind != "define")

    def render(self, release: str, values: Mapping[str, Any]) -> dict[str, str]:
        """Return the text of each template by its file's name."""
        dot = {
            "Values": _merged(self.values, values),
            "Chart": {key[0].upper() + key[1:]: value for key, value in self.about.items()},
            "Release": {"Name": release, "Namespace": "default", "Service": "Helm"},
        }
        return {
            name: self._text(nodes, Scope(dot, {"$": dot})) for name, nodes in self._files.items() if name[0] != "_"
        }

    def objects(self, release: str, values: Mapping[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
        """Return the objects by kind and name."""
        found = {}
        for name, text in self.render(release, values).items():
            for tree in yaml.safe_load_all(text) if name.endswith(".yaml") else ():
                if tree is not None:
                    found[tree["kind"], tree["metadata"]["name"]] = tree
        return found

    def _text(self, nodes: tuple[Node, ...], scope: Scope) -> str:
        return "".join(self._one(node, scope) for node in nodes)

    def _one(self, node: Node, scope: Scope) -> str:
        match node.kind:
            case "text":
                return node.text
            case "range":
                return self._range(node, scope)
            case "if" | "with":
                value = self._value(node.text, scope)
                inner = Scope(value, scope.variables) if node.kind == "with" and value else scope
                return self._text(node.body if value else node.other, inner)
            case _:
                value = self._value(node.text, scope)
                return "" if value is None else str(value)

    def _range(self, node: Node, scope: Scope) -> str:
        names, _, source = node.text.rpartition(":=")
        value = self._value(source, scope)
        pairs = sorted(value.items()) if isinstance(value, dict) else list(enumerate(value))
        variables = [name.strip() for name in names.split(",") if name.strip()]
        return "".join(
            self._text(node.body, Scope(item, {**scope.variables, **dict(zip(variables, (key, item), strict=False))}))
            for key, item in pairs
        )

    def _value(self, text: str, scope: Scope) -> Any:
        words, place = list[str](), 0
        while text[place:].strip():
            match = _WORD.match(text, place)
            if match is None:
                raise ValueError(f"not understood: {text}")
            words.append(match[0].strip())
            place = match.end()
        value, left = self._pipeline(words, scope)
        if left:
            raise ValueError(f"not understood: {text}")
        return value

    def _pipeline(self, words: list[str], scope: Scope) -> tuple[Any, list[str]]:
        value, left = self._call(words, scope, ())
        while left and left[0] == "|":
            value, left = self._call(left[1:], scope, (value,))
        return value, left

    def _call(self, words: list[str], scope: Scope, last: tuple[Any, ...]) -> tuple[Any, list[str]]:
        given = list[Any]()
        function = words[0] if words[0] in FUNCTIONS or words[0] == "include" else None
        left = words[1:] if function else words
        while left and left[0] not in {"|", ")"}:
            value, left = self._word(left, scope)
            given.append(value)
        given += last
        if function == "include":
            return self._text(self._defined[given[0]], Scope(given[1], {"$": given[1]})), left
        if function is not None:
            return FUNCTIONS[function](*given), left
        if len(given) != 1:
            raise ValueError(f"not understood: {words}")
        return given[0], left

    def _word(self, words: list[str], scope: Scope) -> tuple[Any, list[str]]:
        word, left = words[0], words[1:]
        if word == "(":
            value, left = self._pipeline(left, scope)
            return value, left[1:]
        if word.startswith('"'):
            return json.loads(word), left
        if word.isdecimal():
            return int(word), left
        start, *path = word.split(".")
        if start and start not in scope.variables:
            raise ValueError(f"not understood: {word}")
        value = scope.variables[start] if start else scope.dot
        for name in filter(None, path):
            value = value[name]  # Helm gives nothing for a misspelt name; here it is an error
        return value, left


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    return dict(base) | {
        key: _merged(base[key], value) if isinstance(value, dict) and isinstance(base.get(key), dict) else value
        for key, value in over.items()
    }
