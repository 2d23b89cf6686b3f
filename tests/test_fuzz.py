"""Damaged files never end a command: a seeded fuzzer. ``make fuzz`` runs 20,000 of them, the default suite a hundred.

``ZEMO_FUZZ_FILES`` and ``ZEMO_FUZZ_SEED`` in the environment change their number and which they are.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests import fuzz
from tests.fuzz import BATCH, COMMANDS, Command, fault, smallest, write_batch
from tests.mutants import kinds, mutants

SEED = os.environ.get("ZEMO_FUZZ_SEED", "1")
FILES = int(os.environ.get("ZEMO_FUZZ_FILES", "20000"))


def check_batch(folder: Path, seed: str, count: int, commands: Sequence[Command] = COMMANDS) -> None:
    """Put a batch before each command; where one fails, keep what fails and say how to see it again."""
    write_batch(folder, seed, count)
    for command in commands:
        found = fault(command, folder)
        if found:
            kept = smallest(command, folder)
            line = " ".join(command.arguments(kept, Path("OUT")))
            pytest.fail(f"seed {seed}, {command.name}: {found}\nsee it again with: zemo-diag {line}", pytrace=False)


def test_a_hundred_damaged_files_end_no_command(tmp_path: Path) -> None:
    """All but phase3, which aligns every frame up to four times: it gets a few."""
    check_batch(tmp_path / "frames", "default", BATCH, [one for one in COMMANDS if one.name != "phase3"])


def test_a_few_damaged_files_end_no_phase3(tmp_path: Path) -> None:
    check_batch(tmp_path / "frames", "phase3", 20, [one for one in COMMANDS if one.name == "phase3"])


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


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("sys.exit(4)", "it ended with exit code 4"),
        ("sys.exit(130)", "it ended with exit code 130"),
        ("os._exit(0)", "it printed no report"),
        ("time.sleep(600)", "it hung for 2 s"),
        ("print('Traceback (most recent call last):', file=sys.stderr)", "it printed a traceback"),
        ("subprocess.run([sys.executable, '-c', 'x = bytearray(600 << 20); x[::4096] = x[::4096]'])", "it took 6"),
        ("(folder / 'good' / 'new').touch(); print(json.dumps(report))", "it changed its input"),
        ("Path(tempfile.gettempdir(), 'x').touch(); print(json.dumps(report))", "it left temporary files: x"),
        ("report['results']['gating']['tiles'] = []; print(json.dumps(report))", "the good tile is not whole"),
        (
            "report['source']['unusable'] = [{'name': 'good/good_0.fit'}]; print(json.dumps(report))",
            "it calls good/good_0",
        ),
        ("print(json.dumps(report))", ""),
    ],
)
def test_the_fuzzer_finds_what_a_command_must_not_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, found: str
) -> None:
    if "600 <<" in code and not hasattr(os, "wait4"):
        pytest.skip("the system does not keep the peak of a finished process")
    script = tmp_path / "command.py"
    script.write_text(
        "import json, os, subprocess, sys, tempfile, time\nfrom pathlib import Path\nfolder = Path(sys.argv[2])\n"
        "report = {'source': {'unusable': []}, 'results': {'gating': {'tiles': []}}}\n"
        "report['results']['gating']['tiles'] = [{'name': 'good', 'frames': 4}]\n" + code,
        encoding="utf-8",
    )
    monkeypatch.setattr(fuzz, "_SCRIPT", script)
    if "sleep" in code:
        monkeypatch.setattr(fuzz, "TIMEOUT_S", 2.0)
    write_batch(tmp_path / "frames", "x", 2)
    said = fault(COMMANDS[0], tmp_path / "frames")
    assert said.startswith(found)
    assert bool(said) == bool(found)
