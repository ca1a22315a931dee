// One reservation: a hold that is to be paid, a ticket, or what became of it.
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { api, ask, change, isRefusal, type Payment, type Refusal, refusalFor, type Reservation } from "../base/api";
import { now, serverNow } from "../base/clock";
import { fullDay, money, time } from "../base/language";
import { Lines } from "../base/lines";
import { announce } from "../base/live";
import { useLoaded } from "../base/load";
import { go, here } from "../base/router";
import { session } from "../base/session";
import { Button, Dialog, Heading, Loading, Notice, NoticeTo } from "../base/ui";
import { calendarOf, type Entry } from "./calendar";
import { type Sale, saleOf, useAt } from "./data";
import { Deadline } from "./deadline";
import { asFan } from "./fan";
import { reservationPath, salePath, sizeOf } from "./names";
import { areaNames, placeNames, seatName } from "./ticket-names";
import { confirmReturned, Pay } from "./pay";
import { Refused, sentence } from "./refusal";
import { Room } from "./room";
import { onNews, tellTabs } from "./tabs";
import { t } from "./texts";

/** How often a payment under way is looked at. */
const PENDING_MS = 1_500;

export function ReservationPage(props: { reservationId: string }) {
  const { reservationId } = props;
  const fan = session.value?.userId;
  const path = { reservationId };
  const loaded = useLoaded(
    () => ask(api.GET("/api/v1/reservations/{reservationId}", { params: { path } })),
    [reservationId, fan],
  );
  const own = loaded.value.value;
  useEffect(() => onNews(() => void loaded.again()), [reservationId, fan]);

  if (!fan) return <SignInFirst title={t.value.myReservations} />;
  if (own === null) return <Loading label={t.value.loading} />;
  if (isRefusal(own)) {
    return (
      <div class="narrow">
        <Heading title={t.value.notFoundTitle}>{t.value.notFoundTitle}</Heading>
        <Refused refusal={own} again={loaded.again} />
      </div>
    );
  }
  return <Own key={reservationId} reservation={own} again={loaded.again} />;
}

export function SignInFirst(props: { title: string }) {
  return (
    <div class="narrow">
      <Heading title={props.title}>{props.title}</Heading>
      <Notice
        kind="note"
        actions={
          <Button look="main" onClick={() => asFan()}>
            {t.value.signIn}
          </Button>
        }
      >
        {t.value.signInFirst}
      </Notice>
    </div>
  );
}

function Own(props: { reservation: Reservation; again: () => Promise<void> }) {
  const { reservation, again } = props;
  const sale = useLoaded(() => saleOf(reservation.scheduleId), [reservation.scheduleId]).value.value;
  const answer = useSignal<Refusal | null>(null);
  const returned = here.value.query;

  // Back from the gateway's checkout: its key is taken to the engine once, whatever is reloaded.
  useEffect(() => {
    const key = returned.get("paymentKey");
    const order = returned.get("orderId");
    if (!order) return;
    void (async () => {
      if (key) {
        const done = await confirmReturned(order, key);
        answer.value = isRefusal(done) ? done : null;
      } else
        answer.value = refusalFor(returned.get("code") === "PAY_PROCESS_CANCELED" ? "payment_given_up" : "payment_declined");
      if (answer.value) announce(sentence(answer.value));
      // A line that is lost leaves the key in the address, so that a reload goes on.
      if (answer.value?.code !== "offline") go(reservationPath(reservation.reservationId), { replace: true });
      tellTabs();
      await again();
    })();
  }, []);

  // A hold's end, and a payment under way, are looked at until they are known.
  const isOver = reservation.status === "held" && Date.parse(reservation.expiresAt) <= now.value;
  const isOpen = reservation.status === "paying" || isOver;
  useEffect(() => {
    if (!isOpen) return;
    const timer = setInterval(again, PENDING_MS);
    return () => clearInterval(timer);
  }, [isOpen]);
  useAt(reservation.status === "held" ? Date.parse(reservation.expiresAt) + 100 : null, () => void again());

  const was = useSignal(reservation.status);
  useEffect(() => {
    if (was.value === reservation.status) return;
    was.value = reservation.status;
    if (reservation.status === "confirmed") announce(t.value.confirmedSaid);
    if (reservation.status === "expired") announce(t.value.expiredSaid);
  }, [reservation.status]);

  // The turn in the waiting room lasts while its owner pays: an exchange still needs it.
  useEffect(() => {
    if (reservation.status !== "held") return;
    const room = new Room(reservation.scheduleId);
    void room.enter();
    return () => room.leaveQuietly();
  }, [reservation.status, reservation.scheduleId]);

  const isReturning = returned.get("paymentKey") !== null && answer.value === null;
  const title = t.value.reservationTitle[isReturning && reservation.status === "held" ? "paying" : reservation.status] as string;
  return (
    <div class={`reservation ${reservation.status}`}>
      <div class="reservation-main">
        <Heading title={title}>{title}</Heading>
        {reservation.status === "held" && !isReturning && !isOver && (
          <HoldParts
            reservation={reservation}
            sale={sale === null || isRefusal(sale) ? null : sale}
            again={again}
            refusal={answer.value}
            onRefusal={(refusal) => (answer.value = refusal)}
          />
        )}
        {(reservation.status === "paying" || isReturning || isOver) && (
          <Loading label={isOver ? t.value.loading : t.value.payingNow} />
        )}
        {reservation.status === "expired" && (
          <NoticeTo href={salePath(reservation.scheduleId)} label={t.value.backToSeats} main>
            {t.value.expiredText}
          </NoticeTo>
        )}
        {reservation.status === "released" && (
          <NoticeTo kind="note" href={salePath(reservation.scheduleId)} label={t.value.backToSeats}>
            {t.value.releasedText}
          </NoticeTo>
        )}
        {reservation.status === "confirmed" && (
          <>
            <p class="lead">{t.value.confirmedText}</p>
            {sale !== null && !isRefusal(sale) && (
              <div class="actions">
                <a
                  class="button"
                  id="calendar"
                  download="ticket.ics"
                  href={`data:text/calendar;charset=utf-8,${encodeURIComponent(calendarOf(entryOf(reservation, sale)))}`}
                >
                  {t.value.toCalendar}
                </a>
              </div>
            )}
          </>
        )}
        {reservation.status === "cancelled" && <Back reservation={reservation} />}
        {reservation.status !== "held" && answer.value && <Refused refusal={answer.value} />}
        {reservation.status === "confirmed" && (
          <Cancel reservation={reservation} sale={sale === null || isRefusal(sale) ? null : sale} again={again} />
        )}
      </div>
      <Ticket reservation={reservation} sale={sale === null || isRefusal(sale) ? null : sale} />
    </div>
  );
}

