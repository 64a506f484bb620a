"""Variables and secrets: what is wrong with them is named, and never shown."""

from pathlib import Path

import pytest

from bridge.config import Lookup
from bridge.config.routes import read_lookup
from tests.config.conftest import SERVING, Write, loaded, problems

SECRETS = (
    *("VOUCHERIFY_WEBHOOK_SECRET", "ITERABLE_API_KEY", "ITERABLE_WEBHOOK_SECRET"),
    *("BRIDGE_INBOUND_TOKEN", "BRIDGE_CONSOLE_PASSWORD", "BRIDGE_METRICS_TOKEN"),
)


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize(
    ("value", "says"),
    [
        ('"whisper"', "quote"),
        ("'whisper'", "quote"),
        ("whisper'", "quote"),
        (" whisper ", "has blanks around it"),
        ("${whisper}", "has ${…} in it"),
        ("whis", "is too short: at least 6 characters"),
        (b"\xffwhisper".decode("utf-8", "surrogateescape"), "is not UTF-8"),
    ],
)
def test_a_secret_that_is_none_is_named_and_not_shown(
    write: Write, name: str, value: str, says: str
) -> None:
    found = problems(write(), SERVING | {name: value})
    assert found.keys() == {name}
    assert says in found[name]
    assert "whis" not in str(found)


def test_one_value_for_two_purposes_is_a_problem(write: Write) -> None:
    env = SERVING | {"BRIDGE_METRICS_TOKEN": SERVING["ITERABLE_API_KEY"]}
    found = problems(write(), env)
    assert "has the same value as ITERABLE_API_KEY" in found["BRIDGE_METRICS_TOKEN"]


def test_a_secret_may_be_in_a_file(write: Write, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("from-a-file\n")
    env = {
        "VOUCHERIFY_WEBHOOK_SECRET": "test-secret",
        "ITERABLE_API_KEY_FILE": str(file),
    }
    assert (
        loaded(write(), env).destinations["iterable"].secret("api_key") == "from-a-file"
    )
    both = problems(write(), env | {"ITERABLE_API_KEY": "from-a-variable"})
    assert "set only one of them" in both["ITERABLE_API_KEY"]
    file.unlink()
    gone = problems(write(), env)
    assert "cannot be read" in gone["ITERABLE_API_KEY_FILE"]


def test_an_inbound_token_is_enough_to_receive(write: Write) -> None:
    env = {"BRIDGE_INBOUND_TOKEN": "token-a, token-b", "ITERABLE_API_KEY": "test-key"}
    config = loaded(write(), env, roles=("receive", "deliver"))
    assert config.inbound_tokens == ("token-a", "token-b")
    missing = problems(write(), {"ITERABLE_API_KEY": "test-key"})
    assert "nor is BRIDGE_INBOUND_TOKEN" in missing["VOUCHERIFY_WEBHOOK_SECRET"]


def test_each_role_needs_its_own_secrets(write: Write) -> None:
    assert loaded(write(), {}).destinations["iterable"].secret("api_key") == ""
    with pytest.raises(Exception, match="VOUCHERIFY_APP_ID") as caught:
        loaded(write(), {}, roles=("ask",))
    assert "VOUCHERIFY_APP_TOKEN" in str(caught.value)


def test_the_file_may_rename_variables(write: Write) -> None:
    path = write(environment={"ITERABLE_API_KEY": "MY_KEY", "PORT": "MY_PORT"})
    config = loaded(path, SERVING | {"MY_KEY": "my-own-key", "MY_PORT": "81"})
    assert config.destinations["iterable"].secret("api_key") == "my-own-key"
    assert config.port == 81


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("mysql://u:p@h/d", "must begin with sqlite:/// or postgresql://"),
        ("bridge.db", "must begin with sqlite:/// or postgresql://"),
        ("sqlite://bridge.db", "needs three slashes"),
        ("sqlite:///:memory:", "must name a file"),
        ("sqlite://", "must name a file"),
        ("sqlite:///a?mode=ro", "takes no parameters"),
        ("sqlite:///a\x00b", "characters that are not allowed"),
    ],
)
def test_a_database_url_that_names_none_is_a_problem(
    write: Write, url: str, says: str
) -> None:
    assert says in problems(write(), SERVING | {"DATABASE_URL": url})["DATABASE_URL"]


def test_a_file_is_refused_where_the_disk_forgets(write: Write) -> None:
    found = problems(write(), SERVING | {"DYNO": "web.1"})
    assert "a dyno loses its files" in found["DATABASE_URL"]
    config = loaded(write(), {"DYNO": "web.1", "BRIDGE_EPHEMERAL_DISK": "accept"})
    assert (config.proxies, config.metrics.is_open) == (1, False)


@pytest.mark.parametrize(
    "url",
    [
        *("ftp://127.0.0.1", "nonsense", "https://h:notaport", "https://h:99999"),
        *("https://[::1", "https://a b", "https://u:whisper@h", "https://a..b"),
        *("https://h?whisper", "https://h#x", "https:///path", "http://api.example"),
        *("http://127.0.0.1.example.com", "https://api.iterable.com/api/"),
    ],
)
def test_a_base_url_that_is_none_is_named_and_not_shown(write: Write, url: str) -> None:
    found = problems(write(), SERVING | {"ITERABLE_BASE_URL": url})
    assert found.keys() == {"ITERABLE_BASE_URL"}
    assert "whisper" not in str(found)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "x"),
        ("PORT", "70000"),
        ("WEB_CONCURRENCY", "0"),
        ("LOG_LEVEL", "LOUD"),
        ("LOG_FORMAT", "xml"),
        ("ALERT_WEBHOOK_URL", "http://alerts.example"),
        ("ITERABLE_API_KEY", "schl\u00fcssel"),
    ],
)
def test_a_senseless_variable_is_named(write: Write, name: str, value: str) -> None:
    assert problems(write(), SERVING | {name: value}).keys() == {name}


def test_secrets_never_show_in_a_representation(write: Write) -> None:
    names = (*SECRETS, "VOUCHERIFY_APP_ID", "VOUCHERIFY_APP_TOKEN", "ALERT_WEBHOOK_URL")
    env = {name: f"whisper-{index}" for index, name in enumerate(names)}
    env["ALERT_WEBHOOK_URL"] = "https://whisper.example"
    env["DATABASE_URL"] = "postgresql://u:whisper@h/d"
    assert "whisper" not in repr(loaded(write(), env))


def test_a_table_saved_by_a_spreadsheet_is_read(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_bytes(
        "\ufefffrom,user_id\r\ncrm-1,u-1\r\n\r\nBo@X.example,u-2\r\n".encode()
    )
    lookup = read_lookup(path)
    assert isinstance(lookup, Lookup)
    assert (lookup.find("crm-1"), lookup.find("CRM-1")) == ("u-1", None)
    assert lookup.find("bo@x.EXAMPLE") == "u-2"
