// The live page: a list that follows the stream, a post that was chosen, and what a reader types, none in the others' way.

import { count, duration, element, gauge, growthChart, summary, treeDrawing } from "./charts.js";

const $ = (id) => document.getElementById(id);
const RETRY_MS = 2000, DETAIL_MS = 2000, LENGTH = 30;
const STALE_SECONDS = 900; // a quiet post is not forecast anew; a busy worker may be behind
const TITLES = { rising: "Rising fastest", expected: "Expected largest", observed: "Largest now" };
const rate = Math.min(60, Math.max(0.1, Number(new URLSearchParams(location.search).get("rate")) || 2));

let token = sessionStorage.getItem("token");
let stream = null;      // aborts the open stream of updates
let newest = null;      // the list to be drawn at the next frame
let drawing = false;
let paused = false;
let chosen = null;      // id of the post whose detail is shown
const rows = new Map(); // id -> the row's parts, so that an update changes text and never takes the focus

async function ask(path, options = {}) {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const answer = await fetch(path, { ...options, headers, cache: "no-store" });
  if (answer.status === 401) {
    $("token-form").hidden = false;
    $("token-problem").textContent = token ? "This is not the token." : "";
    throw new Error("the token is needed");
  }
  $("token-form").hidden = true;
  return answer;
}

function connection(text) {
  if ($("connection").textContent !== text) $("connection").textContent = text;
}

async function follow() {
  stream?.abort();
  const mine = (stream = new AbortController());
  while (!mine.signal.aborted) {
    try {
      const answer = await ask(`/api/v1/stream?top=${LENGTH}&sort=${$("sort").value}&rate=${rate}`, { signal: mine.signal });
      if (!answer.ok) throw new Error((await answer.json()).error);
      connection("live");
      await read(answer.body);
      connection("ended; trying again");
    } catch (problem) {
      if (mine.signal.aborted) return;
      connection(problem.message === "the token is needed" ? problem.message : "lost; trying again");
      if (!$("token-form").hidden) return;
    }
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
}

async function read(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value;
    const events = text.split("\n\n");
    text = events.pop();
    // Only the newest list is of interest; the ones before it are not even parsed.
    const last = events.findLast((event) => event.startsWith("event: top"));
    if (last) show(JSON.parse(last.slice(last.indexOf("data: ") + 6)));
  }
}

function show(top) {
  newest = top;
  if (paused || drawing) return;
  drawing = true;
  requestAnimationFrame(() => {
    drawing = false;
    draw(newest);
  });
}

function draw(top) {
  text($("watermark"), top.watermark === null ? "–" : new Date(top.watermark * 1000).toISOString().slice(0, 19).replace("T", " ") + " UTC");
  text($("live"), count(top.live_cascades));
  text($("workers"), top.workers_answering === top.workers ? `${top.workers}` : `${top.workers_answering} of ${top.workers} answer`);
  $("empty").hidden = top.cascades.length > 0;
  const largest = Math.max(1, ...top.cascades.map((post) => post.high));
  if (top.cascades.length) text($("interval"), `${Math.round(top.cascades[0].level * 100)} % interval`);
  const here = new Set(top.cascades.map((post) => post.cascade));
  const body = $("rows");
  for (const [id, row] of rows) {
    // A row that is being read stays until the reader has left it.
    if (!here.has(id) && !row.line.contains(document.activeElement)) {
      row.line.remove();
      rows.delete(id);
    }
  }
  top.cascades.forEach((post, place) => {
    const row = rows.get(post.cascade) ?? newRow(post.cascade);
    fill(row, post, largest);
    // Moving a row would take its focus away; the others are ordered around it.
    if (body.children[place] !== row.line && !row.line.contains(document.activeElement)) body.insertBefore(row.line, body.children[place] ?? null);
  });
}

function text(node, value) {
  if (node.textContent !== value) node.textContent = value;
}

function newRow(id) {
  const line = document.createElement("tr"), head = document.createElement("th"), link = document.createElement("a"), meta = document.createElement("span");
  head.scope = "row";
  link.textContent = id;
  link.href = `#post=${encodeURIComponent(id)}`;
  meta.className = "meta";
  const badge = document.createElement("span");
  badge.className = "badge";
  badge.hidden = true;
  head.append(link, meta, badge);
  line.append(head);
  const cells = ["Age", "Now", "Next hour", "Expected", "Interval"].map((label) => {
    const cell = document.createElement("td");
    cell.className = "num";
    cell.dataset.label = label;
    line.append(cell);
    return cell;
  });
  const last = document.createElement("td"), picture = gauge();
  last.append(picture);
  line.append(last);
  if (id === chosen) line.setAttribute("aria-current", "true");
  const row = { line, meta, badge, cells, picture };
  rows.set(id, row);
  return row;
}

