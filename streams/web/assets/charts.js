// Drawings as SVG: the growth of a post with what models expect, its tree, and the small gauge of a list's row.

const NS = "http://www.w3.org/2000/svg";

export function element(name, attributes = {}, ...children) {
  const node = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

const path = (points) => points.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");

export function count(value) {
  const number = Math.round(value);
  return number < 10000 ? number.toLocaleString("en") : Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 }).format(number);
}

export function duration(seconds) {
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  const hours = Math.floor(seconds / 3600), minutes = Math.floor((seconds % 3600) / 60);
  return minutes ? `${hours} h ${minutes} min` : `${hours} h`;
}

function ticks(top, wanted) {
  const raw = top / wanted, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((n) => n * power).find((n) => n >= raw && Number.isInteger(n));
  const found = [];
  for (let at = 0; at <= top; at += step) found.push(at);
  return found;
}

function clock(hours, wanted) {
  const step = [1, 2, 3, 4, 6, 8, 12, 24, 48, 168].find((n) => hours / n <= wanted) ?? hours / wanted;
  return Array.from({ length: Math.floor(hours / step) + 1 }, (_, number) => number * step);
}

// The interval holds at the horizon; before it, it opens as the expected growth does.
function fan(forecast) {
  const [[, now]] = forecast.points, whole = forecast.expected - now;
  const share = (size) => (whole > 0 ? (size - now) / whole : 1);
  const upper = forecast.points.map(([age, size]) => [age, now + share(size) * (forecast.high - now)]);
  const lower = forecast.points.map(([age, size]) => [age, now + share(size) * (forecast.low - now)]);
  return [...upper, ...lower.reverse()];
}

// As wide as its place, so that its words are as large on a telephone as elsewhere.
export function growthChart(detail, width) {
  const height = Math.max(200, Math.round(width * 0.45)), left = 58, bottom = 28, right = 22, top = 8;
  const horizon = detail.horizon_seconds;
  const first = detail.forecasts[0];
  const largest = Math.max(1, detail.observed, first ? first.high : 0, ...detail.forecasts.map((one) => one.expected)) * 1.05;
  const x = (age) => left + ((width - left - right) * Math.min(age, horizon)) / horizon;
  const y = (size) => height - bottom - ((height - bottom - top) * size) / largest;
  const place = (points) => points.map(([age, size]) => [x(age), y(size)]);
  const hours = clock(horizon / 3600, width < 480 ? 4 : 8), sizes = ticks(largest, 4);
  const chart = element("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": summary(detail), width: "100%" });
  for (const size of sizes) {
    chart.append(element("line", { class: "axis", x1: left, x2: width - right, y1: y(size), y2: y(size) }));
    chart.append(element("text", { x: left - 6, y: y(size) + 4, "text-anchor": "end" }, count(size)));
  }
  for (const hour of hours) {
    chart.append(element("text", { x: x(hour * 3600), y: height - 8, "text-anchor": "middle" }, `${hour} h`));
  }
  if (first) chart.append(element("path", { class: "fan m0", d: `${path(place(fan(first)))}Z` }));
  detail.forecasts.forEach((forecast, number) => {
    chart.append(element("path", { class: `expected m${number % 5}`, d: path(place(forecast.points)) }));
  });
  chart.append(element("path", { class: "observed", d: path(place(stepped(detail.curve))) }));
  return chart;
}

const stepped = (curve) => curve.flatMap(([age, size], i) => (i ? [[age, curve[i - 1][1]], [age, size]] : [[age, size]]));

export function summary(detail) {
  const said = detail.forecasts.map((one) => `${one.model} expects ${count(one.expected)}, between ${count(one.low)} and ${count(one.high)}`);
  return `${count(detail.observed)} reshares after ${duration(detail.age_seconds)}. ${said.join("; ")}${said.length ? ` after ${duration(detail.horizon_seconds)}.` : "No forecast."}`;
}

// Age runs to the right (as a logarithm: a cascade is densest at its start), each leaf has a line of its own.
export function treeDrawing(tree) {
  const width = 640, height = 220, number = tree.ages.length;
  const children = tree.ages.map(() => []);
  tree.parents.forEach((parent, node) => { if (parent >= 0) children[parent].push(node); });
  const line = new Array(number).fill(0);
  let leaves = 0;
  const visit = [[0, false]];
  while (visit.length) {
    const [node, done] = visit.pop();
    if (!children[node].length) line[node] = leaves++;
    else if (done) line[node] = (line[children[node][0]] + line[children[node].at(-1)]) / 2;
    else {
      visit.push([node, true]);
      for (const child of [...children[node]].reverse()) visit.push([child, false]);
    }
  }
  const oldest = Math.log1p(Math.max(...tree.ages, 1));
  const x = (node) => 8 + ((width - 16) * Math.log1p(tree.ages[node])) / oldest;
  const y = (node) => 8 + ((height - 16) * line[node]) / Math.max(1, leaves - 1);
  const reach = Math.max(0, ...depths(tree.parents));
  const drawing = element("svg", {
    viewBox: `0 0 ${width} ${height}`, role: "img", width: "100%",
    "aria-label": `Tree of ${number} posts, ${reach} steps deep; ${children[0].length} reshared the post itself`,
  });
  for (let node = 1; node < number; node++) {
    const from = tree.parents[node], middle = (x(from) + x(node)) / 2;
    drawing.append(element("path", { class: "tree-line", d: `M${x(from)} ${y(from)}C${middle} ${y(from)} ${middle} ${y(node)} ${x(node)} ${y(node)}` }));
  }
  for (let node = 0; node < number; node++) {
    drawing.append(element("circle", { class: "tree-node", cx: x(node), cy: y(node), r: node ? Math.min(5, 1.4 + Math.sqrt(children[node].length) * 0.6) : 5 }));
  }
  return drawing;
}

function depths(parents) {
  const found = [];
  parents.forEach((parent, node) => { found[node] = parent < 0 ? 0 : found[parent] + 1; });
  return found;
}

// One row's picture: what is there, the interval, and what is expected, on a scale of the list's own.
export function gauge() {
  const range = element("rect", { class: "range", y: 0, height: 14 });
  const now = element("rect", { class: "now", x: 0, y: 3, height: 8 });
  const mark = element("rect", { class: "mark", y: 0, width: 2, height: 14 });
  const picture = element("svg", { class: "gauge", viewBox: "0 0 128 14", "aria-hidden": "true", preserveAspectRatio: "none" }, range, now, mark);
  picture.show = (post, largest) => {
    const at = (size) => (126 * Math.sqrt(size)) / Math.sqrt(largest);
    range.setAttribute("x", at(post.low));
    range.setAttribute("width", Math.max(1, at(post.high) - at(post.low)));
    now.setAttribute("width", at(post.observed));
    mark.setAttribute("x", at(post.expected));
  };
  return picture;
}
