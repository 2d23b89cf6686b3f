"""What a checkout has, found by looking."""

from __future__ import annotations

from pathlib import Path

import pytest

from zemo_diagnostics.errors import InputError
from zemo_diagnostics.zemosaic.checkout import (
    ModuleState,
    Presence,
    default_settings,
    find_checkout,
    inspect_checkout,
)

from ..conftest import ROOT
from .lookalikes import Tree, write_lookalike


def test_a_checkout_is_found_from_itself_its_tools_and_its_files(tmp_path: Path) -> None:
    checkout = write_lookalike(tmp_path / "z")
    (checkout / "tools" / "more").mkdir(parents=True)
    for path in (checkout, checkout / "tools", checkout / "tools" / "more", checkout / "zemosaic_worker.py"):
        assert find_checkout(path) == checkout


def test_a_checkout_is_found_from_a_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkout = write_lookalike(tmp_path / "z")
    (checkout / "tools").mkdir()
    monkeypatch.chdir(checkout / "tools")
    assert find_checkout(Path()) == checkout


@pytest.mark.parametrize(("name", "told"), [("none", "no such folder: 'none'"), ("empty", "'empty' is no ZeMosaic")])
def test_what_is_no_checkout_is_told_in_one_sentence(tmp_path: Path, name: str, told: str) -> None:
    (tmp_path / "a" / "b" / "empty").mkdir(parents=True)
    with pytest.raises(InputError, match=told) as error:
        inspect_checkout(tmp_path / "a" / "b" / name)
    assert str(tmp_path) not in str(error.value)


def test_looking_runs_nothing_and_touches_nothing(tmp_path: Path) -> None:
    stops = "raise SystemExit('it was run')"
    checkout = write_lookalike(tmp_path / "z", worker_import=stops, align_import=stops)
    before = Tree.of(checkout)
    seen = inspect_checkout(checkout)
    assert Tree.of(checkout) == before
    assert seen.functions["_infer_group_eqmode"].is_there
    assert seen.problems == ()


def test_each_function_is_present_absent_or_other(tmp_path: Path) -> None:
    worker = """
if True:
    async def _infer_group_eqmode(group, *, config):
        pass
def _entry_is_seestar():
    pass
def _selftest_infer_group_eqmode(verbose=False, *more, **options):
    pass
def create_master_tile(group, tile_id, output_temp_dir, altaz_cleanup_enabled, moon_phase, progress_callback):
    pass
class Other:
    def _cpu_stack_kappa_fallback(self):
        pass
"""
    checkout = write_lookalike(tmp_path / "z", worker=worker)
    align_stack = checkout / "zemosaic_align_stack.py"
    align_stack.write_text("def _cpu_stack_kappa_fallback(frames, **anything):\n    pass\n", encoding="utf-8")
    functions = inspect_checkout(checkout).functions
    other, present, absent = Presence.OTHER_SIGNATURE, Presence.PRESENT, Presence.ABSENT
    assert {name: (one.presence, one.told.partition(":")[0]) for name, one in functions.items()} == {
        "_infer_group_eqmode": (other, "_infer_group_eqmode takes other parameters (it also wants config)"),
        "_entry_is_seestar": (
            other,
            "_entry_is_seestar takes other parameters (it takes 0 arguments by their place, not 1)",
        ),
        "_selftest_infer_group_eqmode": (present, "its own test of the mount mode can be judged"),
        "create_master_tile": (other, "create_master_tile takes other parameters (it also wants moon_phase)"),
        "_cpu_stack_kappa_fallback": (present, "its kappa-sigma stack can be judged"),
        "_cpu_stack_kappa_fallback_fullframe": (absent, "there is no _cpu_stack_kappa_fallback_fullframe"),
        "_cpu_stack_kappa_fallback_chunked": (absent, "there is no _cpu_stack_kappa_fallback_chunked"),
        "_selftest_cpu_kappa_chunk_equivalence": (absent, "there is no _selftest_cpu_kappa_chunk_equivalence"),
        "align_images_in_group": (absent, "there is no align_images_in_group"),
    }
    assert functions["create_master_tile"].required[-2:] == ("moon_phase", "progress_callback")
    assert functions["_cpu_stack_kappa_fallback"].accepts("sigma_low")
    assert not functions["create_master_tile"].accepts("sigma_low")


