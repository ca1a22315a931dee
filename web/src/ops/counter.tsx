// The box office: seats and places are chosen or found, paid at the counter, and sold in one step.
import { type Signal, useComputed, useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { STATUSES } from "@onsale/client";
import { api, ask, isRefusal, type Refusal, type Reservation, type Schemas } from "../base/api";
import { count, day, money, time } from "../base/language";
import { announce } from "../base/live";
import { useLoaded } from "../base/load";
import { Button, Field, Heading, Loading, Notice } from "../base/ui";
import { BLOCKED, FREE } from "../map/feed";
import type { Choice } from "../map/painter";
import { marksOf } from "../map/plan";
import { SeatMap, type Sight } from "../map/SeatMap";
import { type Allotment, sell } from "./acts";
import { AllotmentOptions, allotmentsOf, allottedSeats } from "./allotments";
import { zoneOf } from "./catalogue";
import { isDark } from "./chart";
import { ByList, Choice as OneOf, lookupPath, schedulePath, seatName, Status } from "./parts";
import { ALLOTTED, COLOURS, DRAWING, pictureOf } from "./picture";
import { Refused } from "./refusal";
import type { Sale } from "./schedule";
import { t } from "./texts";
import { may } from "./who";

type Method = Schemas["OrderPaymentMethod"];
const METHODS: Method[] = ["cash", "card_terminal", "invoice", "complimentary"];

/** The most seats and places of one order. */
const PLACES_MAX = 100;
const NONE: Allotment[] = [];

type Wrong = Partial<Record<"places" | "amount" | "reason", string>>;

export function CounterPart(props: { sale: Sale }) {
  const { sale } = props;
  const { seats, scheduleId, schedule, concert } = sale;
  const { plan } = seats;
  const words = [...STATUSES.map((name) => t.value.seatStatus[name]), t.value.allotted];
  const picture = useMemo(() => pictureOf(seats, words), [seats, words.join()]);
  useEffect(() => () => picture.end(), [picture]);

  // Who sells alone sees no allotments, and names one.
  const { value: allotments, again: readAllotments } = useLoaded(
    async () => (may("watch") ? allotmentsOf(scheduleId) : NONE),
    [scheduleId],
  );
  const list = allotments.value !== null && !isRefusal(allotments.value) ? allotments.value : NONE;
  const allotted = useMemo(() => allottedSeats(plan, list), [plan, list]);
  useEffect(() => picture.allot(new Set(allotted.keys())), [picture, allotted]);

  const isBest = useSignal(false);
  const chosen = useSignal<ReadonlySet<number>>(new Set());
  const places = useSignal<Readonly<Record<string, number>>>({});
  const best = useSignal({ count: 2, grade: "" });
  const allotmentId = useSignal("");
  const method = useSignal<Method>("cash");
  const isOther = useSignal(false);
  const busy = useSignal(false);
  const refusal = useSignal<Refusal | null>(null);
  const wrong = useSignal<Wrong>({});
  const sold = useSignal<Reservation | null>(null);
  /** Counts the customers: each has an empty form. */
  const customer = useSignal(0);

  const pointed = useSignal<number | null>(null);
  const sight = useSignal<Sight>(null);
  const choice = useComputed<Choice>(() => ({ chosen: chosen.value, grade: null, at: pointed.value }));
  const mayHave = (seat: number) =>
    seats.status[seat] === FREE ||
    // Of an allotment that isn't seen here the server knows what is left.
    (allotmentId.value !== "" && seats.status[seat] === BLOCKED && (list.length === 0 || allotted.get(seat)?.allotmentId === allotmentId.value));
  const pick = (seat: number) => {
    const next = new Set(chosen.value);
    if (!next.delete(seat)) {
      if (!mayHave(seat)) return announce(t.value.cantSell(seatName(plan, seat), words[picture.statusOf(seat)] as string));
      next.add(seat);
    }
    chosen.value = next;
    isBest.value = false;
  };

  const priceOf = (grade: string) => concert.grades.find((own) => own.grade === grade)?.price ?? 0;
  const inAreas = seats.areas.value.filter(({ areaId }) => (places.value[areaId] ?? 0) > 0);
  const total = isBest.value
    ? best.value.count
    : chosen.value.size + inAreas.reduce((sum, { areaId }) => sum + (places.value[areaId] as number), 0);
  /** What they cost together; of the best seats of any grade that isn't known before. */
  const sum = useComputed(() => {
    if (isBest.value) return best.value.grade ? best.value.count * priceOf(best.value.grade) : null;
    const seated = [...chosen.value].reduce((sum, seat) => sum + priceOf(plan.grades[plan.grade[seat]!]!), 0);
    return seated + seats.areas.value.reduce((sum, { areaId, price }) => sum + price * (places.value[areaId] ?? 0), 0);
  });

  const send = async (event: Event) => {
    event.preventDefault();
    if (busy.value) return;
    const fields = new FormData(event.target as HTMLFormElement);
    const text = (name: string) => String(fields.get(name) ?? "").trim();
    const amount = text("amount").replaceAll(",", "");
    const reason = text("reason");
    const missing: Wrong = {
      ...(total >= 1 && total <= PLACES_MAX ? {} : { places: t.value.placesWrong(PLACES_MAX) }),
      ...(isOther.value && !/^\d{1,15}$/.test(amount) ? { amount: t.value.amountWrong } : {}),
      ...(isOther.value && !reason ? { reason: t.value.reasonMissing } : {}),
    };
    wrong.value = missing;
    if (Object.keys(missing).length > 0) return announce(Object.values(missing)[0] as string);

    const ids = [...chosen.value].sort((a, b) => a - b).map((seat) => plan.ids[seat]!);
    const what = isBest.value
      ? { bestAvailable: { count: best.value.count, ...(best.value.grade ? { grade: best.value.grade } : {}) } }
      : {
          ...(ids.length > 0 ? { seats: ids } : {}),
          ...(inAreas.length > 0 ? { areas: inAreas.map(({ areaId }) => ({ areaId, count: places.value[areaId] as number })) } : {}),
        };
    const reference = text("reference");
    busy.value = true;
    const answer = await sell(scheduleId, {
      ...what,
      ...(text("name") ? { name: text("name") } : {}),
      ...(text("userId") ? { userId: text("userId") } : {}),
      ...(allotmentId.value ? { allotmentId: allotmentId.value } : {}),
      payment: { method: method.value, ...(reference ? { reference } : {}) },
      ...(isOther.value ? { amount: Number(amount), reason } : {}),
    } as Schemas["OrderBody"]);
    busy.value = false;
    refusal.value = isRefusal(answer) ? answer : null;
    if (isRefusal(answer)) return;
    sold.value = answer;
    [chosen.value, places.value, isOther.value, isBest.value] = [new Set(), {}, false, false];
    [allotmentId.value, method.value] = ["", "cash"];
    customer.value += 1;
    void readAllotments();
  };

  const scheme = isDark.value ? "dark" : "light";
  return (
    <div class="seats counter">
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
              <b>{seatName(plan, seat)}</b>
              <br />
              {[plan.grades[sale.seats.plan.grade[seat]!], words[picture.statusOf(seat)], ...t.value.marks(marksOf(plan, seat))].join(" · ")}
              {picture.statusOf(seat) === ALLOTTED && ` · ${allotted.get(seat)?.name}`}
            </>
          )}
          texts={t.value.map}
          nameOf={t.value.sectionName}
        />
        {!seats.isLive.value && <p class="map-note">{t.value.mapStale}</p>}
      </div>
      <div class="seats-side">
        {sold.value && <Sold reservation={sold.value} onClose={() => (sold.value = null)} />}
        <form key={customer.value} class="terms" id="counter" onSubmit={(event) => void send(event)} noValidate>
          <OneOf
            label={t.value.whichPlaces}
            value={isBest.value ? "best" : "chosen"}
            options={[
              ["chosen", t.value.chosenOnes],
              ["best", t.value.bestOnes],
            ]}
            onChange={(value) => (isBest.value = value === "best")}
          />
          {isBest.value ? (
            <Best best={best} grades={concert.grades.map(({ grade }) => grade)} />
          ) : (
            <>
              <p class="small" id="chosen-places">
                {chosen.value.size === 0
                  ? t.value.counterHint
                  : [...chosen.value].sort((a, b) => a - b).map((seat) => seatName(plan, seat)).join("; ")}
              </p>
              {seats.areas.value.map((area) => (
                <Field
                  key={area.areaId}
                  label={t.value.placesOf(area.name, area.available)}
                  name={`area-${area.areaId}`}
                  type="number"
                  min={0}
                  max={PLACES_MAX}
                  value={places.value[area.areaId] ?? 0}
                  onInput={(event) => {
                    const number = Math.trunc(Number((event.target as HTMLInputElement).value));
                    places.value = { ...places.value, [area.areaId]: Math.max(0, Math.min(PLACES_MAX, number || 0)) };
                  }}
                />
              ))}
            </>
          )}
          {wrong.value.places && <p class="field-wrong">{wrong.value.places}</p>}
          {may("watch") ? (
            list.length > 0 && (
              <div class="field">
                <label for="counter-allotment">{t.value.allotment}</label>
                <select
                  id="counter-allotment"
                  value={allotmentId.value}
                  onChange={(event) => {
                    allotmentId.value = (event.target as HTMLSelectElement).value;
                    chosen.value = new Set([...chosen.value].filter(mayHave));
                  }}
                >
                  <option value="">{t.value.noAllotment}</option>
                  <AllotmentOptions list={list} />
                </select>
              </div>
            )
          ) : (
            <Field
              label={t.value.allotmentOf}
              name="allotment"
              autoComplete="off"
              spellcheck={false}
              value={allotmentId.value}
              onInput={(event) => (allotmentId.value = (event.target as HTMLInputElement).value.trim())}
            />
          )}
          <div class="pair">
            <Field label={t.value.guestName} name="name" autoComplete="off" maxLength={200} />
            <Field label={t.value.guestUser} name="userId" autoComplete="off" spellcheck={false} hint={t.value.guestUserHint} />
          </div>
          <div class="pair">
            <div class="field">
              <label for="counter-method">{t.value.paidBy}</label>
              <select id="counter-method" value={method.value} onChange={(event) => (method.value = (event.target as HTMLSelectElement).value as Method)}>
                {METHODS.map((name) => (
                  <option key={name} value={name}>
                    {t.value.methods[name]}
                  </option>
                ))}
              </select>
            </div>
            <Field label={t.value.paidReference} name="reference" autoComplete="off" maxLength={200} hint={t.value.paidReferenceHint} />
          </div>
          <label class="other">
            <input type="checkbox" checked={isOther.value} onChange={() => (isOther.value = !isOther.value)} id="other-amount" /> {t.value.otherAmount}
          </label>
          {isOther.value && (
            <div class="pair">
              <Field
                label={t.value.amount}
                name="amount"
                inputMode="numeric"
                autoComplete="off"
                hint={t.value.minorHint(money(10_000, schedule.currency))}
                wrong={wrong.value.amount}
              />
              <Field label={t.value.reason} name="reason" autoComplete="off" maxLength={200} wrong={wrong.value.reason} />
            </div>
          )}
          <p class="counter-sum">
            {t.value.places(total)} <b>{method.value === "complimentary" ? money(0, schedule.currency) : sum.value === null ? "–" : money(sum.value, schedule.currency)}</b>
          </p>
          {refusal.value && <Refused refusal={refusal.value} />}
          <div class="actions">
            <Button type="submit" look="main" id="sell" busy={busy.value}>
              {t.value.sellThem}
            </Button>
          </div>
        </form>
        <ByList seats={picture.seats} choice={choice} sight={sight} pointed={pointed} onPick={pick} />
      </div>
    </div>
  );
}

