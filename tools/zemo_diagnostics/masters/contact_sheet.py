"""A contact sheet of any number of pictures, in a little memory: pages of a hundred, each written once it is full."""

from __future__ import annotations

from math import ceil
from pathlib import Path

from ..errors import ZemoDiagError
from ..machine.whole_files import check_place
from .pictures import Labelled, check_picture, contact_sheet, write_png

# A page is then about 2,500 pixels wide and high, which every viewer opens.
PAGE_PICTURES = 100


class ContactSheet:
    """Pictures on pages: ``sheet.png``, ``sheet-2.png``, ``sheet-3.png`` and so on.

    A page that cannot be written ends the drawing, but not the run that gives the pictures: `failure` says why.

    Parameters
    ----------
    path : Path
        The first page.
    force : bool, keyword-only
        Whether files that exist may be overwritten.

    Raises
    ------
    InputError, OutputError
        Where Pillow is missing, or the place is no good.
    """

    def __init__(self, path: Path, *, force: bool) -> None:
        check_picture(path, force=force)
        self.written: list[Path] = []
        self.failure: ZemoDiagError | None = None
        self._path, self._force = path, force
        self._waiting: list[Labelled] = []

    def expect(self, pictures: int) -> None:
        """Check before a long run that every page that so many pictures take can be written.

        Raises
        ------
        OutputError
            What is wrong, and what to do.
        """
        for number in range(2, ceil(pictures / PAGE_PICTURES) + 1):
            check_place(self._page(number), force=self._force)

    def add(self, picture: Labelled) -> None:
        """Take one picture, and write the page that it fills."""
        if self.failure is None:
            self._waiting.append(picture)
            if len(self._waiting) == PAGE_PICTURES:
                self._write()

    def close(self) -> None:
        """Write what waits for the last page."""
        if self._waiting:
            self._write()

    def words(self) -> str:
        """Name what was written: "sheet.png", "sheet.png to sheet-3.png"; empty where nothing was."""
        return " to ".join(str(path) for path in dict.fromkeys((*self.written[:1], *self.written[-1:])))

    def _page(self, number: int) -> Path:
        """Give the path of a page."""
        return self._path if number == 1 else self._path.with_stem(f"{self._path.stem}-{number}")

    def _write(self) -> None:
        """Write one page."""
        path = self._page(len(self.written) + 1)
        try:
            write_png(contact_sheet(self._waiting), path, force=self._force)
        except ZemoDiagError as error:
            self.failure = error
        else:
            self.written.append(path)
        self._waiting.clear()
