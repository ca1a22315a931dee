// The reader's reservations, newest first.
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { api, ask, isRefusal, type Reservation } from "../base/api";
import { now, secondsUntil } from "../base/clock";
import { clock, fullDay, money, time } from "../base/language";
import { useLoaded } from "../base/load";
import { session } from "../base/session";
import { Button, Heading, Loading, NoticeTo } from "../base/ui";
import { venues } from "./data";
import { reservationPath } from "./names";
import { placeNames } from "./ticket-names";
import { Refused } from "./refusal";
import { SignInFirst } from "./reservation";
import { onNews } from "./tabs";
import { t } from "./texts";

const PAGE = 50;

export function ReservationsPage() {
  const fan = session.value?.userId;
  const more = useSignal<{ items: Reservation[]; nextCursor: string | null } | null>(null);
  const list = useLoaded(() => ask(api.GET("/api/v1/reservations", { params: { query: { limit: PAGE } } })), [fan]);
  useEffect(() => onNews(() => void list.again()), [fan]);
  if (!fan) return <SignInFirst title={t.value.myReservations} />;
  const first = list.value.value;
  if (first === null) return <Loading label={t.value.loading} />;
  const items = isRefusal(first) ? [] : [...first.items, ...(more.value?.items ?? [])];
  const cursor = isRefusal(first) ? null : more.value ? more.value.nextCursor : first.nextCursor;
  return (
    <div class="mine">
      <Heading title={t.value.myReservations}>{t.value.myReservations}</Heading>
      {isRefusal(first) && <Refused refusal={first} again={list.again} />}
      {!isRefusal(first) && items.length === 0 && (
        <NoticeTo kind="note" href="/" label={t.value.toShows} main>
          {t.value.noReservations}
        </NoticeTo>
      )}
      <ul>
        {items.map((reservation) => (
          <Line key={reservation.reservationId} reservation={reservation} />
        ))}
      </ul>
      {cursor && (
        <Button
          onClick={async () => {
            const next = await ask(api.GET("/api/v1/reservations", { params: { query: { limit: PAGE, cursor } } }));
            if (!isRefusal(next))
              more.value = { items: [...(more.value?.items ?? []), ...next.items], nextCursor: next.nextCursor };
          }}
        >
          {t.value.showMore}
        </Button>
      )}
    </div>
  );
}

function Line(props: { reservation: Reservation }) {
  const { reservation } = props;
  const zone = useZone();
  // A hold is over at its deadline, whether or not the list was read again.
  const isOver = reservation.status === "held" && Date.parse(reservation.expiresAt) <= now.value;
  const status = isOver ? "expired" : reservation.status;
  return (
    <li class={`mine-line ${status}`}>
      <a href={reservationPath(reservation.reservationId)}>
        <span class={`status ${status}`}>
          {t.value.status[status]}
          {status === "held" && ` ${clock(secondsUntil(reservation.expiresAt))}`}
        </span>
        <span class="mine-title">{reservation.concertTitle}</span>
        <span>
          {fullDay(reservation.startsAt, zone)} {time(reservation.startsAt, zone)}
        </span>
        <span class="soft">
          {/* A line breaks between seats. */}
          {placeNames(reservation)
            .map((name) => name.replaceAll(" ", "\u00a0"))
            .join(", ")}{" "}
          ·{" "}
          {money(reservation.amount, reservation.currency)}
        </span>
      </a>
    </li>
  );
}

/** The zone of the venues, where they have one in common. */
function useZone(): string | undefined {
  const all = useLoaded(venues, []).value.value;
  const zones = new Set(isRefusal(all) ? [] : [...(all?.values() ?? [])].map((venue) => venue.timeZone));
  return zones.size === 1 ? [...zones][0] : undefined;
}
