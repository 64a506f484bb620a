"""Promises as checks of an installation that is not started.

Each runs twice: on the program, which must keep the promise (`test_promises.py`, or
`tests/product` where the check is one of its tests), and on a spoilt program, on which
it must fail (`test_controls.py`).
"""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from tests.product.program import (
    KEY,
    SECRET,
    Program,
    new_person,
    wait_for,
    webhook,
)
from tests.product.recorder import Answer
from tests.promises.spoiling import spoil

TAKEN = Answer(status=500, body=b"oops", is_taken=True)
NOT_TAKEN = Answer(status=500, body=b"oops")
BAD_KEY = Answer(status=401, body={"msg": "no", "code": "BadApiKey", "params": None})
#: Sends during an outage that are more than single ones.
MANY = 40
#: Signed bodies that no source can read.
NONSENSE = (b"", b"\x00\xff\xfe", b"[1, 2]", b'{"a": "\\ud800"}', b"[" * 50_000)
#: Runs in the started program: notes which statements each SQLite connection gets.
_TRACE = """
import os
_connect, _notes = connect, os.open({path!r}, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

def connect(*arguments, **options):
    made = _connect(*arguments, **options)
    name = f"{{os.getpid()}}.{{id(made)}} "
    note = lambda said: os.write(_notes, (name + said + "\\n").encode())
    made.set_trace_callback(note)
    return made
"""


@contextmanager
def locked(program: Program) -> Iterator[None]:
    """Keep everybody from writing to the ledger, as a stranger's shell would."""
    path = program.folder / "bridge.db"
    with closing(sqlite3.connect(path, timeout=20, isolation_level=None)) as stranger:
        stranger.execute("BEGIN IMMEDIATE")
        yield
        stranger.execute("ROLLBACK")


def stored_before_answered(program: Program) -> None:
    """Keep a webhook from being stored: no 2xx; its repeat is new."""
    program.start("--no-deliver")
    program.accept(webhook())
    document = webhook()
    with locked(program):
        answer = program.post(document)
        assert answer.status_code == 503, "answered before it was stored"
        assert int(answer.headers["Retry-After"]) > 0
    program.accept(document, "stored")


def on_disk_when_answered(program: Program) -> None:
    """Watch the statements of SQLite: each commit of ours waits for the disk."""
    notes = program.folder / "sqlite-notes"
    spoil(program, {"sqlite3": _TRACE.format(path=str(notes))})
    program.start("--no-deliver")
    program.accept(webhook())
    levels: dict[str, str] = {}
    commits = []
    for line in notes.read_text(encoding="utf-8", errors="replace").splitlines():
        name, _, said = line.partition(" ")
        if said.startswith("PRAGMA synchronous = "):
            levels[name] = said.rpartition(" ")[2]
        if said == "COMMIT":
            commits.append(levels.get(name, "unset"))
    assert commits, "no commit was seen"
    assert set(commits) <= {"FULL", "EXTRA"}, "a commit does not wait for the disk"


def nothing_signed_is_rejected(program: Program) -> None:
    """Post nonsense that is signed: taken, parked with a reason, listed."""
    program.start("--no-deliver")
    for body in NONSENSE:
        answer = program.post(body)
        assert answer.status_code == 202, "rejected for its content"
        assert answer.json()["status"] == "parked"
    parked = program.events("--status", "parked")
    assert len(parked) == len(NONSENSE)
    assert all(one["reason"] for one in parked), "parked without a reason"


def rejections_are_counted(program: Program) -> None:
    """Post what is not authentic three times: the log says so as an error in a row."""
    program.start("--no-deliver")
    for _ in range(3):
        headers = {"x-voucherify-signature": "no"}
        assert program.post(webhook(), headers=headers).status_code == 401
    found = wait_for(lambda: program.records("webhook.failing"), seconds=10)
    assert found[-1]["failures"] == 3


def one_message_per_reward(program: Program) -> None:
    """Bring one reward by two events and one of them twice: one message."""
    program.start()
    document = webhook(person := new_person())
    other = {**document, "id": "whs_0123456789abcdef01", "type": "voucher.published"}
    first = program.accept(document)
    answers = [program.post(one).json() for one in (document, other)]
    said = [one["deliveries"] for one in answers]
    assert said == [first, first], "one reward became two deliveries"
    assert [one["status"] for one in answers] == ["duplicate", "duplicate"]
    program.at_rest(first[0])
    assert len(program.iterable.messages(person)) == 1


def unknown_is_not_repeated(program: Program) -> None:
    """Lose the answer to a message that was taken: held, and sent once."""
    program.route(on_unknown_outcome="hold")
    person = new_person()
    program.iterable.tell(TAKEN, path="/api/email", person=person)
    program.start()
    row = program.deliver(webhook(person))
    attempts = len(program.iterable.attempts(person))
    assert attempts == 1, "sent again though it was in doubt"
    assert row["status"] == "held"


def checked_before_it_is_sent_again(program: Program) -> None:
    """Answer 500 to a message that is taken and one that is not: each arrives once."""
    people = {new_person(): TAKEN, new_person(): NOT_TAKEN}
    for person, answer in people.items():
        program.iterable.tell(answer, path="/api/email", person=person)
    program.start()
    ids = [program.accept(webhook(person))[0] for person in people]
    assert {row["status"] for row in program.settled(ids)} == {"accepted"}
    message_counts = [len(program.iterable.messages(person)) for person in people]
    assert max(message_counts) == 1, "sent twice though Iterable showed it"
    assert min(message_counts) == 1, "taken for sent though Iterable did not show it"


