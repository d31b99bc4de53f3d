"""The ``models`` commands: list, install and verify recognition models. Nothing is downloaded."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from immich_facesets.errors import SetupError
from immich_facesets.model_packs import PACKS
from immich_facesets.runtime.model_folder import install_from_archive, list_packs, verify_pack
from immich_facesets.runtime.shutdown import ExitCode
from service.cli.terminal import out, plain, print_line, print_remark
from service.settings import load_settings

models = typer.Typer(help="The recognition models on this machine.", no_args_is_help=True)


@models.command("list")
def list_models() -> None:
    """List the known model packs, and which of them are installed."""
    settings = load_settings()
    installed = {pack.name: pack for pack in list_packs(settings.models_dir)}
    table = Table("Pack", "Installed", "Recorded", "Licence", box=None)
    remarks: list[str] = []
    for name in sorted({*PACKS, *installed}):
        pack = installed.get(name)
        licence = pack.licence if pack is not None else PACKS[name].licence
        in_use = " (in use)" if name == settings.model_pack else ""
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
    pack: Annotated[str, typer.Argument(help="What to call the pack, such as buffalo_l.")],
    archive: Annotated[
        Path, typer.Option("--from", help="The zip archive or folder with its .onnx files, or one such file.")
    ],
    *,
    accept_license: Annotated[
        bool, typer.Option("--accept-license", help="You have read and accept its licence.")
    ] = False,
) -> None:
    """Install a pack from a local file, or add to it, and record the digests of its models."""
    settings = load_settings()
    installed = install_from_archive(archive, settings.models_dir, pack, accept_license=accept_license)
    print_line(f"Installed {installed.name}: {', '.join(installed.files)}")
    print_line(f"Licence: {installed.licence}")
    for name in installed.unpublished:
        print_remark(f"{name} is not the file that was published under this name; was it converted?")


@models.command("verify")
def verify(pack: Annotated[str | None, typer.Argument(help="The pack; the one in use otherwise.")] = None) -> int:
    """Compare the files of a pack with the digests recorded at its installation."""
    settings = load_settings()
    name = pack or settings.model_pack
    differences = verify_pack(settings.models_dir, name)
    if not differences:
        print_line(f"{name}: every file is as it was installed")
        return ExitCode.STOPPED
    for difference in differences:
        print_remark(f"{name}/{difference.file}: {difference.problem}")
    raise SetupError(
        f"the pack {name} is not as it was installed: install it again with 'immich-facesets models install'"
    )
