/** The bar: the ways to the sections, the search, and the filters of the runs. */
const filters = (() => {
  const MANY = 1000; // runs; the page is drawn for each letter only of fewer

  /**
   * @param {HTMLElement} bar
   * @param {Report} report
   * @param {HTMLElement[]} links
   */
  function draw(bar, report, links) {
    let waiting = 0;
    const search = dom.h("input", {
      type: "search",
      id: "q",
      placeholder: "Search runs",
      "aria-label": "Search runs",
      autocomplete: "off",
      spellcheck: "false",
      oninput: () => {
        clearTimeout(waiting);
        if (report.runs.ids.length > MANY) waiting = setTimeout(find, 200);
        else find();
      },
    });
    const find = () => state.set("q", search.value || null);
    const body = dom.h("div", { class: "panel facets" });
    const menu = dom.h(
      "details",
      { class: "menu" },
      dom.h("summary", { class: "quiet" }, dom.icon(dom.ICONS.filter), dom.h("span", {}, "Filter")),
      body,
    );
    const chips = dom.h("div", { class: "chips" });
    menu.addEventListener("toggle", () => {
      if (!menu.open) return;
      if (!body.hasChildNodes()) drawFacets(body); // what there is to choose from stays the same
      recount(body);
    });
    dom.closesOutside(menu);
    bar.append(
      dom.h("div", { class: "links" }, links),
      dom.h("div", { class: "find" }, search, view.facets().length > 0 && menu, theme.button()),
      chips,
    );

    function update() {
      if (search.value !== (state.get("q") ?? "")) search.value = state.get("q") ?? "";
      if (menu.open) recount(body);
      const count = `${view.shown().length} of ${dom.counted(report.runs.ids.length, "run")}`;
      chips.hidden = !view.isFiltered();
      dom.replace(
        chips,
        dom.h("span", { class: "count" }, count),
        chipsOf(),
        dom.button("Show all", view.clear, { class: "plain" }),
      );
      if (view.isFiltered()) dom.announce(count);
    }
    state.on(view.KEYS, update);
    update();
  }

  /** Make a chip for each thing that leaves runs out. */
  function chipsOf() {
    const made = [];
    const text = state.get("q");
    if (text !== null) made.push(chip(`“${text}”`, () => state.set("q", null)));
    const only = state.list("only");
    if (only.length) made.push(chip(only.length > 3 ? `${only.length} chosen runs` : only.join(", "), () => state.set("only", null)));
    for (const { key, label } of view.FACETS)
      for (const value of state.list(key)) made.push(chip(`${label}: ${numbers.words(value)}`, () => state.put(key, value, false)));
    return made;
  }

  /** @param {string} text @param {() => void} act */
  function chip(text, act) {
    return dom.button([text, dom.icon(dom.ICONS.close)], act, { class: "chip", "aria-label": `Remove filter ${text}` });
  }

  /** @param {HTMLElement} body */
  function drawFacets(body) {
    dom.replace(
      body,
      view.facets().map((facet) =>
        dom.h(
          "fieldset",
          {},
          dom.h("legend", {}, facet.label),
          view.counts(facet).map(([value]) => {
            const box = dom.h("input", { type: "checkbox", name: facet.key, value, onchange: () => state.put(facet.key, value, box.checked) });
            return dom.h("label", { class: "choice" }, box, dom.h("span", {}, numbers.words(value)), dom.h("span", { class: "n" }));
          }),
        ),
      ),
    );
  }

  /** Say how many runs each value would leave. @param {HTMLElement} body */
  function recount(body) {
    for (const facet of view.FACETS) {
      const counts = new Map(view.counts(facet));
      const chosen = state.list(facet.key);
      for (const box of body.querySelectorAll("input")) {
        if (box.name !== facet.key) continue;
        box.checked = chosen.includes(box.value);
        const count = box.parentElement?.querySelector(".n");
        if (count) count.textContent = String(counts.get(box.value) ?? 0);
      }
    }
  }

  return { draw };
})();
