/** What makes a view, kept in the page's address so that a view can be sent. */
const state = (() => {
  /** @type {Map<string, string>} */
  let values = read();
  /** @type {{ keys: string[], call: () => void }[]} */
  const listeners = [];
  let writing = 0;

  function read() {
    /** @type {Map<string, string>} */
    const found = new Map();
    for (const pair of location.hash.slice(1).split("&")) {
      const [key, ...rest] = pair.split("=");
      if (rest.length) found.set(decoded(key), decoded(rest.join("=")));
    }
    return found;
  }

  /** @param {string} text */
  function decoded(text) {
    try {
      return decodeURIComponent(text);
    } catch {
      return text; // an address that somebody typed
    }
  }

  /** Return the address's part after #, as readable as it can be. */
  function address() {
    const kept = (/** @type {string} */ text) =>
      encodeURIComponent(text).replace(/%(2F|2C|3A|40|3D)/g, (escape) => decodeURIComponent(escape));
    return `#${[...values].map(([key, value]) => `${kept(key)}=${kept(value)}`).join("&")}`;
  }

  /** @param {"pushState" | "replaceState"} how @param {unknown} mark */
  function write(how, mark) {
    clearTimeout(writing);
    writing = 0;
    try {
      history[how](mark, "", values.size ? address() : location.pathname + location.search);
    } catch {
      // A page inside another may have no address of its own: the view is kept all the same.
    }
  }

  /** Write what has changed, but not at each letter that is typed: browsers refuse that. */
  function writeSoon() {
    if (!writing) writing = setTimeout(() => write("replaceState", history.state), 120);
  }

  /** Keep a value; tell whether it is another. @param {string} key @param {string | null} value */
  function keep(key, value) {
    if ((values.get(key) ?? null) === value) return false;
    if (value === null) values.delete(key);
    else values.set(key, value);
    return true;
  }

  /** @param {string[]} changed */
  function tell(changed) {
    const left = new Set(listeners);
    for (const key of changed)
      for (const each of left)
        if (each.keys.includes(key)) {
          left.delete(each);
          each.call();
        }
  }

  /** Return what a key is set to, or null. @param {string} key */
  function get(key) {
    return values.get(key) ?? null;
  }

  /** Set a key; null removes it. @param {string} key @param {string | null} value */
  function set(key, value) {
    if (!keep(key, value)) return;
    writeSoon();
    tell([key]);
  }

  /** Return several values of a key. @param {string} key @returns {string[]} */
  function list(key) {
    const text = get(key);
    return text === null ? [] : text.split(",").map(decoded);
  }

  /** Return several values as `list` reads them. @param {string[]} items */
  function joined(items) {
    return items.map((item) => item.replace(/[%,]/g, encodeURIComponent)).join(",");
  }

  /** Set several values of a key. @param {string} key @param {string[]} items */
  function setList(key, items) {
    set(key, items.length ? joined(items) : null);
  }

  /**
   * Put one of several values in, behind the others, or take it out.
   * @param {string} key
   * @param {string} item
   * @param {boolean} isIn
   * @param {number} [most] how many there may be; then the first are let go
   */
  function put(key, item, isIn, most = Infinity) {
    const others = list(key).filter((each) => each !== item);
    setList(key, isIn ? [...others, item].slice(-most) : others);
  }

  /**
   * Open something that Back closes.
   * @param {string} key
   * @param {string} value
   */
  function open(key, value) {
    if (writing) write("replaceState", history.state);
    const isNew = keep(key, value);
    // The last in the address lies over the others.
    values.delete(key);
    values.set(key, value);
    write(isNew ? "pushState" : "replaceState", isNew ? { opened: key } : history.state);
    tell([key]);
  }

  /** Close what was opened, as Back does. @param {string} key */
  function close(key) {
    if (get(key) === null) return;
    if (writing) write("replaceState", history.state);
    if (history.state?.opened === key) history.back();
    else set(key, null);
  }

  /** Call a function when one of some keys changes. @param {string[]} keys @param {() => void} call */
  function on(keys, call) {
    listeners.push({ keys, call });
  }

  function follow() {
    const before = values;
    values = read();
    const gone = [...before.keys()].filter((key) => !values.has(key));
    tell([...gone, ...values.keys()].filter((key) => before.get(key) !== values.get(key)));
  }

  /** Call those who listen to some keys for the first time, in the order in which the address has these. @param {string[]} keys */
  function begin(keys) {
    tell([...values.keys()].filter((key) => keys.includes(key)));
  }
  addEventListener("popstate", follow);
  addEventListener("hashchange", follow);

  return { get, set, list, joined, setList, put, open, close, on, begin };
})();
