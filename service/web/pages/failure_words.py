"""The reasons of failures in words, with what to do about each."""

from collections.abc import Mapping
from dataclasses import dataclass

from service.web.formatting import spaced


@dataclass(frozen=True, slots=True)
class ReasonWords:
    """A reason as a title, and what a user can do about it, in sentences."""

    title: str
    advice: str


_STORE_ANEW = "Open the picture in an image editor and store it anew."
_BY_ITSELF = "Nothing: it is tried again by itself."
_DAMAGED = "Look at the file. Where it is damaged there too, restore it from a backup; a changed file is read at once."
_IMMICH_LOG = "Look at Immich's log, and open the picture in Immich. It is tried again by itself."

REASONS: Mapping[str, ReasonWords] = {
    "answer_too_large": ReasonWords("Answer too large", "Check IMMICH_URL: another program may answer there."),
    "at_crash": ReasonWords("The embedder ended", "Look at the embedder's log. Each picture is tried again alone."),
    "bad_answer": ReasonWords(
        "The embedder's answer is wrong", "Bring the service and the embedder to the same version."
    ),
    "bad_crop": ReasonWords("A stored crop is damaged", "Check the disk of the data folder. A sync fetches it again."),
    "changed": ReasonWords("Changed since it was read", "Nothing: the next sync reads it again."),
    "changing": ReasonWords("Being written", "Nothing: it is read again when the file rests."),
    "checksum_mismatch": ReasonWords(
        "Not the bytes that Immich names", "The file was changed behind Immich's back: let Immich read it again."
    ),
    "corrupt": ReasonWords("Damaged picture", _DAMAGED),
    "crashes_decoder": ReasonWords("Ends the decoder", _STORE_ANEW),
    "crashes_embedder": ReasonWords("Ends the embedder", "Look at the embedder's log, and report the picture's kind."),
    "degenerate_face": ReasonWords("A face without direction", "Nothing: the face cannot be aligned."),
    "denied": ReasonWords("Access denied", "Give the user that this service runs as the right to read it."),
    "empty": ReasonWords("Empty file", "Restore the file from a backup, or delete it."),
    "impossible_answer": ReasonWords("Impossible data", _IMMICH_LOG),
    "inference_failed": ReasonWords("The models fail on it", "Look at the embedder's log."),
    "link_outside": ReasonWords(
        "Link out of the folder", "Add the folder again with --follow-links to take in what it leads to."
    ),
    "not_a_picture": ReasonWords("Not a picture", "Rename or delete the file: it only has the name of a picture."),
    "not_found": ReasonWords(
        "Not found", "Look whether Immich shows the picture. A deleted one goes with a full sync."
    ),
    "not_json": ReasonWords("A web page in place of data", "Check IMMICH_URL, and a login page in front of Immich."),
    "not_ready": ReasonWords("Not made by Immich yet", "Let Immich's jobs end; then it is read by itself."),
    "offline": ReasonWords("File missing at Immich", "Mount the disk of this library, or let Immich scan it again."),
    "own_export": ReasonWords("Written by this program", "Nothing: face sets are not taken in as pictures."),
    "path_too_long": ReasonWords("Path too long", "Move the file to a shorter path."),
    "refused": ReasonWords("Refused by Immich", _IMMICH_LOG),
    "server_error": ReasonWords("Immich reports an error", _IMMICH_LOG),
    "timeout": ReasonWords("No answer in time", _BY_ITSELF),
    "too_large": ReasonWords(
        "File too large", "Raise FACESETS_MAX_FILE_BYTES or FACESETS_EMBEDDER_MAX_BYTES, as the message says."
    ),
    "too_many_pixels": ReasonWords("Too many pixels", "Raise FACESETS_EMBEDDER_MAX_PIXELS."),
    "too_many_scans": ReasonWords("Too many scans", _STORE_ANEW),
    "too_much_memory": ReasonWords("Needs too much memory", "Raise FACESETS_EMBEDDER_MAX_MEMORY."),
    "too_slow": ReasonWords(
        "Takes too long", "Raise FACESETS_EMBEDDER_DECODE_SECONDS or FACESETS_EMBEDDING_TIMEOUT, as the message says."
    ),
    "truncated": ReasonWords("Broken off", _BY_ITSELF),
    "unavailable": ReasonWords("Not reachable", _BY_ITSELF),
    "unreadable": ReasonWords("Cannot be read", "Check the disk and the rights of the file."),
    "lost": ReasonWords("Reference picture lost", "Add the reference picture again."),
    "no_crop": ReasonWords("No picture of the face", "Bring the embedder to the version of this service."),
    "no_face": ReasonWords("Face not found", "Choose a picture that shows the face larger and from the front."),
    "unsupported": ReasonWords("Kind that is not read", "Store a copy as JPEG or PNG."),
}
"""The reasons that an item of a sync can have."""


def reason_words(reason: str) -> ReasonWords:
    """Return the words of a reason; one of another version has its code as its title."""
    return REASONS.get(reason) or ReasonWords(spaced(reason).capitalize(), "Read the message of each item.")
