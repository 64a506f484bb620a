import click
import pytest

from bridge.cli.plans import ledger_name, permit


@pytest.mark.parametrize(
    ("count", "is_local", "is_sure"),
    [(0, False, False), (5, True, False), (5, False, True)],
    ids=["nothing to send", "nobody real", "agreed to"],
)
def test_what_harms_nobody_or_was_agreed_to_passes(
    count: int, *, is_local: bool, is_sure: bool
) -> None:
    permit(count, is_local=is_local, is_sure=is_sure)


def test_real_customers_are_not_reached_without_yes() -> None:
    with pytest.raises(click.ClickException, match="--yes") as caught:
        permit(1, is_local=False, is_sure=False)
    assert caught.value.exit_code == 1


def test_the_ledger_is_named_without_its_password() -> None:
    url = "postgresql://bridge:geheim@db.example:5432/ledger"
    assert ledger_name(url) == "postgresql://db.example/ledger"
    assert ledger_name("sqlite:///bridge.db") == "sqlite:///bridge.db"
