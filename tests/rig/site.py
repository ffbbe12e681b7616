"""A gateway and class A devices in virtual time: the server judged by devices of the specification."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from edge_agent.lorawan.keys import AES128Key
from edge_agent.lorawan.region import Region
from edge_agent.lorawan.regions import REGIONS
from edge_agent.lorawan.registration import Registration
from edge_agent.lorawan.version import LoRaWANVersion
from edge_agent.network.answer import Answer, Transmitted, TxResult
from edge_agent.network.changes import Change
from edge_agent.network.decision import Decision
from edge_agent.network.device import Device
from edge_agent.network.moment import Moment
from edge_agent.network.network_server import NetworkServer
from edge_agent.network.policy import Policy
from edge_agent.network.rx_frame import Crc, RxFrame
from edge_agent.simulate.class_a import ClassADevice, Heard, Sent
from edge_codecs.identifiers import EUI64, DevEUI, JoinEUI

T0_MS = 1_790_000_000_000
LAP_US = 1 << 32
GATEWAY = EUI64(bytes.fromhex("0200fffe51000001"))


def new_registration(roll: Random, version: LoRaWANVersion = LoRaWANVersion.V1_0_4) -> Registration:
    """A device that joins, with random keys."""
    return Registration(
        dev_eui=DevEUI(roll.randbytes(8)),
        join_eui=JoinEUI(roll.randbytes(8)),
        version=version,
        app_key=AES128Key(roll.randbytes(16)),
        nwk_key=AES128Key(roll.randbytes(16)) if version is LoRaWANVersion.V1_1 else None,
    )


def rx_frame(sent: Sent, *, snr_db: float = 7.0) -> RxFrame:
    """How a front end hands over what a device sent; the host's clock runs with the concentrator's."""
    return RxFrame(
        phy_payload=sent.phy_payload,
        crc=Crc.OK,
        monotonic_ns=sent.end_us * 1000,
        gps_ms=None,
        frequency_hz=sent.frequency_hz,
        data_rate=sent.data_rate,
        rssi_dbm=-90,
        snr_db=snr_db,
        source="site",
        forwarder=GATEWAY,
        counter_us=sent.end_us % LAP_US,
    )


def moment(at_us: int, *, in_step: bool = True) -> Moment:
    """Now, `at_us` after the beginning, a little after which the frame is decided about."""
    utc_ms = T0_MS + at_us // 1000
    return Moment(at_us * 1000, utc_ms if in_step else None, utc_ms)


class Site:
    """One network server in virtual time. `changes` are all that it wanted on disk, in order."""

    def __init__(
        self,
        devices: Sequence[Device] = (),
        region: Region = REGIONS["EU868"],
        policy: Policy | None = None,
        seed: int = 1,
    ) -> None:
        self.region = region
        self.policy = policy or Policy()
        self.now_us = 1_000_000
        self.changes: list[Change] = []
        self.server = NetworkServer(region, self.policy, (), Random(seed).randrange)
        for device in devices:
            self.server.add(device)

    def hear(self, sent: Sent, *, snr_db: float = 7.0, in_step: bool = True) -> Decision:
        """An uplink comes in."""
        self.now_us = max(self.now_us, sent.end_us)
        decision = self.server.receive(
            rx_frame(sent, snr_db=snr_db), moment(sent.end_us + 20_000, in_step=in_step)
        )
        self.changes += decision.changes
        return decision

    def deliver(self, answer: Answer, device: ClassADevice, window: int = 0) -> Heard:
        """The answer goes on the air in one of its windows, and the device hears it."""
        chosen = answer.windows[window]
        counter_us = answer.uplink.counter_us
        assert counter_us is not None
        at_us = (counter_us + chosen.delay_us) % LAP_US
        self.now_us = max(self.now_us, answer.uplink.monotonic_ns // 1000 + chosen.delay_us + 100_000)
        self.changes += self.server.transmitted(Transmitted(answer, TxResult.SENT, chosen))
        return device.receive(answer.phy_payload, at_us, chosen.frequency_hz, chosen.data_rate)

    def exchange(
        self,
        device: ClassADevice,
        f_port: int | None = None,
        payload: bytes = b"",
        *,
        confirmed: bool = False,
        window: int = 0,
        snr_db: float = 7.0,
    ) -> tuple[Decision, Heard | None]:
        """One uplink, and what the device hears of the answer, if there is one."""
        self.now_us += 10_000_000
        decision = self.hear(device.send(self.now_us, f_port, payload, confirmed=confirmed), snr_db=snr_db)
        heard = None if decision.answer is None else self.deliver(decision.answer, device, window)
        return decision, heard

    def join(self, device: ClassADevice, window: int = 0) -> tuple[Decision, Heard | None]:
        """A join request, and what the device hears."""
        self.now_us += 10_000_000
        decision = self.hear(device.join_request(self.now_us))
        heard = None if decision.answer is None else self.deliver(decision.answer, device, window)
        return decision, heard
