"""Comparison of methods: the same faces, grouped by each method and scored against the same labels."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property, partial

import msgspec
import numpy as np
from numpy.typing import NDArray

from immich_facesets.evaluation import metrics
from immich_facesets.evaluation.baselines import BASELINES, Baseline, Material, run_baseline
from immich_facesets.evaluation.confusions import confusions, faces_in
from immich_facesets.evaluation.from_scratch import identity_labels, partition
from immich_facesets.grouping.plan import GroupingRules
from immich_facesets.spaces import OperatingPoints
from service.passes.group_inputs.operating_points import points_today
from service.reports.evaluation.labels import Labels
from service.reports.evaluation.results import (
    ExampleFace,
    Findings,
    Histogram,
    MethodFindings,
    MethodScore,
    Rates,
    UnusedLabel,
)
from service.settings import Settings
from service.store.database import Store
from service.store.faces import StoredLibrary, read_library
from service.store.spaces import grouped_points

Groups = NDArray[np.int64]

HERE, FRESH = "this library", "grouped from nothing"

_HISTOGRAM_FACES = 20_000
_EDGES = np.linspace(0, 1.2, 61)


@dataclass(frozen=True, slots=True)
class EvaluationInput:
    """The current library, with the operating points and rules of a grouping today."""

    library: StoredLibrary = field(repr=False)
    space: str
    family: str
    points: OperatingPoints
    rules: GroupingRules


async def read_evaluation_input(store: Store, settings: Settings) -> EvaluationInput:
    """Read everything in the space in use; a library that was never grouped raises a ``SetupError``."""
    used = await store.read(grouped_points)
    library = await store.read(read_library, used.space)
    return EvaluationInput(
        library=library,
        space=used.space,
        family=used.family,
        points=points_today(settings, used),
        rules=settings.grouping_rules(library.table.picture_count),
    )


class Evaluation:
    """
    One evaluation. Every method gets all faces of the library, unlabelled ones included; the labelled ones are scored.

    Blocking, for as long as each method takes.
    """

    def __init__(self, inputs: EvaluationInput, labels: Labels, source: str) -> None:
        self.inputs = inputs
        self.labels = labels
        self._source = source
        self._ids = inputs.library.table.face_ids
        ids = self._ids.tolist()
        self.rows = np.array([row for row, face in enumerate(ids) if face in labels.names], dtype=np.intp)
        self.truth = np.array([labels.names[ids[row]] for row in self.rows], dtype=np.str_)

    def methods(self, *, with_baselines: bool) -> Iterator[tuple[str, Callable[[], MethodFindings]]]:
        """Yield the name of each method, and the function that evaluates it."""
        yield HERE, self._here
        yield FRESH, self._fresh
        if with_baselines:
            for baseline in BASELINES:
                yield baseline.name, partial(self._baseline, baseline)

    def findings(self, methods: tuple[MethodFindings, ...]) -> Findings:
        """Return all findings."""
        return Findings(
            source=self._source,
            space=self.inputs.space,
            family=self.inputs.family,
            faces=len(self.inputs.library.table),
            labelled=len(self.rows),
            people=len(np.unique(self.truth)),
            min_pictures=self.inputs.rules.min_faces,
            methods=methods,
            histogram=self._histogram(),
            unused=tuple(UnusedLabel(one.line, one.reason) for one in self.labels.unused),
            examples=self._examples(methods),
        )

    def _here(self) -> MethodFindings:
        library = self.inputs.library
        ids = self._ids.tolist()
        groups = identity_labels([library.identities.get(face) for face in ids])
        sure = np.array([library.confidences.get(ids[row], np.nan) for row in self.rows])
        return msgspec.structs.replace(
            self._ours(HERE, "as it is now, with names and decisions", groups, None),
            calibration=metrics.calibration(metrics.is_of_owner(self.truth, groups[self.rows]), sure),
        )

    def _fresh(self) -> MethodFindings:
        inputs, began = self.inputs, time.perf_counter()
        groups = partition(inputs.library.table, inputs.points, inputs.rules)
        setting = f"ours, without names or decisions, cut {inputs.points.cluster:.3g}"
        return self._ours(FRESH, setting, groups, time.perf_counter() - began)

    def _ours(self, name: str, setting: str, groups: Groups, seconds: float | None) -> MethodFindings:
        return MethodFindings(
            name=name,
            setting=setting,
            seconds=seconds,
            standing=self._score(groups),
            confusions=confusions(self.truth, groups[self.rows], face_ids=self._ids[self.rows]),
        )

    def _baseline(self, baseline: Baseline) -> MethodFindings:
        began = time.perf_counter()
        outcome = run_baseline(baseline, self._material)
        seconds = time.perf_counter() - began
        if outcome.labels is None:
            return MethodFindings(name=baseline.name, setting=outcome.setting)
        score = self._score(outcome.labels)
        return MethodFindings(name=baseline.name, setting=outcome.setting, seconds=seconds, standing=score)

    @cached_property
    def _material(self) -> Material:
        return Material(
            self.inputs.library.table.vectors,
            self.inputs.points,
            lambda groups: metrics.bcubed(self.truth, groups[self.rows]).f,
        )

    def _score(self, groups: Groups) -> MethodScore:
        mine, table = groups[self.rows], self.inputs.library.table
        is_known = np.zeros(len(table), dtype=np.bool_)
        is_known[self.rows] = True
        names = np.full(len(table), "", dtype=self.truth.dtype)
        names[self.rows] = self.truth
        return MethodScore(
            bcubed=Rates.of(metrics.bcubed(self.truth, mine)),
            pairwise=Rates.of(metrics.pairwise(self.truth, mine)),
            clusters=metrics.cluster_count(mine),
            strangers=metrics.strangers_in_sets(names, groups, table.pictures, is_known, self.inputs.rules.min_faces),
        )

    def _examples(self, methods: tuple[MethodFindings, ...]) -> tuple[ExampleFace, ...]:
        """Return the places of the faces in the examples of confusions."""
        shown = {face for method in methods if method.confusions is not None for face in faces_in(method.confusions)}
        library = self.inputs.library
        places = {picture.sha256: picture for picture in reversed(library.pictures)}
        found = []
        for face in library.faces:
            picture = places.get(face.sha256)
            if face.face_id in shown and picture is not None:
                box = (face.box.x1, face.box.y1, face.box.x2, face.box.y2)
                example = ExampleFace(
                    face_id=face.face_id, source=picture.source, asset=picture.asset_id, path=picture.path, box=box
                )
                found.append(example)
        return tuple(found)

    def _histogram(self) -> Histogram:
        """Return the histogram of all labelled faces, or of a sample that takes only seconds."""
        chosen = np.arange(len(self.rows))
        if len(chosen) > _HISTOGRAM_FACES:
            chosen = np.sort(np.random.default_rng(0).choice(chosen, _HISTOGRAM_FACES, replace=False))
        vectors = self.inputs.library.table.vectors[self.rows[chosen]]
        same, different = metrics.pair_histogram(vectors, self.truth[chosen], _EDGES)
        points = self.inputs.points
        return Histogram(
            edges=tuple(_EDGES.round(6).tolist()),
            same=tuple(same.tolist()),
            different=tuple(different.tolist()),
            cut=points.cluster,
            match=points.match,
            merge=points.merge,
        )
