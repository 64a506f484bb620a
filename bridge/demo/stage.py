"""Plays the scenes: the real program, a local Iterable, signed webhooks.

Everything happens on loopback and in a scratch folder that is removed afterwards.
"""

import json
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from bridge import bootstrap, config, resources, voucherify
from bridge.demo.scenes import SCENES, Message, Played, Report, Scene
from bridge.errors import ReasonError, TransportError
from bridge.http import Http, prepare, with_body
from bridge.model import DeliveryStatus, EventStatus
from bridge.sandbox import Campaign, Received, Sandbox
from bridge.store import DeliveryFilter, Store

#: Seconds for the first answer, which waits for the program to start.
FIRST_ANSWER = timedelta(seconds=20)
#: Seconds until everything stored must have been delivered.
PATIENCE = 10.0
#: Seconds from SIGTERM to the end; then it is killed.
GOODBYE = 25.0
#: Between two looks at the ledger, in seconds.
_LOOK = 0.05
_ACCEPTED = 202
#: Last bytes of the program's log shown when it failed.
_LOG_TAIL = 2000
_USERS = {
    "crm-10482": "ana.whitfield@shop.example",
    "crm-20917": "leo.martens@shop.example",
}
#: Those of `config.example.yaml`.
_CAMPAIGNS = tuple(Campaign(id=number) for number in range(16504306, 16504309))
_WAITING = (
    DeliveryStatus.PENDING,
    DeliveryStatus.SENDING,
    DeliveryStatus.IN_DOUBT,
    # Iterable's report of it is to come.
    DeliveryStatus.ACCEPTED,
)


def run(tell: Callable[[str], None]) -> Report:
    """Play every scene; nothing is left running or lying about.

    Args:
        tell: Told, in a line each, what is being done.

    Raises:
        ReasonError: The program did not start, or does not answer.
    """
    key = secrets.token_hex(16)
    iterable = Sandbox(api_key=key, users=_USERS, campaigns=_CAMPAIGNS)
    with ExitStack() as stack:
        prefix = "reward-bridge-demo-"
        folder = Path(stack.enter_context(TemporaryDirectory(prefix=prefix)))
        stack.enter_context(iterable)
        tell(f"Iterable's stand-in listens at {iterable.url}")
        env = _environment(folder, iterable, key)
        url = stack.enter_context(_serving(folder, env))
        secret = env["ITERABLE_WEBHOOK_SECRET"]
        iterable.report_to(f"{url}/webhooks/iterable", secret)
        tell(f"reward-bridge serve listens at {url}, its store is in {folder}")
        loaded = config.load(resources.example_config(), env)
        store = stack.enter_context(closing(bootstrap.build(loaded).store))
        tell(f"posting {len(SCENES)} signed webhooks")
        played = tuple(_play(url, env["VOUCHERIFY_WEBHOOK_SECRET"], store))
        _wait(store)
        played = tuple(_ended(one, store) for one in played)
    # The program has ended: nothing can arrive any more.
    accepted = [one for one in iterable.received if one.is_accepted]
    return Report(played=played, arrived=tuple(map(_message, accepted)))


def _environment(folder: Path, iterable: Sandbox, key: str) -> dict[str, str]:
    """Make the program's environment: the caller's, without a real bridge's secrets."""
    return {
        **config.environ(),
        "DATABASE_URL": f"sqlite:///{folder}/bridge.db",
        "BRIDGE_EPHEMERAL_DISK": "accept",
        "ITERABLE_API_KEY": key,
        "ITERABLE_BASE_URL": iterable.url,
        "VOUCHERIFY_WEBHOOK_SECRET": secrets.token_hex(16),
        "ITERABLE_WEBHOOK_SECRET": secrets.token_hex(16),
        "BRIDGE_INBOUND_TOKEN": "",
        "PORT": "0",
        "WEB_CONCURRENCY": "1",
        "LOG_LEVEL": "INFO",
        "LOG_FORMAT": "json",
    }


@contextmanager
def _serving(folder: Path, env: Mapping[str, str]) -> Iterator[str]:
    """Run the real command; its URL takes requests at once.

    The socket is bound before the program starts, so that the kernel keeps what comes
    too early.
    """
    log = folder / "serve.log"
    with socket.create_server(("127.0.0.1", 0)) as listener, log.open("wb") as sink:
        host, port = listener.getsockname()
        program = [sys.executable, "-m", "bridge", "serve"]
        options = ["--config", str(resources.example_config())]
        options += ["--bind", f"fd://{listener.fileno()}"]
        process = subprocess.Popen(  # noqa: S603 - this very program
            [*program, *options],
            env=env,
            pass_fds=[listener.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
        )
    try:
        yield f"http://{host}:{port}"
    except TransportError as error:
        words = log.read_bytes()[-_LOG_TAIL:].decode("utf-8", "replace")
        raise ReasonError(f"the bridge does not answer: {error}\n{words}") from error
    finally:
        _end(process)


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(GOODBYE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _play(url: str, secret: str, store: Store) -> Iterator[Played]:
    """Post every sample and look up what became of it."""
    http = Http(FIRST_ANSWER)
    with closing(http):
        for scene in SCENES:
            path = resources.samples() / "voucherify" / scene.sample
            body = path.read_bytes()
            headers = {"X-Voucherify-Signature": voucherify.sign(body, secret)}
            request = prepare("POST", f"{url}/webhooks/voucherify", headers)
            reply = http.call(with_body(request, body))
            yield _played(scene, reply.status, reply.body, store)


def _played(scene: Scene, status: int, body: bytes, store: Store) -> Played:
    if status != _ACCEPTED:
        return Played(scene=scene, became=f"refused with {status}", reason=None)
    answer = json.loads(body)
    event = store.ledger.event(answer["event_id"])
    reason = None if event is None else event.reason
    if answer["status"] == EventStatus.DUPLICATE:
        reason = f"told before by delivery {', '.join(answer['deliveries'])}"
    return Played(
        scene=scene,
        became=answer["status"],
        reason=reason,
        deliveries=tuple(answer["deliveries"]),
    )


def _wait(store: Store) -> None:
    """Wait until nothing is on its way or unconfirmed any more, or patience ends."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        rows = store.ledger.deliveries(DeliveryFilter())
        if not any(row.status in _WAITING for row in rows):
            return
        time.sleep(_LOOK)


def _ended(played: Played, store: Store) -> Played:
    """Look up where the deliveries of a scene ended."""
    ended = store.ledger.statuses(played.deliveries).values()
    return replace(played, ended=", ".join(sorted(set(ended))) or None)


def _message(received: Received) -> Message:
    """Read who was written to, and what the message shows."""
    body = received.body
    fields = body["dataFields"]
    if "points" in fields:
        shows = f"{fields['points']} points"
    else:
        codes = fields.get("couponCodes") or [fields.get("couponCode")]
        shows = ", ".join(map(str, codes))
    return Message(str(received.user), int(received.campaign or 0), shows)
