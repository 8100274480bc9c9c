/** Light and dark: the system's, or what was chosen here. */
const theme = (() => {
  const KEY = "experimentstash-theme";
  const system = matchMedia("(prefers-color-scheme: dark)");
  /** @type {(() => void)[]} */
  const listeners = [];
  /** @type {string | null} */
  let chosen = null;
  let isPrinting = false;

  function prepare() {
    chosen = state.get("theme") ?? stored();
    show();
    system.addEventListener("change", show);
    addEventListener("beforeprint", () => print(true));
    addEventListener("afterprint", () => print(false));
    state.on(["theme"], () => {
      chosen = state.get("theme") ?? chosen;
      show();
    });
  }

  function stored() {
    try {
      return localStorage.getItem(KEY);
    } catch {
      return null; // a browser that keeps nothing for files
    }
  }

  /** @param {string | null} name */
  function store(name) {
    try {
      if (name === null) localStorage.removeItem(KEY);
      else localStorage.setItem(KEY, name);
    } catch {
      // It holds for as long as the page is open.
    }
  }

  /** Tell whether what is shown is dark. */
  function isDark() {
    return !isPrinting && (chosen === "dark" || (chosen !== "light" && system.matches));
  }

  /** Paper is light, and what is drawn on a canvas is drawn for it. @param {boolean} isNow */
  function print(isNow) {
    isPrinting = isNow;
    show();
  }

  function show() {
    document.documentElement.dataset.theme = isDark() ? "dark" : "light";
    listeners.forEach((call) => call());
  }

  /** Show the other one; the system's own isn't remembered. */
  function toggle() {
    const wanted = isDark() ? "light" : "dark";
    chosen = (wanted === "dark") === system.matches ? null : wanted;
    store(chosen);
    state.set("theme", null);
    show();
  }

  /** Make the switch. */
  function button() {
    const sign = dom.icon("M8 1.75a6.25 6.25 0 1 0 0 12.5zM8 1.75a6.25 6.25 0 0 1 0 12.5");
    const made = dom.button(sign, toggle, { class: "quiet square", "aria-label": "Dark theme", title: "Light or dark" });
    const mark = () => made.setAttribute("aria-pressed", String(isDark()));
    onChange(mark);
    mark();
    return made;
  }

  /** Call a function when the theme changes: what is drawn on a canvas is drawn anew. @param {() => void} call */
  function onChange(call) {
    listeners.push(call);
  }

  return { prepare, isDark, isForPaper: () => isPrinting, button, onChange };
})();
