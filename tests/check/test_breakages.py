"""Copies of the bundled modules, each broken in one place: the check that is there to notice does, and no other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from zemo_diagnostics.check.acceptance_list import ACCEPTANCE
from zemo_diagnostics.check.data import Status

from .conftest import MODULES, Ask, changed, codes, copy_modules

WORKER, ALIGN_STACK = MODULES


@dataclass(frozen=True, kw_only=True)
class Breakage:
    """What is broken, where, and which checks of those that are asked fail by it."""

    what: str
    file: str
    old: str
    new: str
    fails: tuple[str, ...]
    select: tuple[str, ...]


def mode(what: str, old: str, new: str, *fails: str) -> Breakage:
    return Breakage(what=what, file=WORKER, old=old, new=new, fails=fails, select=("ZC1",))


def decision(what: str, old: str, new: str, *fails: str) -> Breakage:
    return Breakage(what=what, file=WORKER, old=old, new=new, fails=fails, select=("ZC2",))


def stack(what: str, old: str, new: str, *fails: str) -> Breakage:
    select = ("ZC30", "ZC31", "ZC32")
    return Breakage(what=what, file=ALIGN_STACK, old=old, new=new, fails=fails, select=select)


def memory(what: str, old: str, new: str, *fails: str) -> Breakage:
    return Breakage(what=what, file=ALIGN_STACK, old=old, new=new, fails=fails, select=("ZC33",))


def tile(what: str, file: str, old: str, new: str, *fails: str) -> Breakage:
    return Breakage(what=what, file=file, old=old, new=new, fails=fails, select=("ZC4",))


def at_import(what: str, file: str, statement: str, *fails: str) -> Breakage:
    constant = "EQMODE_ENTRIES_ASKED = 16\n" if file == WORKER else "DEFAULT_BUDGET_MIB = 48 "
    new = f"{statement}\n{constant}"
    return Breakage(what=what, file=file, old=constant, new=new, fails=fails, select=("ZC5",))


def selftest(what: str, old: str, new: str, *fails: str) -> Breakage:
    return Breakage(what=what, file=WORKER, old=old, new=new, fails=fails, select=("ZC6",))


ASKED = "return list(islice(group, EQMODE_ENTRIES_ASKED)) if isinstance(group, Sequence) else []"
REPORT = """    if callback is not None:
        with contextlib.suppress(Exception):
            callback(message, percent, _LEVEL)
"""
EMIT = """    try:
        progress_callback(message, percent, level)
    except Exception:  # noqa: BLE001 - whatever a caller's callback raises is not this run's failure
        return