function fill(row, post, largest) {
  const behind = post.age_seconds - (post.as_of - post.root_time);
  const told = [
    post.source,
    post.followers === null ? null : `${count(post.followers)} followers`,
    behind > STALE_SECONDS ? `forecast ${duration(behind)} old` : null,
  ].filter(Boolean).join(", ");
  text(row.meta, told);
  const values = [duration(post.age_seconds), count(post.observed), `+${count(post.growth_per_hour)}`, count(Math.max(post.expected, post.observed)), `${count(post.low)} – ${count(post.high)}`];
  values.forEach((value, place) => text(row.cells[place], value));
  row.picture.show(post, largest);
  text(row.badge, post.alerts.join(", "));
  row.badge.hidden = post.alerts.length === 0;
}

async function detail() {
  const id = chosen;
  if (id === null) return;
  try {
    const answer = await ask(`/api/v1/cascades/${encodeURIComponent(id)}`);
    const found = await answer.json();
    if (id !== chosen) return;
    $("detail-body").hidden = !answer.ok;
    text($("detail-problem"), answer.ok ? "" : found.error);
    if (answer.ok) drawDetail(found);
  } catch {
    if (id === chosen) text($("detail-problem"), "The worker does not answer; what is shown may be old.");
  }
}

function drawDetail(found) {
  const about = [found.source, found.lang, found.followers === null ? null : `${count(found.followers)} followers`, found.verified ? "verified author" : null, found.withdrawn ? "withdrawn" : null];
  const behind = found.age_seconds - Math.max(...found.forecasts.map((one) => one.as_of - found.root_time));
  const old = behind > STALE_SECONDS && Number.isFinite(behind) ? ` The forecasts are ${duration(behind)} old.` : "";
  text($("facts"), [about.filter(Boolean).join(", "), `${summary(found)}${old}`].filter(Boolean).join(" · "));
  $("chart").replaceChildren(growthChart(found, $("chart").clientWidth));
  $("legend").replaceChildren(legend("observed", "observed"), ...found.forecasts.map((one, number) => legend(`expected m${number % 5}`, `${one.model} ${one.model_version}`)));
  $("forecast-rows").replaceChildren(...found.forecasts.map((one) => {
    const line = document.createElement("tr"), head = document.createElement("th");
    head.scope = "row";
    head.textContent = `${one.model} ${one.model_version}`;
    line.append(head);
    for (const value of [count(one.expected), count(one.low), count(one.high), duration(Math.max(0, one.as_of - found.root_time))]) {
      const cell = document.createElement("td");
      cell.className = "num";
      cell.textContent = value;
      line.append(cell);
    }
    return line;
  }));
  $("alerts").hidden = found.alerts.length === 0;
  $("alert-rows").replaceChildren(...found.alerts.map((one) => {
    const item = document.createElement("li");
    item.textContent = `${one.state} at ${duration(Math.max(0, one.age_seconds))}: ${one.rule} (${one.severity}); ${one.reason}`;
    return item;
  }));
  $("tree").replaceChildren(treeDrawing(found.tree));
  const shown = found.tree.ages.length;
  text($("tree-caption"), shown < found.tree.nodes ? `Who reshared whom; age runs to the right; the first ${count(shown)} of ${count(found.tree.nodes)}` : "Who reshared whom; age runs to the right");
}

function legend(kind, name) {
  const item = document.createElement("li");
  item.append(element("svg", { viewBox: "0 0 32 8", "aria-hidden": "true" }, element("path", { class: kind, d: "M0 4H32" })), ` ${name}`);
  return item;
}

function choose() {
  const wanted = new URLSearchParams(location.hash.slice(1)).get("post");
  const before = chosen;
  chosen = wanted || null;
  rows.get(before)?.line.removeAttribute("aria-current");
  rows.get(chosen)?.line.setAttribute("aria-current", "true");
  $("detail").hidden = chosen === null;
  document.querySelector("main").classList.toggle("split", chosen !== null);
  if (chosen === null) {
    if (before !== null) (rows.get(before)?.line.querySelector("a") ?? $("list")).focus();
    return;
  }
  text($("detail-title"), `Post ${chosen}`);
  text($("detail-problem"), "");
  if (chosen !== before) {
    $("detail-body").hidden = true;
    $("detail").focus();
    detail();
  }
}

$("sort").addEventListener("change", () => {
  text($("list-title"), TITLES[$("sort").value]);
  follow();
});
$("search").addEventListener("submit", (event) => {
  event.preventDefault();
  location.hash = `post=${encodeURIComponent($("wanted").value.trim())}`;
});
$("pause").addEventListener("click", () => {
  paused = !paused;
  $("pause").setAttribute("aria-pressed", String(paused));
  if (!paused && newest) show(newest);
});
$("close").addEventListener("click", () => { location.hash = ""; });
$("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  token = $("token").value;
  sessionStorage.setItem("token", token);
  follow();
  detail();
});
addEventListener("hashchange", choose);
addEventListener("keydown", (event) => { if (event.key === "Escape" && chosen !== null) location.hash = ""; });
setInterval(() => { if (!paused && !document.hidden) detail(); }, DETAIL_MS);

choose();
follow();
