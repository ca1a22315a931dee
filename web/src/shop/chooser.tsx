// At the seats: the map, the best that are left, the list; and what is chosen.
import { useComputed, useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useMemo } from "preact/hooks";
import { api, ask, change, isOnline, isRefusal, type Refusal, refusalFor, type Reservation, type Schemas } from "../base/api";
import { now } from "../base/clock";
import { money } from "../base/language";
import { announce } from "../base/live";
import { useLoaded } from "../base/load";
import { typesFor } from "../base/prices";
import { go } from "../base/router";
import { session } from "../base/session";
import { Button, Loading, Notice, NoticeTo } from "../base/ui";
import { type AreaPlaces, type BestWish, bodyOf, type Chosen, countOf } from "../base/wish";
import { FREE, HELD, loadSeats, type Seats } from "../map/feed";
import type { Choice } from "../map/painter";
import { marksOf, nearestFree } from "../map/plan";
import { SeatList } from "../map/SeatList";
import { SeatMap, type Sight } from "../map/SeatMap";
import { AccessibleSwitch, isKept, KEPT } from "./accessible";
import { Areas, chosenOf, placesName, within } from "./areas";
import { Bar, type ChosenSeat } from "./bar";
import { Best } from "./best";
import { CodeField, codeOf } from "./code";
import { calm } from "./colour";
import { type Sale } from "./data";
import { Deadline } from "./deadline";
import { asFan } from "./fan";
import { loadTickets, tickets } from "./later";
import { Legend } from "./legend";
import { placeCount, reservationPath } from "./names";
import { openPhase } from "./phases";
import { Refused, sentence } from "./refusal";
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
  return <Coded key={held?.reservationId ?? "new"} {...props} seats={seats} held={held} />;
}

/** The hall as the reader's code shows it: a code of an allotment opens its places, and no others. */
function Coded(props: ChoosingProps) {
  const { sale, held } = props;
  const code = codeOf(sale.schedule.scheduleId);
  // A hold keeps its code, and so does its exchange.
  useEffect(() => {
    if (held?.code && !code.said) code.bring(held.code);
  }, [held]);
  const { currency } = sale.show;
  useEffect(() => void code.look(currency), [session.value?.userId, sale.schedule.phase]);

  const aside = code.offer.value?.allotment;
  const seats = useMemo(() => (aside && tickets.value ? tickets.value.offered(props.seats, aside.seats, code.offer) : props.seats), [props.seats, aside?.seats]);
  // Of an area's places the map tells everyone how many are set aside in all: it is asked again when that changes.
  const blocked = aside?.areas ? props.seats.areas.value.map((area) => area.blocked).join() : "";
  useEffect(() => {
    code.asked = "";
    if (blocked) void code.look(currency);
  }, [blocked]);
  return <Choosing {...props} seats={seats} />;
}

/** Why seats were refused, and which free ones are nearest to those that are gone. */
interface Gone {
  refusal: Refusal;
  lost: number[];
  offered: number[];
  /** What is said in place of the refusal. */
  text?: string;
}

/** Why a seat wasn't taken into the choice. */
type Hint = "" | "tooMany" | "kept" | "notInPhase" | "notForCode";

type ChoosingProps = ChooserProps & { seats: Seats; held: Reservation | null };

