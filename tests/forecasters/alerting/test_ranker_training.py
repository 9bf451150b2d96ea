"""A trained ranker in the store: found by its name, measured on posts it has not seen, and judged as it is stored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from forecasters.alerting import AlertPlan, AlertRanker, evaluate_alerts, stage
from forecasters.alerting.plan import RANKER, RANKER_OF_POST
from forecasters.alerting.ranker_training import RankerPlan, train_ranker
from forecasters.alerting.stored import load_ranker, must_answer
from forecasters.errors import ModelStoreError
from forecasters.model_store import ModelStore
from forecasters.training_plan import DataFile
from tests.forecasters.alerting.posts import HORIZON, busy_day, curves_of

SHARES = (0.05, 0.1)
FILES = [DataFile("posts.jsonl", "0" * 32, 300)]


@pytest.fixture(autouse=True)
def few_rounds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(stage, "ROUNDS", 20)
    monkeypatch.setenv("CASCADECAST_MODELS_DIR", str(tmp_path))


def test_it_is_measured_on_the_later_posts_and_stored(tmp_path: Path) -> None:
    plan = RankerPlan(HORIZON, SHARES, "time", seed=1)
    stored, rows = train_ranker(busy_day(300), plan, ModelStore(tmp_path), files=FILES)
    assert (stored.name, stored.version, stored.aliases) == (RANKER, "1", ("champion",))
    assert {row["n"] for row in rows} == {90}
    assert {row["rule"] for row in rows if row["protocol"] == "age"} == {"count", "rate", RANKER_OF_POST}
    assert stored.trained_on() == {"0" * 32}
    card = stored.card()
    for text in ("posts.jsonl", "the later 30 % are held back", "| 30m | 5 % | ranker:post |"):
        assert text in card
    assert plan.command(["posts.jsonl"]) in card
    curves = curves_of(*busy_day(300))
    posts, ages = np.arange(210, 300), np.full(90, 900.0)
    same = AlertRanker(reads_stream=False).fit(curves, np.arange(210), SHARES, seed=1)
    assert (load_ranker(RANKER).scores(curves, posts, ages) == same.scores(curves, posts, ages)).all()


def test_with_nothing_held_back_nothing_is_measured(tmp_path: Path) -> None:
    stored, rows = train_ranker(busy_day(150), RankerPlan(HORIZON, (0.1,), "none"), ModelStore(tmp_path), files=FILES)
    assert rows == []
    assert "nothing was measured" in stored.card()


def test_a_stored_ranker_is_judged_on_all_posts_of_a_file(tmp_path: Path) -> None:
    train_ranker(busy_day(300), RankerPlan(HORIZON, SHARES, "none"), ModelStore(tmp_path), files=FILES)
    others = busy_day(200, seed=1)
    plan = AlertPlan((1800.0,), HORIZON, SHARES, "all", (0,), ("ranker@1",))
    rows = {row["rule"]: row for row in evaluate_alerts(others, plan, data="x").rows if row["protocol"] == "age"}
    assert set(rows) == {"count", "rate", "ranker@1"}
    assert rows["ranker@1"]["n"] == 200
    walked = {row["rule"] for row in evaluate_alerts(others, plan, data="x").rows if row["protocol"] == "stream"}
    assert "ranker@1" in walked


def test_what_cannot_answer_says_so(tmp_path: Path) -> None:
    with pytest.raises(ModelStoreError, match="no ranker is stored; 'cascadecast train ranker --data FILE' makes one"):
        load_ranker(RANKER)
    with pytest.raises(ModelStoreError, match="trees is no ranker"):
        load_ranker("trees")
    train_ranker(busy_day(150), RankerPlan(HORIZON, (0.1,), "none"), ModelStore(tmp_path), files=FILES)
    ranker = load_ranker(RANKER)
    with pytest.raises(ModelStoreError, match="at 24h, not at 12h; name another, or train one with --horizon 12h"):
        must_answer(ranker, HORIZON / 2)
    must_answer(ranker, None, (0.1,))
    with pytest.raises(ModelStoreError, match=r"ranker@1 knows the top 10 %, not 1 %.*--top 1%"):
        must_answer(ranker, HORIZON, (0.1, 0.01))
