"""A command and a format of these tests alone: what is new on one side works at once with all that is on the other."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import click
import jsonschema
import pytest

import zemo_diag
from tests.conftest import FIXTURES
from tests.sample_reports import NASTY, SAMPLES, finding, gating_report, report_of, source
from zemo_diagnostics.command_options import output_options
from zemo_diagnostics.errors import EXIT_FINDINGS, EXIT_USAGE
from zemo_diagnostics.redaction import PrivateWords
from zemo_diagnostics.reports import formats
from zemo_diagnostics.reports.document import (
    Block,
    Column,
    Details,
    Facts,
    Grid,
    GridRow,
    Line,
    Row,
    Section,
    Table,
    Tone,
)
from zemo_diagnostics.reports.formats import FORMATS, Format, format_named
from zemo_diagnostics.reports.levels import state_of
from zemo_diagnostics.reports.outputs import check_output_paths, deliver
from zemo_diagnostics.reports.redacted import redact_report
from zemo_diagnostics.reports.report import Level, Levels, Part, Report, exit_code
from zemo_diagnostics.reports.report_schema import report_schema
from zemo_diagnostics.reports.told import sections, verdict


@dataclass(frozen=True, kw_only=True)
class ToySubject:
    """One thing that was weighed.

    Attributes
    ----------
    number, name : int, str
        What it is called.
    grams : float or None
        What it weighs.
    remarks : tuple of str
        What else there is to say.
    """

    number: int
    name: str
    grams: float | None
    remarks: tuple[str, ...] = ()

    @property
    def heavy(self) -> bool:
        """Whether it takes two hands."""
        return (self.grams or 0.0) > 1000


@dataclass(frozen=True, kw_only=True)
class ToyRun:
    """What was weighed.

    Attributes
    ----------
    scales : str
        What it was weighed on.
    subjects : tuple of ToySubject
        The things.
    """

    scales: str
    subjects: tuple[ToySubject, ...]


def tell(run: ToyRun, levels: Levels) -> Section:
    columns = (Column(head="weight", right=True), Column(head="remark", code=True, room=110))
    rows = tuple(_row(subject, levels) for subject in run.subjects)
    things = Table(title="Things", noun="thing", columns=columns, rows=rows, note="weight: in air", told_title="All")
    remarks = Details(title="Remarks", noun="line", groups=tuple(subject.remarks for subject in run.subjects))
    blocks = (Facts("Weighing", (("scales", run.scales),)), things, remarks)
    return Section(title="Weights", verdict=f"{len(run.subjects)} weighed", blocks=blocks)


def _row(subject: ToySubject, levels: Levels) -> Row:
    weight = "n/a" if subject.grams is None else f"{subject.grams:g} g"
    told = Line(f"weighs {weight}", Tone.FAINT)
    once = GridRow(cells=("once", weight), told=Line(f"once: {weight}"))
    weighings = Grid(
        columns=(Column(head="when"), Column(head="weight", right=True)), rows=(once,), note="one weighing"
    )
    return Row(
        number=subject.number,
        name=subject.name,
        state=state_of(subject.number, levels),
        word="heavy" if subject.heavy else "light",
        cells=(weight, "".join(subject.remarks[:1])),
        told=(told,),
        beneath=(told,),
        details=(told, weighings, Details(title="remark", noun="line", groups=(subject.remarks,))),
    )


def toy_part(run: ToyRun) -> Part:
    return Part(name="toy", data=run, tell=tell, series="ZD8")


def toy_report(name: str = "a stone") -> Report:
    subjects = (
        ToySubject(number=1, name=name, grams=1200.5, remarks=("grey", name)),
        ToySubject(number=2, name="a feather", grams=None),
    )
    found = (finding("ZD801", Level.ERROR, 1, title="It is heavy", message="Two hands."),)
    part = toy_part(ToyRun(scales="the kitchen's", subjects=subjects))
    return report_of(part, command="toy", source=source(2, tiles=2), findings=found)


REPORTS: dict[str, Callable[[], Report]] = {
    **SAMPLES,
    "toy": toy_report,
    "nasty toy": lambda: toy_report(NASTY),
    "toy and gating": lambda: replace(gating_report(), parts=(*gating_report().parts, *toy_report().parts)),
}


def render_toy(report: Report) -> str:
    """Draw a report as an outline, a line for each thing that a block says."""
    return "\n".join([verdict(report), *(line for section in sections(report) for line in _outline(section))]) + "\n"


def _outline(section: Section) -> Iterator[str]:
    yield f"= {section.title}"
    for block in section.blocks:
        yield from (f"- {line!r}" for line in _block_lines(block))


def _block_lines(block: Block) -> Iterator[str]:
    if isinstance(block, Facts):
        yield from (f"{label}: {text}" for label, text in block.facts)
    elif isinstance(block, Details):
        yield from (line for group in block.groups for line in group)
    else:
        heads = [column.head for column in block.columns]
        for row in block.rows:
            cells = [f"{head}={cell}" for head, cell in zip(heads, row.cells, strict=True)]
            yield " ".join([str(row.number), row.name, row.state.value, *cells])


TOY = Format(name="outline", suffix=".toy", render=render_toy)


@pytest.fixture(autouse=True)
def toy_format(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "FORMATS", [*FORMATS, TOY])


@pytest.mark.parametrize("form", [*FORMATS, TOY], ids=lambda form: form.name)
@pytest.mark.parametrize("name", REPORTS)
def test_every_format_draws_every_command(name: str, form: Format) -> None:
    report = REPORTS[name]()
    text = form.render(report)
    assert text.endswith("\n")
    if form.name == "json":
        assert list(json.loads(text)["results"]) == [part.name for part in report.parts]
        return
    for section in sections(report):
        titles = (section.title, *(block.title for block in section.blocks if isinstance(block, Facts)))
        assert any(title in text for title in titles)


@pytest.mark.parametrize("form", [*FORMATS, TOY], ids=lambda form: form.name)
def test_what_the_toy_command_found_is_in_every_format(form: Format) -> None:
    text = form.render(toy_report())
    for words in ("the kitchen's", "a stone", "a feather", "1200.5", "2 weighed; 1 error"):
        assert words in text.replace("&#39;", "'")


@click.command("toy")
@output_options
def command(form: str, outputs: tuple[Path, ...], force: bool, quiet: bool) -> int:
    """Weigh a stone and a feather."""
    del quiet
    check_output_paths(outputs, force=force)
    return deliver(toy_report(), form, outputs, force)


@pytest.fixture
def toy_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(zemo_diag.cli.commands, "toy", command)


@pytest.mark.usefixtures("toy_command")
@pytest.mark.parametrize("form", [*FORMATS, TOY], ids=lambda form: form.name)
def test_the_command_line_takes_the_toy_command_and_format(
    form: Format, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / f"r{form.suffix.upper()}"
    assert zemo_diag.run(["toy", "--format", form.name, "-o", str(file)]) == EXIT_FINDINGS
    printed = capsys.readouterr().out
    assert printed == file.read_text(encoding="utf-8") == form.render(toy_report())


def test_a_command_of_the_tools_own_takes_the_toy_format(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = FIXTURES / "eq_only"
    assert zemo_diag.run(["gating", str(folder), "-q", "--format", TOY.name, "-o", str(tmp_path / "r.toy")]) == 0
    printed = capsys.readouterr().out
    assert printed == (tmp_path / "r.toy").read_text(encoding="utf-8")
    assert "\n= Gating\n" in printed


@pytest.mark.usefixtures("toy_command")
def test_without_the_toy_format_the_command_line_names_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(formats, "FORMATS", FORMATS)
    assert zemo_diag.run(["toy", "--format", TOY.name]) == EXIT_USAGE
    assert "'outline' is not one of 'terminal', 'json', 'markdown'" in capsys.readouterr().err
    assert zemo_diag.run(["toy", "-o", str(tmp_path / "s.toy")]) == EXIT_USAGE
    assert "end it in .json, .md, .txt" in capsys.readouterr().err


def test_the_toy_command_is_marked_and_ends_as_its_findings_say() -> None:
    report = toy_report()
    (section,) = sections(report)
    (table,) = (block for block in section.blocks if isinstance(block, Table))
    assert [(row.state.value, row.word) for row in table.rows] == [("error", "heavy"), ("ok", "light")]
    assert exit_code(report) == EXIT_FINDINGS


def test_the_toy_command_has_a_schema_and_follows_it() -> None:
    schema = report_schema({"toy": ToyRun})
    jsonschema.Draft202012Validator.check_schema(schema)
    subject = schema["$defs"]["ToySubject"]["properties"]
    assert subject["grams"] == {"description": "What it weighs.", "type": ["number", "null"]}
    assert subject["heavy"] == {"description": "Whether it takes two hands.", "type": "boolean"}
    validator = jsonschema.Draft202012Validator(schema)
    document = json.loads(format_named("json").render(toy_report(NASTY)))
    validator.validate(document)
    del document["results"]["toy"]["subjects"][1]["heavy"]
    assert not validator.is_valid(document)


def test_a_result_that_is_not_described_or_cannot_be_held_has_no_schema() -> None:
    @dataclass(frozen=True)
    class Silent:
        """It says nothing of what it holds."""

        grams: int

    @dataclass(frozen=True)
    class Free:
        """It holds anything.

        Attributes
        ----------
        anything : object
            Whatever.
        """

        anything: object

    with pytest.raises(TypeError, match=r"Silent\.grams is not described"):
        report_schema({"silent": Silent})
    with pytest.raises(TypeError, match="cannot hold"):
        report_schema({"free": Free})


def test_what_others_wrote_is_redacted_in_the_toy_command_too() -> None:
    report = redact_report(toy_report("joan's stone"), PrivateWords(users=("joan",)))
    for form in formats.FORMATS:
        assert "joan" not in form.render(report)
