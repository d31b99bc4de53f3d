"""The examples of the OpenAPI document: invented people, in the types that the answers have."""

from datetime import UTC, datetime

from msgspec.structs import asdict as _asdict
from msgspec.structs import replace as _replace

from immich_facesets.exports import identities_file as _identities_file
from immich_facesets.faces import Box as _Box
from immich_facesets.moderation.effects import Change as _Change
from immich_facesets.moderation.effects import Effect as _Effect
from immich_facesets.review.answers import answers_of as _answers_of
from immich_facesets.review.answers import question_of as _question_of
from immich_facesets.review.items import Item as _Item
from service.progress import Progress as _Progress
from service.web import schemas as _schemas
from service.web.library import decisions as _decisions
from service.web.library import eras as _eras
from service.web.library import faces as _faces
from service.web.library import facesets as _facesets
from service.web.library import identify as _identify
from service.web.library import identities as _identities
from service.web.library import proposals as _proposals
from service.web.library import references as _references
from service.web.library import review as _review
from service.web.library import service as _service
from service.web.problems import problem_of as _problem_of

_THEN = datetime(2026, 5, 1, 12, tzinfo=UTC)
_PICTURE, _CROP = "3a" * 32, "c4" * 32
_COVER = _identities.Crop(
    face=512, crop=f"/api/crops/{_PICTURE}.{_CROP}.jpg", thumbnail=f"/api/thumbnails/256/{_PICTURE}.{_CROP}.jpg"
)
_ANNA = _identities.Identity(
    number=3,
    label="Anna",
    origin="asserted",
    is_locked=False,
    is_never_exported=False,
    faces=412,
    pictures=398,
    cover=_COVER,
    facesets=("/api/facesets/faceset_003",),
    first_date="1986-06-01",
    last_date="2026-04-30",
    questions=1,
)
_DECISION = _identities.MadeDecision(
    id=17,
    kind="lock",
    body={"kind": "lock", "identity": 3},
    made_by="token",
    made_from="api",
    made_at=_THEN,
    reason="complete",
    is_undone=False,
)
_PLACE = _faces.Place(
    source="anna",
    asset_id="3f0d6c1e-8f5b-4a57-9d7b-1d5a3e0c7b11",
    path="/data/upload/anna/IMG_2041.jpg",
    file_name="IMG_2041.jpg",
    taken="2014-07-21T10:15:00",
)
_FACE = _faces.Face(
    id=512,
    box=_faces.Edges(x1=812.4, y1=300.0, x2=1010.9, y2=561.2),
    picture=_faces.Picture(
        sha256=_PICTURE, address=f"/api/pictures/{_PICTURE}", width=4000, height=3000, places=(_PLACE,)
    ),
    crop=_COVER,
    identity=3,
    distance=0.2134,
    how="matched",
    confidence=0.9931,
    score=0.8127,
    det_score=0.91,
    blur=211.5,
    yaw=-4.2,
    pitch=2.0,
    roll=0.4,
    taken="2014-07-21T10:15:00",
)
_RIVAL = _identities.NearIdentity(number=8, label="Berta", distance=0.6021)

