"""The figures of docs/reliability.md: `python -m benchmarks.reliability`."""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from benchmarks import kills, machine, outage, restarts

#: Figures are given for so many webhooks, however many were sent.
PER = 100_000
POLICIES = ("verify", "resend", "hold")


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    with tempfile.TemporaryDirectory(dir=options.folder) as scratch:
        about = machine.describe(Path(scratch))
        print(f"{about['cores']} cores of {about['cpu']}, Python {about['python']}\n")
        if options.kills:
            print(_tolls(options, Path(scratch)))
        if options.restarts:
            print(_recovery(options, Path(scratch)))
        if options.outage:
            print(_outage(options, Path(scratch)))
    return 0


def _tolls(options: argparse.Namespace, scratch: Path) -> str:
    lines = [
        "| in_doubt | webhooks | kill -9 | lost per 100,000 | told twice per 100,000"
        " | held per 100,000 |",
        "|---|---|---|---|---|---|",
    ]
    for policy in options.policy or POLICIES:
        folder = scratch / policy
        folder.mkdir()
        toll = kills.measure(
            folder,
            policy=policy,
            webhooks=options.webhooks,
            kills=options.kills,
            seed=options.seed,
        )
        share = PER / toll.answered
        lines.append(
            f"| `{policy}` | {toll.answered:,} | {toll.kills} | {toll.lost * share:g}"
            f" | {toll.duplicates * share:g} | {toll.held * share:g} |"
        )
        print(lines[-1], file=sys.stderr)
    return "\n".join(lines) + "\n"


def _recovery(options: argparse.Namespace, scratch: Path) -> str:
    folder = scratch / "restarts"
    folder.mkdir()
    found = restarts.measure(folder, options.restarts)
    receiving = sorted(one.receiving for one in found)
    delivering = sorted(one.delivering for one in found)
    return (
        f"PostgreSQL started again {len(found)} times; from then until the next 202"
        f" {median(receiving):.2f} s (at most {receiving[-1]:.2f}), until the next"
        f" message {median(delivering):.2f} s (at most {delivering[-1]:.2f})\n"
    )


def _outage(options: argparse.Namespace, scratch: Path) -> str:
    folder = scratch / "outage"
    folder.mkdir()
    seen = outage.measure(
        folder,
        seconds=options.outage,
        rate=options.rate,
        send_rate=options.send_rate,
    )
    return "\n".join(
        (
            f"Iterable away for {seen.seconds:g} s at {seen.rate:g} webhooks a second:",
            f"- answered 2xx {seen.answered:,}, refused {seen.refused}",
            f"- answer p50 {seen.answer_ms['p50']:.1f} ms,"
            f" p99 {seen.answer_ms['p99']:.1f} ms",
            f"- a small durable write meanwhile p50 {seen.disk_ms['p50']:.1f} ms,"
            f" p99 {seen.disk_ms['p99']:.1f} ms",
            f"- memory {seen.memory_early:.0f} MiB early, {seen.memory_late:.0f} MiB"
            " at the end",
            f"Back: at {seen.send_rate:g} sends a second allowed, the backlog was sent"
            f" in {seen.drain_seconds:.0f} s, {seen.drain_rate:.0f} a second",
            f"- what came meanwhile waited p50 {seen.fresh_ms['p50']:.0f} ms,"
            f" p99 {seen.fresh_ms['p99']:.0f} ms; of the backlog"
            f" {seen.backlog_meanwhile:,} were sent beside it",
            f"- told twice {seen.duplicates}",
        )
    )


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.reliability", description=__doc__
    )
    add = parser.add_argument
    add("--webhooks", type=int, default=20_000, help="under kills (20,000)")
    add("--kills", type=int, default=50, help="of the whole program; 0 for none (50)")
    add("--policy", choices=POLICIES, action="append", help="all by default")
    add("--seed", type=int, default=1, help="of the moments of the kills (1)")
    add("--restarts", type=int, default=5, help="of PostgreSQL; 0 for none (5)")
    add("--outage", type=float, default=600, help="seconds; 0 for none (600)")
    add("--rate", type=float, default=200, help="webhooks a second then (200)")
    add("--send-rate", type=float, default=300, help="sends a second allowed (300)")
    add("--folder", type=Path, default=None, help="for databases: a real disk")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
