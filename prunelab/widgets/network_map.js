// The browser's half of `NetworkMap`: marks and fills the boxes of the drawing, and hears clicks.
function render({ model, el }) {
  el.classList.add("prunelab-map");
  el.innerHTML = model.get("svg");
  const svg = el.querySelector("svg");
  svg.setAttribute("role", "group");
  svg.setAttribute("aria-label", "network map");
  svg.querySelectorAll("style, metadata").forEach((e) => e.remove()); // would style the whole page
  const parts = new Map([...svg.querySelectorAll("g[id]")].map((g) => [g.id, g]));
  const boxes = Object.entries(model.get("boxes"));

  function prepare(name, { group, layer }) {
    const frame = parts.get(`frame:${name}`);
    frame.setAttribute("data-layer", name);
    frame.setAttribute("role", group === null ? "img" : "button");
    frame.prepend(document.createElementNS(svg.namespaceURI, "title"));
    if (group === null) return;
    frame.setAttribute("data-group", group);
    frame.classList.add("choice");
    if (layer) frame.setAttribute("tabindex", 0);
    frame.addEventListener("click", (event) => choose(group, event));
    frame.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      choose(group, event);
    });
  }

  function choose(group, event) {
    event.stopPropagation();
    const before = model.get("selected");
    const more = event.shiftKey || event.ctrlKey || event.metaKey;
    const rest = before.filter((name) => name !== group);
    select(!more ? [group] : before.includes(group) ? rest : [...before, group]);
  }

  function select(groups) {
    model.set("selected", groups);
    model.save_changes();
  }

  function update() {
    const selected = model.get("selected");
    for (const [name, box] of boxes) {
      const frame = parts.get(`frame:${name}`);
      const [stay, all] = model.get("kept")[name];
      const chosen = selected.some((group) => box.channels.includes(group));
      const reads = selected.some((group) => box.reads.includes(group));
      frame.classList.toggle("selected", chosen);
      frame.classList.toggle("reads", reads && !chosen);
      const lines = [...box.lines];
      if (box.group !== null) {
        frame.setAttribute("aria-pressed", chosen);
        lines.push(`kept: ${stay} of ${all}`);
      }
      if (box.fixed) lines.push(box.fixed);
      frame.querySelector("title").textContent = lines.join("\n");
      frame.setAttribute("aria-label", lines.join(", "));
      if (box.layer) fill(name, box, stay, stay / Math.max(1, all));
    }
  }

  function fill(name, { colours, inks }, stay, share) {
    const text = parts.get(`number:${name}`).querySelector("text");
    const back = share > 0.5 ? 0 : 1;
    parts.get(`level:${name}`).style.transform = `scaleY(${share})`;
    text.textContent = stay;
    text.style.fill = inks[back];
    text.style.stroke = colours[back];
  }

  for (const [name, box] of boxes) prepare(name, box);
  svg.addEventListener("click", () => select([]));
  model.on("change:kept change:selected", update);
  update();
  return () => model.off("change:kept change:selected", update);
}
export default { render };
