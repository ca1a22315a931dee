// The small parts that the places of this page share.
import type { ReadonlySignal, Signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import type { Schemas } from "../base/api";
import { count, fullDay, time, type Zone } from "../base/language";
import type { Seats } from "../map/feed";
import type { Choice as Chosen } from "../map/painter";
import type { Plan } from "../map/plan";
import { SeatList } from "../map/SeatList";
import type { Sight } from "../map/SeatMap";
import { t } from "./texts";

export type SaleStatus = Schemas["SaleStatus"];
export type Counts = Schemas["SeatCounts"];

/** Figures in a line: a word and a number, no boxes. */
export function Figures(props: { items: { label: string; value: string; note?: string | undefined; isLoud?: boolean }[]; label: string }) {
  return (
    <dl class="figures" aria-label={props.label}>
      {props.items.map(({ label, value, note, isLoud }) => (
        <div key={label} class={isLoud ? "loud" : undefined}>
          <dt>{label}</dt>
          <dd>
            {value}
            {note && <small>{note}</small>}
          </dd>
        </div>
      ))}
    </dl>
  );
}

export function Status(props: { status: SaleStatus }) {
  return <span class={`status ${props.status}`}>{t.value.sale[props.status]}</span>;
}

/** The seats of a sale as one line: sold, held, blocked, and what is free. */
export function Bar(props: { seats: Counts }) {
  const { total } = props.seats;
  const parts = (["reserved", "held", "blocked"] as const).map((name) => [name, total > 0 ? props.seats[name] / total : 0] as const);
  return (
    <span class="seat-bar" aria-hidden="true">
      {parts.map(([name, part]) => (
        <span key={name} class={name} ref={(own) => own?.style.setProperty("width", `${part * 100}%`)} />
      ))}
    </span>
  );
}

/** Writes a part of a whole. What is there never reads as nothing, and what isn't all never as all. */
export function percent(part: number, whole: number): string {
  if (whole === 0) return "–";
  if (part === 0 || part === whole) return `${(100 * part) / whole} %`;
  return `${Math.min(99.9, Math.max(0.1, (100 * part) / whole)).toFixed(1)} %`;
}

/** Writes a time span of a chart: `1.2 ms`. */
export function span(seconds: number): string {
  const ms = seconds * 1000;
  if (ms < 1) return `${(ms * 1000).toFixed(0)} µs`;
  if (ms < 1000) return `${ms < 10 ? ms.toFixed(1) : ms.toFixed(0)} ms`;
  return `${seconds.toFixed(1)} s`;
}

/** Writes a rate or a mean: whole when it is large. */
export const rough = (value: number) => (value >= 10 || Number.isInteger(value) ? count(Math.round(value)) : value.toFixed(1));

/** Writes an instant of the log to the millisecond, by this machine's zone. */
export function instant(at: string): string {
  const date = new Date(at);
  const two = (part: number) => String(part).padStart(2, "0");
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${String(date.getMilliseconds()).padStart(3, "0")}`;
}

/** The same with the day, where it isn't today's. */
export function instantOfDay(at: string): string {
  const date = new Date(at);
  if (date.toDateString() === new Date().toDateString()) return instant(at);
  return `${date.getFullYear()}-${String(date.getMonth() + 1).padStart(2, "0")}-${String(date.getDate()).padStart(2, "0")} ${instant(at)}`;
}

/** Calls a seat by its place: `1층 B, row 7, seat 14`. */
export function seatName(plan: Plan, seat: number): string {
  const row = plan.rows[plan.row[seat]!]!;
  const section = plan.sections[row.section]!;
  return t.value.seatName({ floor: section.floor, section: section.id, row: row.label, number: plan.numbers[seat]! });
}

export const startOf = (at: string, zone: Zone) => `${fullDay(at, zone)} ${time(at, zone)}`;

export const schedulePath = (scheduleId: string, part = "") => `/ops/schedules/${encodeURIComponent(scheduleId)}${part && `/${part}`}`;
export const lookupPath = (text: string) => `/ops/lookup?q=${encodeURIComponent(text)}`;
export const historyPath = (scheduleId: string, seatId: string) => `${schedulePath(scheduleId, "history")}?seat=${encodeURIComponent(seatId)}`;

/** A choice of one among few, as buttons beside one another. */
export function Choice<T extends string | number>(props: {
  label: string;
  value: T;
  options: [T, ComponentChildren][];
  onChange: (value: T) => void;
}) {
  return (
    <div class="choice" role="group" aria-label={props.label}>
      {props.options.map(([value, words]) => (
        <button key={value} type="button" aria-pressed={props.value === value} onClick={() => props.onChange(value)}>
          {words}
        </button>
      ))}
    </div>
  );
}

/** Writes an instant as a `datetime-local` has it, by this machine's zone; nothing of none. */
export function inputAt(at: string | number | null | undefined): string {
  if (at == null) return "";
  const date = new Date(at);
  return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}

/** Reads the instant that a `datetime-local` has; null if it has none. One of the same second stays as it was, to the millisecond. */
export function instantOf(text: string, was?: string | null): string | null {
  const at = text ? new Date(text).getTime() : NaN;
  if (Number.isNaN(at)) return null;
  return was && Math.floor(Date.parse(was) / 1000) * 1000 === at ? was : new Date(at).toISOString();
}

/** Several of a few, by boxes of a form. */
export function CheckChoice(props: { name: string; label: string; hint: string; options: [value: string, words: string][]; chosen: string[] }) {
  return (
    <fieldset class="checks-choice">
      <legend>{props.label}</legend>
      <div>
        {props.options.map(([value, words]) => (
          <label key={value}>
            <input type="checkbox" name={props.name} value={value} defaultChecked={props.chosen.includes(value)} />
            {words}
          </label>
        ))}
      </div>
      <p class="hint">{props.hint}</p>
    </fieldset>
  );
}

/** Brings the reader to the first field of a form that is wrong, which says what. */
export function toWrong(form: HTMLFormElement, names: string[]): void {
  const all = [...form.elements].filter((own): own is HTMLInputElement => own instanceof HTMLInputElement);
  all.find(({ name }) => names.includes(name))?.focus();
}

/** The seats of the map as a list, for everyone who doesn't use the picture. What they cost is of no account here. */
export function ByList(props: {
  seats: Seats;
  choice: ReadonlySignal<Chosen>;
  sight: Signal<Sight>;
  pointed: Signal<number | null>;
  onPick: (seat: number) => void;
}) {
  return (
    <section class="by-list" aria-labelledby="by-list">
      <h2 id="by-list">{t.value.byList}</h2>
      <SeatList {...props} prices={[]} price={() => ""} nameOf={t.value.sectionName} texts={t.value.list} />
    </section>
  );
}
