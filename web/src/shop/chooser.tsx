// At the seats: the map, the best that are left, the list; and what is chosen.
import { type Signal, useComputed, useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { api, ask, change, isOnline, isRefusal, type Refusal, refusalFor, type Reservation, type Schemas } from "../base/api";
import { count, money } from "../base/language";
import { announce } from "../base/live";
import { useLoaded } from "../base/load";
import { go } from "../base/router";
import { session } from "../base/session";
import { Button, Loading, Notice, NoticeTo } from "../base/ui";
import { FREE, loadSeats, type Seats } from "../map/feed";
import type { Choice } from "../map/painter";
import { marksOf, nearestFree } from "../map/plan";
import { SeatList } from "../map/SeatList";
import { SeatMap, type Sight } from "../map/SeatMap";
import { calm } from "./colour";
import { type Sale } from "./data";
import { asFan } from "./fan";
import { reservationPath } from "./names";
import { Refused, sentence } from "./refusal";
import { Deadline } from "./deadline";
import { Swatch } from "./show";
import { tellTabs } from "./tabs";
import { t } from "./texts";

interface ChooserProps {
  heading: ComponentChildren;
  sale: Sale;
  /** The reservation whose seats are exchanged, if that is what the reader does. */
  changeOf: string | null;
  pass: () => { "Queue-Token"?: string };
  /** The waiting room's pass isn't good any more. */
  onPassOver: () => void;
  again: () => Promise<void>;
}

export function SeatChooser(props: ChooserProps) {
  const { sale, changeOf } = props;
  const grades = useMemo(() => sale.show.grades.map(({ grade }) => grade), [sale.show]);
  const { scheduleId } = sale.schedule;
  const loaded = useLoaded(() => loadSeats(sale.schedule, grades), [scheduleId]);
  const old = useLoaded<Reservation | null>(
    async () =>
      changeOf ? ask(api.GET("/api/v1/reservations/{reservationId}", { params: { path: { reservationId: changeOf } } })) : null,
    [changeOf, session.value?.userId],
  );
  const seats = loaded.value.value;
  if (seats === null || (changeOf && old.value.value === null)) {
    return (
      <>
        {props.heading}
        <Loading label={t.value.loading} />
      </>
    );
  }
  if (isRefusal(seats)) {
    return (
      <>
        {props.heading}
        <Refused refusal={seats} again={loaded.again} />
      </>
    );
  }
  const held = isRefusal(old.value.value) || old.value.value?.status !== "held" ? null : old.value.value;
  if (changeOf && !held) {
    return (
      <div class="narrow">
        {props.heading}
        <NoticeTo kind="note" href={reservationPath(changeOf)} label={t.value.toReservation}>
          {t.value.changeTooLate}
        </NoticeTo>
      </div>
    );
  }
  return <Choosing key={held?.reservationId ?? "new"} {...props} seats={seats} held={held} />;
}

/** Why seats were refused, and which free ones are nearest to those that are gone. */
interface Gone {
  refusal: Refusal;
  lost: number[];
  offered: number[];
}

function Choosing(props: ChooserProps & { seats: Seats; held: Reservation | null }) {
  const { sale, seats, held } = props;
  const { schedule, show } = sale;
  const { plan, status } = seats;
  const most = schedule.policy.maxSeatsPerReservation ?? 4;
  const own = useMemo(
    () => new Set((held?.seats ?? []).map(({ seatId }) => plan.indexOf(seatId)).filter((seat) => seat !== undefined)),
    [held, plan],
  );
  const chosen = useSignal<ReadonlySet<number>>(own);
  const grade = useSignal<number | null>(null);
  const pointed = useSignal<number | null>(null);
  const sight = useSignal<Sight>(null);
  const gone = useSignal<Gone | null>(null);
  const tooMany = useSignal(false);
  const busy = useSignal<"" | "seats" | "best">("");
  const choice = useComputed<Choice>(() => ({ chosen: chosen.value, grade: grade.value, at: pointed.value }));

  const prices = useMemo(
    () => plan.grades.map((name) => show.grades.find(({ grade }) => grade === name)?.price ?? 0),
    [plan, show],
  );
  const colours = useMemo(
    () => plan.grades.map((name) => calm(show.grades.find(({ grade }) => grade === name)?.color)),
    [plan, show],
  );
  const price = (minor: number) => money(minor, show.currency);
  const nameOf = (seat: number) => {
    const row = plan.rows[plan.row[seat]!]!;
    const section = plan.sections[row.section]!;
    return t.value.seatName({ floor: section.floor, section: section.id, row: row.label, number: plan.numbers[seat]! });
  };
  const isFree = (seat: number) => status[seat] === FREE || own.has(seat);

  const offer = (lost: number[], refusal: Refusal) => {
    const kept = [...chosen.value].filter((seat) => !lost.includes(seat));
    const taken = new Set(kept);
    for (const seat of lost) {
      const [nearest] = nearestFree(plan, seat, (other) => isFree(other) && !taken.has(other), 1);
      if (nearest !== undefined) taken.add(nearest);
    }
    chosen.value = new Set(kept);
    const offered = [...taken].filter((seat) => !kept.includes(seat));
    gone.value = { refusal, lost, offered };
    if (offered[0] !== undefined) {
      sight.value = { seat: offered[0] };
      pointed.value = offered[0];
    }
    announce(
      `${t.value.seatsGone(lost.map(nameOf).join(", "))} ${offered.length > 0 ? t.value.nearestAre(offered.map(nameOf).join(", ")) : ""}`,
    );
  };

  useEffect(() => seats.open(), [seats]);
  useEffect(
    () =>
      seats.onChange(() => {
        // Someone was quicker, while the reader still thought. A hold of their own on its way isn't that.
        if (busy.value) return;
        const lost = [...chosen.value].filter((seat) => !isFree(seat));
        if (lost.length > 0) offer(lost, refusalFor("seat_unavailable"));
      }),
    [seats],
  );

  const pick = (seat: number) => {
    if (busy.value) return;
    tooMany.value = false;
    const next = new Set(chosen.value);
    if (next.has(seat)) next.delete(seat);
    else if (!isFree(seat)) return announce(t.value.taken(nameOf(seat)));
    else if (next.size >= most) {
      tooMany.value = true;
      return announce(t.value.tooMany(most));
    } else next.add(seat);
    gone.value = null;
    chosen.value = next;
  };

  const refused = (refusal: Refusal) => {
    const lost = (refusal.code === "seat_unavailable" ? (refusal.problem.seats ?? []) : [])
      .map((id) => plan.indexOf(id))
      .filter((seat) => seat !== undefined);
    for (const seat of lost) if (status[seat] === FREE) status[seat] = 1;
    if (lost.length > 0) return offer(lost, refusal);
    if (["queue_token_required", "queue_token_invalid", "queue_not_active"].includes(refusal.code)) props.onPassOver();
    if (refusal.code === "schedule_not_open") void props.again();
    gone.value = { refusal, lost: [], offered: [] };
    announce(sentence(refusal));
  };

  const hold = (best: { grade: number | null; count: number } | null) =>
    asFan(async () => {
      if (busy.value || (!best && chosen.value.size === 0)) return;
      busy.value = best ? "best" : "seats";
      gone.value = null;
      const ids = [...chosen.value].map((seat) => plan.ids[seat]!);
      let answer: Reservation | Refusal;
      if (held) {
        const body = { seats: ids };
        const path = { reservationId: held.reservationId };
        answer = await change(`exchange.${held.reservationId}`, body, (key) =>
          api.PATCH("/api/v1/reservations/{reservationId}", { params: { path, header: { ...key, ...props.pass() } }, body }),
        );
      } else {
        const wanted = best
          ? { bestAvailable: { count: best.count, ...(best.grade === null ? {} : { grade: plan.grades[best.grade]! }) } }
          : { seats: ids };
        const body: Schemas["HoldBody"] = { scheduleId: schedule.scheduleId, ...wanted };
        answer = await change(`hold.${schedule.scheduleId}`, body, (key) =>
          api.POST("/api/v1/reservations", { params: { header: { ...key, ...props.pass() } }, body }),
        );
      }
      busy.value = "";
      if (isRefusal(answer)) return refused(answer);
      tellTabs();
      go(reservationPath(answer.reservationId), { replace: held !== null });
    });

  const problem = gone.value && (
    <Refused
      refusal={gone.value.refusal}
      text={gone.value.lost.length > 0 ? t.value.seatsGone(gone.value.lost.map(nameOf).join(", ")) : undefined}
    >
      {gone.value.offered.length > 0 ? (
        <>
          <p class="offer">{t.value.nearestAre(gone.value.offered.map(nameOf).join(", "))}</p>
          <Button
            onClick={() => {
              const taken = new Set([...chosen.value, ...(gone.value?.offered ?? [])].filter(isFree));
              gone.value = null;
              chosen.value = taken;
            }}
          >
            {t.value.takeNearest(gone.value.offered.length)}
          </Button>
        </>
      ) : (
        <NextStep refusal={gone.value.refusal} />
      )}
    </Refused>
  );

  return (
    <div class="choosing">
      <div class="choosing-head">
        {props.heading}
        {held && (
          <NoticeTo kind="note" href={reservationPath(held.reservationId)} label={t.value.keepSeats}>
            {t.value.changing}
            <Deadline
              at={held.expiresAt}
              seconds={schedule.policy.holdSeconds ?? 300}
              label={t.value.heldFor}
              onOver={() => go(reservationPath(held.reservationId), { replace: true })}
            />
          </NoticeTo>
        )}
      </div>
      <div class="choosing-map">
        <SeatMap
          seats={seats}
          colours={colours}
          choice={choice}
          sight={sight}
          onPick={pick}
          onPoint={(seat) => (pointed.value = seat)}
          describe={(seat) => (
            <>
              <b>{nameOf(seat)}</b>
              <br />
              {plan.grades[plan.grade[seat]!]} · {isFree(seat) ? price(prices[plan.grade[seat]!] ?? 0) : t.value.takenShort}
              {t.value.marks(marksOf(plan, seat)).map((mark) => (
                <div key={mark}>{mark}</div>
              ))}
            </>
          )}
          texts={t.value.map}
          nameOf={t.value.sectionName}
        />
        {!seats.isLive.value && isOnline.value && <p class="map-note">{t.value.mapStale}</p>}
      </div>
      <div class="choosing-side">
        <Legend seats={seats} colours={colours} prices={prices} price={price} grade={grade} />
        {!held && (
          <Best
            most={most}
            seats={seats}
            grade={grade}
            busy={busy.value === "best"}
            onHold={(number) => hold({ grade: grade.value, count: number })}
          />
        )}
        <section class="by-list" aria-labelledby="by-list">
          <h2 id="by-list">{t.value.chooseOwn}</h2>
          <p class="soft small">{t.value.chooseHint(most)}</p>
          <SeatList
            seats={seats}
            choice={choice}
            prices={prices}
            price={price}
            nameOf={t.value.sectionName}
            onSection={(section) => (sight.value = section === null ? null : { section })}
            onPick={pick}
            onFocus={(seat) => {
              pointed.value = seat;
              if (seat !== null) sight.value = { seat };
            }}
            texts={t.value.list}
          />
        </section>
        <div class="bar-space">
          {problem}
          {tooMany.value && <Notice kind="note">{t.value.tooMany(most)}</Notice>}
          <Bar
            chosen={chosen}
            nameOf={nameOf}
            plan={plan}
            prices={prices}
            price={price}
            busy={busy.value === "seats"}
            isChange={held !== null}
            onDrop={pick}
            onHold={() => hold(null)}
          />
        </div>
      </div>
    </div>
  );
}

/** Where a refusal leads that names no seats. */
function NextStep(props: { refusal: Refusal }) {
  if (props.refusal.code === "seat_limit_exceeded") {
    return (
      <a class="button" href="/reservations">
        {t.value.myReservations}
      </a>
    );
  }
  return null;
}

/** The grades: their colours, prices and free seats; a click shows one alone. */
function Legend(props: {
  seats: Seats;
  colours: string[];
  prices: number[];
  price: (minor: number) => string;
  grade: Signal<number | null>;
}) {
  const { seats, grade } = props;
  const free = useComputed(() => {
    void seats.version.value;
    const counts = seats.plan.grades.map(() => 0);
    for (let seat = 0; seat < seats.plan.count; seat++) if (seats.status[seat] === FREE) counts[seats.plan.grade[seat]!]! += 1;
    return counts;
  });
  const line = (index: number | null, name: string, price: string, left: number) => (
    <label key={name} class="grade">
      <input type="radio" name="grade" checked={grade.value === index} onChange={() => (grade.value = index)} />
      {index !== null && <Swatch colour={props.colours[index] ?? ""} />}
      <span class="grade-name">{name}</span> <span class="grade-price">{price}</span>{" "}
      <span class="grade-left soft">{t.value.left(count(left))}</span>
    </label>
  );
  return (
    <fieldset class="grades">
      <legend>{t.value.grades}</legend>
      {free.value.every((number) => number === 0) && <Notice kind="note">{t.value.allGone}</Notice>}
      {line(
        null,
        t.value.allGrades,
        "",
        free.value.reduce((sum, number) => sum + number, 0),
      )}
      {seats.plan.grades.map((name, index) => line(index, name, props.price(props.prices[index] ?? 0), free.value[index] ?? 0))}
    </fieldset>
  );
}

/** The best that are left, in one step. */
function Best(props: {
  most: number;
  seats: Seats;
  grade: Signal<number | null>;
  busy: boolean;
  onHold: (count: number) => void;
}) {
  const number = useSignal(Math.min(2, props.most));
  const { grade } = props;
  const name = grade.value === null ? null : props.seats.plan.grades[grade.value]!;
  return (
    <section class="best" aria-labelledby="best">
      <h2 id="best">{t.value.bestTitle}</h2>
      <div class="best-line">
        <div class="stepper" role="group" aria-label={t.value.howMany}>
          <button
            type="button"
            aria-label={t.value.fewer}
            aria-disabled={number.value <= 1}
            onClick={() => (number.value = Math.max(1, number.value - 1))}
          >
            −
          </button>
          <output>{t.value.seats(number.value)}</output>
          <button
            type="button"
            aria-label={t.value.more}
            aria-disabled={number.value >= props.most}
            onClick={() => (number.value = Math.min(props.most, number.value + 1))}
          >
            +
          </button>
        </div>
        <Button look="main" busy={props.busy} onClick={() => props.onHold(number.value)} id="best-hold">
          {t.value.takeBest(number.value, name)}
        </Button>
      </div>
    </section>
  );
}

/** What is chosen, what it costs, and the step to hold it. */
function Bar(props: {
  chosen: Signal<ReadonlySet<number>>;
  nameOf: (seat: number) => string;
  plan: Seats["plan"];
  prices: number[];
  price: (minor: number) => string;
  busy: boolean;
  isChange: boolean;
  onDrop: (seat: number) => void;
  onHold: () => void;
}) {
  const seats = [...props.chosen.value].sort((a, b) => a - b);
  const bar = useRef<HTMLElement>(null);
  const amount = seats.reduce((sum, seat) => sum + (props.prices[props.plan.grade[seat]!] ?? 0), 0);
  if (seats.length === 0) return null;
  return (
    <section class="bar" aria-labelledby="bar" ref={bar}>
      <h2 id="bar" class="unseen">
        {t.value.yourSeats}
      </h2>
      <ul class="chips">
        {seats.map((seat) => (
          <li key={seat}>
            <button type="button" onClick={() => props.onDrop(seat)} aria-label={t.value.drop(props.nameOf(seat))}>
              {props.nameOf(seat)} <span aria-hidden="true">×</span>
            </button>
          </li>
        ))}
      </ul>
      <div class="bar-line">
        <p>
          {t.value.seats(seats.length)} <strong>{props.price(amount)}</strong>
        </p>
        <Button look="main" busy={props.busy} onClick={props.onHold} id="hold">
          {props.isChange ? t.value.exchange : t.value.hold}
        </Button>
      </div>
    </section>
  );
}
