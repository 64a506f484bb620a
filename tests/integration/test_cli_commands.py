"""Commands beside a real store and real templates; no server runs."""

import json
import logging
import os
import stat
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from bridge.capture import read
from bridge.cli import main
from bridge.model import Cause, Lane, Settlement
from bridge.resources import example_config, samples
from bridge.store import open_store

pytestmark = pytest.mark.integration

Run = Callable[..., Result]
SAMPLES = samples() / "voucherify"
COUPON = SAMPLES / "01_project_voucher_published_discount.json"
REFERRAL = SAMPLES / "14_distribution_customer_rewarded_referral_coupon.json"
MATERIAL = SAMPLES / "07_project_customer_rewarded_material.json"
ANSWER = SAMPLES / "api_publication_single.json"


@pytest.fixture(autouse=True)
def _root_logger() -> Iterator[None]:
    """Give the root logger back as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def database(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/bridge.db"


@pytest.fixture
def run(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command in this process, with Iterable on loopback."""
    monkeypatch.chdir(tmp_path)
    env = {
        "BRIDGE_CONFIG": str(example_config()),
        "DATABASE_URL": database,
        "ITERABLE_BASE_URL": "http://127.0.0.1:9",
        "ITERABLE_API_KEY": "key",
        "VOUCHERIFY_WEBHOOK_SECRET": "secret",
    }

    def run(*arguments: object, status: int = 0, **extra: str) -> Result:
        result = CliRunner().invoke(main, [*map(str, arguments)], env=env | extra)
        assert result.exit_code == status, result.output
        return result

    return run


@pytest.fixture
def route(tmp_path: Path) -> Callable[..., str]:
    """Write a configuration of one route and name its file."""

    def write(**changes: object) -> str:
        plain = {
            "name": "all",
            "when": {},
            "campaign_id": 1,
            "template": "broken.json.j2",
        }
        document = {"templates": ".", "routes": [plain | changes]}
        path = tmp_path / "config.yaml"
        path.write_text(yaml.safe_dump(document), encoding="utf-8")
        return str(path)

    return write


def ids(run: Run, command: str, *filters: str) -> list[str]:
    lines = run(command, "--json", *filters).stdout.splitlines()
    return [json.loads(line)["id"] for line in lines]


def settle(database: str, cause: Cause, reason: str) -> None:
    """Claim whatever is due and settle it, as a worker would."""
    store = open_store(database)
    routes = ["raw", "points", "autumn-set", "rewards"]
    with store.write() as tx:
        lease = timedelta(minutes=1)
        claims = store.queue.claim(tx, routes, Lane.FRESH, 100, lease, "token")
        settlements = [
            Settlement(
                delivery_id=claim.delivery_id,
                token=claim.token,
                cause=cause,
                reason=reason,
            )
            for claim in claims
        ]
        store.queue.settle(tx, settlements)
    store.close()


def test_a_second_replay_of_a_folder_makes_no_message(run: Run, database: str) -> None:
    first = run("replay", SAMPLES)
    known = ids(run, "deliveries")
    second = run("replay", SAMPLES)
    assert "messages queued" not in second.stderr
    assert f"{len(known)} new" in first.stderr
    assert f"{len(known)} already known" in second.stderr
    assert ids(run, "deliveries") == known
    settle(database, Cause.ANSWERED_OK, "accepted")
    third = run("replay", "--dry-run", SAMPLES)
    assert f"{len(known)} already sent" in third.stderr


def test_a_dry_run_shows_each_fate_and_stores_nothing(run: Run) -> None:
    shown = run("replay", "--dry-run", COUPON, COUPON, MATERIAL, ANSWER).stdout
    fates = [line.split("  ")[0] for line in shown.splitlines()[1:]]
    assert fates == ["new", "already known", "ignored", "parked"]
    assert ids(run, "events") == []


def test_the_plan_agrees_with_what_then_happens(run: Run) -> None:
    planned = run("replay", "--dry-run", SAMPLES).stdout.splitlines()[1:]
    done = run("replay", SAMPLES).stdout.splitlines()[1:]
    same = {"new": "stored", "parked": "parked", "ignored": "ignored"}
    assert [same[line.split()[0]] for line in planned] == [
        line.split()[0] for line in done
    ]


def test_real_customers_are_counted_and_not_reached_without_yes(run: Run) -> None:
    real = {"ITERABLE_BASE_URL": "https://api.iterable.com"}
    refused = run("replay", COUPON, REFERRAL, status=1, **real)
    assert "https://api.iterable.com (real customers)" in refused.stderr
    assert "2 messages to 1 real customer" in refused.stderr
    assert "--yes" in refused.stderr
    assert ids(run, "events") == []
    run("replay", "--yes", COUPON, REFERRAL, **real)
    assert len(ids(run, "deliveries")) == 2


