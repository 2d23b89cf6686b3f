"""The command line of zemo-diag: options in, one call, render, exit code.

Runs installed (``zemo-diag``) and as a plain script (``python tools/zemo_diag.py``). Nothing heavy is imported before
a command needs it, so that ``--help`` answers at once.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

try:
    from zemo_diagnostics.machine.core_packages import broken_sentence, missing_sentence
except ModuleNotFoundError:
    sys.stderr.write("zemo_diag.py needs the folder zemo_diagnostics beside it: copy both\n")
    sys.exit(2)

# Before the first of them is imported: a sentence with what to type, and no trace of our files.
missing = missing_sentence()
if missing:
    sys.stderr.write(f"{missing}\n")
    sys.exit(2)

import click

from zemo_diagnostics import __version__
from zemo_diagnostics.command_options import (
    Crop,
    File,
    Finite,
    Folder,
    cleanup_option,
    grouping_options,
    input_options,
    kappa_options,
    output_options,
    report_options,
)
from zemo_diagnostics.errors import (
    EXIT_CLEAN,
    EXIT_INTERRUPTED,
    EXIT_OUR_FAULT,
    EXIT_USAGE,
    MissingPackageError,
    ZemoDiagError,
)
from zemo_diagnostics.stderr import clean_line, clean_stderr, say_as_it_is, say_line

if TYPE_CHECKING:
    from zemo_diagnostics.reports.report import Report

EPILOG = """\b
Exit codes:
  0    clean: nothing of error level was found
  1    findings of error level
  2    wrong usage, or input that cannot be read
  3    a variant of the stack died (killed, hung, raised)
  4    a fault of zemo-diag itself
  130  interrupted (Ctrl-C); what was known is written
