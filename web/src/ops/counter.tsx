// The box office: seats and places are chosen or found, paid at the counter, and sold in one step.
import { type Signal, useComputed, useSignal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { STATUSES } from "@onsale/client";
import { api, ask, isRefusal, type Refusal, type Reservation, type Schemas } from "../base/api";
import { count, day, money, time } from "../base/language";
import { Lines } from "../base/lines";
import { announce } from "../base/live";
import { useLoaded } from "../base/load";
import { type Line, linesOf, overridden, type Priceable, priceOf, type PriceType, sumOf, typesFor } from "../base/prices";
import { Button, Field, Heading, Loading, Notice } from "../base/ui";
import { type AreaPlaces, type BestWish, bodyOf, type Chosen, countOf } from "../base/wish";
import { BLOCKED, FREE } from "../map/feed";
import type { Choice } from "../map/painter";
import { MARK, marksOf } from "../map/plan";
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
/** How many the best places begin with: most come in twos. */
const BEST_FIRST = 2;
const NONE: Allotment[] = [];

type Wrong = Partial<Record<"places" | "amount" | "reason", string>>;

/** The best places that are wished: how many of each price type, one of "" where there are none. */
interface Best {
  grade: string;
  counts: Record<string, number>;
  accessible: boolean;
}

/** Reads a number of places. */
const placesOf = (event: { currentTarget: HTMLInputElement }) =>
  Math.max(0, Math.min(PLACES_MAX, Math.trunc(Number(event.currentTarget.value)) || 0));

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
  /** The price types of chosen seats that aren't the first one of their grade. */
  const types = useSignal<ReadonlyMap<number, string>>(new Map());
  const places = useSignal<AreaPlaces[]>([]);
  const best = useSignal<Best>({ grade: concert.grades[0]?.grade ?? "", counts: {}, accessible: false });
  const allotmentId = useSignal("");
  const method = useSignal<Method>("cash");
  const isOther = useSignal(false);
  const other = useSignal({ amount: "", reason: "" });
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
    wrong.value = {};
  };

  const allotment = list.find((own) => own.allotmentId === allotmentId.value);
  const gradeOf = (seat: number) => plan.grades[plan.grade[seat]!]!;
  const typeOf = (seat: number): string | null => {
    const sold = typesFor(concert, gradeOf(seat));
    const wished = types.value.get(seat);
    return (sold.find(({ priceType }) => priceType === wished) ?? sold[0])?.priceType ?? null;
  };
  const inOrder = [...chosen.value].sort((a, b) => a - b);
  const wish: Chosen | BestWish = isBest.value
    ? { grade: best.value.grade, counts: countsOf(best.value, typesFor(concert, best.value.grade)) }
    : { seats: inOrder.map((seat) => ({ seatId: plan.ids[seat]!, priceType: typeOf(seat) })), areas: places.value };
  const total = countOf(wish);

  // What it costs is known before it is sold: of the best places, too, since they are of one grade.
  const priced: Priceable[] =
    "counts" in wish
      ? Object.entries(wish.counts).map(([type, count]) => ({ grade: best.value.grade, priceType: type || null, count }))
      : [
          ...inOrder.map((seat) => ({ grade: gradeOf(seat), priceType: typeOf(seat), count: 1 })),
          ...wish.areas.map(({ areaId, priceType, count }) => ({ area: areaId, grade: gradeOfArea(areaId), priceType, count })),
        ];
  const amount = Number(other.value.amount.replaceAll(",", ""));
  const hasAmount = isOther.value && /^\d[\d,]{0,18}$/.test(other.value.amount.trim()) && Number.isSafeInteger(amount);
  const lines = linesAt(linesOf(concert, priced) ?? []);

  /** The lines with what the clerk has set in the place of their sum. */
  function linesAt(lines: Line[]): Line[] {
    if (total === 0) return lines;
    const why = isOther.value ? other.value.reason.trim() : "";
    if (method.value === "complimentary") return overridden(lines, 0, why || "complimentary");
    return hasAmount ? overridden(lines, amount, why || t.value.otherAmount) : lines;
  }

  function gradeOfArea(areaId: string): string {
    return seats.areas.value.find((area) => area.areaId === areaId)?.grade ?? "";
  }

  const send = async (event: Event) => {
    event.preventDefault();
    if (busy.value) return;
    const form = event.target as HTMLFormElement;
    const fields = new FormData(form);
    const text = (name: string) => String(fields.get(name) ?? "").trim();
    const reason = other.value.reason.trim();
    const missing: Wrong = {
      ...(total >= 1 && total <= PLACES_MAX ? {} : { places: t.value.placesWrong(PLACES_MAX) }),
      ...(isOther.value && !hasAmount ? { amount: t.value.amountWrong } : {}),
      ...(isOther.value && !reason ? { reason: t.value.reasonMissing } : {}),
    };
    wrong.value = missing;
    const first = Object.keys(missing)[0] as keyof Wrong | undefined;
    if (first) {
      // The places are chosen in more ways than one: that they are missing is said.
      if (first === "places") return announce(missing.places as string);
      return (form.elements.namedItem(first) as HTMLElement).focus();
    }

    const { accessible: _, ...what } = bodyOf(wish, { accessible: isBest.value && best.value.accessible, code: "" });
    const reference = text("reference");
    busy.value = true;
    const answer = await sell(scheduleId, {
      ...what,
      ...(text("name") ? { name: text("name") } : {}),
      ...(text("userId") ? { userId: text("userId") } : {}),
      ...(allotmentId.value ? { allotmentId: allotmentId.value } : {}),
      payment: { method: method.value, ...(reference ? { reference } : {}) },
      ...(isOther.value ? { amount, reason } : {}),
    } as Schemas["OrderBody"]);
    busy.value = false;
    refusal.value = isRefusal(answer) ? answer : null;
    if (isRefusal(answer)) return;
    sold.value = answer;
    [chosen.value, types.value, places.value] = [new Set(), new Map(), []];
    [isOther.value, other.value, isBest.value] = [false, { amount: "", reason: "" }, false];
    best.value = { ...best.value, counts: {}, accessible: false };
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
        {sold.value && (
          <Sold
            key={sold.value.reservationId}
            sale={sale}
            reservation={sold.value}
            onClose={() => {
              sold.value = null;
              document.querySelector<HTMLElement>("#counter button")?.focus();
            }}
          />
        )}
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
            <BestFields sale={sale} best={best} onChange={() => (wrong.value = {})} />
          ) : (
            <>
              {inOrder.length === 0 ? (
                plan.count > 0 && (
                  <p class="small" id="chosen-places">
                    {t.value.counterHint}
                  </p>
                )
              ) : (
                <ChosenSeats
                  sale={sale}
                  seats={inOrder}
                  typeOf={typeOf}
                  onType={(seats, type) => (types.value = new Map([...types.value, ...seats.map((seat) => [seat, type] as const)]))}
                  onDrop={pick}
                />
              )}
              <AreaFields
                sale={sale}
                left={allotment?.areaCounts ? new Map(allotment.areaCounts.map(({ areaId, left }) => [areaId, left])) : null}
                isAllotment={allotmentId.value !== ""}
                places={places.value}
                onChange={(next) => {
                  places.value = next;
                  wrong.value = {};
                }}
              />
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
                value={other.value.amount}
                onInput={(event) => (other.value = { ...other.value, amount: event.currentTarget.value })}
                hint={t.value.minorHint(money(10_000, schedule.currency))}
                wrong={wrong.value.amount}
              />
              <Field
                label={t.value.reason}
                name="reason"
                autoComplete="off"
                maxLength={200}
                value={other.value.reason}
                onInput={(event) => (other.value = { ...other.value, reason: event.currentTarget.value })}
                wrong={wrong.value.reason}
              />
            </div>
          )}
          {refusal.value && <Refused refusal={refusal.value} />}
          {lines.length > 0 && <Lines lines={lines} currency={schedule.currency} texts={t.value} />}
          <div class="counter-sum">
            <p>
              {t.value.places(total)} <b>{money(sumOf(lines), schedule.currency)}</b>
            </p>
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

