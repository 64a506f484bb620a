"""The page that Prometheus scrapes."""

import math
from collections.abc import Iterable, Iterator, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from bridge.metrics.families import Counter, Gauge, Histogram
from bridge.metrics.names import FAMILIES
from bridge.metrics.sharing import shared


def page(accept: str) -> tuple[bytes, str]:
    """Write all figures.

    Args:
        accept: The request's `Accept`.

    Returns:
        The page and its content type.
    """
    encode, content_type = choose_encoder(accept)
    registry = CollectorRegistry()
    registry.register(_Figures())
    return encode(registry), content_type


class _Figures(Collector):
    """Reads the board."""

    def describe(self) -> Iterable[Metric]:
        """Name nothing in advance: one collector has the registry to itself."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Make the families of figures as they stand."""
        board = shared()
        if board is None:
            return
        sums, common = board.sums(), board.common.tolist()
        for family in FAMILIES:
            match family:
                case Counter():
                    yield _counter(family, sums)
                case Histogram():
                    yield _histogram(family, sums)
                case Gauge():
                    yield _gauge(family, common)


def _counter(family: Counter, sums: Sequence[float]) -> Metric:
    metric = CounterMetricFamily(family.name, family.text, labels=family.labels)
    for values, cell in family.cells().items():
        metric.add_metric(values, sums[cell])
    return metric


def _gauge(family: Gauge, common: Sequence[float]) -> Metric:
    metric = GaugeMetricFamily(family.name, family.text, labels=family.labels)
    for values, cell in family.cells().items():
        if not math.isnan(common[cell]):
            metric.add_metric(values, common[cell])
    return metric


def _histogram(family: Histogram, sums: Sequence[float]) -> Metric:
    metric = HistogramMetricFamily(family.name, family.text)
    start = family.cells()[()]
    so_far, buckets = 0.0, []
    for index, bound in enumerate((*family.buckets, math.inf)):
        so_far += sums[start + index]
        buckets.append((f"{bound:g}" if bound < math.inf else "+Inf", so_far))
    metric.add_metric((), buckets, sum_value=sums[start + family.size - 1])
    return metric
