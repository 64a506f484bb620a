"""What a running program's `/metrics` says."""

import requests
from prometheus_client.parser import text_string_to_metric_families

#: A value by its labels, in the order of their names.
Series = dict[tuple[str, ...], float]


def scrape(url: str, **headers: str) -> dict[str, Series]:
    """Read the page: every series by name, over a connection of its own."""
    answer = requests.get(f"{url}/metrics", headers=headers, timeout=60)
    assert answer.status_code == 200, answer.text
    found: dict[str, Series] = {}
    for family in text_string_to_metric_families(answer.text):
        for one in family.samples:
            labels = tuple(value for _, value in sorted(one.labels.items()))
            found.setdefault(one.name, {})[labels] = one.value
    return found
