"""Reference pictures of people: added with the decision whose they are, and listed."""

from dataclasses import dataclass
from datetime import datetime

import msgspec
from sqlalchemy import Connection, exists, select

from immich_facesets.errors import RequestError
from immich_facesets.moderation.constraints import Constraints
from immich_facesets.moderation.decisions import numbers_in
from immich_facesets.moderation.effects import Effect
from immich_facesets.moderation.facts import KnownReference, current_number
from immich_facesets.moderation.records import Author
from immich_facesets.moderation.requests import AssignReference, NewPerson, Request
from immich_facesets.wire import FaceAnswer
from service.store.decisions import all_decisions, constraints_now, last_id
from service.store.forgotten import forgotten_in
from service.store.kept_answers import Key, keep_answer, kept_answer
from service.store.moderation import MadeDecisions, decide, preview_decisions
from service.store.reference_pictures import KeptPicture, insert_picture, insert_vector, picture_of
from service.store.review_items import ask_open_references
from service.store.runs import highest_number
from service.store.spaces import active_space
from service.store.tables import identities, reference_pictures, reference_vectors

_NO_ID = 0
"""The id of a picture without a row: rows begin at 1."""

NOTHING_DECIDED = MadeDecisions((), (), Effect())


@dataclass(frozen=True, slots=True)
class SentReference:
    """
    A picture that was sent for a person, with the vector of its face in a space.

    ``rival``: an identity that it resembles as well, so that a person is asked.
    """

    picture: KeptPicture
    space: str
    answer: FaceAnswer
    rival: int | None = None


@dataclass(frozen=True, slots=True)
class StoredReference:
    """
    One picture. ``identity``: for whom it was sent, or whom it shows by decision.

    ``rival``: whom it resembles as well, while a review asks about it (``is_open``). ``is_used``: it counts now.
    """

    reference_id: int
    picture: KeptPicture
    identity: int
    rival: int | None
    is_open: bool
    is_used: bool
    made_at: datetime


class AddedReference(msgspec.Struct, frozen=True):
    """
    The answer to a picture that was sent: its id, for whom it is, and the decisions made with it.

    ``rival``: the identity that it resembles as well: a review asks whose it is, and it is not used before.
    """

    reference: int
    identity: int
    rival: int | None
    done: MadeDecisions


@dataclass(frozen=True, slots=True)
class PreviewedReference:
    """The outcome that a picture would have; ``known``: its id where it is here already, and nothing would change."""

    known: int | None
    identity: int
    rival: int | None
    done: MadeDecisions


def add_reference(
    tx: Connection,
    sent: SentReference,
    person: int | NewPerson,
    author: Author,
    now: datetime,
    *,
    key: Key | None = None,
    after: int | None = None,
) -> AddedReference | None:
    """
    Store a reference picture, and decide that it shows the person unless it has a rival: the commit point of references.

    A picture that is here for this person already is left as it is. None when another decision than the last known one,
    ``after``, was made meanwhile. ``RequestError``: 410 for a forgotten face, 409 for a picture that is of another person.
    """
    if key is not None and (known := added_under(tx, key)) is not None:
        return known
    if after is not None and last_id(tx) != after:
        return None
    _refuse_forgotten(tx, sent)
    done = _known(tx, sent, person) or _added(tx, sent, person, author, now)
    if key is not None:
        keep_answer(tx, key, msgspec.json.encode(done), now)
    return done


def preview_reference(tx: Connection, sent: SentReference, person: int | NewPerson) -> PreviewedReference:
    """Return what ``add_reference`` would do, with its errors; nothing is written."""
    _refuse_forgotten(tx, sent)
    if (known := _known(tx, sent, person)) is not None:
        return PreviewedReference(known.reference, known.identity, known.rival, known.done)
    number = _number_for(tx, person)
    requests = _requests(_NO_ID, number, sent, person)
    facts = {_NO_ID: KnownReference(_NO_ID, sent.picture.digest, sent.picture.face, number)}
    done = preview_decisions(tx, requests, facts) if requests else NOTHING_DECIDED
    return PreviewedReference(None, number, sent.rival, done)


