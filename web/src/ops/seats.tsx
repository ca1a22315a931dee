// The seats of a sale: now and back in time; taken off sale, put back, and set aside; and what happened to one.
import { type Signal, useComputed, useSignal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { STATUSES } from "@onsale/client";
import { api, ask, isRefusal, type Refusal, type Schemas } from "../base/api";
import { serverNow } from "../base/clock";
import { count, money } from "../base/language";
import { announce } from "../base/live";
import { useLoaded } from "../base/load";
import { Button, Notice } from "../base/ui";
import { BLOCKED, FREE, type Seats } from "../map/feed";
import type { Choice } from "../map/painter";
import { MARK, marksOf } from "../map/plan";
import { SeatMap, type Sight } from "../map/SeatMap";
import { type Allotment, receipt, setSeats } from "./acts";
import { AllotDialog, Allotments, allotmentsOf, allottedSeats, changeAllotment } from "./allotments";
import { isDark } from "./chart";
import { EventWords, historyOf, HistoryTable } from "./history";
import { ByList, Choice as OneOf, inputAt, instantOfDay, seatName } from "./parts";
import { ALLOTTED, COLOURS, DRAWING, type Picture, pictureOf } from "./picture";
import { Refused } from "./refusal";
import type { Sale } from "./schedule";
import { t } from "./texts";
import { looks } from "./watch";
import { may } from "./who";

/** The allotments are read anew each so many looks. */
const LOOKS = 5;

type HistoryItem = Schemas["HistoryItem"];

const NONE: Allotment[] = [];

export function SeatsPart(props: { sale: Sale }) {
  const { sale } = props;
  const { seats } = sale;
  const { plan } = seats;
  const words = [...STATUSES.map((name) => t.value.seatStatus[name]), t.value.allotted];
  const picture = useMemo(() => pictureOf(seats, words), [seats, words.join()]);
  useEffect(() => () => picture.end(), [picture]);

  const { value: allotments, again: readAllotments } = useLoaded(() => allotmentsOf(sale.scheduleId), [sale.scheduleId]);
  const round = Math.floor(looks.value / LOOKS);
  useEffect(() => void readAllotments(), [round]);
  const list = allotments.value !== null && !isRefusal(allotments.value) ? allotments.value : NONE;
  const allotted = useMemo(() => allottedSeats(plan, list), [plan, list]);
  useEffect(() => picture.allot(new Set(allotted.keys())), [picture, allotted]);

  const chosen = useSignal<ReadonlySet<number>>(new Set());
  const status = useSignal<number | null>(null);
  const pointed = useSignal<number | null>(null);
  const sight = useSignal<Sight>(null);
  const isPast = useSignal(false);
  const choice = useComputed<Choice>(() => ({ chosen: chosen.value, grade: status.value, at: pointed.value }));

  const nameOf = (seat: number) => seatName(plan, seat);
  const marks = (seat: number) => t.value.marks(marksOf(plan, seat));
  const pick = (seat: number) => {
    const next = new Set(chosen.value);
    if (!next.delete(seat)) next.add(seat);
    chosen.value = next;
  };
  const one = chosen.value.size === 1 ? [...chosen.value][0]! : null;
  const scheme = isDark.value ? "dark" : "light";
  return (
    <>
      <OneOf
        label={t.value.whenOf}
        value={isPast.value ? "past" : "now"}
        options={[
          ["now", t.value.now],
          ["past", t.value.past],
        ]}
        onChange={(value) => {
          isPast.value = value === "past";
          if (!isPast.value) picture.show(null);
          if (chosen.value.size > 1) chosen.value = new Set();
        }}
      />
      {isPast.value && <Scrub sale={sale} picture={picture} />}
      <div class="seats">
        <div class="seats-map">
          <SeatMap
            key={scheme}
            seats={picture.seats}
            colours={COLOURS[scheme]}
            drawing={DRAWING}
            choice={choice}
            sight={sight}
            onPick={pick}
            onPoint={(seat) => (pointed.value = seat)}
            describe={(seat) => (
              <>
                <b>{nameOf(seat)}</b>
                <br />
                {[plan.grades[plan.grade[seat]!], words[picture.statusOf(seat)], ...marks(seat)].join(" · ")}
                {picture.statusOf(seat) === ALLOTTED && (
                  <>
                    <br />
                    {allotted.get(seat)?.name}
                  </>
                )}
              </>
            )}
            texts={t.value.map}
            nameOf={t.value.sectionName}
          />
          {!isPast.value && !seats.isLive.value && <p class="map-note">{t.value.mapStale}</p>}
        </div>
        <div class="seats-side">
          <Legend picture={picture} status={status} words={words} />
          <RowChoice seats={seats} chosen={chosen} sight={sight} />
          <Selection
            sale={sale}
            picture={picture}
            chosen={chosen}
            isPast={isPast.value}
            nameOf={nameOf}
            list={list}
            allotted={allotted}
            onAllotted={() => void readAllotments()}
          />
          <ByList seats={picture.seats} choice={choice} sight={sight} pointed={pointed} onPick={pick} />
        </div>
      </div>
      {!isPast.value && allotments.value !== null && (
        <Allotments
          sale={sale}
          list={allotments.value}
          again={() => void readAllotments()}
          onShow={(allotment) => {
            const seats = allotment.seats.flatMap((id) => plan.indexOf(id) ?? []);
            chosen.value = new Set(seats);
            const first = seats[0];
            if (first !== undefined) sight.value = { section: plan.rows[plan.row[first]!]!.section };
            document.querySelector(".seats-map")?.scrollIntoView({ block: "nearest" });
          }}
        />
      )}
      {one !== null && (
        <section aria-labelledby="seat-history" class="seat-history">
          <h2 id="seat-history">{t.value.historyOf(nameOf(one))}</h2>
          <p class="soft">
            <code class="id">{plan.ids[one]}</code>{" "}
            <SeatLine grade={plan.grades[plan.grade[one]!]!} sale={sale} status={words[picture.statusOf(one)]!} marks={marks(one)} />
            {picture.statusOf(one) === ALLOTTED && ` · ${allotted.get(one)?.name}`}
          </p>
          <HistoryTable
            scheduleId={sale.scheduleId}
            seatId={plan.ids[one]!}
            currency={sale.schedule.currency}
            limit={1000}
            second={receipt.value?.by?.position ?? 0}
          />
        </section>
      )}
    </>
  );
}

function SeatLine(props: { grade: string; sale: Sale; status: string; marks: string[] }) {
  const price = props.sale.concert.grades.find(({ grade }) => grade === props.grade)?.price ?? 0;
  return <>{[props.grade, money(price, props.sale.schedule.currency), props.status, ...props.marks].join(" · ")}</>;
}

function Legend(props: { picture: Picture; status: Signal<number | null>; words: string[] }) {
  const { picture, status } = props;
  const counts = useComputed(() => {
    void picture.seats.version.value;
    return picture.counts();
  });
  const now = picture.seats.version.value >= 0 ? picture.counts() : counts.value;
  const line = (index: number | null, words: string, number: number) => (
    <label key={words}>
      <input type="radio" name="status" checked={status.value === index} onChange={() => (status.value = index)} />
      <span class={`swatch ${index === null ? "every" : (STATUSES[index] ?? "allotted")}`} aria-hidden="true" />
      <span>{words}</span>
      <span class="number">{count(number)}</span>
    </label>
  );
  return (
    <fieldset class="legend-choice">
      <legend>{t.value.statusOf}</legend>
      {line(
        null,
        t.value.every,
        now.reduce((sum, number) => sum + number, 0),
      )}
      {props.words.map((words, index) => (index < ALLOTTED || now[ALLOTTED]! > 0 ? line(index, words, now[index]!) : null))}
      {picture.seats.plan.marks.some((marks) => marks & (MARK.accessible | MARK.companion)) && (
        <p class="mark-line soft small">
          <span class="swatch round" aria-hidden="true" /> {t.value.roundSeats}
        </p>
      )}
    </fieldset>
  );
}

/** Chooses a row, or a whole section, at once. */
function RowChoice(props: { seats: Seats; chosen: Signal<ReadonlySet<number>>; sight: Signal<Sight> }) {
  const { plan } = props.seats;
  const section = useSignal(0);
  const row = useSignal("");
  const own = plan.sections[section.value];
  if (!own) return null;
  const rows = plan.rows.slice(own.firstRow, own.firstRow + own.rowCount);
  const choose = (event: Event) => {
    event.preventDefault();
    const wanted = row.value === "" ? rows : rows.filter((_, index) => String(index) === row.value);
    const next = new Set(props.chosen.value);
    for (const { first, count } of wanted) for (let seat = first; seat < first + count; seat++) next.add(seat);
    props.chosen.value = next;
    props.sight.value = { section: section.value };
  };
  return (
    <form class="row-choice" onSubmit={choose}>
      <div class="field">
        <label for="row-section">{t.value.section}</label>
        <select
          id="row-section"
          value={section.value}
          onChange={(event) => {
            section.value = Number((event.target as HTMLSelectElement).value);
            row.value = "";
          }}
        >
          {plan.sections.map(({ floor, id }, index) => (
            <option key={index} value={index}>
              {t.value.sectionName(floor, id)}
            </option>
          ))}
        </select>
      </div>
      <div class="field">
        <label for="row-row">{t.value.row}</label>
        <select id="row-row" value={row.value} onChange={(event) => (row.value = (event.target as HTMLSelectElement).value)}>
          <option value="">{t.value.everyRow}</option>
          {rows.map(({ label }, index) => (
            <option key={index} value={String(index)}>
              {label}
            </option>
          ))}
        </select>
      </div>
      <Button type="submit" id="choose-row">
        {t.value.chooseRow}
      </Button>
    </form>
  );
}

/** How many seats are named. */
const NAMED = 6;

function Selection(props: {
  sale: Sale;
  picture: Picture;
  chosen: Signal<ReadonlySet<number>>;
  isPast: boolean;
  nameOf: (seat: number) => string;
  list: Allotment[];
  allotted: ReadonlyMap<number, Allotment>;
  onAllotted: () => void;
}) {
  const { sale, picture, chosen, nameOf, list, allotted } = props;
  void picture.seats.version.value;
  const busy = useSignal<"" | "block" | "unblock" | "unallot">("");
  const isAllotting = useSignal(false);
  const refusal = useSignal<Refusal | null>(null);
  const seats = [...chosen.value].sort((a, b) => a - b);
  const free = seats.filter((seat) => sale.seats.status[seat] === FREE);
  const shut = seats.filter((seat) => sale.seats.status[seat] === BLOCKED);
  const blocked = shut.filter((seat) => !allotted.has(seat));
  const aside = shut.filter((seat) => allotted.has(seat));
  const others = seats.length - free.length - shut.length;
  if (seats.length === 0) return <p class="soft small">{t.value.chooseHint}</p>;

  const send = async (act: "block" | "unblock", which: number[]) => {
    busy.value = act;
    const answer = await setSeats(
      act,
      sale.scheduleId,
      which.map((seat) => sale.seats.plan.ids[seat]!),
    );
    busy.value = "";
    over(isRefusal(answer) ? answer : null);
  };
  const over = (why: Refusal | null) => {
    refusal.value = why;
    // What was done is seen on the map, where marks of a choice would hide it; one seat stays for its history.
    if (why === null && chosen.value.size > 1) chosen.value = new Set();
  };
  /** Takes seats out of their allotments, which may be several. */
  const unallot = async () => {
    busy.value = "unallot";
    let why: Refusal | null = null;
    for (const allotment of list) {
      const own = new Set(aside.filter((seat) => allotted.get(seat) === allotment).map((seat) => sale.seats.plan.ids[seat]!));
      if (own.size === 0 || why) continue;
      const words = t.value.did.unallot(own.size, allotment.name);
      const without = (terms: Schemas["AllotmentPut"] & { seats: string[] }) => ({ ...terms, seats: terms.seats.filter((id) => !own.has(id)) });
      const answer = await changeAllotment(sale.scheduleId, allotment.allotmentId, without, words);
      if (isRefusal(answer)) why = answer;
    }
    busy.value = "";
    props.onAllotted();
    over(why);
  };
  return (
    <section class="selection" aria-labelledby="selection">
      <div class="head">
        <h2 id="selection">{t.value.chosenSeats(seats.length)}</h2>
        <Button
          look="quiet"
          onClick={() => {
            chosen.value = new Set();
            refusal.value = null;
          }}
        >
          {t.value.chooseNone}
        </Button>
      </div>
      <p class="small">
        {seats.slice(0, NAMED).map(nameOf).join("; ")}
        {seats.length > NAMED && ` ${t.value.andMore(seats.length - NAMED)}`}{" "}
        {/* On a phone it stands far below. */}
        {seats.length === 1 && <a href="#seat-history">{t.value.tabs.history}</a>}
      </p>
      {props.isPast ? (
        <p class="soft small">{t.value.pastOnly}</p>
      ) : (
        may("run") && (
          <>
            {others > 0 && <p class="soft small">{t.value.othersStay(others, seats.length)}</p>}
            <div class="actions">
              <Button id="block" disabled={free.length === 0} busy={busy.value === "block"} onClick={() => void send("block", free)}>
                {t.value.block(free.length)}
              </Button>
              <Button id="unblock" disabled={blocked.length === 0} busy={busy.value === "unblock"} onClick={() => void send("unblock", blocked)}>
                {t.value.unblock(blocked.length)}
              </Button>
              <Button id="allot" disabled={free.length === 0} onClick={() => (isAllotting.value = true)}>
                {t.value.allot(free.length)}
              </Button>
              {aside.length > 0 && (
                <Button id="unallot" busy={busy.value === "unallot"} onClick={() => void unallot()}>
                  {t.value.unallot(aside.length)}
                </Button>
              )}
            </div>
          </>
        )
      )}
      {refusal.value && <Refused refusal={refusal.value} />}
      {isAllotting.value && (
        <AllotDialog
          sale={sale}
          list={list}
          seats={free.map((seat) => sale.seats.plan.ids[seat]!)}
          onClose={() => (isAllotting.value = false)}
          onDone={() => {
            isAllotting.value = false;
            props.onAllotted();
            over(null);
          }}
        />
      )}
    </section>
  );
}

/** Goes back in time: a slider over what is kept, and steps from event to event. */
function Scrub(props: { sale: Sale; picture: Picture }) {
  const { sale, picture } = props;
  const { scheduleId } = sale;
  const { plan } = sale.seats;
  const { value: history } = useLoaded(() => historyOf(scheduleId, null, 1000), [scheduleId]);
  const end = useMemo(() => Math.floor(serverNow()), []);
  const items = history.value !== null && !isRefusal(history.value) ? history.value.items : [];
  const first = items.length > 0 ? Date.parse(items.at(-1)!.at) : end - 3_600_000;
  /** The slider begins where the reader last asked, if that is earlier than the events that are listed. */
  const from = useSignal<number | null>(null);
  const start = Math.min(from.value ?? first, first, end - 1);
  const at = useSignal(end);
  const shown = useSignal<{ at: number; refusal: Refusal | null }>({ at: end, refusal: null });
  const isPlaying = useSignal(false);
  const reading = useRef(false);
  const isGone = useRef(false);
  useEffect(
    () => () => {
      isGone.current = true;
    },
    [],
  );

  const read = async () => {
    // One at a time: what was asked meanwhile is read next.
    if (reading.current) return;
    reading.current = true;
    for (;;) {
      const wanted = at.value;
      const params = { path: { scheduleId }, query: { at: new Date(wanted).toISOString() } };
      const map = await ask(api.GET("/api/v1/admin/schedules/{scheduleId}/seats", { params }));
      // Whoever went back to the present sees that.
      if (isGone.current) return;
      const refusal = isRefusal(map) ? map : null;
      // Of a sale that didn't exist no seat was to be had; after any other refusal the map stays as it was.
      if (refusal === null || refusal.code === "not_found") {
        const past = new Uint8Array(plan.count).fill(BLOCKED);
        if (!isRefusal(map) && "seats" in map)
          for (const seat of map.seats) past[plan.indexOf(seat.seatId) ?? -1] = STATUSES.indexOf(seat.status);
        picture.show(past);
      }
      shown.value = { at: wanted, refusal };
      if (at.value === wanted) break;
    }
    reading.current = false;
  };
  const goTo = (instant: number) => {
    at.value = Math.max(0, Math.min(end, Math.round(instant)));
    void read();
  };
  useEffect(() => void read(), [picture]);
  useEffect(() => {
    if (!isPlaying.value) return;
    // The whole span in about twenty seconds, and a look as soon as the last one has come.
    const timer = setInterval(() => {
      if (reading.current) return;
      const next = at.value + Math.max(1000, (end - start) / 60);
      if (next >= end) isPlaying.value = false;
      goTo(next);
    }, 300);
    return () => clearInterval(timer);
  }, [isPlaying.value]);

  const times = useMemo(() => items.map((item) => Date.parse(item.at)), [items]);
  const last = times.findIndex((time) => time <= at.value);
  const event: HistoryItem | undefined = last === -1 ? undefined : items[last];
  /** The events of one instant are one step. */
  const step = (by: 1 | -1) => {
    if (by === -1) {
      const own = times[last];
      const before = times.find((time) => time < (own === at.value ? own : (own ?? -1) + 1));
      if (before !== undefined) goTo(before);
    } else {
      const after = times.findLast((time) => time > at.value);
      if (after !== undefined) goTo(after);
    }
    requestAnimationFrame(() => announce(t.value.mapOf(instantOfDay(new Date(at.value).toISOString()))));
  };
  const text = instantOfDay(new Date(at.value).toISOString());
  const isBehind = shown.value.at !== at.value;
  return (
    <section class="scrub" aria-labelledby="scrub">
      <h2 id="scrub" class="unseen">
        {t.value.past}
      </h2>
      <div class="scrub-line">
        <div class="actions">
          <Button id="scrub-back" label={t.value.eventBefore} disabled={times.every((time) => time >= at.value)} onClick={() => step(-1)}>
            ‹
          </Button>
          <Button
            id="scrub-play"
            onClick={() => {
              if (!isPlaying.value && at.value >= end) at.value = start;
              isPlaying.value = !isPlaying.value;
            }}
          >
            {isPlaying.value ? t.value.stop : t.value.play}
          </Button>
          <Button id="scrub-on" label={t.value.eventAfter} disabled={times.every((time) => time <= at.value)} onClick={() => step(1)}>
            ›
          </Button>
        </div>
        <input
          id="scrub-at"
          type="range"
          aria-label={t.value.instantOf}
          aria-valuetext={text}
          min={start}
          max={end}
          step={Math.max(1, Math.floor((end - start) / 1000))}
          value={at.value}
          onInput={(event) => {
            isPlaying.value = false;
            goTo(Number((event.target as HTMLInputElement).value));
          }}
        />
        <output class="scrub-now" aria-busy={isBehind}>
          {text}
        </output>
        <label class="scrub-to">
          <span class="unseen">{t.value.goToInstant}</span>
          <input
            type="datetime-local"
            step={1}
            value={inputAt(at.value)}
            max={inputAt(end)}
            onChange={(event) => {
              const wanted = new Date((event.target as HTMLInputElement).value).getTime();
              if (Number.isNaN(wanted)) return;
              if (wanted < start) from.value = wanted;
              goTo(wanted);
            }}
          />
        </label>
      </div>
      <p class="scrub-event small">
        {event ? (
          <>
            <span class="soft">{t.value.lastBefore(instantOfDay(event.at))}</span>{" "}
            <EventWords item={event} currency={sale.schedule.currency} />
          </>
        ) : (
          <span class="soft">{t.value.nothingBefore}</span>
        )}
      </p>
      {history.value !== null && isRefusal(history.value) && <Refused refusal={history.value} />}
      {shown.value.refusal && (
        <Notice>{shown.value.refusal.code === "not_found" ? t.value.notThen : <RefusalText refusal={shown.value.refusal} />}</Notice>
      )}
    </section>
  );
}

function RefusalText(props: { refusal: Refusal }) {
  return <>{(t.value.refusals as Record<string, string>)[props.refusal.code] ?? t.value.refusals.internal}</>;
}