/** How many of each price type are wished. Of another grade only what is sold in it counts. */
function countsOf({ counts }: Best, types: PriceType[]): Record<string, number> {
  const names = types.length > 0 ? types.map(({ priceType }) => priceType) : [""];
  const isNew = Object.keys(counts).length === 0;
  return Object.fromEntries(names.map((name, place) => [name, counts[name] ?? (isNew && place === 0 ? BEST_FIRST : 0)]));
}

/** The best places of a grade that are left: how many of each price type. */
function BestFields(props: { sale: Sale; best: Signal<Best>; onChange: () => void }) {
  const { best } = props;
  const { concert, schedule, seats } = props.sale;
  const types = typesFor(concert, best.value.grade);
  const set = (name: string, number: number) => {
    best.value = { ...best.value, counts: { ...countsOf(best.value, types), [name]: number } };
    props.onChange();
  };
  const isKept = (marks: number) => (marks & (MARK.accessible | MARK.companion)) !== 0;
  return (
    <>
      <div class="field">
        <label for="best-grade">{t.value.grade}</label>
        <select id="best-grade" value={best.value.grade} onChange={(event) => (best.value = { ...best.value, grade: event.currentTarget.value })}>
          {concert.grades.map(({ grade }) => (
            <option key={grade} value={grade}>
              {grade}
            </option>
          ))}
        </select>
      </div>
      <div class="pair">
        {Object.entries(countsOf(best.value, types)).map(([name, number]) => (
          <Field
            key={name}
            label={[types.find(({ priceType }) => priceType === name)?.name ?? t.value.howManyPlaces, money(priceOf(concert, best.value.grade, name || null) ?? 0, schedule.currency)].join(" · ")}
            name={`count-${name}`}
            type="number"
            min={0}
            max={PLACES_MAX}
            value={number}
            onInput={(event) => set(name, placesOf(event))}
          />
        ))}
      </div>
      {seats.plan.marks.some(isKept) && (
        <label class="other">
          <input type="checkbox" checked={best.value.accessible} onChange={() => (best.value = { ...best.value, accessible: !best.value.accessible })} />{" "}
          {t.value.accessibleOnes}
        </label>
      )}
    </>
  );
}

