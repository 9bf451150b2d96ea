"""A running worker follows its file of alert rules: other rules are in force between two rounds, without a restart."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import structlog

from streams.alerts.rule_file import RulesError, load_rules
from streams.alerts.rules import RuleBook, RuleSet
from streams.metrics import WorkerMetrics

log = structlog.get_logger("cascadecast.alerts")


class RuleWatch:
    """Puts the rules that the file says into the book; where they cannot be meant, the old ones stay."""

    def __init__(
        self, path: Path, book: RuleBook, metrics: WorkerMetrics, load: Callable[[Path], RuleSet] = load_rules
    ) -> None:
        """``load`` reads the file. Raises RulesError when it cannot be read or meant now."""
        self._path = path
        self._load = load
        self._book = book
        self._metrics = metrics
        self._refused = ""
        self._put(load(path))

    async def run(self, poll_seconds: float, changed: Callable[[], None]) -> None:
        """Look every ``poll_seconds`` of wall time until cancelled; ``changed`` is called once others are in force."""
        while True:
            await asyncio.sleep(poll_seconds)
            if await asyncio.to_thread(self.look):
                changed()

    def look(self) -> bool:
        """Look once; whether other rules are in force now. Never raises; what is wrong is told and counted once."""
        try:
            found = self._load(self._path)
        except RulesError as error:
            if str(error) != self._refused:
                self._metrics.rules_failures.inc()
                log.error("alert rules were refused; those in force stay", reason=str(error))
            self._refused = str(error)
            return False
        self._refused = ""
        if found.digest == self._book.current.digest:
            return False
        self._put(found)
        return True

    def _put(self, rules: RuleSet) -> None:
        self._book.current = rules
        self._metrics.show_rules(rules)
        log.info("alert rules in force", rules=len(rules.rules), digest=rules.digest)
