"""Undo and redo: which decisions go together, and why one cannot be taken back any more."""

from immich_facesets.errors import RequestError
from immich_facesets.moderation.active_decisions import undone_ids
from immich_facesets.moderation.decisions import (
    Decision,
    Eras,
    Erased,
    Forget,
    Merge,
    ReferencePicture,
    Undo,
    faces_in,
    kind_of,
    numbers_in,
)
from immich_facesets.moderation.facts import Facts, some
from immich_facesets.moderation.records import Record


def undo(decision_id: int, facts: Facts) -> tuple[Decision, ...]:
    """Return the undos of a decision and of those made with it, the last first."""
    record = _known(decision_id, facts)
    undone = _undone(facts)
    if isinstance(record.decision, Undo):
        raise RequestError(
            f"decision {decision_id} is itself an undo: 'decisions redo {record.decision.decision}' brings back what it took"
        )
    if decision_id in undone:
        raise RequestError(f"decision {decision_id} is undone already")
    together = _together(record, facts)
    return tuple(Undo(number) for number in reversed(together) if number not in undone)


def redo(decision_id: int, facts: Facts) -> tuple[Decision, ...]:
    """Return the undos of the undos that hold a decision, and those made with it, back."""
    record = _known(decision_id, facts)
    undone = _undone(facts)
    if isinstance(record.decision, Undo):
        raise RequestError(f"decision {decision_id} is an undo: 'decisions redo {record.decision.decision}' reverts it")
    if decision_id not in undone:
        raise RequestError(f"decision {decision_id} is in effect: there is nothing to redo")
    wanted = set(_together(record, facts))
    for one in (facts.records[number].decision for number in wanted):
        if isinstance(one, Merge) and one.into in facts.constraints.forgotten:
            raise RequestError(f"decision {decision_id} is of identity {one.into}, whose data was erased", status=410)
    holding = [
        number
        for number, one in sorted(facts.records.items())
        if isinstance(one.decision, Undo) and one.decision.decision in wanted and number not in undone
    ]
    return tuple(Undo(number) for number in holding)


def without_effect(asked: tuple[Decision, ...], facts: Facts) -> RequestError:
    """Return the reason why an undo, or a redo, would change nothing: later decisions settle the same."""
    targets = [facts.records[one.decision] for one in asked if isinstance(one, Undo)]
    first = min(one.decision_id for one in targets)
    faces = {ref for one in targets for ref in faces_in(_root(one, facts).decision)}
    numbers = {number for one in targets for number in numbers_in(_root(one, facts).decision)}
    undone, is_of_eras = _undone(facts), all(isinstance(_root(one, facts).decision, Eras) for one in targets)
    later = [
        f"{number} ({kind_of(one.decision)})"
        for number, one in sorted(facts.records.items())
        if number > first
        and number not in undone
        and not isinstance(one.decision, Undo)
        and (not is_of_eras or isinstance(one.decision, Eras))
        and (faces.intersection(faces_in(one.decision)) or numbers.intersection(numbers_in(one.decision)))
    ]
    because = (
        f"decision {some(later)} settles the same since: undo that first"
        if later
        else "what it changed is not there now"
    )
    return RequestError(f"this would change nothing any more: {because}")


def _root(record: Record, facts: Facts) -> Record:
    """Return the decision that a chain of undos is about."""
    while isinstance(record.decision, Undo):
        record = facts.records[record.decision.decision]
    return record


def _known(decision_id: int, facts: Facts) -> Record:
    record = facts.records.get(decision_id)
    if record is None:
        raise RequestError(
            f"there is no decision {decision_id}: 'immich-facesets decisions list' lists them", status=404
        )
    if isinstance(record.decision, Forget):
        raise RequestError(f"decision {decision_id} erased data: that cannot be undone", status=410)
    if isinstance(record.decision, ReferencePicture) and not record.decision.is_on:
        raise RequestError(
            f"decision {decision_id} deleted a reference picture: add the picture again instead", status=410
        )
    if isinstance(record.decision, Erased):
        raise RequestError(f"what decision {decision_id} said was erased with the person it was about", status=410)
    return record


def _undone(facts: Facts) -> frozenset[int]:
    return undone_ids({number: one.decision for number, one in facts.records.items()})


def _together(record: Record, facts: Facts) -> list[int]:
    """Return the decisions that were made in one step with this one, ascending."""
    return [
        number
        for number, one in sorted(facts.records.items())
        if one.batch == record.batch and not isinstance(one.decision, Erased)
    ]
