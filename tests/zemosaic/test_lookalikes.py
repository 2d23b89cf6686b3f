"""Checkouts that behave badly: each is judged right, and neither it nor its user's folders are touched."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from astropy.io import fits

from zemo_diagnostics.zemosaic import jobs, runner
from zemo_diagnostics.zemosaic.child import Ending, Line, Outcome

from ..conftest import ROOT
from .conftest import Run
from .lookalikes import write_lookalike

GROUPS: list[list[Any]] = [[{"EQMODE": 1}], [{"EQMODE": 0}], [{}]]
IMPORTED = [jobs.IMPORTED]


def modes(outcome: Outcome) -> list[str | None]:
    return [one.mode for one in jobs.read_modes(outcome)]


def frames(folder: Path, count: int = 3, shape: tuple[int, ...] = (8, 6)) -> list[Path]:
    random = np.random.default_rng(1)
    paths = [folder / f"frame_{index}.npy" for index in range(count)]
    for path in paths:
        np.save(path, random.normal(100, 10, shape).astype(np.float32))
    return paths


def test_a_function_is_lifted_and_nothing_else_of_its_module_runs(run: Run, tmp_path: Path) -> None:
    checkout = write_lookalike(tmp_path / "z", worker_import="raise SystemError('imported')")
    outcome = run(checkout, jobs.infer_job(GROUPS))
    assert (outcome.ending, outcome.detail, modes(outcome)) == (Ending.OK, "", ["EQ", "ALT_AZ", "UNKNOWN"])
    assert [(step.rung, step.ok) for step in outcome.steps] == [("lifted", True)]
    assert outcome.written == ()


def test_what_cannot_be_lifted_is_imported_and_the_report_says_why(run: Run, tmp_path: Path) -> None:
    checkout = write_lookalike(tmp_path / "z", worker_import="MODES = dict(zemosaic_align_stack.__dict__)")
    outcome = run(checkout, jobs.infer_job(GROUPS))
    assert (outcome.ending, modes(outcome)) == (Ending.OK, ["EQ", "ALT_AZ", "UNKNOWN"])
    assert [(step.rung, step.ok, step.why) for step in outcome.steps] == [
        ("lifted", False, "MODES is set in several places"),
        ("imported", True, ""),
    ]


@pytest.mark.parametrize(
    ("at_import", "why"),
    [
        ("from zemosaic_align_stack import np as MODES", "MODES is imported from zemosaic_align_stack"),
        ("from . import MODES", "MODES is imported from ."),
        ("MODES = open('x', 'w')", "MODES is made by calling open, which may do more"),
        ("import numpy\nMODES = numpy.load('x')", "MODES is made by calling numpy.load, which may do more"),
        ("from pathlib import Path\nMODES = Path('x').touch()", "MODES is made by calling Path('x').touch"),
        ("if True:\n    MODES = {}", "MODES is set under a condition"),
        ("", "_infer_group_eqmode uses MODES, which zemosaic_worker.py does not define by itself"),
    ],
)
def test_nothing_with_side_effects_is_lifted(run: Run, tmp_path: Path, at_import: str, why: str) -> None:
    worker = f"{at_import}\n\n\ndef _infer_group_eqmode(group):\n    return MODES\n"
    outcome = run(write_lookalike(tmp_path / "z", worker=worker), jobs.infer_job(GROUPS, rungs=[jobs.LIFTED]))
    assert outcome.ending is Ending.NOT_THERE
    assert outcome.detail.startswith(why)


def test_what_is_lifted_may_need_classes_constants_and_numpy(run: Run, tmp_path: Path) -> None:
    worker = """
import logging
from dataclasses import dataclass
import numpy as np
from pathlib import Path

EQ, ALT_AZ = "EQ", "ALT_AZ"
log = logging.getLogger("x")
FOLDER = Path("/nowhere")
TABLE = {**dict.fromkeys([1], EQ), **{value: ALT_AZ for value in range(1)}}
NAMES = " a b ".split()

