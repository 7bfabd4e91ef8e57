"""Finished rows of a benchmark, kept in a file where one is given."""

import json


class Rows:
    """Dictionaries, each known by its part of the benchmark and its settings.

    Parameters
    ----------
    path : Path or None
        One line of JSON per row. Rows that are there are not measured again.
    """

    def __init__(self, path):
        self.path = path
        self._rows = []
        if path is not None and path.is_file():
            self._rows = [json.loads(line) for line in path.read_text().splitlines()]

    def find(self, **settings):
        """Rows that have these values."""
        return [
            row
            for row in self._rows
            if all(row.get(name) == value for name, value in settings.items())
        ]

    def add(self, row):
        self._rows.append(row)
        if self.path is not None:
            append(self.path, row)


def append(path, row):
    """Add one line, in one write, so that processes do not mix theirs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "ab", buffering=0) as file:
        file.write((json.dumps(row) + "\n").encode())
