// A journey as stations in a row: every interface and every place of the cloud that the packet meets, each once.

// Where the boxes of a map lie: name of a box → {vpc, subnet, zone, node}.
export function places(map) {
  const found = new Map();
  for (const vpc of map.vpcs) {
    found.set(`vpc/${vpc.name}`, { vpc: vpc.name });
    found.set(`igw/${vpc.name}`, { vpc: vpc.name });
    for (const subnet of vpc.subnets) {
      const inside = { vpc: vpc.name, subnet: subnet.name, zone: subnet.zone };
      found.set(`subnet/${subnet.name}`, inside);
      for (const node of subnet.nodes) found.set(`node/${map.nodes[node].name}`, { ...inside, node: map.nodes[node].name });
    }
  }
  return found;
}

// All steps of both ways in order: {way, index, step, box}.
export function steps(told) {
  const all = [];
  for (const way of ["request", "reply"]) {
    const journey = told.trace[way];
    if (!journey) continue;
    journey.steps.forEach((step, index) => all.push({
      way, index, step, box: told[way][index], last: index === journey.steps.length - 1, journey }));
  }
  return all;
}

function glyph(entry) {
  const { step, box } = entry;
  if (box.startsWith("vpc/")) return { kind: "router", title: "VPC router", note: box.slice(4) };
  if (box.startsWith("igw/")) return { kind: "router", title: "internet gateway", note: box.slice(4) };
  if (box.startsWith("subnet/")) return { kind: "router", title: "subnet’s wire", note: box.slice(7) };
  if (box.startsWith("node/") && !step.interface) return { kind: "stage", title: step.stage, note: "" };
  if (box.startsWith("node/")) return { kind: "device", title: step.interface, note: "" };
  if (box === "outside") return { kind: "outside", title: "outside", note: "" };
  const slash = box.indexOf("/");
  return { kind: box.startsWith("host/") ? "outside" : "pod", title: box.slice(slash + 1), note: box.slice(0, slash) };
}

// Where a new station goes: next to the last one, but not between two of a node that is another's.
function beside(row, last, node, onwards) {
  const from = row[last].where.node;
  let at = last;
  const step = onwards ? 1 : -1;
  while (from && node !== from && row[at + step]?.where.node === from) at += step;
  return onwards ? at + 1 : at;
}

// The stations and, for each step, the position of its station.
export function stations(all, known) {
  const row = [];
  const keys = [];
  let before = null;
  for (const entry of all) {
    const { step, box, way, last, journey } = entry;
    const arrived = last && ["delivered", "exited", "refused"].includes(journey.verdict) && before !== null;
    const device = step.interface || (box.startsWith("node/") || arrived ? step.stage : "");
    let key = arrived ? before : `${box}|${device}`;
    if (last && journey.verdict === "dropped") key = `${way}|lost`;
    if (!row.some((station) => station.key === key)) {
      const where = known.get(box) ?? known.get(`node/${step.where}`) ?? {};
      const at = before === null ? 0 : beside(row, row.findIndex((station) => station.key === before), where.node, way === "request");
      const lost = last && journey.verdict === "dropped";
      row.splice(at, 0, {
        key, box, where, ...glyph(entry), ...(lost ? { kind: "lost", title: journey.reason, note: step.stage } : {}) });
    }
    keys.push(key);
    before = key;
  }
  return { row, at: keys.map((key) => row.findIndex((station) => station.key === key)) };
}

// Two rows of stations in common columns: [station of one or null, of the other or null].
export function columns(one, other) {
  return common(one.map((station) => station.key), other.map((station) => station.key))
    .map(([i, j]) => [i === null ? null : one[i], j === null ? null : other[j]]);
}

const keyOf = ({ way, step, box, last, journey }) => [
  way, box, step.interface, step.direction, last ? journey.verdict : step.stage].join("|");

// Two journeys in lock-step: pairs of step numbers, null where one has no such stage (longest common subsequence).
export const aligned = (first, second) => common(first.map(keyOf), second.map(keyOf));

function common(one, other) {
  const length = Array.from({ length: one.length + 1 }, () => new Array(other.length + 1).fill(0));
  for (let i = one.length - 1; i >= 0; i -= 1) {
    for (let j = other.length - 1; j >= 0; j -= 1) {
      length[i][j] = one[i] === other[j] ? length[i + 1][j + 1] + 1 : Math.max(length[i + 1][j], length[i][j + 1]);
    }
  }
  const pairs = [];
  let [i, j] = [0, 0];
  while (i < one.length || j < other.length) {
    if (i < one.length && j < other.length && one[i] === other[j]) pairs.push([i++, j++]);
    else if (j === other.length || (i < one.length && length[i + 1][j] >= length[i][j + 1])) pairs.push([i++, null]);
    else pairs.push([null, j++]);
  }
  return pairs;
}
