"""Regions merged into sidecars that others wrote: nothing of theirs is changed, as ExifTool and the bytes tell."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from immich_facesets.exports.xmp import Frame, PictureRegions, regions_in, sidecar
from immich_facesets.exports.xmp_merge import Merged, merge_regions
from immich_facesets.exports.xmp_packet import Unreadable
from immich_facesets.faces import Box

FRAME = Frame(400, 300, 1)
PEOPLE = {"Anna": Box(40, 60, 120, 160), 'Ben "B" <& Söhne>': Box(300, 200, 380, 280)}
OURS = regions_in(PEOPLE.items(), FRAME)

ZOE = """
     <r:li r:parseType="Resource">
      <mwg:Name>Zoë</mwg:Name><mwg:Type>Face</mwg:Type><!-- by hand -->
      <mwg:Area s:h="0.1" s:w="0.1" s:x="0.5" s:y="0.5" s:unit="normalized"/>
     </r:li>"""
DOG = """
     <r:li><r:Description mwg:Name="Rex" mwg:Type="Pet"><mwg:Area r:parseType="Resource"><s:x>0.2</s:x><s:y>0.37</s:y>
       <s:w>0.2</s:w><s:h>0.3</s:h></mwg:Area></r:Description></r:li>"""


def packet(inner: str = "", *, root: str = "x:xmpmeta", end: str = "<?xpacket end='w'?>") -> bytes:
    """A sidecar of another program: other prefixes, keywords, a comment, and whatever stands in ``inner``."""
    return f"""<?xpacket begin='\ufeff' id='W5M0MpCehiHzreSzNTczkc9d'?>
<{root} xmlns:x='adobe:ns:meta/'>\r
<r:RDF xmlns:r='http://www.w3.org/1999/02/22-rdf-syntax-ns#'
  xmlns:mwg="http://www.metadataworkinggroup.com/schemas/regions/" xmlns:s="http://ns.adobe.com/xmp/sType/Area#"
  xmlns:d="http://ns.adobe.com/xap/1.0/sType/Dimensions#">
 <r:Description r:about='uuid:7' xmlns:dc='http://purl.org/dc/elements/1.1/' dc:format="a b" dc:source='1 > 0'>
  <dc:subject><r:Bag><r:li>cat &amp; dog</r:li></r:Bag></dc:subject><!-- kept -->
{inner} </r:Description>
</r:RDF>
</{root}>
{end}""".encode()


def regions(*items: str, size: str = '<mwg:AppliedToDimensions d:w="400" d:h="300" d:unit="pixel"/>') -> str:
    body = "".join(items)
    return f"""  <mwg:Regions r:parseType="Resource">{size}
    <mwg:RegionList><r:Bag>{body}
    </r:Bag></mwg:RegionList>
   </mwg:Regions>
