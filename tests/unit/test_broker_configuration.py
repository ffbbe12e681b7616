"""The broker configuration that we ship: each setting explained, each rule tied to the certificate."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edge_codecs.batch import MAX_WIRE_BYTES
from edge_codecs.identifiers import GatewayId
from edge_codecs.topics import UPLINK_FILTER, down_topic, receipt_topic, state_topic, uplink_topic

ROOT = Path(__file__).resolve().parents[2]
CONFIGURATION = (ROOT / "config/broker/mosquitto.conf").read_text()
ACL = (ROOT / "config/broker/acl").read_text()
MANUAL = (ROOT / "docs/sync.md").read_text()
SETTINGS = dict(line.split(maxsplit=1) for line in CONFIGURATION.splitlines() if re.match("[a-z]", line))


@pytest.mark.parametrize("name", sorted(SETTINGS))
def test_each_setting_is_in_the_manual(name):
    assert f"`{name}" in MANUAL.split("## The broker")[1]


@pytest.mark.parametrize(
    "name", sorted(set(SETTINGS) - {"cafile", "certfile", "keyfile", "acl_file", "persistence_location"})
)
def test_the_manual_says_the_value_that_is_shipped(name):
    assert f"`{name} {SETTINGS[name]}`" in MANUAL


def test_the_largest_batch_passes():
    assert int(SETTINGS["message_size_limit"]) > MAX_WIRE_BYTES


def test_a_gateway_may_do_what_it_needs_and_only_below_its_own_name():
    rules = [line.split() for line in ACL.splitlines() if line.startswith("pattern")]
    gateway = GatewayId(bytes(8))
    granted = {(access, topic.replace("%u", str(gateway))) for _, access, topic in rules}
    assert granted == {
        ("write", uplink_topic(gateway)),
        ("write", state_topic(gateway)),
        ("read", receipt_topic(gateway)),
        ("read", down_topic(gateway)),
    }
    assert all("%u" in topic and not set("+#") & set(topic) for _, _, topic in rules)


def test_receivers_read_batches_and_nobody_else_has_a_rule_of_its_own():
    blocks = re.split(r"^user ", ACL, flags=re.M)[1:]
    names = [block.split()[0] for block in blocks]
    assert names == ["receiver", "receiver-2", "receiver-3"]
    for block in blocks:
        assert f"topic read {UPLINK_FILTER}\n" in block
        assert f"topic write {UPLINK_FILTER}\n" not in block
