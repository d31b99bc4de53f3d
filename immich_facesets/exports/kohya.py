"""
Folders for kohya's sd-scripts, and for the trainers that adopted its layout.

``<repeats>_<identifier> <class>/`` holds pictures and their captions. A trainer with a TOML file ignores that folder's
name, so the file repeats the values; its paths are relative to its own location.
"""

from immich_facesets.exports.captions import tokens
from immich_facesets.exports.cuts import Framing
from immich_facesets.exports.picture_encoding import EVERY_FORMAT
from immich_facesets.exports.profile import FacesetLayout, FacesetProfile, PickedFaces
from immich_facesets.facesets.faceset import Faceset

CONFIG = "dataset.toml"
PICTURES = "img"

STEPS = 200
"""Pictures that a trainer should process in one round: few pictures are repeated more often."""

_MOST_REPEATS = 40


def repeats(pictures: int) -> int:
    """Return how often each of so many pictures is shown in one round."""
    return min(_MOST_REPEATS, max(1, round(STEPS / max(1, pictures))))


def folder(faceset: Faceset, pictures: int) -> str:
    """Return the folder of the pictures, below ``PICTURES``; trainers without a TOML file use its name."""
    return f"{repeats(pictures)}_{tokens(faceset)}"


def config(faceset: Faceset, pictures: int, pixels: int, framing: Framing, *, has_alpha_masks: bool) -> bytes:
    """
    Return the TOML file. Every text in it is ASCII without quotes (``captions.identifier``).

    A picture without transparency counts as a whole, so the key is there only where a picture has some: trainers from
    before June 2024 refuse it. Pictures that are no squares are sorted into buckets of their shape, without enlarging.
    """
    buckets = "" if framing is Framing.FACE else "enable_bucket = true\nbucket_no_upscale = true\n"
    masks = "alpha_mask = true\n" if has_alpha_masks else ""
    return (
        f"[general]\n"
        f'caption_extension = ".txt"\n'
        f"keep_tokens = 1\n\n"
        f"[[datasets]]\n"
        f"resolution = {pixels}\n"
        f"batch_size = 1\n"
        f"{buckets}\n"
        f"[[datasets.subsets]]\n"
        f'image_dir = "{PICTURES}/{folder(faceset, pictures)}"\n'
        f'class_tokens = "{tokens(faceset)}"\n'
        f"num_repeats = {repeats(pictures)}\n"
        f"{masks}"
    ).encode()


def lay_out(picked: PickedFaces) -> FacesetLayout:
    """Return the pictures with their captions, and the TOML file."""
    faceset, count = picked.faceset, len(picked.faces)
    inside = f"{PICTURES}/{folder(faceset, count)}"
    captions = {
        f"{inside}/{file.rpartition('.')[0]}.txt": f"{words}\n".encode()
        for file, words in zip(picked.file_names, picked.captions, strict=True)
    }
    return FacesetLayout(
        tuple(f"{inside}/{file}" for file in picked.file_names),
        captions
        | {CONFIG: config(faceset, count, picked.pixels, picked.framing, has_alpha_masks=picked.has_alpha_masks)},
    )


KOHYA = FacesetProfile(
    name="kohya",
    formats=EVERY_FORMAT,
    takes_framings=True,
    reads_alpha_masks=True,
    usual_faces=30,  # the usual number for training on one person
    usual_most_scale=3.0,  # a face of 100 pixels in a whole crop of 512 has 2.6; what is blurred more is learned as blur
    lay_out=lay_out,
)
