// Where everything on the map lies, in CSS pixels at zoom 1; the same data and width always give the same places.
const AIR = 18;
const LANE = { arcs: 128, loops: 64 };
const HEAD = 42;                // of a subnet: its name and its range

function grid(count, width, height) {
  // as many columns as make cells about 1.7 times as wide as high
  let best = { columns: 1, rows: Math.max(count, 1), score: Infinity };
  for (let columns = 1; columns <= Math.max(count, 1); columns += 1) {
    const rows = Math.ceil(count / columns) || 1;
    const score = Math.abs(Math.log((width / columns) / (height / rows) / 1.7));
    if (score < best.score) best = { columns, rows, score };
    if (columns > 4 * best.columns + 8) break;
  }
  return best;
}

function subnetHeight(count, width) {
  const one = Math.min(width - 24, 150) / 1.9;
  const rows = Math.ceil(count / Math.max(1, Math.floor((width - 24) / 130)));
  return HEAD + 12 + Math.max(70, Math.min(rows * one, 330));
}

function placeNodes(box, subnet, cells) {
  const [width, height] = [box.w - 20, box.h - HEAD - 10];
  const { columns, rows } = grid(subnet.nodes.length, width, height);
  const [w, h] = [width / columns, Math.min(height / rows, (width / columns) / 1.2)];
  const gap = Math.min(w, h) > 12 ? 4 : Math.min(w, h) > 4 ? 1 : 0.3;
  subnet.nodes.forEach((node, index) => {
    cells[node] = {
      x: box.x + 10 + (index % columns) * w + gap / 2, y: box.y + HEAD + Math.floor(index / columns) * h + gap / 2,
      w: w - gap, h: h - gap };
  });
}

// used: names of the places outside that have traffic
export function layout(map, width, used) {
  const boxes = new Map();
  const cells = new Array(map.nodes.length);
  const outside = { x: AIR, y: 6, w: width - 2 * AIR, h: 40 };
  let y = map.hosts.length || used.has("outside") ? outside.y + outside.h + 34 : 24;
  const vpcs = [];
  for (const vpc of map.vpcs) {
    const frame = { x: AIR / 2, y, w: width - AIR, h: 0 };
    const router = { x: frame.x + AIR, y: y + 34, w: frame.w - 2 * AIR, h: 26 };
    boxes.set(`vpc/${vpc.name}`, router);
    if (vpc.gateway) boxes.set(`igw/${vpc.name}`, { x: frame.x + frame.w / 2 - 75, y: y - 14, w: 150, h: 28, reach: frame.w / 2 });
    const wide = Math.max(1, Math.min(vpc.subnets.length, Math.floor((frame.w - AIR) / 104)));
    const columns = Math.ceil(vpc.subnets.length / Math.ceil(vpc.subnets.length / wide)) || 1;
    const w = (frame.w - AIR - columns * AIR) / columns;
    let top = router.y + router.h + LANE.arcs;
    for (let start = 0; start < vpc.subnets.length; start += columns) {
      const rowOf = vpc.subnets.slice(start, start + columns);
      const h = Math.max(...rowOf.map((subnet) => subnetHeight(subnet.nodes.length, w)));
      rowOf.forEach((subnet, index) => {
        const box = { x: frame.x + AIR + index * (w + AIR), y: top, w, h };
        boxes.set(`subnet/${subnet.name}`, box);
        placeNodes(box, subnet, cells);
      });
      top += h + LANE.loops;
    }
    frame.h = top - y;
    y = top + 24;
    vpcs.push({ ...vpc, frame });
  }
  map.nodes.forEach((node, index) => boxes.set(`node/${node.name}`, cells[index]));
  placeHosts(map, boxes, outside, used);
  return { width, height: y, boxes, cells, vpcs };
}

function placeHosts(map, boxes, outside, used) {
  const names = [...map.hosts.map((host) => host.name), "outside"].filter((name) => name !== "outside" || used.has(name));
  if (!names.length) return;
  const shown = names.length <= 9 ? names : names.slice(0, 8);
  const w = Math.min(150, outside.w / shown.length);
  shown.forEach((name, index) => boxes.set(name, {
    x: outside.x + outside.w / 2 + (index - shown.length / 2) * w + 4, y: outside.y, w: w - 8, h: outside.h }));
  for (const name of names) if (!boxes.has(name)) boxes.set(name, boxes.get(shown[shown.length - 1]));
}
