"""
The part of each table that a user sees, as views that bear the tables' names.

A user sees the pictures of one source, with the faces in them, and of everything else what is about these faces. Every
table has its entry here, and a table without one cannot be read by a user at all.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from immich_facesets.dates import EVIDENCE
from service.store.change_tracking import VERSION_FACTS
from service.store.named_values import THRESHOLDS
from service.store.spaces import SPACE_IN_USE
from service.store.tables import metadata


@dataclass(frozen=True, slots=True)
class Cut:
    """
    The part of a table that a user sees. ``rows``: a condition on ``it``, the row. ``columns``: values instead of its own.

    ``{main}`` is the schema of the tables, ``{temp}`` that of the views, and ``{user}`` the source of the user who reads.
    ``{plain}`` keeps SQLite from the index of sources, which is never the best one.
    """

    rows: str
    columns: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


USER = "(SELECT source FROM {temp}.viewer)"

_OF_SOURCE = "{plain}it.source = {user}"
_OF_CONTENT = (
    "EXISTS (SELECT 1 FROM {main}.assets own"
    " WHERE own.content = it.sha256 AND {plain}own.source = {user} AND NOT own.is_gone)"
)
_OF_FACE = "EXISTS (SELECT 1 FROM {temp}.seen_faces seen WHERE seen.face_id = it.face_id)"
_OF_IDENTITY = "EXISTS (SELECT 1 FROM {temp}.seen_identities seen WHERE seen.number = it.number)"
_WHOLE = "true"
_NONE = "false"

_OWN_NAME = "EXISTS (SELECT 1 FROM {temp}.people own WHERE own.identity = it.number AND own.name <> '')"

_OWN_WORD = """
EXISTS (
  SELECT 1 FROM {main}.faces face JOIN {temp}.assets own ON own.content = face.sha256
  JOIN {main}.hints hint ON hint.source = own.source AND hint.asset_id = own.asset_id
  JOIN {temp}.people person ON person.source = hint.source AND person.person_id = hint.person_id
  WHERE face.face_id = it.face_id AND person.identity = it.identity AND person.name <> ''
)
"""

_OWN_SINCE = """
(
  SELECT CASE WHEN min(found.since) > it.created_at THEN min(found.since) ELSE it.created_at END FROM (
    SELECT CASE WHEN own.created_at > done.embedded_at THEN own.created_at ELSE done.embedded_at END AS since
    FROM {temp}.memberships member JOIN {main}.faces face ON face.face_id = member.face_id
    JOIN {temp}.assets own ON own.content = face.sha256
    JOIN {main}.embeddings done ON done.sha256 = face.sha256 AND done.space = face.space
    WHERE member.identity = it.number
  ) found
)
"""

_ERA_MEMBERS = """
FROM {main}.era_faces placed
JOIN {temp}.memberships member ON member.face_id = placed.face_id AND member.identity = placed.identity
"""
_OF_THE_ERA = "WHERE placed.identity = it.identity AND placed.name = it.name"
_ERA_YEARS = f"""
(
  SELECT {{year}} FROM (
    SELECT earliest.year FROM (
      SELECT CAST(substr(min(own.local_date), 1, 4) AS INTEGER) AS year
      {_ERA_MEMBERS} JOIN {{main}}.faces face ON face.face_id = placed.face_id
      JOIN {{temp}}.assets own ON own.content = face.sha256
      {_OF_THE_ERA} AND own.date_kind IN ({", ".join(f"'{kind}'" for kind in sorted(EVIDENCE))})
      GROUP BY placed.face_id
    ) earliest
    GROUP BY earliest.year ORDER BY count(*) DESC, earliest.year {{end}}
  ) dated
)
"""  # noqa: S608 - constants alone


def _year(which: str, end: str = "") -> str:
    return _ERA_YEARS.replace("{year}", which).replace("{end}", end)


CUTS: Mapping[str, Cut] = {
    "sources": Cut("it.name = {user}"),
    "assets": Cut(f"{_OF_SOURCE} AND NOT it.is_gone"),
    "people": Cut(_OF_SOURCE),
    "births": Cut(_OF_SOURCE),
    "hints": Cut(_OF_SOURCE),
    "failures": Cut(_OF_SOURCE),
    "contents": Cut(_OF_CONTENT),
    "fingerprints": Cut(_OF_CONTENT),
    "embeddings": Cut(_OF_CONTENT, {"asked": "NULL"}),  # boxes of any source
    "faces": Cut(_OF_FACE),
    "vectors": Cut(_OF_FACE),
    "crops": Cut(_OF_FACE),
    "cuts": Cut(_OF_FACE),
    "enrichments": Cut(_OF_FACE),
    # A face that the source of another user gave to a person is one that resembled the others.
    "memberships": Cut(
        _OF_FACE, {"how": f"CASE WHEN it.how = 'asserted' AND NOT {_OWN_WORD} THEN 'matched' ELSE it.how END"}
    ),
    # Labels are a moderator's, and shown. Names of other sources, and since when they have a person, are not.
    "identities": Cut(
        _OF_IDENTITY,
        {
            "origin": f"CASE WHEN it.origin = 'asserted' AND NOT {_OWN_NAME} THEN 'discovered' ELSE it.origin END",
            "named_by_source": "CASE WHEN it.named_by_source = {user} THEN it.named_by_source END",
            "named_by_person": "CASE WHEN it.named_by_source = {user} THEN it.named_by_person END",
            "merged_into": "NULL",
            "cover": "NULL",
            "created_at": _OWN_SINCE,
        },
    ),
    "era_faces": Cut(_OF_FACE),
    "eras": Cut(
        f"EXISTS (SELECT 1 {_ERA_MEMBERS} {_OF_THE_ERA})",
        {
            "from_year": _year("min(dated.year)"),
            "main_year": _year("dated.year", "LIMIT 1"),
            "to_year": _year("max(dated.year)"),
        },
    ),
    # Their effect on identities is needed, and never shown as a decision.
    "decisions": Cut(_WHOLE, {"made_by": "''", "reason": "''", "uid": "NULL", "batch": "NULL", "members": "NULL"}),
    "facts": Cut(f"it.name IN {(SPACE_IN_USE, THRESHOLDS, *VERSION_FACTS)}"),
    **dict.fromkeys(
        (
            "era_looks",
            "erased_pictures",
            "erasures",
            "export_ledger",
            "exports",
            "forgotten_faces",
            "forgotten_marks",
            "former_members",
            "imported_faces",
            "kept_answers",
            "moved_faces",
            "past_dates",
            "past_hints",
            "past_likenesses",
            "past_links",
            "past_places",
            "reference_pictures",
            "reference_vectors",
            "review_items",
            "sync_runs",
        ),
        Cut(_NONE),
    ),
}
"""The cut of each table, in an order in which a view stands behind those that it reads."""


def statements(*, main: str, temp: str, plain: str) -> Iterator[str]:
    """Yield the statements that make the views; ``viewer``, ``seen_faces`` and ``seen_identities`` are there."""
    names = {"main": main, "temp": temp, "plain": plain, "user": USER.format(temp=temp)}
    for name, cut in CUTS.items():
        values = (
            f'{cut.columns.get(column.name, _same(column.name))} AS "{column.name}"'
            for column in metadata.tables[name].columns
        )
        rows = f'SELECT {", ".join(values)} FROM {{main}}."{name}" it WHERE {cut.rows}'  # noqa: S608 - constants alone
        yield f'CREATE TEMPORARY VIEW "{name}" AS {rows.format(**names)}'


def _same(column: str) -> str:
    return f'it."{column}"'
