"""The data folder that a database belongs to: the two hold one library, and neither is complete without the other."""

import msgspec
from sqlalchemy import Connection

from service.store.named_values import read_value, write_value
from service.store.upsert import BOOKKEEPING

_FACT = "data_folder"


class DataFolder(msgspec.Struct, frozen=True):
    """The id of a data folder, and where it was when it was last used: ``place`` is a path, on the machine ``host``."""

    id: str
    place: str
    host: str


def data_folder(tx: Connection) -> DataFolder | None:
    """Return the data folder that this database belongs to; None before the first use, or when it is not readable."""
    try:
        return msgspec.convert(read_value(tx, _FACT), DataFolder | None)
    except msgspec.ValidationError:
        return None


def claim_data_folder(tx: Connection, folder: DataFolder) -> DataFolder:
    """Make the database belong to this folder, unless it belongs to another one; return its folder."""
    owner = data_folder(tx)
    if owner is not None and owner.id != folder.id:
        return owner
    if owner != folder:
        write_value(tx, _FACT, msgspec.to_builtins(folder), options=BOOKKEEPING)
    return folder
