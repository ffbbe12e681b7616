"""The golden vectors of batch and receipt, as values."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from edge_codecs import clipr
from edge_codecs.batch import (
    Lane,
    Manifest,
    RowRange,
    SealingPrivateKey,
    SigningKey,
    StreamId,
    open_batch,
    parse_header,
    verify,
)
from edge_codecs.identifiers import DevEUI, GatewayId
from edge_codecs.reading import TimeQuality, Uplink
from edge_codecs.rows import decode_rows

VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[2] / "vectors" / "batch.json").read_text())
KEYS: dict[str, Any] = VECTORS["keys"]

GATEWAY_KEY = SigningKey(bytes.fromhex(KEYS["gateway_signing_private"]))
SEALING_KEY = SealingPrivateKey(
    KEYS["receiver_sealing_number"], bytes.fromhex(KEYS["receiver_sealing_private"])
)
RECEIPT_KEY = SigningKey(bytes.fromhex(KEYS["receiver_signing_private"]))


def named(vector: dict[str, Any]) -> str:
    return str(vector["name"])


def uplink_of(row: dict[str, Any]) -> Uplink:
    rest = {key: value for key, value in row.items() if key not in {"f_port", "payload"}}
    payload = bytes.fromhex(row["payload"])
    message = clipr.read_payload(row["codec"], row["codec_version"], row["f_port"], payload)
    named_types = {"dev_eui": DevEUI.parse(row["dev_eui"]), "time_quality": TimeQuality(row["time_quality"])}
    return Uplink(**(rest | named_types), message=message)


def uplinks_of(vector: dict[str, Any]) -> list[Uplink]:
    if "uplinks_of" in vector:
        return next(uplinks_of(other) for other in VECTORS["rows"] if other["name"] == vector["uplinks_of"])
    return list(map(uplink_of, vector["uplinks"]))


def manifest_of(vector: dict[str, Any]) -> Manifest:
    return Manifest(
        GatewayId.parse(vector["gateway"]),
        StreamId(bytes.fromhex(vector["stream"])),
        vector["number"],
        Lane(vector["lane"]),
        tuple(RowRange(first, count) for first, count in vector["ranges"]),
        bytes.fromhex(vector["previous"]),
        bytes.fromhex(vector["rows"]),
    )


def receive(wire: bytes) -> tuple[Manifest, list[Uplink]]:
    """What a receiver does with a batch, in its order. Raises BatchError."""
    opened = open_batch(wire, parse_header(wire), SEALING_KEY)
    manifest = verify(opened, GATEWAY_KEY.verify_key)
    return manifest, decode_rows(manifest.rows, manifest.count)
