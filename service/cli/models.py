"""The ``models`` commands: list, install and verify recognition models. Nothing is downloaded."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from immich_facesets.errors import SetupError
from immich_facesets.model_packs import FREE_PACK, PACKS
from immich_facesets.runtime.free_pack import install_free_pack
from immich_facesets.runtime.model_folder import list_packs, verify_pack
from immich_facesets.runtime.pack_choice import choose_pack
from immich_facesets.runtime.pack_installation import install_from_archive
from immich_facesets.runtime.shutdown import ExitCode
from service.cli.terminal import out, plain, print_line, print_remark
from service.settings import load_settings

models = typer.Typer(help="List, install and verify the recognition models on this machine.", no_args_is_help=True)


@models.command("list")
def list_models() -> None:
    """List the known model packs, and which of them are installed."""
    settings = load_settings()
    installed = {pack.name: pack for pack in list_packs(settings.models_dir)}
    used = settings.model_pack or (choose_pack(settings.models_dir).name if installed else "")
    table = Table("Pack", "Installed", "Recorded", "Licence", box=None)
    remarks: list[str] = []
    for name in sorted({*PACKS, *installed}):
        pack = installed.get(name)
        licence = pack.licence if pack is not None else PACKS[name].licence
        in_use = " (in use)" if name == used else ""
        recorded = "" if pack is None else "yes" if pack.digests is not None else "no"
        table.add_row(plain(f"{name}{in_use}"), "yes" if pack is not None else "no", recorded, plain(licence))
        if name in PACKS and PACKS[name].remark:
            remarks.append(f"{name}: {PACKS[name].remark}")
        if pack is not None and pack.unpublished:
            remarks.append(f"{name}: not the files published under these names: {', '.join(pack.unpublished)}")
    out.print(table)
    out.print()
    for remark in remarks:
        print_line(remark)


@models.command("install")
def install(
    pack: Annotated[str, typer.Argument(help="The name of the pack, such as buffalo_l.")],
    archive: Annotated[
        Path | None,
        typer.Option("--from", help="The zip archive or folder with its .onnx files, or one such file."),
    ] = None,
    *,
    accept_license: Annotated[
        bool, typer.Option("--accept-license", help="You have read and accept its licence.")
    ] = False,
) -> None:
    """
    Install a pack from a local file, or add to it, and record the digests of its models.

    The free pack needs no file: it comes with the program.
    """
    settings = load_settings()
    if archive is not None:
        installed = install_from_archive(archive, settings.models_dir, pack, accept_license=accept_license)
    elif pack == FREE_PACK:
        installed = install_free_pack(settings.models_dir)
    else:
        raise SetupError(f"name the file that holds {pack}: immich-facesets models install {pack} --from FILE")
    print_line(f"Installed {installed.name}: {', '.join(installed.files)}")
    print_line(f"Licence: {installed.licence}")
    for name in installed.unpublished:
        print_remark(f"{name} is not the file that was published under this name; was it converted?")


@models.command("verify")
def verify(
    pack: Annotated[str | None, typer.Argument(help="The pack to compare; without it, the one in use.")] = None,
) -> int:
    """Compare the files of a pack with the digests recorded at its installation."""
    settings = load_settings()
    name = pack or choose_pack(settings.models_dir, settings.model_pack).name
    differences = verify_pack(settings.models_dir, name)
    if not differences:
        print_line(f"{name}: every file is as it was installed")
        return ExitCode.STOPPED
    for difference in differences:
        print_remark(f"{name}/{difference.file}: {difference.problem}")
    raise SetupError(
        f"the pack {name} is not as it was installed: install it again with 'immich-facesets models install'"
    )
