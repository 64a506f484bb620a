"""Which loads make up the benchmark, and what carries each."""

from argparse import Namespace
from dataclasses import replace

from benchmarks import programs, shared
from benchmarks.scenarios import MANY_WEBHOOKS, MOST_WEBHOOKS, Load, Scenario

#: What is run unless something is named.
USUAL = ("peers", "accept", "relay", "latency")
SHARED = ("pg-accept", "pg-relay", "pg-workers", "pg-queue")
NAMES = (*USUAL, "queue", "memory", "growth", "backlog", "retention", *SHARED)

_MILLION = 1_000_000
_WAITING = 50_000


def scenarios(options: Namespace) -> list[Scenario]:
    """Choose the loads; the quick ones are shorter and fewer."""
    return [
        *_against_others(options),
        *_against_itself(options),
        *_on_postgres(options),
    ]


def _relay(options: Namespace) -> Load:
    return Load(
        count=1000 if options.quick else 4000,
        seconds=60,
        connections=options.connections,
        is_relayed=True,
    )


def _at_rate(options: Namespace, seconds: float) -> Load:
    return Load(
        count=MOST_WEBHOOKS,
        seconds=4 if options.quick else seconds,
        connections=options.connections,
        rate=options.rate,
        is_relayed=True,
    )


def _accept(options: Namespace) -> Load:
    return Load(
        count=MOST_WEBHOOKS // (3 if options.quick else 1),
        seconds=2 if options.quick else 4,
        connections=options.connections,
        is_relayed=False,
    )


def _several(options: Namespace) -> int:
    return options.rounds or (2 if options.quick else 5)


def _against_others(options: Namespace) -> list[Scenario]:
    several = _several(options)
    return [
        Scenario(
            name="accept",
            title="deliveries held, against a view that only answers 202",
            load=_accept(options),
            rounds=several,
            bridge=lambda settings, folder: programs.bridge(
                settings, folder, delivers=False
            ),
            baseline=lambda settings, _: programs.bare_view(settings),
        ),
        Scenario(
            name="relay",
            title="webhook in, Iterable call out, against the inline script",
            load=_relay(options),
            rounds=several,
            bridge=lambda settings, folder: programs.bridge(
                settings, folder, delivers=True
            ),
            baseline=lambda settings, _: programs.inline_script(settings),
        ),
        Scenario(
            name="latency",
            title=f"{options.rate:g} a second whatever the answers do",
            load=_at_rate(options, 10),
            rounds=options.rounds or (1 if options.quick else 3),
            bridge=lambda settings, folder: programs.bridge(
                settings, folder, delivers=True
            ),
            baseline=lambda settings, _: programs.inline_script(settings),
        ),
        Scenario(
            name="queue",
            title="webhook in, Iterable call out, against Dramatiq on Redis",
            load=_relay(options),
            rounds=several,
            bridge=lambda settings, folder: programs.bridge(
                settings, folder, delivers=True
            ),
            baseline=programs.dramatiq,
        ),
    ]


def _against_itself(options: Namespace) -> list[Scenario]:
    relay, at_rate = _relay(options), _at_rate(options, 15)
    rows = _MILLION // (20 if options.quick else 1)
    many = replace(relay, count=MANY_WEBHOOKS // (10 if options.quick else 1))
    once = options.rounds or (1 if options.quick else 3)
    return [
        Scenario(
            name="memory",
            title=f"after {many.count:,} webhooks, against after {relay.count:,}",
            load=replace(many, seconds=300),
            rounds=options.rounds or 1,
            bridge=lambda settings, folder: programs.bridge(
                settings, folder, delivers=True
            ),
            baseline=lambda settings, folder: replace(
                programs.bridge(settings, folder, delivers=True), name="young bridge"
            ),
            baseline_load=relay,
        ),
        Scenario(
            name="growth",
            title=f"on a ledger of {rows:,} rows, against an empty one",
            load=relay,
            rounds=once,
            bridge=lambda settings, folder: programs.remembering(
                settings, folder, rows=rows, waiting=0
            ),
            baseline=lambda settings, folder: replace(
                programs.bridge(settings, folder, delivers=True), name="empty ledger"
            ),
        ),
        Scenario(
            name="backlog",
            title=f"while {_WAITING:,} deliveries wait, against none",
            load=replace(at_rate, is_relayed=False),
            rounds=once,
            bridge=lambda settings, folder: programs.remembering(
                settings, folder, rows=_WAITING, waiting=_WAITING
            ),
            baseline=lambda settings, folder: replace(
                programs.bridge(settings, folder, delivers=False), name="none waiting"
            ),
        ),
        Scenario(
            name="retention",
            title="sweeping a ledger of three months, against keeping all",
            load=at_rate,
            rounds=options.rounds or (1 if options.quick else 5),
            bridge=lambda settings, folder: programs.sweeping(
                settings, folder, is_on=True
            ),
            baseline=lambda settings, folder: programs.sweeping(
                settings, folder, is_on=False
            ),
        ),
    ]


def _on_postgres(options: Namespace) -> list[Scenario]:
    several, relay = _several(options), _relay(options)
    return [
        Scenario(
            name="pg-accept",
            title="deliveries held, PostgreSQL against SQLite",
            load=_accept(options),
            rounds=several,
            bridge=lambda settings, folder: shared.bridge(
                settings, folder, delivers=False
            ),
            baseline=lambda settings, folder: shared.on_file(
                settings, folder, delivers=False
            ),
        ),
        Scenario(
            name="pg-relay",
            title="webhook in, Iterable call out, PostgreSQL against SQLite",
            load=relay,
            rounds=several,
            bridge=lambda settings, folder: shared.bridge(
                settings, folder, delivers=True
            ),
            baseline=lambda settings, folder: shared.on_file(
                settings, folder, delivers=True
            ),
        ),
        Scenario(
            name="pg-workers",
            title="two workers on one PostgreSQL, against one",
            load=relay,
            rounds=several,
            bridge=lambda settings, folder: shared.workers(settings, folder, count=2),
            baseline=lambda settings, folder: shared.workers(settings, folder, count=1),
        ),
        Scenario(
            name="pg-queue",
            title="on PostgreSQL, against Dramatiq on Redis",
            load=relay,
            rounds=several,
            bridge=lambda settings, folder: shared.bridge(
                settings, folder, delivers=True
            ),
            baseline=programs.dramatiq,
        ),
    ]