IDENTITIES = _identities.IdentitiesAnswer(identities=(_ANNA,), total=132, next="WyJpZGVudGl0aWVzIl0")
IDENTITY = _identities.IdentityAnswer(
    identity=_ANNA,
    names=(_identities.GivenLabel(source="anna", name="Anna", is_shown=True),),
    created_at=_THEN,
    birth_date="1984-02-11",
    is_minor=False,
    how={"asserted": 310, "matched": 102},
    sources={"anna": 405, "scans-1974": 9},
    is_stranger=False,
)
IDENTITIES_FILE = _identities_file.IdentitiesFile(
    schema=1,
    space="7d1f0c9be2a45b63",
    distances={"match": 0.55, "cluster": 0.65, "merge": 0.5, "drop": 0.65, "outlier": 0.6, "near": 0.05},
    guardrails=(),
    identities=(
        _identities_file.IdentityRecord(
            number=3,
            label="Anna",
            origin="asserted",
            is_locked=False,
            is_never_exported=False,
            faces=1,
            pictures=1,
            how={"matched": 1},
            cover=_identities_file.CoverRecord(sha256=_PICTURE, box=(812.4, 300.0, 1010.9, 561.2)),
            centroid_norm=1.0,
            variance=0.0,
            eras=(_identities_file.EraRecord(name="2011", from_year=2009, to_year=2014, faces=1),),
            members=(
                _identities_file.MemberRecord(
                    sha256=_PICTURE,
                    box=(812.4, 300.0, 1010.9, 561.2),
                    distance=0.2134,
                    how="matched",
                    confidence=0.9931,
                ),
            ),
        ),
    ),
)
MERGED = _identities.MergedAnswer(number=7, leads_to=3)
FACES = _faces.FacesAnswer(faces=(_FACE,), total=412, next="WyJmYWNlcyJd")
ERAS = _identities.ErasAnswer(
    eras=(
        _identities.Era(
            name="2011",
            kind="years",
            from_year=2009,
            main_year=2011,
            to_year=2014,
            faces=88,
            placed=3,
            examples=(_COVER,),
        ),
    )
)
_ERA = _eras.PlannedEra(
    name="2011",
    from_year=2009,
    main_year=2011,
    to_year=2014,
    faces=88,
    placed=3,
    from_eras={"2011": 88},
    examples=(_COVER,),
)
ERA_PLAN = _eras.EraPlanAnswer(
    version="5b1d",
    reason="2 groups that look alike, 1998 to 2011",
    before=(_ERA,),
    after=(
        _replace(_ERA, name="1998", from_year=1996, main_year=1998, to_year=1999, faces=24, from_eras={"": 24}),
        _ERA,
    ),
    moved=24,
    is_done=False,
)
ERA_PROBE = _eras.EraProbe(
    faces=412,
    dated=390,
    is_sortable=True,
    reason=ERA_PLAN.reason,
    bin_width=0.05,
    cut=0.35,
    within=(0, 12, 340, 120, 8),
    between=(0, 0, 4, 90, 410),
    cuts=(
        _eras.EraGroups(
            distance=0.35,
            groups=(
                _eras.EraGroup(faces=88, from_year=2009, main_year=2011, to_year=2014),
                _eras.EraGroup(faces=24, from_year=1996, main_year=1998, to_year=1999),
            ),
        ),
    ),
)
NEAREST = _identities.NearestAnswer(identities=(_RIVAL,))
SIMILAR = _proposals.SimilarAnswer(
    total=12,
    clear=9,
    faces=(
        _proposals.SimilarFace(
            face=_replace(_FACE, id=913, identity=None, distance=None, how=None, confidence=None),
            distance=0.3104,
            rival=8,
            rival_distance=0.6021,
            is_clear=True,
        ),
    ),
)
PARTS = _proposals.PartsAnswer(
    parts=(
        _proposals.SplitPart(
            faces=(512, 513, 514),
            distance=0.5512,
            first_date="1986-06-01T12:00:00",
            last_date="2026-04-30T09:30:00",
            examples=(_FACE,),
        ),
        _proposals.SplitPart(
            faces=(777, 778, 779),
            distance=0.5512,
            first_date="2014-07-21T10:15:00",
            last_date="2019-12-24T18:00:00",
            examples=(_replace(_FACE, id=777),),
        ),
    ),
    unclear=(801,),
)
FIGURES = _identities.FiguresAnswer(
    years=(_identities.YearCount(year=1986, faces=40), _identities.YearCount(year=2026, faces=360)),
    undated=12,
    distances=(0, 12, 80, 150, 100, 40, 20, 10),
    bin_width=0.02,
    cut=0.55,
)
TOGETHER = _identities.TogetherAnswer(identities=(_identities.Companion(number=8, label="Berta", pictures=41),))
DECISIONS = _decisions.DecisionsPage(decisions=(_DECISION,), next="WyJkZWNpc2lvbnMiXQ")
PREVIEW = _decisions.DecisionsAnswer(
    decisions=(), kinds=("split",), effect=_Effect(changes=(_Change(3, 0, 2, 410), _Change(133, 2, 0, 2)), new=(133,))
)
DECIDED = _replace(PREVIEW, decisions=(18,))
CHANGED = _decisions.ChangedProblem(
    **_asdict(_problem_of(412, "identity 3 is not as you saw it")),
    changed=(_decisions.ChangedIdentity(number=3, etag='"9f86d081884c7d65"', now=IDENTITY, latest=_DECISION),),
)
HISTORY = _identities.HistoryAnswer(decisions=(_DECISION,))
FACE = _faces.FaceAnswer(face=_FACE, label="Anna", rivals=(_RIVAL,), decisions=())
IDENTIFIED = _identify.IdentifyAnswer(
    width=4000,
    height=3000,
    compared=132,
    faces=(
        _identify.IdentifiedFace(
            box=_faces.Edges(x1=812.4, y1=300.0, x2=1010.9, y2=561.2),
            det_score=0.91,
            is_clear=True,
            verdict="known",
            nobody=0.0011,
            identities=(
                _identify.IdentifiedAs(
                    number=3,
                    label="Anna",
                    confidence=0.9989,
                    distance=0.4127,
                    is_never_exported=False,
                    address="/api/identities/3",
                ),
            ),
        ),
    ),
)
SEARCH = _faces.SearchAnswer(
    identities=(_ANNA,),
    by_date=(),
    by_file_name=(
        _faces.FoundPicture(
            sha256=_PICTURE,
            address=f"/api/pictures/{_PICTURE}",
            places=(_PLACE,),
            faces=(_faces.PictureFace(id=512, identity=3),),
        ),
    ),
)
_PAIR = _Item(
    kind="merge",
    reason="alike",
    identities=(3, 8),
    faces=(412, 9),
    probability=0.91,
    settles=9,
    evidence=((512,), (907,)),
)
REVIEW = _review.ReviewPage(
    items=(
        _review.ReviewItem(
            id=5,
            kind=_PAIR.kind,
            reason=_PAIR.reason,
            question=_question_of(_PAIR),
            probability=_PAIR.probability,
            benefit=_PAIR.benefit,
            settles=_PAIR.settles,
            is_exported=True,
            comes_last=False,
            identities=(
                _review.ReviewedIdentity(
                    number=3,
                    label="Anna",
                    faces=412,
                    birth_date="1984-02-11",
                    first_date="1986-06-01",
                    last_date="2026-04-30",
                    evidence=(_review.EvidenceFace(face=_FACE, age=30),),
                ),
                _review.ReviewedIdentity(
                    number=8,
                    label=None,
                    faces=9,
                    birth_date=None,
                    first_date="2014-05-02",
                    last_date="2014-09-12",
                    evidence=(_review.EvidenceFace(face=_replace(_FACE, id=907, identity=8), age=None),),
                ),
            ),
            parts=(),
            face=None,
            ages=(),
            answers=_answers_of(_PAIR, {3: "Anna"}),
        ),
    ),
    total=38,
    next="WyJyZXZpZXcgIl0",
)

