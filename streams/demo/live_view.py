"""The live view: a header of vital signs, the posts rising fastest, how to leave. Fits any width and height."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.table import Table
from rich.text import Text

from streams.alerts.records import AlertRecord
from streams.demo.board import Board, Post
from streams.demo.sparkline import sparkline
from streams.demo.wording import age, compact, duration, event_clock, identifier, rate

ALERT_COLUMNS: Final = 20
"""Of the id of the post that the latest alert is about."""

GAP: Final = 2
"""Blank columns between two columns of the table."""


@dataclass(frozen=True, slots=True)
class Vitals:
    """What the header says, besides the posts themselves."""

    bootstrap_servers: str
    page_urls: Sequence[str]
    speed: float  # event seconds per second; inf: as fast as possible
    event_time: float = math.nan  # of the latest published event
    events: int = 0
    events_per_second: float = 0.0
    forecasts: int = 0
    forecasts_per_second: float = 0.0
    live_cascades: int | None = None  # None: no worker has said yet
    waiting: int = 0  # forecasts that are due and not made
    dead_letters: int = 0
    alerts: int = 0  # opened
    latest_alert: AlertRecord | None = None
    first_forecast_seconds: float | None = None  # after the broker was up
    ended: bool = False  # the stream has no more events


Cell = Callable[[Post, int, bool], Text]
"""Writes a post's cell: the post, the columns there are, whether only ASCII can be shown."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the table: a narrower view leaves out those of higher ``rank``."""

    name: str
    rank: int
    width: int
    widest: int  # takes up to so many columns when there is room
    cell: Cell
    left: bool = False


def columns(horizon_seconds: float, *, ascii_only: bool = False) -> tuple[Column, ...]:
    """The columns from left to right."""
    dash = "-" if ascii_only else "–"
    return (
        Column("post", 0, 10, 28, _post, left=True),
        Column("age", 5, 6, 6, lambda post, width, plain: Text(age(post.latest.age_seconds))),
        Column("now", 1, 6, 6, lambda post, width, plain: Text(compact(post.latest.observed), style="cyan")),
        Column("per hour", 3, 8, 8, _growth),
        Column(f"at {duration(horizon_seconds)}", 2, 7, 9, _expected),
        Column(f"low {dash} high", 4, 15, 15, _interval),
        Column("trajectory", 6, 11, 40, _trajectory, left=True),
        Column("model", 7, 7, 12, _model, left=True),
    )


def _post(post: Post, width: int, ascii_only: bool) -> Text:
    return Text(identifier(post.latest.cascade, width, ascii_only=ascii_only))


def _growth(post: Post, width: int, ascii_only: bool) -> Text:
    return Text(rate(post.latest.growth_per_hour), style="green")


def _expected(post: Post, width: int, ascii_only: bool) -> Text:
    return Text(compact(post.latest.expected), style="bold magenta")


def _interval(post: Post, width: int, ascii_only: bool) -> Text:
    dash = "-" if ascii_only else "–"
    return Text(f"{compact(post.latest.low)} {dash} {compact(post.latest.high)}", style="dim")


def _trajectory(post: Post, width: int, ascii_only: bool) -> Text:
    line = sparkline(post, width, ascii_only=ascii_only)
    return Text.assemble((line.observed, "cyan"), (line.now, "dim"), (line.forecast, "magenta"))


def _model(post: Post, width: int, ascii_only: bool) -> Text:
    return Text(identifier(post.latest.model, width, ascii_only=ascii_only), style="dim")


def fitting(candidates: Sequence[Column], width: int) -> list[tuple[Column, int]]:
    """The columns that a table ``width`` wide has room for, each with its width.

    By rank while they fit; what is left over goes to the trajectory first, then to the others.
    """
    chosen: list[Column] = []
    left = width + GAP
    for column in sorted(candidates, key=lambda one: one.rank):
        if left < column.width + GAP and chosen:
            break
        chosen.append(column)
        left -= column.width + GAP
    widths = {column.name: column.width for column in chosen}
    for column in sorted(chosen, key=lambda one: -one.widest):
        more = min(max(left, 0), column.widest - column.width)
        widths[column.name] += more
        left -= more
    return [(column, widths[column.name]) for column in candidates if column in chosen]


