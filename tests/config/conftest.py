"""A small valid configuration, with changes, in a folder of its own."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from bridge import integrations
from bridge.config import Config, Role, load
from bridge.errors import ConfigError

SERVING = {"VOUCHERIFY_WEBHOOK_SECRET": "test-secret", "ITERABLE_API_KEY": "test-key"}
#: Writes `config.yaml`: (changes of the route, sections) or (text=…).
Write = Callable[..., Path]


def loaded(
    path: Path, env: Mapping[str, str] = SERVING, *, roles: tuple[Role, ...] = ()
) -> Config:
    return load(path, env, *roles, find_integration=integrations.find)


def problems(path: Path, env: Mapping[str, str] = SERVING) -> dict[str, str]:
    """Load a configuration that has problems: what is wrong at each place."""
    with pytest.raises(ConfigError) as caught:
        loaded(path, env, roles=("receive", "deliver"))
    found = {one.path: one.message for one in caught.value.problems}
    assert len(found) == len(caught.value.problems), "one message a place"
    return found


@pytest.fixture
def write(tmp_path: Path) -> Write:
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "a.j2").write_text("{}")

    def written(
        route: dict[str, Any] | None = None, *, text: str | None = None, **sections: Any
    ) -> Path:
        plain = {"name": "a", "match": {}, "campaign_id": 1, "template": "a.j2"}
        routes = {"routes": [plain | (route or {})]}
        known = {"destinations": {"iterable": {"data_center": "us"}}}
        path = tmp_path / "config.yaml"
        whole = yaml.safe_dump(known | routes | sections, sort_keys=False)
        path.write_text(whole if text is None else text)
        return path

    return written
