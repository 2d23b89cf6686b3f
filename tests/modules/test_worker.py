"""The mount mode of a group and the cleanup decisions: R1 to R6, R9 to R11 of the acceptance list."""

from __future__ import annotations

import builtins
import copy
import itertools
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st

import zemosaic_worker as worker
from tests.conftest import ROOT


def header(**cards: Any) -> fits.Header:
    return fits.Header(list(cards.items()))


@pytest.mark.parametrize(
    ("entry", "mode"),
    [
        ({"MOUNT_MODE": "EQ"}, "EQ"),
        ({"MOUNT_MODE": "ALT_AZ"}, "ALT_AZ"),
        ({"MOUNT_MODE": "alt_az "}, "ALT_AZ"),
        ({"MOUNT_MODE": "EQMODE_1"}, "EQ"),
        ({"MOUNT_MODE": "EQMODE_3"}, "UNKNOWN"),
        ({"MOUNT_MODE": 1}, "UNKNOWN"),
        ({"_eqmode_mode": "EQ"}, "EQ"),
        ({"_eqmode_mode": None}, "UNKNOWN"),
        ({"EQMODE": 1}, "EQ"),
        ({"EQMODE": 0}, "ALT_AZ"),
        ({"EQMODE": "1"}, "EQ"),
        ({"EQMODE": " 0.0 "}, "ALT_AZ"),
        ({"EQMODE": True}, "EQ"),
        ({"EQMODE": 2}, "UNKNOWN"),
        ({"EQMODE": float("nan")}, "UNKNOWN"),
        ({"EQMODE": float("inf")}, "UNKNOWN"),
        ({"EQMODE": ""}, "UNKNOWN"),
        ({"EQMODE": None}, "UNKNOWN"),
        ({"EQMODE": [1]}, "UNKNOWN"),
        ({"header": {"EQMODE": 1}}, "EQ"),
        ({"header_subset": {"EQMODE": 0}}, "ALT_AZ"),
        ({"header": header(EQMODE=1)}, "EQ"),
        ({"header": header(EQMODE="0")}, "ALT_AZ"),
        ({"header": header(OBJECT="M 16")}, "UNKNOWN"),
        ({"header": fits.Header.fromstring("EQMODE  = ")}, "UNKNOWN"),
        ({"header": "no mapping"}, "UNKNOWN"),
        ({"header": None, "header_subset": None}, "UNKNOWN"),
        ({}, "UNKNOWN"),
    ],
)
def test_an_entry_says_its_mode(entry: dict[str, Any], mode: str) -> None:
    assert worker._infer_group_eqmode([entry]) == mode


SPELLINGS = {
    "EQ": ("EQ", "EQUATORIAL", "equatorial ", "1", "1.0", " 1", "EQMODE_1"),
    "ALT_AZ": ("ALT_AZ", "ALTAZ", "ALT-AZ", "ALT AZ", "alt-az", " Alt Az ", "0", "0.0", "EQMODE_0"),
    "UNKNOWN": (
        "UNKNOWN",
        "",
        "2",
        "-1",
        "EQMODE_2",
        "EQMODE_",
        "EQMODE_EQ",
        "equator",
        "ALT",
        "nan",
        "1 0",
        "9" * 400,
    ),
}


@pytest.mark.parametrize(
    ("text", "mode"), [(text, mode) for mode, texts in SPELLINGS.items() for text in texts], ids=lambda text: text[:20]
)
def test_every_key_is_read_in_the_spellings_that_zemosaic_reads(text: str, mode: str) -> None:
    entries: list[dict[str, Any]] = [
        {"MOUNT_MODE": text},
        {"_eqmode_mode": text},
        {"EQMODE": text},
        {"header": {"EQMODE": text}},
        {"header_subset": {"EQMODE": text}},
    ]
    if len(text) < 60:
        entries.append({"header": header(EQMODE=text)})
    assert [worker._infer_group_eqmode([entry]) for entry in entries] == [mode] * len(entries)
    summary = worker.summarize_eqmodes(entries)
    counted = {"EQ": summary.eq, "ALT_AZ": summary.altaz, "UNKNOWN": summary.unknown}
    assert counted[mode] == summary.total == len(entries)


@pytest.mark.parametrize(
    ("value", "mode"),
    [
        (np.int64(1), "EQ"),
        (np.uint8(0), "ALT_AZ"),
        (np.float32(1.0), "EQ"),
        (np.float64("nan"), "UNKNOWN"),
        (np.bool_(True), "EQ"),
        (np.str_("ALTAZ"), "ALT_AZ"),
        (b"1", "EQ"),
        (Fraction(0), "ALT_AZ"),
        (np.complex64(1), "UNKNOWN"),
        (np.array([1]), "UNKNOWN"),
        (np.ma.masked, "UNKNOWN"),
        ({"EQMODE": 1}, "UNKNOWN"),
        (10**400, "UNKNOWN"),
    ],
)
def test_numbers_of_any_kind_are_read(value: Any, mode: str) -> None:
    assert worker._infer_group_eqmode([{"EQMODE": value}]) == mode
    assert worker._infer_group_eqmode([{"header": {"EQMODE": value}}]) == mode


