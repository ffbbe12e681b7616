"""PostgreSQL: schema, registry, tenant-scoped records."""
