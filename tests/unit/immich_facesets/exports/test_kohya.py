"""The kohya export as its trainers read it: by folder names, and by the TOML file with its paths."""

import json
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from artifact_builders import form, put, written
from faceset_builders import candidate, faceset

from immich_facesets.exports.captions import identifier
from immich_facesets.exports.kohya import repeats
from immich_facesets.facesets.faceset import EraYears

GENERAL = {"caption_extension", "keep_tokens"}
DATASET = {"resolution", "batch_size", "subsets"}
SUBSET = {"image_dir", "class_tokens", "num_repeats"}
"""Keys of the trainer's schema, which refuses any other key."""


def by_folder_name(parent: Path) -> list[tuple[int, str, list[str]]]:
    """
    Return the folders ``<repeats>_<tokens>`` that sd-scripts reads below ``--train_data_dir``; it ignores all others.
    """
    found = []
    for folder in parent.iterdir():
        number, _, tokens = folder.name.partition("_")
        assert folder.is_dir()
        captions = []
        for picture in sorted(folder.glob("*.png")):
            lines = picture.with_suffix(".txt").read_text(encoding="utf-8").splitlines()
            captions.append(lines[0].strip())
        found.append((int(number), tokens, captions))
    return found


@pytest.mark.parametrize("label", ["Anna", "Ánna-María", "李明", None, 'a "quoted" \\ name'])
def test_the_folder_and_the_toml_file_say_the_same(tmp_path: Path, label: str | None) -> None:
    folder = put(tmp_path, form("kohya:0:768", faceset(3, label=label)))
    config = tomllib.loads((folder / "dataset.toml").read_text(encoding="utf-8"))
    ((number, tokens, captions),) = by_folder_name(folder / "img")
    assert config.keys() == {"general", "datasets"}
    assert config["general"].keys() == GENERAL
    (dataset,) = config["datasets"]
    (subset,) = dataset["subsets"]
    assert dataset.keys() == DATASET
    assert subset.keys() == SUBSET
    assert dataset["resolution"] == 768
    assert (subset["num_repeats"], subset["class_tokens"]) == (number, tokens) == (40, tokens)
    assert config["general"]["caption_extension"] == ".txt"
    pictures = sorted((folder / subset["image_dir"]).glob("*.png"))
    assert len(pictures) == len(captions) == 3
    assert all(caption.startswith(tokens) for caption in captions)
    name, _, kind = tokens.partition(" ")
    assert kind == "person"
    assert name.isascii()
    assert name.isidentifier()


def test_two_people_of_one_name_and_two_eras_of_one_person_have_different_identifiers() -> None:
    era = EraYears("2011", 2010, 2012)
    found = [faceset(2), faceset(2, identity=2), faceset(2, era=era), faceset(2, label="李"), faceset(2, label=None)]
    assert [identifier(each) for each in found] == ["anna001", "anna002", "anna001_2011", "faceset001", "faceset001"]


@pytest.mark.parametrize(("pictures", "times"), [(1, 40), (5, 40), (20, 10), (30, 7), (1000, 1)])
def test_few_pictures_are_shown_more_often(pictures: int, times: int) -> None:
    assert repeats(pictures) == times


def test_pictures_of_children_may_be_in_it_as_it_swaps_no_faces() -> None:
    assert len(form("kohya", faceset(candidates=[candidate(1, is_minor=True)])).manifest) > 0


def test_trainers_are_told_of_masks_only_where_a_picture_has_one() -> None:
    whole = faceset(3)
    second = replace(whole.faces[1], is_masked=True)
    masked = replace(whole, faces=(whole.faces[0], second, whole.faces[2]))
    for built, expected in ((whole, {}), (masked, {"alpha_mask": True})):
        files = written(form("kohya", built))
        (dataset,) = tomllib.loads(files["dataset.toml"].decode())["datasets"]
        (subset,) = dataset["subsets"]
        assert {key: subset[key] for key in subset.keys() - SUBSET} == expected
        told = [face["alpha_mask"] for face in json.loads(files["manifest.json"])["faces"]]
        assert told.count(True) == len(expected)


@pytest.mark.parametrize(
    ("framing", "words"),
    [("head", "anna001 person, head and shoulders"), ("half-body", "anna001 person, upper body"), ("original", "anna001 person")],
)  # fmt: skip
def test_pictures_of_any_shape_are_sorted_into_buckets_and_called_what_they_show(framing: str, words: str) -> None:
    files = written(form(f"kohya:0:768:{framing}", faceset(3)))
    (dataset,) = tomllib.loads(files["dataset.toml"].decode())["datasets"]
    assert {key: dataset[key] for key in dataset.keys() - DATASET} == {"enable_bucket": True, "bucket_no_upscale": True}
    captions = {body.decode() for name, body in files.items() if name.endswith(".txt") and name.startswith("img/")}
    assert captions == {f"{words}\n"}
    assert json.loads(files["manifest.json"])["settings"]["framing"] == framing
