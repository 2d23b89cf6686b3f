"""The command line of zemo-diag: its commands, signals, and how an error ends.

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
from zemo_diagnostics.commands import modules_of_commands
from zemo_diagnostics.errors import (
    EXIT_CLEAN,
    EXIT_INTERRUPTED,
    EXIT_OUR_FAULT,
    EXIT_USAGE,
    MissingPackageError,
    ZemoDiagError,
)
from zemo_diagnostics.stderr import clean_stderr, say_as_it_is, say_line

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


for module in modules_of_commands("command"):
    cli.add_command(module.command)


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
