"""The demo: sample webhooks through the real program to a local sandbox.

Everything happens on loopback and in a scratch folder that is removed afterwards.
"""

import json
import secrets
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from bridge import bootstrap, config, integrations
from bridge.bootstrap import Bridge
from bridge.errors import ReasonError, TransportError
from bridge.http import HttpClient, Reply
from bridge.integrations import SandboxReceipts
from bridge.integrations.iterable.sandbox import Call, IterableSandbox
from bridge.model import DeliveryFilter, DeliveryStatus, EventStatus
from bridge.sandbox import SandboxServer
from bridge.store import deliveries, events

#: For the first answer, which waits for the program to start.
FIRST_ANSWER = timedelta(seconds=30)
#: Seconds until everything stored must have been delivered.
PATIENCE = 20.0
#: Seconds from SIGTERM to the end; then it is killed.
GRACE = 25.0
#: Seconds between two looks at the ledger.
_POLL = 0.05
_ACCEPTED = 202
#: Last bytes of the program's log shown when it failed.
_LOG_TAIL = 2000
#: Of an accepted one the receipt is to come.
_WAITING = (
    *(DeliveryStatus.PENDING, DeliveryStatus.SENDING),
    *(DeliveryStatus.IN_DOUBT, DeliveryStatus.ACCEPTED),
)
_SERVE = (sys.executable, "-m", "bridge", "serve", "--bind")


class ExpectedMessage(NamedTuple):
    """One message as Iterable gets it."""

    recipient: str
    campaign: int
    #: Codes, or points.
    shows: str


class Scenario(NamedTuple):
    """One sample webhook, and what it must lead to."""

    title: str
    sample: str
    status: EventStatus
    message: ExpectedMessage | None = None


