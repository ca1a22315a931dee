// The plan of a hall: what never changes while seats are sold, in arrays by a seat's place in the plan.
//
// Units are a seat's width; y grows away from the stage. A plan without coordinates is laid out by order, as a hall is built: floors behind
// one another, a floor's sections beside one another, rows bent around the stage.

/** A polygon: x and y in turns. */
export type Outline = Float32Array;

export interface Section {
  /** Its id and floor, which name it together. */
  id: string;
  floor: string;
  /** Its rows, as a range of `Plan.rows`. */
  firstRow: number;
  rowCount: number;
  /** Where its name is written, and how wide it is there. */
  x: number;
  y: number;
  width: number;
  outline: Outline | null;
}

export interface Row {
  section: number;
  label: string;
  /** Its seats, as a range of the plan. Order is adjacency. */
  first: number;
  count: number;
}

/** A part of a hall without numbered seats. */
export interface Area {
  id: string;
  name: string;
  /** An index into `Plan.grades`. */
  grade: number;
  outline: Outline | null;
}

export interface Plan {
  /** The number of seats. The arrays below have this length. */
  count: number;
  ids: string[];
  numbers: string[];
  x: Float32Array;
  y: Float32Array;
  /** Indices into `rows` and `grades`. */
  row: Uint32Array;
  grade: Uint8Array;
  /** `MARK` bits. */
  marks: Uint8Array;
  rows: Row[];
  sections: Section[];
  areas: Area[];
  grades: string[];
  stage: Outline | null;
  /** Everything lies in it. */
  bounds: { x0: number; y0: number; x1: number; y1: number };
  indexOf(seatId: string): number | undefined;
}

export const MARK = { accessible: 1, companion: 2, restrictedView: 4 } as const;

/** What is particular about a seat. */
export type Mark = keyof typeof MARK;

/** Returns a seat's marks. */
export function marksOf(plan: Plan, seat: number): Mark[] {
  return (Object.keys(MARK) as Mark[]).filter((mark) => at(plan.marks, seat) & MARK[mark]);
}

/** A seat as a list of seats has it. */
export interface ListedSeat {
  seatId: string;
  section: string;
  floor: string;
  row: string;
  number: number | string;
  grade: string;
  x?: number | null;
  y?: number | null;
  accessible?: boolean | null;
  companionOf?: string | null;
  restrictedView?: boolean | null;
}

export interface Outlines {
  stage?: Outline | null;
  areas?: Area[];
  /** By floor and section, as `sectionName` joins them. */
  sections?: Map<string, Outline>;
}

export const sectionName = (floor: string, section: string) => `${floor}\n${section}`;

/** Makes a plan of seats in their order. `grades` stand from best to least. */
export function planOf(seats: ListedSeat[], grades: string[], outlines: Outlines = {}): Plan {
  const count = seats.length;
  const plan: Plan = {
    count,
    ids: seats.map((seat) => seat.seatId),
    numbers: seats.map((seat) => String(seat.number)),
    x: new Float32Array(count),
    y: new Float32Array(count),
    row: new Uint32Array(count),
    grade: new Uint8Array(count),
    marks: new Uint8Array(count),
    rows: [],
    sections: [],
    areas: outlines.areas ?? [],
    grades,
    stage: outlines.stage ?? null,
    bounds: { x0: 0, y0: 0, x1: 1, y1: 1 },
    indexOf: () => undefined,
  };
  const byId = new Map(plan.ids.map((id, index) => [id, index]));
  plan.indexOf = (id) => byId.get(id);

  let hasPlaces = count > 0 || plan.areas.some(({ outline }) => outline);
  for (const [index, seat] of seats.entries()) {
    const section = plan.sections.at(-1);
    if (!section || section.id !== seat.section || section.floor !== seat.floor) {
      const outline = outlines.sections?.get(sectionName(seat.floor, seat.section)) ?? null;
      plan.sections.push({
        id: seat.section,
        floor: seat.floor,
        firstRow: plan.rows.length,
        rowCount: 0,
        x: 0,
        y: 0,
        width: 0,
        outline,
      });
    }
    const own = plan.sections.at(-1) as Section;
    let row = plan.rows.at(-1);
    if (!row || own.rowCount === 0 || row.label !== seat.row) {
      plan.rows.push((row = { section: plan.sections.length - 1, label: seat.row, first: index, count: 0 }));
      own.rowCount += 1;
    }
    row.count += 1;
    plan.row[index] = plan.rows.length - 1;
    plan.grade[index] = Math.max(0, grades.indexOf(seat.grade));
    plan.marks[index] =
      (seat.accessible ? MARK.accessible : 0) |
      (seat.companionOf ? MARK.companion : 0) |
      (seat.restrictedView ? MARK.restrictedView : 0);
    if (typeof seat.x === "number" && typeof seat.y === "number") [plan.x[index], plan.y[index]] = [seat.x, seat.y];
    else hasPlaces = false;
  }

  if (hasPlaces) scale(plan);
  else {
    layOut(plan);
    // Seats that are laid out by order stand nowhere beside what has a place.
    plan.areas = plan.areas.map((area) => ({ ...area, outline: null }));
  }
  finish(plan);
  return plan;
}

