"""The two kinds of entries that ZeMosaic makes of a frame, and what each version counts of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from zemo_diagnostics.zemosaic.entries import EntryKind, entry_of, filter_mode
from zemo_diagnostics.zemosaic.mount_mode import Mode
from zemo_diagnostics.zemosaic.versions import APRIL, BEFORE, BUNDLED, run_of


def frame(**cards: Any) -> dict[str, Any]:
    header = fits.Header(list(cards.items()))
    return {"path": "/x/a.fit", "path_raw": "/x/a.fit", "header": header, "RA": 1.0, "DEC": 2.0, "center": (1.0, 2.0)}


def test_an_entry_of_phase_1_has_a_header_and_no_mode() -> None:
    entry = frame(EQMODE=1, SITELAT=48.2)
    made = entry_of(EntryKind.PHASE_1, entry, 7)
    assert made["header"] is entry["header"]
    assert made["phase0_index"] == 7
    assert not {"MOUNT_MODE", "_eqmode_mode", "EQMODE"} & set(made)


def test_an_entry_of_the_filter_has_a_mode_and_a_plain_dict() -> None:
    made = entry_of(EntryKind.FILTER, frame(EQMODE=0, CREATOR="ZWO Seestar S50", SITELAT=48.2))
    assert type(made["header"]) is dict
    assert made["header"] == {"EQMODE": 0, "CREATOR": "ZWO Seestar S50"}
    assert (made["MOUNT_MODE"], made["_eqmode_mode"]) == ("ALT_AZ", "ALT_AZ")
    silent = entry_of(EntryKind.FILTER, frame(CREATOR="x"))
    assert silent["MOUNT_MODE"] == "UNKNOWN"
    assert "_eqmode_mode" not in silent


def test_a_broken_card_says_nothing_to_the_filter() -> None:
    header = fits.Header.fromstring(f"{'EQMODE  = 1.5.2':80}{'CREATOR =':80}")
    made = entry_of(EntryKind.FILTER, {"path_raw": "a.fit", "header": header})
    assert (made["MOUNT_MODE"], made["header"]) == ("UNKNOWN", {})


def test_a_cache_without_a_header_has_an_entry_of_each_kind() -> None:
    cache = {"path_raw": "a.npy", "path_preprocessed_cache": "a.npy", "preprocessed_shape": (2, 3, 3)}
    assert entry_of(EntryKind.FILTER, cache)["MOUNT_MODE"] == "UNKNOWN"
    assert entry_of(EntryKind.PHASE_1, cache)["preprocessed_shape"] == (2, 3, 3)


@pytest.mark.parametrize(
    ("value", "mode"),
    [
        (1, "EQ"), (0, "ALT_AZ"), (2, "EQMODE_2"), (-1, "EQMODE_-1"), (1.9, "EQ"), (0.5, "ALT_AZ"), (True, "EQ"),
        ("1", "EQ"), (" 0.0 ", "ALT_AZ"), ("EQ", "UNKNOWN"), ("", "UNKNOWN"), (None, "UNKNOWN"), ("nan", "UNKNOWN"),
        (float("inf"), "UNKNOWN"), ("1e400", "UNKNOWN"), (np.int64(1), "EQ"), (fits.card.Undefined(), "UNKNOWN"),
    ],
)  # fmt: skip
def test_eqmode_is_mapped_as_the_filter_does(value: object, mode: str) -> None:
    assert filter_mode(value) == mode
    assert type(filter_mode(value)) is str


def test_who_counts_the_modes_of_a_run() -> None:
    entries = [
        entry_of(EntryKind.PHASE_1, frame(**cards))
        for cards in ({"EQMODE": 1}, {"EQMODE": "EQ"}, {"EQMODE": 0}, {"EQMODE": 2}, {"CREATOR": "ZWO Seestar S50"})
    ]
    by_filter, by_entries = (run_of(version, entries, requested=True) for version in (BEFORE, BUNDLED))
    assert (by_filter.eq, by_filter.altaz, by_filter.unknown) == (1, 1, 3)
    assert (by_entries.eq, by_entries.altaz, by_entries.unknown) == (2, 1, 2)
    assert run_of(APRIL, entries, requested=False).seestar_mode
    assert not run_of(APRIL, entries[:4], requested=False).seestar_mode


def test_a_mode_is_its_word_wherever_it_is_written() -> None:
    assert f"{Mode.ALT_AZ} {Mode.EQ!s} {Mode.UNKNOWN:<8}|" == "ALT_AZ EQ UNKNOWN |"
    assert "{}".format(Mode.EQ) == "EQ"  # noqa: UP032 - lines of the log are made so
    assert Mode("EQ") == "EQ"
