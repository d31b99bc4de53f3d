"""
Training of LoRAs with any of five trainers: the same pictures, captions and masks, and a file of settings for each.

Every path in these files is relative to the directory that holds them. Trainers list folders: so pictures that show another
person are apart from the others, for trainers without masks. OneTrainer wants masks beside the pictures, where other
trainers would take them for pictures: it has a folder of its own.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from immich_facesets.exports.captions import tokens
from immich_facesets.exports.kohya import repeats
from immich_facesets.exports.picture_encoding import PictureFormat
from immich_facesets.exports.profile import FacesetLayout, FacesetProfile, PickedFaces

ALONE, WITH_OTHERS, MASKS, ONETRAINER = "pictures", "with_others", "masks", "onetrainer"
"""The folders."""

KOHYA, MUSUBI, DIFFUSION_PIPE = "kohya.toml", "musubi-tuner.toml", "diffusion-pipe.toml"
AI_TOOLKIT, CONCEPTS = "ai-toolkit.yaml", "onetrainer.json"
"""The files of settings."""

MASK_ENDING = "-masklabel.png"
"""The ending of OneTrainer's masks, in the place of the picture's own."""

_CONCEPT_VERSION = 2


@dataclass(frozen=True, slots=True)
class _Set:
    """The facts of one directory that its files of settings say. ``folders`` of pictures that are not empty."""

    tokens: str
    pixels: int
    repeats: int
    folders: tuple[str, ...]
    seed: int
    has_transparency: bool


def lay_out(picked: PickedFaces) -> FacesetLayout:
    """Return the pictures with captions and masks, and a file of settings for each trainer."""
    folders = [WITH_OTHERS if picture.hides else ALONE for picture in picked.pictures]
    stems = [name.rpartition(".")[0] for name in picked.file_names]
    captions: dict[str, bytes] = {}
    for folder, stem, words in zip(folders, stems, picked.captions, strict=True):
        captions |= {f"{place}/{stem}.txt": f"{words}\n".encode() for place in (folder, ONETRAINER)}
    facts = _Set(
        tokens(picked.faceset),
        picked.pixels,
        repeats(len(picked.faces)),
        tuple(folder for folder in (ALONE, WITH_OTHERS) if folder in folders),
        picked.faceset.identity,
        picked.picture_format.has_transparency,
    )
    files = {
        KOHYA: _kohya(facts),
        MUSUBI: _musubi(facts),
        DIFFUSION_PIPE: _diffusion_pipe(facts),
        AI_TOOLKIT: _ai_toolkit(facts),
        CONCEPTS: _onetrainer(facts),
    }
    return FacesetLayout(
        tuple(f"{folder}/{name}" for folder, name in zip(folders, picked.file_names, strict=True)),
        captions | {name: body.encode() for name, body in files.items() if body},
        tuple(
            {f"{ONETRAINER}/{name}": picture}
            | (
                {}
                if picture.mask is None
                else {f"{MASKS}/{stem}.png": picture.mask, f"{ONETRAINER}/{stem}{MASK_ENDING}": picture.mask}
            )
            for name, stem, picture in zip(picked.file_names, stems, picked.pictures, strict=True)
        ),
    )


def _toml(head: Sequence[str], tables: Sequence[Sequence[str]]) -> str:
    """Return a TOML file; empty without any table, as no trainer starts without pictures."""
    return "\n\n".join("\n".join(lines) for lines in (head, *tables)) + "\n" if tables else ""


def _kohya(facts: _Set) -> str:
    """Return the file for sd-scripts, which reads masks from transparency alone."""
    usable = [folder for folder in facts.folders if folder == ALONE or facts.has_transparency]
    if not usable:
        return ""
    head = ["[general]", 'caption_extension = ".txt"', "keep_tokens = 1"]
    dataset = [
        "[[datasets]]",
        f"resolution = {facts.pixels}",
        "batch_size = 1",
        "enable_bucket = true",
        "bucket_no_upscale = true",
    ]
    subsets = [
        [
            "[[datasets.subsets]]",
            f'image_dir = "{folder}"',
            f'class_tokens = "{facts.tokens}"',
            f"num_repeats = {facts.repeats}",
            *(["alpha_mask = true"] if folder == WITH_OTHERS else []),
        ]
        for folder in usable
    ]
    return _toml(head, [dataset, *subsets])


def _musubi(facts: _Set) -> str:
    """Return the file for musubi-tuner, which has no masks: without the pictures that show another person."""
    head = [
        "[general]",
        f"resolution = [{facts.pixels}, {facts.pixels}]",
        'caption_extension = ".txt"',
        "batch_size = 1",
        "enable_bucket = true",
        "bucket_no_upscale = true",
    ]
    return _toml(
        head,
        [
            ["[[datasets]]", f'image_directory = "{folder}"', f"num_repeats = {facts.repeats}"]
            for folder in facts.folders
            if folder == ALONE
        ],
    )


def _diffusion_pipe(facts: _Set) -> str:
    head = [
        f"resolutions = [{facts.pixels}]",
        "enable_ar_bucket = true",
        "min_ar = 0.5",
        "max_ar = 2.0",
        "num_ar_buckets = 7",
    ]
    return _toml(
        head,
        [
            ["[[directory]]", f'path = "{folder}"', f'mask_path = "{MASKS}"', f"num_repeats = {facts.repeats}"]
            for folder in facts.folders
        ],
    )


def _ai_toolkit(facts: _Set) -> str:
    """Return the datasets of a job for ai-toolkit, as its ``process`` has them."""
    lines = ["datasets:"]
    for folder in facts.folders:
        lines += [
            f'  - folder_path: "{folder}"',
            f'    mask_path: "{MASKS}"',
            '    caption_ext: "txt"',
            f"    resolution: [{facts.pixels}]",
            f"    num_repeats: {facts.repeats}",
        ]
    return "\n".join(lines) + "\n"


def _onetrainer(facts: _Set) -> str:
    """Return the concepts of OneTrainer; other values than these are its own usual ones."""
    concept = {
        "__version": _CONCEPT_VERSION,
        "name": facts.tokens,
        "path": ONETRAINER,
        "seed": facts.seed,
        "enabled": True,
        "type": "STANDARD",
        "include_subdirectories": False,
        "balancing": float(facts.repeats),
        "balancing_strategy": "REPEATS",
        "text": {"prompt_source": "sample"},
    }
    return json.dumps([concept], indent=2) + "\n"


LORA = FacesetProfile(
    name="lora",
    formats=(PictureFormat.PNG, PictureFormat.JPG),  # ai-toolkit's guide promises no others
    takes_framings=True,
    reads_alpha_masks=True,
    has_mask_files=True,
    usual_faces=30,
    usual_most_scale=3.0,  # as of kohya
    lay_out=lay_out,
)