def test_a_function_without_a_keyword_that_we_use_is_other(tmp_path: Path) -> None:
    checkout = write_lookalike(tmp_path / "z")
    (checkout / "zemosaic_align_stack.py").write_text(
        "def _cpu_stack_kappa_fallback(frames, sigma_low, sigma_high, progress_callback=None): pass\n", encoding="utf-8"
    )
    function = inspect_checkout(checkout).functions["_cpu_stack_kappa_fallback"]
    assert (function.presence, "it has no weights" in function.told) == (Presence.OTHER_SIGNATURE, True)


@pytest.mark.parametrize(
    ("content", "state", "told"),
    [
        (b"print 'salut'\n", ModuleState.PYTHON_2, "zemosaic_worker.py is Python 2 (line 1): 3.10 or later is needed"),
        (b"try:\n  x()\nexcept E, e:\n  pass\n", ModuleState.PYTHON_2, "zemosaic_worker.py is Python 2 (line 3)"),
        (b"x = '\xe9t\xe9'\n", ModuleState.NOT_TEXT, "zemosaic_worker.py is not text in UTF-8"),
        (b"# coding: none-such\n", ModuleState.NOT_TEXT, "zemosaic_worker.py is not text in UTF-8"),
        (b"def f(:\n", ModuleState.SYNTAX_ERROR, "zemosaic_worker.py is no Python 3."),
        (b"x = 1\0\n", ModuleState.SYNTAX_ERROR, "zemosaic_worker.py "),
        (None, ModuleState.MISSING, "zemosaic_worker.py is missing"),
    ],
)
def test_a_module_that_cannot_be_read_is_told(
    tmp_path: Path, content: bytes | None, state: ModuleState, told: str
) -> None:
    checkout = write_lookalike(tmp_path / "z")
    worker = checkout / "zemosaic_worker.py"
    worker.unlink()
    if content is not None:
        worker.write_bytes(content)
    seen = inspect_checkout(checkout)
    assert seen.modules["zemosaic_worker"].state is state
    assert seen.modules["zemosaic_worker"].problem.startswith(told)
    assert len(seen.problems) == 1
    assert seen.functions["_infer_group_eqmode"].presence is Presence.NOT_KNOWN
    assert seen.functions["_cpu_stack_kappa_fallback"].is_there


def test_a_source_in_another_encoding_that_says_so_is_read(tmp_path: Path) -> None:
    checkout = write_lookalike(tmp_path / "z")
    text = "# -*- coding: latin-1 -*-\n'été'\ndef _infer_group_eqmode(group): pass\n"
    (checkout / "zemosaic_worker.py").write_bytes(text.encode("latin-1"))
    assert inspect_checkout(checkout).functions["_infer_group_eqmode"].is_there


def test_warnings_of_a_foreign_source_are_not_ours(tmp_path: Path) -> None:
    checkout = write_lookalike(tmp_path / "z")
    (checkout / "zemosaic_worker.py").write_text("x = '\\d' is '\\d'\n", encoding="utf-8")
    assert inspect_checkout(checkout).problems == ()


def test_the_bundled_modules_are_a_checkout_too() -> None:
    seen = inspect_checkout(ROOT / "tools")
    assert seen.folder == ROOT
    assert {one.name for one in seen.functions.values() if not one.is_there} == {"_entry_is_seestar"}


def test_default_settings_are_read_without_importing(tmp_path: Path) -> None:
    source = "import absent\nDEFAULT_CONFIG: dict = {'a': 3.0, 'b': [1], 'c': absent.x(), 4: 5, **absent.more}\n"
    (tmp_path / "zemosaic_config.py").write_text(source, encoding="utf-8")
    assert default_settings(tmp_path) == {"a": 3.0, "b": [1]}
    assert default_settings(tmp_path / "none") == {}
