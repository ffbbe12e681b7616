"""Uplinks and stores for tests: what `admit` would hand over, without the radio before it."""

from __future__ import annotations

from pathlib import Path

from edge_agent.clock import ClockReading
from edge_agent.lorawan.identifiers import DevAddr
from edge_agent.lorawan.keys import AES128Key
from edge_agent.lorawan.registration import Registration
from edge_agent.lorawan.session import Session
from edge_agent.lorawan.version import LoRaWANVersion
from edge_agent.network.changes import JoinAnswered
from edge_agent.network.device import Device, NetworkSession
from edge_agent.network.outcome import Admitted
from edge_agent.network.rx_frame import Crc, RxFrame
from edge_agent.store.key_provider import StoreKey
from edge_agent.store.store import Store
from edge_codecs.clipr import CentiCelsius, Extremes, Report, encode
from edge_codecs.identifiers import DevEUI, GatewayId, JoinEUI
from edge_codecs.reading import TimeQuality

KEY = StoreKey(bytes(range(32)))
GATEWAY = GatewayId.parse("b827ebfffe000001")
BOOT = "boot-1"
START_MS = 1_750_000_000_000
SECOND_NS = 1_000_000_000


def dev_eui(number: int) -> DevEUI:
    """Of device 0, 1, …"""
    return DevEUI((0x70B3D57ED0000000 + number).to_bytes(8))


def session(number: int, *, f_cnt_up: int | None = None) -> Session:
    """Of device 0, 1, …; each with keys of its own."""
    nwk, app = (AES128Key(bytes([kind, number & 0xFF]) * 8) for kind in (0xA1, 0xA2))
    return Session(dev_eui(number), DevAddr(number.to_bytes(4)), "1.0", nwk, nwk, nwk, app, 0, f_cnt_up)


def report(f_cnt: int) -> Report:
    """A hot pipe; what it says depends on the counter."""
    low = 5000 + f_cnt * 7 % 1000
    return Report(0, 100, 900, (Extremes(0, *map(CentiCelsius, (low, low + 80, low + 40))),))


def uplink(
    device: int, f_cnt: int, *, at_s: float = 0.0, session: int = 0, gps_ms: int | None = None
) -> Admitted:
    """A report of one channel, received `at_s` seconds after the boot."""
    message = report(f_cnt)
    f_port, payload = encode(message)
    frame = RxFrame(
        phy_payload=b"\x40" + bytes(20),
        crc=Crc.OK,
        monotonic_ns=round(at_s * SECOND_NS),
        gps_ms=gps_ms,
        frequency_hz=868_100_000,
        data_rate="SF7BW125",
        rssi_dbm=-80,
        snr_db=7.5,
        source="test",
        forwarder=None,
        counter_us=None,
    )
    return Admitted(
        dev_eui(device), session, f_cnt, False, True, b"", f_port, payload, message, None, frame, "clipr", 1
    )


def mac_only(device: int, f_cnt: int, *, at_s: float = 0.0, session: int = 0) -> Admitted:
    """A frame without a payload: its counter moves, and there is no row."""
    like = uplink(device, f_cnt, at_s=at_s)
    return Admitted(
        like.dev_eui, session, f_cnt, False, True, b"\x02", None, b"", None, None, like.frame, "clipr", 1
    )


def registration(number: int, version: LoRaWANVersion = LoRaWANVersion.V1_0_4) -> Registration:
    """Of device 0, 1, …, which joins; with root keys of its own."""
    app, nwk = (AES128Key(bytes([kind, number & 0xFF]) * 8) for kind in (0xB1, 0xB2))
    join_eui = JoinEUI(b"\x0a" * 8)
    return Registration(
        dev_eui(number), join_eui, version, app, nwk if version is LoRaWANVersion.V1_1 else None
    )


def joined(number: int, join_nonce: int, **nonce: int) -> JoinAnswered:
    """A join of device 0, 1, … is answered; `nonce` is dev_nonce, rj_count_0 or rj_count_1."""
    nwk, app = (AES128Key(bytes([kind, join_nonce & 0xFF]) * 8) for kind in (0xC1, 0xC2))
    keys = Session(dev_eui(number), DevAddr(join_nonce.to_bytes(4)), "1.0", nwk, nwk, nwk, app, join_nonce)
    return JoinAnswered(dev_eui(number), join_nonce, NetworkSession(keys), **nonce)


def f_cnts_up(store: Store) -> list[int | None]:
    """The highest counter of each device's session."""
    return [one.session and one.session.session.f_cnt_up for one in store.network_devices()]


def session_of(device: Device) -> Session:
    """The session of a device that has one."""
    assert device.session is not None
    return device.session.session


def clock(at_s: float, *, boot: str = BOOT, boot_ms: int = START_MS) -> ClockReading:
    """The clock in step, `at_s` seconds after a boot that began at `boot_ms`."""
    return ClockReading(boot, round(at_s * SECOND_NS), boot_ms + round(at_s * 1000), TimeQuality.SYNCHRONISED)


class Now:
    """CLOCK_BOOTTIME under the test's hand."""

    def __init__(self, at_s: float = 0.0) -> None:
        self.at_s = at_s

    def __call__(self) -> int:
        return round(self.at_s * SECOND_NS)


def open_store(
    path: Path,
    *,
    key: StoreKey = KEY,
    gateway: GatewayId = GATEWAY,
    boot: str = BOOT,
    max_bytes: int = 50_000_000,
    retention_days: int = 30,
    new_stream: bool = False,
    now: Now | None = None,
) -> Store:
    """A store with a clock of the test's own."""
    return Store.open(
        path,
        key,
        gateway=gateway,
        max_bytes=max_bytes,
        retention_days=retention_days,
        boot=boot,
        new_stream=new_stream,
        now_ns=now or Now(),
    )
