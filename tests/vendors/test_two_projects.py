"""Two projects of each vendor in one configuration: nothing reaches the wrong one."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.product.program import KEY, ROUTE, SECRET, Program, new_person, sign, webhook
from tests.product.program import compact as as_json
from tests.product.recorder import Answer, Iterable

EU_SECRET, EU_KEY = "vf-eu-secret-2", "itbl-eu-key-abcdef0123456789"
EU_HOOK = "/webhooks/voucherify-eu"
BAD_KEY = Answer(status=401, body={"msg": "no", "code": "BadApiKey", "params": None})


@dataclass(frozen=True, slots=True, kw_only=True)
class Projects:
    """A program between two Voucherify and two Iterable projects."""

    program: Program
    us: Iterable
    eu: Iterable

    def accept_eu(self, person: str) -> str:
        """Post a webhook of the second Voucherify project; give its delivery."""
        body = as_json(webhook(person))
        headers = {"x-voucherify-signature": sign(body, EU_SECRET)}
        answer = self.program.post(body, EU_HOOK, headers=headers)
        assert answer.status_code == 202, answer.text
        [delivery] = answer.json()["deliveries"]
        return str(delivery)


@pytest.fixture
def projects(program: Program) -> Iterator[Projects]:
    """Two routes, each from its source to its destination; not started."""
    eu = Iterable()
    program.env |= {"EU_SECRET": EU_SECRET, "EU_KEY": EU_KEY}
    second = {"kind": "iterable", "api_key": "EU_KEY", "base_url": eu.url}
    names = {"app_id": "EU_APP_ID", "app_token": "EU_APP_TOKEN"}
    program.configure(
        sources={
            "voucherify": {},
            "voucherify-eu": {"kind": "voucherify", "secret": "EU_SECRET", **names},
        },
        destinations={
            "iterable": program.config["destinations"]["iterable"],
            "iterable-eu": {"rate_per_second": 1000, "timeout": "2s", **second},
        },
        routes=[
            {**ROUTE, "name": "us", "from": "voucherify", "to": "iterable"},
            {**ROUTE, "name": "eu", "from": "voucherify-eu", "to": "iterable-eu"},
        ],
    )
    yield Projects(program=program, us=program.iterable, eu=eu)
    eu.stop()


def test_each_reward_reaches_the_project_its_route_names(projects: Projects) -> None:
    program = projects.program
    program.start()
    american, european = new_person(), new_person()
    [first] = program.accept(webhook(american))
    second = projects.accept_eu(european)
    rows = program.settled([first, second])
    assert [row["status"] for row in rows] == ["accepted", "accepted"]
    assert [row["destination"] for row in rows] == ["iterable", "iterable-eu"]
    for iterable, person, key in (
        (projects.us, american, KEY),
        (projects.eu, european, EU_KEY),
    ):
        [call] = iterable.attempts()
        assert (call.person, call.headers["api-key"]) == (person, key)


def test_a_secret_authenticates_its_own_project_only(projects: Projects) -> None:
    program = projects.program
    program.start("--no-deliver")
    body = as_json(webhook())
    for path, secret in (("/webhooks/voucherify", EU_SECRET), (EU_HOOK, SECRET)):
        headers = {"x-voucherify-signature": sign(body, secret)}
        assert program.post(body, path, headers=headers).status_code == 401


@pytest.mark.parametrize("wrong", ["iterable", "iterable-eu"])
def test_a_wrong_key_stops_its_own_project_and_the_other_keeps_sending(
    projects: Projects, wrong: str
) -> None:
    program = projects.program
    stopped, running = projects.us, projects.eu
    if wrong == "iterable-eu":
        stopped, running = running, stopped
    stopped.tell(BAD_KEY, times=None)
    program.start()

    def accept(iterable: Iterable) -> tuple[str, str]:
        person = new_person()
        if iterable is projects.eu:
            return person, projects.accept_eu(person)
        return person, program.accept(webhook(person))[0]

    first, _ = accept(stopped)
    line = program.await_log("circuit.opened")
    assert line["circuit"].endswith(f":{wrong}")
    late, waiting = accept(stopped)
    people = [accept(running)[0] for _ in range(5)]
    running.arrived(*people)
    assert program.delivery(waiting)["delivery"]["status"] == "pending"
    stopped.forget()
    program.run("resume", wrong, "--yes")
    stopped.arrived(first, late)
    assert program.at_rest(waiting)["status"] == "accepted"
