"""Connection strings as they may be shown."""

from __future__ import annotations

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

_SECRET = ("password", "sslpassword", "oauth_client_secret")


def without_secrets(dsn: str) -> str:
    """`dsn` with each password replaced by three stars."""
    try:
        parts = conninfo_to_dict(dsn)
    except psycopg.ProgrammingError:
        return "(no connection string)"
    hidden = {name: "***" for name in _SECRET if name in parts}
    return make_conninfo(dsn, **hidden) if hidden else dsn
