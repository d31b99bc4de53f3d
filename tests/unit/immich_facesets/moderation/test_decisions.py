"""Decisions as JSON: lossless round trip, and refusal of anything else."""

import json

import pytest
from decision_builders import ONE_OF_EACH

from immich_facesets.errors import RequestError
from immich_facesets.moderation.decisions import Decision, from_json, kind_of, to_json


@pytest.mark.parametrize("decision", ONE_OF_EACH, ids=kind_of)
def test_every_decision_survives_json(decision: Decision) -> None:
    body = json.loads(json.dumps(to_json(decision)))
    assert body["kind"] == kind_of(decision)
    assert from_json(body) == decision


def test_each_kind_has_a_name_of_its_own() -> None:
    assert len({kind_of(decision) for decision in ONE_OF_EACH}) == len(ONE_OF_EACH)


@pytest.mark.parametrize(
    "body",
    [None, {}, {"kind": "praise"}, {"kind": "lock"}, {"kind": "lock", "identity": "1"}, {"kind": "lock", "x": 1}],
)
def test_what_is_no_decision_is_refused(body: object) -> None:
    with pytest.raises(RequestError, match="no decision") as refused:
        from_json(body)
    assert refused.value.status == 400
