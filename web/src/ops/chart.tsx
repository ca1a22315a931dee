// A chart of what was measured by the second. What it shows is written beside it, for everyone: a legend with the newest values (or those
// under the pointer), and a table of the last ones.
import { effect, signal, useComputed, useSignal } from "@preact/signals";
import { useEffect, useId, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { time } from "../base/language";
import { t } from "./texts";
import { looks } from "./watch";

export interface Line {
  label: string;
  /** The name of its colour in the style sheet, without the dashes. */
  colour: string;
  /** How it is told from the others without colours. */
  dash?: number[];
  /** Whether the space under it is filled. */
  isFilled?: boolean;
}

/** Seconds since 1970, and a column for each line. */
export type Columns = [number[], ...(number | null)[][]];

/** The seconds that charts show. */
export const span = signal(300);
export const SPANS = [60, 300, 900];

/** Whether the reader wants dark pages; charts and maps are drawn anew when that changes. */
export const isDark = signal(matchMedia("(prefers-color-scheme: dark)").matches);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", ({ matches }) => (isDark.value = matches));

const hms = (seconds: number) => `${time(seconds * 1000, undefined)}:${String(Math.floor(seconds) % 60).padStart(2, "0")}`;

export function Chart(props: { title: string; lines: Line[]; read: () => Columns; write: (value: number) => string; note?: string; least?: number }) {
  const { title, lines, write } = props;
  const place = useRef<HTMLDivElement>(null);
  const latest = useRef(props);
  latest.current = props;
  const id = useId();
  /** The index under the pointer. */
  const pointed = useSignal<number | null>(null);
  const isTable = useSignal(false);
  const columns = useComputed(() => {
    void looks.value;
    return latest.current.read();
  });

  useEffect(() => {
    const own = place.current as HTMLDivElement;
    let plot: uPlot | null = null;
    const make = () => {
      plot?.destroy();
      plot = new uPlot(
        options(own, latest.current, (index) => (pointed.value = index)),
        columns.peek() as uPlot.AlignedData,
        own,
      );
    };
    const sized = new ResizeObserver(() => {
      if (plot && plot.width !== own.clientWidth) plot.setSize({ width: own.clientWidth, height: HEIGHT });
    });
    sized.observe(own);
    const forced = matchMedia("(forced-colors: active)");
    forced.addEventListener("change", make);
    const ends = [
      // A scheme's colours are those of the canvas: it is made anew.
      effect(() => {
        void isDark.value;
        make();
      }),
      effect(() => {
        void span.value;
        const now = columns.value;
        plot?.setData(now as uPlot.AlignedData);
      }),
      () => forced.removeEventListener("change", make),
      () => sized.disconnect(),
      () => plot?.destroy(),
    ];
    return () => {
      for (const end of ends) end();
    };
  }, [lines.map(({ label }) => label).join()]);

  const [at, ...values] = columns.value;
  const index = pointed.value !== null && pointed.value < at.length ? pointed.value : at.length - 1;
  const shown = (column: (number | null)[] | undefined, index: number) => {
    const value = column?.[index];
    return value === null || value === undefined ? "–" : write(value);
  };
  const said = lines.map(({ label }, line) => `${label} ${shown(values[line], at.length - 1)}`).join(", ");
  return (
    <figure class="chart" aria-labelledby={id}>
      <figcaption>
        <h3 id={id}>{title}</h3>
        {pointed.value !== null && at[index] !== undefined && <span class="soft small chart-at">{hms(at[index])}</span>}
        <dl class="legend">
          {lines.map(({ label, colour, dash }, line) => (
            <div key={label}>
              <dt>
                <svg class={`key ${colour}`} viewBox="0 0 16 4" width="16" height="4" aria-hidden="true">
                  <path d="M0 2h16" stroke="currentColor" stroke-width="2.5" stroke-dasharray={dash?.join(" ")} />
                </svg>
                {label}
              </dt>
              <dd>{shown(values[line], index)}</dd>
            </div>
          ))}
        </dl>
      </figcaption>
      <div class="plot" ref={place} role="img" aria-label={`${title}: ${said}`} />
      {props.note && <p class="soft small">{props.note}</p>}
      <details class="chart-table" onToggle={(event) => (isTable.value = (event.target as HTMLDetailsElement).open)}>
        <summary>{t.value.asTable}</summary>
        {isTable.value && (
          <div class="scroll" tabIndex={0} role="group" aria-label={title}>
            <table>
              <thead>
                <tr>
                  <th scope="col">{t.value.when}</th>
                  {lines.map(({ label }) => (
                    <th scope="col" key={label}>
                      {label}
                    </th>
                  ))}
                </tr>
              </thead>
              <tbody>
                {at.slice(-20).map((second, row) => (
                  <tr key={second}>
                    <th scope="row">{hms(second)}</th>
                    {lines.map(({ label }, line) => (
                      <td key={label}>{shown(values[line], Math.max(0, at.length - 20) + row)}</td>
                    ))}
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
      </details>
    </figure>
  );
}

const HEIGHT = 148;
/** The steps of an axis that counts. */
const WHOLE = [1, 2, 5].flatMap((step) => [1, 10, 100, 1e3, 1e4, 1e5, 1e6].map((ten) => step * ten)).sort((a, b) => a - b);

function options(own: HTMLElement, props: Parameters<typeof Chart>[0], onPoint: (index: number | null) => void): uPlot.Options {
  const style = getComputedStyle(own);
  const isForced = matchMedia("(forced-colors: active)").matches;
  const colour = (name: string) => (isForced ? "CanvasText" : style.getPropertyValue(`--${name}`).trim());
  const font = `11px ${style.fontFamily}`;
  const axis: uPlot.Axis = { stroke: colour("soft"), font, ticks: { show: false }, grid: { stroke: colour("line"), width: 1 } };
  return {
    width: own.clientWidth || 300,
    height: HEIGHT,
    padding: [8, 18, 0, 0],
    legend: { show: false },
    // Where the pointer is in one chart, it is in all.
    cursor: { sync: { key: "ops", setSeries: false }, drag: { x: false, y: false }, points: { size: 7 }, y: false },
    scales: {
      x: {
        time: true,
        range: (plot) => {
          const end = (plot.data[0]?.at(-1) as number | undefined) ?? Date.now() / 1000;
          // A young chart isn't mostly empty: it grows to its span.
          const first = (plot.data[0]?.[0] as number | undefined) ?? end;
          return [Math.max(end - span.value, Math.min(first, end - 60)), end];
        },
      },
      y: { range: (_, __, most) => [0, Math.max(props.least ?? 1, most ?? 0) * 1.1] },
    },
    axes: [
      {
        ...axis,
        grid: { show: false },
        size: 22,
        gap: 4,
        space: 90,
        values: (_, splits) => splits.map((at) => hms(at).slice(0, span.value > 300 ? 5 : 8)),
      },
      {
        ...axis,
        size: 46,
        gap: 6,
        space: 36,
        ...(props.least === undefined ? { incrs: WHOLE } : {}),
        values: (_, splits) => splits.map((value) => (value === 0 ? "0" : props.write(value))),
      },
    ],
    series: [
      {},
      ...props.lines.map(({ label, colour: name, dash, isFilled }) => {
        const stroke = colour(name);
        return {
          label,
          stroke,
          width: 1.75,
          points: { show: false },
          ...(dash ? { dash } : {}),
          ...(isFilled && !isForced ? { fill: `${stroke}22` } : {}),
        };
      }),
    ],
    hooks: { setCursor: [(plot) => onPoint(plot.cursor.left !== undefined && plot.cursor.left >= 0 ? (plot.cursor.idx ?? null) : null)] },
  };
}
