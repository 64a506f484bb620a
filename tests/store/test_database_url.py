"""What a database URL may be; and that no part of a password is ever shown."""

from contextlib import closing

import pytest

from bridge.errors import ConfigError, StoreUnavailable
from bridge.store import ledger_name, open_store

SECRET = "SEKRET"


@pytest.mark.parametrize(
    "password",
    [
        f"pa@ss-{SECRET}",
        f"pa@{SECRET}:x",
        f"{SECRET}@x/y",
        f"2024/{SECRET}",
        f"x/y@{SECRET}",
        f"{SECRET}?x",
        f"x?y@{SECRET}",
        f"{SECRET}#x",
        f"{SECRET}:x",
        f"{SECRET}%zz",
        f"%{SECRET}",
        SECRET,
    ],
)
@pytest.mark.parametrize("user", ["bridge", "bri/dge", ""])
def test_no_part_of_a_password_is_shown(user: str, password: str) -> None:
    url = f"postgresql://{user}:{password}@127.0.0.1:1/db"
    said = []
    try:
        said.append(ledger_name(url))
        with closing(open_store(url)) as store, store.write(timeout=0):
            pass
    except (ConfigError, StoreUnavailable) as error:
        said.append(str(error))
    assert said
    assert SECRET not in "".join(said)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("sqlite:////var/bridge.db", "/var/bridge.db"),
        ("postgres://u:p@db.example/prod", "postgresql://db.example/prod"),
        (
            "postgresql://u:p@db.example:6432/prod?sslmode=require",
            "postgresql://db.example:6432/prod",
        ),
    ],
)
def test_a_ledger_is_named_without_user_and_password(url: str, name: str) -> None:
    assert ledger_name(url) == name
