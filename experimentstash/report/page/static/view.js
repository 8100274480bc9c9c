/** Which runs are shown: what the search and the filters leave. */
const view = (() => {
  /** Columns that can be filtered by their values, by the key that the address has for them. */
  const FACETS = [
    { key: "state", column: "state", label: "State" },
    { key: "tool", column: "tool", label: "Tool" },
    { key: "exp", column: "exp", label: "Experiment" },
    { key: "tag", column: "tags", label: "Tag" },
  ];
  /** What it hangs on: a section listens to these. */
  const KEYS = ["q", "only", ...FACETS.map((facet) => facet.key)];

  /** Filters that other parts have, by their keys. @type {Map<string, () => ((index: Index) => boolean) | null>} */
  const others = new Map();

  /** @type {Report} */
  let report;
  /** @type {string[] | null} */
  let texts = null;
  /** @type {Index[] | null} */
  let kept = null;

  /** @param {Report} loaded */
  function prepare(loaded) {
    report = loaded;
    state.on(KEYS, () => (kept = null));
  }

  /** Return the runs that are shown, in their order. @returns {Index[]} */
  function shown() {
    kept ??= found(KEYS);
    return kept;
  }

  /** Return the runs that all filters but this one leave. @param {string} key */
  function without(key) {
    return found(KEYS.filter((each) => each !== key));
  }

  /**
   * Filter by something else, too: when the page's scripts are read, before anything is drawn.
   * @param {string} key
   * @param {() => ((index: Index) => boolean) | null} make
   */
  function filter(key, make) {
    KEYS.push(key);
    others.set(key, make);
  }

  /** Tell whether anything is left out. */
  function isFiltered() {
    return KEYS.some((key) => state.get(key) !== null);
  }

  /** @param {string[]} keys */
  function found(keys) {
    const tests = keys.map(test).filter((each) => each !== null);
    return report.runs.ids.map((_, index) => index).filter((index) => tests.every((each) => each(index)));
  }

  /** @param {string} key @returns {((index: Index) => boolean) | null} */
  function test(key) {
    if (state.get(key) === null) return null;
    const other = others.get(key);
    if (other) return other();
    if (key === "q") {
      const words = (state.get("q") ?? "").toLowerCase().split(/\s+/).filter(Boolean);
      texts ??= report.runs.ids.map(textOf);
      const all = texts;
      return words.length ? (index) => words.every((word) => all[index].includes(word)) : null;
    }
    const wanted = new Set(state.list(key));
    if (key === "only") return (index) => wanted.has(report.runs.ids[index]);
    const facet = FACETS.find((each) => each.key === key);
    return facet ? (index) => valuesOf(facet.column, index).some((value) => wanted.has(value)) : null;
  }

  /** Return everything that a search looks at. @param {string} id @param {Index} index */
  function textOf(id, index) {
    const parts = report.runs.columns.map(({ key, kind, values }) => {
      const value = values[index];
      if (value === null) return "";
      return kind === "param" ? `${key.replace(/^params\./, "")}=${value}` : String(value);
    });
    return [id, ...parts].join("\n").toLowerCase();
  }

  /** Return what a run has in a column: of tags, each. @param {string} key @param {Index} index */
  function valuesOf(key, index) {
    const several = data.column(report, key)?.several[index];
    if (several) return several;
    const value = data.value(report, key, index);
    if (value === null || value === "") return [];
    return key === "tags" ? String(value).split(/,\s*/) : [String(value)];
  }

  /**
   * Return the values of a facet, and how many runs of those that everything else leaves have each.
   * @param {{ key: string, column: string }} facet
   */
  function counts(facet) {
    /** @type {Map<string, number>} */
    const all = new Map();
    report.runs.ids.forEach((_, index) => valuesOf(facet.column, index).forEach((value) => all.set(value, 0)));
    for (const index of without(facet.key))
      for (const value of valuesOf(facet.column, index)) all.set(value, (all.get(value) ?? 0) + 1);
    return [...all].sort(([one], [other]) => numbers.compare(one, other));
  }

  /** Return what tells runs apart: of all else each of them has the same. */
  function facets() {
    return FACETS.filter(
      ({ column }) => new Set(report.runs.ids.map((_, index) => valuesOf(column, index).join("\n"))).size > 1,
    );
  }

  /** Show everything again. */
  function clear() {
    KEYS.forEach((key) => state.set(key, null));
  }

  return { FACETS, KEYS, prepare, shown, without, filter, isFiltered, facets, counts, clear };
})();