_STORED = EventStatus.STORED
SCENARIOS = (
    Scenario(
        "a discount code",
        "01_project_voucher_published_discount.json",
        _STORED,
        ExpectedMessage("crm-10482", 16504306, "WLCM-7Qx2Lp"),
    ),
    Scenario(
        "the same webhook again",
        "01_project_voucher_published_discount.json",
        EventStatus.DUPLICATE,
    ),
    Scenario(
        "a referral reward: not the referral code that earned it",
        "14_distribution_customer_rewarded_referral_coupon.json",
        _STORED,
        ExpectedMessage("crm-10482", 16504306, "THX-9vB30k"),
    ),
    Scenario(
        "a loyalty reward: not the card that paid for it",
        "11_distribution_reward_redemption_completed_coupon.json",
        _STORED,
        ExpectedMessage("crm-20917", 16504306, "tKSTdVk2"),
    ),
    Scenario(
        "loyalty points",
        "08_project_customer_rewarded_loyalty_points.json",
        _STORED,
        ExpectedMessage("crm-10482", 16504307, "900 points"),
    ),
    Scenario(
        "two vouchers of one publication in one message",
        "13_project_publication_succeeded_multi.json",
        _STORED,
        ExpectedMessage("crm-10482", 16504308, "AUT-2mFp8, AUT-w7Hq1"),
    ),
    Scenario(
        "Iterable's own body, sent raw",
        "05_distribution_raw_on_iterable_trigger.json",
        _STORED,
        ExpectedMessage("crm-10482", 16504306, "BACK-4hTq81Zm"),
    ),
    Scenario(
        "a body that is no webhook",
        "api_publication_single.json",
        EventStatus.PARKED,
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioResult:
    """One scenario and what it led to."""

    scenario: Scenario
    event_status: str
    reason: str | None = None
    #: Final statuses of the deliveries it made.
    status: str | None = None

    @property
    def names(self) -> tuple[str, str]:
        """The scenario's title and sample file."""
        return self.scenario.title, self.scenario.sample


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoReport:
    """What the demo showed."""

    results: Sequence[ScenarioResult]
    #: In the order of arrival.
    arrived: Sequence[ExpectedMessage]

    @property
    def problems(self) -> list[str]:
        """List what is not as expected; empty if all is well."""
        found = [
            f"{one.scenario.title}: {one.event_status} instead of {one.scenario.status}"
            for one in self.results
            if one.event_status != one.scenario.status
        ]
        messages = (one.scenario.message for one in self.results)
        wanted = Counter(one for one in messages if one is not None)
        got = Counter(self.arrived)
        found += [f"did not arrive: {one}" for one in wanted - got]
        return found + [f"should not have arrived: {one}" for one in got - wanted]


def run(report: Callable[[str], None]) -> DemoReport:
    """Run every scenario; no process and no file is left.

    Args:
        report: Gets a line about each step.

    Raises:
        ReasonError: The program did not start, or does not answer.
    """
    with ExitStack() as stack:
        prefix = "reward-bridge-demo-"
        folder = Path(stack.enter_context(TemporaryDirectory(prefix=prefix)))
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        host, port = listener.getsockname()
        url = f"http://{host}:{port}"
        secret = secrets.token_hex(16)
        sandbox = IterableSandbox(
            SandboxReceipts(url=f"{url}/webhooks/iterable", secret=secret)
        )
        server = stack.enter_context(SandboxServer([sandbox]))
        report(f"Iterable's sandbox listens at {server.url}")
        env = _environment(folder, server.environment, secret)
        stack.enter_context(_serving(folder, env, listener))
        report(f"reward-bridge serve listens at {url}, its ledger is in {folder}")
        path = Path(env["BRIDGE_CONFIG"])
        bridge = bootstrap.build(
            config.load(path, env, find_integration=integrations.find)
        )
        stack.callback(bridge.store.close)
        report(f"posting {len(SCENARIOS)} signed webhooks")
        replies = _post(url, bridge)
        _wait(bridge)
        results = [
            _result(bridge, scenario, reply)
            for scenario, reply in zip(SCENARIOS, replies, strict=True)
        ]
    # The program has ended: nothing can arrive any more.
    accepted = [one for one in sandbox.calls() if one.due is not None]
    return DemoReport(results=results, arrived=[_message(one) for one in accepted])


def _environment(
    folder: Path, sandbox: Mapping[str, str], receipts_secret: str
) -> dict[str, str]:
    """Make the program's environment: the caller's, without a real bridge's secrets."""
    return {
        **config.environ(),
        **sandbox,
        "BRIDGE_CONFIG": str(config.shipped("config.example.yaml")),
        "DATABASE_URL": f"sqlite:///{folder}/bridge.db",
        "BRIDGE_EPHEMERAL_DISK": "accept",
        "VOUCHERIFY_WEBHOOK_SECRET": secrets.token_hex(16),
        "ITERABLE_WEBHOOK_SECRET": receipts_secret,
        "BRIDGE_INBOUND_TOKEN": "",
        "BRIDGE_CONSOLE_PASSWORD": "",
        "PORT": "0",
        "WEB_CONCURRENCY": "1",
        "LOG_LEVEL": "INFO",
        "LOG_FORMAT": "json",
    }


@contextmanager
def _serving(
    folder: Path, env: Mapping[str, str], listener: socket.socket
) -> Iterator[None]:
    """Run the real command.

    The socket is bound before the program starts, so that the kernel keeps requests
    that are too early.
    """
    log = folder / "serve.log"
    with listener, log.open("wb") as sink:
        process = subprocess.Popen(  # noqa: S603 - this very program
            [*_SERVE, f"fd://{listener.fileno()}"],
            env=dict(env),
            pass_fds=[listener.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
        )
    try:
        yield
    except TransportError as error:
        words = log.read_bytes()[-_LOG_TAIL:].decode("utf-8", "replace")
        raise ReasonError(f"the bridge does not answer: {error}\n{words}") from error
    finally:
        process.terminate()
        try:
            process.wait(GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _post(url: str, bridge: Bridge) -> list[Reply]:
    """Post every sample, one after another."""
    source, replies = bridge.sources["voucherify"], []
    with closing(HttpClient(pool=1)) as http:
        for scenario in SCENARIOS:
            path = config.shipped("samples") / "voucherify" / scenario.sample
            body = path.read_bytes()
            reply = http.call(
                "POST",
                f"{url}/webhooks/voucherify",
                headers=source.sign(body, bootstrap.now()),
                body=body,
                timeout=FIRST_ANSWER,
            )
            replies.append(reply)
    return replies


def _result(bridge: Bridge, scenario: Scenario, reply: Reply) -> ScenarioResult:
    """Look up what a sample led to."""
    if reply.status != _ACCEPTED:
        rejected = f"rejected with {reply.status}"
        return ScenarioResult(scenario=scenario, event_status=rejected)
    answer = json.loads(reply.body)
    with bridge.store.read() as tx:
        stored = events.get(tx, answer["event_id"])
        found = set(deliveries.statuses(tx, answer["deliveries"]).values())
    reason = None if stored is None else stored.event.reason
    if answer["status"] == EventStatus.DUPLICATE:
        reason = f"already sent by delivery {', '.join(answer['deliveries'])}"
    return ScenarioResult(
        scenario=scenario,
        event_status=answer["status"],
        reason=reason,
        status=", ".join(sorted(found)) or None,
    )


def _wait(bridge: Bridge) -> None:
    """Wait until every delivery is final and confirmed, or patience ends."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        with bridge.store.read() as tx:
            rows = deliveries.list(tx, DeliveryFilter())
        if not any(row.status in _WAITING for row in rows):
            return
        time.sleep(_POLL)


def _message(call: Call) -> ExpectedMessage:
    """Read the recipient of a call, and what its message shows."""
    fields = call.body["dataFields"]
    if "points" in fields:
        shows = f"{fields['points']} points"
    else:
        codes = fields.get("couponCodes") or [fields.get("couponCode")]
        shows = ", ".join(map(str, codes))
    return ExpectedMessage(str(call.user), int(call.campaign or 0), shows)
