"""The live view: which posts it shows, in what order, and that nothing from outside can break or steer it."""

from __future__ import annotations

import doctest
import io
import re
import unicodedata
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Gauge, generate_latest
from rich.cells import cell_len
from rich.console import Console

from streams.alerts.moment import Quantity
from streams.alerts.rules import RuleSet
from streams.demo import wording
from streams.demo.board import MAX_HISTORY, MAX_POSTS, RECENT_SECONDS, Board, Post
from streams.demo.display import Display, picture
from streams.demo.live_view import LiveView, Vitals, columns, fitting, header_items
from streams.demo.sparkline import ASCII_BLOCKS, BLOCKS, NOW, sparkline
from streams.demo.wording import age, compact, identifier, rate
from streams.demo.workers import gauge
from streams.records import ForecastRecord
from tests.streams.alerts.alert_engine import at_least, play, rule
from tests.streams.conftest import cascade_events
from tests.streams.learning_engine import learning_settings

HOUR = 3600.0
DAY = 24 * HOUR
START = 1_700_000_000.0

VITALS = Vitals(
    bootstrap_servers="127.0.0.1:19092",
    page_urls=["http://127.0.0.1:16066/"],
    speed=60.0,
    event_time=START + HOUR,
    events=12_345,
    events_per_second=68.0,
    forecasts=4_321,
    forecasts_per_second=140.0,
    live_cascades=756,
    dead_letters=3,
    first_forecast_seconds=4.8,
)


def forecast(
    cascade: str = "post",
    *,
    growth: float = 10.0,
    observed: int = 40,
    expected: float = 100.0,
    age_seconds: float = HOUR,
    as_of: float = START + HOUR,
    model: str = "concat",
) -> ForecastRecord:
    return ForecastRecord(
        id=f"{cascade}@{as_of}",
        cascade=cascade,
        as_of=as_of,
        age_seconds=age_seconds,
        observed=observed,
        horizon_seconds=DAY,
        model=model,
        model_version="1",
        expected=expected,
        low=observed + (expected - observed) / 2,
        high=expected * 2,
        level=0.8,
        trajectory=[(age_seconds, float(observed)), ((age_seconds + DAY) / 2, expected * 0.9), (DAY, expected)],
        growth_per_hour=growth,
        event=f"{cascade}-1",
    )


def board_of(*records: ForecastRecord) -> Board:
    board = Board("concat")
    board.add(records)
    return board


def rendered(board: Board, width: int, height: int = 24, **console: object) -> str:
    options: dict[str, object] = {"file": io.StringIO(), "width": width, "height": height, **console}
    out = Console(**options)  # type: ignore[arg-type]
    out.print(LiveView(board, VITALS), height=height)
    return out.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def shown(board: Board) -> list[str]:
    return [post.latest.cascade for post in board.rising(100)]


class TestBoard:
    @given(st.lists(st.floats(0, 1e9), max_size=30))
    def test_posts_are_ordered_by_the_growth_the_champion_expects(self, growths: list[float]) -> None:
        records = [forecast(f"p{number:02}", growth=growth) for number, growth in enumerate(growths)]
        order = sorted(records, key=lambda record: (-record.growth_per_hour, record.cascade))
        assert shown(board_of(*records)) == [record.cascade for record in order]

    def test_other_models_are_counted_but_not_shown(self) -> None:
        board = board_of(forecast("a"), forecast("b", model="hawkes"))
        assert shown(board) == ["a"]
        assert board.forecasts == {"concat": 1, "hawkes": 1}

    def test_a_newer_forecast_replaces_an_older_one_and_not_the_other_way_round(self) -> None:
        older = forecast(growth=5.0)
        newer = forecast(growth=2.0, age_seconds=2 * HOUR, as_of=START + 2 * HOUR)
        for board in (board_of(older, newer), board_of(newer, older), board_of(older, newer, older, newer)):
            (post,) = board.rising(9)
            assert post.latest == newer

    def test_a_post_left_alone_is_not_rising(self) -> None:
        later = START + HOUR + RECENT_SECONDS + 1
        board = board_of(forecast("silent", growth=1e6), forecast("busy", as_of=later))
        assert shown(board) == ["busy"]

    def test_a_post_past_its_horizon_is_gone(self) -> None:
        board = board_of(forecast("old", age_seconds=DAY - 60), forecast("new", as_of=START + HOUR + 61))
        assert shown(board) == ["new"]

    def test_memory_is_bounded_and_the_idlest_posts_go_first(self) -> None:
        board = board_of(*(forecast(f"p{n}", as_of=START + n / 100) for n in range(MAX_POSTS + 1)))
        assert len(board) <= MAX_POSTS
        kept = {post.latest.cascade for post in board.rising(MAX_POSTS)}
        assert f"p{MAX_POSTS}" in kept
        assert "p0" not in kept

    def test_a_long_history_is_thinned_but_keeps_its_ends(self) -> None:
        board = board_of(*(forecast(age_seconds=60.0 * n, as_of=START + 60.0 * n, observed=n) for n in range(1, 1000)))
        (post,) = board.rising(1)
        assert len(post.history) <= MAX_HISTORY
        assert post.history[0] == (0.0, 0.0)
        assert post.history[-1] == (60.0 * 999, 999.0)
        assert post.history == sorted(post.history)


