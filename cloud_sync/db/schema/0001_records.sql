-- Registry, streams and tenant-scoped records. Run by clipr_owner with search_path = clipr, public.
--
-- Rules for whoever adds a table (tests/e2e/test_rls.py looks at every one):
--   * ENABLE and FORCE ROW LEVEL SECURITY, policies TO named roles; no right means no row.
--   * The tenant leads every key of tenant data: without it ON CONFLICT DO NOTHING swallows another's row.
--   * Policies compare the tenant with (SELECT current_setting('clipr.tenant', true)). After a transaction the
--     setting is '' and not NULL; no tenant is called '', so no row shows and nothing fails. A tenant is text
--     for this reason: a cast of '' would fail.
--   * What is nobody's (registry, streams) shows only to its role in its scope, (SELECT current_setting('clipr.scope',
--     true)): a connection that nobody prepared shows nothing at all, whatever its role.
--   * Views WITH (security_invoker), no SECURITY DEFINER, no materialized view, no TRUNCATE, no GRANT ALL.
--   * No foreign key from the hot tables: a row's tenant comes out of the registry under the same transaction.

GRANT USAGE ON SCHEMA clipr TO clipr_receiver, clipr_operator, clipr_dossier, clipr_auditor;

-- Registry -----------------------------------------------------------------------------------------------