/** The seats that are chosen, each with its price type where its grade has more than one. */
function ChosenSeats(props: {
  sale: Sale;
  seats: number[];
  typeOf: (seat: number) => string | null;
  onType: (seats: number[], priceType: string) => void;
  onDrop: (seat: number) => void;
}) {
  const { seats, typeOf } = props;
  const { concert, schedule } = props.sale;
  const { plan } = props.sale.seats;
  const gradeOf = (seat: number) => plan.grades[plan.grade[seat]!]!;
  const typed = seats.filter((seat) => typesFor(concert, gradeOf(seat)).length > 1);
  // What all of them can be.
  const common = (concert.priceTypes ?? []).filter(({ priceType }) => typed.every((seat) => priceOf(concert, gradeOf(seat), priceType) !== null));
  const same = new Set(typed.map(typeOf)).size === 1 ? typeOf(typed[0]!) : "";
  return (
    <div id="chosen-places">
      {typed.length > 1 && common.length > 0 && (
        <div class="field all-types">
          <label for="all-types">{t.value.typeOfAll}</label>
          <select id="all-types" value={same ?? ""} onChange={(event) => event.currentTarget.value && props.onType(typed, event.currentTarget.value)}>
            {same === "" && <option value="">{t.value.mixed}</option>}
            {common.map(({ priceType, name }) => (
              <option key={priceType} value={priceType}>
                {name}
              </option>
            ))}
          </select>
        </div>
      )}
      <ul class="chosen">
        {seats.map((seat) => {
          const name = seatName(plan, seat);
          const types = typesFor(concert, gradeOf(seat));
          const price = (type: string | null) => money(priceOf(concert, gradeOf(seat), type) ?? 0, schedule.currency);
          return (
            <li key={seat}>
              <span>{name}</span>
              {types.length > 1 ? (
                <select aria-label={t.value.typeOf(name)} value={typeOf(seat) ?? ""} onChange={(event) => props.onType([seat], event.currentTarget.value)}>
                  {types.map((type) => (
                    <option key={type.priceType} value={type.priceType}>
                      {type.name} {price(type.priceType)}
                    </option>
                  ))}
                </select>
              ) : (
                <span class="number">{price(typeOf(seat))}</span>
              )}
              <button type="button" class="drop" aria-label={t.value.drop(name)} onClick={() => props.onDrop(seat)}>
                <span aria-hidden="true">✕</span>
              </button>
            </li>
          );
        })}
      </ul>
    </div>
  );
}

