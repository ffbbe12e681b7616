"""From the store to the cloud: batches, link, receipts."""