CREATE TABLE tenants (
    tenant     text COLLATE "C" PRIMARY KEY CHECK (tenant ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    name       text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE sites (
    tenant     text COLLATE "C" NOT NULL REFERENCES tenants,
    site       text COLLATE "C" NOT NULL CHECK (site ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    name       text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, site)
);

-- A gateway or a device as a thing: nobody's. What belongs to a tenant is its assignment.
CREATE TABLE gateways (
    gateway       bytea PRIMARY KEY CHECK (octet_length(gateway) = 8),
    signing_key   bytea NOT NULL CHECK (octet_length(signing_key) = 32),  -- Ed25519, public
    registered_at timestamptz NOT NULL DEFAULT now(),
    revoked_at    timestamptz
);

CREATE TABLE devices (
    dev_eui       bytea PRIMARY KEY CHECK (octet_length(dev_eui) = 8),
    registered_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE gateway_assignments (
    tenant  text COLLATE "C" NOT NULL REFERENCES tenants,
    gateway bytea NOT NULL REFERENCES gateways,
    site    text COLLATE "C",
    label   text NOT NULL DEFAULT '',
    during  tstzrange NOT NULL CHECK (NOT isempty(during) AND NOT lower_inf(during)),
    PRIMARY KEY (tenant, gateway, during),
    FOREIGN KEY (tenant, site) REFERENCES sites,
    CONSTRAINT gateway_of_one_tenant EXCLUDE USING gist (gateway WITH =, during WITH &&)
);

CREATE TABLE device_assignments (
    tenant  text COLLATE "C" NOT NULL REFERENCES tenants,
    dev_eui bytea NOT NULL REFERENCES devices,
    site    text COLLATE "C",
    label   text NOT NULL DEFAULT '',
    during  tstzrange NOT NULL CHECK (NOT isempty(during) AND NOT lower_inf(during)),
    PRIMARY KEY (tenant, dev_eui, during),
    FOREIGN KEY (tenant, site) REFERENCES sites,
    CONSTRAINT device_of_one_tenant EXCLUDE USING gist (dev_eui WITH =, during WITH &&)
);

-- One row; receivers read it in each transaction and load the registry again when it moved.
CREATE TABLE registry_version (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    version  bigint NOT NULL
);

CREATE FUNCTION registry_moved() RETURNS trigger LANGUAGE plpgsql SET search_path = clipr AS $$
BEGIN
    UPDATE registry_version SET version = version + 1;
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION registry_moved() FROM PUBLIC;

DO $$
DECLARE
    t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['gateways', 'devices', 'gateway_assignments', 'device_assignments'] LOOP
        EXECUTE format('CREATE TRIGGER registry_moved AFTER INSERT OR UPDATE OR DELETE ON %I
                        FOR EACH STATEMENT EXECUTE FUNCTION registry_moved()', t);
    END LOOP;
END
$$;

-- Streams: exactly once by counting -----------------------------------------------------------------------

CREATE TABLE streams (
    gateway     bytea NOT NULL REFERENCES gateways,
    stream      bytea NOT NULL CHECK (octet_length(stream) = 8),
    last_number bigint NOT NULL DEFAULT 0 CHECK (last_number >= 0),  -- all batches up to it are stored
    last_hash   bytea NOT NULL DEFAULT '',
    early_count integer NOT NULL DEFAULT 0,                          -- how many wait in early_batches
    rows_stored int8multirange NOT NULL DEFAULT '{}',                -- a hole in it is a missing row
    first_seen  timestamptz NOT NULL DEFAULT now(),
    last_seen   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (gateway, stream)
);

CREATE TABLE batches (
    gateway    bytea NOT NULL,
    stream     bytea NOT NULL,
    number     bigint NOT NULL CHECK (number >= 1),
    lane       smallint NOT NULL,  -- 0 live, 1 backlog
    hash       bytea NOT NULL CHECK (octet_length(hash) = 32),
    previous   bytea NOT NULL,
    row_ranges int8multirange NOT NULL,
    row_count  integer NOT NULL,
    stored_at  timestamptz NOT NULL,
    PRIMARY KEY (gateway, stream, number),
    FOREIGN KEY (gateway, stream) REFERENCES streams
);

-- Batches that came before the one that is missing. Bounded by the receiver; emptied as the gap closes.
CREATE TABLE early_batches (
    gateway     bytea NOT NULL,
    stream      bytea NOT NULL,
    number      bigint NOT NULL,
    hash        bytea NOT NULL,
    header      bytea NOT NULL,
    signature   bytea NOT NULL,
    rows        bytea NOT NULL,
    received_at timestamptz NOT NULL,
    PRIMARY KEY (gateway, stream, number),
    FOREIGN KEY (gateway, stream) REFERENCES streams
);

CREATE TABLE gaps (
    gateway   bytea NOT NULL,
    stream    bytea NOT NULL,
    first     bigint NOT NULL,  -- first batch that was missing
    seen_at   timestamptz NOT NULL,
    closed_at timestamptz,
    PRIMARY KEY (gateway, stream, first),
    FOREIGN KEY (gateway, stream) REFERENCES streams
);

-- Records of a tenant -------------------------------------------------------------------------------------

-- Each batch as the gateway signed it. The tenant is that of all its rows; NULL (nobody's but the
-- operator's) if they belong to several or to none.
CREATE TABLE evidence (
    tenant    text COLLATE "C",
    gateway   bytea NOT NULL,
    stream    bytea NOT NULL,
    number    bigint NOT NULL,
    header    bytea NOT NULL,
    signature bytea NOT NULL,
    rows      bytea NOT NULL,
    UNIQUE NULLS NOT DISTINCT (tenant, gateway, stream, number)
);
ALTER TABLE evidence ALTER COLUMN rows SET STORAGE EXTERNAL;  -- compressed already
ALTER TABLE early_batches ALTER COLUMN rows SET STORAGE EXTERNAL;

-- Not partitioned: the same frame heard by two gateways has two times of reception, and must meet itself.
CREATE TABLE uplinks (
    tenant        text COLLATE "C" NOT NULL,
    dev_eui       bytea NOT NULL,
    session       bigint NOT NULL,     -- keeps lives of the counter apart; not always as the gateway numbered it
    f_cnt         bigint NOT NULL,
    received_at   timestamptz NOT NULL,
    gateway       bytea NOT NULL,      -- the one whose batch came first
    stream        bytea NOT NULL,      -- with batch and row: where the evidence is
    batch         bigint NOT NULL,
    "row"         bigint NOT NULL,
    frequency_hz  bigint NOT NULL,
    data_rate     text NOT NULL,
    rssi_dbm      smallint NOT NULL,
    snr_db        real,
    time_quality  smallint NOT NULL,   -- TimeQuality
    f_port        smallint NOT NULL,
    payload       bytea NOT NULL,
    codec         text NOT NULL,
    codec_version smallint NOT NULL,
    historical    boolean NOT NULL,    -- came in the backlog lane: never passes for live
    stored_at     timestamptz NOT NULL DEFAULT now(),
    -- the session last: frames are compared by device and counter
    PRIMARY KEY (tenant, dev_eui, f_cnt, session)
);

-- Further gateways that heard the same frame.
CREATE TABLE receptions (
    tenant       text COLLATE "C" NOT NULL,
    dev_eui      bytea NOT NULL,
    session      bigint NOT NULL,
    f_cnt        bigint NOT NULL,
    gateway      bytea NOT NULL,
    received_at  timestamptz NOT NULL,
    stream       bytea NOT NULL,
    batch        bigint NOT NULL,
    "row"        bigint NOT NULL,
    frequency_hz bigint NOT NULL,
    data_rate    text NOT NULL,
    rssi_dbm     smallint NOT NULL,
    snr_db       real,
    time_quality smallint NOT NULL,
    stored_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, dev_eui, f_cnt, session, gateway)
);

-- Which lives of a counter are known, so that the receiver knows which frames to compare.
CREATE TABLE device_sessions (
    tenant  text COLLATE "C" NOT NULL,
    dev_eui bytea NOT NULL,
    session bigint NOT NULL,
    PRIMARY KEY (tenant, dev_eui, session)
);

CREATE TYPE quantity AS ENUM ('temperature');
CREATE TYPE unit AS ENUM ('°C');

CREATE TABLE readings (
    tenant       text COLLATE "C" NOT NULL,
    dev_eui      bytea NOT NULL,
    quantity     quantity NOT NULL,
    channel      smallint NOT NULL,
    interval_end timestamptz NOT NULL,
    interval_s   integer NOT NULL,
    minimum      numeric,               -- with maximum and last NULL: no valid sample
    maximum      numeric,
    last         numeric,               -- NULL for an interval out of a sensor's memory
    unit         unit NOT NULL,
    session      bigint NOT NULL,       -- with f_cnt: the uplink that brought it
    f_cnt        bigint NOT NULL,
    historical   boolean NOT NULL,      -- came late: backlog lane, or out of a sensor's memory
    from_history boolean NOT NULL,      -- out of a sensor's memory (fPort 13)
    -- the quantity last: comparing an enum is not leakproof, so under row-level security it is no index condition
    PRIMARY KEY (tenant, dev_eui, channel, interval_end, quantity)
) PARTITION BY RANGE (interval_end);

-- A month without a partition of its own is never an error; `db partitions` gives it one later.
CREATE TABLE readings_other PARTITION OF readings DEFAULT;

-- Where intervals out of a sensor's memory lie, so that the receiver knows which reports to compare.
CREATE TABLE history_spans (
    tenant    text COLLATE "C" NOT NULL,
    dev_eui   bytea NOT NULL,
    channel   smallint NOT NULL,
    earliest  timestamptz NOT NULL,
    latest    timestamptz NOT NULL,
    longest_s integer NOT NULL,
    PRIMARY KEY (tenant, dev_eui, channel)
);

CREATE TABLE events (
    tenant      text COLLATE "C" NOT NULL,
    dev_eui     bytea NOT NULL,
    session     bigint NOT NULL,
    f_cnt       bigint NOT NULL,
    occurred_at timestamptz NOT NULL,
    kind        text NOT NULL,
    channel     smallint NOT NULL,
    temperature numeric,
    duration_s  integer,
    extreme     numeric,
    historical  boolean NOT NULL,
    PRIMARY KEY (tenant, dev_eui, f_cnt, session)
);

-- What could not be taken, with its reason. The tenant is NULL unless it is certain; then only the operator sees it.
CREATE TABLE quarantine (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant      text COLLATE "C",
    reason      text NOT NULL,
    detail      text NOT NULL,
    seen_at     timestamptz NOT NULL,
    gateway     bytea,
    stream      bytea,
    batch       bigint,
    "row"       bigint,
    dev_eui     bytea,
    session     bigint,
    f_cnt       bigint,
    received_at timestamptz,
    f_port      smallint,
    payload     bytea,
    wire        bytea,           -- a whole message, as far as it is kept
    wire_sha256 bytea,
    settled_at  timestamptz,     -- since when the row is a tenant's, or an entry of another reason
    CHECK (tenant IS NULL OR tenant <> '')
);
CREATE INDEX quarantine_by_tenant ON quarantine (tenant, id);
-- the same refused message again and again is one row
CREATE UNIQUE INDEX quarantine_once ON quarantine (tenant, reason, wire_sha256) NULLS NOT DISTINCT
    WHERE wire_sha256 IS NOT NULL;

-- Who may see and do what -----------------------------------------------------------------------------------

DO $$
DECLARE
    t text;
    mine     constant text := '(tenant = (SELECT current_setting(''clipr.tenant'', true)))';
    plant    constant text := '((SELECT current_setting(''clipr.scope'', true)) = ''plant'')';
    operator constant text := '((SELECT current_setting(''clipr.scope'', true)) = ''operator'')';
    retry    constant text := '((SELECT current_setting(''clipr.scope'', true)) = ''retry'')';
BEGIN
    FOREACH t IN ARRAY ARRAY['tenants', 'sites', 'gateways', 'devices', 'gateway_assignments', 'device_assignments',
                             'registry_version', 'streams', 'batches', 'early_batches', 'gaps', 'evidence', 'uplinks',
                             'receptions', 'device_sessions', 'readings', 'readings_other', 'history_spans', 'events',
                             'quarantine'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
    END LOOP;

    -- one tenant's rows, read
    FOREACH t IN ARRAY ARRAY['tenants', 'sites', 'gateway_assignments', 'device_assignments', 'uplinks', 'receptions',
                             'readings', 'readings_other', 'events', 'quarantine'] LOOP
        EXECUTE format('CREATE POLICY reads_own ON %I FOR SELECT TO clipr_dossier, clipr_auditor USING %s', t, mine);
        CONTINUE WHEN t = 'readings_other';  -- a partition is reached through its parent only
        EXECUTE format('GRANT SELECT ON %I TO clipr_dossier, clipr_auditor', t);
    END LOOP;
    EXECUTE 'CREATE POLICY reads_own ON evidence FOR SELECT TO clipr_auditor USING ' || mine;
    GRANT SELECT ON evidence TO clipr_auditor;

    -- one tenant's rows, written; the floor holds whatever policy is added later
    FOREACH t IN ARRAY ARRAY['uplinks', 'receptions', 'readings', 'readings_other', 'events', 'device_sessions',
                             'history_spans'] LOOP
        EXECUTE format('CREATE POLICY floor ON %I AS RESTRICTIVE FOR ALL TO PUBLIC USING %s WITH CHECK %s',
                       t, mine, mine);
        CONTINUE WHEN t = 'readings_other';
        EXECUTE format('CREATE POLICY receiver_reads ON %I FOR SELECT TO clipr_receiver USING %s', t, mine);
        EXECUTE format('CREATE POLICY receiver_writes ON %I FOR INSERT TO clipr_receiver WITH CHECK %s', t, mine);
        EXECUTE format('GRANT SELECT, INSERT ON %I TO clipr_receiver', t);
    END LOOP;
    EXECUTE format('CREATE POLICY receiver_widens ON history_spans FOR UPDATE TO clipr_receiver USING %s WITH CHECK %s',
                   mine, mine);
    GRANT UPDATE (earliest, latest, longest_s) ON history_spans TO clipr_receiver;
    -- a report completes what came out of the sensor's memory before it, and no report is changed
    EXECUTE format('CREATE POLICY receiver_completes ON readings FOR UPDATE TO clipr_receiver USING %s WITH CHECK %s',
                   mine, mine);
    CREATE POLICY reports_stay ON readings AS RESTRICTIVE FOR UPDATE TO PUBLIC USING (from_history)
        WITH CHECK (NOT from_history);
    GRANT UPDATE (last, session, f_cnt, from_history, historical) ON readings TO clipr_receiver;

    -- of a tenant or of nobody: written, and then seen by the tenant's readers or by the operator
    FOREACH t IN ARRAY ARRAY['evidence', 'quarantine'] LOOP
        EXECUTE format('CREATE POLICY receiver_writes ON %I FOR INSERT TO clipr_receiver WITH CHECK %s', t, mine);
        EXECUTE format('CREATE POLICY receiver_keeps_nobodys ON %I FOR INSERT TO clipr_receiver
                        WITH CHECK (tenant IS NULL AND %s)', t, plant);
        EXECUTE format('GRANT INSERT ON %I TO clipr_receiver', t);
    END LOOP;

    -- nobody's rows placed again: out of nobody's evidence, in a scope of its own
    EXECUTE format('CREATE POLICY receiver_reopens_nobodys ON evidence FOR SELECT TO clipr_receiver
                    USING (tenant IS NULL AND %s)', retry);
    GRANT SELECT ON evidence TO clipr_receiver;
    EXECUTE format('CREATE POLICY operator_settles ON quarantine FOR UPDATE TO clipr_operator
                    USING (tenant IS NULL AND %s) WITH CHECK (tenant IS NULL AND %s)', operator, operator);
    GRANT UPDATE (settled_at) ON quarantine TO clipr_operator;

    -- nobody's: what is true of the plant and not of a tenant
    FOREACH t IN ARRAY ARRAY['gateways', 'gateway_assignments', 'device_assignments', 'registry_version'] LOOP
        EXECUTE format('CREATE POLICY receiver_looks_up ON %I FOR SELECT TO clipr_receiver USING %s', t, plant);
        EXECUTE format('GRANT SELECT ON %I TO clipr_receiver', t);
    END LOOP;
    FOREACH t IN ARRAY ARRAY['streams', 'batches', 'early_batches', 'gaps'] LOOP
        EXECUTE format('CREATE POLICY receiver_counts ON %I FOR ALL TO clipr_receiver USING %s WITH CHECK %s',
                       t, plant, plant);
        EXECUTE format('GRANT SELECT, INSERT ON %I TO clipr_receiver', t);
    END LOOP;
    GRANT UPDATE (last_number, last_hash, early_count, rows_stored, last_seen) ON streams TO clipr_receiver;
    GRANT UPDATE (closed_at) ON gaps TO clipr_receiver;
    GRANT DELETE ON early_batches TO clipr_receiver;

    -- the operator: who and what there is, and what was refused; no reading, no evidence
    FOREACH t IN ARRAY ARRAY['tenants', 'sites', 'gateways', 'devices', 'gateway_assignments', 'device_assignments'] LOOP
        EXECUTE format('CREATE POLICY operator_registers ON %I FOR ALL TO clipr_operator USING %s WITH CHECK %s',
                       t, operator, operator);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE ON %I TO clipr_operator', t);
    END LOOP;
    FOREACH t IN ARRAY ARRAY['streams', 'batches', 'gaps', 'quarantine'] LOOP
        EXECUTE format('CREATE POLICY operator_looks ON %I FOR SELECT TO clipr_operator USING %s', t, operator);
        EXECUTE format('GRANT SELECT ON %I TO clipr_operator', t);
    END LOOP;
    EXECUTE format('CREATE POLICY operator_moves ON registry_version FOR ALL TO clipr_operator USING %s WITH CHECK %s',
                   operator, operator);
    GRANT SELECT, UPDATE ON registry_version TO clipr_operator;
    GRANT EXECUTE ON FUNCTION registry_moved() TO clipr_operator;

    -- its one row; FORCE holds the owner, too
    CREATE POLICY owner_begins ON registry_version FOR INSERT TO clipr_owner
        WITH CHECK ((SELECT current_setting('clipr.scope', true)) = 'migration');
END
$$;

INSERT INTO registry_version (version) VALUES (1);
