"""The buildx file, as far as ours needs its language: blocks with a label, texts, lists of texts, and flat maps."""

import re
from typing import Any

_TOKEN = re.compile(r'\s+|#[^\n]*|(?P<text>"[^"\n]*")|(?P<word>[A-Za-z_][\w-]*)|(?P<sign>[{}\[\]=,])')

Block = dict[str, Any]


def _tokens(text: str) -> list[str]:
    found, place = list[str](), 0
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            raise ValueError(f"not understood: {text[place : place + 30]!r}")
        if match.lastgroup is not None:
            found.append(match[match.lastgroup])
        place = match.end()
    return found[::-1]  # so that the next one is the last


def _value(left: list[str]) -> Any:
    token = left.pop()
    if token.startswith('"'):
        return token[1:-1]
    if token == "[":
        items = []
        while left[-1] != "]":
            items.append(_value(left))
            if left[-1] == ",":
                left.pop()
        left.pop()
        return items
    if token == "{":
        return _body(left)
    raise ValueError(f"not understood: {token}")


def _body(left: list[str]) -> Block:
    found: Block = {}
    while left[-1] != "}":
        key, equals = left.pop(), left.pop()
        if equals != "=" or key in found:
            raise ValueError(f"not understood: {key}")
        found[key] = _value(left)
        if left[-1] == ",":
            left.pop()
    left.pop()
    return found


def read_bake(text: str) -> dict[str, dict[str, Block]]:
    """Return kind -> label -> attributes of all blocks, with the variables' defaults filled in."""
    blocks: dict[str, dict[str, Block]] = {}
    left = _tokens(text)
    while left:
        kind, label, opening = left.pop(), left.pop()[1:-1], left.pop()
        if opening != "{" or label in blocks.get(kind, {}):
            raise ValueError(f"not understood: {kind} {label}")
        blocks.setdefault(kind, {})[label] = _body(left)
    defaults = {name: block["default"] for name, block in blocks["variable"].items()}

    def filled(value: Any) -> Any:
        match value:
            case str():
                return re.sub(r"\$\{(\w+)\}", lambda match: defaults[match[1]], value)
            case list():
                return [filled(item) for item in value]
            case _:
                return {key: filled(item) for key, item in value.items()}

    return {kind: filled(inner) for kind, inner in blocks.items() if kind != "variable"}