@dataclass(frozen=True)
class Found:
    mode: str = "UNKNOWN"
    table: "missing.Type | None" = None

    def told(self) -> AlsoMissing:
        log.debug("told %s %s", FOLDER, NAMES)
        return self.mode

def _found(value: NotDefinedAnywhere, *, like=np.float32(1.0)) -> Found:
    return Found(TABLE.get(value, "UNKNOWN"))

def _infer_group_eqmode(group: "list[dict] | Missing") -> str:
    return _found(group[0].get("EQMODE")).told()

undefined_when_imported
"""
    outcome = run(write_lookalike(tmp_path / "z", worker=worker), jobs.infer_job(GROUPS))
    assert (outcome.detail, modes(outcome)) == ("", ["EQ", "ALT_AZ", "UNKNOWN"])


def test_noise_on_stdout_in_any_language_is_passed_over(run: Run, tmp_path: Path) -> None:
    noise = "print('AVERT : décalage non trouvé – ✓ ' * 3)\nimport sys; sys.stdout.buffer.write(b'\\xff\\xfe\\n')"
    outcome = run(write_lookalike(tmp_path / "z", worker_import=noise), jobs.infer_job(GROUPS, rungs=IMPORTED))
    assert modes(outcome) == ["EQ", "ALT_AZ", "UNKNOWN"]
    assert "décalage non trouvé" in outcome.stdout


def test_a_flood_on_both_streams_neither_blocks_nor_fills_anything(run: Run, tmp_path: Path) -> None:
    flood = "import sys\nfor _ in range(200):\n    print('x' * 65536)\n    print('y' * 65536, file=sys.stderr)"
    outcome = run(write_lookalike(tmp_path / "z", worker_import=flood), jobs.infer_job(GROUPS, rungs=IMPORTED))
    assert outcome.ending is Ending.OK
    assert max(len(outcome.stdout), len(outcome.stderr)) <= 16 << 10


def test_a_missing_package_is_named_and_what_needs_none_is_judged_all_the_same(run: Run, tmp_path: Path) -> None:
    checkout = write_lookalike(tmp_path / "z", worker_import="import photométrie_absente")
    outcome = run(checkout, jobs.infer_job(GROUPS, rungs=IMPORTED))
    assert outcome.ending is Ending.IMPORT_FAILED
    assert outcome.detail == (
        "zemosaic_worker cannot be imported: the package photométrie_absente is not there for the interpreter that was "
        "used"
    )
    assert modes(run(checkout, jobs.infer_job(GROUPS))) == ["EQ", "ALT_AZ", "UNKNOWN"]


def test_a_slow_import_is_waited_for_but_not_for_ever(run: Run, tmp_path: Path) -> None:
    checkout = write_lookalike(tmp_path / "z", worker_import="import time; time.sleep(1.5)")
    job = jobs.infer_job(GROUPS, rungs=IMPORTED)
    assert run(checkout, job).ending is Ending.OK
    outcome = run(checkout, job, import_timeout_s=0.5)
    assert outcome.ending is Ending.TIMED_OUT
    assert outcome.detail == "importing did not end within 0.5 s and was stopped while importing zemosaic_worker"


def test_a_hanging_import_is_ended_by_the_job_s_own_time_too(run: Run, tmp_path: Path) -> None:
    checkout = write_lookalike(tmp_path / "z", worker_import="while True: pass")
    outcome = run(checkout, jobs.infer_job(GROUPS, rungs=IMPORTED), timeout_s=3)
    assert (outcome.ending, outcome.detail) == (
        Ending.TIMED_OUT,
        "it did not end within 3 s and was stopped while importing zemosaic_worker",
    )
    assert outcome.rss_seen_bytes > 1 << 20


def test_what_an_import_writes_is_told_and_nothing_of_the_user_s(run: Run, tmp_path: Path) -> None:
    writes = """
    import os, tempfile
    from pathlib import Path
    here = Path(__file__).resolve().parent
    (here / "zemosaic_worker.log").open("w").close()
    (here / "locales" / "fr.json").write_text("{'changed': 1}")
    (Path.home() / ".config").mkdir()
    (Path.home() / ".config" / "ZeMosaic.json").write_text("{}")
    Path("zemosaic_worker.log").write_text("")
    Path(tempfile.gettempdir(), "cache.bin").write_text("")
    """
    outcome = run(write_lookalike(tmp_path / "z", worker_import=writes), jobs.infer_job(GROUPS, rungs=IMPORTED))
    assert outcome.ending is Ending.OK, outcome.detail
    assert sorted(outcome.written) == [
        "beside the modules/locales/fr.json",
        "beside the modules/zemosaic_worker.log",
        "current/zemosaic_worker.log",
        "home/.config/ZeMosaic.json",
        "temporary/cache.bin",
    ]


LOGS = """
    import logging
    from pathlib import Path
    logger = logging.getLogger("ZeMosaicWorker")
    if not logger.handlers:
        logger.addHandler(logging.FileHandler({path}, mode="w", encoding="utf-8"))
    logger.info("journal ouvert")
    """


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ('"zemosaic_worker.log"', "current/zemosaic_worker.log"),
        ('Path(__file__).with_name("zemosaic_worker.log")', "beside the modules/zemosaic_worker.log"),
    ],
)
def test_its_log_is_not_opened_unless_that_is_what_we_want_to_see(
    run: Run, tmp_path: Path, path: str, shown: str
) -> None:
    checkout = write_lookalike(tmp_path / "z", worker_import=LOGS.format(path=path))
    guarded = run(checkout, jobs.import_job("zemosaic_worker"))
    assert (guarded.ending, guarded.written, guarded.result["log_files"]) == (Ending.OK, (), [])
    assert [(line.source, line.level, line.message) for line in guarded.lines] == [
        ("logger ZeMosaicWorker", "INFO", "journal ouvert")
    ]
    seen = run(checkout, jobs.import_job("zemosaic_worker", guarded=False))
    assert (seen.written, seen.result["log_files"]) == ((shown,), ["zemosaic_worker.log"])


@pytest.mark.parametrize(
    ("at_import", "ending", "told"),
    [
        ("import sys; sys.exit(3)", Ending.IMPORT_FAILED, "zemosaic_worker cannot be imported: it called sys.exit(3)"),
        (
            "import os, sys; print('adieu', file=sys.stderr); sys.stderr.flush(); os._exit(7)",
            Ending.IMPORT_FAILED,
            "it ended itself with exit code 7 and no result while importing zemosaic_worker; its last words: adieu",
        ),
        ("1 / 0", Ending.IMPORT_FAILED, "zemosaic_worker cannot be imported: ZeroDivisionError: division by zero"),
        ("raise KeyboardInterrupt", Ending.IMPORT_FAILED, "cannot be imported: KeyboardInterrupt: without a message"),
        ("raise MemoryError('11 GiB')", Ending.IMPORT_FAILED, "cannot be imported: MemoryError: 11 GiB"),
    ],
)
def test_a_dying_import_is_told(run: Run, tmp_path: Path, at_import: str, ending: Ending, told: str) -> None:
    outcome = run(write_lookalike(tmp_path / "z", worker_import=at_import), jobs.infer_job(GROUPS, rungs=IMPORTED))
    assert outcome.ending is ending
    assert outcome.detail.endswith(told)


def test_a_crash_in_an_import_is_told(run: Run, tmp_path: Path) -> None:
    crash = "import faulthandler; faulthandler._sigsegv()"
    outcome = run(write_lookalike(tmp_path / "z", worker_import=crash), jobs.infer_job(GROUPS, rungs=IMPORTED))
    assert outcome.ending is Ending.KILLED
    assert "while importing zemosaic_worker: a fault in a compiled library" in outcome.detail


GRANDCHILD = """
    import subprocess, sys
    from pathlib import Path
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    Path({note!r}).write_text(str(child.pid))
    {then}
    """


def gone(pid: int) -> bool:
    for _ in range(100):
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("then", ["", "import os; os._exit(0)", "while True: pass", "import faulthandler; 1 / 0"])
def test_what_a_child_started_ends_with_it(run: Run, tmp_path: Path, then: str) -> None:
    note = tmp_path / "pid"
    at_import = GRANDCHILD.format(note=str(note), then=then)
    run(write_lookalike(tmp_path / "z", worker_import=at_import), jobs.infer_job(GROUPS, rungs=IMPORTED), timeout_s=5)
    assert gone(int(note.read_text(encoding="ascii")))


def test_threads_and_exit_handlers_that_it_leaves_hold_nothing_up(run: Run, tmp_path: Path) -> None:
    leaves = """
    import atexit, threading, time
    threading.Thread(target=time.sleep, args=(600,), name="veilleur").start()
    atexit.register(time.sleep, 600)
    """
    outcome = run(write_lookalike(tmp_path / "z", worker_import=leaves), jobs.import_job("zemosaic_worker"), 30)
    assert (outcome.ending, outcome.result["threads_left"]) == (Ending.OK, ["veilleur"])


def test_stdin_is_empty_for_it(run: Run, tmp_path: Path) -> None:
    asks = "import sys\nassert sys.stdin.read() == ''"
    outcome = run(write_lookalike(tmp_path / "z", worker_import=asks), jobs.import_job("zemosaic_worker"), 30)
    assert (outcome.ending, outcome.detail) == (Ending.OK, "")


def test_it_sees_nothing_of_ours_in_its_path_and_environment(run: Run, tmp_path: Path) -> None:
    looks = """
    import os, sys
    assert "zemo_diagnostics" not in sys.modules and not any("users current" in path for path in sys.path), sys.path
    assert "PYTHONPATH" not in os.environ and os.environ["OMP_NUM_THREADS"] == "1"
    assert os.listdir(".") == os.listdir(os.path.expanduser("~")) == [] and sys.flags.dont_write_bytecode
    assert sys.stdout.encoding.lower() == "utf-8"
    """
    outcome = run(write_lookalike(tmp_path / "z", worker_import=looks), jobs.import_job("zemosaic_worker"))
    assert (outcome.ending, outcome.detail) == (Ending.OK, "")


def test_folders_of_packages_repositories_and_frames_are_not_copied(run: Run, tmp_path: Path) -> None:
    looks = """
    from pathlib import Path
    here = Path(__file__).parent
    names = sorted(path.relative_to(here).as_posix() for path in here.rglob("*") if path.is_file())
    assert names == ["locales/fr.json", "zemosaic_align_stack.py", "zemosaic_worker.py"], names
    """
    checkout = write_lookalike(tmp_path / "z", worker_import=looks)
    for name in (".git/x.py", "__pycache__/x.py", "environment/x.py", "environment/pyvenv.cfg"):
        (checkout / name).parent.mkdir(exist_ok=True)
        (checkout / name).write_text("", encoding="utf-8")
    outcome = run(checkout, jobs.import_job("zemosaic_worker"))
    assert (outcome.ending, outcome.detail) == (Ending.OK, "")


def test_of_a_folder_of_installed_packages_the_two_modules_alone_are_copied(run: Run, tmp_path: Path) -> None:
    looks = """
    from pathlib import Path
    names = sorted(path.name for path in Path(__file__).parent.iterdir())
    assert names == ["zemosaic_align_stack.py", "zemosaic_worker.py"], names
    """
    checkout = write_lookalike(tmp_path / "site-packages", worker_import=looks)
    (checkout / "astropy.py").write_text("", encoding="utf-8")
    outcome = run(checkout, jobs.import_job("zemosaic_worker"))
    assert (outcome.ending, outcome.detail) == (Ending.OK, "")


def test_a_checkout_that_holds_too_much_beside_its_code_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "_MOST_FILES", 2)
    with pytest.raises(runner.ImportFailed, match="more than 2 small files or 512 MiB; move what is not ZeMosaic's"):
        runner.copy_checkout(write_lookalike(tmp_path / "z"), tmp_path / "copy", modules_only=False)


def test_inference_that_opens_files_or_changes_entries_is_seen(run: Run, tmp_path: Path) -> None:
    worker = """
