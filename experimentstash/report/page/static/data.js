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
    return report;
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
