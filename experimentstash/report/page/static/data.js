/** What Python wrote into the page. */
const data = (() => {
  /** @type {Promise<Report> | null} */
  let loaded = null;

  /** Return the page's data; it is read once. */
  function load() {
    loaded ??= read();
    return loaded;
  }

  /** @returns {Promise<Report>} */
  async function read() {
    const element = /** @type {HTMLElement} */ (document.getElementById("report-data"));
    const text = element.textContent ?? "";
    element.remove(); // a large text is kept once
    /** @type {Report & { texts: string[] }} */
    const report = JSON.parse(element.dataset.encoding === "gzip" ? await unpacked(text.trim()) : text);
    for (const each of report.details) {
      const place = /** @type {unknown} */ (each?.patch);
      if (each && typeof place === "number") each.patch = report.texts[place]; // what many have in common is there once
    }
    report.runs.recorded = report.runs.ids;
    report.runs.ids = unique(report.runs.ids);
    const labels = new Set();
    for (const each of report.runs.columns) {
      if (labels.has(each.label)) each.label = each.key; // a metric may be called like a parameter
      labels.add(each.label);
    }
    return report;
  }

  /**
   * Return what runs are called in the page, in its address as well: their ids, of copies with a number behind.
   * @param {string[]} ids
   */
  function unique(ids) {
    const known = new Set(ids);
    /** @type {Map<string, number>} */
    const counts = new Map();
    return ids.map((id) => {
      let count = (counts.get(id) ?? 0) + 1;
      while (count > 1 && known.has(`${id}(${count})`)) count += 1;
      counts.set(id, count);
      const name = count === 1 ? id : `${id}(${count})`;
      known.add(name);
      return name;
    });
  }

  /** @param {string} text gzip as base64 */
  async function unpacked(text) {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
  }

  /**
   * Return a column of the runs by its key, if there is one.
   * @param {Report} report
   * @param {string} key
   */
  function column(report, key) {
    return report.runs.columns.find((each) => each.key === key);
  }

  /**
   * Return a run's value in a column; null where either is missing.
   * @param {Report} report
   * @param {string} key
   * @param {Index} index
   */
  function value(report, key, index) {
    return column(report, key)?.values[index] ?? null;
  }

  /**
   * Return a value as a number, if it is one.
   * @param {Value | undefined} found
   */
  function number(found) {
    if (typeof found === "number") return found;
    return found === "NaN" || found === "Infinity" || found === "-Infinity" ? Number(found) : null;
  }

  return { load, column, value, number };
})();