def added_under(tx: Connection, key: Key) -> AddedReference | None:
    """Return what was answered under a key; ``RequestError`` (422) where it was another request."""
    known = kept_answer(tx, key)
    return None if known is None else msgspec.json.decode(known, type=AddedReference)


def references_of(tx: Connection, number: int) -> list[StoredReference]:
    """Return the pictures of an identity, and those sent for it or resembling it that are asked about, by id."""
    has_vector = exists().where(
        reference_vectors.c.reference_id == reference_pictures.c.reference_id,
        reference_vectors.c.space == active_space(tx),
    )
    rows = tx.execute(
        select(reference_pictures, has_vector.label("has_vector")).order_by(reference_pictures.c.reference_id)
    ).all()
    decided, found = constraints_now(tx, "") if rows else Constraints(), []
    for row in rows:
        owner = decided.references.get(row.digest)
        sent_for = decided.current(row.sent_for)
        rival = None if row.rival is None or owner is not None else decided.current(row.rival)
        if number in ({sent_for, rival} if owner is None else {owner}):
            one = StoredReference(
                reference_id=row.reference_id,
                picture=picture_of(row),
                identity=sent_for if owner is None else owner,
                rival=rival,
                is_open=owner is None,
                is_used=owner is not None and bool(row.has_vector),
                made_at=row.made_at,
            )
            found.append(one)
    return found


def _known(tx: Connection, sent: SentReference, person: int | NewPerson) -> AddedReference | None:
    """Return the answer for a picture that is here already; ``RequestError`` (409) where it is another person's."""
    mine = reference_pictures.c.digest == sent.picture.digest
    row = tx.execute(select(reference_pictures).where(mine)).one_or_none()
    if row is None:
        return None
    decided = constraints_now(tx, "")
    owner = decided.references.get(row.digest)
    number = decided.current(row.sent_for) if owner is None else owner
    if isinstance(person, NewPerson) or decided.current(person) != number:
        state = f"sent for person {number}, and the review asks about it" if owner is None else f"of person {number}"
        raise RequestError(f"this face is reference picture {row.reference_id} already: it is {state}")
    return AddedReference(row.reference_id, number, row.rival if owner is None else None, NOTHING_DECIDED)


def _added(
    tx: Connection, sent: SentReference, person: int | NewPerson, author: Author, now: datetime
) -> AddedReference:
    number = _number_for(tx, person)
    reference_id = insert_picture(tx, sent.picture, number, now, rival=sent.rival)
    insert_vector(tx, reference_id, sent.space, sent.answer)
    requests = _requests(reference_id, number, sent, person)
    done = decide(tx, requests, author, now) if requests else NOTHING_DECIDED
    if sent.rival is not None:
        ask_open_references(tx)
    return AddedReference(reference_id, number, sent.rival, done)


def _requests(reference_id: int, number: int, sent: SentReference, person: int | NewPerson) -> list[Request]:
    """Return the requests that go with a picture: for the new person, and whose it is where that is clear."""
    requests: list[Request] = [person] if isinstance(person, NewPerson) else []
    if sent.rival is None:
        requests.append(AssignReference(reference=reference_id, identity=number))
    return requests


def _refuse_forgotten(tx: Connection, sent: SentReference) -> None:
    face = sent.picture.face
    if forgotten_in(tx, face.sha256, [face.box]):
        raise RequestError("the data of this person was erased: this picture of them is not taken in again", status=410)


def _number_for(tx: Connection, person: int | NewPerson) -> int:
    return _next_number(tx) if isinstance(person, NewPerson) else _current(tx, person, constraints_now(tx, ""))


def _next_number(tx: Connection) -> int:
    """Return the number that a new identity gets: one past the highest that was ever used."""
    return (
        max(
            [
                highest_number(tx),
                *(number for _, made in all_decisions(tx, with_eras=False) for number in numbers_in(made)),
            ]
        )
        + 1
    )


def _current(tx: Connection, number: int, decided: Constraints) -> int:
    current = current_number(number, decided)
    if tx.scalar(select(identities.c.number).where(identities.c.number == current)) is None:
        raise RequestError(
            f"there is no identity {number}: give a name instead (--label), and the person gets a number", status=404
        )
    return current
