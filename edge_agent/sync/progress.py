"""How far the cloud is, by its receipts, and which receipts are too old to say anything. Pure.

Receipts come late, out of order, or again. One that says less than another counts only if it is clearly
newer: then the cloud has lost what it had. From then on, older ones that say more tell of a past.
"""

from __future__ import annotations

from dataclasses import dataclass

from edge_codecs.receipt import Receipt, Verdict

FORGETFUL_MS = 60_000
"""Of several receivers one may be slow or have another clock: so much newer must a receipt be to say less."""


@dataclass(slots=True)
class Progress:
    """Of one stream. Times are the receiver's, UTC milliseconds since 1970; 0: none yet."""

    up_to: int = 0
    newest_ms: int = 0
    """Of the newest receipt that said all that we hold as confirmed."""
    past_ms: int = 0
    """Receipts up to this time may tell of a past that the cloud has lost."""

    def outdated(self, receipt: Receipt) -> bool:
        """Whether it tells nothing, or nothing to be believed."""
        if receipt.up_to > self.up_to:
            return receipt.receiver_time_ms <= self.past_ms
        return self._says_less(receipt) and receipt.receiver_time_ms <= self.newest_ms + FORGETFUL_MS

    def lost(self, receipt: Receipt) -> bool:
        """Whether one that is not outdated says that the cloud has lost batches."""
        return self._says_less(receipt)

    def confirmed(self, receipt: Receipt) -> None:
        """It said as much as we knew, or more."""
        self.up_to = max(self.up_to, receipt.up_to)
        if receipt.up_to == self.up_to:
            self.newest_ms = max(self.newest_ms, receipt.receiver_time_ms)

    def went_back(self, up_to: int, receipt: Receipt) -> None:
        """The cloud has lost what it had beyond `up_to`."""
        self.up_to, self.newest_ms, self.past_ms = up_to, receipt.receiver_time_ms, receipt.receiver_time_ms

    def _says_less(self, receipt: Receipt) -> bool:
        """A refusal need not know how far the stream is."""
        return receipt.up_to < self.up_to and receipt.verdict is not Verdict.REFUSED
