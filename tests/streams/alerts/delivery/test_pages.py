"""The pages of a delivering process: who may read what, and what a probe is told."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest

from graph.errors import UserError
from streams.alerts.delivery.metrics import DeliveryMetrics, Fate
from streams.alerts.delivery.pages import serving
from tests.integration.harness import free_port

TOKEN = "t0ken"


async def get(url: str, token: str | None = None) -> tuple[int, str]:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as answer:
        return answer.status, await answer.text()


async def test_metrics_need_the_token_and_probes_do_not() -> None:
    metrics = DeliveryMetrics()
    metrics.of("oncall").met(Fate.DELIVERED)
    readiness: dict[str, Any] = {"oncall": {"ready": True}, "newsroom": {"ready": False}}
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    async with serving("127.0.0.1", port, TOKEN, metrics, lambda: readiness):
        assert (await get(f"{url}/metrics"))[0] == 401
        assert (await get(f"{url}/metrics", "guess"))[0] == 401
        status, text = await get(f"{url}/metrics", TOKEN)
        assert status == 200
        assert 'cascadecast_delivery_records_total{fate="delivered",target="oncall"} 1.0' in text
        assert (await get(f"{url}/healthz"))[0] == 200
        status, text = await get(f"{url}/readyz")
        assert (status, json.loads(text)) == (503, {"ready": False})
        assert json.loads((await get(f"{url}/readyz", TOKEN))[1])["targets"] == readiness
        readiness["newsroom"]["ready"] = True
        assert (await get(f"{url}/readyz"))[0] == 200


async def test_a_port_that_is_taken_is_named() -> None:
    port = free_port()
    async with serving("127.0.0.1", port, None, DeliveryMetrics(), dict):
        with pytest.raises(UserError, match=rf"127\.0\.0\.1:{port} cannot be listened on .* another --http-port"):
            async with serving("127.0.0.1", port, None, DeliveryMetrics(), dict):
                pass
