"""The other side of a class A device, as little of it as tests need: it answers as it is told."""

from random import Random

from edge_agent.lorawan import mac_commands as mac
from edge_agent.lorawan.aes128 import AES128
from edge_agent.lorawan.fhdr import FHDR, FCtrl
from edge_agent.lorawan.frm_payload import crypt_f_opts, crypt_frm_payload
from edge_agent.lorawan.identifiers import DevAddr
from edge_agent.lorawan.join_accept import JoinAccept
from edge_agent.lorawan.key_derivation import join_server_keys, session_keys_1_0, session_keys_1_1
from edge_agent.lorawan.keys import AES128Key
from edge_agent.lorawan.mhdr import Direction, MType
from edge_agent.lorawan.mic import (
    downlink_mic_1_0,
    downlink_mic_1_1,
    join_accept_mic_1_0,
    join_accept_mic_1_1,
    join_request_mic,
    rejoin_request_mic,
    uplink_mic_1_0,
    uplink_mic_1_1,
)
from edge_agent.lorawan.netid import NetID
from edge_agent.lorawan.phypayload import DataFrame, parse
from edge_agent.lorawan.regions import REGIONS
from edge_agent.lorawan.registration import Registration
from edge_agent.lorawan.session import Session
from edge_agent.lorawan.version import LoRaWANVersion
from edge_agent.simulate.class_a import ClassADevice, Joined
from edge_codecs.identifiers import DevEUI, JoinEUI

EU868 = REGIONS["EU868"]
NET_ID = NetID(bytes(3))
DEV_ADDR = DevAddr(bytes.fromhex("01020304"))
APP_KEY, NWK_KEY = AES128Key(b"application key."), AES128Key(b"the network key.")


def registration(version):
    version = LoRaWANVersion.parse(version)
    return Registration(
        DevEUI(b"\2" + bytes(6) + b"\1"),
        JoinEUI(bytes(8)),
        version,
        APP_KEY,
        NWK_KEY if version is LoRaWANVersion.V1_1 else None,
    )


def session(lorawan="1.0"):
    keys = [AES128Key(bytes([n]) * 16) for n in range(1, 5)]
    if lorawan == "1.0":
        keys[1] = keys[2] = keys[0]
    return Session(DevEUI(b"\2" + bytes(6) + b"\2"), DEV_ADDR, lorawan, *keys)


