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
    counted INTEGER NOT NULL,           -- uplinks up to this id are in the counters of their devices
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

-- Frame counters stand here up to the uplink life.counted; each uplink behind it says its own.
CREATE TABLE devices (
    number INTEGER PRIMARY KEY,
    dev_eui BLOB NOT NULL UNIQUE,
    dev_addr BLOB NOT NULL,
    lorawan TEXT NOT NULL,
    f_nwk_s_int_key BLOB NOT NULL,
    s_nwk_s_int_key BLOB NOT NULL,
    nwk_s_enc_key BLOB NOT NULL,
    app_s_key BLOB NOT NULL,
    session INTEGER NOT NULL,
    f_cnt_up INTEGER,
    codec TEXT NOT NULL,
    codec_version INTEGER NOT NULL,
    uplinks INTEGER NOT NULL DEFAULT 0,
    seen_ms INTEGER,                    -- last frame taken; NULL with a span: dated by that
    seen_ns INTEGER,
    seen_span INTEGER,
    rssi_dbm INTEGER,
    snr_tenths INTEGER
) STRICT;

-- The highest session number of devices that were removed: added again, they get the next.
CREATE TABLE former_devices (
    number INTEGER PRIMARY KEY,
    dev_eui BLOB NOT NULL UNIQUE,
    session INTEGER NOT NULL
) STRICT;

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
