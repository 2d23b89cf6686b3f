"""The JSON schema of the reports, made from the data model itself: its types, and what its docstrings say of each.

A dataclass becomes a strict object, its fields described by the ``Attributes`` section of its docstring and its
properties by their own. NaN and infinity are written as null, so that every float may be null.
"""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any, Union, get_args, get_origin, get_type_hints

Schema = dict[str, Any]

_SCALARS: dict[Any, Schema] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": ["number", "null"]},
    bool: {"type": "boolean"},
    type(None): {"type": "null"},
}

_ATTRIBUTE = re.compile(r"^(\w+(?:, \w+)*) : ")


class SchemaBuilder:
    """Gathers the objects that a schema refers to, each once.

    Attributes
    ----------
    definitions : dict
        Schema of each dataclass and enumeration that was met, by its name.
    """

    def __init__(self) -> None:
        self.definitions: dict[str, Schema] = {}

    def of(self, kind: Any) -> Schema:
        """Give the schema of a type.

        Raises
        ------
        TypeError
            For a type that reports cannot hold.
        """
        if kind in _SCALARS:
            return dict(_SCALARS[kind])
        if get_origin(kind) in (Union, types.UnionType):
            return _joined([self.of(member) for member in get_args(kind)])
        if get_origin(kind) is tuple:
            return self._array(get_args(kind))
        if inspect.isclass(kind) and (is_dataclass(kind) or issubclass(kind, Enum)):
            return self._reference(kind)
        raise TypeError(f"a report cannot hold {kind!r}")

    def _array(self, items: tuple[Any, ...]) -> Schema:
        """Give the schema of a tuple: of any length, or with a type for each place."""
        if len(items) == 2 and items[1] is Ellipsis:
            return {"type": "array", "items": self.of(items[0])}
        places = [self.of(item) for item in items]
        return {"type": "array", "prefixItems": places, "minItems": len(items), "maxItems": len(items)}

    def _reference(self, kind: type[Any]) -> Schema:
        """Give a reference to a dataclass or an enumeration, defined once."""
        if kind.__name__ not in self.definitions:
            self.definitions[kind.__name__] = {}  # stands there already where it refers to itself
            self.definitions[kind.__name__] = self.object(kind) if is_dataclass(kind) else _enumeration(kind)
        return {"$ref": f"#/$defs/{kind.__name__}"}

    def object(self, kind: type[Any]) -> Schema:
        """Give the schema of a dataclass: its fields, then its properties.

        Raises
        ------
        TypeError
            Where one of them is not described.
        """
        described = described_attributes(kind)
        properties: dict[str, Schema] = {}
        for name, member in members(kind):
            text = described.get(name)
            if not text:
                raise TypeError(f"{kind.__name__}.{name} is not described")
            properties[name] = {"description": text} | self.of(member)
        return {"type": "object", "description": summary(kind)} | strict(properties)


def strict(properties: Mapping[str, Schema]) -> Schema:
    """Give the part of an object's schema that demands just these properties."""
    return {"additionalProperties": False, "required": list(properties), "properties": dict(properties)}


def member_names(kind: type[Any]) -> tuple[str, ...]:
    """Name what a dataclass is written with: its fields, then its properties."""
    return (*(field.name for field in fields(kind)), *(name for name, _ in properties_of(kind)))


def members(kind: type[Any]) -> Iterator[tuple[str, Any]]:
    """Give names and types of what a dataclass is written with."""
    hints = get_type_hints(kind)
    hints |= {name: get_type_hints(member.fget)["return"] for name, member in properties_of(kind)}
    yield from ((name, hints[name]) for name in member_names(kind))


def properties_of(kind: type[Any]) -> list[tuple[str, property]]:
    """Give the properties of a class, in their order."""
    return [(name, member) for name, member in vars(kind).items() if isinstance(member, property)]


def described_attributes(kind: type[Any]) -> dict[str, str]:
    """Read what a docstring says of each attribute, and what the properties say of themselves."""
    described: dict[str, str] = {}
    names: list[str] = []
    lines: list[str] = []
    for line in [*_section(kind, "Attributes"), "end : "]:
        if match := _ATTRIBUTE.match(line):
            described |= dict.fromkeys(names, " ".join(lines))
            names, lines = match[1].split(", "), []
        elif line.strip():
            lines.append(line.strip())
    return described | {name: summary(member) for name, member in properties_of(kind)}


def _section(kind: type[Any], title: str) -> list[str]:
    """Give the lines of a numpydoc section."""
    lines = (inspect.getdoc(kind) or "").splitlines()
    if title not in lines:
        return []
    rest = lines[lines.index(title) + 2 :]
    end = next((i - 1 for i, line in enumerate(rest) if set(line) == {"-"}), len(rest))
    return rest[:end]


def summary(thing: Any) -> str:
    """Give the first paragraph of a docstring."""
    return " ".join((inspect.getdoc(thing) or "").split("\n\n")[0].split())


def _enumeration(kind: type[Any]) -> Schema:
    """Give the schema of an enumeration: its values."""
    return {"description": summary(kind), "enum": [member.value for member in kind]}


def _joined(schemas: list[Schema]) -> Schema:
    """Join alternatives; plain types into one list."""
    if all(set(schema) == {"type"} for schema in schemas):
        named = (schema["type"] for schema in schemas)
        kinds = [kind for group in named for kind in (group if isinstance(group, list) else [group])]
        return {"type": list(dict.fromkeys(kinds))}
    return {"anyOf": schemas}
