"""The acceptance list: every check, in the order of its codes."""

from __future__ import annotations

from . import decisions, imports, modes, neutrality, selftests, stacks, tiles
from .acceptance import AcceptanceCheck

ACCEPTANCE: tuple[AcceptanceCheck, ...] = tuple(
    sorted(
        (check for part in (modes, decisions, stacks, tiles, imports, selftests, neutrality) for check in part.CHECKS),
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
