"""Questions about reference pictures: each resembles another identity as well as the one that it was sent for."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from immich_facesets.review.evidence import Gallery
from immich_facesets.review.items import Item
from immich_facesets.review.probability import ONE_OF_TWO


@dataclass(frozen=True, slots=True)
class OpenReference:
    """A reference picture of nobody yet; ``identities``: for whom it was sent, then whom it resembles as well."""

    reference: int
    identities: tuple[int, ...]


def question_about(one: OpenReference, sizes: tuple[int, ...]) -> Item:
    """Return the question whose a reference picture is; ``sizes``: how many faces each of the identities has."""
    return Item(
        kind="reference",
        reason="between_two",
        identities=one.identities,
        faces=sizes,
        probability=ONE_OF_TWO,
        settles=1,
        reference=one.reference,
    )


def reference_questions(asked: Iterable[OpenReference], gallery: Gallery) -> Iterator[Item]:
    """Yield the questions about reference pictures of nobody."""
    for one in asked:
        yield question_about(one, tuple(map(gallery.size, one.identities)))
