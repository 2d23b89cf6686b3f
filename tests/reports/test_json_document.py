"""The JSON form: it follows its schema, key by key, and is JSON whatever stands in the report."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import jsonschema
import pytest

from tests.sample_reports import (
    SAMPLES,
    comparison,
    died_report,
    gating_report,
    masters_report,
    nasty_report,
    parity_report,
    tile_parity,
)
from zemo_diagnostics.kappa_parity.data import Verdict
from zemo_diagnostics.reports.json_document import load_schema, render_json


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return load_schema()


@pytest.mark.parametrize("name", SAMPLES)
def test_every_report_follows_the_schema(name: str, schema: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator(schema).validate(json.loads(render_json(SAMPLES[name]())))


def test_the_schema_is_a_schema(schema: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator.check_schema(schema)


def test_the_schema_notices_an_unknown_and_a_missing_key(schema: dict[str, Any]) -> None:
    validator = jsonschema.Draft202012Validator(schema)
    document = json.loads(render_json(gating_report()))
    document["results"]["gating"]["tiles"][0]["extra"] = 1
    assert not validator.is_valid(document)
    del document["results"]["gating"]["tiles"][0]["extra"]
    assert validator.is_valid(document)
    del document["source"]["files"]
    assert not validator.is_valid(document)


def objects(schema: Any, path: str = "$") -> Iterator[tuple[str, dict[str, Any]]]:
    """Give every part of the schema that describes a value."""
    if isinstance(schema, dict):
        if "type" in schema or "$ref" in schema or "const" in schema or "properties" in schema:
            yield path, schema
        for key, part in schema.items():
            yield from objects(part, f"{path}.{key}")


def test_every_object_is_strict_and_every_key_described(schema: dict[str, Any]) -> None:
    for path, part in objects(schema):
        if "properties" in part and isinstance(part["properties"], dict) and part.get("type") == "object":
            assert part["additionalProperties"] is False, path
            each_may_be_missing = path == "$.properties.results"  # a report holds those of its command
            assert set(part["required"]) == (set() if each_may_be_missing else set(part["properties"])), path
            assert [key for key, value in part["properties"].items() if not value.get("description")] == [], path


def test_the_head_comes_first_and_the_order_is_the_models() -> None:
    document = json.loads(render_json(died_report()))
    assert list(document)[:5] == ["schema", "schema_version", "verdict", "exit_code", "finding_counts"]
    assert document["schema"] == "zemo-diag-report"
    assert document["schema_version"] == 1
    assert document["exit_code"] == 3
    assert document["finding_counts"] == {"errors": 1, "warnings": 0, "notes": 0}
    assert document["options"] == {"kappa_low": 3.0, "kappa_high": 3.0, "weights": "none"}


def test_a_report_holds_the_results_of_its_command_and_no_unknown_ones(schema: dict[str, Any]) -> None:
    validator = jsonschema.Draft202012Validator(schema)
    document = json.loads(render_json(gating_report()))
    assert list(document["results"]) == ["gating"]
    document["results"]["masters"] = None
    assert not validator.is_valid(document)
    document["results"] = {}
    assert validator.is_valid(document)
    document["results"]["else"] = {}
    assert not validator.is_valid(document)


def test_masters_are_written_with_what_is_computed_from_them() -> None:
    masters = json.loads(render_json(masters_report()))["results"]["masters"]
    fine, empty, _ = masters["tiles"]
    assert (fine["verdict"], fine["valid_fraction"], fine["channels"][0]["constant"]) == (
        "fine",
        2067379 / 2073600,
        False,
    )
    assert (empty["verdict"], empty["blank_fraction"], empty["channels"][0]["median"]) == ("empty", 1.0, None)
    assert masters["unreadable"] == []


def test_properties_and_enums_are_written_as_values() -> None:
    gated = json.loads(render_json(gating_report()))["results"]["gating"]["tiles"][1]
    assert gated["counts"] == {"eq": 2, "altaz": 0, "unknown": 4, "other": 0, "total": 6}
    assert gated["frame_modes"][0] == {"name": "Light_2_0.fit", "mode": "EQ"}
    tile = json.loads(render_json(died_report()))["results"]["parity"]["tiles"][1]
    assert tile["verdict"] == "not compared"
    assert tile["runs"][0]["status"] == "killed"
    assert tile["runs"][0]["peak_extra_bytes"] is None
    assert tile["runs"][1]["peak_extra_bytes"] == 98 * 1024 * 1024


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), float("-inf")])
def test_odd_numbers_are_null(odd: float) -> None:
    compared = replace(comparison(Verdict.DIFFERENT), max_abs=odd, rejected_pct=(odd, 1.0))
    text = render_json(parity_report(replace(tile_parity(), comparison=compared)))
    document = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert document["results"]["parity"]["tiles"][0]["comparison"]["max_abs"] is None
    assert document["results"]["parity"]["tiles"][0]["comparison"]["rejected_pct"] == [None, 1.0]


def test_it_is_utf8_one_document_and_ends_in_a_newline() -> None:
    text = render_json(nasty_report())
    assert text.encode("utf-8")
    assert "星.fit" in text
    assert text.endswith("}\n")
    assert json.loads(text)["source"]["folder"].startswith("[red]x[/red] | `a` <b>&amp;")


def test_the_same_report_gives_the_same_text() -> None:
    assert render_json(died_report()) == render_json(died_report())