class TestSparkline:
    @given(
        st.integers(3, 60),
        st.floats(0, DAY),
        st.integers(0, 10**7),
        st.floats(0, 1e7),
        st.booleans(),
    )
    def test_it_is_as_wide_as_asked_and_rises(
        self, width: int, age_seconds: float, observed: int, more: float, plain: bool
    ) -> None:
        record = forecast(observed=observed, expected=observed + more, age_seconds=age_seconds)
        # A forecast that dips below what was observed would be no trajectory at all.
        ages = sorted({age_seconds, DAY})
        record = type(record)(
            **{
                **{name: getattr(record, name) for name in record.__struct_fields__},
                "trajectory": [(at, observed + more * (at == DAY)) for at in ages],
            }
        )
        post = Post(record)
        post.update(record)
        line = sparkline(post, width, ascii_only=plain)
        assert len(str(line)) == width
        blocks = ASCII_BLOCKS if plain else BLOCKS
        levels = [blocks.index(one) for one in line.observed + line.forecast]
        assert levels == sorted(levels)
        if observed + more > 1e-6:
            assert levels[-1] == len(blocks) - 1

    @pytest.mark.parametrize(("age_hours", "seen"), [(0.01, 1), (6, 10), (24 * 0.999, 19)])
    def test_the_present_stands_at_the_square_root_of_the_age(self, age_hours: float, seen: int) -> None:
        (post,) = board_of(forecast(age_seconds=age_hours * HOUR)).rising(1)
        line = sparkline(post, 21)
        assert len(line.observed) == seen
        assert str(line)[seen] == NOW

    def test_a_post_without_a_reshare_is_a_flat_line(self) -> None:
        (post,) = board_of(forecast(observed=0, expected=0.0)).rising(1)
        assert set(str(sparkline(post, 12))) == {BLOCKS[0], NOW}


