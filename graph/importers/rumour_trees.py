"""The trees of Twitter15 and Twitter16 (Ma et al. 2017): a file a cascade, a line an edge.

    ['user', 'tweet', 'minutes']->['user', 'tweet', 'minutes']

The line from ['ROOT', 'ROOT', '0.0'] names the root. A retweet bears the tweet id of what it retweets, a
reply one of its own. Tweet ids are snowflakes: the root's holds the time of its publication. Mind that at
least half of the retweet times of these data were interpolated by their authors.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from graph.event_files import EventFileError, Progress, read_lines
from graph.events import Event
from graph.importers.options import ImportOptions, checked_event, delay_seconds, line_error, text_of

Node = tuple[str, str, str]
"""User, tweet, minutes: what identifies a node, since a retweet has no id of its own."""

_NODE: Final = r"\[\s*'([^']*)'\s*,\s*'([^']*)'\s*,\s*'([^']*)'\s*\]"
EDGE: Final = re.compile(rf"\s*{_NODE}\s*->\s*{_NODE}\s*")

SNOWFLAKE_EPOCH_MS: Final = 1_288_834_974_657
FIRST_SNOWFLAKE: Final = 29_700_859_247
"""Tweet ids before it are running numbers and say nothing of time."""

LONGEST_SNOWFLAKE: Final = 19
"""Digits of 63 bits."""


def import_rumour_trees(path: str, options: ImportOptions, progress: Progress | None) -> Iterator[Event]:
    """Events of one tree file, or of all ``.txt`` files of a directory in order of their names."""
    if not Path(path).is_dir():
        yield from _tree(path, options, progress)
        return
    files = sorted(Path(path).glob("*.txt"))
    if not files:
        raise EventFileError(f"{path}: no .txt file in it; give the directory that holds the trees")
    for done, file in enumerate(files, start=1):
        yield from _tree(str(file), options, None)
        if progress is not None:
            progress(done, len(files))


def _tree(path: str, options: ImportOptions, progress: Progress | None) -> Iterator[Event]:
    root: Node | None = None
    edges: dict[Node, tuple[Node, int]] = {}  # child -> parent and line; the first mention counts
    for number, line in read_lines(path, progress=progress):
        match = EDGE.fullmatch(text_of(path, number, line))
        if match is None:
            raise line_error(
                path, number, "not an edge", "a line is ['user', 'tweet', 'minutes']->['user', 'tweet', 'minutes']"
            )
        parent, child = (match[1], match[2], match[3]), (match[4], match[5], match[6])
        if parent[:2] == ("ROOT", "ROOT"):
            root = root or child
        elif child != parent:
            edges.setdefault(child, (parent, number))
    if root is None:
        raise EventFileError(f"{path}: no line from ['ROOT', 'ROOT', '0.0']; is it a whole tree file?")
    edges.pop(root, None)
    yield from _events(path, root, edges, options)


def _events(path: str, root: Node, edges: dict[Node, tuple[Node, int]], options: ImportOptions) -> Iterator[Event]:
    user, tweet, _ = root
    if not tweet.isdecimal() or len(tweet) > LONGEST_SNOWFLAKE or int(tweet) < FIRST_SNOWFLAKE:
        raise line_error(
            path, 1, f"tweet id {tweet!r} holds no time", "only tweets since November 2010 can be imported"
        )
    start = ((int(tweet) >> 22) + SNOWFLAKE_EPOCH_MS) / 1000.0
    common = {"cascade": tweet, "source": options.source}
    yield checked_event(path, 1, {"id": tweet, "kind": "post", "user": user, "time": start, **common})
    late = sorted(edges, key=lambda node: delay_seconds(path, edges[node][1], node[2], 60.0))
    ids = {root: tweet, **{node: f"{tweet}:{index}" for index, node in enumerate(late, start=1)}}
    for node in late:
        parent, number = edges[node]
        content = {
            "id": ids[node],
            "kind": "repost" if node[1] == parent[1] else "reply",
            "user": node[0],
            "parent": ids.get(parent),
            "time": start + 60.0 * float(node[2]),
        }
        yield checked_event(path, number, {**content, **common})