"""


@click.group(epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="zemo-diag")
def cli() -> None:
    """Show, on your own frames, what ZeMosaic's Phase 3 does with them.

    Nothing of yours is ever changed: frames are only read, and reports name no place, person or serial number.
    """


@cli.command(epilog="\b\nExample:\n  zemo-diag gating my_lights -o report.md")
@input_options
@cleanup_option
@output_options
def gating(
    folder: Path,
    group_by: str | None,
    panel_deg: float,
    no_split: bool,
    altaz_cleanup: str,
    form: str,
    outputs: tuple[Path, ...],
    force: bool,
    quiet: bool,
) -> int:
    """Show each tile's mount mode, and whether Phase 3 cleans it.

    Reads the headers of every frame in FOLDER (.fit .fits .fts, also .gz and .fz, and ZeMosaic's .npy caches; never
    the pixels), groups the frames into tiles as ZeMosaic does, and shows for each the mount mode, why, and the
    decision before and after the patch.
    """
    from zemo_diagnostics.commands import GroupingOptions, run_gating
    from zemo_diagnostics.progress import progress_bar
    from zemo_diagnostics.reports.outputs import check_output_paths

    check_output_paths(outputs, force=force)
    with progress_bar(quiet=quiet) as say:
        report = run_gating(
            folder, GroupingOptions(group_by, panel_deg, not no_split), requested=altaz_cleanup == "on", say=say
        )
    return _deliver(report, form, outputs, force)


@cli.command("kappa-parity", epilog="\b\nExample:\n  zemo-diag kappa-parity my_lights --tile 1 -o report.json")
@input_options
@click.option("--tile", "tiles", type=click.IntRange(min=1), multiple=True, help="Only this tile; may be repeated.")
@kappa_options
@click.option("--chunk-rows", type=click.IntRange(min=1), default=64, show_default=True, help="Rows of a band.")
@click.option("--max-frames", type=click.IntRange(min=1), help="Stack only the first so many frames of a tile.")
@click.option("--crop", type=Crop(), metavar="HEIGHTxWIDTH", help="Stack only a central window of the frames.")
@click.option(
    "--timeout",
    type=Finite(min=0, min_open=True),
    default=1800.0,
    show_default=True,
    help="Stop a variant that runs longer than this, seconds.",
)
@click.option(
    "--atol",
    type=Finite(min=0),
    default=0.0,
    help="Accept differences up to this, ADU, such as 1e-4. [default: every bit must agree]",
)
@click.option("--memory-limit", type=click.IntRange(min=1), metavar="MIB", help="Use no more memory than this.")
@click.option("--require-whole", is_flag=True, help="Fail where a tile can be compared only in part, or not.")
@output_options
def kappa_parity(
    folder: Path,
    group_by: str | None,
    panel_deg: float,
    no_split: bool,
    tiles: tuple[int, ...],
    kappa_low: float,
    kappa_high: float,
    weights: str,
    chunk_rows: int,
    max_frames: int | None,
    crop: tuple[int, int] | None,
    timeout: float,
    atol: float,
    memory_limit: int | None,
    require_whole: bool,
    form: str,
    outputs: tuple[Path, ...],
    force: bool,
    quiet: bool,
) -> int:
    """Compare the chunked stack with the full-frame one.

    Runs both on the frames in FOLDER, tile by tile, each in a process of its own; shows where the results differ, if
    they do, and the memory and time of each. Estimates the need beforehand and never endangers the machine.
    """
    from zemo_diagnostics.commands import GroupingOptions, run_parity
    from zemo_diagnostics.kappa_parity.compare_tiles import ParityOptions
    from zemo_diagnostics.progress import progress_bar
    from zemo_diagnostics.reports.outputs import check_output_paths

    check_output_paths(outputs, force=force)
    options = ParityOptions(
        kappa_low=kappa_low,
        kappa_high=kappa_high,
        weights=weights,
        chunk_rows=chunk_rows,
        max_frames=max_frames,
        crop=crop,
        timeout_s=timeout,
        atol=atol,
        memory_limit_bytes=memory_limit << 20 if memory_limit else None,
        require_whole=require_whole,
    )
    with progress_bar(quiet=quiet) as say:
        grouping = GroupingOptions(group_by, panel_deg, not no_split)
        report = run_parity(folder, grouping, options, tile_ids=tiles, say=say)
    return _deliver(report, form, outputs, force)


@cli.command(epilog="\b\nExample:\n  zemo-diag stack my_lights -o stack.fits")
@click.argument("folder", type=Folder(path_type=Path))
@click.option(
    "-o", "--output", required=True, type=File(path_type=Path), metavar="FILE", help="The stack (.fit or .fits)."
)
@kappa_options
@click.option("--no-debayer", is_flag=True, help="Stack raw mosaics as they are.")
@click.option("--max-frames", type=click.IntRange(min=1), help="Stack only the first so many frames.")
@click.option("--force", is_flag=True, help="Overwrite the file if it exists.")
@click.option("-q", "--quiet", is_flag=True, help="No progress on stderr.")
def stack(
    folder: Path,
    output: Path,
    kappa_low: float,
    kappa_high: float,
    weights: str,
    no_debayer: bool,
    max_frames: int | None,
    force: bool,
    quiet: bool,
) -> int:
    """Stack frames into one FITS file.

    Takes every frame in FOLDER and its sub-folders as it lies (nothing is aligned) and stacks them by bands of rows,
    as Phase 3 does: any number of frames, in a little memory. The file is float32.
    """
    from zemo_diagnostics.progress import progress_bar
    from zemo_diagnostics.reports.stdout import print_text
    from zemo_diagnostics.stack.stacking import StackOptions, stack_folder

    options = StackOptions(kappa_low, kappa_high, weights, not no_debayer, max_frames)
    with progress_bar(quiet=quiet) as say:
        stacked = stack_folder(folder, output, options, force=force, say=say)
    for file in stacked.left_out:
        say_line(f"Left out {file.name}: {file.reason}")
    for note in stacked.notes:
        say_line(f"Note: {note}")
    print_text(clean_line(f"Wrote {output}: {stacked.summary()}") + "\n")
    return EXIT_CLEAN


@cli.command(epilog="\b\nExample:\n  zemo-diag masters run_tmp --contact-sheet sheet.png")
@click.argument("folder", type=Folder(path_type=Path))
@click.option(
    "--contact-sheet",
    type=File(path_type=Path),
    metavar="FILE.png",
    help="Also draw the masters, stretched, blank pixels in magenta: a hundred here, the next on FILE-2.png and so on.",
)
@output_options
def masters(
    folder: Path, contact_sheet: Path | None, form: str, outputs: tuple[Path, ...], force: bool, quiet: bool
) -> int:
    """Measure master tiles, and say which are empty.

    Reads every FITS file in FOLDER and its sub-folders as a master tile of its own (ZeMosaic's master_tile_*.fits, or
    anybody's): how much of it is blank, its levels, whether alpha and header agree with the pixels, blank bands at the
    edges, holes in bright cores. Any number of them, of any size, in a little memory.
    """
    from zemo_diagnostics.commands import run_masters
    from zemo_diagnostics.masters.contact_sheet import ContactSheet
    from zemo_diagnostics.progress import progress_bar
    from zemo_diagnostics.reports.outputs import check_output_paths

    check_output_paths(outputs, force=force)
    sheet = ContactSheet(contact_sheet, force=force) if contact_sheet else None
    with progress_bar(quiet=quiet) as say:
        report = run_masters(folder, sheet=sheet, say=say)
    if sheet and sheet.written:
        say_line(f"Wrote {sheet.words()}")
    code = _deliver(report, form, outputs, force)
    if sheet and sheet.failure:
        raise sheet.failure
    return code


@cli.command(epilog="\b\nExample:\n  zemo-diag phase3 my_lights -o out --report report.md")
@click.argument("folder", type=Folder(path_type=Path), required=False)
@grouping_options
@click.option(
    "-o",
    "--output",
    required=True,
    type=Folder(path_type=Path),
    metavar="OUT",
    help="The folder for masters, pictures and log; a new one, or one to go on in.",
)
@cleanup_option
@kappa_options
@click.option("--only", type=click.Choice(("before", "patched")), help="Build the masters of one rule only.")
@click.option("--jobs", type=click.IntRange(min=1), help="Tiles at a time at most. [default: as cores, memory allow]")
@click.option("--demo", is_flag=True, help="Simulate the frames of five telling tiles into OUT/frames, and take these.")
@click.option("--dry-run", is_flag=True, help="Show the plan and the estimate; build and write nothing.")
@report_options
@click.option("--force", is_flag=True, help="Build in OUT though it is not empty, and overwrite reports.")
@click.option("-q", "--quiet", is_flag=True, help="No progress on stderr.")
def phase3(
    folder: Path | None,
    group_by: str | None,
    panel_deg: float,
    no_split: bool,
    output: Path,
    altaz_cleanup: str,
    kappa_low: float,
    kappa_high: float,
    weights: str,
    only: str | None,
    jobs: int | None,
    demo: bool,
    dry_run: bool,
    form: str,
    outputs: tuple[Path, ...],
    force: bool,
    quiet: bool,
) -> int:
    """Build master tiles, before and after the patch.

    Aligns and stacks the frames in FOLDER tile by tile, as Phase 3 does: with the rule before the patch
    (OUT/before), which hands the cleanup flag to every tile, and with the patched one (OUT/patched), which cleans
    alt-az tiles only. Shows for each what is blank, and draws both (OUT/pictures); every line that ZeMosaic would log
    goes to OUT/phase3.log. Stopped, it goes on when it is run again. The frames are only read.
    """
    from zemo_diagnostics.commands import GroupingOptions, run_phase3
    from zemo_diagnostics.machine.core_packages import missing_extra_sentence
    from zemo_diagnostics.masters.pictures import why_no_pictures
    from zemo_diagnostics.phase3.build import Phase3Options
    from zemo_diagnostics.phase3.folder import LOG_NAME, check_reports
    from zemo_diagnostics.phase3.tell import places_words
    from zemo_diagnostics.progress import progress_bar
    from zemo_diagnostics.reports.outputs import check_output_paths

    if demo == (folder is not None):
        raise click.UsageError("name the FOLDER that holds your lights, or give --demo: one of the two")
    if dry_run and (outputs or demo):
        raise click.UsageError("--dry-run writes nothing: leave --report and --demo out; --format gives another form")
    check_reports(output, outputs)
    check_output_paths(outputs, force=force)
    rules = (only,) if only else ("before", "patched")
    options = Phase3Options(altaz_cleanup == "on", kappa_low, kappa_high, weights, rules, jobs, dry_run, force)
    if lacking := missing_extra_sentence():
        raise MissingPackageError(lacking)
    if reason := why_no_pictures():
        say_as_it_is(f"No pictures will be drawn: {reason}")
    with progress_bar(quiet=quiet) as say:
        grouping = GroupingOptions(group_by, panel_deg, not no_split)
        report = run_phase3(folder, output, grouping, options, say=say)
    code = _deliver(report, form, outputs, force)
    for line in places_words(report.result("phase3"), output, LOG_NAME):
        say_line(line)
    return code


@cli.command(epilog="\b\nExample:\n  zemo-diag demo")
@output_options
def demo(form: str, outputs: tuple[Path, ...], force: bool, quiet: bool) -> int:
    """Show both reports on simulated frames.

    Makes a small group of Seestar-like frames in a temporary folder, runs gating and kappa-parity on it, and removes
    it again.
    """
    from zemo_diagnostics.demo.run import run_demo
    from zemo_diagnostics.progress import progress_bar
    from zemo_diagnostics.reports.outputs import check_output_paths

    check_output_paths(outputs, force=force)
    with progress_bar(quiet=quiet) as say:
        report = run_demo(say)
    return _deliver(report, form, outputs, force)


@cli.command(epilog="\b\nExample:\n  zemo-diag findings ZD101")
@click.argument("codes", nargs=-1, metavar="[CODE]...")
def findings(codes: tuple[str, ...]) -> int:
    """Explain the finding codes: what each means, and what to do."""
    from zemo_diagnostics.findings.page import explain
    from zemo_diagnostics.reports.stdout import page_width, print_text

    print_text(explain(codes, page_width()))
    return EXIT_CLEAN


def _deliver(report: Report, form: str, outputs: Sequence[Path], force: bool) -> int:
    """Write the files and print the report; where one of the two fails, the other is done all the same."""
    from zemo_diagnostics.reports.report import exit_code
    from zemo_diagnostics.reports.stdout import print_report

    failures = [_write(report, path, force=force) for path in outputs]
    print_report(report, form)
    for failure in filter(None, failures):
        raise failure
    return exit_code(report)


def _write(report: Report, path: Path, *, force: bool) -> ZemoDiagError | None:
    """Write one report file and say so; give back why where that fails."""
    from zemo_diagnostics.reports.outputs import write_report

    try:
        write_report(report, path, force=force)
    except ZemoDiagError as error:
        return error
    say_line(f"Wrote {path}")
    return None


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and give its exit code; every error ends in one sentence on stderr."""
    _stand_in_for_closed_streams()
    warnings.filterwarnings("ignore", module="astropy")  # what astropy says of odd headers is in our own findings
    with clean_stderr():
        return _run(arguments)


def _run(arguments: Sequence[str] | None) -> int:
    """Run one command line; give its exit code, and say what is wrong."""
    try:
        with _interrupted_by_signals():
            result = cli.main(args=arguments, prog_name="zemo-diag", standalone_mode=False)
    except click.ClickException as error:
        return _wrong_usage(error)
    except (click.Abort, KeyboardInterrupt):
        say_line("Interrupted: nothing was left behind.")
        return EXIT_INTERRUPTED
    except MissingPackageError as error:
        say_as_it_is(f"zemo-diag: {error}")
        return error.exit_code
    except ZemoDiagError as error:
        say_line(f"zemo-diag: {error}")
        for detail in error.details:
            say_line(f"  {detail}")
        return error.exit_code
    except ImportError as error:
        return _cannot_import(error)
    except Exception as error:  # noqa: BLE001 - the last line of defence: a sentence, and the trace for who asks
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            say_line("zemo-diag: the disk is full: make room and run again")
            return EXIT_USAGE
        return _our_fault(error)
    return result if isinstance(result, int) else EXIT_CLEAN


def _wrong_usage(error: click.ClickException) -> int:
    """Say what is wrong with a command line, as click does."""
    message, context = error.format_message(), getattr(error, "ctx", None)
    if context is None:
        lines = [f"Error: {message}"]
    elif message == context.get_help():  # no command at all
        lines = message.splitlines()
    else:
        usage = context.get_usage().splitlines()
        if "unexpected extra argument" in message:
            message += ": a path that holds spaces needs quotes around it"
        lines = [*usage, f"Try '{context.command_path} --help' for help.", "", f"Error: {message}"]
    for line in lines:
        say_line(line)
    return EXIT_USAGE


def _stand_in_for_closed_streams() -> None:
    """Give what is printed somewhere to go where stdout or stderr were closed."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115 - for good


@contextlib.contextmanager
def _interrupted_by_signals() -> Iterator[None]:
    """Let a request to end, or a window that is closed, end like Ctrl-C: no child and no folder is left behind."""

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    wanted = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)]
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, interrupt) for number in wanted}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _cannot_import(error: ImportError) -> int:
    """Say which package is broken, with what to type; where none is, the fault is our own."""
    broken = broken_sentence()
    if not broken:
        return _our_fault(error)
    say_as_it_is(broken)
    return EXIT_USAGE


def _our_fault(error: Exception) -> int:
    """Report a fault of our own; ZEMO_DIAG_TRACEBACK=1 shows where."""
    say_line(
        f"zemo-diag: a fault of zemo-diag itself ({type(error).__name__}: {error}). Please report it; "
        "set ZEMO_DIAG_TRACEBACK=1 and run again to see where it happened."
    )
    if os.environ.get("ZEMO_DIAG_TRACEBACK"):
        import traceback

        traceback.print_exception(error)
    return EXIT_OUR_FAULT


def main() -> None:
    """Enter from the command line."""
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # what damaged numbers make libraries say is no help, and names folders
    code = run()
    if code == EXIT_INTERRUPTED:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError):
                stream.flush()
        os._exit(code)  # not by sys.exit: that would wait for a thread that waits for a file that does not answer
    sys.exit(code)


if __name__ == "__main__":
    main()