function Best(props: { best: Signal<{ count: number; grade: string }>; grades: string[] }) {
  const { best, grades } = props;
  return (
    <div class="pair">
      <Field
        label={t.value.howManyPlaces}
        name="count"
        type="number"
        min={1}
        max={PLACES_MAX}
        value={best.value.count}
        onInput={(event) => (best.value = { ...best.value, count: Math.trunc(Number((event.target as HTMLInputElement).value)) || 0 })}
      />
      <div class="field">
        <label for="best-grade">{t.value.grade}</label>
        <select
          id="best-grade"
          value={best.value.grade}
          onChange={(event) => (best.value = { ...best.value, grade: (event.target as HTMLSelectElement).value })}
        >
          <option value="">{t.value.every}</option>
          {grades.map((grade) => (
            <option key={grade} value={grade}>
              {grade}
            </option>
          ))}
        </select>
      </div>
    </div>
  );
}

/** What was just sold, to be told to who bought it. */
function Sold(props: { reservation: Reservation; onClose: () => void }) {
  const { reservationId, seats, areas, amount, currency, name } = props.reservation;
  const what = [...seats.map(({ seatId }) => seatId), ...(areas ?? []).map(({ areaId, count: number }) => `${areaId} ×${count(number)}`)];
  return (
    <Notice kind="good" actions={<Button onClick={props.onClose}>{t.value.close}</Button>}>
      <p id="sold">
        <b>{t.value.soldNow(money(amount, currency))}</b> {what.join(", ")}
        {name && ` · ${name}`}
        <br />
        {may("readAll") ? <a href={lookupPath(reservationId)}>{reservationId}</a> : <code class="id">{reservationId}</code>}
      </p>
    </Notice>
  );
}

