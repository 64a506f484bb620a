"""What webhooks did not bring: from Voucherify's list to the message at Iterable."""

import json
import os
import signal

import pytest

from tests import starting
from tests.e2e.program import Program, envelope, wait_for
from tests.integration.voucherify_list import (
    APP_ID,
    APP_TOKEN,
    Answer,
    Project,
    ago,
    listed,
    serving,
)

pytestmark = pytest.mark.e2e

BACKFILL = ("reconcile", "--since", "1h", "--backfill", "--json")


def project(count: int) -> Project:
    """List the publications of which `envelope` makes the webhooks."""
    found = Project()
    for number in range(count):
        data = json.loads(envelope(number))["data"]
        voucher = data["voucher"] | {"discount": {"type": "PERCENT"}}
        one = data["publication"] | {
            "created_at": ago(1 + number / 60),
            "customer_id": data["customer"]["id"],
            "customer": data["customer"],
            "result": "SUCCESS",
            "voucher": {name: voucher[name] for name in ("code", "campaign")},
        }
        found.publications.append(one)
        found.vouchers.append(voucher)
    return found


def configure(program: Program, url: str) -> None:
    program.env |= {
        "VOUCHERIFY_APP_ID": APP_ID,
        "VOUCHERIFY_APP_TOKEN": APP_TOKEN,
        "VOUCHERIFY_BASE_URL": url,
    }


def test_each_reward_reaches_iterable_once_whichever_way_it_came(
    program: Program,
) -> None:
    """Some come by webhook, some by backfill, all by webhook again much later."""
    program.start()
    with serving(project(8)) as url:
        configure(program, url)
        for number in range(5):
            assert program.post(envelope(number)).status_code == 202
        lines = [json.loads(line) for line in program.run(*BACKFILL).splitlines()]
        named = {one["publication_id"] for one in lines if "finding" in one}
        assert named == {"pub_5", "pub_6", "pub_7"}
        assert program.run(*BACKFILL) == ""
    for number in range(8):
        assert program.post(envelope(number)).json()["status"] == "duplicate"
    wait_for(lambda: program.statuses() == {"accepted": 8})
    codes = [one.body["dataFields"]["couponCode"] for one in program.accepted()]
    assert sorted(codes) == [f"CODE-{number:06}" for number in range(8)]


def test_an_interrupted_backfill_does_the_rest_the_next_time(program: Program) -> None:
    found = project(40)
    with serving(found) as url:
        configure(program, url)
        program.run("migrate")
        process = program.beside(*BACKFILL)
        wait_for(program.deliveries)
        process.send_signal(signal.SIGINT)
        process.wait(60)
        before = {one.key for one in program.deliveries()}
        program.run(*BACKFILL)
        assert before
        keys = [one.key for one in program.deliveries()]
        assert len(keys) == len(set(keys)) == 40
        assert program.run(*BACKFILL) == ""


def test_a_list_that_breaks_off_half_way_backfills_nothing(program: Program) -> None:
    found = project(150)
    with serving(found) as url:
        configure(program, url)
        broken = Answer(402, {"code": 402})
        found.page = lambda number, size: (
            listed(found.publications, number, size) if number == 1 else broken
        )
        program.run(*BACKFILL, status=1)
        assert program.deliveries() == []


def test_each_stage_shows_its_progress_on_a_terminal(program: Program) -> None:
    terminal, stderr = os.openpty()
    with (
        serving(project(3)) as url,
        os.fdopen(terminal, "rb", buffering=0) as shown,
        os.fdopen(stderr) as end,
    ):
        configure(program, url)
        program.run("replay", "-", stdin=envelope(0).decode())
        process = starting.start(
            *BACKFILL, folder=program.folder, env=program.env, out=end, err=end
        )
        assert process.wait(60) == 0
        said = shown.read(65536).decode()
    stages = (
        "reading Voucherify's list",
        "reading the ledger",
        "looking up",
        "backfill",
    )
    assert [stage for stage in stages if stage in said] == list(stages)