class LiveView:
    """The whole view as something rich can print; it reads the width and height of each print."""

    def __init__(self, board: Board, vitals: Vitals, *, rows: int | None = None, footer: bool = True) -> None:
        self._board = board
        self._vitals = vitals
        self._rows = rows
        self._footer = footer

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Header, table, footer; as many rows as the height leaves."""
        width, height = options.max_width, options.height or options.max_height
        head = flow(header_items(self._board, self._vitals), width)
        foot = flow(footer_items(ascii_only=options.ascii_only), width) if self._footer else []
        if self._rows is not None:
            yield Group(*head, self._table(self._rows, options), *foot)
            return
        # The posts come first: a low window does without most of the rest, or all of it.
        head, foot = (head[: height // 5], foot[: max(1, height // 10)]) if height >= 8 else ([], [])
        blank = [Text()] if height >= 8 else []
        rows = max(1, height - 1 - len(head) - len(foot) - 2 * len(blank))
        table = self._table(rows, options)
        filler = [Text()] * (rows - table.row_count)
        yield Group(*head, *blank, table, *filler, *blank, *foot)

    def _table(self, rows: int, options: ConsoleOptions) -> Table:
        return table_of_posts(self._board.rising(rows), options.max_width, ascii_only=options.ascii_only)


def header_items(board: Board, vitals: Vitals) -> list[Text]:
    """The vital signs, each an unbreakable piece.

    Styled in spans: the style of a whole text would spread to what is appended to it.
    """
    speed = "as fast as possible" if math.isinf(vitals.speed) else f"{vitals.speed:g}x"
    clock = "no event yet" if math.isnan(vitals.event_time) else f"{event_clock(vitals.event_time)} UTC"
    items = [
        Text.assemble(("cascadecast demo", "bold")),
        Text.assemble(("event time ", "dim"), (clock, "cyan"), f" {speed}"),
        _count("events", vitals.events, vitals.events_per_second),
        _count("forecasts", vitals.forecasts, vitals.forecasts_per_second),
        Text.assemble(
            ("live cascades ", "dim"), "?" if vitals.live_cascades is None else compact(vitals.live_cascades)
        ),
        Text.assemble(("waiting ", "dim"), compact(vitals.waiting)),
        Text.assemble(("dead letters ", "dim"), (str(vitals.dead_letters), "red" if vitals.dead_letters else "")),
        Text.assemble(("Kafka ", "dim"), vitals.bootstrap_servers),
        *(Text.assemble(("live page ", "dim"), url) for url in vitals.page_urls[:1]),
    ]
    if len(vitals.page_urls) > 1:
        items.append(Text.assemble((f"and {len(vitals.page_urls) - 1} more workers", "dim")))
    if (alert := vitals.latest_alert) is not None:
        post = identifier(alert.cascade, ALERT_COLUMNS, ascii_only=True)
        said = f": {alert.rule}, {post} at {age(alert.age_seconds)}, {compact(alert.expected)} expected"
        items.append(Text.assemble(("alerts ", "dim"), f"{vitals.alerts:,}", (said, "bold red")))
    if vitals.first_forecast_seconds is not None:
        items.append(Text.assemble((f"first forecast after {vitals.first_forecast_seconds:.1f} s", "dim")))
    if vitals.ended:
        items.append(Text.assemble(("the stream has ended", "bold")))
    return items


def footer_items(*, ascii_only: bool) -> list[Text]:
    """How to leave, and how to read the trajectory."""
    now = "|" if ascii_only else "┊"
    return [
        Text.assemble(("Ctrl-C ends the demo, its workers and its Kafka", "bold")),
        Text.assemble(
            ("trajectory: ", "dim"),
            ("seen", "cyan"),
            (f" {now} ", "dim"),
            ("forecast", "magenta"),
            (", age as a square root", "dim"),
        ),
    ]


def flow(items: Sequence[Text], width: int) -> list[Text]:
    """Lay pieces into lines without breaking one; a piece longer than a line is cut."""
    separator = "  "
    lines: list[Text] = []
    for item in items:
        if lines and lines[-1].cell_len + len(separator) + item.cell_len <= width:
            lines[-1].append(separator).append_text(item)
        else:
            lines.append(item.copy())
    for line in lines:
        line.truncate(width, overflow="crop")
        line.no_wrap = True
    return lines


def table_of_posts(posts: Sequence[Post], width: int, *, ascii_only: bool) -> Table:
    """The posts as a table exactly as wide as fits into ``width``."""
    horizon = posts[0].latest.horizon_seconds if posts else 86_400.0
    chosen = fitting(columns(horizon, ascii_only=ascii_only), width)
    table = Table(box=None, padding=(0, GAP, 0, 0), pad_edge=False, header_style="dim", collapse_padding=True)
    for number, (column, columns_wide) in enumerate(chosen):
        table.add_column(
            Text(column.name),
            width=columns_wide,
            justify="left" if column.left or not number else "right",
            no_wrap=True,
            overflow="crop",
        )
    for post in posts:
        table.add_row(*(column.cell(post, wide, ascii_only) for column, wide in chosen))
    return table


def _count(name: str, total: int, per_second: float) -> Text:
    return Text.assemble((f"{name} ", "dim"), f"{total:,}", (f" ({compact(per_second)}/s)", "dim"))
