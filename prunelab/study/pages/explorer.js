// The page's own half: sliders, curves, sums. All numbers come from the page; nothing is loaded.
const NETWORKS = JSON.parse(document.getElementById("networks").textContent);
const find = (id) => document.getElementById(id);
const percent = (value, places = 1) => `${(100 * value).toFixed(places)}%`;
const whole = (value) => Math.round(value).toLocaleString("en");
let net, at, selected, map, chart;

const option = (name) => net.groups[name].options[at[name]];
const kept = (name) => option(name).kept;

// Coefficients times products of kept counts.
function price(which, count = kept) {
  return net.price[which].reduce(
    (sum, [names, c]) => sum + names.reduce((product, name) => product * count(name), c), 0);
}

// Measured where these widths were; else what single groups predict, with how far off that may be:
// the margins of the single groups, and that of adding them up.
function answer() {
  const key = Object.keys(net.groups).map(kept).join(",");
  if (key in net.known) {
    const seen = net.known[key];
    return { ...seen, measured: true };
  }
  const changes = Object.keys(net.groups).map((name) => option(name).change);
  const guess = clip(net.whole.accuracy + changes.reduce((a, b) => a + b, 0));
  const lost = Object.keys(net.groups).filter((name) => kept(name) < net.groups[name].size);
  const adding = net.adding.factor * Math.sqrt(Math.abs(net.whole.accuracy - guess) + net.adding.half);
  const margin = Math.hypot(...lost.map((name) => option(name).margin), lost.length > 1 ? adding : 0);
  return { accuracy: guess, measured: false, low: clip(guess - margin), high: clip(guess + margin) };
}
const clip = (value) => Math.min(1, Math.max(0, value));
const points = (change) => `${change < 0 ? "−" : "+"}${Math.abs(100 * change).toFixed(1)}`;

// A range, rounded outwards; the widgets' `words.span` says the same.
function span(low, high) {
  const places = 100 * (high - low) < 2 ? 1 : 0, scale = 100 * 10 ** places;
  const down = Math.floor(low * scale + 1e-6), up = Math.ceil(high * scale - 1e-6);
  return `${(100 * down / scale).toFixed(places)} to ${(100 * up / scale).toFixed(places)}%`;
}

function setAll(plan, label = "") {
  find("presets").value = label;
  for (const [name, group] of Object.entries(net.groups)) {
    const wanted = plan[name] ?? 0;
    at[name] = group.options.findIndex((o) => Math.abs(o.ratio - wanted) < 1e-9);
  }
  show();
}

// Sliders go to other positions, which are no preset.
function move(positions) {
  Object.assign(at, positions);
  find("presets").value = "";
  show();
}

// From the whole network down: always the step that loses least accuracy for the MACs it saves;
// then single exchanges, as long as one helps within the budget.
function solve(share) {
  const budget = share * net.whole.macs, names = Object.keys(net.groups);
  const plan = Object.fromEntries(names.map((name) => [name, 0]));
  const cost = (p) => price("macs", (name) => net.groups[name].options[p[name]].kept);
  const loss = (p) => -names.reduce((sum, name) => sum + net.groups[name].options[p[name]].change, 0);
  while (cost(plan) > budget) {
    let best = null;
    for (const name of names) {
      for (let k = plan[name] + 1; k < net.groups[name].options.length; k += 1) {
        const next = { ...plan, [name]: k }, saved = cost(plan) - cost(next);
        const rate = (loss(next) - loss(plan)) / saved;
        if (saved > 0 && (best === null || rate < best.rate)) best = { rate, next };
      }
    }
    if (best === null) return null;
    Object.assign(plan, best.next);
  }
  for (let better = true; better; ) {
    better = false;
    for (const one of names) for (const two of names) {
      const options = net.groups[one].options.length;
      for (let k = 0; k < options; k += 1) {
        for (const step of one === two ? [0] : [-1, 0, 1]) {
          const next = { ...plan, [one]: k }, other = plan[two] + step;
          if (one !== two) {
            if (!(other in net.groups[two].options)) continue;
            next[two] = other;
          }
          if (cost(next) <= budget && loss(next) < loss(plan) - 1e-9) {
            Object.assign(plan, next);
            better = true;
          }
        }
      }
    }
  }
  return plan;
}

function sliders() {
  find("groups").replaceChildren(...Object.entries(net.groups).map(([name, group]) => {
    const line = document.createElement("label"), slider = document.createElement("input");
    line.className = "group";
    line.dataset.group = name;
    const mark = document.createElement("i"), text = document.createElement("span");
    mark.style.background = group.colour;
    text.textContent = name;
    Object.assign(slider, { type: "range", min: 0, max: group.options.length - 1, value: 0 });
    slider.addEventListener("input", () => { move({ [name]: Number(slider.value) }); select([name]); });
    slider.addEventListener("focus", () => select([name]));
    const out = document.createElement("output");
    line.append(mark, text, slider, out);
    return line;
  }));
}