/** Brings a plan of any unit to seats' widths: the middle of all distances between neighbours becomes 1. */
function scale(plan: Plan): void {
  const steps: number[] = [];
  for (const { first, count } of plan.rows) {
    for (let seat = first + 1; seat < first + count; seat++) {
      steps.push(Math.hypot(at(plan.x, seat) - at(plan.x, seat - 1), at(plan.y, seat) - at(plan.y, seat - 1)));
    }
  }
  steps.sort((a, b) => a - b);
  const unit = steps[steps.length >> 1] || 1;
  const shrink = (numbers: Float32Array) => numbers.forEach((number, index) => (numbers[index] = number / unit));
  shrink(plan.x);
  shrink(plan.y);
  if (plan.stage) shrink((plan.stage = plan.stage.slice()));
  for (const part of [...plan.sections, ...plan.areas]) if (part.outline) shrink((part.outline = part.outline.slice()));
}

const ROW_PITCH = 1.2;
const AISLE = 2;
const BETWEEN_BANDS = 3.5;
/** So many sections of a floor stand beside one another; of more, as many as give the hall this form. */
const ABREAST = 9;
const WIDTH_TO_DEPTH = 1.5;

/** Gives places to seats without. */
function layOut(plan: Plan): void {
  // Bands of sections that stand beside one another: a floor, or a part of a floor with many.
  const bandsOf = (abreast: number) => {
    const bands: number[][] = [];
    for (const [index, section] of plan.sections.entries()) {
      const band = bands.at(-1);
      const before = band && plan.sections[band[0] as number];
      if (band && before?.floor === section.floor && band.length < abreast) band.push(index);
      else bands.push([index]);
    }
    return bands;
  };

  const rowsOf = (index: number) => {
    const { firstRow, rowCount } = plan.sections[index] as Section;
    return plan.rows.slice(firstRow, firstRow + rowCount);
  };
  const widthOf = (index: number) => Math.max(...rowsOf(index).map((row) => row.count));
  const bandWidth = (band: number[]) => band.reduce((sum, index) => sum + widthOf(index) + AISLE, -AISLE);
  const formOf = (bands: number[][]) => {
    const depths = bands.map(
      (band) => Math.max(...band.map((index) => (plan.sections[index] as Section).rowCount)) * ROW_PITCH + BETWEEN_BANDS,
    );
    return Math.max(...bands.map(bandWidth)) / depths.reduce((sum, depth) => sum + depth, 0);
  };
  let bands = bandsOf(ABREAST);
  for (let abreast = ABREAST + 1; formOf(bands) < WIDTH_TO_DEPTH && abreast <= plan.sections.length; abreast++)
    bands = bandsOf(abreast);
  const widths = bands.map(bandWidth);
  const whole = Math.max(1, ...widths);
  // Rows bend so that the outermost seat is nearer the stage by this part of the hall's half width, squared.
  const bend = 0.22 / whole;

  let top = 0;
  for (const [number, band] of bands.entries()) {
    let left = -(widths[number] as number) / 2;
    let depth = 0;
    for (const [place, index] of band.entries()) {
      const width = widthOf(index);
      const middle = (band.length - 1) / 2;
      for (const [line, row] of rowsOf(index).entries()) {
        // The side that looks at the middle aisle is straight.
        const space = width - row.count;
        const from = left + (place < middle ? space : place > middle ? 0 : space / 2) + 0.5;
        for (let seat = 0; seat < row.count; seat++) {
          const x = from + seat;
          plan.x[row.first + seat] = x;
          plan.y[row.first + seat] = top + line * ROW_PITCH - bend * x * x;
        }
        depth = Math.max(depth, (line + 1) * ROW_PITCH);
      }
      left += width + AISLE;
    }
    top += depth + BETWEEN_BANDS;
  }

  const wide = Math.min(0.62 * whole, whole - 2) / 2;
  const edge = -bend * wide * wide - 2.6;
  plan.stage = new Float32Array([-wide, edge - 4.4, wide, edge - 4.4, wide * 0.94, edge, -wide * 0.94, edge]);
}