/** How many concerts' performances are listed. */
const CONCERTS_MAX = 100;

/** The performances that the box office can sell: those that aren't over, next first. */
async function performances() {
  const concerts = await ask(api.GET("/api/v1/concerts", { params: { query: { limit: CONCERTS_MAX } } }));
  if (isRefusal(concerts)) return concerts;
  const lists = await Promise.all(
    concerts.items.map(async ({ concertId, title }) => {
      const params = { path: { concertId: concertId ?? "" }, query: { limit: 1000 } };
      const list = await ask(api.GET("/api/v1/concerts/{concertId}/schedules", { params }));
      return isRefusal(list) ? [] : list.items.map((schedule) => ({ ...schedule, title }));
    }),
  );
  const ahead = lists.flat().filter(({ endsAt, status }) => Date.parse(endsAt) > Date.now() && status !== "cancelled");
  return ahead.sort((a, b) => Date.parse(a.startsAt) - Date.parse(b.startsAt));
}

/** Where those begin who sell, and see nothing else. */
export function CounterPage() {
  const { value, again } = useLoaded(performances, []);
  const items = value.value;
  return (
    <>
      <Heading title={t.value.title}>{t.value.tabs.counter}</Heading>
      {items === null ? (
        <Loading label={t.value.loading} />
      ) : isRefusal(items) ? (
        <Refused refusal={items} again={() => void again()} />
      ) : items.length === 0 ? (
        <p class="empty">{t.value.noSchedules}</p>
      ) : (
        <table class="list" id="performances">
          <thead>
            <tr>
              <th scope="col">{t.value.show}</th>
              <th scope="col">{t.value.state}</th>
              <th scope="col" class="number">
                {t.value.freeSeats}
              </th>
            </tr>
          </thead>
          <tbody>
            {items.map(({ scheduleId, concertId, title, startsAt, status, seats }) => (
              <tr key={scheduleId}>
                <th scope="row">
                  <a href={schedulePath(scheduleId, "counter")}>{title}</a>{" "}
                  <span class="soft nowrap">{`${day(startsAt, zoneOf(concertId))} ${time(startsAt, zoneOf(concertId))}`}</span>
                </th>
                <td>
                  <Status status={status} />
                </td>
                <td class="number" data-label={t.value.freeSeats}>
                  {count(seats.available)}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </>
  );
}
