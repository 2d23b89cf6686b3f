"""A job of a child: what it is told is what it was."""

from __future__ import annotations

import json

import pytest

from zemo_diagnostics.kappa_parity.data import Variant
from zemo_diagnostics.kappa_parity.job import Job, JobFrame

INSPECTING = Job(
    variant=Variant.INSPECT,
    frames=(JobFrame("a.fit", "GRBG"), JobFrame("b \udcff.fit", None)),
    window=(2, 3, 40, 50),
    kappa_low=3.0,
    kappa_high=2.5,
    chunk_rows=64,
    weigh=True,
)
STACKING = Job(
    variant=Variant.CHUNKED,
    frames=(JobFrame("a.fit", None),),
    window=(0, 0, 4, 5),
    kappa_low=0.1 + 0.2,
    kappa_high=3.0,
    chunk_rows=7,
    weights=[[1.0, 2.0, 0.3]],
    stacked="chunked.npy",
)


@pytest.mark.parametrize("job", [INSPECTING, STACKING])
def test_a_job_is_the_same_after_json(job: Job) -> None:
    document = json.loads(json.dumps(job.to_json() | {"result": "result.json"}))
    assert Job.from_json(document) == job


def test_a_job_that_lacks_something_is_not_read() -> None:
    document = STACKING.to_json()
    del document["window"]
    with pytest.raises(KeyError, match="window"):
        Job.from_json(document)
