"""Contact sheets of any number of pictures: pages that are written one by one, in a little memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import ROOT
from tests.sample_masters import star_field, write_master
from zemo_diagnostics.errors import OutputError
from zemo_diagnostics.masters import contact_sheet
from zemo_diagnostics.masters.contact_sheet import ContactSheet
from zemo_diagnostics.masters.pictures import GAP, LABEL_HEIGHT, Labelled
from zemo_diagnostics.masters.run import run_masters


def silent(_what: str, _part: float, _detail: str = "", /) -> None:
    """Take progress, and show nothing."""


def picture(value: int) -> Labelled:
    return Labelled(np.full((30, 20, 3), value, np.uint8), f"tile {value}")


def first_pixels(path: Path) -> list[int]:
    """Give a pixel of the first picture of each row of a page."""
    with Image.open(path) as page:
        shown = np.asarray(page)
    return [int(value) for value in shown[GAP :: 30 + LABEL_HEIGHT + GAP, GAP, 0]]


@pytest.fixture
def pages_of_four(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contact_sheet, "PAGE_PICTURES", 4)


@pytest.mark.usefixtures("pages_of_four")
@pytest.mark.parametrize(
    ("count", "pages"),
    [(0, []), (1, ["sheet.png"]), (4, ["sheet.png"]), (9, ["sheet.png", "sheet-2.png", "sheet-3.png"])],
)
def test_each_page_is_written_once_it_is_full(tmp_path: Path, count: int, pages: list[str]) -> None:
    sheet = ContactSheet(tmp_path / "sheet.png", force=False)
    for i in range(1, count + 1):
        sheet.add(picture(i))
        assert len(sheet.written) == i // 4
    sheet.close()
    assert [path.name for path in sheet.written] == pages
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(pages)
    assert [first_pixels(path)[0] for path in sheet.written] == [1, 5, 9][: len(pages)]
    assert sheet.failure is None


@pytest.mark.usefixtures("pages_of_four")
def test_a_later_page_that_exists_is_told_before_anything_is_measured(tmp_path: Path) -> None:
    run, page = tmp_path / "run", tmp_path / "sheet-2.png"
    run.mkdir()
    page.write_bytes(b"mine")
    for i in range(1, 6):
        write_master(run / f"master_tile_{i:03d}.fits", star_field((20, 30)), tile_id=i)
    with pytest.raises(OutputError, match=r"sheet-2\.png' exists.*--force"):
        run_masters(run, sheet=ContactSheet(tmp_path / "sheet.png", force=False), say=silent)
    assert (page.read_bytes(), (tmp_path / "sheet.png").exists()) == (b"mine", False)
    sheet = ContactSheet(tmp_path / "sheet.png", force=True)
    report = run_masters(run, sheet=sheet, say=silent)
    assert (len(report.result("masters").tiles), sheet.words()) == (5, f"{tmp_path / 'sheet.png'} to {page}")
    assert page.read_bytes() != b"mine"


@pytest.mark.usefixtures("pages_of_four")
def test_a_page_that_cannot_be_written_is_kept_as_the_reason_and_ends_no_run(tmp_path: Path) -> None:
    sheet = ContactSheet(tmp_path / "sheet.png", force=False)
    sheet.expect(9)
    (tmp_path / "sheet-2.png").write_bytes(b"came meanwhile")
    for i in range(1, 10):
        sheet.add(picture(i))
    sheet.close()
    assert isinstance(sheet.failure, OutputError)
    assert "sheet-2.png" in str(sheet.failure)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sheet-2.png", "sheet.png"]
    assert (tmp_path / "sheet-2.png").read_bytes() == b"came meanwhile"


CHILD = """
import sys
from pathlib import Path
import numpy as np
from zemo_diagnostics.masters.contact_sheet import ContactSheet
from zemo_diagnostics.machine.peak_memory import read_memory
from zemo_diagnostics.masters.pictures import THUMBNAIL_SIDE, Labelled
def draw(name, count):
    sheet = ContactSheet(Path(sys.argv[1]) / name, force=False)
    for i in range(count):
        sheet.add(Labelled(np.full((THUMBNAIL_SIDE, THUMBNAIL_SIDE, 3), i % 251, np.uint8), f"tile {i}"))
    sheet.close()
    return sheet
draw("one.png", 1)
before = read_memory().rss_bytes
sheet = draw("many.png", 800)
print(read_memory().peak_bytes - before, len(sheet.written))
"""


def test_memory_does_not_grow_with_the_pictures(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CHILD, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT / "tools", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    extra_bytes, pages = map(int, done.stdout.split())
    assert pages == 8
    assert extra_bytes < 120 << 20  # the pictures alone have 132 MiB, one sheet of all would take 154 more, twice
