"""`python -m benchmarks`: measure the bridge beside other programs; print the ratios.

Everything runs on this machine, on two of its cores, over loopback. In every round each
program has its turn under the same load; each ratio is of two turns of one round.
"""

import argparse
import json
import multiprocessing
import os
import platform
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

from benchmarks import checkout, report
from benchmarks.checkout import BenchmarkError, Checkout
from benchmarks.measuring import Bench, Sample
from benchmarks.programs import Factory, missing_for_dramatiq
from benchmarks.scenarios import NAMES, WITH_OLD, growth, scenarios
from benchmarks.sink import Sink

RESULTS = Path(__file__).parent / "results"
CORES = 2


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    add = parser.add_argument
    add("--only", choices=NAMES, action="append", help="may be repeated")
    add("--rounds", type=int, default=5, help="turns of each program (5)")
    add("--count", type=int, help="webhooks a turn (memory 100,000, else 4,000)")
    add("--seconds", type=int, help="sending time (accept 4, latency 20)")
    add(
        "--rate",
        type=int,
        default=300,
        help="of latency, webhooks a second (300)",
    )
    add("--rows", type=int, default=1_000_000, help="of growth (1,000,000)")
    add("--folder", type=Path, default=RESULTS, help="for ledgers (benchmarks/results)")
    add("--old", default=checkout.COMMIT, metavar="COMMIT", help="to compare with")
    add("--old-checkout", type=Path, metavar="DIR", help="that commit, with its .venv")
    return parser.parse_args(arguments)


def _progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def measure(
    options: argparse.Namespace, wanted: set[str], bench: Bench, *, factory: Factory
) -> list[Sample]:
    """Run the scenarios that were asked for."""
    made, samples = scenarios(options, factory), []
    for name in (name for name in NAMES if name in wanted):
        if name == "growth":
            _progress(f"filling a ledger with {options.rows:,} rows")
            ledger = bench.folder / "ledger"
            made[name] = growth(options, factory, bench, folder=ledger)
        _progress(f"{name}: {made[name].title}")
        for one in bench.samples(name, made[name], options.rounds):
            samples.append(one)
            _progress(
                f"  {one.program}: {one.rate:,.0f}/s, CPU {one.cpu_ms:.2f} ms, "
                f"p99 {one.p99_ms:.1f} ms, others {one.others_core:.0%} of a core"
            )
    return samples


def run(options: argparse.Namespace, folder: Path) -> None:
    """Measure, print the report and write it to a file."""
    wanted = set(options.only or NAMES)
    new, old = Checkout(root=checkout.ROOT, python=Path(sys.executable)), None
    if options.old_checkout is not None:
        old = checkout.existing(options.old_checkout)
    elif wanted & WITH_OLD:
        _progress(f"installing {options.old}")
        old = checkout.of_commit(options.old, folder)
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as pool, closing(Sink()) as sink:
        bench = Bench(pool, sink, folder=folder)
        factory = Factory(sink_url=sink.url, new=new, old=old)
        samples = measure(options, wanted, bench, factory=factory)
    print(report.text(samples))
    if "relay" in wanted and (missing := missing_for_dramatiq()) is not None:
        print(f"\nskipped: dramatiq ({missing})")
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / time.strftime("%Y%m%d-%H%M%S.json", time.gmtime())
    content = {
        "machine": platform.uname()._asdict(),
        "options": vars(options),
        "installed": [checkout.installed(one) for one in (new, old) if one],
        "figures": report.figures(samples),
        "samples": [asdict(sample) for sample in samples],
    }
    path.write_text(json.dumps(content, indent=1, default=str), encoding="utf-8")
    _progress(f"\nwritten to {path}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; the exit code is 1 if something did not work."""
    options = _options(arguments)
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # ends what was started
    options.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="run-") as folder:
        try:
            run(options, Path(folder).resolve())
        except BenchmarkError as error:
            print(f"the benchmark failed: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
