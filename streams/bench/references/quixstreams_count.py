"""A quixstreams application that counts events per key in its state, with a changelog, at least once: its defaults.

``python -m streams.bench.references.quixstreams_count BOOTSTRAP TOPIC RECORDS DIRECTORY``
"""

from __future__ import annotations

import sys
from typing import Any

from quixstreams import Application, State

from streams.bench.references.report import Report, leave


def main() -> None:
    """Count so many records, report, end."""
    bootstrap, topic, records, directory = sys.argv[1:]
    app = Application(
        broker_address=bootstrap,
        consumer_group="quixstreams-count",
        auto_offset_reset="earliest",
        state_dir=directory,
        loglevel="ERROR",
    )
    report = Report(int(records))

    def count(value: Any, state: State) -> None:
        del value
        state.set("count", state.get("count", 0) + 1)
        if report.add(1):
            leave()

    app.dataframe(app.topic(topic, value_deserializer="json")).update(count, stateful=True)
    app.run()


if __name__ == "__main__":
    main()
