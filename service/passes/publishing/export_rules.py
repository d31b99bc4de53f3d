"""The rules of what an export includes, from the settings and the distances in use."""

from immich_facesets.facesets.faceset import ExportRules
from immich_facesets.near_duplicates.faces import CopyLimits
from immich_facesets.spaces import OperatingPoints
from service.settings import Settings


def export_rules(settings: Settings, points: OperatingPoints) -> ExportRules:
    """Return the rules of exports with these settings and distances."""
    return ExportRules(
        outlier=points.outlier,
        min_face_short=settings.export_min_face_short,
        top=settings.export_top,
        pad_ratio=settings.crop_padding,
        out_size=settings.crop_size,
        gate=settings.gate,
        likeness=CopyLimits.in_space(points.near),
    )
