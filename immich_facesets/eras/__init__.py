"""
Eras: periods of a person's life in which the faces look alike.

``probing`` decides whether an identity can be split, ``splitting`` finds the eras (docs/eras.md), and ``ages`` splits a
childhood by age instead. Eras that were found are kept: ``era`` holds and names them, ``update`` adds later faces to
them. ``undated`` places faces without a date. ``editing`` changes eras as a person asks for it, and ``decided`` keeps
them as they were decided.
"""

from immich_facesets.eras.ages import Childhood, Window, read_windows
from immich_facesets.eras.decided import DecidedEras, follow_away, placed_faces, places_of
from immich_facesets.eras.editing import EraChange, MergeEras, RenameEra, SplitEras, edit_eras
from immich_facesets.eras.era import EditedEras, KeptEra
from immich_facesets.eras.imported import imported_era, take_over
from immich_facesets.eras.probing import Part, Probe, Verdict, probe, verdict_of
from immich_facesets.eras.rules import EraRules
from immich_facesets.eras.splitting import Era, split
from immich_facesets.eras.update import grow_eras, plan_eras, split_again
from immich_facesets.eras.years import NO_YEAR, dominant_year, years_of

__all__ = [
    "NO_YEAR",
    "Childhood",
    "DecidedEras",
    "EditedEras",
    "Era",
    "EraChange",
    "EraRules",
    "KeptEra",
    "MergeEras",
    "Part",
    "Probe",
    "RenameEra",
    "SplitEras",
    "Verdict",
    "Window",
    "dominant_year",
    "edit_eras",
    "follow_away",
    "grow_eras",
    "imported_era",
    "placed_faces",
    "places_of",
    "plan_eras",
    "probe",
    "read_windows",
    "split",
    "split_again",
    "take_over",
    "verdict_of",
    "years_of",
]
