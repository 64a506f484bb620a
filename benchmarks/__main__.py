"""`python -m benchmarks`: measure the bridge beside its baselines and print the ratios.

Everything runs on this machine, on two of its cores, over loopback.
"""

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from benchmarks import machine, report
from benchmarks.catalogue import NAMES, USUAL, scenarios
from benchmarks.peers import PeerError, Sender, Sink
from benchmarks.programs import Settings, UnavailableError
from benchmarks.scenarios import MOST_WEBHOOKS, Bench, BenchmarkError, Sample
from benchmarks.sender import NANO, Order

RESULTS = Path(__file__).parent / "results"


def peers_alone(
    sender: Sender, sink: Sink, options: argparse.Namespace
) -> dict[str, float]:
    """Measure how fast sender and sink are with nothing between them."""
    rates = {}
    for name, is_keep_alive in (("keep_alive", True), ("fresh", False)):
        order = Order(
            port=sink.port,
            run=0,
            count=MOST_WEBHOOKS // 3,
            connections=options.connections,
            seconds=1.0 if options.quick else 2.0,
            is_keep_alive=is_keep_alive,
        )
        sender.build(order)
        tally = sender.go(order)
        seconds = (tally["last_ns"] - tally["first_ns"]) / NANO
        rates[name] = len(tally["sent_ns"]) / seconds
    return rates


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    add = parser.add_argument
    add("--quick", action="store_true", help="under a minute, less exact")
    add("--only", choices=NAMES, action="append", help="may be given again")
    add("--rounds", type=int, help="turns of bridge and baseline a scenario")
    add("--processes", type=int, default=2, help="receiving processes (2)")
    add("--threads", type=int, default=16, help="threads of each process (16)")
    add("--connections", type=int, default=64, help="of the sender (64)")
    add("--rate", type=float, default=300, help="open-loop webhooks a second (300)")
    add("--sink-latency", type=float, default=0, help="seconds Iterable takes (0)")
    add("--calm", type=float, default=0, help="seconds to wait for a calm machine (0)")
    add("--plot", type=Path, help="draw the figures into this SVG file")
    add("--folder", type=Path, default=RESULTS, help="for results and databases")
    return parser.parse_args(arguments)


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def measure(options: argparse.Namespace, folder: Path) -> list[Sample]:
    """Run what was asked for and print it."""
    about = machine.describe(folder)
    versions = ", ".join(f"{name} {one}" for name, one in about["versions"].items())
    print(
        f"{about['cores']} cores of {about['cpu']}, Linux {about['kernel']}, "
        f"Python {about['python']}, {versions}; database on {about['disk']}, "
        f"fdatasync {about['fdatasync_ms']} ms; {options.processes} processes of "
        f"{options.threads} threads, {options.connections} connections.\n"
    )
    wanted = options.only or USUAL
    samples: list[Sample] = []
    alone: dict[str, float] = {}
    with Sender() as sender, Sink(options.sink_latency) as sink:
        settings = Settings(
            processes=options.processes,
            threads=options.threads,
            iterable_url=sink.url,
        )
        if "peers" in wanted:
            alone = peers_alone(sender, sink, options)
        bench = Bench(sender, sink, settings, folder=folder, patience=options.calm)
        for scenario in scenarios(options):
            if scenario.name not in wanted:
                continue
            _tell(f"{scenario.name}: {scenario.title}")
            try:
                for sample in bench.samples(scenario):
                    samples.append(sample)
                    _tell(
                        f"  {sample.program}: {sample.rate:,.0f} a second, "
                        f"others {sample.others_core:.0%} of a core"
                    )
            except UnavailableError as error:
                samples = [one for one in samples if one.scenario != scenario.name]
                _tell(f"  left out: {error}")
    if samples:
        print(report.table(samples) + "\n")
    print(report.bottlenecks(samples, alone))
    path = options.folder / time.strftime("%Y%m%d-%H%M%S.json", time.gmtime())
    paths = ("folder", "plot")
    given = {name: one for name, one in vars(options).items() if name not in paths}
    report.write(path, machine=about, settings=given, peers=alone, samples=samples)
    if options.plot is not None:
        # Only here: it needs what the extra `bench` brings.
        import_module("benchmarks.plot").draw(options.plot, report.lines(samples))
    return samples


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    if machine.confine() < machine.CORES:
        print("the figures are meant for two cores; here is one", file=sys.stderr)
    # The programs started are ended on the way out, whichever way that is.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    options.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="run-") as folder:
        try:
            measure(options, Path(folder))
        except (BenchmarkError, PeerError) as error:
            print(f"the benchmark failed: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
