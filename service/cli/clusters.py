"""The ``clusters`` command: it shows the result of the clustering alone."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from immich_facesets.errors import RequestError
from immich_facesets.wording import counted
from service.cli.terminal import print_line, print_remark
from service.computation import compute
from service.passes.context import PassContext
from service.passes.group_inputs.inputs import current_faces, space_in_use
from service.passes.group_inputs.operating_points import points_in_use
from service.progress import ProgressBoard
from service.reports.clusters import ClusterView, check_target, cluster_faces, folders_of, write_view
from service.settings import Settings, load_settings
from service.source_registry import own_folders
from service.storage import open_reading
from service.store import identities, picture_copies
from service.store.folders import folders
from service.store.picture_copies import Copy


def clusters(
    to: Annotated[
        Path, typer.Option(help="The folder to write: a new one, an empty one, or one that this command wrote.")
    ],
    cut: Annotated[
        float | None,
        typer.Option(
            min=0.01, max=2.0, help="The distance at which average linkage is cut; without it, the one in use."
        ),
    ] = None,
    *,
    as_copies: Annotated[bool, typer.Option("--copies", help="Copy files instead of linking to them.")] = False,
    as_links: Annotated[bool, typer.Option("--links", help="Link to files, which is the default.")] = False,
) -> None:
    """
    Write the raw clusters as folders of pictures: what clustering finds before decisions and gates.

    Pictures from Immich are shown as face crops. The folder is never read back, and nothing else is changed.
    """
    if as_copies and as_links:
        raise RequestError("--copies and --links exclude each other", status=400)
    asyncio.run(_clusters(load_settings(), to, cut, is_copied=as_copies))


async def _clusters(settings: Settings, to: Path, cut: float | None, *, is_copied: bool) -> None:
    async with open_reading(settings) as store:
        context = PassContext(store, settings, ProgressBoard(), asyncio.Event())
        closed = [*own_folders(settings), *(folder.root for folder in await store.read(folders))]
        await compute(check_target, to, closed)
        view = await _view(context, cut)
    count = await compute(write_view, to, view, "copies" if is_copied else "links")
    people = len(view.folders) - 2
    alone, faceless = (len(folder.seen) for folder in view.folders[-2:])
    print_line(
        f"Done: {counted(people, 'cluster')}, {counted(alone, 'face')} alone, {counted(faceless, 'picture')} without a "
        f"face, at the cut of {view.cut:g}; {counted(count, 'file')} in {to}."
    )


async def _view(context: PassContext, cut: float | None) -> ClusterView:
    store, space = context.store, await space_in_use(context)
    cut = (await points_in_use(context, space)).cluster if cut is None else cut
    table = await current_faces(store, space)
    print_remark(f"Clustering {counted(len(table), 'face')} ...")
    found = await compute(cluster_faces, table, cut)
    crops = {face.face_id: face for face in await store.read(picture_copies.face_crops, space.space)}
    faceless = [look.sha256 for look in await store.read(picture_copies.looks, space.space) if look.faces == 0]
    places: dict[str, list[Copy]] = {}
    for copy in await store.read(picture_copies.copies, space.space):
        if copy.sha256 is not None:
            places.setdefault(copy.sha256, []).append(copy)
    members = await store.read(identities.all_memberships)
    known = [[(face, gap) for face, gap in cluster if face in crops] for cluster in found]
    folders = folders_of([cluster for cluster in known if cluster], crops, members, faceless)
    return ClusterView(space.space, cut, folders, places, context.crops_dir)
