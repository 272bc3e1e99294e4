// The browser's half of `Curves`: draws the curves of a scan; a point on them can be dragged.
const CURVES = { width: 560, height: 300, left: 46, right: 16, top: 12, bottom: 42, named: 8 };

function renderCurves({ model, el }) {
  const { width, height, left, right, top, bottom, named } = CURVES;
  const x = (ratio) => left + ratio * (width - left - right);
  const y = (accuracy) => top + (1 - Math.min(1, Math.max(0, accuracy))) * (height - top - bottom);
  const percent = (value) => `${Math.round(100 * value)}%`;
  const make = (tag, values, text) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(values)) made.setAttribute(name, value);
    if (text !== undefined) made.textContent = text;
    return made;
  };
  const svg = make("svg", { viewBox: `0 0 ${width} ${height}`, role: "group" });
  el.classList.add("prunelab-curves");
  el.replaceChildren(svg);
  let held = null; // the group whose point was moved last, and how far, until Python has followed
  let dragging = false, waiting = null;
  const ratioOf = (name) => (held?.name === name ? held.ratio : model.get("ratios")[name] ?? 0);

  // Accuracy on the line between the measured points.
  function accuracyAt(points, ratio) {
    const next = points.findIndex(([r]) => r >= ratio);
    if (next < 0) return points[points.length - 1][1];
    if (next === 0) return points[0][1];
    const [[r0, a0], [r1, a1]] = [points[next - 1], points[next]];
    return a0 + ((a1 - a0) * (ratio - r0)) / (r1 - r0);
  }

  function select(name, more) {
    const before = model.get("selected");
    model.set("selected", more ? [...new Set([...before, name])] : [name]);
    model.save_changes();
  }

  function move(name, ratio, direction = 0) {
    const highest = model.get("highest");
    held = { name, ratio: Math.min(highest, Math.max(0, Math.round(100 * ratio) / 100)) };
    model.set("moved", { group: name, ratio: held.ratio, direction });
    model.save_changes();
    draw();
  }

  // A point stays where it was put while Python works through earlier moves, but not for ever: a
  // move may be refused.
  function settle() {
    clearTimeout(waiting);
    if (held === null || dragging) return;
    const followed = () => (model.get("ratios")[held.name] ?? 0) === held.ratio;
    if (followed()) held = null;
    else waiting = setTimeout(() => { held = null; draw(); }, model.get("patience"));
  }

  function frame() {
    const parts = [];
    for (const v of [0, 0.25, 0.5, 0.75, 1]) {
      parts.push(make("line", { x1: left, x2: width - right, y1: y(v), y2: y(v), class: "grid" }));
      parts.push(make("text", { x: left - 6, y: y(v) + 4, "text-anchor": "end" }, percent(v)));
      parts.push(make("text", { x: x(v), y: height - bottom + 17, "text-anchor": "middle" }, percent(v)));
    }
    const whole = model.get("whole");
    parts.push(make("line", { x1: left, x2: width - right, y1: y(whole), y2: y(whole), class: "whole" }));
    parts.push(make("text", { x: (left + width - right) / 2, y: height - 6, "text-anchor": "middle" },
      "channels removed, from that group alone"));
    return parts;
  }

  function curve({ name, colour, points }, chosen) {
    const group = make("g", { class: chosen ? "curve chosen" : "curve", "data-group": name });
    const line = points.map(([r, a]) => `${x(r)},${y(a)}`).join(" ");
    if (chosen) {
      const sides = points.filter(([, , low]) => low !== null);
      const upper = sides.map(([r, , , high]) => `${x(r)},${y(high)}`);
      const lower = sides.map(([r, , low]) => `${x(r)},${y(low)}`).reverse();
      group.append(make("polygon", { points: [...upper, ...lower].join(" "), fill: colour, class: "band" }));
    }
    group.append(make("polyline", { points: line, stroke: chosen ? colour : "#c9ced6" }));
    for (const [r, a] of points) {
      group.append(make("circle", { cx: x(r), cy: y(a), r: chosen ? 2.6 : 1.6, fill: chosen ? colour : "#c9ced6" }));
    }
    const near = make("polyline", { points: line, class: "near" });
    near.append(make("title", {}, name));
    group.append(near);
    group.addEventListener("click", (event) => select(name, event.shiftKey || event.ctrlKey || event.metaKey));
    return group;
  }

  function handle({ name, points }, chosen) {
    const ratio = ratioOf(name), accuracy = accuracyAt(points, ratio);
    const dot = make("circle", {
      cx: x(ratio), cy: y(accuracy), r: chosen ? 8 : 5, class: chosen ? "handle chosen" : "handle",
      "data-handle": name, tabindex: chosen ? 0 : -1, role: "slider", "aria-label": `${name}: share of channels removed`,
      "aria-valuemin": 0, "aria-valuemax": Math.round(100 * model.get("highest")),
      "aria-valuenow": Math.round(100 * ratio), "aria-valuetext": `${percent(ratio)} of ${name} removed`,
    });
    dot.append(make("title", {}, `${name}: ${percent(ratio)} removed. Drag it, or use the arrow keys.`));
    dot.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      [held, dragging] = [{ name, ratio }, true];
      dot.focus();
      if (!chosen) select(name, false);
    });
    dot.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 0.01, ArrowUp: 0.01, ArrowLeft: -0.01, ArrowDown: -0.01, PageUp: 0.1, PageDown: -0.1 }[event.key];
      const to = event.key === "Home" ? 0 : event.key === "End" ? 1 : step === undefined ? null : ratioOf(name) + step;
      if (to === null) return;
      event.preventDefault();
      move(name, to, Math.sign(to - ratioOf(name)));
      settle();
    });
    return dot;
  }

  function draw() {
    const focused = document.activeElement?.dataset?.handle;
    const curves = model.get("curves"), selected = model.get("selected");
    const [rest, chosen] = [curves.filter((c) => !selected.includes(c.name)), curves.filter((c) => selected.includes(c.name))];
    const parts = [...frame(), ...rest.map((c) => curve(c, false)), ...chosen.map((c) => curve(c, true))];
    parts.push(...rest.filter((c) => ratioOf(c.name) > 0).map((c) => handle(c, false)));
    parts.push(...chosen.map((c) => handle(c, true)));
    chosen.slice(0, named).forEach((c, n) => {
      parts.push(make("text", { x: left + 10, y: height - bottom - 10 - 15 * n, class: "name", style: `fill:${c.colour}` }, c.name));
    });
    svg.replaceChildren(...parts);
    svg.setAttribute("aria-label", `accuracy against channels removed: ${selected.join(", ") || "nothing is selected"}`);
    if (focused) svg.querySelector(`[data-handle="${CSS.escape(focused)}"]`)?.focus();
  }

  const follow = (event) => {
    if (!dragging) return;
    const box = svg.getBoundingClientRect(), at = ((event.clientX - box.left) / box.width) * width;
    move(held.name, (at - left) / (width - left - right));
  };
  const release = () => {
    dragging = false;
    settle();
  };
  const answered = () => {
    settle();
    draw();
  };
  window.addEventListener("pointermove", follow);
  window.addEventListener("pointerup", release);
  const names = "change:curves change:ratios change:selected change:whole";
  model.on(names, answered);
  draw();
  return () => {
    clearTimeout(waiting);
    model.off(names, answered);
    window.removeEventListener("pointermove", follow);
    window.removeEventListener("pointerup", release);
  };
}
export default { render: renderCurves };
