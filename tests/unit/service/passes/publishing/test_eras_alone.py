"""The face sets of the eras of a person: planned, and written for this person alone."""

import json
from pathlib import Path

import pytest
from counted_statements import counted_statements
from small_library import draw_small_library, long_life
from synced_app import decide, synced_app

from immich_facesets.errors import RequestError
from immich_facesets.moderation.requests import HoldFromSets
from service.app import App
from service.reports.library.planned_sets import PlannedSets
from service.store import members
from service.web.library.facesets import PlannedSet, PlannedSetQuery

pytestmark = pytest.mark.slow
ERAS = ("2001", "2023")


async def planned(app: App, era: str = "") -> PlannedSet:
    return await PlannedSets(app.store, app.settings).of(1, PlannedSetQuery(era=era))


def faces_in(app: App, era: str) -> set[str]:
    body = (app.settings.export_dir / f"faceset_001_era_{era}/manifest.json").read_bytes()
    return {one["sha256"] for one in json.loads(body)["faces"]}


async def test_an_era_is_planned_as_it_is_written_and_a_decision_changes_it_alone(tmp_path: Path) -> None:
    drawn = draw_small_library(tmp_path / "drawn", long_life())
    async with synced_app(drawn, tmp_path, export_profiles="fsz,kohya:3:96") as app:
        for era in ("", *ERAS):
            plan = await planned(app, era)
            assert (plan.era, plan.eras, plan.is_thin) == (era, ERAS, False)
            assert (plan.coming, plan.going, plan.written) == (0, 0, plan.faces), (
                "what is written is what the plan says"
            )
        gone = min(faces_in(app, "2001"))
        rows = await app.store.read(members.members_of, 1)
        await decide(app, HoldFromSets(faces=tuple(row.face_id for row in rows if row.sha256 == gone)))
        with counted_statements(app.store) as of_all:
            await planned(app)
        with counted_statements(app.store) as of_era:
            plan = await planned(app, "2001")
        assert len(of_era) <= len(of_all)
        assert gone in {face.picture.sha256 for face in plan.goes_out}
        assert (await planned(app, "2023")).going == 0
        await app.runner.publish_now(frozenset({1}))
        assert gone not in faces_in(app, "2001")
        for era in ("", *ERAS):
            plan = await planned(app, era)
            assert (plan.coming, plan.going) == (0, 0)
        counts = await app.runner.publish_now()
        assert (counts.written, counts.forms, counts.removed) == (0, 0, 0), "nothing is left to an export of everybody"
        with pytest.raises(RequestError, match="has no era of that name now"):
            await planned(app, "1999")
