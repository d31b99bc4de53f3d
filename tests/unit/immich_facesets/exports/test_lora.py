"""The lora export as each of its five trainers reads it: by the keys, the endings and the pairing of its own code."""

import io
import json
import os
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from artifact_builders import form, put
from faceset_builders import candidate, faceset
from numpy.typing import NDArray
from PIL import Image

from immich_facesets.exports.lora import LORA
from immich_facesets.facesets.faceset import Faceset
from service.files.export_tree import ExportTree

OF_SD_SCRIPTS = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".avif", ".jxl"}
OF_AI_TOOLKIT = (".jpg", ".jpeg", ".png", ".webp")
OF_ONETRAINER = {".bmp", ".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".avif"}
NO_MEDIA = {".txt", ".npz", ".json", ".parquet", ".bak", ".db"}
"""The endings that diffusion-pipe passes over; it takes any other file in a folder for a picture or a video."""


def mixed(pictures: int = 4) -> Faceset:
    """A face set of which the second picture shows another person, too."""
    built = faceset(pictures)
    second = replace(built.faces[1], is_masked=True)
    return replace(built, faces=(built.faces[0], second, *built.faces[2:]))


def toml(folder: Path, name: str) -> dict[str, Any]:
    return tomllib.loads((folder / name).read_text(encoding="utf-8"))


def grey(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        assert image.mode == "L"
        return np.asarray(image)


@pytest.fixture(params=["png", "jpg"])
def written(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, str]:
    return put(tmp_path, form(f"lora:0:64:{request.param}", mixed())), request.param


def test_sd_scripts_finds_captions_and_masks_where_pictures_are_transparent(written: tuple[Path, str]) -> None:
    """Its file names folders; their pictures are listed by ending, and masks are the transparency of pictures."""
    folder, kind = written
    config = toml(folder, "kohya.toml")
    assert config["general"] == {"caption_extension": ".txt", "keep_tokens": 1}
    (dataset,) = config["datasets"]
    assert {**dataset, "subsets": []} == {
        "resolution": 64, "batch_size": 1, "enable_bucket": True, "bucket_no_upscale": True, "subsets": [],
    }  # fmt: skip
    found = {}
    for subset in dataset["subsets"]:
        assert subset.keys() - {"alpha_mask"} == {"image_dir", "class_tokens", "num_repeats"}
        for path in sorted((folder / subset["image_dir"]).iterdir()):
            if path.suffix.lower() in OF_SD_SCRIPTS:
                lines = path.with_suffix(".txt").read_text(encoding="utf-8").splitlines()
                assert lines[0].startswith(subset["class_tokens"])
                found[path.name] = subset.get("alpha_mask", False)
    with_others = {"0002.png": True} if kind == "png" else {}
    assert found == {f"{number:04d}.{kind}": False for number in (1, 3, 4)} | with_others


def test_musubi_tuner_gets_only_pictures_without_another_person(written: tuple[Path, str]) -> None:
    """It has no masks. A picture counts where a caption of the same stem lies beside it."""
    folder, kind = written
    config = toml(folder, "musubi-tuner.toml")
    ascendable = {"caption_extension", "batch_size", "num_repeats", "resolution", "enable_bucket", "bucket_no_upscale"}
    assert config.keys() == {"general", "datasets"}
    assert config["general"].keys() <= ascendable
    assert config["general"]["resolution"] == [64, 64]
    (dataset,) = config["datasets"]
    assert dataset.keys() == {"image_directory", "num_repeats"}
    place = folder / dataset["image_directory"]
    captions = {path.stem for path in place.glob(f"*{config['general']['caption_extension']}")}
    pictures = {path.stem for path in place.iterdir() if path.suffix.lower() in OF_SD_SCRIPTS}
    assert pictures == captions == {"0001", "0003", "0004"}
    assert {path.suffix for path in place.iterdir()} == {f".{kind}", ".txt"}


def test_diffusion_pipe_pairs_masks_by_stem_and_takes_every_other_file_for_a_picture(
    written: tuple[Path, str],
) -> None:
    folder, kind = written
    config = toml(folder, "diffusion-pipe.toml")
    assert config["resolutions"] == [64]
    assert config["enable_ar_bucket"] is True
    assert config.keys() >= {"min_ar", "max_ar", "num_ar_buckets"}, "it has no usual values for these"
    seen = set()
    for directory in config["directory"]:
        assert directory.keys() == {"path", "mask_path", "num_repeats"}
        masks = {path.stem: path for path in (folder / directory["mask_path"]).glob("*") if path.is_file()}
        for path in (folder / directory["path"]).glob("*"):
            if path.suffix in NO_MEDIA:
                continue
            with Image.open(path) as image:
                assert image.size == grey(masks[path.stem]).shape[::-1]
            assert path.with_suffix(".txt").read_text(encoding="ascii").strip()
            seen.add(path.name)
    assert seen == {f"{number:04d}.{kind}" for number in range(1, 5)}


def test_ai_toolkit_walks_the_folder_and_finds_masks_by_name(written: tuple[Path, str]) -> None:
    folder, kind = written
    config = yaml.safe_load((folder / "ai-toolkit.yaml").read_text(encoding="utf-8"))
    assert config.keys() == {"datasets"}
    seen = set()
    for dataset in config["datasets"]:
        assert dataset.keys() == {"folder_path", "mask_path", "caption_ext", "resolution", "num_repeats"}
        for place, _, names in os.walk(folder / dataset["folder_path"]):
            for name in names:
                stem = Path(name).stem
                if not name.lower().endswith(OF_AI_TOOLKIT) or name.startswith("."):
                    continue
                assert (Path(place) / f"{stem}.{dataset['caption_ext']}").is_file()
                assert any((folder / dataset["mask_path"] / f"{stem}{end}").is_file() for end in OF_AI_TOOLKIT)
                seen.add(name)
    assert seen == {f"{number:04d}.{kind}" for number in range(1, 5)}


def test_onetrainer_finds_each_mask_beside_its_picture(written: tuple[Path, str]) -> None:
    folder, kind = written
    (concept,) = json.loads((folder / "onetrainer.json").read_bytes())
    assert concept["type"] == "STANDARD"
    assert concept["balancing_strategy"] == "REPEATS"
    assert concept["text"] == {"prompt_source": "sample"}
    assert (concept["include_subdirectories"], concept["enabled"], concept["__version"]) == (False, True, 2)
    seen = set()
    for path in sorted((folder / concept["path"]).iterdir()):
        if path.suffix.lower() not in OF_ONETRAINER or path.stem.endswith(("-masklabel", "-condlabel")):
            continue
        mask = path.with_name(f"{path.stem}-masklabel.png")
        with Image.open(path) as image:
            assert image.size == grey(mask).shape[::-1]
        prompts = [line for line in path.with_suffix(".txt").read_text(encoding="utf-8").split("\n") if line]
        assert len(prompts) == 1, "each line would be another prompt"
        seen.add(path.name)
    assert seen == {f"{number:04d}.{kind}" for number in range(1, 5)}


def test_a_mask_is_white_at_the_head_grey_elsewhere_and_black_at_others(written: tuple[Path, str]) -> None:
    folder, _ = written
    alone, others = grey(folder / "masks/0001.png"), grey(folder / "masks/0002.png")
    assert alone[34, 34] == others[34, 34] == 255
    assert set(np.unique(alone)) == {128, 255}
    assert (alone[5, 5], others[5, 5]) == (128, 0)
    assert set(np.unique(others)) == {0, 128, 255}
    assert (folder / "masks/0002.png").read_bytes() == (folder / "onetrainer/0002-masklabel.png").read_bytes()


def test_pictures_and_captions_are_the_same_for_all_and_the_manifest_names_each(written: tuple[Path, str]) -> None:
    folder, _ = written
    manifest = json.loads((folder / "manifest.json").read_bytes())
    for entry in manifest["faces"]:
        picture = folder / entry["file"]
        copy, mask, beside = (folder / name for name in entry["further"])
        assert picture.read_bytes() == copy.read_bytes()
        assert mask.read_bytes() == beside.read_bytes()
        assert picture.with_suffix(".txt").read_bytes() == copy.with_suffix(".txt").read_bytes()
        with Image.open(io.BytesIO(picture.read_bytes())) as image:
            assert entry["mask"]["size"] == list(image.size)
    assert [len(entry["mask"]["others"]) for entry in manifest["faces"]] == [0, 1, 0, 0]


def test_a_trainer_without_any_picture_gets_no_file(tmp_path: Path) -> None:
    built = faceset(2)
    crowd = replace(built, faces=tuple(replace(face, is_masked=True) for face in built.faces))
    folder = put(tmp_path, form("lora:0:64:jpg", crowd))
    assert {path.name for path in folder.iterdir() if path.suffix in {".toml", ".yaml"}} == {
        "diffusion-pipe.toml",
        "ai-toolkit.yaml",
    }
    assert not (folder / "pictures").exists()


def test_an_edited_caption_follows_its_face_in_each_folder(tmp_path: Path) -> None:
    folder = put(tmp_path, form("lora:0:64", mixed()))
    for name in ("with_others/0002.txt", "onetrainer/0002.txt"):
        (folder / name).write_text("my words", encoding="utf-8")
    (folder / "masks/0002.png").write_bytes(b"painted by hand")
    (folder / "pictures/mine.png").write_bytes(b"a picture of mine")
    before = mixed()
    moved = replace(before, faces=(before.faces[1], before.faces[0], before.faces[3]))
    made = form("lora:0:64", moved)
    tree = ExportTree(tmp_path)
    tree.write_directory(made.path, made.files())
    for name in ("with_others/0001.txt", "onetrainer/0001.txt"):
        assert (folder / name).read_text(encoding="utf-8") == "my words"
    for name in ("pictures/0002.txt", "onetrainer/0002.txt", "onetrainer/0003.txt"):
        assert (folder / name).read_text(encoding="utf-8").startswith("anna001 person")
    assert grey(folder / "masks/0001.png").shape == (64, 64), "masks are ours"
    assert (folder / "pictures/mine.png").read_bytes() == b"a picture of mine"


def test_a_form_that_lost_a_mask_counts_as_incomplete(tmp_path: Path) -> None:
    made = form("lora:0:64", mixed())
    folder = put(tmp_path, made)
    tree = ExportTree(tmp_path)
    assert tree.digest_of(made.path) == made.digest
    (folder / "onetrainer/0003-masklabel.png").unlink()
    assert tree.digest_of(made.path) == ""


def test_pictures_of_children_may_be_in_it_as_it_swaps_no_faces() -> None:
    assert not LORA.is_for_swapping
    assert len(form("lora", faceset(candidates=[candidate(1, is_minor=True)])).manifest) > 0