@pytest.mark.parametrize(
    ("entry", "key"),
    [
        ({"MOUNT_MODE": "EQ", "_eqmode_mode": "ALT_AZ"}, "MOUNT_MODE"),
        ({"MOUNT_MODE": "UNKNOWN", "_eqmode_mode": "EQ", "EQMODE": 0}, "_eqmode_mode"),
        ({"_eqmode_mode": "?", "EQMODE": 1, "header": {"EQMODE": 0}}, "EQMODE"),
        ({"EQMODE": 7, "header": {"EQMODE": 1}, "header_subset": {"EQMODE": 0}}, "header[EQMODE]"),
        ({"header": {}, "header_subset": {"EQMODE": 1}}, "header_subset[EQMODE]"),
    ],
)
def test_keys_are_asked_in_order(entry: dict[str, Any], key: str) -> None:
    evidence = worker.entry_eqmode(entry)
    assert (evidence.mode, evidence.key) == ("EQ", key)


def test_a_later_entry_decides_where_the_first_says_nothing() -> None:
    evidence = worker.group_eqmode([{"path": "a"}, {"MOUNT_MODE": "UNKNOWN"}, {"EQMODE": 0}, {"EQMODE": 1}])
    assert evidence == worker.EqmodeEvidence("ALT_AZ", 2, "EQMODE", "0")
    assert evidence.reason == "EQMODE=0 in entry 2"


def test_only_the_first_few_entries_are_asked() -> None:
    silent: list[dict[str, Any]] = [{}] * worker.EQMODE_ENTRIES_ASKED
    assert worker._infer_group_eqmode([*silent, {"EQMODE": 1}]) == "UNKNOWN"
    assert worker._infer_group_eqmode([*silent[1:], {"EQMODE": 1}]) == "EQ"


def test_a_broken_header_says_nothing() -> None:
    class Broken(dict[str, Any]):
        def get(self, key: str, _default: Any = None) -> Any:
            raise fits.VerifyError(f"unparsable card {key}")

    assert worker._infer_group_eqmode([{"header": Broken()}, {"EQMODE": 1}]) == "EQ"


class Endless(Sequence[Any]):
    """A sequence whose entries cannot be got at."""

    def __getitem__(self, _: Any) -> Any:
        raise OSError("gone")

    def __len__(self) -> int:
        return 3


@pytest.mark.parametrize(
    "group",
    [
        *([], [{}], [None], ["text"], [[{"EQMODE": 1}]], ()),
        *(None, 1, 0.5, True, "EQ", b"EQMODE", {"EQMODE": 1}, {1: {"EQMODE": 1}}, {"EQMODE"}, object(), Endless()),
        *(iter([{"EQMODE": 1}]), itertools.repeat({"EQMODE": 1}), header(EQMODE=1), np.ones(3), len),
    ],
    ids=lambda group: type(group).__name__,
)
def test_an_odd_group_is_unknown(group: Any) -> None:
    assert worker._infer_group_eqmode(group) == "UNKNOWN"
    assert worker.decide_tile_altaz_cleanup(1, group, True).tile_enabled is False


@pytest.mark.parametrize("kind", [list, tuple, deque])
def test_any_sequence_of_entries_will_do(kind: type[Any]) -> None:
    assert worker._infer_group_eqmode(kind([None, {"EQMODE": 0}])) == "ALT_AZ"


def test_a_summary_of_nothing_counts_nothing() -> None:
    assert worker.summarize_eqmodes(None) == worker.EqmodeSummary(0, 0, 0)  # type: ignore[arg-type]
    assert worker.summarize_eqmodes([None, 3, {"EQMODE": 1}]) == worker.EqmodeSummary(1, 0, 2)  # type: ignore[list-item]


CARDS = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=72)
BROKEN_HEADERS = CARDS.map(lambda text: fits.Header.fromstring(f"EQMODE  {text}"[:80].ljust(80)))
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.complex_numbers(),
    st.decimals(),
    st.fractions(),
    st.binary(max_size=8),
    st.text(max_size=8),
    st.sampled_from([text for texts in SPELLINGS.values() for text in texts]),
    st.sampled_from(
        [np.int8(1), np.float16("nan"), np.bool_(False), np.datetime64("NaT"), np.timedelta64("NaT"), np.ma.masked]
    ),
    st.sampled_from([np.zeros(0), np.ones(1), np.ones((2, 2)), Decimal("sNaN"), fits.card.Undefined(), object(), len]),
    BROKEN_HEADERS,
)
KEYS = st.sampled_from(["MOUNT_MODE", "_eqmode_mode", "EQMODE", "header", "header_subset", "path", 1, None])
GARBAGE = st.recursive(
    VALUES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=3).map(tuple),
        st.lists(inner, max_size=3).map(iter),
        st.dictionaries(KEYS, inner, max_size=5),
    ),
    max_leaves=12,
)