def test_a_bad_file_stops_a_replay_before_the_first_webhook(
    run: Run, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.json"
    bad.write_text("not json")
    result = run("replay", COUPON, bad, status=1)
    assert "bad.json" in result.stderr
    assert ids(run, "events") == []


def test_one_bad_file_among_several_does_not_keep_the_others_out(
    run: Run, tmp_path: Path
) -> None:
    folder = tmp_path / "captures"
    folder.mkdir()
    (folder / "bad.json").write_text("not json")
    os.mkfifo(folder / "pipe.json")
    (folder / "lines.jsonl").write_bytes(b"no\n" + flat(COUPON) + b"\n{\n")
    result = run("replay", folder, status=1)
    assert "4 unreadable" in result.stderr
    for name in ("bad.json", "pipe.json", "lines.jsonl line 1", "lines.jsonl line 3"):
        assert f"{name}: is no" in result.stderr
    assert len(ids(run, "deliveries")) == 1
    assert "bad.json: is not JSON" in run("render", folder, status=1).stderr


def flat(path: Path) -> bytes:
    return json.dumps(json.loads(path.read_bytes())).encode()


@pytest.mark.parametrize("command", ["render", "replay"])
def test_a_pipe_or_a_device_is_no_file(run: Run, tmp_path: Path, command: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "/dev/null"):
        assert "is no ordinary file" in run(command, name, status=1).stderr


@pytest.mark.parametrize(
    "url", ["http://[::1", "http://h:port", "http://a b", "http://u:p@h", "http://a..b"]
)
def test_a_bad_address_of_a_bridge_is_a_usage_error(run: Run, url: str) -> None:
    assert "--to " in run("replay", COUPON, "--to", url, status=2).stderr


def test_ignored_and_parked_events_are_decided_again(run: Run) -> None:
    run("replay", MATERIAL, ANSWER)
    both = run("replay", "--stored").stdout
    assert "ignored" in both
    assert "parked" in both
    parked = run("replay", "--stored", "--parked").stdout
    assert "ignored" not in parked
    assert len(ids(run, "events")) == 2


def test_deliveries_are_found_by_status_route_and_search(run: Run) -> None:
    run("replay", SAMPLES)
    assert ids(run, "deliveries", "--status", "held") == []
    assert len(ids(run, "deliveries", "--route", "points")) == 2
    assert len(ids(run, "deliveries", "--search", "THX-9vB30k")) == 1
    assert len(ids(run, "deliveries", "--since", "1h", "--limit", "3")) == 3
    assert ids(run, "deliveries", "--since", "2999-01-01") == []
    assert len(ids(run, "deliveries", "--since", "0001-01-01", "--limit", "3")) == 3


def test_a_mistyped_route_is_told_from_an_empty_one(run: Run) -> None:
    assert "none" in run("deliveries", "--route", "points").stderr
    assert (
        "there is no route nope"
        in run("deliveries", "--route", "nope", status=1).stderr
    )


def test_redeliver_knows_a_mistyped_route_too(run: Run) -> None:
    told = run("redeliver", "--route", "nope", "--yes", status=1).stderr
    assert "there is no route nope, in the configuration or in the ledger" in told
    assert "would be put back" in run("redeliver", "--route", "points").stderr


def test_a_route_that_only_the_ledger_knows_is_one(
    run: Run, route: Callable[..., str], tmp_path: Path
) -> None:
    run("replay", COUPON)
    (tmp_path / "broken.json.j2").write_text("{}", encoding="utf-8")
    other = ("--config", route())
    asked = ("deliveries", "--route", "rewards", *other)
    assert "rewards" in run(*asked).stdout
    assert "none" in run(*asked, "--status", "dead").stderr


def test_the_list_is_a_table_for_people(run: Run) -> None:
    run("replay", COUPON)
    head, line = run("deliveries").stdout.splitlines()
    assert head.split() == [
        *["ID", "STATUS", "ROUTE", "RECIPIENT", "CODE", "CREATED", "REASON"]
    ]
    assert "pending  rewards  crm-10482  WLCM-7Qx2Lp" in line
    assert head.index("CODE") == line.index("WLCM")


def test_a_story_tells_event_and_delivery(run: Run) -> None:
    run("replay", REFERRAL)
    (delivery,) = ids(run, "deliveries")
    story = run("deliveries", delivery).stdout
    assert story.index("Event ") < story.index("customer.rewarded")
    assert story.index("REF-an4a2") < story.index(f"Delivery {delivery}")
    assert "code           THX-9vB30k" in story
    assert "No attempt yet." in story
    told = json.loads(run("deliveries", delivery, "--json").stdout)
    assert told["delivery"]["id"] == delivery
    assert told["event"]["capture"]["body"]["type"] == "Referrer rewarded"


def test_what_is_not_there_is_refused(run: Run) -> None:
    nobody = "01998a3e-62f1-7a10-b3ad-0d2f6a7c1e55"
    assert "there is no delivery" in run("deliveries", nobody, status=1).stderr
    assert "there is no event" in run("events", nobody, status=1).stderr
    refused = run("redeliver", nobody, "--yes", status=1)
    assert "there is no delivery" in refused.stderr
    run("resolve", nobody, "--drop", "--reason", "x", status=1)


def test_an_event_becomes_a_capture_file_only_its_owner_reads(run: Run) -> None:
    run("replay", COUPON)
    (event,) = ids(run, "events")
    path = Path(run("events", event, "--capture").stdout.strip())
    assert path == Path("captures", f"{event}.json")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    (capture,) = read(path)
    assert capture.body == COUPON.read_bytes()
    elsewhere = run("events", event, "--capture", "other").stdout
    assert elsewhere == f"other/{event}.json\n"
    assert "needs the ID" in run("events", "--capture", status=2).stderr


def test_a_capture_that_cannot_be_written_is_one_line(run: Run, tmp_path: Path) -> None:
    run("replay", COUPON)
    (event,) = ids(run, "events")
    (tmp_path / "taken").touch()
    result = run("events", event, "--capture", "taken", status=1)
    assert "taken: cannot be written" in result.stderr


def test_parked_events_are_listed_with_their_reason(run: Run) -> None:
    run("replay", COUPON, ANSWER)
    lines = run("events", "--parked").stdout.splitlines()
    assert len(lines) == 2
    assert "parked" in lines[1]
    assert "not a webhook" in lines[1]
    (event,) = ids(run, "events", "--status", "parked")
    assert ids(run, "events", "--parked") == [event]
    assert ids(run, "events", "--ignored") == []
    run("replay", MATERIAL)
    assert len(ids(run, "events", "--parked", "--ignored")) == 2
    assert len(ids(run, "events", "--parked", "--ignored", "--limit", "1")) == 1
    assert "because" in run("events", event).stdout


def test_held_deliveries_are_put_back_by_filter(run: Run, database: str) -> None:
    run("replay", COUPON, REFERRAL)
    settle(database, Cause.UNUSABLE, "template broken")
    assert len(ids(run, "deliveries", "--status", "held")) == 2
    plan = run("redeliver", "--status", "held", status=1)
    assert "2 would be put back, for 1 person" in plan.stderr
    assert "template broken" in plan.stderr
    assert len(ids(run, "deliveries", "--status", "held")) == 2
    run("redeliver", "--status", "held", "--yes")
    assert len(ids(run, "deliveries", "--status", "pending")) == 2


def test_a_delivered_one_is_put_back_only_by_force(run: Run, database: str) -> None:
    run("replay", COUPON)
    settle(database, Cause.ANSWERED_OK, "accepted")
    (delivery,) = ids(run, "deliveries", "--status", "accepted")
    refused = run("redeliver", delivery, "--yes", status=1)
    assert "only --force" in refused.stderr
    assert ids(run, "deliveries", "--status", "accepted") == [delivery]
    run("redeliver", delivery, "--yes", "--force")
    assert ids(run, "deliveries", "--status", "pending") == [delivery]


@pytest.mark.parametrize("arguments", [[], ["--status", "dead"]], ids=["none", "both"])
def test_redeliver_wants_ids_or_filters(run: Run, arguments: list[str]) -> None:
    one = ["01998a3e-62f1-7a10-b3ad-0d2f6a7c1e55"] if arguments else []
    assert "one of the two" in run("redeliver", *one, *arguments, status=2).stderr


@pytest.mark.parametrize(
    ("option", "status"), [("--sent", "accepted"), ("--drop", "dropped")]
)
def test_a_held_delivery_is_closed_by_hand(
    run: Run, database: str, option: str, status: str
) -> None:
    run("replay", COUPON)
    settle(database, Cause.UNUSABLE, "template broken")
    (delivery,) = ids(run, "deliveries")
    run("resolve", delivery, option, "--reason", "called her")
    row = json.loads(run("deliveries", "--json").stdout)
    assert (row["status"], row["reason"]) == (status, "called her")
    again = run("resolve", delivery, option, "--reason", "again", status=1)
    assert f"it is {status}; only dead or held ones can be resolved" in again.stderr


def test_resolve_wants_to_know_which_way(run: Run) -> None:
    one = "01998a3e-62f1-7a10-b3ad-0d2f6a7c1e55"
    assert "--sent or --drop" in run("resolve", one, "--reason", "x", status=2).stderr
    assert "--reason" in run("resolve", one, "--sent", status=2).stderr
    both = run("resolve", one, "--sent", "--drop", "--reason", "x", status=2)
    assert "one of the two" in both.stderr
    assert "empty" in run("resolve", one, "--sent", "--reason", " ", status=2).stderr


@pytest.mark.parametrize("name", ["rewards", "destination"])
def test_a_gate_is_closed_and_opened_by_hand(
    run: Run, database: str, name: str
) -> None:
    run("replay", COUPON)
    run("pause", name, "--reason", "not now")
    store = open_store(database)
    with store.read() as tx:
        (gate,) = store.gates.read(tx).values()
    store.close()
    assert (gate.state, gate.reason) == ("paused", "not now")
    assert "is open" in run("resume", name).stderr
    assert "was open already" in run("resume", name).stderr


@pytest.mark.parametrize(
    ("name", "gate"), [("rewards", "route:rewards"), ("destination", "destination")]
)
def test_a_stopped_gate_shows_beside_what_waits_at_it(
    run: Run, name: str, gate: str
) -> None:
    run("replay", COUPON)
    (delivery,) = ids(run, "deliveries")
    assert "gate" not in run("deliveries").stderr
    assert "waits at" not in run("deliveries", delivery).stdout
    run("pause", name, "--reason", "not now")
    line = f"gate {gate} is paused: not now"
    assert line in run("deliveries").stderr
    assert f"waits at       {line}" in run("deliveries", delivery).stdout


def test_a_gate_holds_only_its_own_route(run: Run) -> None:
    run("replay", COUPON)
    (delivery,) = ids(run, "deliveries")
    run("pause", "points", "--reason", "not now")
    assert "waits at" not in run("deliveries", delivery).stdout


def test_an_unknown_route_has_no_gate(run: Run) -> None:
    result = run("pause", "rewrads", status=2)
    assert "there is no route rewrads" in result.stderr
    assert "rewards" in result.stderr


def test_render_shows_the_payload_and_keeps_nothing(run: Run, tmp_path: Path) -> None:
    found = json.loads(run("render", "--json", REFERRAL).stdout)
    assert found["payload"]["dataFields"]["couponCode"] == "THX-9vB30k"
    assert found["recipient"] == "crm-10482"
    shown = run("render", REFERRAL).stdout
    comment, payload = shown.split("\n", 1)
    assert comment.startswith("# ")
    assert json.loads(payload) == found["payload"]
    assert list(tmp_path.glob("bridge.db*")) == []


def test_render_says_why_there_is_no_payload(run: Run) -> None:
    result = run("render", ANSWER, MATERIAL, status=1)
    parked, ignored = result.stdout.splitlines()
    assert ": parked: " in parked
    assert ": ignored: " in ignored


def test_render_shows_what_would_be_held_and_why(
    run: Run, route: Callable[..., str], tmp_path: Path
) -> None:
    (tmp_path / "broken.json.j2").write_text("{{ reward.nope }}", encoding="utf-8")
    result = run("render", "--config", route(), COUPON, status=1)
    assert ": held: broken.json.j2 line 1: " in result.stdout


def test_migrate_makes_the_tables_and_may_run_again(run: Run, database: str) -> None:
    run("migrate")
    store = open_store(database)
    assert store.is_current()
    store.close()
    run("migrate")


def test_check_is_silent_on_stdout_when_all_is_well(run: Run) -> None:
    result = run("check")
    assert result.stdout == ""
    assert "no problem found" in result.stderr


@pytest.mark.parametrize(
    ("template", "fault"),
    [
        ('{"campaignId": {{ route.campaign_id }}, "nope": {{ reward.nope }}}', "nope"),
        ('{"recipientUserId": "{{ recipient.user_id }}"}', "quotes"),
        (
            '{"campaignId": {{ route.campaign_id }}, "recipientUserId": '
            '{{ recipient.user_id }}, "subject": "Hello"}',
            "subject",
        ),
    ],
    ids=["undefined field", "quotes around an expression", "unknown top-level key"],
)
def test_check_finds_a_broken_template(
    run: Run, route: Callable[..., str], tmp_path: Path, template: str, fault: str
) -> None:
    (tmp_path / "broken.json.j2").write_text(template, encoding="utf-8")
    result = run("check", "--config", route(), status=2)
    assert result.stderr.startswith("routes.0.template: ")
    assert fault in result.stderr


def test_check_finds_broken_json_in_a_template_that_no_sample_meets(
    run: Run, route: Callable[..., str], tmp_path: Path
) -> None:
    (tmp_path / "broken.json.j2").write_text('{"campaignId": 1,', encoding="utf-8")
    path = route(when={"events": ["nothing.of.the.kind"]})
    result = run("check", "--config", path, status=2)
    assert "routes.0.template: broken.json.j2 line 1: " in result.stderr


@pytest.mark.parametrize(
    "name",
    ["nowhere/bridge.db", "folder", "file/bridge.db", "x" * 300, "x" * 252],
    ids=["no folder", "a folder", "below a file", "too long", "too long with .lock"],
)
@pytest.mark.parametrize("command", ["check", "serve"])
def test_a_ledger_that_cannot_be_is_found_before_a_start(
    run: Run, tmp_path: Path, name: str, command: str
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    url = f"sqlite:///{tmp_path / name}"
    result = run(command, status=2, DATABASE_URL=url)
    assert result.stderr.startswith("DATABASE_URL: ")
    assert result.stderr.count("\n") == 1


def test_check_makes_no_ledger(run: Run, tmp_path: Path) -> None:
    run("check")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["postgres://u:whisper@h:notaport", "whisper", "a://"])
def test_a_database_url_that_is_none_is_named_and_not_shown(run: Run, url: str) -> None:
    for command in ("check", "serve", "deliveries"):
        result = run(command, status=2, DATABASE_URL=url)
        assert result.stderr.startswith("DATABASE_URL: ")
        assert "whisper" not in result.stderr


def test_a_token_alone_is_no_problem(run: Run) -> None:
    proofs = {"VOUCHERIFY_WEBHOOK_SECRET": "", "BRIDGE_INBOUND_TOKEN": "t"}
    assert run("check", **proofs).stderr.endswith("no problem found\n")


def test_check_says_where_no_delivery_can_be_confirmed(run: Run) -> None:
    assert "no delivery will be confirmed" in run("check").stderr
    told = run("check", ITERABLE_WEBHOOK_SECRET="s").stderr
    assert told == "no problem found\n"


def test_check_names_every_problem_at_once(
    run: Run, route: Callable[..., str], tmp_path: Path
) -> None:
    (tmp_path / "broken.json.j2").write_text("{{ reward.code", encoding="utf-8")
    path = route(per="person", campaign_id="1", in_doubt="maybe")
    secrets = {"VOUCHERIFY_WEBHOOK_SECRET": "", "ITERABLE_API_KEY": ""}
    lines = run("check", "--config", path, status=2, **secrets).stderr.splitlines()
    assert sorted(line.split(":")[0] for line in lines) == [
        "ITERABLE_API_KEY",
        "VOUCHERIFY_WEBHOOK_SECRET",
        "routes.0.campaign_id",
        "routes.0.in_doubt",
        "routes.0.per",
        "routes.0.template",
    ]


def test_check_names_waiting_deliveries_whose_route_is_gone(
    run: Run, route: Callable[..., str], tmp_path: Path
) -> None:
    run("replay", COUPON)
    body = '{"campaignId": 1, "recipientUserId": {{ recipient.user_id }}}'
    (tmp_path / "broken.json.j2").write_text(body, encoding="utf-8")
    gone = run("check", "--config", route(), status=2)
    assert gone.stderr.startswith("routes: deliveries wait for rewards")
    run("check", "--config", route(formerly=["rewards"]))


@pytest.mark.parametrize("name", ["serve", "worker"])
def test_the_program_does_not_start_without_its_secrets(run: Run, name: str) -> None:
    secrets = {"VOUCHERIFY_WEBHOOK_SECRET": "", "ITERABLE_API_KEY": ""}
    result = run(name, status=2, **secrets)
    assert "ITERABLE_API_KEY: is not set" in result.stderr
    assert ("VOUCHERIFY_WEBHOOK_SECRET" in result.stderr) is (name == "serve")


@pytest.mark.parametrize("secret", ["", "é", "\udcff", "a\nb"])
def test_a_sandbox_shows_no_secret_that_a_header_cannot_carry(
    run: Run, secret: str
) -> None:
    where = "http://127.0.0.1:9/webhooks/iterable"
    told = run("sandbox", "--webhooks", where, status=2, ITERABLE_WEBHOOK_SECRET=secret)
    assert "ITERABLE_WEBHOOK_SECRET" in told.output
