"""Results taken as they come, until they end or the user stops it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

Result = TypeVar("Result")


def take_until_interrupted(results: Iterator[Result], done: list[Result]) -> bool:
    """Take results as they come; False where the user stopped it before the end."""
    try:
        done.extend(results)
    except KeyboardInterrupt:
        return False
    return True
