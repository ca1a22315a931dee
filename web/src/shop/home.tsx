// All shows.
import { isRefusal, type Schedule } from "../base/api";
import { now, secondsUntil } from "../base/clock";
import { clock, day, money, time } from "../base/language";
import { useLoaded } from "../base/load";
import { Heading, Loading } from "../base/ui";
import { schedulesOf, type Show, shows, type Venue, venues } from "./data";
import { showPath } from "./names";
import { nextOpening } from "./phases";
import { Poster } from "./poster";
import { Refused } from "./refusal";
import { t } from "./texts";

export function HomePage() {
  const { value, again } = useLoaded(shows, []);
  const places = useLoaded(venues, []).value.value;
  const list = value.value;
  return (
    <div class="home">
      <Heading title={t.value.homeTitle} class="unseen">
        {t.value.shows}
      </Heading>
      {list === null && <Loading label={t.value.loading} />}
      {isRefusal(list) && <Refused refusal={list} again={again} />}
      {list !== null && !isRefusal(list) && list.length === 0 && <p class="empty">{t.value.noShows}</p>}
      {list !== null && !isRefusal(list) && (
        <ul class="shows">
          {list.map((show) => (
            <ShowLine key={show.concertId} show={show} venue={isRefusal(places) ? undefined : places?.get(show.venueId)} />
          ))}
        </ul>
      )}
    </div>
  );
}

function ShowLine(props: { show: Show; venue: Venue | undefined }) {
  const { show, venue } = props;
  const { value } = useLoaded(() => schedulesOf(show.concertId), [show.concertId]);
  const schedules = isRefusal(value.value) ? [] : (value.value ?? []);
  const ahead = schedules.filter((schedule) => Date.parse(schedule.endsAt) > now.value && schedule.status !== "cancelled");
  const [first, last] = [ahead[0], ahead.at(-1)];
  const zone = venue?.timeZone;
  const from = Math.min(...show.grades.map((grade) => grade.price));
  return (
    <li class="show-line">
      <a href={showPath(show.concertId)}>
        <Poster id={show.concertId} />
        <div class="show-words">
          <h2>{show.title}</h2>
          <p class="soft">{show.artist}</p>
          <p>
            {venue?.name}
            {first && last && (
              <span class="dates">
                {day(first.startsAt, zone)}
                {last !== first && ` – ${day(last.startsAt, zone)}`}
              </span>
            )}
          </p>
          <p class="show-state">
            <SaleState schedules={ahead} zone={zone} isLoaded={value.value !== null} />{" "}
            <span class="soft">{t.value.priceFrom(money(from, show.currency))}</span>
          </p>
        </div>
      </a>
    </li>
  );
}

/** Says in a word how the sales of a show stand. */
function SaleState(props: { schedules: Schedule[]; zone: string | undefined; isLoaded: boolean }) {
  const open = props.schedules.filter((schedule) => schedule.status === "open");
  if (open.some((schedule) => schedule.seats.available > 0)) return <strong class="on-sale">{t.value.onSale}</strong>;
  const opens = props.schedules
    .filter((schedule) => schedule.status === "upcoming")
    .map((schedule) => nextOpening(schedule, now.value)?.at);
  const next = opens.filter((at) => at !== undefined).sort()[0];
  if (next) {
    const left = secondsUntil(next);
    return (
      <strong>
        {left < 3600 ? t.value.opensIn(clock(left)) : t.value.opensAt(day(next, props.zone), time(next, props.zone))}
      </strong>
    );
  }
  if (!props.isLoaded) return null;
  return <span>{open.length > 0 ? t.value.soldOut : t.value.notOnSale}</span>;
}
