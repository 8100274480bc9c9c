/** Pictures side by side: by figure, and in it by the name of the file, which tools and parameters have in common. */
const gallery = (() => {
  const CHOSEN = "pics";
  const SIZES = [["s", "Small"], ["m", "Medium"], ["l", "Large"]];
  const MOST = 60; // pictures of a name that are shown at first
  const WIDE = 2.2; // times its height: a picture that gets the room of two
  const NAMED = 5; // runs without pictures that are named

  /** @type {{ shown: Index[], groups: Group[] } | null} */
  let known = null;

  /** @param {Report} report */
  function has(report) {
    return report.figures.some((figure) => figure.pictures.length > 0 || figure.remarks.length > 0);
  }

  /** Return the pictures of the runs that are shown: those of a name in a figure together. @param {Report} report */
  function groups(report) {
    const shown = view.shown();
    if (known?.shown !== shown) known = { shown, groups: report.figures.flatMap((figure) => groupsOf(report, figure, new Set(shown))) };
    return known.groups;
  }

  /** @param {Report} report @param {Figure} figure @param {Set<Index>} shown @returns {Group[]} */
  function groupsOf(report, figure, shown) {
    const pictures = figure.pictures.filter((picture) => shown.has(picture.run));
    /** @type {Map<string, Picture[]>} */
    const byName = new Map();
    for (const picture of pictures) {
      // What one run has as a PNG, another may have as a PDF only.
      const name = picture.kind === "gif" ? picture.name : stem(picture.name);
      const alike = byName.get(name);
      if (alike) alike.push(picture);
      else byName.set(name, [picture]);
    }
    const ofFigure = telling(report, pictures.map(({ run }) => run));
    const isOfOne = new Set(pictures.map(({ run }) => run)).size === 1;
    return [...byName].map(([stem, own]) => {
      const name = own.every((picture) => picture.name === own[0].name) ? own[0].name : stem;
      const columns = telling(report, own.map(({ run }) => run));
      const several = [...own].sort((one, other) => compare(columns, one.run, other.run));
      const shots = several.map((picture) => {
        const said = caption(columns.length ? columns : ofFigure.slice(0, 1), picture.run, figure.name);
        const isTold = isOfOne || (said.length > 0 && !isAlike(columns, several, picture));
        return { picture, key: keyOf(report, picture), figure, caption: isTold ? said : [...said, idOf(report, picture)] };
      });
      return { figure, name, shots };
    });
  }

  /** Return what tells a picture that has all else in common with another. @param {Report} report @param {Picture} picture @returns {[string, string]} */
  function idOf(report, picture) {
    return ["run", report.runs.ids[picture.run]];
  }

  /** Return what a picture is called in the address. @param {Report} report @param {Picture} picture */
  function keyOf(report, picture) {
    return `${report.runs.ids[picture.run]}/${picture.name}`;
  }

  /**
   * Return the columns that tell runs apart, and no more of them than it takes.
   * @param {Report} report
   * @param {Index[]} runs
   */
  function telling(report, runs) {
    const columns = report.runs.columns.filter(({ key, kind }) => kind === "param" || key === "exp" || key === "tool");
    const weight = (/** @type {Column} */ column) => {
      if (column.key === "exp" || column.key === "tool") return column.key === "exp" ? 0 : 1;
      // Seeds come last: what is alike but for them stands together.
      return (column.isSeed ? runs.length : 1) + new Set(runs.map((run) => column.values[run])).size;
    };
    /** @type {Column[]} */
    const kept = [];
    let parts = 1;
    for (const column of [...columns].sort((one, other) => weight(one) - weight(other))) {
      const refined = new Set(runs.map((run) => JSON.stringify([...kept, column].map(({ values }) => values[run])))).size;
      if (refined <= parts) continue;
      kept.push(column);
      parts = refined;
    }
    return kept;
  }

  /** @param {Column[]} columns @param {Index} one @param {Index} other */
  function compare(columns, one, other) {
    for (const { values } of columns) {
      const found = numbers.compare(values[one], values[other]);
      if (found) return found;
    }
    return one - other;
  }

  /** Tell whether other pictures have the same in all that is known. @param {Column[]} columns @param {Picture[]} several @param {Picture} picture */
  function isAlike(columns, several, picture) {
    return several.some((other) => other !== picture && columns.every(({ values }) => values[other.run] === values[picture.run]));
  }

  /**
   * Return what a picture is told by: names with values, or values that say it all.
   * @param {Column[]} columns
   * @param {Index} run
   * @param {string} figure
   * @returns {[string, string][]}
   */
  function caption(columns, run, figure) {
    /** @type {[string, string][]} */
    const said = [];
    for (const { key, label, kind, values } of columns) {
      const value = values[run];
      if (value === null) continue;
      const text = numbers.text(value);
      if (key === "exp" && figure && text.startsWith(`${figure}/`)) said.push(["", text.slice(figure.length + 1)]);
      else said.push([kind === "param" ? label : "", text]);
    }
    return said;
  }

  /** Return a caption on one line. @param {Shot} shot */
  function line(shot) {
    return shot.caption.map(([name, value]) => (name ? `${name} ${value}` : value)).join(", ");
  }

  /** Return a picture's name and caption. @param {Shot} shot */
  function whole(shot) {
    const said = line(shot);
    return said ? `${shot.picture.name}: ${said}` : shot.picture.name;
  }

  /** Return the state of a run, if it hasn't completed. @param {Report} report @param {Index} run */
  function unfinished(report, run) {
    const status = numbers.text(data.value(report, "state", run));
    return status && status !== "completed" ? status : null;
  }

  /** Make a caption. @param {Report} report @param {Shot} shot */
  function label(report, shot) {
    const { picture } = shot;
    const status = unfinished(report, picture.run);
    const parts = shot.caption.map(([name, value]) => dom.h("span", {}, name && dom.h("span", { class: "of" }, `${name} `), value));
    return [
      parts.length > 0 && dom.h("span", { class: "says" }, parts),
      status !== null && runs.badge(status),
      picture.shown !== "no" && picture.note && dom.h("span", { class: "note" }, sentence(picture.note)),
    ];
  }

  /** @param {string} text */
  function sentence(text) {
    return text.charAt(0).toUpperCase() + text.slice(1);
  }

  /**
   * Make an image that says so if it can't be shown.
   * @param {Picture} picture
   * @param {string} alt
   * @param {string | null} [source]
   */
  function image(picture, alt, source = picture.shown === "thumb" ? picture.thumb : picture.href) {
    const made = dom.h("img", {
      src: dom.safe(source),
      alt,
      width: picture.width,
      height: picture.height,
      decoding: "async",
      loading: source?.startsWith("data:") ? null : "lazy",
      class: picture.isBright ? "is-bright" : null,
      onerror: () => made.replaceWith(missing(picture, source?.startsWith("data:") ? "The browser can't show it" : "Its file isn't where it was, or the browser can't show it")),
    });
    return made;
  }

  /** Make what stands in the place of an image. @param {Picture} picture @param {string} why */
  function missing(picture, why) {
    return dom.h("span", { class: "missing" }, dom.h("span", { class: "kind" }, picture.kind.toUpperCase()), dom.h("span", {}, why));
  }

  /** Make links to a picture's file, and to those with the same picture in other forms. @param {Picture} picture @param {string} text */
  function file(picture, text) {
    const own = picture.href ? [{ kind: picture.kind, href: picture.href, text }] : [];
    const others = picture.others.map((each) => ({ ...each, text: each.kind.toUpperCase() }));
    // An SVG that is opened by itself may be a program.
    return [...own, ...others].map(({ kind, href, text }) => [dom.link(href, text, kind === "svg" ? dom.saved(`${stem(picture.name)}.svg`) : {}), " "]);
  }

  /** Return a name without its ending. @param {string} name */
  function stem(name) {
    return name.replace(/\.[^./]*$/, "");
  }

  /** @param {Report} report @param {Shot} shot */
  function tile(report, shot) {
    const { picture, key } = shot;
    const alt = whole(shot);
    const isWide = isWideOf(picture);
    if (picture.shown === "no") {
      const why = sentence(picture.note ?? "its first page isn't shown");
      return dom.h(
        "figure",
        { class: "shot" },
        dom.h("div", { class: "plate" }, missing(picture, why)),
        dom.h("figcaption", {}, label(report, shot), file(picture, "Open the file")),
      );
    }
    const open = dom.button(image(picture, alt), () => lightbox.open(key), { class: "plate", "aria-haspopup": "dialog", "data-key": key });
    const box = dom.h("input", { type: "checkbox", "aria-label": `Compare ${alt}`, onchange: () => state.put(CHOSEN, key, box.checked, 2) });
    box.checked = state.list(CHOSEN).includes(key);
    return dom.h(
      "figure",
      { class: `shot${isWide ? " is-wide" : ""}` },
      open,
      dom.h("label", { class: "pick", title: "Choose two to compare" }, box),
      dom.h("figcaption", {}, label(report, shot)),
    );
  }

  /** Tell whether a picture gets the room of two. @param {Picture} picture */
  function isWideOf({ width, height, shown }) {
    return shown !== "no" && width !== null && height !== null && width > height * WIDE;
  }

  /** @param {Report} report @param {Group} group */
  function drawGroup(report, group) {
    const tiles = dom.h("div", { class: "shots" });
    const fill = (/** @type {number} */ most) => {
      const rest = group.shots.length - most;
      const more = rest > 0 && dom.button(`Show ${rest} more`, () => fill(group.shots.length), { class: "quiet more" });
      dom.replace(tiles, group.shots.slice(0, most).map((shot) => tile(report, shot)), more);
    };
    fill(MOST);
    const made = dom.h("section", { class: "alike", "aria-label": group.name }, dom.h("h4", {}, group.name), tiles);
    // As wide as its pictures side by side: then groups stand side by side, too.
    made.style.setProperty("--count", String(group.shots.reduce((sum, { picture }) => sum + (isWideOf(picture) ? 2 : 1), 0)));
    return made;
  }

  /** @param {Report} report @param {Figure} figure @param {Group[]} own */
  function drawFigure(report, figure, own) {
    const shown = new Set(view.shown());
    const pictured = new Set(figure.pictures.map(({ run }) => run));
    const without = figure.runs.filter((run) => shown.has(run) && !pictured.has(run));
    if (own.length === 0 && without.length === 0) return null;
    const remarks = figure.remarks.map((remark) => dom.h("p", { class: "note" }, sentence(remark)));
    const title = figure.name || (report.figures.length > 1 ? "In no figure" : "");
    const count = own.reduce((sum, group) => sum + group.shots.length, 0);
    const names = without.slice(0, NAMED).map((run) => [
      " ",
      dom.button(report.runs.ids[run], () => detail.open(run), { class: "plain id", "aria-haspopup": "dialog" }),
      ` ${numbers.words(data.value(report, "state", run))}`,
    ]);
    return dom.h(
      "section",
      { class: "figure" },
      title && dom.h("h3", {}, title, dom.h("span", { class: "count" }, dom.counted(count, "picture"))),
      dom.h("div", { class: "rows" }, own.map((group) => drawGroup(report, group))),
      without.length > 0 &&
        dom.h("p", { class: "note" }, `No picture of ${dom.counted(without.length, "run")}:`, names.map((name, at) => [at > 0 && ",", name]), without.length > NAMED && ", …"),
      remarks,
    );
  }

  /** @param {HTMLElement} element @param {Report} report */
  function draw(element, report) {
    const area = dom.h("div", { class: "gallery" });
    const size = dom.segments("Size", "size", SIZES, state.get("size") ?? "m", (key) => state.set("size", key === "m" ? null : key));
    const hint = dom.h("p", { class: "note" }, "Open one for a large view, or choose two to compare them.");
    const tray = dom.h("div", { class: "tray", role: "group", "aria-label": "Chosen pictures" });
    dom.replace(element, dom.h("div", { class: "toolbar" }, hint, dom.h("span", { class: "stretch" }), size), area, tray);

    function redraw() {
      const all = groups(report);
      const drawn = report.figures.map((figure) => drawFigure(report, figure, all.filter((group) => group.figure === figure)));
      dom.replace(area, all.length === 0 && dom.h("p", { class: "nothing" }, "The runs that are shown have no pictures."), drawn);
    }
    function resize() {
      area.dataset.size = state.get("size") ?? "m";
    }
    function mark() {
      const chosen = state.list(CHOSEN);
      const shots = chosen.map((key) => find(report, key)).filter((shot) => shot !== null);
      const isOneName = new Set(shots.map(({ picture }) => picture.name)).size === 1;
      area.classList.toggle("has-chosen", shots.length > 0);
      for (const box of area.querySelectorAll("input"))
        box.checked = chosen.includes(box.closest("figure")?.querySelector("button")?.dataset.key ?? "");
      tray.hidden = shots.length === 0;
      dom.replace(
        tray,
        dom.h("p", {}, shots.map((shot, at) => [at > 0 && dom.h("span", { class: "of" }, " and "), isOneName ? line(shot) || shot.picture.name : whole(shot)]), shots.length === 1 && dom.h("span", { class: "of" }, ": choose another")),
        dom.button("Compare", () => lightbox.compare(chosen[0], chosen[1]), { class: "solid", disabled: shots.length < 2, "aria-haspopup": "dialog" }),
        dom.button("Clear", () => state.set(CHOSEN, null), { class: "quiet" }),
      );
    }
    state.on(view.KEYS, () => {
      redraw();
      mark();
    });
    state.on(["size"], resize);
    state.on([CHOSEN], mark);
    redraw();
    resize();
    mark();
  }

  /** Return a picture by what it is called in the address, whether its run is shown or not. @param {Report} report @param {string} key @returns {Shot | null} */
  function find(report, key) {
    for (const group of groups(report)) for (const shot of group.shots) if (shot.key === key) return shot;
    for (const figure of report.figures)
      for (const picture of figure.pictures)
        if (keyOf(report, picture) === key) return { picture, key, figure, caption: caption(telling(report, figure.runs), picture.run, figure.name) };
    return null;
  }

  /** Return the button of a picture. @param {string} key @returns {HTMLElement | null} */
  function button(key) {
    return document.querySelector(`.gallery [data-key="${CSS.escape(key)}"]`);
  }

  return { id: "pictures", title: "Pictures", has, draw, groups, find, telling, caption, idOf, whole, sentence, label, image, file, button, keyOf };
})();
