"""What each kind of target is sent."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.alerts.delivery import alertmanager_alerts
from streams.alerts.delivery.links import Links
from streams.alerts.delivery.notices import UnreadableError, decode_alert
from streams.alerts.delivery.signature import signature_headers, signing_keys
from streams.alerts.delivery.slack import MAX_TEXT_CHARACTERS, SlackSender
from streams.alerts.delivery.targets import SlackTarget, WebhookTarget
from streams.alerts.delivery.webhook import WebhookSender
from streams.alerts.records import AlertState, Severity
from tests.streams.alerts.delivery.records import OPENED_AS_OF, alert_record, notice

LINKS = Links.read({"default": "https://example.org/{cascade}"})
IDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=300)


# --- Alertmanager


def test_labels_identify_and_route() -> None:
    labels = alertmanager_alerts.labels(alert_record(labels={"team": "news", "alertname": "mine", "2nd-desk": "x"}))
    assert labels == {
        "alertname": "GoesViral", "cascade": "post-1", "source": "weibo", "severity": "warning", "team": "news",
        "_2nd_desk": "x",
    }  # fmt: skip


def test_all_records_of_an_alert_have_the_same_labels_and_the_same_beginning() -> None:
    told = [
        alertmanager_alerts.alert(
            notice(alert_record(state, after=after), published=OPENED_AS_OF + 60 + after), None, 0, 1
        )
        for after, state in enumerate(AlertState)
    ]
    assert len({(tuple(one["labels"].items()), one["startsAt"]) for one in told}) == 1


@given(
    st.sampled_from(AlertState),
    st.floats(0, 4e9),  # as_of less opened_as_of
    st.floats(-1e6, 1e6),  # published less opened_as_of: the events' clock may be wrong either way
    st.floats(0, 1e6),  # now less published
)
def test_an_alert_never_ends_before_it_begins_and_is_open_just_while_it_is(
    state: AlertState, after: float, ahead: float, waited: float
) -> None:
    published = OPENED_AS_OF + ahead
    now = published + waited
    told = alertmanager_alerts.alert(notice(alert_record(state, after=after), published=published), None, now, 300.0)
    began, ended = (_seconds(told[key]) for key in ("startsAt", "endsAt"))
    assert began <= ended
    assert began <= now + 0.001
    assert (ended > now) == (state is not AlertState.RESOLVED)


def _seconds(rfc3339: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(rfc3339).timestamp() - 0.0005


def test_a_link_leads_back_to_the_post() -> None:
    told = alertmanager_alerts.alert(notice(alert_record()), "https://example.org/p", 0.0, 300.0)
    assert told["generatorURL"] == told["annotations"]["link"] == "https://example.org/p"


# --- webhook


def webhook(secret: str = "", **changes: Any) -> WebhookSender:
    target = WebhookTarget(type="webhook", url="https://example.org/", **changes)
    return WebhookSender(target, {"secret": secret} if secret else {}, LINKS, time.time)


def test_a_webhook_is_sent_the_record_as_it_is_with_a_link() -> None:
    sent = notice(alert_record(cascade="a/b"), published=OPENED_AS_OF + 1.5)
    (request,) = webhook().requests(sent, OPENED_AS_OF + 2)
    body = msgspec.json.decode(request.body)
    assert body.pop("link") == "https://example.org/a%2Fb"
    assert body.pop("published") == OPENED_AS_OF + 1.5
    assert body == msgspec.to_builtins(sent.record)
    assert request.headers == {"Idempotency-Key": sent.record.id}


def test_every_try_has_the_same_body_and_key_and_a_signature_of_its_time() -> None:
    sent = notice(alert_record())
    first, second = (webhook("k").requests(sent, OPENED_AS_OF + waited)[0] for waited in (0, 90))
    assert first.body == second.body
    assert first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"] == first.headers["webhook-id"]
    assert first.headers["webhook-signature"] != second.headers["webhook-signature"]
    assert int(second.headers["webhook-timestamp"]) == int(first.headers["webhook-timestamp"]) + 90


def test_what_comes_late_says_by_how_much() -> None:
    (request,) = webhook(late_seconds=60).requests(notice(alert_record()), OPENED_AS_OF + 61)
    assert request.headers["Cascadecast-Late-Seconds"] == "61"


def test_signatures_are_those_of_the_standard() -> None:
    """The example of the Standard Webhooks specification."""
    headers = signature_headers(
        signing_keys("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
    )
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_while_keys_are_changed_each_signs() -> None:
    headers = signature_headers(signing_keys("new\nold\n"), "id", 1, b"{}")
    digests = [hmac.new(key, b"id.1.{}", hashlib.sha256).digest() for key in (b"new", b"old")]
    assert headers["webhook-signature"] == " ".join(f"v1,{base64.b64encode(one).decode()}" for one in digests)


# --- Slack


def slack_message(**changes: Any) -> dict[str, Any]:
    sender = SlackSender(SlackTarget(type="slack", url_env="X"), {"url": "https://h/secret"}, LINKS, time.time)
    (request,) = sender.requests(notice(alert_record(**changes)), OPENED_AS_OF)
    assert "secret" not in request.shown_url + repr(request)
    found: dict[str, Any] = msgspec.json.decode(request.body)
    return found


def test_slack_is_sent_blocks_and_the_same_as_plain_text() -> None:
    message = slack_message(severity=Severity.CRITICAL)
    heading, details, link = (block["text"]["text"] for block in message["blocks"])
    assert message["text"] == ":rotating_light: GoesViral opened: post post-1, 340 so far, 12,346 expected"
    assert heading == ":rotating_light: *GoesViral opened: post post-1, 340 so far, 12,346 expected*"
    assert "between 8,000 and 20,000" in details
    assert link == "<https://example.org/post-1|Show the post>"


def test_what_is_over_is_marked_so() -> None:
    assert slack_message(state=AlertState.RESOLVED)["text"].startswith(":white_check_mark: GoesViral is over")


@settings(max_examples=30)
@given(IDS, st.text(st.characters(codec="utf-8"), max_size=700))
def test_nobody_writes_a_mention_or_a_link_through_an_id(cascade: str, reason: str) -> None:
    message = slack_message(cascade=cascade + "<!channel>&", reason=reason + "<@U1>")
    texts = [block["text"]["text"] for block in message["blocks"]]
    for text in (message["text"], *texts[:2]):
        assert "<" not in text
        assert ">" not in text
    for text in texts:
        assert len(text) <= MAX_TEXT_CHARACTERS


# --- records


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (b"", "truncated"),
        (b"{}", "missing required field"),
        (b"\xff", "utf-8|UTF-8|malformed"),
        (b"[" * 100_000, "."),
        (msgspec.json.encode(alert_record(v=2)), "version 2 of an alert record; this program reads version 1"),
        (msgspec.json.encode(alert_record(id="a\r\nHost: b")), "visible ASCII"),
        (msgspec.json.encode(alert_record(as_of=1e300)), "years 1970 to 9999"),
        (msgspec.json.encode(alert_record()).replace(b"8000.0", b"1e999"), "finite|range"),
    ],
)
def test_what_is_no_alert_is_told_why(value: bytes, says: str) -> None:
    with pytest.raises(UnreadableError, match=says):
        decode_alert(value)


def test_a_record_is_read_as_it_was_written() -> None:
    record = alert_record()
    assert decode_alert(msgspec.json.encode(record)) == record
