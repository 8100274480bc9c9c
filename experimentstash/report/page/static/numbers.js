/** Numbers and values as text: alike in every locale, and as exact as a column needs. */
const numbers = (() => {
  const SHOWN = 4; // significant digits
  const LONGEST = 1e6; // from here on, and as far below 1, powers of ten are easier to read
  /** What is shown of a value that isn't there; Python says it in comparisons, too. */
  const ABSENT = "–";
  const natural = new Intl.Collator("en", { numeric: true });

  /**
   * Return what writes the numbers of a column, with as many decimals for each as the column needs.
   * @param {Iterable<Value>} values
   * @returns {(value: Value) => string}
   */
  function format(values) {
    let decimals = 0;
    let isWide = false;
    for (const value of values) {
      if (typeof value !== "number" || Number.isInteger(value)) continue;
      const size = Math.floor(Math.log10(Math.abs(value)));
      if (Math.abs(value) >= LONGEST || size < -4) isWide = true;
      else decimals = Math.max(decimals, Math.min(SHOWN - 1 - size, exact(value)));
    }
    decimals = Math.min(Math.max(decimals, 0), 6);
    return (value) => {
      if (typeof value !== "number") return text(value);
      if (Number.isInteger(value) && decimals === 0 && Math.abs(value) < 1e15) return String(value);
      if (isWide && value !== 0) return compact(value);
      return value.toFixed(decimals);
    };
  }

  /** Return how many decimals a number has. @param {number} value */
  function exact(value) {
    const [digits, power] = String(value).split("e");
    return Math.max(0, (digits.split(".")[1] ?? "").length - Number(power ?? 0));
  }

  /** Return a number with few digits, which never looks more exact than it is. @param {number} value */
  function compact(value) {
    const rounded = Number(value.toPrecision(SHOWN));
    if (rounded === value || Math.abs(value) < 10 ** SHOWN) return String(rounded);
    return power(value, SHOWN);
  }

  /** Return a number by a power of ten, as short as it can be. @param {number} value @param {number} digits */
  function power(value, digits) {
    return value.toExponential(digits - 1).replace(/\.?0+e/, "e").replace("e+", "e");
  }

  /** Return a value as it is said. @param {Value | undefined} value */
  function text(value) {
    return value === null || value === undefined ? "" : String(value);
  }

  /** Return a name as words, such as that of a state. @param {Value | undefined} value */
  function words(value) {
    return text(value).replace(/_/g, " ");
  }

  /** Return seconds as they are said: 41 s, 3 min 20 s, 2 h 05 min. @param {number} seconds */
  function duration(seconds) {
    if (seconds < 10) return `${Number(seconds.toFixed(1))} s`;
    const whole = Math.round(seconds);
    const two = (/** @type {number} */ part) => String(part).padStart(2, "0");
    if (whole < 60) return `${whole} s`;
    if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
    if (whole < 86400) return `${Math.floor(whole / 3600)} h ${two(Math.floor(whole / 60) % 60)} min`;
    return `${Math.floor(whole / 86400)} d ${two(Math.floor(whole / 3600) % 24)} h`;
  }

  /** Return a moment without seconds, in the zone that it is given in: that of all the page. @param {string} iso */
  function moment(iso) {
    return iso.slice(0, 16).replace("T", " ");
  }

  /** Return the size of a file. @param {number} bytes */
  function size(bytes) {
    const units = ["B", "kB", "MB", "GB", "TB"];
    let at = 0;
    let value = bytes;
    while (value >= 1000 && at < units.length - 1) {
      value /= 1000;
      at += 1;
    }
    return `${at === 0 ? value : value.toFixed(value < 10 ? 1 : 0)} ${units[at]}`;
  }

  /**
   * Compare values for sorting: numbers by what they are, text as people count, NaN behind, what is missing last.
   * @param {Value | undefined} one
   * @param {Value | undefined} other
   */
  function compare(one, other) {
    const ranks = [rank(one), rank(other)];
    if (ranks[0] !== ranks[1]) return ranks[0] - ranks[1];
    if (ranks[0] === 0) return Number(one) - Number(other) || 0;
    return ranks[0] === 2 ? 0 : natural.compare(String(one), String(other));
  }

  /** @param {Value | undefined} value */
  function rank(value) {
    if (typeof value === "number" || value === "Infinity" || value === "-Infinity") return 0;
    if (value === null || value === undefined || value === "") return 4;
    return value === "NaN" ? 2 : 1;
  }

  return { ABSENT, format, power, text, words, duration, moment, size, compare };
})();
