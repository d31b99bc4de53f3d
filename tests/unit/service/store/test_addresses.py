"""Addresses of databases: what the driver does not take is told by the name of the setting."""

import pytest

from immich_facesets.errors import SetupError
from service.store.database import age, open_engine


@pytest.mark.parametrize("address", ["postgresql://h:x/d", "http://[", "sqlite+nonsense://x:y/z", "no address"])
def test_what_is_no_address_is_told_by_the_setting(address: str) -> None:
    with pytest.raises(SetupError, match="FACESETS_DATABASE_URL"):
        open_engine(address)


def test_an_option_that_the_driver_does_not_know_is_told_by_the_setting(postgres: str) -> None:
    engine = open_engine(postgres.format(name="postgres") + "&nonsense=1")
    with pytest.raises(SetupError, match="FACESETS_DATABASE_URL has options"):
        age(engine)