"""


OTHERS = {
    "no regions": packet(),
    "regions of others": packet(regions(ZOE, DOG)),
    "an empty list": packet(regions()),
    "an empty tag": packet(
        '<mwg:Regions r:parseType="Resource"><mwg:RegionList><r:Bag /></mwg:RegionList></mwg:Regions>'
    ),
    "no list": packet('<mwg:Regions r:parseType="Resource"/>'),
    "a description inside": packet(
        f"<mwg:Regions><r:Description><mwg:RegionList><r:Seq>{ZOE}</r:Seq></mwg:RegionList></r:Description></mwg:Regions>"
    ),
    "a reduced copy's size": packet(regions(ZOE, size='<mwg:AppliedToDimensions d:w="101" d:h="76" d:unit="pixel"/>')),
    "nothing at all": b'<r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#"/>',
    "a byte order mark": b"\xef\xbb\xbf" + packet(regions(ZOE)),
    "another root": packet(regions(ZOE), root="x:xapmeta", end=""),
}


def merged(body: bytes, frame: Frame = FRAME, **people: Box) -> Merged:
    return merge_regions(body, regions_in((people or PEOPLE).items(), frame), frame)


def exiftool(folder: Path, *arguments: str, body: bytes) -> bytes:
    """The sidecar as ExifTool rewrites it."""
    if shutil.which("exiftool") is None:
        pytest.skip("ExifTool is not installed: on Debian it is libimage-exiftool-perl, which 'make setup' installs")
    path = folder / "a.xmp"
    path.write_bytes(body)
    subprocess.run(
        ["exiftool", "-config", "", "-q", "-overwrite_original", *arguments, str(path)], check=True, timeout=60
    )
    return path.read_bytes()


def told_by_exiftool(folder: Path, body: bytes) -> dict[str, Any]:
    if shutil.which("exiftool") is None:
        pytest.skip("ExifTool is not installed: on Debian it is libimage-exiftool-perl, which 'make setup' installs")
    path = folder / "told.xmp"
    path.write_bytes(body)
    command = ["exiftool", "-config", "", "-json", "-struct", "-validate", "-warning", "-XMP:all", str(path)]
    (found,) = json.loads(subprocess.run(command, capture_output=True, check=True, timeout=60).stdout)
    assert "Warning" not in found
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("kind", OTHERS)
def test_every_byte_of_others_stays_and_the_regions_are_added_once(kind: str) -> None:
    body = OTHERS[kind]
    first = merged(body)
    assert (first.added, first.removed, first.foreign) == (2, 0, 0)
    rest = iter(first.body)  # what was there is a subsequence: only insertions happened
    assert all(byte in rest for byte in body.replace(b"<r:Bag />", b"<r:Bag>").replace(b'Resource"/>', b'Resource">'))
    assert merged(first.body) == Merged(first.body, 0, 0, 0)


@pytest.mark.parametrize("kind", ["no regions", "regions of others", "a description inside", "another root"])
def test_taking_our_regions_away_gives_back_the_very_file(kind: str) -> None:
    taken = merge_regions(merged(OTHERS[kind]).body, [], FRAME)
    assert (taken.added, taken.removed) == (0, 2)
    assert taken.body == OTHERS[kind]


def test_an_external_reader_finds_both_regions_keywords_and_properties(tmp_path: Path) -> None:
    found = told_by_exiftool(tmp_path, merged(OTHERS["regions of others"]).body)
    names = [region["Name"] for region in found["RegionInfo"]["RegionList"]]
    assert names == ["Zoë", "Rex", "Anna", 'Ben "B" <& Söhne>']
    assert [region["PersonDisplayName"] for region in found["RegionInfoMP"]["Regions"]] == list(PEOPLE)
    assert (found["Subject"], found["Format"]) == (["cat & dog"], "a b")
    area = found["RegionInfo"]["RegionList"][2]["Area"]
    assert [float(area[key]) for key in "XYWH"] == [0.2, 0.366667, 0.2, 0.333333]


def test_our_regions_stay_ours_when_another_program_has_rewritten_the_file(tmp_path: Path) -> None:
    more = ["-XMP-dc:Subject+=bird", "-RegionList+={Name=Zed,Type=Face,Area={X=0.6,Y=0.1,W=0.1,H=0.1,Unit=normalized}}"]
    rewritten = exiftool(tmp_path, *more, body=merged(OTHERS["regions of others"]).body)
    assert merged(rewritten) == Merged(rewritten, 0, 0, 0)
    moved = merged(rewritten, Anna=Box(50, 60, 120, 160))
    assert (moved.added, moved.removed) == (1, 2)
    found = told_by_exiftool(tmp_path, moved.body)
    assert [region["Name"] for region in found["RegionInfo"]["RegionList"]] == ["Zoë", "Rex", "Zed", "Anna"]
    assert found["Subject"] == ["cat & dog", "bird"]


@pytest.mark.parametrize(("before", "after"), [(b">Anna<", b">Anne<"), (b'x="0.200000"', b'x="0.210000"')])
def test_a_region_of_ours_that_was_changed_by_hand_is_never_touched_again(before: bytes, after: bytes) -> None:
    by_hand = merged(OTHERS["no regions"]).body.replace(before, after)
    again = merged(by_hand)
    assert again.foreign == 1
    assert after in again.body
    assert again.body.count(b"<mwg-rs:Name>") == 2
    gone = merge_regions(by_hand, [], FRAME).body
    assert after in gone
    assert b"Ben" not in gone


def test_a_field_that_was_added_to_our_region_makes_it_theirs() -> None:
    extended = merged(OTHERS["no regions"]).body.replace(
        b"<mwg-rs:Name>Anna", b"<mwg-rs:Description>my aunt</mwg-rs:Description><mwg-rs:Name>Anna"
    )
    assert b"my aunt" in merge_regions(extended, [], FRAME).body


def test_who_is_named_there_already_gets_no_second_region() -> None:
    others = packet(regions(ZOE))
    assert merged(others, Somebody=Box(180, 135, 220, 165)) == Merged(others, 0, 0, 1)  # on Zoë's place
    assert merged(others, ZOË=Box(20, 20, 60, 60)) == Merged(others, 0, 0, 1)  # the same name, placed elsewhere
    assert merged(others, Somebody=Box(20, 20, 60, 60)).added == 1
    nameless = packet(regions(ZOE.replace("Zoë", "")))
    assert merged(nameless, Somebody=Box(180, 135, 220, 165)).added == 1
    assert merged(packet(regions(DOG)), Anna=PEOPLE["Anna"]).added == 1  # a pet is no face


def test_regions_follow_the_names_and_places_that_are_known_now() -> None:
    before = merged(OTHERS["regions of others"]).body
    renamed = merged(before, Anne=PEOPLE["Anna"])
    assert (renamed.added, renamed.removed) == (1, 2)
    assert merged(renamed.body, Anne=PEOPLE["Anna"]).body == renamed.body


def test_a_sidecar_that_was_copied_from_the_tree_is_ours_as_a_whole() -> None:
    copied = sidecar(PictureRegions(FRAME, OURS))
    assert merged(copied) == Merged(copied, 0, 0, 0)
    assert b"Description" not in merge_regions(copied, [], FRAME).body
    turned = merged(copied, Frame(300, 400, 1))
    assert b'stDim:w="300" stDim:h="400"' in turned.body
    assert b'stDim:w="400"' not in turned.body


def test_regions_about_a_picture_of_another_shape_get_none_beside_them() -> None:
    others = packet(regions(ZOE))
    with pytest.raises(Unreadable, match="another shape"):
        merged(others, Frame(300, 400, 1))
    assert merged(others, Frame(300, 400, 6), Anna=PEOPLE["Anna"]).added == 1  # stored as 400 x 300
    assert merge_regions(others, [], Frame(300, 400, 1)).body == others


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "empty"),
        (b"  \n", "empty"),
        (packet()[:-60], "no well-formed XML"),
        (packet().replace(b"</dc:subject>", b"</dc:object>"), "no well-formed XML"),
        (b"\x00\x01binary", "no well-formed XML"),
        (packet().decode().encode("utf-16"), "not in UTF-8"),
        (b"<?xml version='1.0' encoding='latin-1'?><a/>", "not in UTF-8"),
        (b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "document type"),
        (b"<a/>", "no XMP"),
        (packet() + packet(), "no well-formed XML"),
        (packet(regions() + regions()), "does not know"),
        (packet("<mwg:Regions/>"), "does not know"),
        (
            packet('<mwg:Regions r:parseType="Resource"><mwg:RegionList>x</mwg:RegionList></mwg:Regions>'),
            "does not know",
        ),
        (b"<a>" * 200 + b"</a>" * 200, "too deep"),
        (b" " * (16 << 20) + b"<a/>", "larger than 16 MiB"),
    ],
)
def test_what_is_no_sidecar_is_refused_with_its_reason(body: bytes, told: str) -> None:
    with pytest.raises(Unreadable, match=told):
        merged(body)
