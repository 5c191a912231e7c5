// Numbers and fates in words and colours.
export const number = (value) => value.toLocaleString("en-US");

export function bytes(value) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  while (value >= 10000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${value < 100 && unit ? value.toFixed(1) : number(Math.round(value))} ${units[unit]}`;
}

export function share(part, whole) {
  if (!whole) return "–";
  const percent = (100 * part) / whole;
  if (percent > 0 && percent < 0.05) return "<0.1 %";
  return `${percent > 99.95 && percent < 100 ? ">99.9" : percent.toFixed(1)} %`;
}

const SUCCESS = ["delivered", "exited"];
const FATES = { dropped: "lost", refused: "refused", undetermined: "unknown", continued: "unknown" };

// How a thing is coloured and patterned: arrived, lost, refused or unknown.
export const fate = (verdict) => (SUCCESS.includes(verdict) ? "arrived" : FATES[verdict] ?? "unknown");

export const SIGNS = { arrived: "✓", lost: "✕", refused: "⊘", unknown: "?" };

// The same for a word of the story or of a comparison's pairs: reasons are in capitals.
export function fateOfWord(word) {
  if (/^[A-Z0-9_]{3,}$/.test(word) && word !== "SNAT") return "lost";
  return { refused: "refused", undetermined: "unknown", "fragments missing": "unknown" }[word] ?? "arrived";
}

export function wrapOfWord(word) {
  return /^IPIP/.test(word) ? "ipip" : /^VXLAN/.test(word) ? "vxlan" : "none";
}

export function protocol(value) {
  return { 1: "ICMP", 4: "IPIP", 6: "TCP", 17: "UDP", 50: "ESP", 132: "SCTP" }[value] ?? `protocol ${value}`;
}