_RUN = _schemas.Run(
    id=41, kind="incremental", started_at=_THEN, ended_at=_THEN, outcome="done", sources=("anna",), counts={"faces": 21}
)
_FAILURE = _schemas.Failure(
    stage="embed",
    source="anna",
    name="IMG_2041.jpg",
    item="original:5f1c0a6be3b0c2b7c7e2f3f1c3a1d2b4e5f60718",
    reason="corrupt",
    message="The file ends in the middle of the picture.",
    tries=3,
    retry_at=_THEN,
)
_CORRUPT = _schemas.ReasonCount(reason="corrupt", count=1)
STATUS = _schemas.StatusAnswer(
    version="1.0.0",
    ready=True,
    objections=(),
    progress=_Progress(changed_at=_THEN),
    facts=_schemas.StatusFacts(runs=(_RUN,), failures=(_FAILURE,), failures_by_reason=(_CORRUPT,)),
)
FAILURES = _schemas.FailuresAnswer(total=1, by_reason=(_CORRUPT,), failures=(_FAILURE,))
CANCELLED = _schemas.CancelAnswer(cancelling=41)
JOB_REQUESTED = _schemas.JobAnswer(id=42)

_FACESET = _facesets.Faceset(
    directory="faceset_003",
    profile="fsz",
    identity=3,
    label="Anna",
    era=None,
    faces=120,
    written_at=_THEN,
    address="/api/facesets/faceset_003",
    zip="/api/facesets/faceset_003/zip",
)
FACESETS = _facesets.FacesetsAnswer(facesets=(_FACESET,))
_PREFLIGHT = _facesets.Preflight(
    findings=(
        _facesets.Finding(code="no_profile_views", message="no face is seen from the side", value=0, threshold=1),
    ),
    shown={"yaw": {"front": 90, "half_left": 18, "half_right": 12}},
    events={"count": 64, "largest": 7, "undated": 3},
    known=412,
    left_out={"near_duplicate": 240},
)
FACESET = _facesets.FacesetAnswer(
    faceset=_FACESET,
    is_whole=True,
    artifacts=(
        _facesets.Artifact(
            name="faces/0001.png", bytes=391_004, address="/api/facesets/faceset_003/files/faces:0001.png"
        ),
    ),
    preflight=_PREFLIGHT,
)
LEFT_OUT = _facesets.LeftOutAnswer(
    faces=(_facesets.LeftOutFace(reason="near_duplicate", face=_FACE),), total=240, next="WyJsZWZ0IG91dCAiXQ"
)
PLANNED_SET = _facesets.PlannedSet(
    eras=("2011", "2015"),
    faces=45,
    written=45,
    coming=1,
    going=1,
    comes_in=(_FACE,),
    goes_out=(_FACE,),
    included=2,
    refused=(_facesets.LeftOutFace(reason="second_face_in_crop", face=_FACE),),
    unchecked=1,
    left_out={"near_duplicate": 240, "second_face_in_crop": 1},
)
EXPORTED = _facesets.ExportedAnswer(
    people=(
        _facesets.ExportedPerson(
            identity=_ANNA,
            why_not_exported="",
            facesets=(
                _facesets.FacesetSummary(
                    faceset=_FACESET,
                    is_whole=True,
                    bytes=48_120_334,
                    downloads=(
                        _facesets.Artifact(
                            name="faceset_003_top30.fsz",
                            bytes=11_204_118,
                            address="/api/facesets/faceset_003/files/faceset_003_top30.fsz",
                        ),
                    ),
                    contact_sheet="/api/facesets/faceset_003/files/contact_sheet.jpg",
                    preflight=_PREFLIGHT,
                ),
            ),
        ),
    ),
    total=1,
    directories={"fsz": 1},
)
LEDGER = _facesets.LedgerAnswer(
    exports=(
        _facesets.LedgerEntry(
            id=88,
            directory="faceset_003",
            identity=3,
            profile="fsz",
            action="written",
            faces=120,
            made_by="sync",
            made_at=_THEN,
        ),
    )
)
_REFERENCE = _references.ReferenceShown(
    id=5,
    identity=3,
    rival=None,
    state="used",
    sha256=_PICTURE,
    box=_FACE.box,
    display=f"/api/reference-pictures/{_PICTURE}.{_CROP}.jpg",
    aligned=f"/api/reference-pictures/{_PICTURE}.{'d5' * 32}.jpg",
    original="/api/references/5/original",
    made_at=_THEN,
)
REFERENCES = _references.ReferencesAnswer(references=(_REFERENCE,))
REFERENCE_ADDED = _references.ReferenceAdded(
    id=5,
    identity=3,
    rival=None,
    done=_decisions.DecisionsAnswer(
        decisions=(18,), kinds=("reference",), effect=_Effect(settings=((3, "reference"),))
    ),
)
REFERENCE_PREVIEW = _references.ReferencePreview(
    known=None,
    identity=3,
    rival=None,
    done=_decisions.DecisionsAnswer(decisions=(), kinds=("reference",), effect=_Effect(settings=((3, "reference"),))),
)
SEVERAL_FACES = _references.FacesProblem(
    **_asdict(
        _problem_of(
            409,
            str(_references.SeveralFacesError((_Box(812, 300, 1010, 561), _Box(100, 310, 280, 560)))),
            "several_faces",
        )
    ),
    boxes=(_FACE.box, _faces.Edges(x1=100.0, y1=310.0, x2=280.0, y2=560.0)),
)
SOURCES = _service.SourcesAnswer(
    sources=(
        _service.Source(
            counts=_schemas.SourceCounts(name="anna", kind="immich", assets=41_020, wanted=17_200, embedded=17_200),
            root=None,
            mode=None,
        ),
    )
)
SETTINGS = _service.SettingsAnswer(
    settings=(
        _service.Setting(
            name="FACESETS_TOKEN",
            value=None,
            is_set=True,
            is_default=False,
            is_secret=True,
            description="the token of pages and API",
        ),
    )
)
STORAGE = _service.StorageAnswer(
    parts=(
        _service.StoredSize(part="database", files=None, bytes=412_000_000),
        _service.StoredSize(part="crops", files=41_556, bytes=3_650_000_000),
        _service.StoredSize(part="staging", files=0, bytes=0),
        _service.StoredSize(part="facesets", files=9_120, bytes=1_270_000_000),
        _service.StoredSize(part="other", files=3, bytes=2_048),
    ),
    data_free_bytes=412_300_000_000,
    export_free_bytes=412_300_000_000,
    measured_at=_THEN,
)
JOBS = _service.JobsAnswer(
    jobs=(
        _service.Job(
            id=41,
            kind="incremental",
            sources=("anna",),
            started_at=_THEN,
            ended_at=_THEN,
            outcome="done",
            message="",
            counts={"faces": 21},
        ),
    )
)
