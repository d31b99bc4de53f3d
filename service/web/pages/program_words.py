"""The forms of face sets in words that a person would use."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ProfileWords:
    """A form of face sets: the program or the kind of programs, and what its files are for."""

    title: str
    purpose: str


PROFILE_WORDS: Mapping[str, ProfileWords] = {
    "fsz": ProfileWords("Face sets", "The pictures themselves, with bundles that roop-unleashed loads as one face."),
    "facefusion": ProfileWords("FaceFusion", "A folder of pictures of one face, the best first."),
    "portrait": ProfileWords("One portrait", "One large picture, for Deep-Live-Cam, PuLID, InstantID and IP-Adapter."),
    "visomaster": ProfileWords("VisoMaster", "An embedding of each person, without pictures, and a file of everybody."),
    "reactor": ProfileWords("ReActor", "A face model for ComfyUI and Forge, without pictures."),
    "kohya": ProfileWords(
        "LoRA folders", "Training pictures with captions; the names of folders say repeats and word."
    ),
    "lora": ProfileWords(
        "LoRA files", "Training pictures with captions, and a file of settings for each of five trainers."
    ),
    "frigate": ProfileWords("Frigate", "A face library for cameras at the door: named people, in colour."),
    "imagefolder": ProfileWords("Data set", "Hugging Face's imagefolder, to train a recogniser of your own."),
    "aligned": ProfileWords("Aligned faces", "Faces on ArcFace's template, to train or measure recognisers."),
    "xmp": ProfileWords("Photo programs", "Sidecars that tell digiKam and others who is where in a picture."),
    "npz": ProfileWords("NumPy", "Every face with its embedding, for notebooks and for another installation."),
    "plain": ProfileWords("Folder of pictures", "The best pictures first, for a book, a slide show, or any program."),
}


def profile_words(name: str) -> ProfileWords:
    """Return the words of a form; those of one that another version wrote are its name."""
    return PROFILE_WORDS.get(name) or ProfileWords(name, "")
