"""The metrics as Prometheus gets them, read by its client library's parser."""

import http.client
import socket
from collections.abc import Iterator
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.arrays import Array

Series = dict[str, str]
"""The labels of a sample."""


class Metrics:
    """What one scrape gave."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.families = {family.name: family for family in text_string_to_metric_families(text)}
        self._samples = [sample for family in self.families.values() for sample in family.samples]

    def samples(self, name: str, /, **labels: str) -> Iterator[tuple[Series, float]]:
        """The labels and values of that name's samples that have these labels."""
        for sample in self._samples:
            if sample.name == name and labels.items() <= sample.labels.items():
                yield sample.labels, sample.value

    def value(self, name: str, /, **labels: str) -> float:
        """The value of the one sample of that name with these labels."""
        ((_, value),) = self.samples(name, **labels)
        return value

    def there(self, name: str, /, **labels: str) -> bool:
        """Whether there is such a sample."""
        return any(self.samples(name, **labels))


class Unix(http.client.HTTPConnection):
    """HTTP on a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=30)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(30)
        self.sock.connect(str(self._path))


def get(connection: http.client.HTTPConnection, path: str = "/metrics", method: str = "GET") -> tuple[int, str]:
    """The status and the text of a request's reply."""
    try:
        connection.request(method, path)
        reply = connection.getresponse()
        return reply.status, reply.read().decode()
    finally:
        connection.close()


def watched(array: Array) -> Path:
    """Have the array's daemon serve its metrics, by a reload; gives where."""
    path = array.folder / "metrics"
    array.configuration["metrics"] = {"listen": str(path)}
    array.reload()
    return path


def scrape(path: Path) -> Metrics:
    """Scrape the metrics of a daemon that serves them at that path."""
    status, text = get(Unix(path))
    assert status == 200, text
    return Metrics(text)