class TestFit:
    @pytest.mark.parametrize("width", [1, 7, 20, 33, 48, 60, 79, 80, 81, 100, 120, 200, 400])
    @pytest.mark.parametrize("height", [2, 4, 8, 14, 24, 60])
    def test_it_never_leaves_the_window(self, width: int, height: int) -> None:
        board = board_of(*(forecast(f"post-{n}-" + "長い" * (n % 9), expected=10.0**n + 40) for n in range(13)))
        lines = rendered(board, width, height).split("\n")
        assert len(lines) <= height + 1  # the last one ends in a newline
        assert max(cell_len(line) for line in lines) <= width

    def test_a_terminal_of_80_columns_shows_all_but_the_model(self) -> None:
        text = rendered(board_of(forecast("a-post")), 80)
        for word in ("a-post", "1h00m", "40", "100", "70 – 200", "10", NOW, "at 24 h", "Ctrl-C"):
            assert word in text
        assert "concat" not in text
        assert "concat" in rendered(board_of(forecast("a-post")), 110)

    @given(st.integers(1, 300))
    def test_columns_fill_the_width_and_leave_by_rank(self, width: int) -> None:
        candidates = columns(DAY)
        chosen = fitting(candidates, width)
        ranks = {column.rank for column, _ in chosen}
        assert ranks == set(range(len(ranks)))
        if width >= 10:
            assert sum(wide + 2 for _, wide in chosen) - 2 <= width

    def test_the_header_tells_the_vital_signs(self) -> None:
        text = rendered(board_of(forecast()), 120)
        for word in ("2023-11-14 23:13:20 UTC 60x", "12,345 (68/s)", "4,321 (140/s)", "756", "dead letters 3"):
            assert word in text
        for word in ("127.0.0.1:19092", "http://127.0.0.1:16066/", "first forecast after 4.8 s"):
            assert word in text

    def test_the_header_tells_the_latest_alert(self) -> None:
        loud = RuleSet((rule("loud", at_least(Quantity.EXPECTED, 5.0)),))
        told = play(cascade_events("viral", 1000.0, [30.0] * 20), [], learning_settings(), loud)[0].order[0]
        lines = [text.plain for text in header_items(board_of(), replace(VITALS, alerts=7, latest_alert=told))]
        assert [line for line in lines if line.startswith("alerts")] == ["alerts 7: loud, viral at 47s, 84 expected"]

    def test_plain_lines_explain_themselves_once(self) -> None:
        out = io.StringIO()
        display = Display(Console(file=out, width=80))
        for _ in range(2):
            display.show_lines(board_of(forecast("a")), VITALS)
        assert out.getvalue().count("square root") == 1
        assert "\x1b" not in out.getvalue()

    def test_no_color_leaves_no_colour_and_the_present_still_divides_seen_from_forecast(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("NO_COLOR", "1")
        text = rendered(board_of(forecast()), 100, force_terminal=True)
        codes = {code for found in re.findall(r"\x1b\[([\d;]*)m", text) for code in found.split(";")}
        assert codes <= {"", "0", "1", "2"}  # plain, bold, dim
        assert NOW in text

    def test_a_terminal_without_unicode_gets_ascii(self) -> None:
        raw = io.BytesIO()
        out = Console(file=io.TextIOWrapper(raw, encoding="ascii"), width=110, height=20)
        out.print(LiveView(board_of(forecast("påst")), VITALS), height=20)
        out.file.flush()
        text = raw.getvalue().decode("ascii")
        assert "p?st" in text
        assert "|" in text
        assert "low - high" in text

    def test_the_picture_is_an_svg_of_the_view(self) -> None:
        svg = picture(board_of(forecast("a-post")), VITALS)
        assert svg.lstrip().startswith("<svg")
        assert "a-post" in svg


class TestForeignIds:
    @given(st.text(max_size=60), st.integers(1, 40), st.booleans())
    def test_an_id_fits_and_holds_nothing_that_steers(self, text: str, width: int, plain: bool) -> None:
        written = identifier(text, width, ascii_only=plain)
        assert cell_len(written) <= width
        assert not {unicodedata.category(one) for one in written} & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
        assert not plain or written.isascii()

    @given(st.text(alphabet="abc-123", max_size=20))
    def test_an_ordinary_id_that_fits_is_left_alone(self, text: str) -> None:
        assert identifier(text, 20) == text

    def test_a_long_id_keeps_both_ends(self) -> None:
        assert identifier("head" + "x" * 1000 + "tail", 12) == "headxx…xtail"

    @pytest.mark.parametrize(
        "hostile",
        [
            "\x1b]0;title\x07",
            "\x1b[2J\x1b[H",
            "a\nb\r\nc\x85d\u2028e",
            "\u202eevil\u2066",
            "[bold red]markup[/]",
            "z" + "\u0301" * 500,
            ":smile:",
            "\x9b31mred",
        ],
    )
    def test_a_hostile_id_is_shown_harmlessly(self, hostile: str) -> None:
        # Given: two boards that differ in nothing but the id.
        plain, steered = (rendered(board_of(forecast(name)), 110) for name in ("ordinary", hostile))
        assert len(steered.split("\n")) == len(plain.split("\n"))
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u0301\u202e\u2066\u2028]", steered)
        coloured = rendered(board_of(forecast(hostile)), 110, force_terminal=True, color_system="standard")
        assert "\x1b" not in re.sub(r"\x1b\[[\d;]*m", "", coloured)

    def test_markup_and_emoji_names_are_taken_literally(self) -> None:
        assert "[bold]x[/]" in rendered(board_of(forecast("[bold]x[/]")), 110)
        assert ":smile:" in rendered(board_of(forecast(":smile:")), 110)


class TestWording:
    def test_the_examples_in_the_docstrings_hold(self) -> None:
        assert doctest.testmod(wording).failed == 0

    @given(st.floats(0, 1e300))
    def test_every_number_keeps_to_six_characters(self, value: float) -> None:
        assert len(compact(value)) <= 6
        assert len(rate(value)) <= 6

    @given(st.floats(0, 3e10))
    def test_every_age_keeps_to_six_characters(self, seconds: float) -> None:
        assert len(age(seconds)) <= 6 or seconds > 99_999 * 86_400


def test_a_metric_is_summed_over_its_labels_and_not_over_its_namesakes() -> None:
    registry = CollectorRegistry()
    live = Gauge("cascadecast_live_cascades", "By partition.", ["partition"], registry=registry)
    Gauge("cascadecast_live_cascades_peak", "Another one.", registry=registry).set(1000)
    for partition in range(3):
        live.labels(str(partition)).set(10.0 * partition)
    text = generate_latest(registry).decode()
    assert gauge(text, "cascadecast_live_cascades") == 30.0
    assert gauge(text, "cascadecast_forecasts_waiting") == 0.0
