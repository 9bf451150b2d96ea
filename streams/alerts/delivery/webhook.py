"""Webhooks: each record as JSON with a link to the post, signed, with a key by which repeats are known."""

from __future__ import annotations

import msgspec

from streams.alerts.delivery.links import Links
from streams.alerts.delivery.notices import Notice
from streams.alerts.delivery.posting import Poster, Request
from streams.alerts.delivery.sender import Sender
from streams.alerts.delivery.signature import signature_headers, signing_keys
from streams.alerts.delivery.targets import WebhookTarget
from streams.alerts.delivery.targets_file import TargetsError
from streams.alerts.delivery.wall_clock import WallClock


def blames_the_record(status: int) -> bool:
    """Whether a status says that the same request will never be taken: not a timeout, too early, or too many."""
    return 400 <= status < 500 and status not in (408, 425, 429)


class WebhookSender(Sender):
    """Posts each record to one URL."""

    def __init__(self, target: WebhookTarget, secrets: dict[str, str], links: Links, clock: WallClock) -> None:
        """Raises TargetsError for a key that cannot be used."""
        self._target = target
        self._links = links
        self._clock = clock
        self._headers = {"Authorization": f"Bearer {secrets['bearer']}"} if "bearer" in secrets else {}
        try:
            self._keys = signing_keys(secrets.get("secret", ""))
        except ValueError as error:
            raise TargetsError(f"secret_file or secret_env: {error}") from None
        super().__init__(Poster(target, [*secrets.values(), *secrets.get("secret", "").split()], blames_the_record))

    def requests(self, notice: Notice, now: float) -> list[Request]:
        """One request. The body is the same at every try; the signature is of this moment."""
        record = notice.record
        stated = msgspec.to_builtins(record)
        stated["link"] = self._links.link(record.cascade, record.source)
        stated["published"] = round(notice.published, 3)
        body = msgspec.json.encode(stated)
        headers = {**self._headers, "Idempotency-Key": record.id}
        late_by = notice.late_by(now, self._target.late_seconds)
        if late_by is not None:
            headers["Cascadecast-Late-Seconds"] = f"{late_by:.0f}"
        if self._keys:
            headers |= signature_headers(self._keys, record.id, int(now), body)
        return [Request(self._target.url, self._target.url, body, headers)]

    async def send(self, notice: Notice) -> None:
        """Returns once it is answered with a status of 200 to 299."""
        (request,) = self.requests(notice, self._clock())
        await self._poster.post(request)
