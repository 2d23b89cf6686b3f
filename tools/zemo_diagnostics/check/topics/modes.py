"""The checks of the mount mode of a group: ``_infer_group_eqmode``, asked about many groups in one child."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...zemosaic.jobs import InferredMode, header_value, infer_job, numpy_value, read_modes
from ...zemosaic.mount_mode import Mode
from ..acceptance import AcceptanceCheck, Verdict, judged_by_cases
from ..lab import Lab, Skip

EQ, ALT_AZ, UNKNOWN = Mode.EQ.value, Mode.ALT_AZ.value, Mode.UNKNOWN.value
FUNCTION = "_infer_group_eqmode"

Entry = Any


@dataclass(frozen=True)
class Case:
    """A group, in words and as it is handed over, and the mode that it has."""

    what: str
    group: list[Entry]
    mode: str


@dataclass(frozen=True, kw_only=True)
class ModeCases:
    """A check that is a list of groups whose mode is known."""

    code: str
    title: str
    requires: tuple[str, ...]
    meaning: str
    remedy: str
    cases: tuple[Case, ...] = field(repr=False)

    def check(self) -> AcceptanceCheck:
        """Make the check of it."""

        def judge(lab: Lab) -> Verdict:
            answers = lab.once(_answers)[self.code]
            wrong = [_wrong(case, answer) for case, answer in zip(self.cases, answers, strict=True)]
            return judged_by_cases(f"{len(answers)} groups are right", filter(None, wrong), len(answers))

        return AcceptanceCheck(
            code=self.code,
            title=self.title,
            requires=self.requires,
            meaning=self.meaning,
            remedy=self.remedy,
            judge=judge,
            after=("ZC101",),
        )


def _one(what: str, entry: Entry, mode: str) -> Case:
    return Case(what, [entry], mode)


def _spelled(key: str, **modes: tuple[Any, ...]) -> Iterator[Case]:
    """Make a case of each value that stands for a mode in a key."""
    for mode, values in modes.items():
        for value in values:
            yield _one(f"{key} {_told(value)}", {key: value}, mode)


def _told(value: Any) -> str:
    if isinstance(value, dict) and value.get("$") == "numpy":
        return f"numpy.{value['dtype']}({value['value']})"
    return repr(value)


def _header(value: Any, form: str, key: str = "EQMODE") -> dict[str, Any]:
    return header_value([["OBJECT", "M 16", ""], [key, value, "Equatorial mode"]], form)


_NUMPY = ("int16", "int64", "uint8", "float32", "float64")
_SILENT: Entry = {"path": "light.fit", "EXPTIME": 10.0, "header": header_value([["OBJECT", "M 16", ""]], "dict")}

_TEXT_KEYS = "ask MOUNT_MODE, _eqmode_mode, EQMODE, header, header_subset in this order, each entry by itself"

MODE_CASES: tuple[ModeCases, ...] = (
    ModeCases(
        code="ZC102",
        title="MOUNT_MODE is read",
        requires=("R1",),
        meaning="Grouping writes MOUNT_MODE into each entry: it is the first thing to ask.",
        remedy=f"Let {FUNCTION} {_TEXT_KEYS}.",
        cases=tuple(_spelled("MOUNT_MODE", EQ=("EQ",), ALT_AZ=("ALT_AZ",), UNKNOWN=("UNKNOWN",))),
    ),
    ModeCases(
        code="ZC103",
        title="_eqmode_mode is read",
        requires=("R1",),
        meaning="The Qt filter keeps the mode in _eqmode_mode; an entry without it has another key that says it.",
        remedy=f"Let {FUNCTION} {_TEXT_KEYS}.",
        cases=tuple(_spelled("_eqmode_mode", EQ=("EQ",), ALT_AZ=("ALT_AZ",), UNKNOWN=("UNKNOWN",))),
    ),
    ModeCases(
        code="ZC104",
        title="EQMODE is read as a number and as a text of one",
        requires=("R1",),
        meaning="1 is EQ and 0 is ALT_AZ, as in ZeMosaic's Qt filter; as int, and as text with blanks or decimals.",
        remedy="Read int(value), else int(float(str(value).strip())), as the Qt filter does.",
        cases=tuple(_spelled("EQMODE", EQ=(1, "1", " 1 ", "1.0"), ALT_AZ=(0, "0", " 0", "0.0"))),
    ),
    ModeCases(
        code="ZC105",
        title="EQMODE is read as a float and as a truth value",
        requires=("R1",),
        meaning="A header may hold 1.0 or a FITS logical (T, F) for EQMODE.",
        remedy="Take every real number and bool, not int alone.",
        cases=tuple(_spelled("EQMODE", EQ=(1.0, True), ALT_AZ=(0.0, False))),
    ),
    ModeCases(
        code="ZC106",
        title="EQMODE is read from NumPy's numbers",
        requires=("R1", "fact"),
        meaning=(
            "NumPy's integers are no int of Python's: isinstance(numpy.int64(1), int) is False. The released versions "
            "read such an EQMODE as UNKNOWN."
        ),
        remedy="Test for numbers.Real (and numpy.bool_), not for int and float.",
        cases=tuple(
            _spelled(
                "EQMODE",
                EQ=tuple(numpy_value(1, dtype) for dtype in (*_NUMPY, "bool")),
                ALT_AZ=tuple(numpy_value(0, dtype) for dtype in (*_NUMPY, "bool")),
            )
        ),
    ),
    ModeCases(
        code="ZC107",
        title="All spellings of a mode are read, in any case",
        requires=("R1", "fact"),
        meaning="EQ, EQUATORIAL, ALT_AZ, ALTAZ, ALT-AZ and 'ALT AZ', in capitals or not, with blanks around.",
        remedy="Strip and capitalise a text, and look it up in a table of spellings.",
        cases=tuple(
            _spelled(
                "MOUNT_MODE",
                EQ=("EQUATORIAL", "equatorial", " eq ", "Eq"),
                ALT_AZ=("ALTAZ", "ALT-AZ", "ALT AZ", "alt_az", " AltAz "),
            )
        ),
    ),
    ModeCases(
        code="ZC108",
        title="EQMODE_1 and EQMODE_0, as grouping writes them, are read",
        requires=("R1", "fact"),
        meaning="Grouping writes EQMODE_<n> for values that it does not know; EQMODE_1 counts as EQ there.",
        remedy="Take EQMODE_ off a text before it is read as a number; EQMODE_2 stays UNKNOWN.",
        cases=tuple(_spelled("MOUNT_MODE", EQ=("EQMODE_1",), ALT_AZ=("EQMODE_0",), UNKNOWN=("EQMODE_2",))),
    ),
    ModeCases(
        code="ZC109",
        title="EQMODE is read in a header that is a plain dict",
        requires=("R1",),
        meaning="header, and header_subset where that says nothing; header comes first.",
        remedy="Ask header and then header_subset for EQMODE, after the entry's own keys.",
        cases=(
            _one("header {'EQMODE': 1}", {"header": _header(1, "dict")}, EQ),
            _one("header {'EQMODE': 0}", {"header": _header(0, "dict")}, ALT_AZ),
            _one("header_subset {'EQMODE': 1}", {"header_subset": _header(1, "dict")}, EQ),
            _one("header_subset {'EQMODE': '0'}", {"header_subset": _header("0", "dict")}, ALT_AZ),
            _one(
                "header {'EQMODE': 0} and header_subset {'EQMODE': 1}",
                {"header_subset": _header(1, "dict"), "header": _header(0, "dict")},
                ALT_AZ,
            ),
        ),
    ),
    ModeCases(
        code="ZC110",
        title="EQMODE is read in a header that is an astropy fits.Header",
        requires=("R1", "R15"),
        meaning=(
            "Phase 1 puts a fits.Header into its entries, which is no dict, and no other key that says the mode. A "
            "function that reads dicts alone takes every group of a real run for UNKNOWN: the gating by mount mode "
            "never sees a mode."
        ),
        remedy="Test for collections.abc.Mapping, or for a 'get', not for dict.",
        cases=(
            _one("header fits.Header with EQMODE 1", {"header": _header(1, "fits.Header")}, EQ),
            _one("header fits.Header with EQMODE 0", {"header": _header(0, "fits.Header")}, ALT_AZ),
            _one("header fits.Header with EQMODE 2", {"header": _header(2, "fits.Header")}, UNKNOWN),
            _one("header fits.Header with EQMODE T", {"header": _header(True, "fits.Header")}, EQ),
            _one("header fits.Header without EQMODE", {"header": _header(1, "fits.Header", "GAIN")}, UNKNOWN),
        ),
    ),
    ModeCases(
        code="ZC111",
        title="The keys are asked in their order",
        requires=("R1",),
        meaning="MOUNT_MODE, _eqmode_mode, EQMODE, the header: where two say otherwise, the first of them decides.",
        remedy=f"Let {FUNCTION} {_TEXT_KEYS}.",
        cases=(
            _one("MOUNT_MODE EQ, _eqmode_mode ALT_AZ", {"_eqmode_mode": "ALT_AZ", "MOUNT_MODE": "EQ"}, EQ),
            _one("_eqmode_mode ALT_AZ, EQMODE 1", {"EQMODE": 1, "_eqmode_mode": "ALT_AZ"}, ALT_AZ),
            _one("EQMODE 0, header 1", {"header": _header(1, "dict"), "EQMODE": 0}, ALT_AZ),
            _one("MOUNT_MODE ALT_AZ, header 1", {"header": _header(1, "dict"), "MOUNT_MODE": "ALT_AZ"}, ALT_AZ),
        ),
    ),
    ModeCases(
        code="ZC112",
        title="A key that says nothing leaves it to the next",
        requires=("R1",),
        meaning="MOUNT_MODE UNKNOWN, or an EQMODE that is neither 0 nor 1, does not end the asking.",
        remedy="Go on to the next key until one says EQ or ALT_AZ.",
        cases=(
            _one("MOUNT_MODE UNKNOWN, EQMODE 1", {"MOUNT_MODE": "UNKNOWN", "EQMODE": 1}, EQ),
            _one("MOUNT_MODE '', _eqmode_mode ALT_AZ", {"MOUNT_MODE": "", "_eqmode_mode": "ALT_AZ"}, ALT_AZ),
            _one("MOUNT_MODE None, EQMODE 0", {"MOUNT_MODE": None, "EQMODE": 0}, ALT_AZ),
            _one("EQMODE 2, header 1", {"EQMODE": 2, "header": _header(1, "dict")}, EQ),
            _one("_eqmode_mode None, header 0", {"_eqmode_mode": None, "header": _header(0, "dict")}, ALT_AZ),
        ),
    ),
    ModeCases(
        code="ZC113",
        title="Only text counts in MOUNT_MODE and _eqmode_mode",
        requires=("R1",),
        meaning="These two hold words. A number there is somebody's mistake, and EQMODE is asked.",
        remedy="Skip MOUNT_MODE and _eqmode_mode where they are not of type str.",
        cases=(
            _one("MOUNT_MODE 1, EQMODE 0", {"MOUNT_MODE": 1, "EQMODE": 0}, ALT_AZ),
            _one("_eqmode_mode 0, EQMODE 1", {"_eqmode_mode": 0, "EQMODE": 1}, EQ),
            _one("MOUNT_MODE True, header 0", {"MOUNT_MODE": True, "header": _header(0, "dict")}, ALT_AZ),
        ),
    ),
    ModeCases(
        code="ZC114",
        title="Later entries are asked where the first say nothing",
        requires=("R1",),
        meaning="The second to the sixth entry of a group decide where those before them say nothing.",
        remedy="Go on to the next entries until one says EQ or ALT_AZ.",
        cases=tuple(
            Case(f"entry {silent + 1} is the first to say ALT_AZ", [*[_SILENT] * silent, {"EQMODE": 0}], ALT_AZ)
            for silent in (1, 2, 3, 5)
        ),
    ),
    ModeCases(
        code="ZC115",
        title="Entries after the sixth are asked, too",
        requires=("R1", "fact"),
        meaning=(
            "Groups hold hundreds of frames, and those of an older firmware say nothing. The released versions give up "
            "after six; then the tile counts as UNKNOWN."
        ),
        remedy="Ask a few more entries: it costs nothing, since no file is opened.",
        cases=tuple(
            Case(f"entry {silent + 1} is the first to say EQ", [*[_SILENT] * silent, {"MOUNT_MODE": "EQ"}], EQ)
            for silent in (6, 9)
        ),
    ),
    ModeCases(
        code="ZC116",
        title="The first entry that says its mode decides",
        requires=("R1",),
        meaning="Grouping keeps the modes apart, so the first entry that says something speaks for all.",
        remedy="Return as soon as an entry says EQ or ALT_AZ; do not count votes.",
        cases=(
            Case("EQ, then ALT_AZ twice", [{"EQMODE": 1}, {"EQMODE": 0}, {"EQMODE": 0}], EQ),
            Case("nothing, ALT_AZ, then EQ twice", [_SILENT, {"EQMODE": 0}, {"EQMODE": 1}, {"EQMODE": 1}], ALT_AZ),
        ),
    ),
    ModeCases(
        code="ZC117",
        title="What says no mode is UNKNOWN, and never an error",
        requires=("R1",),
        meaning="No entry, an entry that is no dict, a header that is none, values that nobody expects.",
        remedy="Take what cannot be read for nothing, and give UNKNOWN at the end.",
        cases=(
            Case("a group without entries", [], UNKNOWN),
            Case("an entry that is None", [None, {"EQMODE": 1}], EQ),
            _one("an entry that is a text", "light.fit", UNKNOWN),
            _one("an empty entry", {}, UNKNOWN),
            _one("header None", {"header": None, "header_subset": None}, UNKNOWN),
            _one("header that is a text", {"header": "EQMODE = 1"}, UNKNOWN),
            *_spelled("EQMODE", UNKNOWN=(None, "", "x", 2, -1, "2", [], 1e300, numpy_value("nan", "float64"))),
            _one("EQMODE infinite", {"EQMODE": numpy_value("inf", "float64")}, UNKNOWN),
        ),
    ),
    ModeCases(
        code="ZC118",
        title="An entry that is tried again is read the same",
        requires=("R6",),
        meaning="A retry group holds copies of entries with retry_attempt and retry_origin_chain added.",
        remedy="Look at no other keys than those that say the mode.",
        cases=(
            _one("a retried entry", {"EQMODE": 0, "retry_attempt": 1, "retry_origin_chain": [7]}, ALT_AZ),
            _one("tried three times", {"MOUNT_MODE": "EQ", "retry_attempt": 3, "retry_origin_chain": [1, 5, 9]}, EQ),
        ),
    ),
)


def _answers(lab: Lab) -> dict[str, tuple[InferredMode, ...]]:
    """Ask about all groups, those with files too."""
    lab.needs(FUNCTION)
    lists = {one.code: [case.group for case in one.cases] for one in MODE_CASES}
    lists["files"] = _groups_with_files(lab.folder)
    outcome = lab.answered("modes", infer_job([group for groups in lists.values() for group in groups]))
    modes = read_modes(outcome)
    if any("No module named 'astropy" in mode.raised for mode in modes):
        raise Skip("the interpreter that runs it has no astropy, which headers are made of")
    answers, start = {}, 0
    for code, groups in lists.items():
        answers[code] = modes[start : start + len(groups)]
        start += len(groups)
    return answers


def _groups_with_files(folder: Path) -> list[list[Entry]]:
    """Make groups whose files would say the mode, if they were opened."""
    light = folder / "light.fit"
    cards = ("SIMPLE  =                    T", "BITPIX  =                    8", "NAXIS   =                    0")
    text = "".join(card.ljust(80) for card in (*cards, "EQMODE  =                    1", "END"))
    light.write_bytes(text.ljust(2880).encode("ascii"))
    keys = ("path", "path_raw", "path_preprocessed_cache")
    silent = {key: str(light) for key in keys}
    return [[silent, silent], [{**silent, "MOUNT_MODE": "UNKNOWN", "header": header_value([["OBJECT", "M 16", ""]])}]]


def _wrong(case: Case, answer: InferredMode) -> str:
    if answer.raised:
        return f"{case.what}: it raised {answer.raised}"
    return "" if answer.mode == case.mode else f"{case.what}: {answer.mode}, not {case.mode}"


def _is_there(lab: Lab) -> Verdict:
    known = lab.under_test.checkout.functions[FUNCTION]
    if not known.is_there:
        return Verdict(False, known.told)
    lab.once(_answers)
    return Verdict(True, "it can be called")


def _opens_nothing(lab: Lab) -> Verdict:
    answers = lab.once(_answers)["files"]
    opened = sorted({Path(name).name for answer in answers for name in answer.opened})
    wrong = [f"it opens {name}" for name in opened]
    wrong += [f"it says {answer.mode}, which only the file says" for answer in answers if answer.mode != UNKNOWN]
    return judged_by_cases("no file is opened", wrong, len(answers))


def _changes_nothing(lab: Lab) -> Verdict:
    cases = {one.code: one.cases for one in MODE_CASES}
    answers = lab.once(_answers)
    wrong = [
        f"{case.what}: the entry is another afterwards"
        for code, listed in cases.items()
        for case, answer in zip(listed, answers[code], strict=True)
        if answer.changed
    ]
    return judged_by_cases("all entries are as they were", wrong, sum(map(len, cases.values())))


CHECKS: tuple[AcceptanceCheck, ...] = (
    AcceptanceCheck(
        code="ZC101",
        title="_infer_group_eqmode is there and can be called",
        requires=("R1",),
        meaning="Phase 3 asks each group for its mount mode; a ZeMosaic without this function cleans all tiles alike.",
        remedy="Add _infer_group_eqmode(group) to zemosaic_worker.py; docs/requirements.md says what it gives.",
        judge=_is_there,
    ),
    *(cases.check() for cases in MODE_CASES),
    AcceptanceCheck(
        code="ZC119",
        title="Asking for the mode opens no file",
        requires=("R1",),
        meaning="Entries with paths of FITS files that say EQMODE are handed over; no file may be opened for them.",
        remedy="Decide by the entry alone: groups may hold hundreds of frames on a slow disk.",
        judge=_opens_nothing,
        after=("ZC101",),
    ),
    AcceptanceCheck(
        code="ZC120",
        title="Asking for the mode changes no entry",
        requires=("R1", "R6"),
        meaning="The entries of every case are compared before and after.",
        remedy="Read entries, and write nothing into them.",
        judge=_changes_nothing,
        after=("ZC101",),
    ),
)
