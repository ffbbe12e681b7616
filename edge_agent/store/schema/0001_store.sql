-- One life of the store: which stream it forms, and how far the cloud has confirmed it.
CREATE TABLE life (
    number INTEGER PRIMARY KEY CHECK (number = 1),
    stream BLOB NOT NULL CHECK (length(stream) = 8),
    gateway BLOB NOT NULL CHECK (length(gateway) = 8),
    machine BLOB NOT NULL,              -- what tells this machine from one that runs a copy
    copied INTEGER NOT NULL,            -- 1: this file is a backup, so whoever opens it begins a new stream
    base INTEGER NOT NULL,              -- uplinks.id of row n of the stream is base + n
    highest_id INTEGER NOT NULL,        -- no smaller than any id that was ever given and then went
    rows_gone INTEGER NOT NULL,         -- ids up to the highest that are no longer here
    counted INTEGER NOT NULL,           -- uplinks up to this id are in the counters of their sessions
    covered INTEGER NOT NULL,           -- uplinks up to this id are in the coverage
    last_downlink INTEGER NOT NULL,     -- highest number of a downlink that was given
    confirmed INTEGER NOT NULL,         -- highest batch with a receipt, 0: none
    receiver_ms INTEGER                 -- the receiver's time in the last receipt
) STRICT;

CREATE TABLE boots (
    number INTEGER PRIMARY KEY,
    boot TEXT NOT NULL UNIQUE           -- the kernel's boot id
) STRICT;

-- Rows that were received while UTC was not known. A span is dated by the moment when the clock was in step
-- again, and by the last such moment before it, if there was one in the same boot.
CREATE TABLE spans (
    number INTEGER PRIMARY KEY,
    boot INTEGER NOT NULL REFERENCES boots,
    before_ns INTEGER, before_ms INTEGER, before_quality INTEGER,
    after_ns INTEGER, after_ms INTEGER,
    quality INTEGER                     -- NULL: not dated yet
) STRICT;

-- Accepted uplinks, in the order of acceptance. Each row says all that is needed to read it.
CREATE TABLE uplinks (
    id INTEGER PRIMARY KEY,
    dev_eui BLOB NOT NULL,
    session INTEGER NOT NULL,
    f_cnt INTEGER NOT NULL,
    f_port INTEGER NOT NULL,
    payload BLOB NOT NULL,
    codec TEXT NOT NULL,
    codec_version INTEGER NOT NULL,
    frequency_hz INTEGER NOT NULL,
    data_rate TEXT NOT NULL,
    rssi_dbm INTEGER NOT NULL,
    snr_tenths INTEGER,
    boot INTEGER NOT NULL,
    monotonic_ns INTEGER NOT NULL,
    received_ms INTEGER,                -- NULL: see span
    quality INTEGER,
    span INTEGER
) STRICT;

CREATE INDEX uplinks_by_span ON uplinks (span) WHERE span IS NOT NULL;

-- Devices, and what a join must never use twice. join_eui, version, region_revision and app_key are NULL for a
-- device that is activated by personalisation (ABP), nwk_key under LoRaWAN 1.0, too.
CREATE TABLE devices (
    number INTEGER PRIMARY KEY,
    dev_eui BLOB NOT NULL UNIQUE,
    join_eui BLOB,
    version TEXT,
    region_revision TEXT,
    app_key BLOB,
    nwk_key BLOB,
    codec TEXT NOT NULL,
    codec_version INTEGER NOT NULL,
    last_session INTEGER NOT NULL,      -- highest session number given; over the air: the last JoinNonce
    dev_nonce INTEGER,                  -- highest one taken, where they rise
    rj_count_1 INTEGER,                 -- highest one taken
    uplinks INTEGER NOT NULL DEFAULT 0,
    seen_ms INTEGER,                    -- last frame taken; NULL with a span: dated by that
    seen_ns INTEGER,
    seen_span INTEGER,
    rssi_dbm INTEGER,
    snr_tenths INTEGER
) STRICT;