/** What a calendar is told of a ticket. */
function entryOf(reservation: Reservation, { schedule, venue }: Sale): Entry {
  return {
    uid: `${reservation.reservationId}@${location.host}`,
    stamp: new Date(serverNow()).toISOString(),
    startsAt: reservation.startsAt,
    endsAt: schedule.endsAt,
    title: reservation.concertTitle,
    place: [reservation.venue, venue?.address].filter(Boolean).join(", "),
    text: placeNames(reservation).join(", "),
  };
}

/** The seats and what they cost, as a ticket. */
function Ticket(props: { reservation: Reservation; sale: Sale | null }) {
  const { reservation, sale } = props;
  const { seats, areas = [], lines = [] } = reservation;
  const zone = sale?.venue?.timeZone;
  const planId = areas.length > 0 ? sale?.schedule.planId : null;
  const names = useLoaded(async () => (planId ? areaNames(planId) : new Map<string, string>()), [planId]).value.value;
  const typeName = (id: string | null | undefined) => sale?.show.priceTypes?.find(({ priceType }) => priceType === id)?.name;
  return (
    <aside class="ticket" aria-label={t.value.seatsOf}>
      <p class="ticket-title">{reservation.concertTitle}</p>
      <p>
        {fullDay(reservation.startsAt, zone)} {time(reservation.startsAt, zone)}
      </p>
      <p class="soft">{reservation.venue}</p>
      <ul>
        {seats.map(({ seatId, grade, price, priceType }) => (
          <li key={seatId}>
            <span>
              {seatName(seatId)} <span class="soft">{[grade, typeName(priceType)].filter(Boolean).join(" · ")}</span>
            </span>
            {/* Where there are lines, they say what it costs. */}
            {lines.length === 0 && <span>{money(price, reservation.currency)}</span>}
          </li>
        ))}
        {areas.map(({ areaId, grade, count, priceType }) => {
          // Until its name is there, an area is called by its grade.
          const name = names && !isRefusal(names) ? names.get(areaId) : undefined;
          return (
            <li key={`${areaId} ${priceType}`}>
              <span>
                {t.value.times(name ?? grade, count)}{" "}
                <span class="soft">{[name && grade, typeName(priceType)].filter(Boolean).join(" · ")}</span>
              </span>
            </li>
          );
        })}
      </ul>
      {lines.length > 0 && <Lines lines={lines} currency={reservation.currency} texts={t.value} />}
      <p class="ticket-sum">
        <span>{t.value.sum}</span> <strong>{money(reservation.amount, reservation.currency)}</strong>
      </p>
      {reservation.status === "confirmed" && <p class="soft small ticket-id">{t.value.number(reservation.reservationId)}</p>}
    </aside>
  );
}