"""
KINDS = "return _mode_from_number(value) if isinstance(value, (Real, np.bool_, bytes)) else UNKNOWN"
TEXTS = "yield key, value, _mode_from(value) if isinstance(value, str) else UNKNOWN"
INFER = "    return group_eqmode(group).mode\n"

WARN = 'return GlobalCleanupDecision(requested=True, effective=False, reason=reason, level="WARN", message=message)'
INFO = 'return GlobalCleanupDecision(requested=False, effective=True, reason=reason, level="INFO", message=message)'

BREAKAGES = (
    mode("renamed", "def _infer_group_eqmode(", "def _infer_the_group_eqmode(", "ZC101"),
    mode("wants a second argument", "def _infer_group_eqmode(group:", "def _infer_group_eqmode(run, group:", "ZC101"),
    mode(
        "MOUNT_MODE is another key",
        '_TEXT_KEYS = ("MOUNT_MODE",',
        '_TEXT_KEYS = ("MOUNTMODE",',
        "ZC102",
        "ZC107",
        "ZC108",
        "ZC111",
        "ZC115",
        "ZC118",
    ),
    mode(
        "_eqmode_mode is not read",
        '_TEXT_KEYS = ("MOUNT_MODE", "_eqmode_mode")',
        '_TEXT_KEYS = ("MOUNT_MODE",)',
        "ZC103",
        "ZC111",
        "ZC112",
    ),
    mode(
        "texts of numbers with a decimal", "number = int(float(str(value).strip()))", "number = int(value, 10)", "ZC104"
    ),
    mode(
        "floats are not read",
        KINDS,
        KINDS.replace("(Real, np.bool_, bytes)", "(int, np.integer, np.float32, np.bool_)"),
        "ZC105",
        "ZC106",
    ),
    mode("NumPy's integers are not read", KINDS, KINDS.replace("(Real, np.bool_, bytes)", "(int, float)"), "ZC106"),
    mode("EQUATORIAL is not known", '("EQ", "EQUATORIAL")', '("EQ",)', "ZC107"),
    mode("lower case is not known", "word = value.strip().upper()", "word = value.strip()", "ZC107"),
    mode("EQMODE_1 is not known", 'word.removeprefix("EQMODE_")', "word", "ZC108"),
    mode(
        "header_subset is not read", '_HEADER_KEYS = ("header", "header_subset")', '_HEADER_KEYS = ("header",)', "ZC109"
    ),
    mode(
        "fits.Header is not read", "if not isinstance(mapping, Mapping):", "if not isinstance(mapping, dict):", "ZC110"
    ),
    mode("keys in another order", '("MOUNT_MODE", "_eqmode_mode")', '("_eqmode_mode", "MOUNT_MODE")', "ZC111"),
    mode(
        "the first key ends the asking",
        "        if mode != UNKNOWN:\n            return EqmodeEvidence(mode, 0,",
        "        if value is not None:\n            return EqmodeEvidence(mode, 0,",
        "ZC112",
        "ZC113",
    ),
    mode("numbers count in MOUNT_MODE", TEXTS, "yield key, value, _mode_from(value)", "ZC113"),
    mode(
        "the first entry alone is asked",
        "EQMODE_ENTRIES_ASKED = 16",
        "EQMODE_ENTRIES_ASKED = 1",
        "ZC114",
        "ZC115",
        "ZC116",
        "ZC117",
    ),
    mode("six entries are asked", "EQMODE_ENTRIES_ASKED = 16", "EQMODE_ENTRIES_ASKED = 6", "ZC115"),
    mode(
        "the last entry decides",
        ASKED,
        ASKED.replace("list(islice(group, EQMODE_ENTRIES_ASKED))", "list(islice(group, EQMODE_ENTRIES_ASKED))[::-1]"),
        "ZC116",
    ),
    mode(
        "entries that are None raise",
        "    for key in _TEXT_KEYS:\n",
        "    entry['path'] if entry is None else None\n    for key in _TEXT_KEYS:\n",
        "ZC117",
    ),
    mode(
        "a retried entry is not asked",
        INFER,
        "    group = [one for one in group or () if not (isinstance(one, dict) and "
        "one.get('retry_attempt'))]\n" + INFER,
        "ZC118",
    ),
    mode(
        "files are opened",
        INFER,
        "    for one in group or ():\n        if isinstance(one, dict) and 'path_raw' in one:\n"
        "            open(one['path_raw'], 'rb').close()\n" + INFER,
        "ZC119",
    ),
    mode(
        "entries are changed",
        INFER,
        "    for one in group or ():\n        if isinstance(one, dict):\n"
        "            one['eqmode_asked'] = True\n" + INFER,
        "ZC120",
    ),
    decision(
        "unknown frames count as equatorial",
        "return EqmodeSummary(counts[EQ], counts[ALT_AZ], counts[UNKNOWN])",
        "return EqmodeSummary(counts[EQ] + counts[UNKNOWN], counts[ALT_AZ], 0)",
        "ZC201",
    ),
    decision("no WARN", WARN, "return GlobalCleanupDecision(requested=True, effective=False, reason=reason)", "ZC202"),
    decision(
        "cleanup stays on without alt-az frames", WARN, WARN.replace("effective=False", "effective=True"), "ZC202"
    ),
    decision("cleanup is not switched on", INFO, INFO.replace("effective=True", "effective=False"), "ZC203"),
    decision("all tiles are cleaned", "global_enabled and evidence.mode == ALT_AZ)", "global_enabled)", "ZC204"),
    decision(
        "unknown tiles are cleaned",
        "global_enabled and evidence.mode == ALT_AZ)",
        "global_enabled and evidence.mode != EQ)",
        "ZC204",
    ),
    decision(
        "another line",
        'f"P3_ALTaz_GATING: tile_id={self.tile_id} eqmode=',
        'f"P3_ALTAZ_GATING: tile_id={self.tile_id} eqmode=',
        "ZC205",
    ),
    decision(
        "another level",
        '_emit(progress_callback, decision.log_line(), "DEBUG_DETAIL")',
        '_emit(progress_callback, decision.log_line(), "INFO")',
        "ZC203",
        "ZC205",
    ),
    decision("a callback may break the run", EMIT, "    progress_callback(message, percent, level)\n", "ZC206"),
    stack("no dispatcher", "def _cpu_stack_kappa_fallback(\n", "def _cpu_stack_fallback(\n", "ZC301"),
    stack("no stack by bands", "_cpu_stack_kappa_fallback_chunked(", "_cpu_stack_by_bands(", "ZC302"),
    stack(
        "a deviation with ddof 1", "std = np.nanstd(stack, axis=0)", "std = np.nanstd(stack, axis=0, ddof=1)", "ZC303"
    ),
    stack(
        "a mean of what is not NaN alone",
        "stacked = np.nanmean(np.where(keep, stack, np.float32(np.nan)), axis=0)",
        "stacked = np.mean(np.where(keep, stack, np.float32(np.nan)), axis=0)",
        "ZC303",
    ),
    stack(
        "weights are left out",
        "_shaped_weights(weights, (n, *shape))",
        "np.ones((n,) + (1,) * len(shape))",
        "ZC305",
        "ZC306",
        "ZC310",
        "ZC316",
        "ZC321",
    ),
    stack(
        "(N, 1) is not one for each frame",
        "per_frame = given.shape in ((n,), (n, 1), (n, 1, 1))",
        "per_frame = given.shape == (n,)",
        "ZC311",
    ),
    stack(
        "(N, 1, 1, C) is one for each frame",
        "    shaped = given.reshape(n,",
        "    given = given[..., :1] if given.ndim == 4 and "
        "given.shape[1:3] == (1, 1) else given\n    shaped = given.reshape(n,",
        "ZC312",
    ),
    stack(
        "weights by pixel are not cut",
        "weights = weights[:, area.y0 : area.y1, area.x0 : area.x1]",
        "weights = weights[:, : area.y1 - area.y0, : area.x1 - area.x0]",
        "ZC313",
    ),
    stack(
        "nothing stands in for weights of 0",
        "return np.where(np.isfinite(weighted), weighted, mean)",
        "return weighted",
        "ZC306",
        "ZC314",
    ),
    stack(
        "frames of 16 bits are taken for unsigned",
        'source[rows, cols], casting="unsafe")',
        'np.abs(source[rows, cols]) if source.dtype.kind == "i" else source[rows, cols] * (1 if source.dtype.kind'
        ' == "f" else 2), casting="unsafe")',
        "ZC304",
    ),
    stack(
        "NaN take part in the median",
        "block.columns[pixels, (count - 1) // 2], block.columns[pixels, count // 2]",
        "block.columns[:, (n - 1) // 2], block.columns[:, n // 2]",
        "ZC305",
    ),
    stack(
        "an even number of frames has a lower median",
        "return rows[(n - 1) // 2], rows[n // 2]",
        "return rows[(n - 1) // 2], rows[(n - 1) // 2]",
        "ZC307",
    ),
    stack(
        "frames of one row are refused",
        "    for i, frame in enumerate(arrays):\n        if tuple(frame.shape)",
        "    for i, frame in enumerate(arrays):\n        if len(frame) == 1:\n            raise ValueError('too low')\n"
        "        if tuple(frame.shape)",
        "ZC308",
    ),
    stack("bands of one pixel", "_FEWEST_UNCUT = 3", "_FEWEST_UNCUT = 1", "ZC309"),
    stack(
        "the height of bands counts",
        "    return _stack_bounded(\n        frames,\n        sigma_low=sigma_low,",
        "    return _stack_bounded(\n        frames,\n"
        "        sigma_low=sigma_low / (2 if chunk_rows in (2, 5) else 1),",
        "ZC315",
    ),
    stack("limits taken for one another", "med + job.kappas[1] * std", "med + job.kappas[0] * std", "ZC316"),
    stack(
        "a generator is refused",
        '    arrays = [f if hasattr(f, "shape")',
        '    len(frames)\n    arrays = [f if hasattr(f, "shape")',
        "ZC317",
    ),
    stack(
        "NaN counted as kept",
        "return 100.0 * (total - kept) / total if total else 0.0",
        "return 100.0 * (total - kept) / (total + 1) if total else 0.0",
        "ZC318",
    ),
    stack(
        "a stack in float64",
        '    _report(progress_callback, "cpu_kappa_fallback_done")\n    return stacked,',
        '    _report(progress_callback, "cpu_kappa_fallback_done")\n    return stacked.astype(np.float64),',
        "ZC319",
    ),
    stack(
        "frames are changed",
        "    return job.stacked, _rejected_pct(kept, n * size)",
        "    for one in arrays:\n"
        "        if one.flags.writeable:\n            one[...] = 0\n"
        "    return job.stacked, _rejected_pct(kept, n * size)",
        "ZC320",
    ),
    stack(
        "no frame is an empty stack",
        '        raise ValueError("frames is empty")\n',
        '        raise RuntimeError("frames is empty")\n',
        "ZC321",
    ),
    stack(
        "another shape is not named",
        'raise ValueError(f"frame {i} has shape {tuple(frame.shape)}, but frame 0 has {shape}")',
        'raise ValueError("all input arrays must have the same shape")',
        "ZC322",
    ),
    stack(
        "the end is not told",
        '    _report(progress_callback, "cpu_kappa_fallback_done")\n    return job.stacked,',
        "    return job.stacked,",
        "ZC323",
    ),
    stack(
        "a callback may break the stack",
        REPORT,
        "    if callback is not None:\n        callback(message, percent, _LEVEL)\n",
        "ZC324",
    ),
    memory(
        "all frames are put together",
        "    return _stack_bounded(\n        frames,",
        "    return _stack_bounded(\n        np.stack(list(frames)),",
        "ZC331",
    ),
    memory(
        "high bands hold all frames",
        "    return _stack_bounded(\n        frames,",
        "    held = [np.array(one, np.float64) for one in frames] if chunk_rows >= 64 else list(frames)\n"
        "    return _stack_bounded(\n        held,",
        "ZC332",
    ),
    tile(
        "the mask is the wrong way round",
        ALIGN_STACK,
        "    out[outside] = np.nan",
        "    out[~outside if propagate_mask else outside] = np.nan",
        "ZC401",
        "ZC405",
    ),
    tile(
        "nothing is blanked",
        ALIGN_STACK,
        "    out[outside] = np.nan if propagate_mask else level",
        "    out[outside] = level",
        "ZC401",
    ),
    tile(
        "aligned frames are padded",
        ALIGN_STACK,
        "    return aligned, failed\n",
        "    return [np.pad(one, ((9, 9), (9, 9), (0, 0))) for one in aligned], failed\n",
        "ZC402",
    ),
    tile(
        "the WCS is elsewhere",
        WORKER,
        "header = fits.Header(_wcs_cards(aligned.reference.wcs))",
        "header = fits.Header(_wcs_cards(aligned.reference.wcs))\n    header['CRPIX1'] += 30",
        "ZC403",
    ),
    tile(
        "masters are too dim",
        WORKER,
        "planes = image if image.ndim == 2",
        "image = image * 0.33\n    planes = image if image.ndim == 2",
        "ZC404",
        "ZC405",
    ),
    tile(
        "cleaned tiles are wiped",
        WORKER,
        "        image, applied = cleanup.image, cleanup.applied\n",
        "        image, applied = cleanup.image * np.float32(np.nan), cleanup.applied\n",
        "ZC405",
    ),
    tile(
        "retried entries lose their keys",
        WORKER,
        "again.append({**group[i], ",
        "again.append({'path_raw': group[i]['path_raw'], ",
        "ZC406",
    ),
    at_import("an import that raises", ALIGN_STACK, "raise RuntimeError('no')", "ZC501", "ZC502"),
    at_import("an import that ends the process", WORKER, "os._exit(3)", "ZC502"),
    at_import("a log is emptied", WORKER, "open('zemosaic_worker.log', 'w').close()", "ZC503"),
    at_import("settings are written", WORKER, "(Path.home() / 'zemosaic.json').write_text('{}')", "ZC504"),
    at_import(
        "a thread is left", WORKER, "threading.Thread(target=threading.Event().wait, daemon=True).start()", "ZC505"
    ),
    at_import("a line is printed", ALIGN_STACK, "print('no GPU')", "ZC506"),
    selftest(
        "no self-test",
        "def _selftest_infer_group_eqmode() -> None:",
        "def _test_infer_group_eqmode() -> None:",
        "ZC601",
    ),
    selftest("a self-test fails", "        if inferred != expected:\n", "        if inferred == expected:\n", "ZC602"),
    selftest(
        "a self-test cannot fail", "        if inferred != expected:\n", "        if inferred is None:\n", "ZC603"
    ),
    selftest(
        "a self-test in production",
        INFER,
        "    _selftest_infer_group_eqmode() if group == ['never'] else None\n" + INFER,
        "ZC604",
    ),
)


# The others, each of which stacks, aligns or imports, take some seconds: the long tests have them.
ALWAYS = {
    "(N, 1) is not one for each frame",
    "bands of one pixel",
    "a callback may break the stack",
    "no stack by bands",
    "all frames are put together",
    "the mask is the wrong way round",
    "a log is emptied",
    "a self-test cannot fail",
}


def parameters() -> list[Any]:
    return [
        pytest.param(
            one,
            id=f"{'-'.join(one.fails)} {one.what}",
            marks=() if one.select in (("ZC1",), ("ZC2",)) or one.what in ALWAYS else pytest.mark.long,
        )
        for one in BREAKAGES
    ]


@pytest.mark.parametrize("breakage", parameters())
def test_a_breakage_fails_the_check_that_is_there_for_it(ask: Ask, tmp_path: Path, breakage: Breakage) -> None:
    folder = changed(copy_modules(tmp_path / "zemosaic"), breakage.file, breakage.old, breakage.new)
    run = ask(folder, *breakage.select)
    assert codes(run, Status.FAIL) == list(breakage.fails), [one for one in run.results if one.status is Status.FAIL]
    assert codes(run, Status.CRASH) == []


def test_there_are_enough_of_them() -> None:
    assert len(BREAKAGES) >= 25
    assert {one.what for one in BREAKAGES} >= ALWAYS


def test_every_check_but_those_of_a_change_is_broken_by_one() -> None:
    broken = {code for one in BREAKAGES for code in one.fails}
    assert broken == {check.code for check in ACCEPTANCE if not check.code.startswith("ZC7")}
