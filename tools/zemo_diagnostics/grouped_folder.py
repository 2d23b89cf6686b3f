"""A folder of lights read and grouped: what every command that works on tiles begins with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .errors import InputError
from .frames.entries import Scan, in_lines, scan_folder
from .frames.tiles import DEFAULT_PANEL_DEG, Tile, group_frames
from .progress import Say
from .reports.report import Grouping, JsonScalar, Source
from .zemosaic.under_test import UnderTest, open_bundled


@dataclass(frozen=True)
class GroupingOptions:
    """How frames become tiles; see `tiles.group_frames`."""

    group_by: str | None = None
    panel_deg: float = DEFAULT_PANEL_DEG
    split: bool = True

    def described(self) -> tuple[tuple[str, JsonScalar], ...]:
        """Name the options for the report."""
        return (("group_by", self.group_by), ("panel_deg", self.panel_deg), ("split", self.split))


@dataclass(frozen=True)
class GroupedFolder:
    """A folder read and grouped."""

    source: Source
    tiles: tuple[Tile, ...]

    @property
    def functions(self) -> UnderTest:
        """The tool's own modules, which decide over its tiles.

        Raises
        ------
        InputError
            Where they are not beside the tool.
        """
        return open_bundled()


def read_grouped(folder: Path, grouping: GroupingOptions, say: Say) -> GroupedFolder:
    """Read the headers of a folder and group its frames."""
    scan = scan_folder(folder, lambda done, total: say("reading headers", done / total))
    if not scan.frames:
        raise _nothing_usable(scan)
    used, tiles = group_frames(scan, group_by=grouping.group_by, panel_deg=grouping.panel_deg, split=grouping.split)
    files = len(scan.frames) + len(scan.unusable)
    name = folder.resolve().name or "."
    source = Source(
        folder=name,
        files=files,
        frames=len(scan.frames),
        unusable=scan.unusable,
        grouped_by=Grouping(used),
        tiles=len(tiles),
        unread_folders=scan.unread_folders,
    )
    return GroupedFolder(source, tiles)


def _nothing_usable(scan: Scan) -> InputError:
    """Say why each file of a folder without any frame cannot be used."""
    what = f"none of the {len(scan.unusable)} files in '{scan.folder}' holds a frame:"
    return InputError(what, *in_lines((*scan.unread_folders, *scan.unusable)))