def _infer_group_eqmode(group):
    group[0]["seen"] = True
    if group[0].get("path"):
        open(group[0]["path"]).close()
    return "EQ"
"""
    light = tmp_path / "light.fit"
    light.write_text("", encoding="ascii")
    checkout = write_lookalike(tmp_path / "z", worker=worker)
    outcome = run(checkout, jobs.infer_job([[{"path": str(light)}], [{"path": ""}], [{"path": "no such"}], []]))
    judged = jobs.read_modes(outcome)
    assert [one.changed for one in judged] == [True, True, False, False]
    assert [one.opened for one in judged] == [(str(light),), (), (), ()]
    assert [one.raised for one in judged] == [
        "",
        "",
        "FileNotFoundError: [Errno 2] No such file or directory: 'no such'",
        "IndexError: list index out of range",
    ]


def test_entries_arrive_as_they_were_meant(run: Run, tmp_path: Path) -> None:
    worker = """
def _infer_group_eqmode(group):
    return " ".join(f"{type(entry['it']).__module__}.{type(entry['it']).__name__}" for entry in group)
"""
    cards: list[Any] = [["EQMODE", 1, "mount"], ["EQMODE", 0, ""], ["CREATOR", "Seestar", ""]]
    images = ["EQMODE  =                    1 / mount", "COMMENT of somebody"]
    group = [
        {"it": np.int64(1)},
        {"it": (1, 2)},
        {"it": jobs.header_value(cards)},
        {"it": jobs.header_value(cards, "dict")},
        {"it": jobs.header_value(images)},
        {"it": jobs.header_value(images, "dict")},
    ]
    outcome = run(write_lookalike(tmp_path / "z", worker=worker), jobs.infer_job([group]))
    header = "astropy.io.fits.header.Header"
    assert modes(outcome) == [f"numpy.int64 builtins.tuple {header} builtins.dict {header} builtins.dict"]


def test_a_header_is_handed_over_with_its_broken_cards_and_is_not_mended(run: Run, tmp_path: Path) -> None:
    worker = """
