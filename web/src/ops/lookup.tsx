// The support desk: a reservation, a user, or a seat's whole history.
import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";
import { api, ask, isRefusal, type Payment, type Refusal, refusalFor, type Reservation, type Schemas } from "../base/api";
import { count, money } from "../base/language";
import { useLoaded } from "../base/load";
import { go, here } from "../base/router";
import { Button, Field, Heading, Loading } from "../base/ui";
import { zoneOf } from "./catalogue";
import { historyPath, instantOfDay, lookupPath, schedulePath, startOf } from "./parts";
import { Refused } from "./refusal";
import { t } from "./texts";
import { overview } from "./watch";
import { may } from "./who";

type User = Schemas["User"];

interface FoundUser {
  user: User | null;
  userId: string;
  balance: Schemas["Balance"] | null;
  movements: Schemas["Transaction"][];
  reservations: Reservation[];
  payments: Payment[];
}
type Found = { reservation: Reservation; payment: Payment | null } | FoundUser;

/** Finds what a text names: a reservation, an address, or a user. */
async function find(text: string): Promise<Found | Refusal> {
  if (text.includes("@")) {
    const list = await ask(api.GET("/api/v1/users", { params: { query: { email: text } } }));
    if (isRefusal(list)) return list;
    const [user] = list.items;
    return user ? userOf(user.userId) : refusalFor("not_found");
  }
  const reservation = await ask(api.GET("/api/v1/reservations/{reservationId}", { params: { path: { reservationId: text } } }));
  if (!isRefusal(reservation)) {
    const { paymentId } = reservation;
    const payment = paymentId ? await ask(api.GET("/api/v1/payments/{paymentId}", { params: { path: { paymentId } } })) : null;
    return { reservation, payment: isRefusal(payment) ? null : payment };
  }
  return reservation.code === "not_found" ? userOf(text) : reservation;
}

/** Whose it is; what the box office sold may be nobody's, with a name for the door. */
function Buyer(props: { userId: string | null; name?: string | null | undefined }) {
  if (props.userId === null) return <>{props.name ?? ""}</>;
  return <a href={lookupPath(props.userId)}>{props.userId}</a>;
}

async function userOf(userId: string): Promise<FoundUser | Refusal> {
  const path = { userId };
  const [user, balance, movements, reservations, payments] = await Promise.all([
    ask(api.GET("/api/v1/users/{userId}", { params: { path } })),
    ask(api.GET("/api/v1/users/{userId}/balance", { params: { path } })),
    ask(api.GET("/api/v1/users/{userId}/balance/transactions", { params: { path } })),
    ask(api.GET("/api/v1/reservations", { params: { query: { userId } } })),
    ask(api.GET("/api/v1/payments", { params: { query: { userId } } })),
  ]);
  const items = <T,>(list: { items: T[] } | Refusal): T[] => (isRefusal(list) ? [] : list.items);
  const found = {
    userId,
    user: isRefusal(user) ? null : user,
    balance: isRefusal(balance) ? null : balance,
    movements: items(movements),
    reservations: items(reservations),
    payments: items(payments),
  };
  const isKnown = found.user || found.movements.length + found.reservations.length + found.payments.length > 0;
  return isKnown || !isRefusal(user) ? found : user;
}

export function LookupPage() {
  const wanted = here.value.query.get("q") ?? "";
  const send = (event: Event) => {
    event.preventDefault();
    const text = String(new FormData(event.target as HTMLFormElement).get("q") ?? "").trim();
    if (text) go(lookupPath(text), { replace: true });
  };
  return (
    <div class="lookup">
      <Heading title={`${t.value.lookup} · ${t.value.title}`}>{t.value.lookup}</Heading>
      {may("readAll") ? (
        <form class="lookup-form" onSubmit={send} role="search" key={wanted}>
          <Field label={t.value.lookupLabel} name="q" defaultValue={wanted} autoComplete="off" spellcheck={false} hint={t.value.lookupHint} />
          <Button type="submit" look="main" id="look-up">
            {t.value.find}
          </Button>
        </form>
      ) : (
        <p class="soft">{t.value.lookupNeedsRole}</p>
      )}
      {wanted && may("readAll") && <Result text={wanted} />}
      <SeatForm />
      {may("readAll") && <Unsettled />}
    </div>
  );
}

function Result(props: { text: string }) {
  const { value, again } = useLoaded<Found>(() => find(props.text), [props.text]);
  const found = value.value;
  if (found === null) return <Loading label={t.value.loading} />;
  if (isRefusal(found)) return <Refused refusal={found} again={() => void again()} />;
  return "reservation" in found ? <OneReservation {...found} /> : <OneUser {...found} />;
}

/** What is known of something, a line each; a value that isn't there has none. */
function Facts(props: { items: [string, ComponentChildren][] }) {
  return (
    <dl class="facts">
      {props.items
        .filter(([, value]) => value != null)
        .map(([label, value]) => (
          <div key={label}>
            <dt>{label}</dt>
            <dd>{value}</dd>
          </div>
        ))}
    </dl>
  );
}