@settings(max_examples=400)
@given(GARBAGE)
@pytest.mark.filterwarnings("ignore::astropy.utils.exceptions.AstropyWarning")
def test_whatever_a_group_is_the_answer_is_one_of_three_modes(group: Any) -> None:
    for one in (group, [group], [{"header": group}], [{"EQMODE": group}]):
        assert worker._infer_group_eqmode(one) in ("EQ", "ALT_AZ", "UNKNOWN")
        assert worker.group_eqmode(one).reason
    assert worker.summarize_eqmodes([group]).total == 1


def test_no_file_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a file was opened")

    monkeypatch.setattr(builtins, "open", refuse)
    assert worker._infer_group_eqmode([{"path": "there.fit", "path_raw": "there.fit"}]) == "UNKNOWN"


def test_a_retried_group_is_inferred_the_same() -> None:
    group: list[dict[str, Any]] = [{"header": {"EQMODE": 0}}, {"header": {"EQMODE": 1}}]
    retried = [copy.copy(entry) | {"retry_attempt": 1, "retry_origin_chain": [4]} for entry in group]
    assert worker.group_eqmode(retried) == worker.group_eqmode(group)


def test_the_summary_counts_entries_by_what_each_says() -> None:
    entries: list[dict[str, Any]] = [{"EQMODE": 1}] * 516 + [{}] * 1311
    summary = worker.summarize_eqmodes(entries)
    line = "WORKER_EQMODE_SUMMARY: eq=516 altaz=0 unknown=1311 total=1827 contains_altaz=False"
    assert summary.log_line() == line
    assert worker.summarize_eqmodes([{"EQMODE": 0}]).contains_altaz


@pytest.mark.parametrize(
    ("requested", "altaz", "effective", "level"),
    [(True, 0, False, "WARN"), (False, 0, False, None), (True, 3, True, None), (False, 3, True, "INFO")],
)
def test_the_run_cleans_exactly_where_it_has_altaz_frames(
    requested: bool, altaz: int, effective: bool, level: str | None
) -> None:
    decision = worker.decide_global_altaz_cleanup(requested, worker.EqmodeSummary(eq=5, altaz=altaz, unknown=1))
    assert (decision.effective, decision.level) == (effective, level)


def test_an_eq_only_run_with_cleanup_requested_warns_in_zemosaics_words() -> None:
    said: list[tuple[Any, ...]] = []
    summary = worker.summarize_eqmodes([{"EQMODE": 1}])
    worker.log_run_cleanup(summary, worker.decide_global_altaz_cleanup(True, summary), lambda *line: said.append(line))
    assert said == [
        ("WORKER_EQMODE_SUMMARY: eq=1 altaz=0 unknown=0 total=1 contains_altaz=False", None, "INFO"),
        ("ALTaz cleanup requested but no ALT_AZ frames detected -> disabled (EQ-only run).", None, "WARN"),
    ]


@pytest.mark.parametrize(
    ("eqmode", "global_enabled", "tile_enabled"),
    [(1, True, False), (0, True, True), (0, False, False), (None, True, False)],
)
def test_a_tile_is_cleaned_only_if_the_run_is_and_it_is_altaz(
    eqmode: int | None, global_enabled: bool, tile_enabled: bool
) -> None:
    decision = worker.decide_tile_altaz_cleanup(7, [{"EQMODE": eqmode}], global_enabled)
    assert decision.tile_enabled is tile_enabled


def test_the_gating_line_has_zemosaics_form() -> None:
    said: list[tuple[Any, ...]] = []
    decision = worker.decide_tile_altaz_cleanup(7, [{"EQMODE": 1}], True)
    worker.log_tile_cleanup(decision, lambda *line: said.append(line))
    line = "P3_ALTaz_GATING: tile_id=7 eqmode=EQ global_enabled=True => tile_enabled=False"
    assert said == [(line, None, "DEBUG_DETAIL")]


def test_a_callback_that_raises_stops_nothing() -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("callback")

    worker.log_tile_cleanup(worker.decide_tile_altaz_cleanup(1, [], True), fail)


def test_the_selftest_passes_and_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    worker._selftest_infer_group_eqmode()
    monkeypatch.setattr(worker, "_mode_from_number", lambda _: worker.EQ)
    with pytest.raises(AssertionError, match="_infer_group_eqmode"):
        worker._selftest_infer_group_eqmode()


def test_both_modules_import_with_numpy_alone() -> None:
    """In a process where every other package that they might want is missing."""
    code = (
        "import sys\n"
        "for name in ('astropy', 'psutil', 'scipy', 'cv2', 'astroalign', 'click', 'rich'): sys.modules[name] = None\n"
        "import zemosaic_worker, zemosaic_align_stack\n"
        "zemosaic_worker._selftest_infer_group_eqmode()\n"
        "zemosaic_align_stack._selftest_cpu_kappa_chunk_equivalence()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
