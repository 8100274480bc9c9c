/** All runs, a row for each. */
const runs = (() => {
  const SORT = "rsort";
  const USUAL = ["state", "exp", "tool", "created", "seconds"];
  /** @type {Map<Column, SheetColumn<Index>>} */
  const made = new Map();

  /** @param {Report} report */
  function has(report) {
    return report.runs.ids.length > 0;
  }

  /** Return the keys of the columns that are shown. @param {Report} report */
  function shownKeys(report) {
    const asked = state.list("cols");
    const found = report.runs.columns.map(({ key }) => key).filter((key) => asked.includes(key));
    return found.length ? found : usualKeys(report);
  }

  /** @param {Report} report */
  function usualKeys(report) {
    const many = report.runs.ids.length > 1;
    const isUsual = (/** @type {Column} */ column) =>
      column.key === "state" || (column.varies && (column.kind !== "plain" || USUAL.includes(column.key))) || !many;
    return report.runs.columns.filter(isUsual).map(({ key }) => key);
  }

  /** Return the table of the runs that are shown. @param {Report} report @returns {Sheet<Index>} */
  function sheet(report) {
    const keys = new Set(shownKeys(report));
    const columns = report.runs.columns.filter(({ key }) => keys.has(key)).map(columnOf);
    return { columns: [idColumn(report), ...columns], rows: view.shown() };
  }

  /** Return the runs that are shown in the order of their table. @param {Report} report */
  function order(report) {
    return table.sorted(sheet(report), SORT);
  }

  /** @param {Report} report @returns {SheetColumn<Index>} */
  function idColumn(report) {
    return {
      key: "id",
      label: "run",
      isNumber: false,
      width: Math.max(...report.runs.ids.slice(0, 1000).map((id) => id.length)),
      cell: (index) => ({ text: report.runs.ids[index] }),
      draw: (index, cell) => dom.button(cell.text, () => detail.open(index), { class: "plain id", "aria-haspopup": "dialog" }),
    };
  }

  /** @param {Column} column @returns {SheetColumn<Index>} */
  function columnOf(column) {
    const known = made.get(column);
    if (known) return known;
    const write = writer(column);
    let longest = 0;
    for (const value of column.values) longest = Math.max(longest, write(value).length);
    /** @type {SheetColumn<Index>} */
    const found = {
      key: column.key,
      label: column.label,
      title: column.key,
      isNumber: isNumeric(column),
      better: column.better,
      width: longest + (column.key === "state" ? 2 : 0),
      cell: (index) => ({ text: column.values[index] === null ? numbers.ABSENT : write(column.values[index]), value: column.values[index] }),
      draw: (_, { text, value }) => (value === null ? dom.h("span", { class: "none" }, text) : dom.h("span", { class: "text" }, text)),
    };
    if (column.key === "state") found.draw = (_, cell) => badge(cell.text);
    made.set(column, found);
    return found;
  }

  /** @param {Column} column */
  function isNumeric(column) {
    return column.values.some((value) => typeof value === "number") && column.values.every(isNumberOrNothing);
  }

  /** @param {Value} value */
  function isNumberOrNothing(value) {
    return value === null || value === "null" || data.number(value) !== null;
  }

  /** Return what writes a column's values. @param {Column} column @returns {(value: Value) => string} */
  function writer(column) {
    if (column.key === "seconds") return (value) => (typeof value === "number" ? numbers.duration(value) : numbers.text(value));
    if (column.key === "created" || column.key === "started") return (value) => numbers.moment(numbers.text(value));
    if (column.key === "state") return numbers.words;
    return column.kind === "metric" ? numbers.format(column.values) : numbers.text;
  }

  /** Make the sign of a state: a shape as well as a colour. @param {string} name @param {string} [text] */
  function badge(name, text = numbers.words(name)) {
    return dom.h("span", { class: `state ${stateClass(name)}` }, text);
  }

  /** @param {string} name */
  function stateClass(name) {
    if (name === "completed") return "is-good";
    if (["frozen", "queued"].includes(name)) return "is-waiting";
    if (name === "running") return "is-running";
    return ["cancelled", "preempted"].includes(name) ? "is-ended" : "is-bad";
  }

  /** @param {HTMLElement} element @param {Report} report */
  function draw(element, report) {
    const known = new Map(report.runs.ids.map((id, index) => [id, index]));
    const grid = table.make({
      label: "Runs",
      sortKey: SORT,
      isChosen: (/** @type {Index} */ index) => state.list("pick").includes(report.runs.ids[index]),
      lead: { label: "Choose two for their difference", draw: (index) => picker(report, index) },
    });
    const count = dom.h("p", { class: "count" });
    const none = dom.h("p", { class: "nothing" }, "No run has all of this. ", dom.button("Show all runs", view.clear, { class: "plain" }));
    const pair = dom.button("Difference", () => {
      const [first, second] = state.list("pick");
      difference.open(known.get(first) ?? 0, known.get(second) ?? 0);
    }, { class: "quiet", "aria-haspopup": "dialog" });

    dom.replace(
      element,
      dom.h(
        "div",
        { class: "toolbar" },
        count,
        dom.h("span", { class: "stretch" }),
        dom.h("div", { class: "group" }, pair, columnMenu(report), exports.button("runs", grid.current)),
      ),
      grid.element,
      none,
    );

    function update() {
      const found = sheet(report);
      grid.show(found);
      count.textContent =
        found.rows.length === report.runs.ids.length
          ? dom.counted(found.rows.length, "run")
          : `${found.rows.length} of ${dom.counted(report.runs.ids.length, "run")}`;
      grid.element.hidden = found.rows.length === 0;
      none.hidden = found.rows.length > 0;
    }
    function updatePair() {
      const picked = state.list("pick").filter((id) => known.has(id));
      pair.disabled = picked.length !== 2;
      pair.textContent = picked.length === 2 ? `Difference of ${picked[0]} and ${picked[1]}` : "Difference of two";
      for (const box of grid.element.querySelectorAll("input")) box.checked = picked.includes(box.value);
      grid.refresh();
    }
    state.on([...view.KEYS, "cols"], update);
    state.on(["pick"], updatePair);
    update();
    updatePair();
  }

  /** Make what chooses a run; of three the first is let go. @param {Report} report @param {Index} index */
  function picker(report, index) {
    const id = report.runs.ids[index];
    const box = dom.h("input", { type: "checkbox", value: id, "aria-label": `Choose ${id}`, onchange: () => state.put("pick", id, box.checked, 2) });
    box.checked = state.list("pick").includes(id);
    return box;
  }

  /** Make the choice of columns. @param {Report} report */
  function columnMenu(report) {
    const kinds = /** @type {const} */ ([
      ["plain", "Run"],
      ["param", "Parameters"],
      ["metric", "Metrics"],
    ]);
    const body = dom.h("div", { class: "panel" });
    const menu = dom.h("details", { class: "menu" }, dom.h("summary", { class: "quiet" }, "Columns"), body);
    const change = () => {
      const keys = [...body.querySelectorAll("input")].filter((box) => box.checked).map((box) => box.value);
      const usual = usualKeys(report);
      const isUsual = keys.length === 0 || (keys.length === usual.length && keys.every((key) => usual.includes(key)));
      state.setList("cols", isUsual ? [] : keys);
      if (keys.length === 0) update();
    };
    function update() {
      const shown = new Set(shownKeys(report));
      dom.replace(
        body,
        kinds.map(([kind, title]) => {
          const own = report.runs.columns.filter((column) => column.kind === kind);
          return (
            own.length > 0 &&
            dom.h(
              "fieldset",
              {},
              dom.h("legend", {}, title),
              own.map((column) =>
                dom.h(
                  "label",
                  { class: "choice" },
                  dom.h("input", { type: "checkbox", value: column.key, checked: shown.has(column.key), onchange: change }),
                  dom.h("span", {}, column.label),
                ),
              ),
            )
          );
        }),
        dom.button("As at first", () => (state.setList("cols", []), update()), { class: "plain" }),
      );
    }
    menu.addEventListener("toggle", () => menu.open && update());
    dom.closesOutside(menu);
    return menu;
  }

  return { id: "runs", title: "Runs", has, draw, order, badge, writer };
})();
