/** The page: its head, its sections, and the way between them. */
const main = (() => {
  /** Sections in their order. Those of other files are there if the page has them. */
  function sections() {
    return [
      typeof comparison === "undefined" ? null : comparison,
      typeof gallery === "undefined" ? null : gallery,
      typeof curves === "undefined" ? null : curves,
      typeof scatter === "undefined" ? null : scatter,
      typeof parallel === "undefined" ? null : parallel,
      typeof runs === "undefined" ? null : runs,
    ].filter((section) => section !== null);
  }

  async function start() {
    theme.prepare();
    document.body.append(dom.live);
    const report = await data.load();
    palette.prepare(report);
    view.prepare(report);
    const content = /** @type {HTMLElement} */ (document.getElementById("content"));
    for (const section of sections()) {
      if (!section.has(report)) continue;
      const element = dom.h("div", {});
      content.append(dom.h("section", { id: section.id }, dom.h("h2", {}, section.title), element));
      section.draw(element, report);
    }
  }

  return { start };
})();
void main.start();