function select(names) {
  selected = names;
  map.set("selected", names);
  chart.set("selected", names.length ? names : Object.keys(net.groups));
  for (const line of document.querySelectorAll(".group")) {
    line.classList.toggle("selected", names.includes(line.dataset.group));
  }
  find("of").textContent = names.length ? names.join(", ") : "all groups";
}

function show() {
  for (const line of document.querySelectorAll(".group")) {
    const name = line.dataset.group, { ratio } = option(name), slider = line.querySelector("input");
    slider.value = at[name];
    const text = `${percent(ratio, 0)} removed, ${kept(name)} of ${net.groups[name].size} stay`;
    slider.setAttribute("aria-valuetext", text);
    line.querySelector("output").textContent = text;
  }
  find("said").textContent = "";
  const found = answer(), macs = price("macs"), params = price("params");
  find("accuracy").textContent = found.measured ? percent(found.accuracy) : span(found.low, found.high);
  find("how").textContent = found.measured
    ? `measured: ${points(found.accuracy - net.whole.accuracy)} points against the whole network's ${percent(net.whole.accuracy)}; 95% interval of the change ${points(found.low)} to ${points(found.high)}`
    : `a prediction, not a measurement: most likely ≈ ${percent(found.accuracy)} by the curves of single groups, with how far off that was where it was measured; the whole network has ${percent(net.whole.accuracy)}`;
  find("accuracy").className = found.measured ? "measured" : "guess";
  for (const [id, value] of [["macs", macs], ["params", params]]) {
    find(id).textContent = `${whole(value)} (${percent(value / net.whole[id])})`;
    find(`${id}-bar`).style.width = percent(value / net.whole[id]);
  }
  map.set("kept", Object.fromEntries(net.rows.map((row) => [row.name, [stay(row), row.all]])));
  chart.set("ratios", Object.fromEntries(Object.keys(net.groups).map((name) => [name, option(name).ratio])));
}

const stay = (row) => Object.entries(row.channels).reduce(
  (sum, [name, n]) => sum - n + option(name).stay[n], row.all);

// What the widgets' own code asks of a model; `heard` is told what the reader did.
function model(values, heard) {
  const listeners = [];
  let told = {};
  return { get: (name) => values[name], set(name, value) { values[name] = told[name] = value; listeners.forEach((f) => f()); },
    on: (_, listener) => listeners.push(listener), off() {},
    save_changes() { const now = told; told = {}; heard(now); } };
}

// To the setting of the slider that is nearest; a key goes at least to the next one.
function drag({ group, ratio, direction }) {
  const { options } = net.groups[group], off = (k) => Math.abs(options[k].ratio - ratio);
  const before = at[group], last = options.length - 1;
  const nearest = [...options.keys()].reduce((best, k) => (off(k) < off(best) ? k : best), 0);
  const stuck = direction && nearest === before;
  move({ [group]: stuck ? Math.min(last, Math.max(0, before + direction)) : nearest });
}

function heard({ selected: names, moved }) {
  if (moved) drag(moved);
  else if (names) select(names);
}

// Draw one of the widgets into an element.
function put(id, draw, values) {
  const el = document.createElement("div"), made = model(values, heard);
  find(id).replaceChildren(el);
  draw({ model: made, el });
  return made;
}

function open(number) {
  net = NETWORKS[number];
  at = Object.fromEntries(Object.keys(net.groups).map((name) => [name, 0]));
  selected = [];
  const { svg, boxes } = net.map, kept = Object.fromEntries(net.rows.map((row) => [row.name, [row.all, row.all]]));
  map = put("map", render, { svg, boxes, selected, kept });
  const highest = Math.max(...Object.values(net.groups).map(({ options }) => options.at(-1).ratio));
  chart = put("curve", renderCurves, { curves: net.curves, whole: net.whole.accuracy, ratios: {}, selected: Object.keys(net.groups), highest, patience: 0 });
  sliders();
  find("made").textContent = net.made;
  find("presets").replaceChildren(new Option("choose a measured combination", ""),
    ...Object.keys(net.presets).map((label) => new Option(label, label)));
  select(Object.keys(net.groups).slice(0, 1));
  show();
}

find("network").replaceChildren(...NETWORKS.map((one, number) => new Option(one.title, number)));
find("network").addEventListener("change", (event) => open(Number(event.target.value)));
find("presets").addEventListener("change", (event) => event.target.value && setAll(net.presets[event.target.value], event.target.value));
find("reset").addEventListener("click", () => setAll({}));
find("budget").addEventListener("input", (event) => { find("share").textContent = `${event.target.value}%`; });
find("solve").addEventListener("click", () => {
  const share = Number(find("budget").value) / 100, plan = solve(share);
  if (plan === null) find("said").textContent = "The curves do not reach so far down.";
  else move(plan);
});
open(0);
