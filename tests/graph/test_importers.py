"""Each format's importer: what was written in the format comes back as events; what was not is named by
line."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph import Event, EventFileError, Kind, UserError
from graph.importers import FORMATS, ImportOptions, import_events
from graph.simulation import Simulation
from graph.simulator import simulated_cascade

DAY = 86_400.0


def read(tmp_path: Path, format_name: str, content: str | bytes, options: ImportOptions | None = None) -> list[Event]:
    file = tmp_path / "source.txt"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(import_events(format_name, file, options))


def refusal(tmp_path: Path, format_name: str, content: str | bytes, options: ImportOptions | None = None) -> str:
    with pytest.raises(EventFileError) as caught:
        read(tmp_path, format_name, content, options)
    message = str(caught.value)
    assert "\n" not in message
    return message.removeprefix(f"{tmp_path}/")


# --- casflow, deephawkes ---------------------------------------------------------------------------------------------

LINE = "c1\troot\t1464710400\t3\troot:0 root/ann:10 root/ann/bob:25.5 root/eve:20\n"


@pytest.mark.parametrize("name", ["casflow", "deephawkes"])
def test_a_line_of_paths_is_a_cascade(tmp_path: Path, name: str) -> None:
    post, ann, eve, bob = read(tmp_path, name, LINE)
    assert post == Event("c1", "c1", Kind.POST, 1464710400.0, "root")
    assert (ann.user, ann.parent, ann.time) == ("ann", "c1", 1464710410.0)
    assert (eve.user, eve.parent, eve.time) == ("eve", "c1", 1464710420.0)
    assert (bob.user, bob.parent, bob.time) == ("bob", ann.id, 1464710425.5)
    assert {event.kind for event in (ann, eve, bob)} == {Kind.REPOST}


def test_days_and_iso_dates_of_citation_data(tmp_path: Path) -> None:
    line = "p\ta\t1990-01-01\t1\ta:0 a/b:365"
    post, citing = read(tmp_path, "casflow", line, ImportOptions(time_unit="days", source="aps"))
    assert (post.time, citing.time) == (631_152_000.0, 631_152_000.0 + 365 * DAY)
    assert citing.source == "aps"


def test_a_user_who_reshares_twice_passes_on_the_latest(tmp_path: Path) -> None:
    events = read(tmp_path, "casflow", "c\tr\t0\t4\tr:0 r/a:1 r/b:2 r/b/a:3 r/b/a/z:4")
    assert events[-1].parent == "c:3"


def test_a_parent_that_is_not_in_the_file_is_left_open(tmp_path: Path) -> None:
    assert read(tmp_path, "casflow", "c\tr\t0\t1\tr:0 r/gone/a:1")[1].parent is None


def test_compressed_files_and_blank_lines(tmp_path: Path) -> None:
    file = tmp_path / "data.txt.gz"
    file.write_bytes(gzip.compress(f"\n{LINE}\n\r\n".encode()))
    assert len(list(import_events("casflow", file))) == 4


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("c1\troot\t0\t3", "source.txt:2: 4 columns instead of 5; a line is cascade, root user,"),
        ("c1\troot\tyesterday\t1\troot:0", "source.txt:2: publish time 'yesterday'; give seconds since 1970 or"),
        ("c1\troot\t0\t1\troot:0 root/ann", "source.txt:2: path 'root/ann'; a path is users with"),
        ("c1\troot\t0\t1\troot:0 root//ann:3", "source.txt:2: path 'root//ann:3'"),
        ("c1\troot\t0\t1\troot:0 root/ann:soon", "source.txt:2: 'soon' is not a time"),
        ("c1\troot\t0\t1\troot:0 root/ann:nan", "source.txt:2: 'nan' is not a time"),
        ("c1\troot\t0\t1\troot:0 root/ann:-5", "source.txt:2: invalid-time:"),
        ("\troot\t0\t1\troot:0", "source.txt:2: invalid-id:"),
        (b"c1\tro\xffot\t0\t1\tr:0", "source.txt:2: not UTF-8 at byte 6; convert the file"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str | bytes, said: str) -> None:
    raw = line if isinstance(line, bytes) else line.encode()
    assert refusal(tmp_path, "casflow", LINE.encode() + raw).startswith(said)


@given(number=st.integers(0, 40))
def test_simulated_trees_survive_the_format(tmp_path_factory: pytest.TempPathFactory, number: int) -> None:
    simulation = Simulation(seed=3, mean_size=40.0, replies=0.0, undos=0.0, quotes=0.0)
    events = [
        Event(e.id, e.cascade, e.kind, e.time, f"user{i}", e.parent)  # a user each: the format tells no reshare of one
        for i, e in enumerate(simulated_cascade(simulation, number))
    ]
    by_id = {event.id: event for event in events}

    def route(event: Event) -> list[str]:
        above = route(by_id[event.parent]) if event.parent else []
        return [*above, str(event.user)]

    start = events[0].time
    paths = " ".join(f"{'/'.join(route(event))}:{event.time - start:g}" for event in events)
    line = f"{events[0].cascade}\t{events[0].user}\t{start}\t{len(events)}\t{paths}\n"
    back = read(tmp_path_factory.mktemp("casflow"), "casflow", line)
    users = {event.id: event.user for event in back}
    original = {(e.user, e.time, by_id[e.parent].user if e.parent else None) for e in events}
    assert {(e.user, e.time, users[e.parent] if e.parent else None) for e in back} == original


# --- twitter-rumour-trees --------------------------------------------------------------------------------------------

TWEET = "265953285247209472"
TREE = f"""\
['ROOT', 'ROOT', '0.0']->['1', '{TWEET}', '0.0']
['1', '{TWEET}', '0.0']->['2', '{TWEET}', '0.45']
['2', '{TWEET}', '0.45']->['3', '265954000000000000', '10.0']
['1', '{TWEET}', '0.0']->['1', '{TWEET}', '0.0']
['1', '{TWEET}', '0.0']->['3', '265954000000000000', '10.0']
"""


def test_a_tree_file_is_a_cascade_dated_by_its_tweet(tmp_path: Path) -> None:
    post, repost, reply = read(tmp_path, "twitter-rumour-trees", TREE)
    assert post == Event(TWEET, TWEET, Kind.POST, 1352243179.033, "1")
    assert (repost.kind, repost.user, repost.parent) == (Kind.REPOST, "2", TWEET)
    assert repost.time == pytest.approx(post.time + 27.0)
    assert (reply.kind, reply.user, reply.parent) == (Kind.REPLY, "3", repost.id)


def test_a_directory_of_trees(tmp_path: Path) -> None:
    for name in ("b.txt", "a.txt"):
        (tmp_path / name).write_text(TREE.replace(TWEET, TWEET[:-1] + ("1" if name == "a.txt" else "2")))
    done: list[tuple[int, int | None]] = []
    events = list(import_events("twitter-rumour-trees", tmp_path, progress=lambda *at: done.append(at)))
    assert [event.id[-1] for event in events if event.kind is Kind.POST] == ["1", "2"]
    assert done == [(1, 2), (2, 2)]


def test_an_empty_directory(tmp_path: Path) -> None:
    with pytest.raises(EventFileError, match=r"no \.txt file in it; give the directory"):
        list(import_events("twitter-rumour-trees", tmp_path))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (TREE + "nonsense\n", "source.txt:6: not an edge; a line is ['user'"),
        (TREE.partition("\n")[2], "source.txt: no line from ['ROOT', 'ROOT', '0.0']"),
        (TREE.replace(TWEET, "12345"), "source.txt:1: tweet id '12345' holds no time"),
        (TREE.replace("'10.0'", "'late'"), "source.txt:3: 'late' is not a time"),
    ],
)
def test_a_bad_tree_is_named(tmp_path: Path, content: str, said: str) -> None:
    assert refusal(tmp_path, "twitter-rumour-trees", content).startswith(said)


# --- csv -------------------------------------------------------------------------------------------------------------


def test_columns_named_as_keys(tmp_path: Path) -> None:
    table = (
        "time,cascade,id,kind,user,parent,followers,verified,text\n"
        '2012-09-11T03:34:22Z,c,c,post,u,,10,true,"one, two\nthree"\n'
        "1347334548.5,c,c1,quote,v,c,,no,\n"
    )
    post, quote = read(tmp_path, "csv", table)
    assert post == Event("c", "c", Kind.POST, 1347334462.0, "u", None, 10, True, "one, two\nthree")
    assert quote == Event("c1", "c", Kind.QUOTE, 1347334548.5, "v", "c", None, False)


def test_mapped_columns_and_what_follows_when_id_and_kind_are_missing(tmp_path: Path) -> None:
    table = "\ufefftopic;when;who\na;10;x\na;11;y\nb;12;z\n"
    options = ImportOptions(columns={"cascade": "topic", "time": "when", "user": "who"})
    events = read(tmp_path, "csv", table, options)
    assert [(e.id, e.kind.value, e.user) for e in events] == [
        ("a", "post", "x"),
        ("a:1", "repost", "y"),
        ("b", "post", "z"),
    ]


@pytest.mark.parametrize(
    ("table", "columns", "said"),
    [
        ("", {}, "source.txt:1: an empty file"),
        ("a,b\n", {}, "source.txt:1: no column for 'cascade'; name one with --column cascade=NAME: a, b"),
        ("cascade,time\n", {"tim": "time"}, "source.txt:1: no event has a key 'tim'"),
        (
            "cascade,time\n",
            {"user": "who"},
            "source.txt:1: no column 'who' in the header; the columns are cascade, time",
        ),
        ("cascade,time\nc,1,2\n", {}, "source.txt:2: 3 columns instead of 2; quote"),
        ("cascade,time\nc,1\n,2\n", {}, "source.txt:3: empty cascade or time"),
        ("cascade,time\nc,soon\n", {}, "source.txt:2: time 'soon'"),
        ("cascade,time,followers\nc,1,many\n", {}, "source.txt:2: followers 'many'"),
        ("cascade,time,verified\nc,1,perhaps\n", {}, "source.txt:2: verified 'perhaps'"),
        ("cascade,time,kind\nc,1,poke\n", {}, "source.txt:2: schema:"),
        ('cascade,time\nc,"1"x\n', {}, "source.txt:2: not csv:"),
    ],
)
def test_a_bad_table_is_named(tmp_path: Path, table: str, columns: dict[str, str], said: str) -> None:
    assert refusal(tmp_path, "csv", table, ImportOptions(columns=columns)).startswith(said)


events_of_a_table = st.lists(
    st.builds(
        Event,
        id=st.text("abcdefgh:-,;", min_size=1, max_size=8),
        cascade=st.just("c"),
        kind=st.sampled_from([Kind.QUOTE, Kind.REPOST, Kind.REPLY]),
        time=st.integers(0, 2**31).map(float),
        user=st.none() | st.text("xyz ü\"'", min_size=1).map(str.strip).filter(bool),
        parent=st.none() | st.sampled_from(["c", "p"]),
        followers=st.none() | st.integers(0, 10**6),
        verified=st.none() | st.booleans(),
    ),
    max_size=10,
)


@given(events_of_a_table)
def test_a_table_brings_events_back(tmp_path_factory: pytest.TempPathFactory, events: list[Event]) -> None:
    keys = ("id", "cascade", "kind", "time", "user", "parent", "followers", "verified")
    file = tmp_path_factory.mktemp("csv") / "table.csv"
    with file.open("w", newline="") as sink:
        writer = csv.writer(sink)
        writer.writerow(keys)
        writer.writerows(["" if (v := getattr(e, k)) is None else v for k in keys] for e in events)
    assert list(import_events("csv", file, ImportOptions(delimiter=","))) == events


def test_unknown_format() -> None:
    with pytest.raises(UserError, match=f"unknown format 'xml': choose one of {', '.join(FORMATS)}"):
        import_events("xml", "nowhere")


def test_a_missing_file() -> None:
    with pytest.raises(EventFileError, match=r"nowhere\.txt: cannot be read: No such file"):
        list(import_events("casflow", "nowhere.txt"))
