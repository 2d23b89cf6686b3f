"""The options that commands share, each group as one decorator, and the types of their values."""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .reports.formats import TERMINAL, format_names, suffixes

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

Function = TypeVar("Function", bound=Callable[..., Any])

_ON_WINDOWS = os.name == "nt"


class Finite(click.FloatRange):
    """A range of floats without infinity and without what is no number."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read a float."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number", param, ctx)
        return number


class _NamedPath(click.Path):
    """A path that is never empty, which would mean the current folder."""

    if_empty = ""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read a path."""
        if _ON_WINDOWS and isinstance(value, str):
            value = value.rstrip('"')  # shells there pass "C:\My lights\" on as C:\My lights"
            if '"' in value:
                self.fail("a path in quotes must not end in a backslash: leave that out", param, ctx)
        if not str(value):
            self.fail(self.if_empty, param, ctx)
        return super().convert(value, param, ctx)


class Folder(_NamedPath):
    """The path of a folder."""

    if_empty = "the folder's name is empty; write . for the current folder"


class File(_NamedPath):
    """The path of a file."""

    if_empty = "the file's name is empty"


class FormName(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.4
    """The name of a form of reports, of those that the table has when the option is used."""

    name = "choice"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Find a name among the forms' names."""
        return self._choice().convert(value, param, ctx)

    def get_metavar(self, *where: Any, **named: Any) -> str | None:
        """Give the names as help shows them."""
        return self._choice().get_metavar(*where, **named)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Give the names that begin so."""
        return self._choice().shell_complete(ctx, param, incomplete)

    @staticmethod
    def _choice() -> click.Choice[str]:
        return click.Choice(format_names())


class Crop(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.4
    """A central window, written HEIGHTxWIDTH."""

    name = "HEIGHTxWIDTH"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        """Read '480x640'."""
        if isinstance(value, tuple):
            return value
        height, _, width = str(value).lower().replace("×", "x").partition("x")
        if not (height.isdecimal() and width.isdecimal() and int(height) and int(width)):
            self.fail(f"{value!r} is no window: write its height and width in pixels, such as 480x640", param, ctx)
        return int(height), int(width)


def input_options(function: Function) -> Function:
    """Add the folder and how its frames become tiles."""
    return _decorated(function, [click.argument("folder", type=Folder(path_type=Path)), grouping_options])


def grouping_options(function: Function) -> Function:
    """Add how frames become tiles."""
    options = [
        click.option(
            "--group-by",
            type=click.Choice(("folder", "pointing", "all")),
            help="How frames become tiles. [default: one tile per sub-folder that holds frames, else by pointing]",
        ),
        click.option(
            "--panel-deg",
            type=Finite(min=0, min_open=True),
            default=0.05,
            show_default=True,
            help="Frames nearer than this to the first one of a panel belong to it, degrees.",
        ),
        click.option(
            "--no-split", is_flag=True, help="Do not split a panel that mixes EQ and ALT_AZ frames into one per mode."
        ),
    ]
    return _decorated(function, options)


def kappa_options(function: Function) -> Function:
    """Add the limits of the rejection, and the weights."""
    limit: dict[str, Any] = {"type": Finite(min=0), "default": 3.0, "show_default": True}
    options = [
        click.option("--kappa-low", help="Lower limit, standard deviations.", **limit),
        click.option("--kappa-high", help="Upper limit, standard deviations.", **limit),
        click.option(
            "--weights",
            type=click.Choice(("none", "noise")),
            default="none",
            show_default=True,
            help="Weigh frames alike, or by one over the variance of their background.",
        ),
    ]
    return _decorated(function, options)


def _format_option() -> Callable[[Function], Function]:
    """Make the option for the form of the report on stdout."""
    return click.option(
        "--format",
        "form",
        type=FormName(),
        default=TERMINAL,
        show_default=True,
        help="Form of the report on stdout.",
    )


def _report_files_option(*names: str) -> Callable[[Function], Function]:
    """Make the option for files that the report also goes to."""
    return click.option(
        *names,
        "outputs",
        multiple=True,
        type=File(path_type=Path),
        metavar="FILE",
        help=f"Also write the report to FILE ({_listed(suffixes())}); may be given more than once.",
    )


def cleanup_option(function: Function) -> Function:
    """Add what the user's settings ask for."""
    return click.option(
        "--altaz-cleanup",
        type=click.Choice(("on", "off")),
        default="on",
        show_default=True,
        help="Whether the ZeMosaic settings ask for the alt-az cleanup.",
    )(function)


def zemosaic_options(function: Function) -> Function:
    """Add the ZeMosaic that is examined, and who runs it."""
    options = [
        click.option(
            "--zemosaic",
            type=Folder(path_type=Path),
            envvar="ZEMO_DIAG_ZEMOSAIC",
            metavar="PATH",
            help="Examine the ZeMosaic in this folder by running its functions; it is left as it is. "
            "[env: ZEMO_DIAG_ZEMOSAIC]",
        ),
        click.option(
            "--python",
            metavar="INTERPRETER",
            help="The Python that runs it, or a virtual environment. [default: one in PATH, else that of zemo-diag]",
        ),
    ]
    return _decorated(function, options)


def report_options(function: Function) -> Function:
    """Add the report's form and files where -o means something else."""
    return _decorated(function, [_format_option(), _report_files_option("--report")])


def output_options(function: Function) -> Function:
    """Add where the report goes, and in which form."""
    options = [
        _format_option(),
        _report_files_option("-o", "--output"),
        click.option("--force", is_flag=True, help="Overwrite report files that exist."),
        click.option("-q", "--quiet", is_flag=True, help="No progress on stderr."),
    ]
    return _decorated(function, options)


def _decorated(function: Function, options: Sequence[Callable[[Function], Function]]) -> Function:
    """Apply decorators so that the first one is listed first."""
    return functools.reduce(lambda decorated, option: option(decorated), reversed(options), function)


def _listed(names: Sequence[str]) -> str:
    """Give "a, b or c"."""
    return " or ".join((", ".join(names[:-1]), names[-1]))