/** How many places of each area, and of each of its price types. */
function AreaFields(props: {
  sale: Sale;
  /** What is left of the areas in the allotment that is sold from, where that is known. */
  left: ReadonlyMap<string, number> | null;
  isAllotment: boolean;
  places: AreaPlaces[];
  onChange: (places: AreaPlaces[]) => void;
}) {
  const { places } = props;
  const { concert, schedule, seats } = props.sale;
  const isOf = (one: AreaPlaces, areaId: string, priceType: string | null) => one.areaId === areaId && one.priceType === priceType;
  return (
    <>
      {seats.areas.value.map(({ areaId, name, grade, available }) => {
        const types = typesFor(concert, grade);
        const left = props.isAllotment ? props.left?.get(areaId) : available;
        return (
          <fieldset class="area-places" key={areaId}>
            <legend>{left === undefined ? name : t.value.placesOf(name, left)}</legend>
            <div class="pair">
              {(types.length > 0 ? types : [null]).map((type) => {
                const priceType = type?.priceType ?? null;
                const price = money(priceOf(concert, grade, priceType) ?? 0, schedule.currency);
                return (
                  <Field
                    key={priceType}
                    label={`${type?.name ?? t.value.howManyPlaces} · ${price}`}
                    name={`area-${areaId}-${priceType ?? ""}`}
                    type="number"
                    min={0}
                    max={PLACES_MAX}
                    value={places.find((one) => isOf(one, areaId, priceType))?.count ?? 0}
                    onInput={(event) => {
                      const number = placesOf(event);
                      const others = places.filter((one) => !isOf(one, areaId, priceType));
                      props.onChange(number > 0 ? [...others, { areaId, priceType, count: number }] : others);
                    }}
                  />
                );
              })}
            </div>
          </fieldset>
        );
      })}
    </>
  );
}

/** What was just sold, to be told to who bought it. */
function Sold(props: { sale: Sale; reservation: Reservation; onClose: () => void }) {
  const { reservationId, seats, areas = [], lines = [], amount, currency, name } = props.reservation;
  const { plan, areas: known } = props.sale.seats;
  const words = useRef<HTMLParagraphElement>(null);
  // The form begins anew for the next customer: whoever sold stands at what they sold.
  useEffect(() => words.current?.focus(), []);
  const nameOf = (seatId: string) => {
    const seat = plan.indexOf(seatId);
    return seat === undefined ? seatId : seatName(plan, seat);
  };
  const what = [
    ...seats.map(({ seatId }) => nameOf(seatId)),
    ...areas.map(({ areaId, count: number }) => t.value.times(known.value.find((area) => area.areaId === areaId)?.name ?? areaId, number)),
  ];
  return (
    <Notice kind="good" actions={<Button onClick={props.onClose}>{t.value.close}</Button>}>
      <div id="sold">
        <p ref={words} tabIndex={-1}>
          <b>{t.value.soldNow(money(amount, currency))}</b> {what.join("; ")}
          {name && ` · ${name}`}
        </p>
        <Lines lines={lines} currency={currency} texts={t.value} />
        {may("readAll") ? <a href={lookupPath(reservationId)}>{reservationId}</a> : <code class="id">{reservationId}</code>}
      </div>
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
