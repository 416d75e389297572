"""A scene as the text that Prometheus reads, written by its own client library.

Samples are made as they are written: a scrape of 10,000 LUNs has some 90,000, which are never there all at once.
"""

import time
from collections.abc import Iterator
from typing import cast

from prometheus_client import ProcessCollector, generate_latest
from prometheus_client.core import HistogramMetricFamily, Metric, Sample
from prometheus_client.registry import Collector

from vdsprovd.counted import Durations
from vdsprovd.metrics import definitions
from vdsprovd.metrics.definitions import METRICS, Kind
from vdsprovd.metrics.scene import Scene

_BREATH_EVERY, _BREATH = 20, 50e-6
"""After so many samples the thread sleeps for so many seconds: whoever answers clients takes the interpreter meanwhile."""


CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""Of the one format that every Prometheus reads."""


def render(scene: Scene) -> list[bytes]:
    """The text, in parts. Runs in a worker thread."""
    # Each family by itself: all lines of a text are put together, and let go of, while nobody else has the interpreter.
    parts = [generate_latest(_One(_family(metric, scene))) for metric in METRICS]
    return [*parts, generate_latest(ProcessCollector(registry=None))]


class _One(Collector):
    """One family."""

    def __init__(self, family: Metric) -> None:
        self._family = family

    def collect(self) -> Iterator[Metric]:
        yield self._family


def _family(metric: definitions.Metric, scene: Scene) -> Metric:
    if metric.kind is Kind.HISTOGRAM:
        return _histogram(metric, scene)
    family = Metric(metric.name.removesuffix("_total"), metric.help, metric.kind.value)
    family.samples = cast(list[Sample], _samples(metric, scene))
    return family


def _samples(metric: definitions.Metric, scene: Scene) -> Iterator[Sample]:
    for number, (labels, value) in enumerate(metric.read(scene)):
        assert not isinstance(value, Durations)
        yield Sample(metric.name, dict(zip(metric.labels, labels, strict=True)), value)
        if number % _BREATH_EVERY == _BREATH_EVERY - 1:
            time.sleep(_BREATH)


def _histogram(metric: definitions.Metric, scene: Scene) -> Metric:
    family = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
    for labels, durations in metric.read(scene):
        assert isinstance(durations, Durations)
        buckets, total = [], 0
        for bound, count in zip((*map(str, durations.bounds), "+Inf"), durations.counts, strict=True):
            total += count
            buckets.append((bound, total))
        family.add_metric(labels, buckets, durations.sum)
    return family