-- Of a device: the one in force, and the pending ones, which join accepts gave and which are not used yet.
-- f_cnt_up stands here up to the uplink life.counted; each uplink behind it says its own.
CREATE TABLE sessions (
    number INTEGER PRIMARY KEY,
    dev_eui BLOB NOT NULL,
    pending INTEGER NOT NULL CHECK (pending IN (0, 1)),
    session INTEGER NOT NULL,
    dev_addr BLOB NOT NULL,
    lorawan TEXT NOT NULL,
    f_nwk_s_int_key BLOB NOT NULL,
    s_nwk_s_int_key BLOB NOT NULL,
    nwk_s_enc_key BLOB NOT NULL,
    app_s_key BLOB NOT NULL,
    f_cnt_up INTEGER,
    mac TEXT,                           -- NULL: as the region begins
    n_f_cnt_down INTEGER NOT NULL,      -- reserved: all below may have been used, none from here on
    a_f_cnt_down INTEGER NOT NULL,
    conf_f_cnt INTEGER,
    rj_count_0 INTEGER,
    UNIQUE (dev_eui, session)
) STRICT;

CREATE UNIQUE INDEX sessions_in_force ON sessions (dev_eui) WHERE pending = 0;
CREATE INDEX sessions_by_dev_addr ON sessions (dev_addr);

-- DevNonces taken of devices whose DevNonce is random; those of removed devices stay.
CREATE TABLE dev_nonces (
    number INTEGER PRIMARY KEY,
    dev_eui BLOB NOT NULL,
    dev_nonce INTEGER NOT NULL,
    UNIQUE (dev_eui, dev_nonce)
) STRICT;

-- Where the numbers of removed devices ended: added again, they go on from here.
CREATE TABLE former_devices (
    number INTEGER PRIMARY KEY,
    dev_eui BLOB NOT NULL UNIQUE,
    last_session INTEGER NOT NULL,
    dev_nonce INTEGER,
    rj_count_1 INTEGER,
    n_f_cnt_down INTEGER NOT NULL,
    a_f_cnt_down INTEGER NOT NULL
) STRICT;

-- Application messages for devices; of those done the newest stay for people to see.
CREATE TABLE downlinks (
    number INTEGER PRIMARY KEY,
    dev_eui BLOB NOT NULL,
    f_port INTEGER NOT NULL,
    payload BLOB NOT NULL,
    confirmed INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    state TEXT NOT NULL,
    tries INTEGER NOT NULL,
    f_cnt_down INTEGER,
    detail TEXT NOT NULL
) STRICT;

CREATE INDEX downlinks_by_device ON downlinks (dev_eui);

-- Which times are known of each channel: ranges that do not touch. What lies between two is missing. Worked
-- out of the uplinks up to life.covered.
CREATE TABLE coverage (
    dev_eui BLOB NOT NULL,
    channel INTEGER NOT NULL,
    from_ms INTEGER NOT NULL,
    to_ms INTEGER NOT NULL CHECK (to_ms > from_ms),
    interval_s INTEGER NOT NULL,        -- of the interval that it begins with
    PRIMARY KEY (dev_eui, channel, from_ms)
) STRICT, WITHOUT ROWID;

-- How often a sensor was asked for what is missing between from_ms and to_ms; void once that has changed.
CREATE TABLE history_asked (
    dev_eui BLOB NOT NULL,
    channel INTEGER NOT NULL,
    to_ms INTEGER NOT NULL,
    from_ms INTEGER NOT NULL,
    asked INTEGER NOT NULL,
    PRIMARY KEY (dev_eui, channel, to_ms)
) STRICT, WITHOUT ROWID;

CREATE TABLE rejections (
    number INTEGER PRIMARY KEY,
    dev_eui BLOB NOT NULL,              -- empty: not known whose
    reason TEXT NOT NULL,
    count INTEGER NOT NULL,
    last_seen_ms INTEGER NOT NULL,
    UNIQUE (dev_eui, reason)
) STRICT;

-- Batches as they are fixed when they are formed. The last one is never deleted: it is the head of the chain.
CREATE TABLE batches (
    number INTEGER PRIMARY KEY,
    lane INTEGER NOT NULL,
    count INTEGER NOT NULL,
    ranges TEXT NOT NULL,               -- row numbers, "first+count first+count"
    frontier INTEGER NOT NULL,          -- no row beyond it is in a batch up to this one
    newest_ms INTEGER NOT NULL,
    previous BLOB NOT NULL,
    hash BLOB NOT NULL CHECK (length(hash) = 32),
    rows BLOB NOT NULL
) STRICT;

-- Rows up to the frontier that are in no batch yet: passed over by live ones, or still without a date.
CREATE TABLE holes (
    first INTEGER PRIMARY KEY,
    last INTEGER NOT NULL CHECK (last >= first)
) STRICT;
