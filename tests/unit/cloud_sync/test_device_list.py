import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_sync.device_list import parse_devices
from cloud_sync.errors import ConfigurationError
from edge_codecs.identifiers import DevEUI

ONE, TWO = DevEUI.parse("70b3d57ed0000001"), DevEUI.parse("70b3d57ed0000002")
KEY = "00112233445566778899aabbccddeeff"


@pytest.mark.parametrize(
    "text",
    [
        f"{ONE}\n{TWO}\n",
        f"\ufeff{ONE}\r\n{TWO}",
        f"# our sensors\n\n  {ONE}  # kitchen\n70-B3-D5-7E-D0-00-00-02\n",
        json.dumps([{"dev_eui": str(ONE), "app_s_key": KEY}, {"dev_eui": str(TWO)}]),
        f"dev_eui,dev_addr,nwk_s_key\n{ONE},260b1234,{KEY}\n\n{TWO},260b1235,{KEY}\n",
        f"Name; DEV_EUI \nkitchen; {ONE}\nbath; {TWO}\n",
        f'nwk_s_key\tdev_eui\n{KEY}\t"{ONE}"\n{KEY}\t{TWO}',
    ],
)
def test_forms(text: str) -> None:
    assert parse_devices(text, "devices") == [ONE, TWO]


def test_one_object() -> None:
    assert parse_devices(json.dumps({"dev_eui": str(ONE)}), "devices") == [ONE]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "devices has no device"),
        ("# nothing\n", "devices has no device"),
        ("[]", "devices has no device"),
        ("dev_eui\n", "devices has no device"),
        (f"{ONE}\n{KEY}\n", "devices: line 2 has no DevEUI of 16 hex digits"),
        (f"{ONE} {KEY}\n", "devices: line 1 has no DevEUI of 16 hex digits"),
        (f"dev_eui,nwk_s_key\n{KEY},{ONE}\n", "devices: device 1 has no DevEUI of 16 hex digits"),
        (f"nwk_s_key,dev_eui\n{KEY}\n", "devices: device 1 has no DevEUI of 16 hex digits"),
        (json.dumps([{"nwk_s_key": KEY}]), "devices: device 1 has no DevEUI of 16 hex digits"),
        (json.dumps([{"dev_eui": KEY}]), "devices: device 1 has no DevEUI of 16 hex digits"),
        (json.dumps([{"dev_eui": [KEY]}]), "devices: device 1 has no DevEUI of 16 hex digits"),
        (json.dumps([KEY]), "devices: device 1 has no DevEUI of 16 hex digits"),
        (f'[{{"dev_eui": "{KEY}"', "devices is not JSON at line 1"),
        ("[" * 5000, "devices is not JSON"),
        (f"{ONE}\n{TWO}\n{ONE}\n", f"devices: line 3: {ONE} stands at line 1 already"),
    ],
)
def test_wrong(text: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_devices(text, "devices")
    assert str(caught.value) == message
    assert "One DevEUI a line" in caught.value.hint or caught.value.hint == "Remove one of the two"
    assert KEY not in f"{caught.value} {caught.value.hint}"


HEX = st.text("0123456789abcdef", min_size=20, max_size=64)


@given(
    st.lists(st.one_of(HEX, st.just(str(ONE)), st.text(max_size=30)), max_size=5), st.sampled_from("\n,;\t ")
)
def test_whatever_it_holds_no_message_repeats_it(pieces: list[str], between: str) -> None:
    text = between.join(pieces)
    for form in (text, f"dev_eui{between}x\n{text}", json.dumps(pieces), f"[{text}"):
        try:
            found = parse_devices(form, "devices")
        except ConfigurationError as error:
            assert not any(len(piece) >= 20 and piece in str(error) for piece in pieces)
        else:
            assert set(found) <= {DevEUI.parse(p) for p in pieces if len(p) <= 30 and _is_eui(p)}


def _is_eui(text: str) -> bool:
    try:
        DevEUI.parse(text.partition("#")[0])
    except ValueError:
        return False
    return True
