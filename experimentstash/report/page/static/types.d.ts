// The page's data as Python writes it, and what its scripts share. For the checker only: none of it is in the page.

/** A number; one that isn't finite is its name; null is missing. */
type Value = string | number | boolean | null;
/** A run's position in `runs.ids`. */
type Index = number;
type Better = "higher" | "lower" | null;

interface Report {
  format: number;
  title: string;
  stash: string;
  made: string;
  /** Of all times. */
  zone: string;
  command: string;
  version: string;
  runs: Runs;
  tables: Comparison[];
  figures: Figure[];
  curves: Curve[];
  bands: Band[];
  details: (Detail | null)[];
  remarks: string[];
}

interface Runs {
  count: number;
  /** What they are called in the page, each another name: of several with the same id, `id`, `id(2)` … */
  ids: string[];
  /** Their ids. */
  recorded: string[];
  columns: Column[];
}

interface Column {
  key: string;
  /** It only says which of several repetitions a run is. */
  isSeed: boolean;
  label: string;
  kind: "plain" | "param" | "metric";
  varies: boolean;
  better: Better;
  values: Value[];
  /** What each value is joined of, where a comma doesn't tell. */
  several: string[][];
}

interface Comparison {
  /** Whose runs are compared, "" of those in no figure; null: all of the page. */
  figure: string | null;
  name: string;
  columns: string[];
  metrics: { name: string; label: string; better: Better }[];
  rows: ComparisonRow[];
  caption: string;
  remarks: string[];
}

interface ComparisonRow {
  values: string[];
  cells: (Cell | null)[];
  runs: Index[];
}

interface Cell {
  text: string;
  n: number;
  middle: number | string;
  rank: 1 | 2 | null;
}

interface Figure {
  name: string;
  pictures: Picture[];
  /** All of the figure, those without a picture among them. */
  runs: Index[];
  /** On pictures of these runs that aren't here. */
  remarks: string[];
}

interface Picture {
  run: Index;
  name: string;
  kind: string;
  /** What there is to see of it. */
  shown: "thumb" | "file" | "no";
  /** Other files with the same picture. */
  others: { kind: string; href: string }[];
  thumb: string | null;
  href: string | null;
  width: number | null;
  height: number | null;
  /** It has no ground of its own, and is drawn for a dark one. */
  isBright: boolean;
  note: string | null;
  /** Where its file is, if no link leads there. */
  away: string | null;
}

/** A picture in the gallery. */
interface Shot {
  picture: Picture;
  /** What it is called in the address. */
  key: string;
  /** What tells it from others: names and values; a name may be left out. */
  caption: [string, string][];
  figure: Figure;
}

/** Pictures of the same name in a figure. */
interface Group {
  figure: Figure;
  name: string;
  shots: Shot[];
}

/** What counts: by step, epoch, time, as far as there are; the first says in which order points are. */
type Counts = Record<string, (number | null)[]>;

/** A metric of a run as it went; null: no finite number there. */
interface Curve {
  run: Index;
  metric: string;
  source: string;
  xs: Counts;
  ys: (number | null)[];
  isThinned: boolean;
  /** Why it may not be what the run has come to. */
  note: string | null;
}

/** The mean of a metric over the runs of a row of the figures' first tables, one after the other, and a deviation. */
interface Band {
  row: number;
  metric: string;
  count: number;
  xs: Counts;
  middles: (number | null)[];
  lows: (number | null)[];
  highs: (number | null)[];
  isThinned: boolean;
}

interface Detail {
  state: string;
  reason: string | null;
  used: [string, string][];
  command: string;
  config: string;
  provenance: [string, string][];
  patch: string | null;
  log: string;
  logIsCut: boolean;
  /** One that isn't `isPlain` a browser may run as a program: it is saved. */
  files: { path: string; size: number; href: string | null; isPlain: boolean }[];
  href: string | null;
  /** A page of its own, where the details are if there is nothing else of them here. */
  page: string | null;
}

