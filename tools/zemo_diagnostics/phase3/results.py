"""What a builder says of one tile, whoever built it: the bundled worker, or the ZeMosaic under test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

Told = dict[str, Any]  # a `TileResult` as JSON keeps it; its path is the file's name alone


@dataclass(frozen=True, kw_only=True)
class TileResult:
    """What became of one tile under one rule; the names are those of the worker's `MasterTileResult`.

    Attributes
    ----------
    tile_id : int
        Its number.
    path : str or None
        The master; None where the tile failed.
    eqmode : str
        ``"EQ"``, ``"ALT_AZ"`` or ``"UNKNOWN"``.
    cleanup_enabled : bool
        The flag that it was built with.
    frames, stacked : int
        Frames of the group, and those in the master.
    failed, unreadable, dropped, placed_by_wcs : tuple of str
        File names: frames that could not be placed, those that could not be read, those given up after the last try,
        and those placed by their WCS.
    pointed, repeated_to : int
        Frames whose WCS was made of their pointing; to how many the group was filled up with copies, 0 where it was
        not.
    retry_of : int or None
        The tile whose frames these are, tried again.
    retry_tile_ids : tuple of int
        The tiles that its own failed frames went to.
    rejected_pct : float or None
        Samples that the stack rejected, percent.
    mask_dropped : bool
        Whether the cleanup's 10 % guard dropped the mask.
    cleanup_missing : str
        Why the cleanup could not be loaded.
    error : str or None
        Why the tile failed.
    """

    tile_id: int
    path: str | None
    eqmode: str
    cleanup_enabled: bool
    frames: int
    stacked: int = 0
    failed: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    placed_by_wcs: tuple[str, ...] = ()
    pointed: int = 0
    repeated_to: int = 0
    retry_of: int | None = None
    retry_tile_ids: tuple[int, ...] = ()
    rejected_pct: float | None = None
    mask_dropped: bool = False
    cleanup_missing: str = ""
    error: str | None = None

    @classmethod
    def of_worker(cls, result: Any) -> TileResult:
        """Take over what the bundled worker says."""
        return cls(**{name: getattr(result, name) for name in _SHARED if hasattr(result, name)})

    def for_worker(self) -> dict[str, Any]:
        """Give what the bundled worker makes its own result of."""
        return {name: value for name, value in asdict(self).items() if name not in _OURS_ALONE}

    def told(self) -> Told:
        """Give it as JSON keeps it."""
        return asdict(self) | {"path": None if self.path is None else Path(self.path).name}

    @classmethod
    def from_told(cls, told: Mapping[str, Any], folder: Path) -> TileResult:
        """Read it back; its master lies in this folder.

        Raises
        ------
        TypeError, KeyError
            It is no such record.
        """
        values: dict[str, Any] = {key: tuple(one) if isinstance(one, list) else one for key, one in told.items()}
        return cls(**values | {"path": str(folder / told["path"])})


_SHARED = tuple(field.name for field in fields(TileResult))
_OURS_ALONE = ("pointed", "repeated_to", "cleanup_missing")

Results = dict[int, TileResult]  # by their numbers
Families = dict[int, Results]  # by the number of the tile in the run; in each the tile comes first
