"""The incremental cascade graph: events, cascades, the store of live ones, views and features. No Kafka, no torch."""

from graph.cascade import Cascade, Outcome
from graph.delta import StateFormatError
from graph.errors import UserError
from graph.event_files import EventFileError, read_cascades, read_events, read_lines, write_events
from graph.events import Event, Kind, Rejected, RejectReason, decode_batch, decode_event
from graph.schema import event_schema
from graph.store import CascadeStore, Departure
from graph.view import CascadeView
from graph.watermark import Watermark

__all__ = [
    "Cascade",
    "CascadeStore",
    "CascadeView",
    "Departure",
    "Event",
    "EventFileError",
    "Kind",
    "Outcome",
    "RejectReason",
    "Rejected",
    "StateFormatError",
    "UserError",
    "Watermark",
    "decode_batch",
    "decode_event",
    "event_schema",
    "read_cascades",
    "read_events",
    "read_lines",
    "write_events",
]