function HoldParts(props: {
  reservation: Reservation;
  sale: Sale | null;
  again: () => Promise<void>;
  refusal: Refusal | null;
  onRefusal: (refusal: Refusal | null) => void;
}) {
  const { reservation, sale, again } = props;
  const releasing = useSignal(false);
  const seconds = (Date.parse(reservation.expiresAt) - Date.parse(reservation.createdAt)) / 1000;
  const release = async () => {
    releasing.value = true;
    const answer = await giveBack(reservation.reservationId);
    releasing.value = false;
    if (isRefusal(answer)) return props.onRefusal(answer);
    tellTabs();
    announce(t.value.releasedText);
    go(salePath(reservation.scheduleId), { replace: true });
  };
  return (
    <>
      <Deadline at={reservation.expiresAt} seconds={seconds} label={t.value.heldFor} onOver={() => void again()} />
      {reservation.recovered && <Notice kind="note">{t.value.recovered}</Notice>}
      <Pay reservation={reservation} again={again} refusal={props.refusal} onRefusal={props.onRefusal} />
      <div class="actions">
        {sale?.schedule.status === "open" && (
          <a
            class="button quiet"
            href={`${salePath(reservation.scheduleId)}?change=${encodeURIComponent(reservation.reservationId)}`}
          >
            {t.value.changeSeats}
          </a>
        )}
        <Button look="quiet" onClick={release} busy={releasing.value}>
          {t.value.release}
        </Button>
      </div>
    </>
  );
}

function giveBack(reservationId: string): Promise<Reservation | Refusal> {
  const path = { reservationId };
  return change(`giveBack.${reservationId}`, null, (header) =>
    api.DELETE("/api/v1/reservations/{reservationId}", { params: { path, header } }),
  );
}

/** Gives a ticket back, after saying what comes back. */
function Cancel(props: { reservation: Reservation; sale: Sale | null; again: () => Promise<void> }) {
  const { reservation, sale } = props;
  const isOpen = useSignal(false);
  const busy = useSignal(false);
  const refusal = useSignal<Refusal | null>(null);
  const { paymentId } = reservation;
  const payment = useLoaded<Payment | null>(
    async () => (paymentId ? ask(api.GET("/api/v1/payments/{paymentId}", { params: { path: { paymentId } } })) : null),
    [paymentId],
  ).value.value;
  if (!sale) return null;
  const until = Date.parse(reservation.startsAt) - (sale.schedule.policy.cancelUntilSecondsBeforeStart ?? 86_400) * 1000;
  if (until <= serverNow()) return <p class="soft">{t.value.cancelOver}</p>;
  const back = reservation.refundAmount ?? reservation.amount;
  const amount = money(back, reservation.currency);
  const cancel = async () => {
    busy.value = true;
    const answer = await giveBack(reservation.reservationId);
    busy.value = false;
    if (isRefusal(answer)) {
      refusal.value = answer;
      return announce(sentence(answer));
    }
    isOpen.value = false;
    tellTabs();
    announce(t.value.cancelledSaid);
    await props.again();
  };
  return (
    <>
      <p class="soft">{t.value.cancelUntil(fullDay(until, sale.venue?.timeZone), time(until, sale.venue?.timeZone))}</p>
      <div class="actions">
        <Button onClick={() => (isOpen.value = true)} id="cancel">
          {t.value.cancel}
        </Button>
      </div>
      {isOpen.value && (
        <Dialog title={t.value.cancelTitle} closeLabel={t.value.close} onClose={() => (isOpen.value = false)}>
          <p>
            <b>{reservation.concertTitle}</b>
            <br />
            {fullDay(reservation.startsAt, sale.venue?.timeZone)} {time(reservation.startsAt, sale.venue?.timeZone)} ·{" "}
            {sizeOf(reservation)}
          </p>
          <p>{t.value.cancelAsk}</p>
          {payment !== null && !isRefusal(payment) && (
            <p class="lead">{payment.method === "balance" ? t.value.backToBalance(amount) : t.value.backToCard(amount)}</p>
          )}
          {back < reservation.amount && (
            <p class="soft">{t.value.notBack(money(reservation.amount - back, reservation.currency))}</p>
          )}
          {refusal.value && <Refused refusal={refusal.value} />}
          <div class="actions">
            {/* First, so that the focus begins with what takes nothing away. */}
            <Button onClick={() => (isOpen.value = false)}>{t.value.cancelNo}</Button>
            <Button look="danger" onClick={cancel} busy={busy.value} id="cancel-yes">
              {t.value.cancelYes}
            </Button>
          </div>
        </Dialog>
      )}
    </>
  );
}

/** What came back of a ticket that was given back. */
function Back(props: { reservation: Reservation }) {
  const { reservation } = props;
  const { paymentId } = reservation;
  const loaded = useLoaded<Payment | null>(
    async () => (paymentId ? ask(api.GET("/api/v1/payments/{paymentId}", { params: { path: { paymentId } } })) : null),
    [paymentId, reservation.status],
  );
  const payment = loaded.value.value;
  const isUnderWay =
    payment !== null && !isRefusal(payment) && (payment.status === "refunding" || payment.status === "completed");
  useEffect(() => {
    if (!isUnderWay) return;
    const timer = setInterval(loaded.again, 3_000);
    return () => clearInterval(timer);
  }, [isUnderWay]);
  const amount = money(reservation.refundAmount ?? reservation.amount, reservation.currency);
  return (
    <NoticeTo kind="good" href="/" label={t.value.toShows}>
      {isUnderWay ? t.value.refunding(amount) : payment && !isRefusal(payment) ? t.value.refunded(amount) : t.value.cancelledSaid}
    </NoticeTo>
  );
}
