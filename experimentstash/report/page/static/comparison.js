/** What the runs' numbers come to, grouped as Python grouped them. */
const comparison = (() => {
  /** What isn't a figure's name, in the address: no directory is called so. */
  const ALL = "/";
  const NO_FIGURE = ".";

  /** @param {Report} report */
  function has(report) {
    return report.tables.length > 0;
  }

  /** @param {HTMLElement} element @param {Report} report */
  function draw(element, report) {
    const grid = table.make({
      label: "Comparison",
      sortKey: "sort",
      tail: { label: "Runs", draw: (/** @type {ComparisonRow} */ row) => toRuns(report, row) },
    });
    const figures = [...new Set(report.tables.map(keyOf))];
    const figure = dom.h("select", { id: "figure", onchange: () => state.set("figure", figure.value === figures[0] ? null : figure.value) }, figures.map(optionOf));
    const by = dom.h("select", { id: "by", onchange: () => state.set("by", by.value === own()[0].name ? null : by.value) });
    const toBy = dom.h("label", { class: "field", for: "by" }, dom.h("span", {}, "Rows by"), by);
    /** Whose groupings there are to choose from now. */
    let offered = "";
    const find = dom.h("input", { type: "search", id: "find", placeholder: "Any word", oninput: () => state.set("find", find.value || null) });
    const all = dom.h("input", { type: "checkbox", id: "all", onchange: () => state.set("all", all.checked ? "yes" : null) });
    const caption = dom.h("p", { class: "caption" });
    const same = dom.h("p", { class: "note" });
    const unfiltered = dom.h("p", { class: "note" }, "The filter of runs leaves these numbers as they are: they are of all runs that have completed.");
    const remarks = dom.h("ul", { class: "remarks" });
    const toAll = dom.h("label", { class: "switch", for: "all" }, all, dom.h("span", {}, "All columns"));

    dom.replace(
      element,
      dom.h(
        "div",
        { class: "toolbar" },
        figures.length > 1 && dom.h("label", { class: "field", for: "figure" }, dom.h("span", {}, "Figure"), figure),
        toBy,
        dom.h("label", { class: "field", for: "find" }, dom.h("span", {}, "Find"), find),
        toAll,
        dom.h("span", { class: "stretch" }),
        exports.button("comparison", grid.current, () => [chosen().caption, ...chosen().remarks]),
      ),
      unfiltered,
      grid.element,
      caption,
      same,
      remarks,
    );

    /** Return the comparisons of the figure that is chosen. */
    function own() {
      const asked = state.get("figure");
      const key = asked !== null && figures.includes(asked) ? asked : figures[0];
      return report.tables.filter((table) => keyOf(table) === key);
    }

    function chosen() {
      const several = own();
      return several.find(({ name }) => name === state.get("by")) ?? several[0];
    }

    function update() {
      const found = chosen();
      const several = own();
      figure.value = keyOf(found);
      if (figure.value !== offered) dom.replace(by, several.map(({ name }) => dom.h("option", { value: name }, titleOf(name))));
      offered = figure.value;
      toBy.hidden = several.length < 2;
      by.value = found.name;
      if (find.value !== (state.get("find") ?? "")) find.value = state.get("find") ?? "";
      all.checked = state.get("all") !== null;
      const constant = constants(found);
      toAll.hidden = constant.length === 0;
      const hidden = all.checked ? [] : constant;
      const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
      const rows = found.rows.filter((row) => {
        const text = [...row.values, ...row.cells.map((cell) => cell?.text ?? "")].join("\n").toLowerCase();
        return words.every((word) => text.includes(word));
      });
      grid.show({ columns: columnsOf(found, hidden), rows });
      if (words.length) dom.announce(`${rows.length} of ${found.rows.length} rows`);
      caption.textContent = found.caption;
      unfiltered.hidden = !view.isFiltered();
      same.hidden = hidden.length === 0;
      same.textContent = `The same in every row: ${hidden.map((at) => `${found.columns[at]} = ${found.rows[0].values[at]}`).join(", ")}`;
      dom.replace(remarks, found.remarks.map((remark) => dom.h("li", {}, remark)));
      remarks.hidden = found.remarks.length === 0;
    }
    state.on(["figure", "by", "find", "all"], update);
    state.on(view.KEYS, () => (unfiltered.hidden = !view.isFiltered()));
    update();
  }

  /** Return what a comparison's figure is called in the address. @param {Comparison} found */
  function keyOf({ figure }) {
    return figure === null ? ALL : figure || NO_FIGURE;
  }

  /** @param {string} key */
  function optionOf(key) {
    return dom.h("option", { value: key }, key === ALL ? "All figures" : key === NO_FIGURE ? "In no figure" : key);
  }

  /** Return the first comparison of each figure; of all runs, if figures have none of their own. @param {Report} report */
  function firsts(report) {
    /** @type {Map<string | null, Comparison>} */
    const found = new Map();
    for (const each of report.tables) if (!found.has(each.figure)) found.set(each.figure, each);
    return [...found.values()].filter((each) => each.figure !== null || found.size === 1);
  }

  /** Return which columns say the same in every row. @param {Comparison} found */
  function constants(found) {
    if (found.rows.length < 2) return [];
    const places = found.columns.map((_, at) => at);
    const same = places.filter((at) => found.rows.every((row) => row.values[at] === found.rows[0].values[at]));
    return same.length === places.length ? same.slice(1) : same; // something must name the rows
  }

  /**
   * @param {Comparison} found
   * @param {number[]} hidden
   * @returns {SheetColumn<ComparisonRow>[]}
   */
  function columnsOf(found, hidden) {
    const named = found.columns.map((label, at) => ({
      key: label,
      label,
      isNumber: false,
      cell: (/** @type {ComparisonRow} */ row) => cellOf(row.values[at]),
      draw: (/** @type {ComparisonRow} */ _, /** @type {SheetCell} */ { text }) => (text === numbers.ABSENT ? dom.h("span", { class: "none" }, text) : text),
    }));
    const measured = found.metrics.map(({ name, label, better }, at) => ({
      key: `metrics.${name}`,
      label: found.columns.includes(label) ? `metrics.${name}` : label,
      title: name,
      isNumber: true,
      better,
      cell: (/** @type {ComparisonRow} */ row) => {
        const cell = row.cells[at];
        if (cell === null) return { text: numbers.ABSENT, value: null };
        return { text: cell.text, value: cell.middle, rank: cell.rank, n: cell.n };
      },
    }));
    return [...named.filter((_, at) => !hidden.includes(at)), ...measured];
  }

  /** Return a value that tells rows apart: exported as it is written, sorted as a number if it is one. @param {string} text @returns {SheetCell} */
  function cellOf(text) {
    if (text === numbers.ABSENT) return { text, value: null };
    return text.trim() !== "" && Number.isFinite(Number(text)) ? { text, order: Number(text) } : { text };
  }

  /** @param {string} name */
  function titleOf(name) {
    return name.replace(/^params\./, "");
  }

  /** Make the way to a row's runs. @param {Report} report @param {ComparisonRow} row */
  function toRuns(report, row) {
    const ids = row.runs.map((index) => report.runs.ids[index]);
    const act = () => {
      if (ids.length === 1) detail.open(row.runs[0]);
      else {
        view.clear();
        state.setList("only", ids);
        main.go("runs");
      }
    };
    if (ids.length === 0) return null;
    const label = `${dom.counted(ids.length, "run")} of ${row.values.join(", ")}`;
    return dom.button(dom.counted(ids.length, "run"), act, { class: "plain", "aria-label": label });
  }

  return { id: "comparison", title: "Comparison", has, draw, firsts };
})();