class SmallNetwork:
    """Keys and counters of one device. Nothing is checked but MICs of what comes up."""

    def __init__(self, device):
        self.registration = device
        self.is_1_1 = False
        self.n_f_cnt_down = self.a_f_cnt_down = 0

    @classmethod
    def of(cls, session):
        network = cls(None)
        network.is_1_1 = session.lorawan == "1.1"
        network._take(session)
        return network

    def _take(self, keys):
        self.f_key, self.s_key, self.enc_key, self.app_key = (
            AES128(key)
            for key in (keys.f_nwk_s_int_key, keys.s_nwk_s_int_key, keys.nwk_s_enc_key, keys.app_s_key)
        )
        self.n_f_cnt_down = self.a_f_cnt_down = 0

    def accept(
        self,
        request,
        join_nonce,
        *,
        rx_delay_s=5,
        rx1_dr_offset=0,
        rx2_data_rate=0,
        cf_list=None,
        opt_neg=None,
    ):
        """The PHYPayload that answers a join or rejoin request, whose MIC must be right."""
        own, frame = self.registration, parse(request)
        is_join = frame.mtype is MType.JOIN_REQUEST
        nonce = frame.dev_nonce if is_join else frame.rj_count
        kind = 0xFF if is_join else frame.rejoin_type
        root = AES128(own.join_key)
        js = None if own.nwk_key is None else join_server_keys(own.nwk_key, own.dev_eui)
        if is_join:
            assert frame.mic == join_request_mic(root, frame.message)
        else:
            key = AES128(js.js_int_key) if kind == 1 else self.s_key
            assert frame.mic == rejoin_request_mic(key, frame.message)
        self.is_1_1 = own.nwk_key is not None if opt_neg is None else opt_neg
        clear = JoinAccept(
            join_nonce, NET_ID, DEV_ADDR, rx1_dr_offset, rx2_data_rate, self.is_1_1, rx_delay_s, cf_list
        )
        if self.is_1_1:
            mic = join_accept_mic_1_1(AES128(js.js_int_key), kind, own.join_eui, nonce, clear.message)
            self._take(session_keys_1_1(own.nwk_key, own.app_key, join_nonce, own.join_eui, nonce))
        else:
            mic = join_accept_mic_1_0(root, clear.message)
            self._take(session_keys_1_0(own.join_key, join_nonce, NET_ID, nonce))
        signed = JoinAccept(
            join_nonce, NET_ID, DEV_ADDR, rx1_dr_offset, rx2_data_rate, self.is_1_1, rx_delay_s, cf_list, mic
        )
        return signed.encrypt(root if is_join else AES128(js.js_enc_key)).to_bytes()

    def read(self, sent, *, tx_dr=0, tx_ch=0, conf_f_cnt=0):
        """(the frame, its FOpts' commands, its payload in clear) of an uplink whose MIC must be right."""
        frame, f_cnt = parse(sent.phy_payload), sent.f_cnt
        addr, f_opts = frame.fhdr.dev_addr, frame.fhdr.f_opts
        if self.is_1_1:
            right = uplink_mic_1_1(
                self.f_key,
                self.s_key,
                addr,
                f_cnt,
                frame.message,
                conf_f_cnt=conf_f_cnt,
                tx_dr=tx_dr,
                tx_ch=tx_ch,
            )
            f_opts = crypt_f_opts(self.enc_key, Direction.UP, addr, f_cnt, frame.f_port, f_opts)
        else:
            right = uplink_mic_1_0(self.f_key, addr, f_cnt, frame.message)
        assert frame.mic == right
        key = self.app_key if frame.f_port else self.enc_key
        payload = crypt_frm_payload(key, Direction.UP, addr, f_cnt, frame.frm_payload)
        raw = payload if frame.f_port == 0 else f_opts
        return frame, mac.parse_mac_commands(Direction.UP, raw).commands, payload

    def down(
        self, commands=(), f_port=None, payload=b"", *, ack=False, confirmed=False, conf_f_cnt=0, f_cnt=None
    ):
        """A downlink; `f_cnt` None: the next one. Commands stand in FOpts, or on FPort 0 if it is given."""
        uses_a = self.is_1_1 and bool(f_port)
        if f_cnt is None:
            f_cnt = self.a_f_cnt_down if uses_a else self.n_f_cnt_down
        if uses_a:
            self.a_f_cnt_down = f_cnt + 1
        else:
            self.n_f_cnt_down = f_cnt + 1
        raw = commands if isinstance(commands, bytes) else mac.build_mac_commands(commands)
        text, f_opts = (raw, b"") if f_port == 0 else (payload, raw)
        down = Direction.DOWN
        if self.is_1_1:
            f_opts = crypt_f_opts(self.enc_key, down, DEV_ADDR, f_cnt, f_port, f_opts)
        key = self.app_key if f_port else self.enc_key
        text = crypt_frm_payload(key, down, DEV_ADDR, f_cnt, text)
        mtype = MType.CONFIRMED_DATA_DOWN if confirmed else MType.UNCONFIRMED_DATA_DOWN
        fhdr = FHDR(DEV_ADDR, FCtrl.build(ack=ack, f_opts_len=len(f_opts)), f_cnt & 0xFFFF, f_opts)
        message = DataFrame(mtype, fhdr, f_port, text, b"").message
        if self.is_1_1:
            return message + downlink_mic_1_1(self.s_key, DEV_ADDR, f_cnt, message, conf_f_cnt=conf_f_cnt)
        return message + downlink_mic_1_0(self.s_key, DEV_ADDR, f_cnt, message)


def hand(device, phy_payload, window=0, late_us=0):
    """Give a downlink to a device in one of its windows."""
    at = device.windows()[window]
    return device.receive(phy_payload, at.begin_us + late_us, at.frequency_hz, at.data_rate)


def joined(version="1.0.4", **accept):
    """A device that has joined, and its network."""
    device = ClassADevice(registration(version), EU868, Random(1))
    network = SmallNetwork(device.joiner.registration)
    request = device.join_request(0)
    assert isinstance(hand(device, network.accept(request.phy_payload, 1, **accept)), Joined)
    return device, network


def personalised(lorawan="1.0"):
    """A device that need not join, and its network."""
    identity = session(lorawan)
    return ClassADevice(identity, EU868, Random(2)), SmallNetwork.of(identity)


def said(network, device, sent):
    """The commands of an uplink."""
    index = next(i for i, c in device.radio.channels.items() if c.uplink_hz == sent.frequency_hz)
    _, commands, _ = network.read(sent, tx_dr=EU868.data_rate_up(sent.data_rate), tx_ch=index)
    return commands
