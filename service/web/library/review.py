"""The review queue as the API shows it."""

from typing import Annotated

import msgspec

from immich_facesets.review.answers import Answer
from immich_facesets.review.items import Kind, Reason
from service.web.library.faces import Face
from service.web.library.identities import PageQuery


class ReviewQuery(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which questions are wanted."""

    kind: Annotated[Kind | None, msgspec.Meta(description="of this kind alone")] = None


class EvidenceFace(msgspec.Struct, frozen=True, kw_only=True):
    """A face to compare. ``age``: in completed years, if the person is the identity that it is shown for; None: not known."""

    face: Face
    age: int | None


class ReviewedIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """
    An identity that a question is about, with a few clear faces of it.

    ``faces``: how many it has. ``first_date`` and ``last_date`` are those of its pictures. The ``evidence`` of two
    identities is of the same years where both have faces of them; of a question about a face it is of about its year.
    """

    number: int
    label: str | None
    faces: int
    birth_date: str | None
    first_date: str | None
    last_date: str | None
    evidence: tuple[EvidenceFace, ...]


class ReviewedPart(msgspec.Struct, frozen=True, kw_only=True):
    """
    The faces that an answer moves, or the other faces of a picture: ``faces`` tells how many, ``evidence`` shows a few.

    Ages are those of the first of the question's identities.
    """

    faces: int
    evidence: tuple[EvidenceFace, ...]


class ReviewedReference(msgspec.Struct, frozen=True, kw_only=True):
    """The reference picture that a question is about. ``display``: the address of the square around the face."""

    id: int
    display: str


class ReviewItem(msgspec.Struct, frozen=True, kw_only=True):
    """
    One question, with the requests that each answer amounts to; they are for ``POST /api/decisions``.

    ``parts``: of a question whether some faces are another person, or a new one; a mixed identity has one for each further
    person. ``face``: of a question about one face; its ages are those that it would have as each of ``identities``. ``reference``:
    of a question about a reference picture.
    ``probability``: that something is wrong now. ``settles``: how many faces an answer puts right. ``benefit``: their
    product, less for what is never exported. ``comes_last``: a person put off what it is about.
    """

    id: int
    kind: Kind
    reason: Reason
    question: str
    probability: float
    benefit: float
    settles: int
    is_exported: bool
    comes_last: bool
    identities: tuple[ReviewedIdentity, ...]
    parts: tuple[ReviewedPart, ...]
    face: Face | None
    ages: tuple[int | None, ...]
    reference: ReviewedReference | None = None
    answers: tuple[Answer, ...]


class ReviewPage(msgspec.Struct, frozen=True, kw_only=True):
    """
    A page of the queue, the most beneficial question first. ``total`` counts all of the kind.

    ``guardrails``: what looks wrong with the distances of the whole library, and which setting to change; no decision
    settles that.
    """

    items: tuple[ReviewItem, ...]
    total: int
    guardrails: tuple[str, ...] = ()
    next: str | None = None
