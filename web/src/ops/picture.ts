// The seats as the map shows them here: a seat's form and colour are its status, not its grade; and they are those of now or of an earlier
// instant. Seats of an allotment, which others see blocked, have a form of their own.
import { signal } from "@preact/signals";
import { BLOCKED, FREE, RESERVED, type Seats } from "../map/feed";
import { type Drawing, inkOn, SIZE } from "../map/painter";

/** Behind the statuses of the API: a seat that is left in an allotment. */
export const ALLOTTED = 4;

/** A status' colours by its number, for light and for dark pages; `ops.css` has the same. */
export const COLOURS = {
  light: ["#d9d4c7", "#d98e04", "#1f7a4d", "#45413a", "#2f5fa8"],
  dark: ["#4b4841", "#f0b445", "#45b983", "#cdc7ba", "#8fb4f0"],
};

/** The width of a line, of a seat's unit. */
const LINE = 0.14;

/** The forms of the statuses, which the legend has, too: a free seat is empty, one that is held is filled in part, a sold one is full, one that
 * isn't on sale is crossed out, and one that is set aside has a diamond in it. */
export const DRAWING: Drawing = {
  draw(context, status, look, box) {
    context.fillStyle = context.strokeStyle = status === FREE ? look.taken : (look.grades[status] ?? look.ink);
    context.lineWidth = LINE;
    if (status === RESERVED) {
      box(SIZE);
      return context.fill();
    }
    if (status === BLOCKED) {
      context.beginPath();
      for (const [x, y] of [
        [0.24, 0.24],
        [0.24, 0.76],
      ] as const) {
        context.moveTo(x, y);
        context.lineTo(1 - x, 1 - y);
      }
      return context.stroke();
    }
    box(SIZE - LINE);
    context.stroke();
    if (status === FREE) return;
    if (status === ALLOTTED) {
      context.beginPath();
      for (const [x, y] of [
        [0.5, 0.26],
        [0.74, 0.5],
        [0.5, 0.74],
        [0.26, 0.5],
      ] as const)
        context.lineTo(x, y);
      return context.fill();
    }
    context.save();
    context.clip();
    context.fillRect(0, 0.62, 1, 1);
    context.restore();
  },
  ink: (status, look) => (status === BLOCKED || status === ALLOTTED ? null : status === RESERVED ? inkOn(look.grades[status] ?? look.ink) : look.ink),
};

/** A map whose picture can be set to what was. */
export interface Picture {
  /** Every seat is drawn as a free one of a "grade" that is its status: so the map of the storefront draws statuses. */
  seats: Seats;
  /** The status of a seat as it is shown. */
  statusOf(seat: number): number;
  /** How many seats have each status. */
  counts(): number[];
  /** Shows an earlier instant; null for the present. */
  show(past: Uint8Array | null): void;
  /** Says which seats belong to allotments. Of an earlier instant that isn't known: they are blocked there. */
  allot(seats: ReadonlySet<number>): void;
  end(): void;
}

export function pictureOf(live: Seats, names: string[]): Picture {
  const shown = live.status.slice();
  // Areas are counted in a table; on the map they are a ground of no status.
  const areas = live.plan.areas.map((area) => ({ ...area, grade: FREE }));
  const plan = { ...live.plan, grade: shown, grades: names, areas };
  const version = signal(0);
  const listeners = new Set<(changed: number[] | null) => void>();
  let past: Uint8Array | null = null;
  let allotted: ReadonlySet<number> = new Set();

  const statusOf = (seat: number) => {
    const status = (past ?? live.status)[seat] as number;
    return status === BLOCKED && past === null && allotted.has(seat) ? ALLOTTED : status;
  };
  const draw = (seats: number[] | null) => {
    if (seats) for (const seat of seats) shown[seat] = statusOf(seat);
    else for (let seat = 0; seat < shown.length; seat++) shown[seat] = statusOf(seat);
    version.value += 1;
    for (const listener of listeners) listener(seats);
  };
  /** Draws what isn't as it is to be. */
  const drawOther = () => {
    const changed: number[] = [];
    for (let seat = 0; seat < shown.length; seat++) if (shown[seat] !== statusOf(seat)) changed.push(seat);
    if (changed.length > 0) draw(changed.length > shown.length / 4 ? null : changed);
  };
  const stop = live.onChange((changed) => {
    if (past === null) draw(changed);
  });
  return {
    seats: {
      plan,
      status: new Uint8Array(plan.count),
      areas: live.areas,
      version,
      isLive: live.isLive,
      onChange(listener) {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
      open: () => () => {},
    },
    statusOf: (seat) => shown[seat] as number,
    counts() {
      const counts = names.map(() => 0);
      for (const status of shown) counts[status]! += 1;
      return counts;
    },
    show(then) {
      past = then;
      drawOther();
    },
    allot(seats) {
      allotted = seats;
      drawOther();
    },
    end: stop,
  };
}
