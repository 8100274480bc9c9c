/** Colours of series: the same for a tool or a value wherever it appears. */
const palette = (() => {
  const COUNT = 8;
  const MOST = 500; // values of a column; more aren't told apart by colours
  /** @type {Map<string, Map<string, number>>} */
  const columns = new Map();
  const probe = dom.h("span", { hidden: true });

  /** Give each value of the columns its colour. @param {Report} report */
  function prepare(report) {
    document.body.append(probe);
    for (const column of report.runs.columns) {
      if (column.kind === "metric") continue;
      const values = [...new Set(column.values)].filter((value) => value !== null);
      if (values.length > MOST) continue;
      values.sort((one, other) => numbers.compare(one, other));
      columns.set(column.key, new Map(values.map((value, place) => [String(value), place % COUNT])));
    }
  }

  /** Return a value's colour for styles. @param {Value} value @param {string} key the column that it is of */
  function of(value, key) {
    return `var(--series-${(columns.get(key)?.get(String(value)) ?? 0) + 1})`;
  }

  /** Return a colour as it is in the theme that is shown, for a canvas. @param {string} colour such as `var(--ink)` */
  function resolved(colour) {
    probe.style.setProperty("color", colour);
    return getComputedStyle(probe).color;
  }

  return { prepare, of, resolved };
})();
