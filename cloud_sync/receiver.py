"""The composition root of the receiver: which parts it has and how they are joined.

Reading `run` tells what the program is: collect what is there → one transaction → receipts →
acknowledgements, until SIGTERM. There is no queue in between that could be lost; what is not acknowledged is
the broker's.
"""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TypeVar

from tenacity import (
    RetryCallState,
    RetryError,
    Retrying,
    retry_if_exception_type,
    stop_when_event_set,
    wait_random_exponential,
)

from cloud_sync.db.records import BatchOutcome, Records, Refused, Verified
from cloud_sync.db.registry import Registry
from cloud_sync.errors import CloudError, ConfigurationError, ServiceUnavailable
from cloud_sync.ingest import Ingest, SignedReceipt, Underway
from cloud_sync.mqtt import Broker, Message, Subscriber
from cloud_sync.pki.keys import load_keys
from cloud_sync.settings import CloudSettings
from edge_codecs.topics import UPLINK_FILTER, receipt_topic

log = logging.getLogger("cloud_sync")

Result = TypeVar("Result")

MOST_MESSAGES = 256
MOST_BYTES = 8 * 1024 * 1024
WAIT_S = 0.5  # for a first message: how long SIGTERM may have to wait
GATHER_S = 0.02  # for others to share its transaction
RETRY_FIRST_S = 0.5
RETRY_MAX_S = 30.0


def run(settings: CloudSettings) -> None:
    """Receive until SIGTERM or SIGINT. Raises CloudError when a part cannot do its work."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    keys = load_keys(settings.keys.directory)
    mqtt = settings.mqtt
    broker = Broker(
        mqtt.host, mqtt.port, mqtt.ca_file, mqtt.certificate_file, mqtt.key_file, mqtt.keepalive_s
    )
    subscriber = Subscriber(broker, mqtt.shared_group, UPLINK_FILTER, mqtt.client_id)
    records = ReconnectingRecords(lambda: Records.connect(settings.database.dsn))
    ingest = Ingest(records, keys.sealing, keys.receipt, _utc_ms)
    try:
        records.refresh()
        subscriber.connect()
        log.info("receiving from %s as %s", broker.where, mqtt.client_id)
        receive(subscriber, ingest, stop)
    finally:
        subscriber.close()
        records.close()
        log.info("received since the start: %s", ingest.tally)


class ReconnectingRecords:
    """The records over one connection, made anew after it was lost."""

    def __init__(self, connect: Callable[[], Records]) -> None:
        self._connect = connect
        self._records: Records | None = None

    @property
    def registry(self) -> Registry:
        """See Records.registry."""
        return self._call(lambda records: records.registry)

    def submit(
        self, batches: Sequence[Verified], refusals: Sequence[Refused] = ()
    ) -> Future[list[BatchOutcome]]:
        """See Records.submit."""
        return self._call(lambda records: records.submit(batches, refusals))

    def refresh(self) -> Registry:
        """See Records.refresh."""
        return self._call(lambda records: records.refresh())

    def process(self, batches: Sequence[Verified], refusals: Sequence[Refused] = ()) -> list[BatchOutcome]:
        """See Records.process."""
        return self._call(lambda records: records.process(batches, refusals))

    def close(self) -> None:
        """End the connection, if there is one."""
        if self._records is not None:
            self._records.close()
            self._records = None

    def _call(self, method: Callable[[Records], Result]) -> Result:
        if self._records is None:
            self._records = self._connect()
        try:
            return method(self._records)
        except ServiceUnavailable:
            self.close()
            raise


def receive(subscriber: Subscriber, ingest: Ingest, stop: threading.Event) -> None:
    """Take micro-batches until `stop`; a broker or database that is away is waited for.

    So is a certificate that does not fit its key any more: once we were connected, somebody is renewing it.
    """
    reconnecting = _patiently(
        stop,
        "the broker",
        lambda seconds: _wait(None, stop, seconds),
        (ServiceUnavailable, ConfigurationError),
    )
    storing = _patiently(stop, "the database", lambda seconds: _wait(subscriber, stop, seconds))

    def finish(underway: Underway[Message]) -> None:
        receipts = ingest.finish(underway)
        if receipts is None:
            receipts = storing(lambda: ingest.take(underway.messages))
        if receipts is not None:
            _answer(subscriber, underway.messages, receipts)

    underway: Underway[Message] | None = None
    while not stop.is_set():
        if not subscriber.connected:
            log.warning("the connection to the broker was lost")
            reconnecting(subscriber.connect)
        # while the database works, only what is there already is opened; else we wait for more
        wait_s = WAIT_S if underway is None else 0.0
        messages = subscriber.collect(MOST_MESSAGES, MOST_BYTES, wait_s, GATHER_S)
        before, underway = underway, None
        if messages:
            underway = storing(lambda: ingest.begin(messages, idle=before is None))  # noqa: B023
        if before is not None:
            finish(before)
    if underway is not None:
        finish(underway)


def _answer(subscriber: Subscriber, messages: Sequence[Message], receipts: list[SignedReceipt]) -> None:
    """Receipts first: an acknowledged message without one would be sent again, and that costs money."""
    for receipt in receipts:
        subscriber.publish(receipt_topic(receipt.gateway), receipt.data)
    for message in messages:
        message.acknowledge()


def _patiently(
    stop: threading.Event,
    what: str,
    sleep: Callable[[float], None],
    passing: tuple[type[CloudError], ...] = (ServiceUnavailable,),
) -> Callable[[Callable[[], Result]], Result | None]:
    """Call again while it raises an error of `passing`, ever more rarely; None if told to stop meanwhile."""

    def tell(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome is not None else None
        hint = error.hint if isinstance(error, CloudError) else ""
        state_of_it = "out of our reach" if isinstance(error, ConfigurationError) else "away"
        log.warning(
            "%s is %s: %s; next try in %.1f s. %s", what, state_of_it, error, state.upcoming_sleep, hint
        )

    retrying = Retrying(
        retry=retry_if_exception_type(passing),
        wait=wait_random_exponential(multiplier=RETRY_FIRST_S, max=RETRY_MAX_S, min=RETRY_FIRST_S / 2),
        stop=stop_when_event_set(stop),
        sleep=sleep,
        before_sleep=tell,
    )

    def call(function: Callable[[], Result]) -> Result | None:
        try:
            return retrying(function)
        except RetryError:
            return None

    return call


def _wait(subscriber: Subscriber | None, stop: threading.Event, seconds: float) -> None:
    """Wait until the time is over or we are to stop, without being taken for dead by the broker."""
    if subscriber is None:
        stop.wait(seconds)
        return
    until = time.monotonic() + seconds
    while not stop.is_set() and (left_s := until - time.monotonic()) > 0:
        subscriber.keep_alive(min(left_s, WAIT_S))


def _utc_ms() -> int:
    return time.time_ns() // 1_000_000
