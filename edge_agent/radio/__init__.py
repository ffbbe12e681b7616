"""Doors to the radio: every front end is an async iterator of RxFrame."""
