"""Lines of the demo about its users."""

from pydantic import SecretStr

from service.cli.demo import keys_of
from service.users import User


def test_each_user_of_the_demo_can_be_logged_in_as() -> None:
    users = [User(name=name, api_key=SecretStr(f"key-of-{name}")) for name in ("anna", "ben")]
    for line, user in zip(keys_of(users), users, strict=True):
        assert user.name in line
        assert line.endswith(f": key-of-{user.name}")
