"""The commands: ``zemo-diag X`` lives in the folder X, a line each."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator
from types import ModuleType

COMMANDS = (
    "check",
    "demo",
    "findings",
    "gating",
    "kappa-parity",
    "masters",
    "phase3",
    "stack",
)


def modules_of_commands(name: str) -> Iterator[ModuleType]:
    """Import the module of a name from the folder of each command that has one: ``"command"``, ``"checks"``."""
    for command in COMMANDS:
        package = f"{__package__}.{command.replace('-', '_')}"
        if importlib.util.find_spec(f"{package}.{name}") is not None:
            yield importlib.import_module(f"{package}.{name}")
