// Judges LoRaWAN frames with the npm package lora-packet: one JSON request a line in, one answer a line out.
// Usage: node lora_packet.js FOLDER_OF_THE_PACKAGE
"use strict";
const lora = require(process.argv[2]);
const readline = require("readline");

const bytes = (text) => Buffer.from(text, "hex");
const hex = (buffer) => (buffer ? buffer.toString("hex") : "");

function data(request) {
  const keys = Object.fromEntries(Object.entries(request.keys).map(([name, text]) => [name, bytes(text)]));
  const msb = Buffer.alloc(2);
  msb.writeUInt16LE(request.f_cnt_msb);
  const frame = lora.fromWire(bytes(request.hex));
  const ack = frame.getFCtrlACK();
  let signing, second, context;
  if (request.lorawan === "1.0") {
    signing = keys.NwkSKey;
  } else {
    // The package takes ConfFCnt as big-endian on an uplink and as it goes into the block on a downlink, uses it
    // on FPort 0 without ACK, too, and alters the buffer that it is given.
    signing = keys.FNwkSIntKey;
    second = keys.SNwkSIntKey;
    const conf = ack ? request.context.conf_f_cnt : 0;
    context = Buffer.alloc(frame.getDir() === "up" ? 4 : 2);
    if (frame.getDir() === "up") {
      context.writeUInt16BE(conf);
      context[2] = request.context.tx_dr;
      context[3] = request.context.tx_ch;
    } else {
      context.writeUInt16LE(conf);
    }
  }
  const answer = {
    mtype: frame.getMType().replace(/ /g, ""),
    dev_addr: hex(frame.DevAddr),
    adr: frame.getFCtrlADR(),
    ack,
    f_cnt: request.f_cnt_msb * 65536 + frame.getFCnt(),
    f_port: frame.getFPort(),
    mic_ok: lora.verifyMIC(frame, signing, second, msb, context),
  };
  const network = request.lorawan === "1.0" ? keys.NwkSKey : keys.NwkSEncKey;
  answer.frm_payload = frame.FRMPayload.length ? hex(lora.decrypt(frame, keys.AppSKey, network, msb)) : "";
  answer.f_opts = request.lorawan === "1.0" ? hex(frame.FOpts) : hex(frame.decryptFOpts(network, undefined, msb));
  return answer;
}

function join(request) {
  const keys = Object.fromEntries(Object.entries(request.keys).map(([name, text]) => [name, bytes(text)]));
  let frame = lora.fromWire(bytes(request.hex));
  if (frame.isJoinRequestMessage()) {
    return {
      join_eui: hex(frame.AppEUI),
      dev_eui: hex(frame.DevEUI),
      dev_nonce: frame.DevNonce.readUInt16BE(0),
      mic_ok: lora.verifyMIC(frame, undefined, keys.AppKey || keys.NwkKey),
    };
  }
  if (frame.isReJoinRequestMessage()) {
    return { dev_eui: hex(frame.DevEUI), mic_ok: lora.verifyMIC(frame, keys.SNwkSIntKey, keys.JSIntKey) };
  }
  const root = keys.AppKey || keys.NwkKey;
  frame = lora.fromWire(lora.decryptJoinAccept(frame, root));
  if (frame.getDLSettingsOptNeg()) {
    frame.JoinEUI = bytes(request.context.join_eui);
    frame.DevNonce = Buffer.alloc(2);
    frame.DevNonce.writeUInt16BE(request.context.dev_nonce);
  }
  return {
    join_nonce: frame.JoinNonce.readUIntBE(0, 3),
    net_id: hex(frame.NetID),
    dev_addr: hex(frame.DevAddr),
    opt_neg: frame.getDLSettingsOptNeg(),
    rx1_dr_offset: frame.getDLSettingsRxOneDRoffset(),
    rx2_data_rate: frame.getDLSettingsRxTwoDataRate(),
    rx_delay_s: frame.getRxDelayDel(),
    // a spoilt accept may decrypt to one that asks for a key that nobody has
    mic_ok: lora.verifyMIC(frame, keys.JSIntKey || Buffer.alloc(16), root),
  };
}

function keys(request) {
  const [app, nwk, nonce, dev] = ["AppKey", "NwkKey", "join_nonce", "dev_nonce"].map((name) => bytes(request[name]));
  const old = lora.generateSessionKeys10(app, bytes(request.net_id), nonce, dev);
  const now = lora.generateSessionKeys11(app, nwk, bytes(request.join_eui), nonce, dev);
  const server = lora.generateJSKeys(nwk, bytes(request.dev_eui));
  const shown = (made) => Object.fromEntries(Object.entries(made).map(([name, key]) => [name, hex(key)]));
  return { old: shown(old), now: shown(now), server: shown(server) };
}

const answers = { data, join, keys };
readline.createInterface({ input: process.stdin }).on("line", (line) => {
  const request = JSON.parse(line);
  let answer;
  try {
    answer = answers[request.kind](request);
  } catch (error) {
    answer = { error: String(error) };
  }
  process.stdout.write(JSON.stringify({ id: request.id, ...answer }) + "\n");
});