/** How a payment stands, and why it failed or goes back. */
const stateOf = ({ status, failure }: Payment) => t.value.paymentStatus[status] + (failure ? ` (${failure.code})` : "");

/** A link to a reservation, by its id. */
function ReservationLink(props: { id: string }) {
  return (
    <td data-label={t.value.reservation}>
      <a href={lookupPath(props.id)}>{props.id}</a>
    </td>
  );
}

const at = (instant: string | null) => instant && <time dateTime={instant}>{instantOfDay(instant)}</time>;

function OneReservation(props: { reservation: Reservation; payment: Payment | null }) {
  const { reservation, payment } = props;
  const { scheduleId, currency } = reservation;
  const method = (name: string) => (t.value.methods as Record<string, string>)[name] ?? name;
  const paid = payment && `${method(payment.method)} · ${stateOf(payment)}`;
  return (
    <section aria-labelledby="found" id="found-reservation">
      <h2 id="found">
        {t.value.reservation} <span class={`status ${reservation.status}`}>{t.value.reservationStatus[reservation.status]}</span>
      </h2>
      <Facts
        items={[
          [t.value.reservationId, <code class="id">{reservation.reservationId}</code>],
          [t.value.user, <Buyer userId={reservation.userId} name={reservation.name} />],
          [
            t.value.show,
            <a href={schedulePath(scheduleId)}>{`${reservation.concertTitle} · ${startOf(reservation.startsAt, zoneOf(reservation.concertId))}`}</a>,
          ],
          [t.value.amount, money(reservation.amount, currency)],
          [t.value.code, reservation.code && <code>{reservation.code}</code>],
          [t.value.created, at(reservation.createdAt)],
          // Of what was paid for, the hold's end says nothing any more.
          [t.value.expires, reservation.confirmedAt ? null : at(reservation.expiresAt)],
          [t.value.confirmed, at(reservation.confirmedAt)],
          [t.value.cancelledAt, at(reservation.cancelledAt)],
          [t.value.payment, paid],
          [t.value.paymentId, payment && <code class="id">{payment.paymentId}</code>],
        ]}
      />
      <h3>{t.value.seatsWord}</h3>
      <ul class="seat-links">
        {reservation.seats.map(({ seatId, grade, price }) => (
          <li key={seatId}>
            <a href={historyPath(scheduleId, seatId)}>{seatId}</a> <span class="soft">{`${grade} · ${money(price, currency)}`}</span>
          </li>
        ))}
        {(reservation.areas ?? []).map(({ areaId, grade, price, count: number }) => (
          <li key={areaId}>
            {areaId} ×{count(number)} <span class="soft">{`${grade} · ${money(price, currency)}`}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}

/** What a reservation has: its seats, and its places of areas. */
const placesOf = ({ seats, areas }: Reservation) =>
  [...seats.map(({ seatId }) => seatId), ...(areas ?? []).map(({ areaId, count: number }) => `${areaId} ×${count(number)}`)].join(", ");

function OneUser(props: FoundUser) {
  const { user, balance, reservations, payments, movements } = props;
  const currency = balance?.currency ?? "KRW";
  return (
    <section aria-labelledby="found" id="found-user">
      <h2 id="found">
        {t.value.user} {user && <span class={`status ${user.status}`}>{t.value.userStatus[user.status]}</span>}
      </h2>
      <Facts
        items={[
          [t.value.userId, <code class="id">{props.userId}</code>],
          [t.value.name, user?.name],
          [t.value.email, user?.email],
          [t.value.since, at(user?.createdAt ?? null)],
          [t.value.balance, balance && money(balance.balance, currency)],
        ]}
      />
      <h3>{t.value.reservations(reservations.length)}</h3>
      {reservations.length > 0 && (
        <table class="list">
          <thead>
            <tr>
              <th scope="col">{t.value.created}</th>
              <th scope="col">{t.value.reservation}</th>
              <th scope="col">{t.value.show}</th>
              <th scope="col">{t.value.state}</th>
              <th scope="col">{t.value.seatsWord}</th>
              <th scope="col" class="number">
                {t.value.amount}
              </th>
            </tr>
          </thead>
          <tbody>
            {reservations.map((reservation) => (
              <tr key={reservation.reservationId}>
                <td class="nowrap">{at(reservation.createdAt)}</td>
                <ReservationLink id={reservation.reservationId} />
                <td data-label={t.value.show}>
                  <a href={schedulePath(reservation.scheduleId)}>{reservation.concertTitle}</a>{" "}
                  {startOf(reservation.startsAt, zoneOf(reservation.concertId))}
                </td>
                <td data-label={t.value.state}>{t.value.reservationStatus[reservation.status]}</td>
                <td data-label={t.value.seatsWord}>{placesOf(reservation)}</td>
                <td class="number" data-label={t.value.amount}>
                  {money(reservation.amount, reservation.currency)}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      <h3>{t.value.payments(payments.length)}</h3>
      {payments.length > 0 && <Payments payments={payments} />}
      <h3>{t.value.movements(movements.length)}</h3>
      {movements.length > 0 && (
        <table class="list">
          <thead>
            <tr>
              <th scope="col">{t.value.when}</th>
              <th scope="col">{t.value.what}</th>
              <th scope="col" class="number">
                {t.value.amount}
              </th>
              <th scope="col" class="number">
                {t.value.balance}
              </th>
            </tr>
          </thead>
          <tbody>
            {movements.map((movement) => (
              <tr key={movement.transactionId}>
                <td class="nowrap">{at(movement.createdAt)}</td>
                <td data-label={t.value.what}>{(t.value.movement as Record<string, string>)[movement.type] ?? movement.type}</td>
                <td class="number" data-label={t.value.amount}>
                  {movement.type === "payment" ? "−" : "+"}
                  {money(movement.amount, currency)}
                </td>
                <td class="number" data-label={t.value.balance}>
                  {money(movement.balanceAfter, currency)}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}

function Payments(props: { payments: Payment[]; isOfMany?: boolean }) {
  return (
    <table class="list">
      <thead>
        <tr>
          <th scope="col">{t.value.created}</th>
          <th scope="col">{t.value.reservation}</th>
          {props.isOfMany && <th scope="col">{t.value.user}</th>}
          <th scope="col">{t.value.payment}</th>
          <th scope="col">{t.value.state}</th>
          <th scope="col" class="number">
            {t.value.amount}
          </th>
        </tr>
      </thead>
      <tbody>
        {props.payments.map((payment) => (
          <tr key={payment.paymentId}>
            <td class="nowrap">{at(payment.createdAt)}</td>
            <ReservationLink id={payment.reservationId} />
            {props.isOfMany && (
              <td data-label={t.value.user}>
                <Buyer userId={payment.userId} />
              </td>
            )}
            <td data-label={t.value.payment}>{(t.value.methods as Record<string, string>)[payment.method] ?? payment.method}</td>
            <td data-label={t.value.state}>{stateOf(payment)}</td>
            <td class="number" data-label={t.value.amount}>
              {money(payment.amount, payment.currency)}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** The most payments of a kind that are listed. */
const UNSETTLED_MAX = 100;

/** The payments that aren't settled: read anew when their number changes. */
function Unsettled() {
  const now = overview.value?.payments;
  const read = async (): Promise<Payment[] | Refusal> => {
    const of = (status: "pending" | "refunding") => ask(api.GET("/api/v1/payments", { params: { query: { status, limit: UNSETTLED_MAX } } }));
    const [pending, refunding] = await Promise.all([of("pending"), of("refunding")]);
    if (isRefusal(pending)) return pending;
    return isRefusal(refunding) ? refunding : [...refunding.items, ...pending.items];
  };
  const { value, again } = useLoaded(read, []);
  const number = (now?.pending ?? 0) + (now?.refunding ?? 0);
  useEffect(() => void again(), [number]);
  const payments = value.value;
  return (
    <section aria-labelledby="unsettled">
      <h2 id="unsettled">{t.value.unsettled}</h2>
      {payments === null ? (
        <Loading label={t.value.loading} />
      ) : isRefusal(payments) ? (
        <Refused refusal={payments} again={() => void again()} />
      ) : payments.length === 0 ? (
        <p class="soft">{t.value.allSettled}</p>
      ) : (
        <Payments payments={payments} isOfMany />
      )}
    </section>
  );
}

/** Leads to the history of a seat. */
function SeatForm() {
  const scheduleId = useSignal("");
  const seatId = useSignal("");
  const isMissing = useSignal(false);
  const send = (event: Event) => {
    event.preventDefault();
    isMissing.value = !scheduleId.value.trim() || !seatId.value.trim();
    if (!isMissing.value) go(historyPath(scheduleId.value.trim(), seatId.value.trim()));
  };
  const write = (to: typeof scheduleId) => (event: Event) => (to.value = (event.target as HTMLInputElement).value);
  return (
    <section aria-labelledby="seat-form">
      <h2 id="seat-form">{t.value.seatHistory}</h2>
      <form class="lookup-form" onSubmit={send} noValidate>
        <Field
          label={t.value.scheduleId}
          name="schedule"
          list="schedule-ids"
          value={scheduleId.value}
          onInput={write(scheduleId)}
          autoComplete="off"
          spellcheck={false}
        />
        <datalist id="schedule-ids">
          {(overview.value?.schedules ?? []).map((schedule) => (
            <option key={schedule.scheduleId} value={schedule.scheduleId}>
              {`${schedule.concertTitle} ${count(schedule.seats.reserved)}`}
            </option>
          ))}
        </datalist>
        <Field
          label={t.value.seatId}
          name="seat"
          value={seatId.value}
          onInput={write(seatId)}
          autoComplete="off"
          spellcheck={false}
          hint={t.value.seatIdHint}
          wrong={isMissing.value ? t.value.bothNeeded : undefined}
        />
        <Button type="submit" id="find-seat">
          {t.value.find}
        </Button>
      </form>
    </section>
  );
}
