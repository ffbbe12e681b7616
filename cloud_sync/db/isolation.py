"""What in a database could show one tenant's rows to another: looked for in the catalogue, not in our SQL.

Everything is examined, also what others added by hand. Each query gives the names of what is at fault.
"""

# ruff: noqa: S608  (nothing in the statements comes from outside)

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import psycopg

ROLES = ("clipr_owner", "clipr_receiver", "clipr_operator", "clipr_dossier", "clipr_auditor")


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is at fault."""

    name: str
    sentence: str


def faults(connection: psycopg.Connection) -> list[Fault]:
    """All faults, in the order of the checks; no rights are needed but to connect."""
    return [
        Fault(name, sentence)
        for sentence, query in _CHECKS.items()
        for (name,) in connection.execute(query.encode()).fetchall()
    ]


_OURS = """n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_%'
    AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = {oid} AND d.deptype = 'e')"""
_RELATION = _OURS.format(oid="c.oid")
_FUNCTION = _OURS.format(oid="p.oid")
_FROM_RELATION = f"FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {_RELATION}"
_FROM_POLICY = """FROM pg_policy pol
        JOIN pg_class c ON c.oid = pol.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace"""
_NAMES = ", ".join(f"'{role}'" for role in ROLES)
_RUN_TIME = ", ".join(f"'{role}'" for role in ROLES[1:])

_CHECKS: Mapping[str, str] = {
    "table without row-level security, enabled and forced": f"""
        SELECT c.oid::regclass::text {_FROM_RELATION} AND c.relkind IN ('r', 'p')
            AND NOT (c.relrowsecurity AND c.relforcerowsecurity) ORDER BY 1""",
    "foreign table: its rows are beyond row-level security": f"""
        SELECT c.oid::regclass::text {_FROM_RELATION} AND c.relkind = 'f' ORDER BY 1""",
    "view without security_invoker: it reads as its owner": f"""
        SELECT c.oid::regclass::text {_FROM_RELATION} AND c.relkind = 'v'
            AND NOT coalesce((SELECT bool_or(option_value::boolean) FROM pg_options_to_table(c.reloptions)
                              WHERE option_name = 'security_invoker'), false) ORDER BY 1""",
    "materialized view: its rows are beyond row-level security": f"""
        SELECT c.oid::regclass::text {_FROM_RELATION} AND c.relkind = 'm' ORDER BY 1""",
    "SECURITY DEFINER function: it reads as its owner": f"""
        SELECT p.oid::regprocedure::text FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
        WHERE {_FUNCTION} AND p.prosecdef ORDER BY 1""",
    "policy for everybody: it must name roles": f"""
        SELECT format('%s on %s', pol.polname, c.oid::regclass)
        {_FROM_POLICY}
        WHERE {_RELATION} AND pol.polpermissive AND 0 = ANY (pol.polroles) ORDER BY 1""",
    "policy that no setting narrows": f"""
        SELECT format('%s on %s', pol.polname, c.oid::regclass)
        {_FROM_POLICY}
        CROSS JOIN LATERAL unnest(ARRAY[pg_get_expr(pol.polqual, c.oid),
                                        pg_get_expr(pol.polwithcheck, c.oid)]) AS e (text)
        WHERE {_RELATION} AND pol.polpermissive AND e.text IS NOT NULL
            AND e.text !~ '^\\(?\\(*(tenant IS NULL\\) AND \\(+)?(tenant = )?'
                '\\( ?SELECT current_setting\\(''clipr\\.(tenant|scope)''::text, true\\)'
                ' AS current_setting\\)'
                '( = ''[a-z]+''::text)?\\)*$'
        ORDER BY 1""",
    "policy that shows records in a scope, and not by tenant": f"""
        SELECT format('%s on %s', pol.polname, c.oid::regclass)
        {_FROM_POLICY}
        WHERE {_RELATION} AND pg_get_expr(pol.polqual, c.oid) LIKE '%clipr.scope%'
            -- but a batch of several tenants or of none: its refused rows may be placed again
            AND NOT (c.relname = 'evidence' AND pol.polroles::regrole[]::text = '{{clipr_receiver}}'
                AND pg_get_expr(pol.polqual, c.oid) ~ '^\\(\\(tenant IS NULL\\) AND .*''retry''::text')
            AND c.relname ~ '^(uplinks|receptions|readings|events|evidence|history_spans|device_sessions)'
        ORDER BY 1""",
    "right to truncate, refer to or trigger on a table, which row-level security does not hold": f"""
        SELECT DISTINCT format('%s for %s', c.oid::regclass, a.grantee::regrole)
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, LATERAL aclexplode(c.relacl) a
        WHERE {_RELATION} AND a.privilege_type IN ('TRUNCATE', 'REFERENCES', 'TRIGGER', 'MAINTAIN')
            AND a.grantee <> c.relowner ORDER BY 1""",
    "right for everybody": f"""
        SELECT DISTINCT c.oid::regclass::text
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, LATERAL aclexplode(c.relacl) a
        WHERE {_RELATION} AND a.grantee = 0 ORDER BY 1""",
    "role that row-level security does not hold": f"""
        SELECT rolname FROM pg_roles WHERE rolname IN ({_NAMES}) AND (rolsuper OR rolbypassrls) ORDER BY 1""",
    "role for run time that is a member of another": f"""
        SELECT format('%s in %s', m.member::regrole, m.roleid::regrole) FROM pg_auth_members m
        WHERE m.member::regrole::text IN ({_RUN_TIME}) ORDER BY 1""",
    "key of tenant data that the tenant is not part of": f"""
        SELECT i.indexrelid::regclass::text
        FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        JOIN pg_attribute t ON t.attrelid = c.oid AND t.attname = 'tenant' AND NOT t.attisdropped
        WHERE {_RELATION} AND i.indisunique AND NOT t.attnum = ANY (i.indkey) AND NOT EXISTS (
            -- a number that the database itself gives meets no other
            SELECT 1 FROM pg_attribute a
            WHERE a.attrelid = c.oid AND a.attnum = ANY (i.indkey) AND a.attidentity = 'a'
        ) ORDER BY 1""",
    "setting of a tenant or scope beyond a transaction": """
        SELECT format('%s in %s', r.rolname, d.datname)
        FROM pg_db_role_setting s LEFT JOIN pg_roles r ON r.oid = s.setrole
            LEFT JOIN pg_database d ON d.oid = s.setdatabase,
            LATERAL unnest(s.setconfig) AS c (text) WHERE c.text ~ '^clipr\\.' ORDER BY 1""",
}
