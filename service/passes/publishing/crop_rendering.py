"""Crops as exports show them: the PNG of a chosen face, and the thumbnail of any. Everything here blocks."""

from immich_facesets.exports.crop_geometry import scale_of, shown_area
from immich_facesets.exports.crops import Picture, paint_over, provenance, resized, small_picture
from immich_facesets.exports.framing import frame_for_people
from immich_facesets.exports.picture_encoding import PictureFormat, encoded
from immich_facesets.exports.profile import PictureFile
from immich_facesets.faces import Box, Face
from immich_facesets.facesets.faceset import Candidate, ExportFace, ExportRules
from service.passes.publishing.crop_checks import CropChecks


class Drawing:
    """Renders the crops that ``checks`` contains."""

    def __init__(self, checks: CropChecks, rules: ExportRules, version: str) -> None:
        self._checks = checks
        self._rules = rules
        self._version = version

    def picture(
        self,
        face: ExportFace,
        identity: int,
        pixels: int | None,
        *,
        for_swapping: bool,
        picture_format: PictureFormat = PictureFormat.PNG,
    ) -> PictureFile:
        """Return the picture of a face, at the export size unless another is given."""
        seen = face.candidate.face
        asset, side = min(face.candidate.places).asset_id, pixels or self._rules.out_size
        painted = self._checks.strangers(seen.face_id) if for_swapping and face.is_masked and face.frame is None else ()
        frame = self._frame(face, for_swapping=for_swapping)

        def encode() -> bytes:
            shown = self._checks.finished(seen, frame)
            shown = paint_over(shown, painted, self._checks.place(seen)) if painted else shown
            texts = provenance(asset_id=asset, identity=identity, version=self._version)
            return encoded(resized(shown, side), texts, picture_format)

        key = (seen.face_id, identity, asset, side, frame, painted, picture_format)
        return PictureFile(key, encode, self._scale(seen, frame, side))

    def _scale(self, face: Face, frame: Box | None, pixels: int) -> float:
        """Return how much the picture of a face is enlarged: of the square ``frame`` of its crop, None for all of it."""
        crop, side = self._checks.crops[face.face_id], self._rules.out_size
        part = 1.0 if frame is None else frame.width / side
        shown = shown_area(face.box, crop.area, stored_pad=crop.pad_ratio, pad_ratio=self._rules.pad_ratio).width
        available = min(crop.side * shown / crop.area.width, side)
        return scale_of(pixels, original=part * shown, available=part * available)

    def thumbnail(self, candidate: Candidate, side: int) -> Picture:
        """Return the crop of a face with sides of ``side`` pixels."""
        crop = self._checks.crops[candidate.face.face_id]
        if candidate.visible.crop < 1.0 or crop.pad_ratio > self._rules.pad_ratio:
            return resized(self._checks.finished(candidate.face), side)
        return small_picture(self._checks.stored(crop), side, round(min(self._rules.out_size, crop.area.width)))

    def _frame(self, face: ExportFace, *, for_swapping: bool) -> Box | None:
        """
        Return the square of the crop to show, in its pixels; None for all of it.

        A reader for swapping gets what was checked. Others get as much as shows the picture, and no other face where
        that is possible.
        """
        seen, side = face.candidate.face, float(self._rules.out_size)
        if for_swapping:
            return None if face.frame is None else face.frame.scaled(side, side)
        checks = self._checks
        return frame_for_people(checks.place(seen), checks.inside(seen), checks.strangers(seen.face_id), side)
