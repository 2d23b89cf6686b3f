"""The acceptance list: every check, in the order of its codes."""

from __future__ import annotations

from .acceptance import AcceptanceCheck
from .topics import decisions, imports, modes, neutrality, selftests, stack_errors, stack_memory, stacks, tiles

_PARTS = (modes, decisions, stacks, stack_errors, stack_memory, tiles, imports, selftests, neutrality)

ACCEPTANCE: tuple[AcceptanceCheck, ...] = tuple(
    sorted(
        (check for part in _PARTS for check in part.CHECKS),
        key=lambda check: check.code,
    )
)

# What the checks of each hundred are about.
SERIES = {
    "ZC1": "The mount mode of a group",
    "ZC2": "The decisions over a run and its tiles",
    "ZC3": "The kappa-sigma stack",
    "ZC4": "Alignment and master tiles",
    "ZC5": "Importing",
    "ZC6": "Its own tests",
    "ZC7": "What a change leaves alone",
}