/** A part of the page: `main.js` gives it a heading and a place, and draws it when it first comes near the screen. */
interface Section {
  id: string;
  title: string;
  has(report: Report): boolean;
  draw(element: HTMLElement, report: Report): void;
}

type Child = Node | string | number | null | undefined | false | Child[];
type Attribute = string | number | boolean | null | undefined | ((event: any) => void);

/** A table as it is shown: what is sorted, drawn and exported. What a cell says is asked for when it is needed. */
interface Sheet<Row> {
  columns: SheetColumn<Row>[];
  rows: Row[];
}

interface SheetColumn<Row> {
  key: string;
  label: string;
  /** What the whole name is, for a tip; the label, if it is left out. */
  title?: string;
  isNumber: boolean;
  better?: Better;
  cell(row: Row): SheetCell;
  /** What stands in a row, if that is more than the cell's text. */
  draw?(row: Row, cell: SheetCell): Child;
  /** How wide its longest text is, of many rows. */
  width?: number;
}

interface SheetCell {
  text: string;
  /** What it is sorted by, and what CSV gets, where that isn't the text. */
  value?: Value;
  /** What it is sorted by, where that isn't its value. */
  order?: Value;
  rank?: 1 | 2 | null;
  /** How many runs it is of. */
  n?: number;
}

interface TableOptions<Row> {
  label: string;
  /** The address's key for what it is sorted by. */
  sortKey: string;
  /** What stands before and behind the columns, and isn't exported. */
  lead?: Extra<Row>;
  tail?: Extra<Row>;
  /** Whether a row is marked as chosen. */
  isChosen?(row: Row): boolean;
}

interface Extra<Row> {
  label: string;
  draw(row: Row): Child;
}

/** Something that runs can be drawn along: numbers, or categories as positions in their order. */
interface Dimension {
  key: string;
  isSeed: boolean;
  label: string;
  kind: "plain" | "param" | "metric";
  /** By run; null: missing, or not finite. */
  values: (number | null)[];
  /** Those values, each once and in order. */
  distinct: number[];
  categories: string[] | null;
  min: number;
  max: number;
  /** Over so many powers of ten that a logarithmic axis suits it. */
  isWide: boolean;
  text(value: number): string;
}

interface Colouring {
  of(run: Index): string;
  /** The colour of what has no value there. */
  none: string;
  entries: { label: string; colour: string; value: number }[];
  scale: { low: string; high: string; isLog: boolean } | null;
}

/** What draws on a plot: places are in the canvas's own pixels, of which there are `ratio` to one of the page's. */
interface Pen {
  context: CanvasRenderingContext2D;
  ratio: number;
  x(value: number): number;
  y(value: number): number;
}

type Arrow = "left" | "right" | "up" | "down";

interface AxisOptions {
  range: [number, number];
  isLog: boolean;
  categories: string[] | null;
}

interface PlotOptions {
  label: string;
  height: number;
  x: AxisOptions;
  y: AxisOptions;
  paint(pen: Pen): void;
  /** Places are in the page's pixels, from the plot's corner. */
  onMove?(x: number, y: number): void;
  onLeave?(): void;
  onClick?(): void;
  onArrow?(direction: Arrow): void;
}

interface Plot {
  over(draw: ((pen: Pen) => void) | null): void;
  say(x: number | null, y?: number, ...children: Child[]): void;
  at(x: number, y: number): { x: number; y: number };
  value(x: number, y: number): { x: number; y: number };
  destroy(): void;
}

/** A line of a plot of curves. */
interface Series {
  /** The same in all plots. */
  key: string;
  label: string;
  /** What stands for it in the legend. */
  entry: string;
  source: string;
  /** The run that it is of; null: a mean. */
  run: Index | null;
  colour: string;
  xs: number[];
  ys: (number | null)[];
  lows: (number | null)[] | null;
  highs: (number | null)[] | null;
}

/** The library in `vendor/uplot`. */
declare const uPlot: new (options: any, data: any, target: HTMLElement) => any;
