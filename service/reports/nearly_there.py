"""The sentences about people who were nearly found, and about a library in which nobody was."""

from collections.abc import Iterator

from immich_facesets.grouping.nearly_there import NearlyThere, PoorFaces
from immich_facesets.wording import counted
from service.settings import Settings
from service.web.schemas import LibraryCounts


def nearly_there_sentences(
    found: NearlyThere | None, library: LibraryCounts, settings: Settings | None
) -> tuple[str, ...]:
    """Return sentences about people who are nearly there; none before the first grouping, or without such people."""
    if found is None or not library.embedded:
        return ()
    return tuple(_sentences(found, library, settings))


def _sentences(found: NearlyThere, library: LibraryCounts, settings: Settings | None) -> Iterator[str]:
    if library.identities == 0 and library.faces == 0:
        yield f"no face was found in {counted(library.embedded, 'picture')}, so there is nobody to make a face set of"
        return
    if found.people:
        follows = settings is not None and settings.min_faces is None
        size = f" in a library with {counted(found.library, 'picture')} of faces" if follows else ""
        yield (
            f"{counted(found.people, 'person is', 'people are')} nearly there. A new person needs {found.needed} different "
            f"pictures{size}: FACESETS_MIN_FACES sets another number. {'; '.join(_reasons(found))}"
        )
    elif library.identities == 0:
        yield (
            f"nobody was found, and nobody is nearly there: a new person needs {found.needed} different pictures of one "
            f"face (FACESETS_MIN_FACES), and none of {counted(library.faces, 'face')} is in half as many"
        )
    if library.identities == 0 and (poor := tuple(_poor(found.poor))):
        yield f"of {counted(found.poor.faces, 'face')}, {', '.join(poor)}: such faces make nobody a person by themselves"


def _reasons(found: NearlyThere) -> Iterator[str]:
    if found.pictures:
        yield f"{found.pictures:,} in too few pictures: the person with the most has {found.most}"
    if found.quality:
        yield f"{found.quality:,} with enough pictures, of which too few are large, sharp and light enough"
    if found.likeness:
        yield f"{found.likeness:,} with faces too different to be surely one person"
    if found.moments:
        yield f"{found.moments:,} with too many pictures of one moment, or copies, which count once"


def _poor(faces: PoorFaces) -> Iterator[str]:
    gates = (
        (faces.small, "too small", "MIN_FACE_SHORT"),
        (faces.blurred, "blurred", "MIN_BLUR"),
        (faces.dark, "dark or flat", "MIN_LIGHT"),
        (faces.unsure, "hardly a face", "MIN_DET_SCORE"),
    )
    for count, word, setting in gates:
        if count:
            yield f"{count:,} {'is' if count == 1 else 'are'} {word} (FACESETS_{setting})"
