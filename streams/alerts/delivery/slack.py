"""Slack's incoming webhooks: a message of blocks, and the same as plain text for notifications."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from streams.alerts.delivery import wording
from streams.alerts.delivery.links import Links
from streams.alerts.delivery.notices import Notice
from streams.alerts.delivery.posting import Poster, Request
from streams.alerts.delivery.sender import Sender
from streams.alerts.delivery.targets import SlackTarget, http_url
from streams.alerts.delivery.targets_file import TargetsError
from streams.alerts.delivery.wall_clock import WallClock
from streams.alerts.records import AlertState, Severity

_MARKS: Final = {
    Severity.INFO: ":information_source:",
    Severity.WARNING: ":warning:",
    Severity.CRITICAL: ":rotating_light:",
}
_RESOLVED_MARK: Final = ":white_check_mark:"

_SHOWN_URL: Final = "the incoming webhook"

_LINK: Final = "<{}|Show the post>"

MAX_TEXT_CHARACTERS: Final = 2900
"""Slack refuses a message with a longer text in a block (3,000)."""


def blames_the_record(status: int) -> bool:
    """Whether the message itself was refused. Of an archived channel or a withdrawn URL the operator is to hear."""
    return status in (400, 413)


def escape(text: str) -> str:
    """The three characters by which Slack knows links, mentions and entities."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


class SlackSender(Sender):
    """Posts a message for each record."""

    def __init__(self, target: SlackTarget, secrets: dict[str, str], links: Links, clock: WallClock) -> None:
        """Raises TargetsError where the secret is no URL."""
        self._target = target
        self._url = secrets["url"]
        try:
            http_url(self._url)
        except ValueError:
            raise TargetsError("url_file or url_env: it does not hold an http:// or https:// URL") from None
        self._links = links
        self._clock = clock
        path = self._url.split("://", 1)[1].partition("/")[2]  # the secret part, where an answer names it alone
        super().__init__(Poster(target, [self._url, path], blames_the_record))

    def requests(self, notice: Notice, now: float) -> list[Request]:
        """One message."""
        record = notice.record
        mark = _RESOLVED_MARK if record.state is AlertState.RESOLVED else _MARKS[record.severity]
        summary = escape(wording.summary(record))
        description = escape(wording.description(record, notice.late_by(now, self._target.late_seconds)))
        link = self._links.link(record.cascade, record.source)
        blocks: list[dict[str, Any]] = [_section(f"{mark} *{summary}*"), _section(description)]
        if link is not None and len(link) < MAX_TEXT_CHARACTERS - len(_LINK):
            blocks.append(_section(_LINK.format(link)))
        body = msgspec.json.encode({"text": f"{mark} {summary}", "blocks": blocks, "unfurl_links": False})
        return [Request(self._url, _SHOWN_URL, body)]

    async def send(self, notice: Notice) -> None:
        """Returns once Slack has taken it."""
        (request,) = self.requests(notice, self._clock())
        await self._poster.post(request)


def _section(text: str) -> dict[str, Any]:
    # Verbatim: no id becomes a channel, a mention or a link by itself.
    return {"type": "section", "text": {"type": "mrkdwn", "text": text[:MAX_TEXT_CHARACTERS], "verbatim": True}}
