"""Pictures of cuts, as exports show them. Everything here blocks."""

from dataclasses import dataclass

from immich_facesets.exports.crops import AlphaMask, cut_picture
from immich_facesets.exports.cuts import Framing, box_in_cut, size_of, upright_size
from immich_facesets.exports.picture_encoding import PictureFormat, encoded
from immich_facesets.exports.profile import PictureFile
from immich_facesets.faces import Box, Face
from immich_facesets.quality.pose import upright_turns
from service.files.crops import read_crop
from service.passes.context import PassContext
from service.passes.publishing.cuts import Cuts
from service.passes.publishing.mask_rendering import hides, with_mask_file


@dataclass(frozen=True, slots=True)
class CutDrawing:
    """Renders the cuts that were prepared."""

    context: PassContext
    cuts: Cuts

    def picture(
        self,
        face: Face,
        framing: Framing,
        pixels: int,
        texts: dict[str, str],
        picture_format: PictureFormat,
        *,
        is_transparent: bool,
        has_mask_file: bool,
    ) -> PictureFile:
        """
        Return the picture of a prepared cut, with as many pixels as a square of ``pixels`` at most.

        ``is_transparent``: whether it is transparent where other faces are; ``has_mask_file``: whether its reader takes masks
        as files.
        """
        cut = self.cuts.of(face, framing)
        if cut is None:
            raise ValueError("the cut was not prepared")
        turns = upright_turns(face.landmarks)
        size = size_of(*upright_size(*cut.size, turns), pixels)

        def placed(box: Box) -> Box:
            return box_in_cut(box, cut.area, size, turns)

        strangers = self.cuts.strangers(face, framing) if is_transparent or has_mask_file else ()
        hidden = AlphaMask(tuple(map(placed, strangers)), placed(face.box), Box(0.0, 0.0, *size))
        mask = hidden if is_transparent and hides(hidden, size) else None

        def encode() -> bytes:
            shown = cut_picture(read_crop(self.context.crops_dir, cut.file), turns, size)
            return encoded(shown if mask is None else mask.put_on(shown), texts, picture_format)

        area = cut.area
        scale = round(size[0] / (area.height if turns % 2 else area.width), 3)
        key = (face.face_id, cut.file, tuple(texts.items()), size, mask, picture_format)
        made = PictureFile(
            key,
            encode,
            min(1.0, scale),
            has_alpha_mask=mask is not None,
            facts={
                "framing": framing,
                "area": _rounded(area),
                "cut_sha256": cut.sha256,
                "masked": [_rounded(box) for box in strangers],
            },
        )
        return with_mask_file(made, hidden, size, texts) if has_mask_file else made


def _rounded(box: Box) -> list[float]:
    return [round(edge, 1) for edge in (box.x1, box.y1, box.x2, box.y2)]
