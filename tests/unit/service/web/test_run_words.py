"""The words for what came of a sync or an export."""

from datetime import UTC, datetime
from typing import get_args

from service.passes.counts import Counts, counts_of
from service.passes.discovering.counts import DiscoverCounts
from service.passes.embed import EmbedCounts
from service.passes.group import GroupCounts
from service.passes.publishing.counts import PublishCounts
from service.progress import JobKind
from service.sync.unread import UNREAD
from service.web import run_words
from service.web.run_words import came_of, kind_words
from service.web.schemas import Run


def run(**counts: int) -> Run:
    return Run(id=1, kind="full", started_at=datetime(2026, 3, 1, tzinfo=UTC), counts=counts)


def test_a_person_reads_what_came_of_a_job() -> None:
    found = run(
        publish_written=3, publish_removed=1, publish_facesets=31, discover_new=1_204, embed_fetched_bytes=9_000
    )
    assert came_of(found.counts) == ("1,204 new pictures", "3 face sets written", "1 face set removed")
    assert came_of(run(group_new_identities=1, group_joined=1).counts) == ("1 new person", "1 face given to people")
    assert came_of(run(publish_written=0).counts) == ()


def test_every_count_of_a_pass_is_told_or_left_out_on_purpose() -> None:
    passes: dict[str, Counts] = {
        "discover": DiscoverCounts(),
        "embed": EmbedCounts(),
        "group": GroupCounts(),
        "publish": PublishCounts(),
    }
    counts = {f"{stage}_{name}" for stage, one in passes.items() for name in counts_of(one)} | {UNREAD}
    assert counts == run_words._PHRASES.keys() | run_words._UNTOLD
    assert came_of(run(of_an_earlier_version=2).counts) == ("2 of an earlier version",)


def test_every_kind_of_job_has_words_of_its_own() -> None:
    words = [kind_words(kind) for kind in get_args(JobKind)]
    assert len(set(words)) == len(words)
    assert kind_words("of_another_version") == "of_another_version"
