"""A small library in a real store, grouped as a sync does it, for decisions to be made about it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from builders import INFO, NOON, RECIPE, asset, content, face_answer, hint, plans, unit_like
from msgspec.structs import replace
from sqlalchemy import Connection, select

from immich_facesets.assets import Person
from immich_facesets.faces import Box
from immich_facesets.grouping.plan import GroupingPlan, GroupingRules, plan_grouping
from immich_facesets.grouping.references import with_references, without_references
from immich_facesets.moderation.decisions import FaceRef
from immich_facesets.moderation.records import Author, Record, from_lines, to_lines
from immich_facesets.moderation.requests import NewPerson, Request
from immich_facesets.spaces import OperatingPoints
from immich_facesets.wire import FaceAnswer
from service.store import (
    assets,
    contents,
    decision_imports,
    decisions,
    face_tables,
    former_members,
    identities,
    moderation,
    reference_pictures,
    references,
    runs,
    sources,
    spaces,
)
from service.store import tables as t
from service.store.database import Store
from service.store.moderation import MadeDecisions
from service.store.reference_pictures import KeptPicture
from service.store.references import AddedReference, SentReference

BY = Author("anna", "command", "a reason")
SIDE = Box(600, 100, 800, 300)
RULES = GroupingRules(min_faces=3)


@dataclass
class Moderated:
    """
    A store with pictures of invented people.

    ``pictures``: who is on each picture, by name; one person alone, or two side by side. ``given``: the pictures that
    the owner gave to a person in Immich, by name. ``sent``: who is on each reference picture, by its digest.
    """

    store: Store
    pictures: dict[str, tuple[int, ...]] = field(default_factory=dict)
    made: int = 0
    sent: dict[str, int] = field(default_factory=dict)

    def add(self, *who: int, count: int = 1, given: str | None = None) -> list[str]:
        """Add pictures of these people, embedded; return their names."""
        self.store.write_now(sources.remember_source, "anna", "immich", "user-1")
        names = []
        for _ in range(count):
            names.append(f"p{len(self.pictures)}")
            self.place(names[-1], who, given)
            self.pictures[names[-1]] = who
        return names

    def place(self, name: str, who: Sequence[int], given: str | None = None) -> None:
        """Put one picture into the store."""
        item = asset(name, checksum=f"{int(name[1:]) + 1:040x}", hints=(hint(person_id=given),))
        self.store.write_now(assets.remember_page, plans(item), run_id=1)
        found = [
            replace(face_answer(box=box), embedding=unit_like(person, int(name[1:]) * 2 + place))
            for place, (person, box) in enumerate(zip(who, (Box(100, 100, 300, 300), SIDE), strict=False))
        ]
        self.store.write_now(contents.record_content, content(item, *found, sha256=f"{int(name[1:]) + 1:064x}"), NOON)

    def name_people(self, **names: str) -> None:
        known = [Person(person, name, None, is_hidden=False) for person, name in names.items()]
        self.store.write_now(sources.remember_people, "anna", known)

    def plan(self) -> GroupingPlan:
        """The plan of a grouping of all faces."""
        read, space = self.store.read_now, RECIPE.space
        shown = read(reference_pictures.reference_faces, space, INFO.dimension)
        decided = read(decisions.constraints_now, space)
        owners, known = shown.owners(decided), read(identities.all_known)
        faces, placed = with_references(read(face_tables.face_table, space, INFO.dimension), shown, decided)
        plan = plan_grouping(
            faces,
            memberships={**read(identities.all_memberships), **shown.members(decided, known)},
            known=known,
            assertions=read(identities.assertions, space),
            constraints=placed,
            thresholds=OperatingPoints(),
            rules=RULES,
            next_number=read(runs.highest_number) + 1,
            carried=read(former_members.returned_members, space),
            incomplete=read(former_members.incomplete_identities, space),
            dissolved=read(former_members.dissolved_members, space),
        )
        return without_references(plan, len(owners))

    def group(self) -> GroupingPlan:
        plan = self.plan()
        if self.store.read_now(spaces.active_space) is None:
            self.store.write_now(spaces.use_space, RECIPE.space, plan, NOON)
        else:
            self.store.write_now(identities.apply_grouping, plan, NOON)
        return plan

    def decide(self, *requests: Request, by: Author = BY) -> MadeDecisions:
        self.made += 1
        return self.store.write_now(moderation.decide, requests, by, NOON + timedelta(minutes=self.made))

    def refer(self, who: int, person: int | NewPerson, rival: int | None = None) -> AddedReference:
        """Add a reference picture of one of these people, sent for an identity or for a new person."""
        self.made += 1
        digest = f"{len(self.sent) + 1:02x}" * 32
        self.sent[digest] = who
        kept = KeptPicture(digest, FaceRef(digest, Box(10, 10, 200, 200)), Box(0, 0, 300, 300), f"{digest}.jpg")
        sent = SentReference(kept, RECIPE.space, self.looked_at(digest), rival)
        now = NOON + timedelta(minutes=self.made)
        done = self.store.write_now(references.add_reference, sent, person, BY, now)
        assert done is not None
        return done

    def looked_at(self, digest: str) -> FaceAnswer:
        """The face of a reference picture, as an embedder sees it."""
        return replace(face_answer(), embedding=unit_like(self.sent[digest], 1_000 + int(digest[:2], 16)))

    def moved(self, store: Store) -> "Moderated":
        """The same pictures and decisions in another store, in another order, as a backup of decisions brings them."""
        other = Moderated(store, dict(self.pictures), sent=self.sent)
        other.store.write_now(sources.remember_source, "anna", "immich", "user-1")
        for name in sorted(self.pictures, key=lambda name: name[::-1]):
            other.place(name, self.pictures[name])
        lines = from_lines(b"".join(to_lines(self.records())))
        carried = {one.digest: one for one in self.store.read_now(reference_pictures.all_pictures)}
        other.store.write_now(decision_imports.import_decisions, lines, NOON, carried)
        for number, kept in other.store.read_now(reference_pictures.waiting_pictures, RECIPE.space):
            answer = self.looked_at(kept.digest)
            other.store.write_now(reference_pictures.record_vector, number, RECIPE.space, answer, None)
        other.group()
        return other

    def records(self) -> list[Record]:
        return self.store.read_now(decisions.all_records)

    def face(self, name: str, place: int = 0) -> int:
        """The id of a face of a picture."""
        return self.store.read_now(_faces_of, f"{int(name[1:]) + 1:064x}")[place]

    def number(self, name: str, place: int = 0) -> int | None:
        """The identity of a face of a picture."""
        return self.store.read_now(identities.all_memberships).get(self.face(name, place))

    def members(self) -> dict[tuple[str, int], int]:
        """The identity of each member, by picture and place in it."""
        now = self.store.read_now(identities.all_memberships)
        ids = {
            (name, place): self.face(name, place) for name, who in self.pictures.items() for place in range(len(who))
        }
        return {key: now[face] for key, face in ids.items() if face in now}

    def parts(self) -> set[frozenset[tuple[str, int]]]:
        """The identities as sets of faces, whatever their numbers."""
        members = self.members()
        return {frozenset(key for key, to in members.items() if to == number) for number in members.values()}

    def state(self) -> dict[str, object]:
        """Everything that decisions set."""
        decided = self.store.read_now(decisions.constraints_now, RECIPE.space)
        return {"members": self.members(), "references": decided.references, **self.store.read_now(_settings)}


def _faces_of(tx: Connection, sha256: str) -> list[int]:
    return list(tx.scalars(select(t.faces.c.face_id).where(t.faces.c.sha256 == sha256).order_by(t.faces.c.x1)))


def _settings(tx: Connection) -> dict[str, object]:
    names = ("label", "is_locked", "never_export", "profiles_off", "is_stranger", "merged_into", "cover")
    rows = tx.execute(select(t.identities).order_by(t.identities.c.number))
    attached = tx.execute(select(t.people).where(t.people.c.identity.is_not(None)))
    return {
        "identities": {row.number: {name: getattr(row, name) for name in names} for row in rows},
        "people": {row.person_id: row.identity for row in attached},
    }