def claimed_is_not_lost(program: Program) -> None:
    """Kill the program while calls are open: what was claimed arrives in the end."""
    program.destination(timeout="1s")
    people = [new_person() for _ in range(3)]
    hang = Answer(failure="hang")
    program.iterable.tell(hang, path="/api/email", times=len(people))
    program.start()
    ids = [program.accept(webhook(person))[0] for person in people]
    program.iterable.wait(program.iterable.attempts)
    program.kill()
    program.start()
    rows = program.settled(ids)
    assert {row["status"] for row in rows} == {"accepted"}
    program.iterable.arrived(*people)


def an_outage_makes_few_doubts(program: Program) -> None:
    """Answer 500 to everything, eighty waiting: single sends, not eighty in doubt."""
    program.destination(rate_per_second=50)
    program.iterable.tell(NOT_TAKEN, path="/api/email", times=None)
    program.start("--no-deliver")
    ids = [program.accept(webhook())[0] for _ in range(80)]
    program.launch("worker")
    program.iterable.wait(lambda: len(program.iterable.attempts()) >= 5)
    assert wait_for(lambda: _sends(program)) < MANY, "more than a handful in doubt"
    program.iterable.forget()
    rows = program.settled(ids, seconds=90)
    assert {row["status"] for row in rows} == {"accepted"}


def _sends(program: Program) -> int | None:
    """Count sends once there was none for a moment, or there are too many."""
    calls = program.iterable.attempts()
    is_quiet = time.monotonic() - calls[-1].time > 0.8
    return len(calls) if is_quiet or len(calls) >= MANY else None


def every_end_has_a_state_a_reason_and_its_attempts(program: Program) -> None:
    """End messages in every way: one state each, why in words, every call kept."""
    program.route(on_unknown_outcome="hold")
    address = {"msg": "", "code": "InvalidEmailAddressError", "params": None}
    forgotten = {"msg": "", "code": "ForgottenUserError", "params": None}
    ends = {
        "accepted": None,
        "held": NOT_TAKEN,
        "dead": Answer(status=400, body=address),
        "suppressed": Answer(status=400, body=forgotten),
    }
    people = {state: new_person() for state in ends}
    for state, answer in ends.items():
        if answer is not None:
            program.iterable.tell(answer, path="/api/", person=people[state])
    program.start()
    ids = {state: program.accept(webhook(people[state]))[0] for state in ends}
    for state, row in zip(ends, program.settled(list(ids.values())), strict=True):
        assert row["status"] == state, (state, row)
        assert row["reason"] or state == "accepted", f"{state} without a reason"
        kept = program.delivery(ids[state])["attempts"]
        made = program.iterable.attempts(people[state])
        assert len(kept) == len(made) == 1, "an attempt was not kept"


def nothing_personal_is_logged(program: Program) -> None:
    """Send, repeat, reject and hold at DEBUG: no secret, address or code in the log."""
    program.env["LOG_LEVEL"] = "DEBUG"
    program.route(recipient=["email"], on_unknown_outcome="hold")
    address, code = "ana.whitfield@shop.example", "SECRETCODE77"
    body = {"msg": f"no {address}", "code": "GenericError", "params": {"e": address}}
    program.iterable.tell(Answer(status=500, body=body), path="/api/email")
    program.start()
    document = webhook(code=code, customer={"email": address})
    [delivery] = program.accept(document)
    program.accept(document, "duplicate")
    program.post(document, headers={"Api-Key": f"{KEY}x"})
    program.at_rest(delivery)
    assert program.stop() == [0]
    forbidden = (address, code, SECRET, KEY, "no ana")
    found = [one for one in forbidden if one in program.log]
    assert found == [], "the log shows what it must not"


def _template(program: Program, expression: str, **metadata: Any) -> str:
    """Send a message whose data field `x` is an expression; give its recipient."""
    text = (
        '{"campaignId": {{ route.campaign_id }},'
        ' "recipientUserId": {{ recipient.user_id }},'
        ' "dataFields": {"x": {{ ' + expression + " }}}}"
    )
    program.template("own.json.j2", text)
    program.route(template="own.json.j2")
    program.start()
    person = new_person()
    row = program.deliver(webhook(person, customer={"metadata": metadata}))
    return person if row["status"] == "accepted" else ""


def a_value_cannot_inject(program: Program) -> None:
    """Put JSON and a template into a value: it arrives as the text it is."""
    name = '1, "campaignId": 99, "y": {{ 7 * 7 }}'
    person = _template(program, "customer.metadata.name", name=name)
    assert person, "the value broke the payload"
    [message] = program.iterable.messages(person)
    is_text = message.body["campaignId"] == 1 and message.fields == {"x": name}
    assert is_text, "the value became JSON"


def an_empty_value_is_not_sent(program: Program) -> None:
    """Leave a value empty that the template does not say may be: held."""
    person = _template(program, "customer.metadata.name", name=None)
    assert not person, "an empty value was sent"


def what_is_no_number_is_not_sent(program: Program) -> None:
    """Give `money` a text: held, not a zero."""
    person = _template(program, "customer.metadata.price | money", price="abc")
    assert not person, "a text was sent as an amount"