function Choosing(props: ChoosingProps) {
  const { sale, seats, held } = props;
  const { schedule } = sale;
  const { plan, status } = seats;
  const phase = openPhase(schedule);
  const { maxSeatsPerReservation = 4 } = schedule.policy;
  const code = codeOf(schedule.scheduleId);
  const gives = code.offer.value;
  const show = useMemo(() => ({ ...sale.show, only: gives?.priceTypes }), [sale.show, gives?.priceTypes]);
  const off = gives?.discount ? { code: gives.code, discount: gives.discount } : null;
  const ownCount = held && gives?.code === held.code ? placeCount(held) : 0;
  const most = Math.min(maxSeatsPerReservation, phase?.maxSeatsPerUser ?? Infinity, (gives?.seatsLeft ?? Infinity) + ownCount);
  const own = useMemo(
    () => new Set((held?.seats ?? []).map(({ seatId }) => plan.indexOf(seatId)).filter((seat) => seat !== undefined)),
    [held, plan],
  );
  const ownPlaces = useMemo(() => placesOf(held, show.priceTypes?.[0]?.priceType), [held, show]);
  const chosen = useSignal<ReadonlySet<number>>(own);
  const types = useSignal<ReadonlyMap<number, string>>(new Map(typesOf(held, plan)));
  const places = useSignal<AreaPlaces[]>(ownPlaces);
  const accessible = useSignal([...own].some((seat) => isKept(seats, seat)));
  // Where a phase sells one grade, that is the one to look at.
  const first = phase?.grades?.length === 1 ? plan.grades.indexOf(phase.grades[0]!) : -1;
  const grade = useSignal<number | null>(first < 0 ? null : first);
  const pointed = useSignal<number | null>(null);
  const sight = useSignal<Sight>(null);
  const gone = useSignal<Gone | null>(null);
  const hint = useSignal<Hint>("");
  const busy = useSignal<"" | "seats" | "best">("");
  const choice = useComputed<Choice>(() => ({
    chosen: chosen.value,
    grade: grade.value,
    at: pointed.value,
    marks: accessible.value ? KEPT : 0,
  }));

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
  const isOffered = (name: string) => (!gives?.grades || gives.grades.includes(name)) && (!show.only || typesFor(show, name).length > 0);
  const isSold = (name: string) => (!phase?.grades || phase.grades.includes(name)) && isOffered(name);
  const { accessibleReleaseAt } = schedule.policy;
  const isReleased = accessibleReleaseAt != null && Date.parse(accessibleReleaseAt) <= now.value;
  /** Why the reader can't take a free seat as they are. */
  const closed = (seat: number): Hint =>
    own.has(seat)
      ? ""
      : !isSold(plan.grades[plan.grade[seat]!]!)
        ? isOffered(plan.grades[plan.grade[seat]!]!)
          ? "notInPhase"
          : "notForCode"
        : isKept(seats, seat) && !accessible.value && !isReleased
          ? "kept"
          : "";
  const isOpen = (seat: number) => isFree(seat) && closed(seat) === "";

  const typeOf = (seat: number): string | null => {
    const sold = typesFor(show, plan.grades[plan.grade[seat]!]!);
    const wished = types.value.get(seat);
    return (sold.find(({ priceType }) => priceType === wished) ?? sold[0])?.priceType ?? null;
  };
  const wish = (): Chosen => ({
    seats: [...chosen.value].map((seat) => ({ seatId: plan.ids[seat]!, priceType: typeOf(seat) })),
    areas: places.value,
  });

  const offer = (lost: number[], refusal: Refusal) => {
    const kept = [...chosen.value].filter((seat) => !lost.includes(seat));
    const taken = new Set(kept);
    for (const seat of lost) {
      const [nearest] = nearestFree(plan, seat, (other) => isOpen(other) && !taken.has(other), 1);
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

  /** Says that an area hasn't as many places left as were chosen, and keeps those that it has. */
  const offerLess = (areaId: string, available: number, refusal: Refusal) => {
    const left = available + chosenOf(ownPlaces, areaId);
    if (chosenOf(places.value, areaId) <= left) return false;
    places.value = within(places.value, areaId, left).filter(({ count }) => count > 0);
    const text = t.value.areaShort(placesName(seats, show, { areaId, priceType: null, count: 0 }), left);
    gone.value = { refusal, lost: [], offered: [], text };
    announce(text);
    return true;
  };

  useEffect(() => seats.open(), [seats]);
  useEffect(() => void loadTickets(), []);
  // Another code shows another hall, in which what was chosen may not be to be had.
  useEffect(() => {
    if (busy.value) return;
    const left = [...chosen.value].filter(isOpen);
    if (left.length < chosen.value.size && gives) hint.value = "notForCode";
    chosen.value = new Set(left);
  }, [seats]);
  useEffect(() => {
    if (busy.value) return;
    for (const { areaId, available } of seats.areas.value) offerLess(areaId, available, refusalFor("not_enough_seats"));
  }, [seats.areas.value]);
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
    hint.value = "";
    const next = new Set(chosen.value);
    if (next.has(seat)) next.delete(seat);
    else if (!isFree(seat)) return announce(t.value.taken(nameOf(seat)));
    else {
      hint.value = closed(seat) || (countOf(wish()) >= most ? "tooMany" : "");
      if (hint.value) return announce(hintText(hint.value, most));
      next.add(seat);
    }
    gone.value = null;
    chosen.value = next;
  };
  // Who turns them off again doesn't take one by an oversight.
  const onAccessible = () => {
    hint.value = "";
    if (!accessible.value) chosen.value = new Set([...chosen.value].filter((seat) => closed(seat) === ""));
  };

  const refused = (refusal: Refusal) => {
    const lost = (refusal.code === "seat_unavailable" ? (refusal.problem.seats ?? []) : [])
      .map((id) => plan.indexOf(id))
      .filter((seat) => seat !== undefined);
    for (const seat of lost) if (status[seat] === FREE) status[seat] = HELD;
    if (lost.length > 0) return offer(lost, refusal);
    const short = refusal.code === "not_enough_seats" ? (refusal.problem.areas ?? []) : [];
    if (short.some(({ areaId, available }) => offerLess(areaId, available, refusal))) return;
    if (code.refuse(refusal)) return;
    if (["queue_token_required", "queue_token_invalid", "queue_not_active"].includes(refusal.code)) props.onPassOver();
    if (refusal.code === "schedule_not_open") void props.again();
    gone.value = { refusal, lost: [], offered: [] };
    announce(sentence(refusal));
  };

  const hold = (best: BestWish | null) => {
    if (busy.value || (!best && countOf(wish()) === 0) || code.isMissing(phase !== null && !held)) return;
    asFan(async () => {
      if (busy.value) return;
      busy.value = best ? "best" : "seats";
      gone.value = null;
      hint.value = "";
      // A hold keeps the code that it has.
      const said = held && code.said.toUpperCase() === held.code?.toUpperCase() ? "" : code.said;
      const wished = bodyOf(best ?? wish(), { accessible: accessible.value, code: said });
      let answer: Reservation | Refusal;
      if (held) {
        const path = { reservationId: held.reservationId };
        answer = await change(`exchange.${held.reservationId}`, wished, (key, body) =>
          api.PATCH("/api/v1/reservations/{reservationId}", {
            params: { path, header: { ...key, ...props.pass() } },
            body: body as Schemas["ExchangeBody"],
          }),
        );
      } else {
        answer = await change(`hold.${schedule.scheduleId}`, { scheduleId: schedule.scheduleId, ...wished }, (key, body) =>
          api.POST("/api/v1/reservations", {
            params: { header: { ...key, ...props.pass() } },
            body: body as Schemas["HoldBody"],
          }),
        );
      }
      busy.value = "";
      if (isRefusal(answer)) return refused(answer);
      tellTabs();
      go(reservationPath(answer.reservationId), { replace: held !== null });
    });
  };

  const problem = gone.value && (
    <Refused
      refusal={gone.value.refusal}
      text={gone.value.text ?? (gone.value.lost.length > 0 ? t.value.seatsGone(gone.value.lost.map(nameOf).join(", ")) : undefined)}
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

  const shown = [...chosen.value]
    .sort((a, b) => a - b)
    .map((seat): ChosenSeat => ({ seat, name: nameOf(seat), grade: plan.grades[plan.grade[seat]!]!, priceType: typeOf(seat) }));
  const hasMap = plan.count > 0 || plan.areas.some(({ outline }) => outline);

  return (
    <div class={hasMap ? "choosing" : "choosing flat"}>
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
      {hasMap && (
        <div class="choosing-map">
          <SeatMap
            seats={seats}
            colours={colours}
            choice={choice}
            sight={sight}
            onPick={pick}
            onArea={(area) => document.querySelector<HTMLElement>(`#area-${area}-0 button:last-child`)?.focus()}
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
      )}
      <div class="choosing-side">
        <CodeField
          code={code}
          isNeeded={phase !== null && !held}
          isTaken={schedule.takesCodes}
          hint={phase ? t.value.codeOfPhase(phase.name) : t.value.codeLater}
          currency={show.currency}
        />
        <Legend seats={seats} colours={colours} prices={prices} price={price} grade={grade} isSold={isSold} />
        <AccessibleSwitch seats={seats} isOn={accessible} onChange={onAccessible} />
        {!held && plan.count > 0 && (
          <Best
            show={show}
            most={most}
            off={off}
            price={price}
            grade={grade.value === null ? null : plan.grades[grade.value]!}
            accessible={accessible.value}
            busy={busy.value === "best"}
            onHold={hold}
          />
        )}
        <Areas
          seats={seats}
          show={show}
          colours={colours}
          price={price}
          places={places.value}
          room={most - countOf(wish())}
          own={ownPlaces}
          isSold={isSold}
          onChange={(next) => {
            gone.value = null;
            places.value = next;
          }}
        />
        {plan.count > 0 && (
          <section class="by-list" aria-labelledby="by-list">
            <h2 id="by-list">{t.value.chooseOwn}</h2>
            <p class="soft small">{t.value.chooseHint(most)}</p>
            <SeatList
              seats={seats}
              choice={choice}
              prices={prices}
              price={price}
              nameOf={t.value.sectionName}
              sight={sight}
              pointed={pointed}
              onPick={pick}
              texts={t.value.list}
            />
          </section>
        )}
        <div class="bar-space">
          {problem}
          {hint.value && (
            <Notice
              kind="note"
              actions={
                hint.value === "kept" && (
                  <Button
                    onClick={() => {
                      accessible.value = true;
                      onAccessible();
                    }}
                  >
                    {t.value.showAccessible}
                  </Button>
                )
              }
            >
              {hintText(hint.value, most)}
            </Notice>
          )}
          <Bar
            show={show}
            off={off}
            seats={shown}
            areas={places.value}
            nameOfPlaces={(own) => placesName(seats, show, own)}
            gradeOfArea={(areaId) => seats.areas.value.find((area) => area.areaId === areaId)?.grade ?? ""}
            busy={busy.value === "seats"}
            isChange={held !== null}
            onDrop={pick}
            onDropPlaces={(dropped) => (places.value = places.value.filter((own) => own !== dropped))}
            onType={(seat, type) => (types.value = new Map(types.value).set(seat, type))}
            onHold={() => hold(null)}
          />
        </div>
      </div>
    </div>
  );
}

const hintText = (hint: Exclude<Hint, "">, most: number): string =>
  hint === "tooMany" ? t.value.tooMany(most) : hint === "kept" ? t.value.keptSeat : t.value[hint];

/** The places of areas that a hold has. */
function placesOf(held: Reservation | null, firstType: string | undefined): AreaPlaces[] {
  return (held?.areas ?? []).map(({ areaId, count, priceType }) => ({ areaId, count, priceType: priceType ?? firstType ?? null }));
}

/** The price types of a hold's seats, by their places in the plan. */
function typesOf(held: Reservation | null, plan: Seats["plan"]): [number, string][] {
  const typed = (held?.seats ?? []).map(({ seatId, priceType }) => [plan.indexOf(seatId), priceType] as const);
  return typed.filter((own): own is [number, string] => own[0] !== undefined && typeof own[1] === "string");
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
