"""The browser's half of `NetworkMap`: how its traits are drawn, what a click does."""

CSS = """
.prunelab-map { overflow-x: auto; background: #fff; }
.prunelab-map svg { display: block; font-family: sans-serif; user-select: none; }
.prunelab-map .area { fill: #f3f3f3; }
.prunelab-map text { fill: #555; text-anchor: middle; pointer-events: none; }
.prunelab-map text.size { text-anchor: start; font-style: italic; }
.prunelab-map text.number { paint-order: stroke; stroke-width: 2.5px; stroke-linejoin: round; }
.prunelab-map .line { fill: none; stroke: #9a9a9a; }
.prunelab-map .frame { fill: transparent; stroke: #555; }
.prunelab-map .choice { cursor: pointer; }
.prunelab-map .choice:focus { outline: none; }
.prunelab-map .choice:hover .frame { stroke: #000; stroke-width: 2px; }
.prunelab-map .choice:focus-visible { outline: 2px solid #0072B2; outline-offset: 3px; }
.prunelab-map .reads .frame { stroke: #D55E00; stroke-width: 1.6px; stroke-dasharray: 3 2; }
.prunelab-map .selected .frame,
.prunelab-map .selected:hover .frame { stroke: #D55E00; stroke-width: 3.5px; }
.prunelab-map .disabled { cursor: not-allowed; filter: grayscale(1); opacity: 0.45; }
"""

ESM = """
const STATE = ["ratios", "selected", "disabled"];

function render({ model, el }) {
  el.classList.add("prunelab-map");
  el.innerHTML = "<svg role='group' aria-label='network map'></svg>";
  const svg = el.firstChild;
  const parts = new Map(); // name of a box -> its elements

  function add(parent, tag, attributes, text) {
    const element = document.createElementNS(svg.namespaceURI, tag);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (text !== undefined) element.textContent = text;
    return parent.appendChild(element);
  }

  function outline(parent, box, attributes) {
    if (!box.round) {
      const place = { x: box.x, y: box.y, width: box.wide, height: box.high };
      return add(parent, "rect", { ...place, ...attributes });
    }
    const r = box.wide / 2;
    return add(parent, "circle", { cx: box.x + r, cy: box.y + r, r, ...attributes });
  }

  function draw() {
    const { width, height, font } = model.get("extent");
    svg.replaceChildren();
    parts.clear();
    for (const [key, value] of Object.entries({ width, height, "font-size": font })) {
      svg.setAttribute(key, value);
    }
    for (const n of model.get("notes")) {
      const block = n.kind === "block";
      const place = { x: n.x, y: n.y, width: n.wide, height: n.high };
      if (block) add(svg, "rect", { class: "area", ...place });
      const x = block ? n.x + n.wide / 2 : n.x;
      add(svg, "text", { class: n.kind, x, y: n.y + font + 1 }, n.text);
    }
    for (const e of model.get("edges")) add(svg, "path", { class: "line", d: e.path });
    for (const box of model.get("boxes")) parts.set(box.name, drawn(box, font));
    update();
  }

  function drawn(box, font) {
    const role = box.group === null ? "img" : "button";
    const g = add(svg, "g", { "data-layer": box.name, role });
    const title = add(g, "title", {});
    outline(g, box, { fill: box.layer ? box.pale : box.colour });
    const level = box.layer ? outline(g, box, { fill: box.colour }) : null;
    outline(g, box, { class: "frame" });
    const x = box.x + box.wide / 2;
    const y = box.y + box.high / 2 + 0.35 * font;
    const number = add(g, "text", { class: box.layer ? "number" : "sign", x, y }, box.sign);
    if (!box.layer) number.style.fill = box.inks[0];
    add(g, "text", { class: "label", x, y: box.y + box.high + font + 1 }, box.label);
    if (box.group !== null) {
      g.setAttribute("data-group", box.group);
      if (box.layer) g.setAttribute("tabindex", 0);
      g.addEventListener("click", (event) => { event.stopPropagation(); choose(box, event); });
      g.addEventListener("keydown", (event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        event.stopPropagation();
        choose(box, event);
      });
    }
    return { box, g, title, level, number };
  }

  function choose({ group }, event) {
    if (group in model.get("disabled")) return;
    const before = model.get("selected");
    const more = event.shiftKey || event.ctrlKey || event.metaKey;
    const rest = before.filter((name) => name !== group);
    set(!more ? [group] : before.includes(group) ? rest : [...before, group]);
  }

  function set(selected) {
    model.set("selected", selected);
    model.save_changes();
  }

  function left(box, ratios) { // as plots.network_look.kept
    let stay = box.width;
    for (const [group, n] of Object.entries(box.channels)) {
      stay -= n - Math.max(1, Math.floor(n * (1 - (ratios[group] ?? 0)) + 1e-9));
    }
    return stay;
  }

  function update() {
    const [ratios, selected, disabled] = STATE.map((name) => model.get(name));
    for (const { box, g, title, level, number } of parts.values()) {
      const chosen = selected.some((name) => name in box.channels);
      const stay = left(box, ratios);
      const why = box.fixed ?? disabled[box.group];
      g.classList.toggle("choice", box.group !== null);
      g.classList.toggle("selected", chosen);
      g.classList.toggle("reads", !chosen && selected.some((name) => box.reads.includes(name)));
      g.classList.toggle("disabled", box.group in disabled);
      if (box.group !== null) {
        g.setAttribute("aria-pressed", chosen);
        g.setAttribute("aria-disabled", box.group in disabled);
      }
      const lines = [box.title];
      if (box.group !== null) lines.push(`kept: ${stay} of ${box.width}`);
      if (why) lines.push(why);
      title.textContent = lines.join("\\n");
      g.setAttribute("aria-label", lines.join(", ").replaceAll("\\n", ", "));
      if (!level) continue;
      const share = stay / Math.max(1, box.width);
      const high = share > 0.5 ? 0 : 1;
      level.setAttribute("y", box.y + box.high * (1 - share));
      level.setAttribute("height", box.high * share);
      number.textContent = stay;
      number.style.fill = box.inks[high];
      number.style.stroke = high ? box.pale : box.colour;
    }
  }

  svg.addEventListener("click", () => set([]));
  model.on("change:boxes", draw);
  for (const name of STATE) model.on(`change:${name}`, update);
  draw();
  return () => {
    model.off("change:boxes", draw);
    for (const name of STATE) model.off(`change:${name}`, update);
  };
}
export default { render };
"""
