"""Damaged files never end a command: a seeded fuzzer. ``make fuzz`` runs 20,000 of them, the default suite a hundred.

``ZEMO_FUZZ_FILES`` and ``ZEMO_FUZZ_SEED`` in the environment change their number and which they are.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.fuzz import BATCH, COMMANDS, fault, smallest, write_batch
from tests.mutants import kinds, mutants

SEED = os.environ.get("ZEMO_FUZZ_SEED", "1")
FILES = int(os.environ.get("ZEMO_FUZZ_FILES", "20000"))


def check_batch(folder: Path, seed: str, count: int) -> None:
    """Put a batch before every command; where one fails, keep what fails and say how to see it again."""
    write_batch(folder, seed, count)
    for command in COMMANDS:
        found = fault(command, folder)
        if found:
            kept = smallest(command, folder)
            line = " ".join(command.arguments(kept, Path("OUT")))
            pytest.fail(f"seed {seed}, {command.name}: {found}\nsee it again with: zemo-diag {line}", pytrace=False)


def test_a_hundred_damaged_files_end_no_command(tmp_path: Path) -> None:
    check_batch(tmp_path / "frames", "default", BATCH)


@pytest.mark.fuzz
@pytest.mark.parametrize("batch", range(-(-FILES // BATCH)))
def test_damaged_files_end_no_command(tmp_path: Path, batch: int) -> None:
    check_batch(tmp_path / "frames", f"{SEED}-{batch}", min(BATCH, FILES - batch * BATCH))


def test_the_same_seed_makes_the_same_files() -> None:
    for kind in kinds().values():
        once, again = (list(mutants(kind, "x", 20)) for _ in range(2))
        assert once == again
        assert list(mutants(kind, "y", 20)) != once
        wholes = {seed.data for seed in kind.seeds}
        assert sum(data in wholes for _, data in once) < 5
