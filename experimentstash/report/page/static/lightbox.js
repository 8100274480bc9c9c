/** A picture as large as the window, and two of them side by side, blinking at the same place, or one over the other. */
const lightbox = (() => {
  const WAYS = [["side", "Side by side"], ["blink", "Blink"], ["slide", "Slider"]];
  /** Milliseconds for which each is seen: never more than three changes in a second. */
  const PACES = [["1500", "Slow"], ["800", "Medium"], ["400", "Fast"]];
  const USUAL_PACE = "800";
  const LARGEST = 2; // times its own size
  const calm = matchMedia("(prefers-reduced-motion: reduce)");

  /** @type {Report} */
  let report;
  /** @type {ReturnType<typeof dom.dialog>} */
  let one;
  /** @type {ReturnType<typeof dom.dialog>} */
  let two;
  /** What was shown last, to go back to in the gallery. @type {string | null} */
  let last = null;
  /** @type {boolean | null} */
  let isPlaying = null;
  let timer = 0;

  /** @param {Report} loaded */
  function prepare(loaded) {
    report = loaded;
    one = dom.dialog("lightbox", () => state.close("pic"));
    two = dom.dialog("lightbox pair", () => state.close("pair"));
    one.element.addEventListener("keydown", steer);
    two.element.addEventListener("keydown", steerTwo);
    state.on(["pic"], update);
    state.on(["pair", "way", "pace"], updateTwo);
    state.on(view.KEYS, () => one.element.open && update());
  }

  /** Show a picture; Back closes it. @param {string} key */
  function open(key) {
    state.open("pic", key);
  }

  /** Show two pictures; Back closes them. @param {string} first @param {string} second */
  function compare(first, second) {
    isPlaying = null;
    state.open("pair", state.joined([first, second]));
  }

  /** Return what of a window has the focus, or null. @param {typeof one} shown */
  function focused(shown) {
    const active = document.activeElement;
    return active instanceof HTMLElement && shown.element.contains(active) ? (active.dataset.name ?? null) : null;
  }

  /** Give the focus to a part of a window, if it can have it. @param {typeof one} shown @param {string | null} name */
  function focus(shown, name) {
    /** @type {HTMLElement | null} */
    const part = name === null ? null : shown.element.querySelector(`[data-name="${name}"]:not(:disabled)`);
    part?.focus();
    return part !== null;
  }

  // --- one -------------------------------------------------------------------------------------------------------

  function update() {
    const key = state.get("pic");
    const shot = key === null ? null : gallery.find(report, key);
    if (shot === null) {
      if (!one.element.open) return;
      one.element.close();
      if (last !== null) gallery.button(last)?.focus();
      return;
    }
    last = key;
    draw(shot);
    if (!one.show()) return;
    focus(one, "Next") || focus(one, "Previous");
  }

  /** Return all pictures in the order of the gallery that can be seen. @returns {Shot[]} */
  function order() {
    return gallery.groups(report).flatMap((group) => group.shots).filter((shot) => shot.picture.shown !== "no");
  }

  /** Return the picture so many places further on, if there is one. @param {number} by */
  function beside(by) {
    const all = order();
    const at = all.findIndex((shot) => shot.key === state.get("pic"));
    return at < 0 ? null : (all[at + by] ?? null);
  }

  /** Return the next picture of the same run, if there is one. @param {number} by */
  function below(by) {
    const all = order();
    const at = all.find((shot) => shot.key === state.get("pic"));
    const own = all.filter((shot) => shot.picture.run === at?.picture.run);
    return at ? (own[own.indexOf(at) + by] ?? null) : null;
  }

  /** @param {Shot | null} shot */
  function go(shot) {
    if (shot === null) return;
    state.set("pic", shot.key);
    dom.announce(gallery.whole(shot));
  }

  /** @param {Shot} shot */
  function draw(shot) {
    const { picture } = shot;
    const all = order();
    const at = all.findIndex((each) => each.key === shot.key);
    const held = focused(one);
    const next = all[at + 1] ?? all[at - 1];
    dom.replace(one.heading, dom.h("span", { class: "name" }, picture.name), dom.h("span", { class: "tells" }, gallery.label(report, shot)));
    dom.replace(
      one.tools,
      at >= 0 && dom.h("span", { class: "note" }, `${at + 1} of ${all.length}`),
      dom.button("Run", () => detail.open(picture.run), { class: "quiet", "aria-haspopup": "dialog", title: `The run ${report.runs.ids[picture.run]}` }),
      at >= 0 && next && dom.button("Compare", () => compare(shot.key, next.key), { class: "quiet", "aria-haspopup": "dialog", title: "Compare with the next picture (b)" }),
      dom.steps("picture", (by) => beside(by) !== null, (by) => go(beside(by))),
    );
    const size = picture.width && picture.height && picture.kind !== "pdf" ? `${picture.width} × ${picture.height} pixels${picture.href === null ? " in the file" : ""}` : "";
    const words = picture.kind === "pdf" ? "The first page" : size;
    dom.replace(
      one.body,
      dom.h("div", { class: "stage" }, large(picture, gallery.whole(shot))),
      dom.h("p", { class: "note foot" }, words, gallery.file(picture, "Open the file")),
    );
    if (!focus(one, held) && held !== null) focus(one, held === "Next" ? "Previous" : "Next");
  }

  /**
   * Make a picture from its file, and as long as that isn't there from its thumbnail.
   * @param {Picture} picture
   * @param {string} alt
   */
  function large(picture, alt) {
    const isItself = picture.thumb?.startsWith("data:image/svg") ?? false;
    const isFile = picture.href !== null && picture.kind !== "pdf" && !isItself;
    const image = gallery.image(picture, alt);
    // What has pixels isn't blown up.
    const bound = (/** @type {number} */ width) => image.style.setProperty("--most", `${width * LARGEST}px`);
    if (picture.width && picture.height) {
      image.style.setProperty("--ratio", String(picture.width / picture.height));
      if (picture.kind !== "svg") bound(picture.width);
    }
    const plate = dom.h("span", { class: "sheet" }, image);
    const say = (/** @type {string} */ where) => plate.append(dom.h("span", { class: "note" }, `A thumbnail: ${where}.`));
    if (isFile && picture.thumb !== null) {
      const full = new Image();
      full.addEventListener("load", () => {
        image.src = full.src;
      });
      full.addEventListener("error", () => {
        bound(image.naturalWidth);
        say("the file itself isn't where it was");
      });
      full.src = dom.safe(picture.href) ?? "";
    } else if (picture.thumb !== null && picture.href === null && !isItself) {
      image.addEventListener("load", () => bound(image.naturalWidth));
      say(picture.away ?? "no link leads to the file itself");
    }
    return plate;
  }

  /** @param {KeyboardEvent} event */
  function steer(event) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key === "ArrowRight") go(beside(1));
    else if (event.key === "ArrowLeft") go(beside(-1));
    else if (event.key === "ArrowDown") go(below(1));
    else if (event.key === "ArrowUp") go(below(-1));
    else if (event.key === "b") {
      const next = beside(1) ?? beside(-1);
      if (next === null) return;
      state.set("way", "blink");
      compare(state.get("pic") ?? "", next.key);
    } else return;
    event.preventDefault();
  }

  // --- two -------------------------------------------------------------------------------------------------------

  function updateTwo() {
    clearInterval(timer);
    const shots = state.list("pair").map((key) => gallery.find(report, key));
    const [first, second] = shots;
    if (!first || !second) {
      two.element.close();
      return;
    }
    drawTwo(first, second);
    if (!two.show()) return;
    focus(two, `way-of-pair ${way()}`);
  }

  /** Return how two pictures are compared. */
  function way() {
    const asked = state.get("way");
    return WAYS.some(([key]) => key === asked) ? asked : "side";
  }

  /** @param {Shot} first @param {Shot} second */
  function drawTwo(first, second) {
    const pair = [first, second];
    const columns = gallery.telling(report, pair.map(({ picture }) => picture.run));
    const isOneName = first.picture.name === second.picture.name;
    const figure = first.figure === second.figure ? first.figure.name : "";
    const told = pair.map((shot) => {
      const caption = gallery.caption(columns, shot.picture.run, figure);
      return { ...shot, caption: columns.length === 0 && isOneName ? [gallery.idOf(report, shot.picture)] : caption };
    });
    const held = focused(two);
    dom.replace(two.heading, isOneName ? dom.h("span", { class: "name" }, first.picture.name) : "Two pictures");
    dom.replace(two.tools, dom.segments("How they are compared", "way-of-pair", WAYS, way() ?? "side", (key) => state.set("way", key === "side" ? null : key)));
    const frames = told.map((shot, at) =>
      dom.h(
        "figure",
        { class: "frame", "data-at": at },
        dom.h("figcaption", {}, !isOneName && dom.h("span", { class: "name" }, shot.picture.name), gallery.label(report, shot)),
        dom.h("div", { class: "stage" }, large(shot.picture, gallery.whole(shot))),
      ),
    );
    const stage = dom.h("div", { class: `two-up is-${way()}` }, frames);
    const sizes = pair.map(({ picture }) => `${picture.width} × ${picture.height}`);
    const differ = sizes[0] !== sizes[1] && first.picture.width && second.picture.width;
    dom.replace(
      two.body,
      stage,
      dom.h("div", { class: "foot" }, way() === "blink" && blink(stage, frames), way() === "slide" && slide(stage), differ && dom.h("p", { class: "note" }, `They differ in size: ${sizes.join(" and ")} pixels.`)),
    );
    focus(two, held?.startsWith("way-of-pair ") ? `way-of-pair ${way()}` : held);
  }

  /** Show one after the other at the same place. @param {HTMLElement} stage @param {HTMLElement[]} frames */
  function blink(stage, frames) {
    let at = 0;
    const pace = PACES.some(([key]) => key === state.get("pace")) ? String(state.get("pace")) : USUAL_PACE;
    const show = () => {
      frames.forEach((frame, place) => {
        frame.classList.toggle("is-on", place === at);
        frame.setAttribute("aria-hidden", String(place !== at));
      });
    };
    const turn = () => {
      at = 1 - at;
      show();
    };
    const play = () => {
      clearInterval(timer);
      // Nothing blinks for somebody who wants less motion, unless they ask for it.
      isPlaying ??= !calm.matches;
      if (isPlaying) timer = setInterval(turn, Number(pace));
      dom.replace(button, isPlaying ? "Pause" : "Play");
    };
    const button = dom.button("", () => {
      isPlaying = !isPlaying;
      play();
    }, { class: "quiet play", "data-name": "play" });
    stage.addEventListener("click", () => {
      isPlaying = false;
      turn();
      play();
    });
    show();
    play();
    return [button, dom.button("Turn", () => stage.click(), { class: "quiet", title: "Show the other one (space)", "data-name": "turn" }), dom.segments("Pace", "pace-of-pair", PACES, pace, (key) => state.set("pace", key === USUAL_PACE ? null : key))];
  }

  /** Show one over the other, up to a line that can be moved. @param {HTMLElement} stage */
  function slide(stage) {
    const slider = dom.h("input", { type: "range", min: "0", max: "100", value: "50", "aria-label": "How much of the first one is seen", "data-name": "slider" });
    const move = () => stage.style.setProperty("--cut", `${slider.value}%`);
    slider.addEventListener("input", move);
    move();
    return slider;
  }

  /** @param {KeyboardEvent} event */
  function steerTwo(event) {
    const target = /** @type {HTMLElement} */ (event.target);
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key === "b") state.set("way", way() === "blink" ? null : "blink");
    else if (event.key === " " && way() === "blink" && !target.closest("button, input")) /** @type {HTMLElement | null} */ (two.body.querySelector(".two-up"))?.click();
    else return;
    event.preventDefault();
  }

  return { prepare, open, compare };
})();
