"""Crops as exports show them: the PNG of a chosen face, and the thumbnail of any. Everything here blocks."""

import math

from immich_facesets.errors import ItemError
from immich_facesets.exports.crop_geometry import part_in_picture, scale_of, shown_area
from immich_facesets.exports.crops import (
    AlphaMask,
    Picture,
    aligned_picture,
    box_in_crop,
    box_picture,
    paint_over,
    points_in_crop,
    provenance,
    resized,
    small_picture,
)
from immich_facesets.exports.cuts import Framing
from immich_facesets.exports.framing import frame_for_people, in_frame
from immich_facesets.exports.picture_encoding import PictureFormat, encoded
from immich_facesets.exports.profile import PictureFile
from immich_facesets.face_template import similarity, template
from immich_facesets.faces import Box, Face
from immich_facesets.facesets.faceset import Candidate, ExportFace, ExportRules
from immich_facesets.quality.pose import upright_turns
from service.passes.publishing.crop_checks import CropChecks
from service.passes.publishing.cut_rendering import CutDrawing
from service.passes.publishing.mask_rendering import hides, with_mask_file


class Drawing:
    """Renders the crops that ``checks`` contains."""

    def __init__(self, checks: CropChecks, rules: ExportRules, version: str, cuts: CutDrawing | None = None) -> None:
        self._checks = checks
        self._cuts = cuts
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
        is_aligned: bool = False,
        reads_alpha_masks: bool = False,
        is_cut_to_box: bool = False,
        has_mask_files: bool = False,
        framing: Framing = Framing.FACE,
    ) -> PictureFile:
        """Return the picture of a face, at the export size unless another is given; ``framing``: one that is prepared."""
        seen = face.candidate.face
        asset, side = min(face.candidate.places).asset_id, pixels or self._rules.out_size
        texts = provenance(asset_id=asset, identity=identity, version=self._version)
        if framing is not Framing.FACE and self._cuts is not None:
            is_transparent = reads_alpha_masks and picture_format.has_transparency
            return self._cuts.picture(
                seen, framing, side, texts, picture_format, is_transparent=is_transparent, has_mask_file=has_mask_files
            )
        if is_aligned:
            key = (seen.face_id, identity, asset, side, "aligned", picture_format)
            scale = self._scale_on_template(seen, side)
            return PictureFile(key, lambda: encoded(self._aligned(seen, side), texts, picture_format), scale)
        if is_cut_to_box:
            key = (seen.face_id, identity, asset, side, "box", picture_format)
            scale = self._scale_of_box(seen, side)
            return PictureFile(key, lambda: encoded(self._cut_to_box(seen, side), texts, picture_format), scale)
        painted = self._checks.strangers(seen.face_id) if for_swapping and face.is_masked and face.frame is None else ()
        frame = self._frame(face, for_swapping=for_swapping)
        hidden = self._alpha_mask(seen, frame, side) if reads_alpha_masks or has_mask_files else None
        mask = (
            hidden if hidden is not None and hides(hidden, (side, side)) and picture_format.has_transparency else None
        )

        def encode() -> bytes:
            shown = self._checks.finished(seen, frame)
            shown = resized(paint_over(shown, painted, self._checks.place(seen)) if painted else shown, side)
            return encoded(shown if mask is None else mask.put_on(shown), texts, picture_format)

        shown = (seen.face_id, identity, asset, side, frame, painted, mask, picture_format)
        made = PictureFile(shown, encode, self._scale(seen, frame, side), has_alpha_mask=mask is not None)
        return with_mask_file(made, hidden, (side, side), texts) if has_mask_files and hidden is not None else made

    def _alpha_mask(self, face: Face, frame: Box | None, pixels: int) -> AlphaMask:
        """Return the mask of a picture that shows the square ``frame`` of a crop."""
        checks, side = self._checks, float(self._rules.out_size)
        whole = Box(0.0, 0.0, side, side)
        factor = pixels / side

        def placed(box: Box) -> Box:
            return in_frame(box, frame or whole, side).scaled(factor, factor)

        strangers = tuple(placed(box) for box in checks.strangers(face.face_id))
        return AlphaMask(strangers, placed(checks.place(face)), placed(checks.inside(face)))

    def _aligned(self, face: Face, side: int) -> Picture:
        """Return a face on the template of recognisers."""
        crop = self._checks.crops[face.face_id]
        where, turns = crop.area_corners, upright_turns(face.landmarks)
        inside = box_in_crop(part_in_picture(crop.area, crop.width, crop.height), where, 1, turns=turns)
        points = points_in_crop(face.landmarks, where, 1, turns=turns)
        return aligned_picture(self._checks.stored(crop), points, inside, side)

    def _cut_to_box(self, face: Face, pixels: int) -> Picture:
        """Return the box of a face, as far as it lies in the picture."""
        crop = self._checks.crops[face.face_id]
        box = part_in_picture(face.box, crop.width, crop.height)
        part = box_in_crop(box, crop.area_corners, 1, turns=upright_turns(face.landmarks))
        return box_picture(self._checks.stored(crop), part, pixels)

    def _scale_of_box(self, face: Face, pixels: int) -> float:
        """Return how much the box of a face is enlarged."""
        crop = self._checks.crops[face.face_id]
        box = part_in_picture(face.box, crop.width, crop.height)
        original = max(box.width, box.height)
        return scale_of(pixels, original=original, available=original * crop.side / crop.area.width)

    def _scale_on_template(self, face: Face, side: int) -> float:
        """Return how much an aligned face is enlarged; 0 where its points make no sense, and nothing can be drawn."""
        crop = self._checks.crops[face.face_id]
        try:
            matrix = similarity(face.landmarks, template(side))
        except ItemError:
            return 0.0
        original = side / max(math.hypot(matrix[0, 0], matrix[1, 0]), 1e-6)
        return scale_of(side, original=original, available=original * crop.side / crop.area.width)

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
