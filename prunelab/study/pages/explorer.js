// The page's own half: sliders, curves, sums. All numbers come from the page; nothing is loaded.
const NETWORKS = JSON.parse(document.getElementById("networks").textContent);
const find = (id) => document.getElementById(id);
const percent = (value, places = 1) => `${(100 * value).toFixed(places)}%`;
const whole = (value) => Math.round(value).toLocaleString("en");
let net, at, selected, map;

const option = (name) => net.groups[name].options[at[name]];
const kept = (name) => option(name).kept;

// Coefficients times products of kept counts.
function price(which, count = kept) {
  return net.price[which].reduce(
    (sum, [names, c]) => sum + names.reduce((product, name) => product * count(name), c), 0);
}

// Measured where these widths were; else what single groups predict, with how far that was off.
function answer() {
  const key = Object.keys(net.groups).map(kept).join(",");
  if (key in net.known) {
    const seen = net.known[key];
    return { accuracy: seen.accuracy, measured: true,
      low: net.whole.accuracy + seen.low, high: net.whole.accuracy + seen.high };
  }
  const changes = Object.keys(net.groups).map((name) => option(name).change);
  const guess = clip(net.whole.accuracy + changes.reduce((a, b) => a + b, 0));
  return { accuracy: guess, measured: false, low: clip(guess + net.off[0]), high: clip(guess + net.off[1]) };
}
const clip = (value) => Math.min(1, Math.max(0, value));

function setAll(plan) {
  for (const [name, group] of Object.entries(net.groups)) {
    const wanted = plan[name] ?? 0;
    at[name] = group.options.findIndex((o) => Math.abs(o.ratio - wanted) < 1e-9);
  }
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
    slider.addEventListener("input", () => { at[name] = Number(slider.value); select([name]); show(); });
    slider.addEventListener("focus", () => select([name]));
    const out = document.createElement("output");
    line.append(mark, text, slider, out);
    return line;
  }));
}

function select(names) {
  selected = names;
  map.set("selected", names);
  for (const line of document.querySelectorAll(".group")) {
    line.classList.toggle("selected", names.includes(line.dataset.group));
  }
  curve();
}

function show() {
  for (const line of document.querySelectorAll(".group")) {
    const name = line.dataset.group, { ratio } = option(name), slider = line.querySelector("input");
    slider.value = at[name];
    const text = `${percent(ratio, 0)} removed, ${kept(name)} of ${net.groups[name].size} stay`;
    slider.setAttribute("aria-valuetext", text);
    line.querySelector("output").textContent = text;
  }
  const found = answer(), macs = price("macs"), params = price("params");
  find("accuracy").textContent = found.measured ? percent(found.accuracy) : `${percent(found.low, 0)} to ${percent(found.high, 0)}`;
  find("how").textContent = found.measured
    ? `measured; the whole network has ${percent(net.whole.accuracy)}`
    : "predicted from single groups, with how far that was off for measured combinations";
  find("accuracy").className = found.measured ? "measured" : "guess";
  for (const [id, value] of [["macs", macs], ["params", params]]) {
    find(id).textContent = `${whole(value)} (${percent(value / net.whole[id])})`;
    find(`${id}-bar`).style.width = percent(value / net.whole[id]);
  }
  map.set("kept", Object.fromEntries(net.rows.map((row) => [row.name, [stay(row), row.all]])));
  curve();
}

const stay = (row) => Object.entries(row.channels).reduce(
  (sum, [name, n]) => sum - n + option(name).stay[n], row.all);

function curve() {
  const names = selected.length ? selected.filter((name) => name in net.groups) : Object.keys(net.groups);
  const [w, h, left, bottom] = [460, 250, 46, 40], x = (r) => left + r * (w - left - 24);
  const y = (a) => 12 + (1 - clip(a)) * (h - bottom - 12);
  const parts = [0, 0.25, 0.5, 0.75, 1].flatMap((v) => [
    `<line x1="${left}" x2="${w - 24}" y1="${y(v)}" y2="${y(v)}" stroke="#dde2e8"/>`,
    `<text x="${left - 6}" y="${y(v) + 4}" text-anchor="end">${percent(v, 0)}</text>`,
    `<text x="${x(v)}" y="${h - bottom + 18}" text-anchor="middle">${percent(v, 0)}</text>`]);
  for (const name of names) {
    const { options, colour } = net.groups[name], points = options.filter((o) => o.measured);
    const height = (o) => y(net.whole.accuracy + o.change);
    parts.push(`<polyline fill="none" stroke="${colour}" stroke-width="2" points="${points.map((o) => `${x(o.ratio)},${height(o)}`).join(" ")}"/>`);
    for (const o of points) parts.push(`<circle cx="${x(o.ratio)}" cy="${height(o)}" r="2.6" fill="${colour}"/>`);
    const now = option(name);
    parts.push(`<circle cx="${x(now.ratio)}" cy="${height(now)}" r="6" fill="none" stroke="#D55E00" stroke-width="2.5"/>`);
  }
  parts.push(`<text x="${(w + left) / 2}" y="${h - 4}" text-anchor="middle">share of the group's channels removed, nothing else</text>`);
  find("curve").innerHTML = parts.join("");
  find("curve").setAttribute("aria-label", `accuracy against share removed: ${names.join(", ")}`);
  find("of").textContent = selected.length ? names.join(", ") : "all groups";
}

// What `render` of the network map asks of a widget's model.
function model(values) {
  const listeners = [];
  return { get: (name) => values[name], set(name, value) { values[name] = value; listeners.forEach((f) => f()); },
    on: (_, listener) => listeners.push(listener), off() {}, save_changes: () => select(values.selected) };
}

function open(number) {
  net = NETWORKS[number];
  at = Object.fromEntries(Object.keys(net.groups).map((name) => [name, 0]));
  selected = [];
  const { svg, boxes } = net.map;
  map = model({ svg, boxes, selected: [], kept: Object.fromEntries(net.rows.map((row) => [row.name, [row.all, row.all]])) });
  const el = document.createElement("div");
  find("map").replaceChildren(el);
  render({ model: map, el });
  sliders();
  find("made").textContent = net.made;
  find("presets").replaceChildren(new Option("choose a measured combination", ""),
    ...Object.keys(net.presets).map((label) => new Option(label, label)));
  show();
}

find("network").replaceChildren(...NETWORKS.map((one, number) => new Option(one.title, number)));
find("network").addEventListener("change", (event) => open(Number(event.target.value)));
find("presets").addEventListener("change", (event) => event.target.value && setAll(net.presets[event.target.value]));
find("reset").addEventListener("click", () => { find("presets").value = ""; select([]); setAll({}); });
find("budget").addEventListener("input", (event) => { find("share").textContent = `${event.target.value}%`; });
find("solve").addEventListener("click", () => {
  const share = Number(find("budget").value) / 100, plan = solve(share);
  find("said").textContent = plan === null ? "The curves do not reach so far down." : "";
  if (plan !== null) { at = plan; select([]); show(); }
});
open(0);
