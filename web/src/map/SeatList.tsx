// The seats as a list and a grid, for everyone who doesn't use the picture: first the sections, then the rows of one.
//
// The grid is one stop of the tab key; arrows, Home and End, Page Up and Page Down move in it, Enter and Space choose.
import { type ReadonlySignal, type Signal, useComputed, useSignal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { FREE, type Seats } from "./feed";
import { type Choice, isMeant } from "./painter";
import { at, type Mark, marksOf, type Plan, type Row } from "./plan";
import type { Sight } from "./SeatMap";

export interface SeatListTexts {
  sections: string;
  /** A section's line: how many are free, from which price. */
  free: (free: number, from: string | null) => string;
  back: string;
  gridOf: (section: string) => string;
  gridHelp: string;
  row: (label: string) => string;
  /** All that is said of a seat. */
  seat: (seat: {
    row: string;
    number: string;
    grade: string;
    price: string;
    state: "free" | "taken" | "chosen";
    marks: Mark[];
  }) => string;
}

interface SectionLine {
  index: number;
  name: string;
  free: number;
  from: number | null;
}

function sectionLines(
  seats: Seats,
  prices: number[],
  nameOf: (floor: string, section: string) => string,
  choice: Choice,
): SectionLine[] {
  const { plan, status } = seats;
  const lines = plan.sections.map((section, index) => {
    let free = 0;
    let from: number | null = null;
    for (const row of plan.rows.slice(section.firstRow, section.firstRow + section.rowCount)) {
      for (let seat = row.first; seat < row.first + row.count; seat++) {
        if (status[seat] !== FREE || !isMeant(plan, seat, choice)) continue;
        free += 1;
        const price = prices[at(plan.grade, seat)] ?? 0;
        from = from === null ? price : Math.min(from, price);
      }
    }
    return { index, name: nameOf(section.floor, section.id), free, from };
  });
  // Who looks for a few seats isn't led to sections without one.
  return choice.marks ? lines.filter(({ free }) => free > 0) : lines;
}

export function SeatList(props: {
  seats: Seats;
  choice: ReadonlySignal<Choice>;
  /** By a grade's place in the plan. */
  prices: number[];
  price: (minor: number) => string;
  nameOf: (floor: string, section: string) => string;
  /** What the map shows: the section that is opened, and the seat that has the focus. */
  sight: Signal<Sight>;
  /** The seat that has the focus. */
  pointed: Signal<number | null>;
  onPick: (seat: number) => void;
  texts: SeatListTexts;
}) {
  const { seats, texts } = props;
  const open = useSignal<number | null>(null);
  const list = useRef<HTMLUListElement>(null);
  const lines = useComputed(() => {
    void seats.version.value;
    return sectionLines(seats, props.prices, props.nameOf, props.choice.value);
  });
  const section = open.value === null ? null : seats.plan.sections[open.value];

  if (section && open.value !== null) {
    const was = open.value;
    return (
      <div class="section-open">
        <button
          type="button"
          class="back"
          onClick={() => {
            open.value = null;
            props.sight.value = null;
            // Focus goes back to the section that one came from.
            requestAnimationFrame(() => list.current?.querySelector<HTMLElement>(`[data-section="${was}"]`)?.focus());
          }}
        >
          <span aria-hidden="true">← </span>
          {texts.back}
        </button>
        <h3>{props.nameOf(section.floor, section.id)}</h3>
        <SeatGrid {...props} section={was} />
      </div>
    );
  }
  return (
    <ul class="sections" ref={list} aria-label={texts.sections}>
      {lines.value.map((line) => (
        <li key={line.index}>
          <button
            type="button"
            data-section={line.index}
            onClick={() => {
              open.value = line.index;
              props.sight.value = { section: line.index };
            }}
          >
            <span class="section-name">{line.name}</span>{" "}
            <span class="soft">{texts.free(line.free, line.from === null ? null : props.price(line.from))}</span>
          </button>
        </li>
      ))}
    </ul>
  );
}

function SeatGrid(props: Parameters<typeof SeatList>[0] & { section: number }) {
  const { seats, texts } = props;
  const { plan, status } = seats;
  const grid = useRef<HTMLDivElement>(null);
  const section = plan.sections[props.section]!;
  const rows = plan.rows.slice(section.firstRow, section.firstRow + section.rowCount);
  const current = useSignal(firstFree(plan, status, rows, props.choice.peek()));
  void seats.version.value;
  const { chosen } = props.choice.value;

  useEffect(() => {
    grid.current?.querySelector<HTMLElement>('[tabindex="0"]')?.focus();
  }, []);

  const goTo = (seat: number) => {
    current.value = seat;
    requestAnimationFrame(() => grid.current?.querySelector<HTMLElement>(`[data-seat="${seat}"]`)?.focus());
  };

  const onKeyDown = (event: KeyboardEvent) => {
    const line = rows.findIndex((row) => current.value >= row.first && current.value < row.first + row.count);
    const row = rows[line];
    if (!row) return;
    const sideways = (line: number) => {
      const other = rows[Math.max(0, Math.min(rows.length - 1, line))]!;
      // The nearest seat of another row, as one sees it.
      const x = at(plan.x, current.value);
      let best = other.first;
      for (let seat = other.first; seat < other.first + other.count; seat++) {
        if (Math.abs(at(plan.x, seat) - x) < Math.abs(at(plan.x, best) - x)) best = seat;
      }
      goTo(best);
    };
    const last = row.first + row.count - 1;
    const keys: Record<string, () => void> = {
      ArrowRight: () => goTo(Math.min(last, current.value + 1)),
      ArrowLeft: () => goTo(Math.max(row.first, current.value - 1)),
      ArrowDown: () => sideways(line + 1),
      ArrowUp: () => sideways(line - 1),
      PageDown: () => sideways(line + 5),
      PageUp: () => sideways(line - 5),
      Home: () => goTo(event.ctrlKey ? rows[0]!.first : row.first),
      End: () => goTo(event.ctrlKey ? rows.at(-1)!.first + rows.at(-1)!.count - 1 : last),
      Enter: () => props.onPick(current.value),
      " ": () => props.onPick(current.value),
    };
    const act = keys[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  };

  const most = Math.max(...rows.map((row) => row.count));
  return (
    <>
      <p class="hint" id="grid-help">
        {texts.gridHelp}
      </p>
      <div class="grid-scroll">
        <div
          role="grid"
          ref={grid}
          aria-label={texts.gridOf(props.nameOf(section.floor, section.id))}
          aria-describedby="grid-help"
          aria-rowcount={rows.length}
          aria-colcount={most + 1}
          aria-multiselectable="true"
          onKeyDown={onKeyDown}
        >
          {rows.map((row, line) => (
            <GridRow
              key={row.first}
              {...props}
              row={row}
              line={line}
              states={statesOf(row, status, chosen)}
              grades={plan.grade.subarray(row.first, row.first + row.count).join()}
              current={current.value >= row.first && current.value < row.first + row.count ? current.value : null}
              onCurrent={(seat) => (current.value = seat)}
            />
          ))}
        </div>
      </div>
    </>
  );
}

type CellState = "free" | "taken" | "chosen";

/** The states of a row's seats, a letter each: what its cells depend on. */
function statesOf(row: Row, status: Uint8Array, chosen: ReadonlySet<number>): string {
  let states = "";
  for (let seat = row.first; seat < row.first + row.count; seat++)
    states += chosen.has(seat) ? "c" : status[seat] === FREE ? "f" : "t";
  return states;
}

const STATES: Record<string, CellState> = { c: "chosen", f: "free", t: "taken" };

/** A row of the grid. It is made anew only where one of its seats is another than before: in a rush the map changes many times a second. */
function GridRow(
  props: Parameters<typeof SeatGrid>[0] & {
    row: Row;
    line: number;
    states: string;
    /** Their grades: on a page that draws statuses as grades they change, too. */
    grades: string;
    current: number | null;
    onCurrent: (seat: number) => void;
  },
) {
  const { row, line, states, grades, current, texts } = props;
  const latest = useRef(props);
  latest.current = props;
  return useMemo(() => {
    const { plan } = props.seats;
    const cell = (letter: string, place: number) => {
      const seat = row.first + place;
      const state = STATES[letter] as CellState;
      const grade = at(plan.grade, seat);
      const price = props.price(props.prices[grade] ?? 0);
      const marks = marksOf(plan, seat);
      return (
        <span
          role="gridcell"
          key={seat}
          data-seat={seat}
          class={`cell ${state} grade-${grade} ${marks.join(" ")}`}
          aria-colindex={place + 2}
          aria-selected={state === "chosen"}
          aria-disabled={state === "taken" || undefined}
          aria-label={texts.seat({
            row: row.label,
            number: plan.numbers[seat]!,
            grade: plan.grades[grade]!,
            price,
            state,
            marks,
          })}
          tabIndex={current === seat ? 0 : -1}
          onClick={() => {
            latest.current.onCurrent(seat);
            latest.current.onPick(seat);
          }}
          onFocus={() => {
            latest.current.onCurrent(seat);
            latest.current.pointed.value = seat;
            latest.current.sight.value = { seat };
          }}
          onBlur={() => (latest.current.pointed.value = null)}
        >
          <span aria-hidden="true">{state === "chosen" ? "✓" : state === "taken" ? "×" : plan.numbers[seat]}</span>
        </span>
      );
    };
    return (
      <div role="row" aria-rowindex={line + 1} class="grid-row">
        <span role="rowheader" aria-colindex={1} class="grid-label">
          {row.label}
        </span>
        {[...states].map(cell)}
      </div>
    );
  }, [row, states, grades, current, texts]);
}

/** The first free seat that matters to the reader, or the first that is free, or the first. */
function firstFree(plan: Plan, status: Uint8Array, rows: Plan["rows"], choice: Choice): number {
  for (const wanted of [choice, { grade: null }])
    for (const row of rows)
      for (let seat = row.first; seat < row.first + row.count; seat++)
        if (status[seat] === FREE && isMeant(plan, seat, wanted)) return seat;
  return rows[0]?.first ?? (plan.count > 0 ? 0 : -1);
}
