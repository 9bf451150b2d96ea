"""The benchmark of ConCat's solvers reports what it measured, and the two solvers agree while it does."""

from __future__ import annotations

from streams.bench.forecasters import run


def test_rows_are_complete_and_the_solvers_agree() -> None:
    said: list[str] = []
    rows = {row["name"]: row for row in run(said.append, batch=3, events=8)}
    assert set(rows) == {
        "concat difference",
        "concat forward",
        "concat forward and backward",
        "concat end to end",
    }
    for row in rows.values():
        assert set(row) == {"name", "value", "unit", "reference", "reference_value", "ratio"}
    assert 0.0 < rows["concat difference"]["value"] < 1e-4
    for name in ("concat forward", "concat forward and backward"):
        assert rows[name]["ratio"] > 0.0
    assert rows["concat end to end"]["value"] > 0.0
    assert len(said) == 4