def _infer_group_eqmode(group):
    try:
        return str(group[0]["header"].get("EQMODE"))
    except Exception as error:
        return type(error).__name__
"""
    header = fits.Header.fromstring(f"{'EQMODE  = 1.5.2':80}{'CREATOR = (Seestar)':80}")
    outcome = run(write_lookalike(tmp_path / "z", worker=worker), jobs.infer_job([[{"header": header}]]))
    (judged,) = jobs.read_modes(outcome)
    assert (judged.mode, judged.changed) == ("VerifyError", False)
    with pytest.raises(fits.VerifyError):
        header.get("EQMODE")
    header["EQMODE"] = 1
    (written, _) = jobs.coded(header)["cards"]
    assert written == f"{'EQMODE  =                    1':80}"


def test_a_stack_is_made_and_measured(run: Run, tmp_path: Path) -> None:
    checkout, paths, stacked = write_lookalike(tmp_path / "z"), frames(tmp_path), tmp_path / "stacked.npy"
    weights = tmp_path / "weights.npy"
    np.save(weights, np.full((3, 1, 1), 2.0))
    lines: list[Line] = []
    job = jobs.kappa_job("fallback", paths, stacked, weights=weights, callback="count")
    outcome = run(checkout, job, on_line=lines.append)
    assert outcome.detail == ""
    expected = (np.stack([np.load(path) for path in paths]) * np.float32(2)).mean(axis=0)
    np.testing.assert_array_equal(np.load(stacked), expected)
    result = outcome.result
    assert (result["rejected_pct"], result["callbacks"], result["shape"]) == (0.0, 1, [8, 6])
    assert result["peak_bytes"] > 1 << 20
    assert result["wall_s"] > 0
    assert [(line.message, line.progress) for line in lines] == [("stacked", 100.0)]
    assert list(outcome.lines) == lines


def test_a_child_is_ended_when_its_parent_is_interrupted(run: Run, tmp_path: Path) -> None:
    note = tmp_path / "pid"
    then = "print('here'); import logging; logging.getLogger('ZeMosaicWorker').info('here')\n    while True: pass"
    checkout = write_lookalike(tmp_path / "z", worker_import=GRANDCHILD.format(note=str(note), then=then))

    def interrupt(_: Line) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(checkout, jobs.import_job("zemosaic_worker"), on_line=interrupt)
    assert gone(int(note.read_text(encoding="ascii")))
    assert not (tmp_path / "job" / "scratch").exists()


@pytest.mark.parametrize("how", ["float32", "as they are", "lazy", "array", "generator"])
def test_frames_are_handed_over_as_they_are_wanted(run: Run, tmp_path: Path, how: str) -> None:
    job = jobs.kappa_job("fallback", frames(tmp_path), tmp_path / "stacked.npy", hand_over=how)
    assert run(write_lookalike(tmp_path / "z"), job).ending is Ending.OK


def test_what_a_stack_raises_is_told_with_its_place(run: Run, tmp_path: Path) -> None:
    checkout, paths = write_lookalike(tmp_path / "z"), frames(tmp_path)
    outcome = run(checkout, jobs.kappa_job("fallback", paths, tmp_path / "s.npy", callback="raise"))
    assert (outcome.ending, outcome.detail) == (Ending.RAISED, "RuntimeError: a progress callback that raises")
    assert outcome.result["raised"]["where"].startswith("zemosaic_align_stack.py:")


def test_a_function_that_is_not_there_is_told_and_nothing_is_imported_for_it(run: Run, tmp_path: Path) -> None:
    checkout = write_lookalike(tmp_path / "z", align_import="import absent")
    outcome = run(checkout, jobs.kappa_job("chunked", frames(tmp_path), tmp_path / "s.npy"))
    assert (outcome.ending, outcome.detail) == (
        Ending.NOT_THERE,
        "zemosaic_align_stack.py has no _cpu_stack_kappa_fallback_chunked",
    )


def test_self_tests_that_are_there_are_run(run: Run, tmp_path: Path) -> None:
    outcome = run(write_lookalike(tmp_path / "z"), jobs.selftests_job())
    states = {name: told["state"] for name, told in outcome.result["selftests"].items()}
    assert states == {
        "_selftest_infer_group_eqmode": "passed",
        "_selftest_cpu_kappa_chunk_equivalence": "absent",
    }


@pytest.mark.parametrize(
    ("body", "state"),
    [("assert False, 'wrong'", "failed"), ("return False", "failed"), ("1 / 0", "raised"), ("return True", "passed")],
)
def test_a_self_test_that_fails_is_told(run: Run, tmp_path: Path, body: str, state: str) -> None:
    worker = f"def _selftest_infer_group_eqmode():\n    {body}\n"
    outcome = run(write_lookalike(tmp_path / "z", worker=worker), jobs.selftests_job())
    assert outcome.result["selftests"]["_selftest_infer_group_eqmode"]["state"] == state


@pytest.mark.parametrize(("body", "state"), [("assert infer([]) == 'UNKNOWN'", "failed"), ("infer([])", "passed")])
def test_a_self_test_is_told_apart_from_one_that_cannot_fail(run: Run, tmp_path: Path, body: str, state: str) -> None:
    infer = "def _infer_group_eqmode(group):\n    return 'UNKNOWN'\n"
    body = body.replace("infer", "_infer_group_eqmode")
    worker = f"{infer}\ndef _selftest_infer_group_eqmode():\n    {body}\n"
    checkout = write_lookalike(tmp_path / "z", worker=worker)
    both = jobs.batch_job([jobs.selftests_job(), jobs.selftests_job(sabotage=True)])
    told = [answer.result["selftests"] for answer in jobs.read_batch(run(checkout, both))]
    assert [one["_selftest_infer_group_eqmode"]["state"] for one in told] == ["passed", state]


def test_of_several_jobs_in_one_process_each_has_its_own_end(run: Run, tmp_path: Path) -> None:
    stack = tmp_path / "frames.stack.npy"
    np.save(stack, np.arange(24.0).reshape(2, 3, 4))
    asked = [
        jobs.kappa_job("fallback", [stack], tmp_path / "s.npy", watch=True),
        jobs.kappa_job("chunked", [stack], tmp_path / "s.npy"),
        jobs.kappa_job("fallback", [stack], tmp_path / "s.npy", callback="raise"),
    ]
    outcome = run(write_lookalike(tmp_path / "z"), jobs.batch_job(asked))
    answers = jobs.read_batch(outcome)
    assert [answer.ending for answer in answers] == [Ending.OK, Ending.NOT_THERE, Ending.RAISED]
    assert (answers[0].result["shape"], answers[0].result["frames_changed"]) == ([3, 4], False)
    assert np.load(tmp_path / "s.npy").tolist() == (np.arange(12.0).reshape(3, 4) + 6).tolist()
    assert len(outcome.steps) == 1


def test_decisions_that_are_functions_are_asked_for(run: Run, tmp_path: Path) -> None:
    runs = [(True, [[{"EQMODE": 1}], [{"EQMODE": 0}]])]
    absent = run(write_lookalike(tmp_path / "z"), jobs.decide_job(runs))
    assert (absent.ending, absent.detail) == (Ending.NOT_THERE, "zemosaic_worker.py has no summarize_eqmodes")
    (tmp_path / "ours").mkdir()
    for name in ("zemosaic_worker.py", "zemosaic_align_stack.py"):
        shutil.copy(ROOT / name, tmp_path / "ours" / name)
    for raising in (False, True):
        outcome = run(tmp_path / "ours", jobs.decide_job(runs, raising=raising))
        told = outcome.result["runs"][0]
        assert (told["counts"], told["enabled"], told["tiles"]) == ([1, 1, 0, 2, True], True, [False, True])
        assert [level for level, _ in told["said"]] == ["INFO", "DEBUG_DETAIL", "DEBUG_DETAIL"]
        (decided,) = jobs.read_decisions(outcome)
        assert (decided.eq, decided.altaz, decided.unknown, decided.effective) == (1, 1, 0, True)
        assert (decided.reason, decided.message) == ("1 of 2 frames is ALT_AZ", None)
        assert [(one.mode, one.enabled, one.key, one.value) for one in decided.tiles] == [
            ("EQ", False, "EQMODE", "1"), ("ALT_AZ", True, "EQMODE", "0"),
        ]  # fmt: skip
        assert decided.tiles[1].line.startswith("P3_ALTaz_GATING: tile_id=1 eqmode=ALT_AZ")
    (switched,) = jobs.read_decisions(run(tmp_path / "ours", jobs.decide_job([(False, runs[0][1])])))
    assert switched.message == "ALTaz cleanup enabled automatically: 1 of 2 frames is ALT_AZ."


def test_a_master_tile_is_asked_for_and_its_lines_are_kept(run: Run, tmp_path: Path) -> None:
    cache = tmp_path / "cache.npy"
    shape = jobs.write_cache(cache, np.ones((4, 5)))
    wcs = [["CTYPE1", "RA---TAN", ""], ["CTYPE2", "DEC--TAN", ""]]
    entry = jobs.cache_entry("light.fit", cache, shape, 0, [["OBJECT", "M 16", ""]], wcs)
    (tmp_path / "out").mkdir()
    job = jobs.master_tile_job([entry], 7, tmp_path / "out", {"altaz_cleanup_enabled": False})
    outcome = run(write_lookalike(tmp_path / "z"), job)
    tile = jobs.read_master_tile(outcome)
    assert (outcome.detail, tile.path, tile.wcs, tile.cleanup_available) == ("", None, None, None)
    assert [[one["retry_attempt"] for one in group] for group in tile.retry_groups] == [[1]]
    assert tile.retry_groups[0][0]["preprocessed_shape"] == [4, 5, 3]
    assert [(line.level, line.message, line.extra) for line in outcome.lines] == [("INFO", "building", {"tile_id": 7})]
    assert np.load(cache).dtype == np.float32


def test_a_cleanup_that_cannot_be_loaded_is_told(run: Run, tmp_path: Path) -> None:
    loads = """
    try:
        import lecropper
        _LECROPPER_AVAILABLE = True
    except Exception:
        _LECROPPER_AVAILABLE = False
    """
    checkout = write_lookalike(tmp_path / "z", worker_import=loads)
    (checkout / "lecropper.py").write_text("import absent_toolkit\n", encoding="utf-8")
    cache = tmp_path / "cache.npy"
    entry = jobs.cache_entry("light.fit", cache, jobs.write_cache(cache, np.ones((4, 5))), 0, [["OBJECT", "M 16", ""]])
    job = jobs.master_tile_job([entry], 0, tmp_path, {"altaz_cleanup_enabled": True})
    tile = jobs.read_master_tile(run(checkout, job))
    assert (tile.cleanup_available, tile.cleanup_missing) == (
        False,
        "the package absent_toolkit is not there for the interpreter that was used",
    )


def test_a_footprint_that_is_not_blanked_is_called_so(run: Run, tmp_path: Path) -> None:
    paths = [tmp_path / f"{index}.npy" for index in range(2)]
    for path, frame in zip(paths, jobs.footprint_frames((0, 30)), strict=True):
        np.save(path, frame)
    outcome = run(write_lookalike(tmp_path / "z"), jobs.align_job(paths, tmp_path))
    footprint = jobs.read_footprint(outcome, (0, 30))
    assert (footprint.verdict, footprint.padded) == ("not blanked", (0, 0))


@pytest.mark.skipif(sys.platform == "win32", reason="the job object of Windows is tested by substitution")
def test_a_child_and_what_it_started_end_with_a_parent_that_is_killed(tmp_path: Path, run: Run) -> None:
    del run
    note = tmp_path / "pid"
    checkout = write_lookalike(tmp_path / "z", worker_import=GRANDCHILD.format(note=str(note), then="while True: pass"))
    parent = tmp_path / "parent.py"
    tools = Path(__file__).resolve().parents[2] / "tools"
    parent.write_text(
        f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(tools)!r})
from zemo_diagnostics.zemosaic import child, jobs
where = child.Runnable(
    interpreter=Path(sys.executable), extra_paths=(), checkout=Path({str(checkout)!r}), modules_only=False
)
child.run_job(jobs.import_job("zemosaic_worker"), where, Path({str(tmp_path)!r}), timeout_s=600)
""",
        encoding="utf-8",
    )
    process = psutil.Popen([sys.executable, "-I", str(parent)])
    started = time.monotonic()
    while not (note.exists() and note.read_text(encoding="ascii")) and time.monotonic() - started < 30:
        time.sleep(0.05)
    children = [one.pid for one in process.children(recursive=True)]
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert len(children) == 2
    assert all(gone(pid) for pid in children)
