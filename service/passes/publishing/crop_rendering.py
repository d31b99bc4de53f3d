"""Crops as exports show them: the PNG of a chosen face, and the thumbnail of any. Everything here blocks."""

from immich_facesets.exports.crops import Picture, paint_over, png, provenance, resized, small_picture
from immich_facesets.exports.framing import frame_for_people
from immich_facesets.faces import Face
from immich_facesets.facesets.faceset import Candidate, ExportFace, ExportRules
from service.passes.publishing.crop_checks import CropChecks


class Drawing:
    """Renders the crops that ``checks`` contains."""

    def __init__(self, checks: CropChecks, rules: ExportRules, version: str) -> None:
        self._checks = checks
        self._rules = rules
        self._version = version

    def picture(self, face: ExportFace, identity: int, pixels: int | None, *, for_swapping: bool) -> bytes:
        """Return the PNG of a face, at the export size unless another is given."""
        candidate = face.candidate
        texts = provenance(asset_id=min(candidate.places).asset_id, identity=identity, version=self._version)
        shown = self._checked(face) if for_swapping else self._alone(candidate.face)
        return png(resized(shown, pixels or self._rules.out_size), texts)

    def thumbnail(self, candidate: Candidate, side: int) -> Picture:
        """Return the crop of a face with sides of ``side`` pixels."""
        crop = self._checks.crops[candidate.face.face_id]
        if candidate.visible.crop < 1.0 or crop.pad_ratio > self._rules.pad_ratio:
            return resized(self._checks.finished(candidate.face), side)
        return small_picture(self._checks.stored(crop), side, round(min(self._rules.out_size, crop.area.width)))

    def _checked(self, face: ExportFace) -> Picture:
        """Return the crop in which a detector finds the face alone."""
        seen, side = face.candidate.face, float(self._rules.out_size)
        if face.frame is not None:
            return self._checks.finished(seen, face.frame.scaled(side, side))
        picture = self._checks.finished(seen)
        strangers = self._checks.strangers(seen.face_id) if face.is_masked else ()
        return paint_over(picture, strangers, self._checks.place(seen)) if strangers else picture

    def _alone(self, face: Face) -> Picture:
        """Return as much of the crop as shows its picture, and no other face where that is possible."""
        checks = self._checks
        strangers = checks.strangers(face.face_id)
        frame = frame_for_people(checks.place(face), checks.inside(face), strangers, float(self._rules.out_size))
        return checks.finished(face, frame)
