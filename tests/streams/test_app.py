"""What the app of a worker is made of, before it meets a Kafka."""

from __future__ import annotations

import logging
from pathlib import Path

import faust

from streams.app import build_app
from streams.engine.inference import load_service
from streams.engine.lineup_loading import LineupLoader
from streams.settings import load_settings
from streams.state.distrust import Distrust
from streams.worker.flow_control import KeepingFlowControl


def built(data_dir: Path) -> faust.App:
    settings = load_settings(models="hawkes", data_dir=data_dir, bootstrap_servers="127.0.0.1:1").of_partitions(2)
    loader = LineupLoader(settings, challengers=True)
    return build_app(settings, load_service(settings, loader), loader, 2, 1, logging.NullHandler())


def test_what_is_under_way_to_a_copy_survives_that_flow_resumes(tmp_path: Path) -> None:
    app = built(tmp_path)
    assert isinstance(app.flow_control, KeepingFlowControl)
    assert app.tables.changelog_queue in app.flow_control._queues


def test_topics_that_a_leader_did_not_find_are_looked_for_again_soon(tmp_path: Path) -> None:
    assert built(tmp_path).conf.consumer_metadata_max_age_ms == 30_000, "until then nobody has a partition"


def test_a_copy_that_is_not_trusted_is_gone_before_anything_opens_it(tmp_path: Path) -> None:
    copy = built(tmp_path).tables["segments"].data.partition_path(1)
    copy.mkdir(parents=True)
    built(tmp_path)
    assert copy.exists()
    Distrust(tmp_path).note(1)
    built(tmp_path)
    assert not copy.exists()
