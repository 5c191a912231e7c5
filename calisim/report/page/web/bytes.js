// The bytes on an interface, header by header, with those marked that differ from the last interface.
import { h } from "./dom.js";

const PER_ROW = 16;
const TRANSPORT = { 1: ["ICMP", 8], 6: ["TCP", 20], 17: ["UDP", 8] };

const parse = (hex) => (hex.match(/../g) ?? []).map((pair) => parseInt(pair, 16));

// Parts of a packet: [{name, layer, octets}] in order.
export function parts(hex, layers) {
  const octets = parse(hex);
  const found = [];
  let at = 0;
  const take = (name, layer, size) => {
    if (at < octets.length) found.push({ name, layer, octets: octets.slice(at, at + size) });
    at += size;
  };
  const address = (layer) => {
    const start = at;
    take("IPv4", layer, 4 * (octets[at] & 15));
    return { protocol: octets[start + 9], piece: (octets[start + 6] & 0x1f) || octets[start + 7] };
  };
  if (layers.includes("outer")) {
    const { protocol, piece } = address("outer");
    if (protocol === 17 && !piece) {
      take("UDP", "outer", 8);
      take("VXLAN", "outer", 8);
      take("Ethernet", "outer", 14);
    }
    if (piece) {
      take("rest of the packet", "inner", octets.length);
      return found;
    }
  }
  const { protocol, piece } = address("inner");
  if (!piece && TRANSPORT[protocol]) take(TRANSPORT[protocol][0], "inner", TRANSPORT[protocol][1]);
  take("payload …", "payload", octets.length);
  return found;
}

function line(octets, start, before) {
  return octets.map((octet, index) => {
    const text = octet.toString(16).padStart(2, "0");
    const changed = before && before[start + index] !== octet;
    return [changed ? h("mark", {}, text) : text, index < octets.length - 1 ? " " : ""];
  });
}

// hex and layers of this step, and of the last one that had bytes (null: none)
export function bytesPanel(hex, layers, before) {
  const old = before ? parts(before.hex, before.layers) : null;
  const rows = parts(hex, layers).flatMap(({ name, layer, octets }) => {
    const was = old?.find((one) => one.name === name && one.layer === layer) ?? null;
    const fresh = old !== null && was === null && layer === "outer";
    const lines = [];
    for (let start = 0; start < octets.length; start += PER_ROW) {
      lines.push(h(
        "tr", { class: layer, "data-part": name }, start ? h("td", { class: "more" }) : h("th", { scope: "row" }, name, fresh && h("span", { class: "new" }, " new")),
        h("td", { class: "line" }, line(octets.slice(start, start + PER_ROW), start, layer === "payload" || fresh ? null : was?.octets))));
    }
    return lines;
  });
  return h("table", { class: "octets" }, h("caption", {}, "Bytes on the interface, those that changed marked"), h("tbody", {}, rows));
}
