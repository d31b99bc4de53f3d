"""
The database tables: facts about pictures, data derived from them, and moderators' decisions.

Everything but ``decisions`` can be computed again from the sources; decisions are append-only and irreplaceable.
Instants are aware UTC; digests are lower-case hex.
"""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    false,
)


class Instant(TypeDecorator[datetime]):
    """An aware UTC datetime on every database (SQLite does not store the zone)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        del dialect
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("an instant needs a time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        del dialect
        if value is None:
            return None
        moment: datetime = value
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

RowId = BigInteger().with_variant(Integer, "sqlite")

sources = Table(
    "sources",
    metadata,
    Column("name", String(200), primary_key=True),
    Column("kind", String(20), nullable=False),
    Column("user_id", String(200), nullable=False),
    Column("watermark", Instant),  # the newest change seen by a finished listing
    Column("full_listing_at", Instant),  # when the last whole listing ended
    Column("faces_asked_at", Instant),  # since when all faces are being read again; None: no such reading is open
    Column("root", Text),  # of a folder
    Column("mode", String(20)),  # mixed | trusted | removed; None: as configured
    Column("follow_links", Boolean, nullable=False, default=False, server_default=false()),  # out of a folder
    Column("videos", Integer),  # at the last whole listing; None: unknown
    Column("motion_photos", Integer),  # the same: pictures with a moving part
)

assets = Table(
    "assets",
    metadata,
    Column("source", String(200), ForeignKey("sources.name"), primary_key=True),
    Column("asset_id", String(1000), primary_key=True),  # Immich's id, or the path below a folder's root
    Column("checksum", String(40)),
    Column("fingerprint", String(120), nullable=False),
    Column("rendition", String(20), nullable=False),
    Column("path", Text, nullable=False),
    Column("file_name", Text, nullable=False),
    Column("mime_type", String(100), nullable=False),
    Column("taken_at", Instant, nullable=False),
    Column("local_date", String(40), nullable=False),
    Column("date_kind", String(10), nullable=False),  # camera | metadata | file | impossible: what the dates are worth
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("width", Integer),
    Column("height", Integer),
    Column("visibility", String(20), nullable=False),
    Column("is_external", Boolean, nullable=False),
    Column("is_edited", Boolean, nullable=False),
    Column("is_offline", Boolean, nullable=False),
    Column("is_wanted", Boolean, nullable=False),  # has a face worth fetching (plan_page)
    Column("is_gone", Boolean, nullable=False, default=False),  # deleted at the source, confirmed by id
    Column("hints_read_at", Instant),  # None: never
    Column("hints_due_at", Instant),  # when to look again; None: nothing due before the next whole listing
    Column("hint_looks", Integer, nullable=False, default=0),
    Column("listing_seen", Integer, nullable=False, default=0),  # sync run of the last listing that contained it
    Column("stamp", String(80)),  # size and times of a file when it was last read; None elsewhere
    # The bytes that it last showed, a content's sha256. After a change it stays until the new bytes are embedded.
    Column("content", String(64)),
    Index("ix_assets_fingerprint", "fingerprint"),
    Index("ix_assets_content", "content"),
    Index("ix_assets_due", "source", "hints_due_at"),
    Index("ix_assets_listing", "source", "listing_seen"),
)

hints = Table(
    "hints",
    metadata,
    Column("source", String(200), primary_key=True),
    Column("asset_id", String(1000), primary_key=True),
    Column("face_id", String(200), primary_key=True),
    Column("person_id", String(200)),
    Column("x1", Float, nullable=False),
    Column("y1", Float, nullable=False),
    Column("x2", Float, nullable=False),
    Column("y2", Float, nullable=False),
    Column("image_width", Integer, nullable=False),
    Column("image_height", Integer, nullable=False),
    Index("ix_hints_person", "source", "person_id"),
)

# Faces that an owner took from a person by hand: moved to another, or deleted. A user's word, kept until it is undone.
moved_faces = Table(
    "moved_faces",
    metadata,
    Column("move_id", RowId, primary_key=True, autoincrement=True),
    Column("source", String(200), nullable=False),
    Column("asset_id", String(1000), nullable=False),
    Column("x1", Float, nullable=False),  # in shares of the upright picture's width and height
    Column("y1", Float, nullable=False),
    Column("x2", Float, nullable=False),
    Column("y2", Float, nullable=False),
    Column("taken_from", String(200), nullable=False),  # the person before
    Column("given_to", String(200)),  # the person then; None where the face was deleted
    Index("ix_moved_faces_place", "source", "asset_id"),
    sqlite_autoincrement=True,
)

people = Table(
    "people",
    metadata,
    Column("source", String(200), primary_key=True),
    Column("person_id", String(200), primary_key=True),
    Column("name", Text, nullable=False),
    Column("birth_date", String(10)),
    Column("is_hidden", Boolean, nullable=False),
    Column("identity", Integer, ForeignKey("identities.number")),
    Column(
        "is_gone", Boolean, nullable=False, default=False, server_default=false()
    ),  # confirmed by id; kept for a return
)

# Every birth date that an account ever stated of a person; nothing is deleted here when the person is not listed.
births = Table(
    "births",
    metadata,
    Column("source", String(200), primary_key=True),
    Column("account", String(200), primary_key=True),  # the user at the source when it was stated
    Column("person_id", String(200), primary_key=True),
    Column("birth_date", String(10), primary_key=True),
    Column("is_last", Boolean, nullable=False),  # the account stated no other since
)

# The identities to which a person was ever attached.
past_links = Table(
    "past_links",
    metadata,
    Column("source", String(200), primary_key=True),
    Column("person_id", String(200), primary_key=True),
    Column("identity", Integer, ForeignKey("identities.number"), primary_key=True),
)

# The faces that a source once gave to a person and does not give to that person any more; columns as in ``hints``.
past_hints = Table(
    "past_hints",
    metadata,
    Column("source", String(200), primary_key=True),
    Column("asset_id", String(1000), primary_key=True),
    Column("face_id", String(200), primary_key=True),
    Column("person_id", String(200), primary_key=True),
    Column("x1", Float, nullable=False),
    Column("y1", Float, nullable=False),
    Column("x2", Float, nullable=False),
    Column("y2", Float, nullable=False),
    Column("image_width", Integer, nullable=False),
    Column("image_height", Integer, nullable=False),
)

# Where a source gave a face to a person with a birth date, in upright original pixels: a source that was removed, or an
# asset that shows other bytes now.
past_places = Table(
    "past_places",
    metadata,
    Column("source", String(200), primary_key=True),
    Column("person_id", String(200), primary_key=True),
    Column("sha256", String(64), primary_key=True),  # no foreign key: the content may return later
    Column("x1", Float, primary_key=True),
    Column("y1", Float, primary_key=True),
    Column("x2", Float, primary_key=True),
    Column("y2", Float, primary_key=True),
)

# The identities that resembled a minor when pictures of the minor went: with these go the faces to compare.
past_likenesses = Table(
    "past_likenesses",
    metadata,
    Column("source", String(200), primary_key=True),
    Column("person_id", String(200), primary_key=True),
    Column("identity", Integer, ForeignKey("identities.number"), primary_key=True),
)

# The dates that removed sources stated of pictures of known people, where they say when a picture was taken.
past_dates = Table(
    "past_dates",
    metadata,
    Column("source", String(200), primary_key=True),
    Column("sha256", String(64), primary_key=True),
    Column("local_date", String(40), primary_key=True),
)

contents = Table(
    "contents",
    metadata,
    Column("sha256", String(64), primary_key=True),
    Column("sha1", String(40), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("width", Integer, nullable=False),  # upright
    Column("height", Integer, nullable=False),
    Column("orientation", Integer),  # EXIF, 1 to 8: from the stored picture to the upright one; None: not known
    Column("phash", String(16)),  # 64-bit perceptual hash of the upright picture, hex; None: not known
)

# The content of each fingerprint. Several fingerprints may lead to one content.
fingerprints = Table(
    "fingerprints",
    metadata,
    Column("fingerprint", String(120), primary_key=True),
    Column("sha256", String(64), ForeignKey("contents.sha256"), nullable=False, index=True),
)

# The contents that are done in each space. ``detection`` is the mode; empty or "unknown": to be
# searched again. A crop is at most ``crop_size`` pixels wide, with
# ``crop_padding`` of the box around it; ``crop_short`` is the smallest face (short edge, pixels) that got one.
embeddings = Table(
    "embeddings",
    metadata,
    Column("sha256", String(64), ForeignKey("contents.sha256"), primary_key=True),
    Column("space", String(64), primary_key=True),
    Column("crop_short", Float, nullable=False),
    Column("embedded_at", Instant, nullable=False),
    Column("detection", String(20), nullable=False),
    Column("crop_size", Integer, nullable=False),
    Column("crop_padding", Float, nullable=False),
    Column("asked", JSON(none_as_null=True)),  # the boxes of a guided search, [x1, y1, x2, y2]; None: looked at whole
)

faces = Table(
    "faces",
    metadata,
    Column("face_id", RowId, primary_key=True, autoincrement=True),
    Column("sha256", String(64), ForeignKey("contents.sha256"), nullable=False),
    Column("space", String(64), nullable=False),
    Column("x1", Float, nullable=False),
    Column("y1", Float, nullable=False),
    Column("x2", Float, nullable=False),
    Column("y2", Float, nullable=False),
    Column("landmarks", JSON, nullable=False),  # 5 x [x, y]
    Column("det_score", Float, nullable=False),
    Column("blur", Float, nullable=False),
    Column("blur_size", Integer, nullable=False),
    Column("brightness", Float, nullable=False),
    Column("contrast", Float, nullable=False),
    Column("yaw", Float, nullable=False),
    Column("pitch", Float, nullable=False),
    Column("roll", Float, nullable=False),
    Column("quality", Float),  # in [0, 1], of a model of face quality; None where the embedder has none
    UniqueConstraint("space", "sha256", "x1", "y1", "x2", "y2", name="uq_faces_place"),
    Index("ix_faces_sha256", "sha256"),
    sqlite_autoincrement=True,
)

vectors = Table(
    "vectors",
    metadata,
    Column("face_id", RowId, ForeignKey("faces.face_id", ondelete="CASCADE"), primary_key=True),
    Column("vector", LargeBinary, nullable=False),  # float32, little-endian, unit length
)

# The square crop around a face, kept as a file in the data folder so that no picture is fetched twice.
crops = Table(
    "crops",
    metadata,
    Column("face_id", RowId, ForeignKey("faces.face_id", ondelete="CASCADE"), primary_key=True),
    Column("file", Text, nullable=False),  # relative to <data>/crops
    Column("x1", Float, nullable=False),  # the square it shows, in upright original pixels
    Column("y1", Float, nullable=False),
    Column("x2", Float, nullable=False),
    Column("y2", Float, nullable=False),
    Column("phash", String(16)),  # 64-bit perceptual hash of the aligned face, hex; computed when first published
    Column("check_key", String(64)),  # what the facts below depend on: space, crop settings
    Column("seen", LargeBinary),  # the faces in the finished crop, as ``CropFacts`` encodes them
    Column("verdict", String(20)),  # written before 0009, for one identity and threshold: ok, none, second, far
    Column("painted", JSON),  # as old: boxes [x1, y1, x2, y2] in the finished crop, painted over so that it passed
)

# The pictures of faces in forms of another framing than the crop's, cut from the originals. The others are the boxes of the
# faces that the detector saw in one beside its own.
cuts = Table(
    "cuts",
    metadata,
    Column("face_id", RowId, ForeignKey("faces.face_id", ondelete="CASCADE"), primary_key=True),
    Column("framing", String(20), primary_key=True),
    Column("planned", String(64), nullable=False),  # the area that was to be cut
    Column("pixels", Integer, nullable=False),  # of the side of a square, of which the file has no more pixels
    Column("file", Text, nullable=False),  # relative to <data>/crops
    Column("x1", Float, nullable=False),  # the part that it shows, in upright original pixels
    Column("y1", Float, nullable=False),
    Column("x2", Float, nullable=False),
    Column("y2", Float, nullable=False),
    Column("width", Integer, nullable=False),  # of the file
    Column("height", Integer, nullable=False),
    Column("check_key", String(64), nullable=False),  # what the others depend on: the detectors
    Column("others", JSON, nullable=False),  # [x1, y1, x2, y2] in upright original pixels
)

# The results of further models for the crop of a face that may be exported, as points in upright original pixels. One
# row for each set of models, named in ``models``; all empty when the face was not found again in its crop.
enrichments = Table(
    "enrichments",
    metadata,
    Column("face_id", RowId, ForeignKey("faces.face_id", ondelete="CASCADE"), primary_key=True),
    Column("models", String(64), nullable=False),
    Column("landmarks_106", LargeBinary),  # (106, 2) float32, little-endian
    Column("landmarks_68", LargeBinary),  # (68, 3) float32, little-endian
    Column("yaw", Float),  # degrees, signs as in faces
    Column("pitch", Float),
    Column("roll", Float),
)

identities = Table(
    "identities",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("origin", String(20), nullable=False),  # asserted | discovered
    Column("label", Text),
    Column("named_by_source", String(200)),  # the person of a source whose name is shown
    Column("named_by_person", String(200)),
    Column("is_locked", Boolean, nullable=False, default=False),
    Column("never_export", Boolean, nullable=False, default=False),
    Column("profiles_off", JSON, nullable=False, default=list, server_default="[]"),  # names: not written for it
    Column("is_stranger", Boolean, nullable=False, default=False, server_default=false()),  # ignored for good
    Column("merged_into", Integer),  # the number that a moderator merged it into; chains are resolved
    Column("cover", JSON(none_as_null=True)),  # {"sha256": ..., "box": ...} of the face that a moderator chose
    Column("created_at", Instant, nullable=False),
)

memberships = Table(
    "memberships",
    metadata,
    Column("face_id", RowId, ForeignKey("faces.face_id", ondelete="CASCADE"), primary_key=True),
    Column("identity", Integer, ForeignKey("identities.number"), nullable=False, index=True),
    Column("distance", Float, nullable=False),  # to the centroid when it joined
    Column("how", String(20), nullable=False),  # asserted | discovered | matched | decided
    Column("confidence", Float),  # in [0, 1], that the face is this person's; None where a user decided it
)

# The memberships of faces that are not there now: their picture is gone, or not yet embedded in the space in use. A face
# found again at this place of this content gets its identity back. Faces whose identity was dissolved are kept here too:
# they are members of nothing, but an identity that they found has the number again.
former_members = Table(
    "former_members",
    metadata,
    Column("sha256", String(64), primary_key=True),  # no foreign key: the content may be gone
    Column("x1", Float, primary_key=True),
    Column("y1", Float, primary_key=True),
    Column("x2", Float, primary_key=True),
    Column("y2", Float, primary_key=True),
    Column("identity", Integer, ForeignKey("identities.number"), nullable=False),
    Column("how", String(20), nullable=False),
    Column("is_dissolved", Boolean, nullable=False, server_default=false()),
)

# The named periods of an identity's life. A name stays with its faces; it is not given to other faces.
eras = Table(
    "eras",
    metadata,
    Column("identity", Integer, ForeignKey("identities.number", ondelete="CASCADE"), primary_key=True),
    Column("name", String(200), primary_key=True),
    Column("kind", String(20), nullable=False),  # years | ages
    Column("from_year", Integer),  # the years as found; None: no face is dated
    Column("main_year", Integer),
    Column("to_year", Integer),
    Column("made_at", Instant, nullable=False),
)

# The faces in each era. A row of a face that left the identity is inactive until the face returns.
era_faces = Table(
    "era_faces",
    metadata,
    Column("face_id", RowId, ForeignKey("faces.face_id", ondelete="CASCADE"), primary_key=True),
    Column("identity", Integer, primary_key=True),
    Column("name", String(200), nullable=False),
    Column("is_founder", Boolean, nullable=False),  # one of the faces that the era was created from
    Column("confidence", Float),  # in [0, 1], of an undated face; None for a dated one
    ForeignKeyConstraint(["identity", "name"], ["eras.identity", "eras.name"], ondelete="CASCADE"),
    Index("ix_era_faces_era", "identity", "name"),
)

# The basis of the last computation of an identity's eras: while it is unchanged, there is nothing to compute.
era_looks = Table(
    "era_looks",
    metadata,
    Column("identity", Integer, ForeignKey("identities.number", ondelete="CASCADE"), primary_key=True),
    Column("basis", String(300), nullable=False),  # by years, or by which ages since which birthday
    Column("digest", String(64), nullable=False),
)

decisions = Table(
    "decisions",
    metadata,
    Column("decision_id", RowId, primary_key=True, autoincrement=True),
    Column("kind", String(20), nullable=False),
    Column("body", JSON, nullable=False),  # refers to content hash + box, never to row ids
    Column("made_by", String(200), nullable=False),
    Column("made_at", Instant, nullable=False),
    Column("uid", String(40)),  # the same in every installation
    Column("batch", String(40)),  # the uid of the first decision of those that were made in one step
    Column("made_from", String(20), nullable=False, server_default="command"),  # page | api | command | import
    Column("reason", Text, nullable=False, server_default=""),  # free text
    # The identities that it mentions, with their faces and people at that time; None in rows before 0022.
    Column("members", JSON(none_as_null=True)),
    Index("ix_decisions_uid", "uid", unique=True),
    sqlite_autoincrement=True,
)

# Pictures of people that are in no library. A decision says whom each shows; one without is asked about in reviews. Files
# are relative to <data>/references.
reference_pictures = Table(
    "reference_pictures",
    metadata,
    Column("reference_id", RowId, primary_key=True, autoincrement=True),
    Column("digest", String(64), nullable=False),  # the SHA-256 of the display file
    Column("sha256", String(64), nullable=False),  # of the picture that was sent
    Column("x1", Float, nullable=False),  # the face, in upright pixels of that picture
    Column("y1", Float, nullable=False),
    Column("x2", Float, nullable=False),
    Column("y2", Float, nullable=False),
    Column("area_x1", Float, nullable=False),  # the square that the display file shows, in the same pixels
    Column("area_y1", Float, nullable=False),
    Column("area_x2", Float, nullable=False),
    Column("area_y2", Float, nullable=False),
    Column("sent_for", Integer, nullable=False),  # the identity that the sender named
    Column("rival", Integer),  # the identity that it resembled as well when it was sent
    Column("display", Text, nullable=False),
    Column("aligned", Text),  # None until it is embedded
    Column("original", Text),  # None unless it was to be kept
    Column("made_at", Instant, nullable=False),
    Index("ix_reference_pictures_digest", "digest", unique=True),
    sqlite_autoincrement=True,
)

# The vectors and measures of the faces in reference pictures, of each space.
reference_vectors = Table(
    "reference_vectors",
    metadata,
    Column("reference_id", RowId, ForeignKey("reference_pictures.reference_id", ondelete="CASCADE"), primary_key=True),
    Column("space", String(64), primary_key=True),
    Column("vector", LargeBinary, nullable=False),  # float32, little-endian, unit length
    Column("det_score", Float, nullable=False),
    Column("blur", Float, nullable=False),
    Column("brightness", Float, nullable=False),
    Column("contrast", Float, nullable=False),
    Column("yaw", Float, nullable=False),
    Column("quality", Float),
)

# The review queue: what a person should look at. It is computed anew by every grouping; answered items leave at once.
review_items = Table(
    "review_items",
    metadata,
    Column("item_id", RowId, primary_key=True, autoincrement=True),
    Column("key", String(80), nullable=False),  # what it is about
    Column("kind", String(20), nullable=False),
    Column("reason", String(30), nullable=False),
    Column("identity", Integer),
    Column("other", Integer),
    Column("face_id", RowId, ForeignKey("faces.face_id", ondelete="CASCADE")),  # of a question about one face
    Column("reference_id", RowId),  # of a question about a reference picture
    Column("part", JSON, nullable=False),  # ids of the faces that an answer moves, and that are not the one above
    Column("sizes", JSON, nullable=False),  # how many faces each of the identities has
    Column("probability", Float, nullable=False),  # in [0, 1], that something is wrong
    Column("settles", Integer, nullable=False),  # how many faces an answer puts right
    Column("is_exported", Boolean, nullable=False),
    Column("benefit", Float, nullable=False),  # the order of the queue
    Column("comes_last", Boolean, nullable=False),  # a moderator put off what it is about
    Column("basis", BigInteger, nullable=False),  # changes with the faces and dates that the evidence was chosen from
    Column("evidence", JSON, nullable=False),  # for each identity the ids of a few faces
    Index("ix_review_items_key", "key", unique=True),
    Index("ix_review_items_identity", "identity"),
    Index("ix_review_items_other", "other"),
    Index("ix_review_items_face_id", "face_id"),
    sqlite_autoincrement=True,
)

# The decisions to forget a person, each with the salt of its digests. ``ended_at`` is None while anything is to be erased
# outside of these tables: files, exports, and what the database keeps of deleted rows.
erasures = Table(
    "erasures",
    metadata,
    Column("decision_id", RowId, ForeignKey("decisions.decision_id"), primary_key=True, autoincrement=False),
    Column("salt", String(64), nullable=False),
    Column("begun_at", Instant, nullable=False),
    Column("ended_at", Instant),
)

# The places of forgotten faces: a salted digest of the SHA-256 of the picture, and a box in upright original pixels.
forgotten_faces = Table(
    "forgotten_faces",
    metadata,
    Column("place_id", RowId, primary_key=True, autoincrement=True),
    Column("decision_id", RowId, ForeignKey("erasures.decision_id"), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("x1", Float, nullable=False),
    Column("y1", Float, nullable=False),
    Column("x2", Float, nullable=False),
    Column("y2", Float, nullable=False),
    Index("ix_forgotten_faces_digest", "digest"),
)

# Salted digests of what names forgotten people elsewhere: people of sources, and faces that were sorted with another tool.
forgotten_marks = Table(
    "forgotten_marks",
    metadata,
    Column("decision_id", RowId, ForeignKey("erasures.decision_id"), primary_key=True),
    Column("digest", String(64), primary_key=True),
    Index("ix_forgotten_marks_digest", "digest"),
)

# The pictures of which crops may be left in files, until they are erased. They have other people's faces, too.
erased_pictures = Table("erased_pictures", metadata, Column("sha256", String(64), primary_key=True))

# The faces that a user sorted with another tool, as that tool named them. Their people are in ``people``, under the
# source "", a name that no source can have. They cannot be computed again, but they can be imported again.
imported_faces = Table(
    "imported_faces",
    metadata,
    Column("person_id", String(200), primary_key=True),
    Column("face_key", String(40), primary_key=True),  # a digest of the picture and the box
    Column("sha256", String(64)),  # of the file; None where the other tool kept none
    Column("places", JSON, nullable=False),  # the paths of the picture
    Column("x1", Float),  # the box in upright original pixels; None where the other tool kept none
    Column("y1", Float),
    Column("x2", Float),
    Column("y2", Float),
    Column("era", String(200)),  # the name of the period it was sorted into, such as era_2011; None: none
    Column("from_year", Integer),
    Column("to_year", Integer),
)

# The directories on disk in the export folder.
exports = Table(
    "exports",
    metadata,
    Column("directory", String(300), primary_key=True),
    Column("digest", String(64), nullable=False),  # of everything the files are made of
    Column("entry", JSON, nullable=False),  # the faceset's entry in the top manifest
    Column("written_at", Instant, nullable=False),
)

# Every export ever made or removed: what, when, for which profile, by whom.
# Answers to writes over the API that named a key, until they are old.
kept_answers = Table(
    "kept_answers",
    metadata,
    Column("answer_id", RowId, primary_key=True, autoincrement=True),
    Column("key", String(255), nullable=False),
    Column("digest", String(64), nullable=False),  # of what was asked
    Column("answer", LargeBinary, nullable=False),
    Column("made_at", Instant, nullable=False),
    Index("ix_kept_answers_key", "key", unique=True),
    sqlite_autoincrement=True,
)

export_ledger = Table(
    "export_ledger",
    metadata,
    Column("entry_id", RowId, primary_key=True, autoincrement=True),
    Column("directory", String(300), nullable=False),
    Column("identity", Integer),
    Column("profile", String(40), nullable=False),
    Column("action", String(20), nullable=False),  # written | removed
    Column("faces", Integer, nullable=False),
    Column("made_by", String(200), nullable=False),
    Column("made_at", Instant, nullable=False),
    sqlite_autoincrement=True,
)

sync_runs = Table(
    "sync_runs",
    metadata,
    Column("run_id", Integer, primary_key=True, autoincrement=True),
    Column("kind", String(20), nullable=False),  # incremental | faces | full | export
    Column("sources", JSON, nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("ended_at", Instant),
    Column("outcome", String(20)),  # done | outage | setup | stopped | bug | killed
    Column("message", Text, nullable=False, default=""),
    Column("counts", JSON, nullable=False, default=dict),
    sqlite_autoincrement=True,
)

failures = Table(
    "failures",
    metadata,
    Column("stage", String(20), primary_key=True),
    Column("source", String(200), primary_key=True),
    Column("item", String(1000), primary_key=True),  # asset id, fingerprint, or directory
    Column("reason", String(60), nullable=False),
    Column("message", Text, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("first_at", Instant, nullable=False),
    Column("last_at", Instant, nullable=False),
    Column("retry_at", Instant, nullable=False),
    Index("ix_failures_retry_at", "retry_at"),
)

facts = Table(
    "facts",
    metadata,
    Column("name", String(100), primary_key=True),
    Column("value", JSON, nullable=False),
)
