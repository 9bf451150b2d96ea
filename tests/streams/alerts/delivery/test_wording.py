"""What people read cannot mislead them, and says all that is known."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.alerts.delivery import wording
from streams.alerts.delivery.links import Links
from streams.alerts.records import AlertState
from tests.streams.alerts.delivery.records import OPENED_AS_OF, alert_record

IDS = st.text(st.characters(codec="utf-8"), max_size=200)


@given(IDS)
def test_no_id_breaks_the_line_or_turns_its_direction(text: str) -> None:
    shown = wording.plain(text)
    assert len(shown) <= wording.MAX_ID_CHARACTERS
    assert not [one for one in shown if one != " " and unicodedata.category(one)[0] in "CZ"]


@given(IDS, IDS, IDS)
def test_every_text_is_one_line(cascade: str, source: str, reason: str) -> None:
    record = alert_record(cascade=cascade, source=source, reason=reason)
    for text in (wording.summary(record), wording.description(record, 3600.0)):
        assert len(text.splitlines()) == 1


@given(IDS.filter(bool), IDS)
def test_a_link_holds_the_id_and_nothing_it_could_do(cascade: str, source: str) -> None:
    from urllib.parse import unquote, urlsplit

    link = Links.read({"default": "https://example.org/{source}/{cascade}"}).link(cascade, source)
    assert link is not None
    assert urlsplit(link).netloc == "example.org"
    assert [unquote(part) for part in urlsplit(link).path.split("/")[1:]] == [source, cascade]
    assert set(link) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~%:/")


def test_a_source_without_a_template_takes_the_default_or_none() -> None:
    links = Links.read({"weibo": "https://w.example.org/{cascade}"})
    assert links.link("c", "weibo") == "https://w.example.org/c"
    assert links.link("c", "elsewhere") is None
    assert links.link("c", None) is None


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0, "0 s"),
        (59.6, "1 min"),
        (61, "1 min 1 s"),
        (3600, "1 h"),
        (7500, "2 h 5 min"),
        (90_061, "1 d 1 h"),
        (-5, "0 s"),
    ],
)
def test_a_duration_has_at_most_two_units(seconds: float, told: str) -> None:
    assert wording.duration(seconds) == told


def test_an_alert_is_told_in_words() -> None:
    record = alert_record(AlertState.UPDATED, after=300.0)
    assert wording.summary(record) == "GoesViral goes on: post post-1, 340 so far, 12,346 expected"
    assert wording.description(record, None) == (
        "Post post-1 on weibo, whose author has 5,200 followers: 340 reposts and quotes after 30 min, 12,346 expected "
        "after 1 d (between 8,000 and 20,000). It is in the top 1 %. (Rule GoesViral, open since 2023-11-14 22:13:20 "
        "UTC, as of 2023-11-14 22:18:20 UTC, by blend 2.)"
    )


def test_what_comes_late_says_so() -> None:
    told = wording.description(alert_record(), late_by=7500.0)
    assert told.startswith("Delivered late: it was raised 2 h 5 min ago. ")


def test_times_are_told_in_utc() -> None:
    assert wording.rfc3339(OPENED_AS_OF + 0.25) == "2023-11-14T22:13:20.250Z"
