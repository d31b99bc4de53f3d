"""
Eras: parts of a long life that look alike.

``probe`` says whether an identity has any, ``split`` finds them (PRODUCT 3.4), ``ages`` cuts a childhood by age instead.
What was found stays: ``founding`` names it, ``keeping`` lets later faces join, ``placing`` says where a face belongs that
nobody has dated.
"""

from immich_facesets.eras.ages import Childhood, Window, read_windows
from immich_facesets.eras.era import KeptEra
from immich_facesets.eras.imported import imported_era, take_over
from immich_facesets.eras.probing import Part, Probe, Verdict, probe, verdict_of
from immich_facesets.eras.rules import EraRules
from immich_facesets.eras.splitting import Era, split
from immich_facesets.eras.update import grow_eras, plan_eras, split_again
from immich_facesets.eras.years import NO_YEAR, dominant_year, years_of

__all__ = [
    "NO_YEAR",
    "Childhood",
    "Era",
    "EraRules",
    "KeptEra",
    "Part",
    "Probe",
    "Verdict",
    "Window",
    "dominant_year",
    "grow_eras",
    "imported_era",
    "plan_eras",
    "probe",
    "read_windows",
    "split",
    "split_again",
    "take_over",
    "verdict_of",
    "years_of",
]
