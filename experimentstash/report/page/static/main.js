/** The page: its head, its sections, and the way between them. */
const main = (() => {
  /** @typedef {{ section: Section, outer: HTMLElement, inner: HTMLElement, isDrawn: boolean }} Part */
  /** @type {Part[]} */
  const parts = [];
  /** @type {Report} */
  let report;

  /** Return an element of the template. @param {string} id */
  function place(id) {
    return /** @type {HTMLElement} */ (document.getElementById(id));
  }

  /** Return the sections in their order. @returns {Section[]} */
  function sections() {
    return [comparison, gallery, curves, scatter, parallel, runs];
  }

  async function start() {
    theme.prepare();
    document.body.append(dom.live);
    try {
      report = await data.load();
    } catch (error) {
      place("content").append(dom.h("p", { class: "nothing", role: "alert" }, `This page's data can't be read: ${error}`));
      return;
    }
    palette.prepare(report);
    view.prepare(report);
    drawHead();
    for (const section of sections()) if (section.has(report)) add(section);
    filters.draw(place("bar"), report, parts.map((part) => link(part.section)));
    drawFoot();
    detail.prepare(report);
    difference.prepare(report);
    lightbox.prepare(report);
    state.begin(["run", "diff", "pic", "pair"]);
    watch();
    place("skip").addEventListener("click", (event) => {
      event.preventDefault();
      place("content").focus();
    });
    addEventListener("beforeprint", () => parts.forEach(draw));
    const at = state.get("at");
    if (at !== null) go(at);
  }

  /** @param {Section} section */
  function add(section) {
    const inner = dom.h("div");
    const heading = dom.h("h2", { id: `${section.id}-title`, tabindex: "-1" }, section.title);
    const outer = dom.h("section", { id: `section-${section.id}`, class: "part waiting", "aria-labelledby": heading.id }, heading, inner);
    place("content").append(outer);
    parts.push({ section, outer, inner, isDrawn: false });
  }

  /** @param {Part} part */
  function draw(part) {
    if (part.isDrawn) return;
    part.isDrawn = true;
    part.outer.classList.remove("waiting");
    part.section.draw(part.inner, report);
  }

  /** Draw what comes near the screen, and mark where one is. */
  function watch() {
    const near = new IntersectionObserver(
      (entries) => {
        for (const { isIntersecting, target } of entries) {
          const part = parts.find(({ outer }) => outer === target);
          if (isIntersecting && part) draw(part);
        }
      },
      { rootMargin: "600px" },
    );
    const passed = new IntersectionObserver(markCurrent, { rootMargin: "-35% 0px -65%" });
    for (const { outer } of parts) {
      near.observe(outer);
      passed.observe(outer);
    }
  }

  /** Mark the way to the section that is on the screen. */
  function markCurrent() {
    const current = parts.findLast(({ outer }) => outer.getBoundingClientRect().top <= innerHeight * 0.35);
    for (const { section } of parts) {
      const own = place("bar").querySelector(`a[href="#at=${section.id}"]`);
      if (section === current?.section) own?.setAttribute("aria-current", "true");
      else own?.removeAttribute("aria-current");
    }
  }

  /** @param {Section} section */
  function link(section) {
    const follow = (/** @type {Event} */ event) => {
      event.preventDefault();
      state.set("at", section.id);
      go(section.id);
    };
    return dom.h("a", { href: `#at=${section.id}`, onclick: follow }, section.title);
  }

  /** Go to a section: what lies above it is drawn first, so that it stays where it is. @param {string} id */
  function go(id) {
    const to = parts.findIndex((part) => part.section.id === id);
    if (to < 0) return;
    parts.slice(0, to + 1).forEach(draw);
    parts[to].outer.scrollIntoView();
    parts[to].outer.querySelector("h2")?.focus({ preventScroll: true });
  }

  function drawHead() {
    const head = place("masthead");
    const moment = dom.h("time", { datetime: report.made }, `${numbers.moment(report.made)}${report.zone && `, times in ${report.zone}`}`);
    dom.append(
      head,
      dom.h("p", { class: "byline" }, report.stash !== report.title && dom.h("span", {}, report.stash), dom.h("span", {}, moment), states()),
      report.command &&
        dom.h("div", { class: "command" }, dom.h("code", { tabindex: "0", role: "region", "aria-label": "The command that made this page" }, report.command), exports.copyButton(() => report.command, "Copy the command that made this page")),
      report.remarks.length > 0 && dom.h("ul", { class: "remarks" }, report.remarks.map((remark) => dom.h("li", {}, remark))),
    );
  }

  /** Make what the runs have come to: each state leads to its runs. */
  function states() {
    /** @type {Map<string, number>} */
    const counts = new Map();
    for (const value of data.column(report, "state")?.values ?? [])
      counts.set(String(value), (counts.get(String(value)) ?? 0) + 1);
    const show = (/** @type {string} */ name) => {
      view.clear();
      state.setList("state", [name]);
      go("runs");
    };
    const each = [...counts]
      .sort((one, other) => other[1] - one[1])
      .map(([name, count]) =>
        dom.button(runs.badge(name, `${count} ${numbers.words(name)}`), () => show(name), { class: "plain" }),
      );
    return dom.h("span", { class: "states" }, dom.h("span", {}, dom.counted(report.runs.count, "run")), each);
  }

  function drawFoot() {
    place("colophon").append(
      dom.h("p", {}, "Made by ExperimentStash ", report.version, ". Everything that is seen is in this page: it asks no server for anything."),
    );
  }

  return { start, go };
})();
void main.start();
