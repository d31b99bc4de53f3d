"""Crops as exports show them: the PNG of a chosen face, and the thumbnail of any. Everything here blocks."""

from immich_facesets.exports.crops import Picture, paint_over, png, provenance, resized, small_picture
from immich_facesets.facesets.faceset import Candidate, ExportFace, ExportRules
from service.passes.publishing.crop_checks import CropChecks


class Drawing:
    """Renders the crops that ``checks`` contains."""

    def __init__(self, checks: CropChecks, rules: ExportRules, version: str) -> None:
        self._checks = checks
        self._rules = rules
        self._version = version

    def picture(self, face: ExportFace, identity: int, pixels: int | None) -> bytes:
        """Return the PNG of a face, at the export size unless another is given."""
        candidate = face.candidate
        texts = provenance(asset_id=min(candidate.places).asset_id, identity=identity, version=self._version)
        return png(resized(self._finished(candidate), pixels or self._rules.out_size), texts)

    def thumbnail(self, candidate: Candidate, side: int) -> Picture:
        """Return the crop of a face with sides of ``side`` pixels, strangers painted over as in its PNG."""
        face = candidate.face
        crop = self._checks.crops[face.face_id]
        if self._checks.painted(face.face_id) or crop.pad_ratio > self._rules.pad_ratio:
            return resized(self._finished(candidate), side)
        return small_picture(self._checks.stored(crop), side, round(min(self._rules.out_size, crop.area.width)))

    def _finished(self, candidate: Candidate) -> Picture:
        picture = self._checks.finished(candidate.face)
        painted = self._checks.painted(candidate.face.face_id)
        return paint_over(picture, painted, self._checks.place(candidate.face)) if painted else picture
