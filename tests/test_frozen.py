"""What users see stays what it is, byte for byte, until somebody decides otherwise."""

from __future__ import annotations

import pytest

from tests.frozen import FOLDER, drawn

DRAWN = dict(drawn())


@pytest.mark.parametrize("name", DRAWN)
def test_a_report_looks_as_it_did(name: str) -> None:
    frozen = (FOLDER / name).read_bytes().decode("utf-8")
    assert DRAWN[name] == frozen, "where this is meant: python -m tests.frozen"


def test_no_frozen_report_is_left_over() -> None:
    assert {path.name for path in FOLDER.iterdir()} == set(DRAWN)