function finish(plan: Plan): void {
  const bounds = { x0: Infinity, y0: Infinity, x1: -Infinity, y1: -Infinity };
  const add = (x: number, y: number, room: number) => {
    bounds.x0 = Math.min(bounds.x0, x - room);
    bounds.y0 = Math.min(bounds.y0, y - room);
    bounds.x1 = Math.max(bounds.x1, x + room);
    bounds.y1 = Math.max(bounds.y1, y + room);
  };
  for (let seat = 0; seat < plan.count; seat++) add(at(plan.x, seat), at(plan.y, seat), 1);
  const outlines = [plan.stage, ...[...plan.sections, ...plan.areas].map(({ outline }) => outline)];
  for (const outline of outlines)
    for (let i = 0; outline && i < outline.length; i += 2) add(at(outline, i), at(outline, i + 1), 0.5);
  if (bounds.x0 < bounds.x1) plan.bounds = bounds;

  for (const section of plan.sections) {
    let [x, y, seats, left, right] = [0, 0, 0, Infinity, -Infinity];
    for (const row of plan.rows.slice(section.firstRow, section.firstRow + section.rowCount)) {
      for (let seat = row.first; seat < row.first + row.count; seat++) {
        x += at(plan.x, seat);
        y += at(plan.y, seat);
        seats += 1;
        [left, right] = [Math.min(left, at(plan.x, seat)), Math.max(right, at(plan.x, seat))];
      }
    }
    [section.x, section.y, section.width] = [x / seats, y / seats, right - left + 1];
  }
}

/** Whether a place is within an outline: a line from it to the right crosses the edge an odd number of times. */
export function isWithin(outline: Outline, x: number, y: number): boolean {
  let isIn = false;
  for (let i = 0, j = outline.length - 2; i < outline.length; j = i, i += 2) {
    const [x0, y0, x1, y1] = [at(outline, j), at(outline, j + 1), at(outline, i), at(outline, i + 1)];
    if (y0 > y !== y1 > y && x < x0 + ((y - y0) / (y1 - y0)) * (x1 - x0)) isIn = !isIn;
  }
  return isIn;
}

/** Reads an array where there surely is something. */
export function at(array: ArrayLike<number>, index: number): number {
  return array[index] as number;
}

/** Returns the seats nearest to one among those that `isFree` says, nearest first; of the same grade before others. */
export function nearestFree(plan: Plan, seat: number, isFree: (seat: number) => boolean, most: number): number[] {
  const far = (other: number) => {
    const apart = Math.hypot(at(plan.x, other) - at(plan.x, seat), at(plan.y, other) - at(plan.y, seat));
    return apart + (plan.grade[other] === plan.grade[seat] ? 0 : 1_000);
  };
  const found: { other: number; apart: number }[] = [];
  for (let other = 0; other < plan.count; other++) {
    if (other === seat || !isFree(other)) continue;
    const apart = far(other);
    if (found.length < most || apart < (found.at(-1)?.apart ?? Infinity)) {
      found.push({ other, apart });
      found.sort((a, b) => a.apart - b.apart);
      found.length = Math.min(found.length, most);
    }
  }
  return found.map(({ other }) => other);
}
