"""The receiver: sealed batches in, tenant-scoped records out."""
