// One sale: what it is, the acts on it, and its parts: live, seats, phases and codes, waiting room, history.
import { useComputed, useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { STATUSES } from "@onsale/client";
import { api, ask, type Concert, isRefusal, type Refusal, type Schedule, type Schemas } from "../base/api";
import { now } from "../base/clock";
import { count, money, type Zone } from "../base/language";
import { useLoaded } from "../base/load";
import { Button, Dialog, Heading, Loading } from "../base/ui";
import { FREE, loadSeats, RESERVED, type Seats } from "../map/feed";
import { receipt, setSale } from "./acts";
import { CancelDialog } from "./cancel";
import { Chart, type Columns } from "./chart";
import { byGrade, Flow } from "./flow";
import { HistoryPart } from "./history";
import { SpanChoice } from "./all";
import { Later } from "./later";
import { Bar, type Counts, Figures, instant, percent, rough, schedulePath, startOf, Status } from "./parts";
import { PhaseNow, turnsOf } from "./phases";
import { Refused } from "./refusal";
import { RoomPart } from "./room";
import { SeatsPart } from "./seats";
import { t } from "./texts";
import { failure, looks, overview, type ScheduleOverview, trackOf } from "./watch";
import { may } from "./who";

/** A sale as its parts see it. */
export interface Sale {
  scheduleId: string;
  /** As it was read last; `live` is newer. */
  schedule: Schedule;
  concert: Concert;
  zone: Zone;
  seats: Seats;
  flow: Flow;
}

/** Calls a performance by its show and its start: a show has many. */
export const titleOf = ({ concert, schedule, zone }: Omit<Sale, "flow">) => `${concert.title}, ${startOf(schedule.startsAt, zone)}`;

export type Part = "" | "seats" | "access" | "counter" | "room" | "history";

async function load(scheduleId: string): Promise<Omit<Sale, "flow"> | Refusal> {
  const [schedule, venues] = await Promise.all([
    ask(api.GET("/api/v1/schedules/{scheduleId}", { params: { path: { scheduleId } } })),
    ask(api.GET("/api/v1/venues", { params: { query: { limit: 1000 } } })),
  ]);
  if (isRefusal(schedule)) return schedule;
  const concert = await ask(api.GET("/api/v1/concerts/{concertId}", { params: { path: { concertId: schedule.concertId } } }));
  if (isRefusal(concert)) return concert;
  const grades = concert.grades.map(({ grade }) => grade);
  const seats = await loadSeats(schedule, grades);
  if (isRefusal(seats)) return seats;
  const venue = isRefusal(venues) ? undefined : venues.items.find(({ venueId }: Schemas["VenueSummary"]) => venueId === schedule.venueId);
  return { scheduleId, schedule, concert, zone: venue?.timeZone, seats };
}

export function SchedulePage(props: { scheduleId: string; part: Part }) {
  const { scheduleId } = props;
  const { value, again } = useLoaded(() => load(scheduleId), [scheduleId]);
  const loaded = value.value;
  if (loaded === null) return <Loading label={t.value.loading} />;
  if (isRefusal(loaded)) {
    return (
      <>
        <Heading title={t.value.title}>{scheduleId}</Heading>
        <Refused refusal={loaded} again={() => void again()} />
      </>
    );
  }
  return <Loaded loaded={loaded} part={props.part} />;
}

function Loaded(props: { loaded: Omit<Sale, "flow">; part: Part }) {
  const { loaded } = props;
  const flow = useMemo(() => new Flow(loaded.seats), [loaded.seats]);
  useEffect(() => loaded.seats.open(), [loaded.seats]);
  useEffect(() => () => flow.end(), [flow]);
  const sale: Sale = { ...loaded, flow };
  const { scheduleId, schedule, concert } = sale;

  const live = useComputed(() => overview.value?.schedules.find((own) => own.scheduleId === scheduleId) ?? null);
  // Beyond the schedules of the overview it is read by itself. Which phase is on isn't in the overview: it is read when one may have begun.
  const own = useSignal<Schedule>(schedule);
  const isAlone = overview.value !== null && live.value === null;
  const second = isAlone ? looks.value : 0;
  const turns = useComputed(() => turnsOf(own.value).filter((at) => at <= now.value).length);
  const shown = live.value?.status;
  useEffect(() => {
    if (failure.value) return;
    void ask(api.GET("/api/v1/schedules/{scheduleId}", { params: { path: { scheduleId } } })).then((answer) => {
      if (!isRefusal(answer)) own.value = answer;
    });
  }, [second, turns.value, shown]);
  const status = live.value?.status ?? own.value.status;
  const hasRoom = live.value ? live.value.queue !== null : Boolean(own.value.policy.queue);

  const asking = useSignal<"" | "open" | "close" | "cancel">("");
  const all: [Part, string, boolean][] = [
    ["", t.value.tabs.live, may("watch")],
    ["seats", t.value.tabs.seats, may("watch")],
    ["access", t.value.tabs.access, may("watch")],
    ["counter", t.value.tabs.counter, may("sell")],
    ["room", t.value.tabs.room, may("watch") && hasRoom],
    ["history", t.value.tabs.history, may("watch")],
  ];
  const tabs = all.filter(([, , mayBe]) => mayBe);
  // Who sells alone has no other part.
  const part = may("watch") ? props.part : "counter";
  return (
    <>
      <div class="head schedule-head">
        <div>
          <Heading title={`${concert.title} · ${t.value.title}`}>{concert.title}</Heading>
          <p class="soft">
            {startOf(schedule.startsAt, sale.zone)} <Status status={status} /> <PhaseNow schedule={own.value} status={status} zone={sale.zone} />{" "}
            <code class="id">{scheduleId}</code>
          </p>
        </div>
        {may("run") && status !== "cancelled" && (
          <div class="actions">
            {status === "open" ? (
              <Button id="close-sale" onClick={() => (asking.value = "close")}>
                {t.value.closeSale}
              </Button>
            ) : (
              <Button id="open-sale" onClick={() => (asking.value = "open")}>
                {t.value.openSale}
              </Button>
            )}
            <Button id="cancel-sale" look="danger" onClick={() => (asking.value = "cancel")}>
              {t.value.cancelSale}
            </Button>
          </div>
        )}
      </div>
      <ReceiptLine scheduleId={scheduleId} />
      <nav class="tabs" aria-label={t.value.partsOf}>
        {tabs.map(([name, words]) => (
          <a key={name} href={schedulePath(scheduleId, name)} aria-current={part === name ? "page" : undefined}>
            {words}
          </a>
        ))}
      </nav>
      {part === "" && <LivePart sale={sale} live={live.value} seats={live.value?.seats ?? own.value.seats} />}
      {part === "seats" && <SeatsPart sale={sale} />}
      {part === "access" && (
        <Later
          part={({ AccessPart }) => <AccessPart sale={sale} schedule={own.value} status={status} onChange={(changed) => (own.value = changed)} />}
        />
      )}
      {part === "counter" && may("sell") && <Later part={({ CounterPart }) => <CounterPart sale={sale} />} />}
      {part === "room" && <RoomPart scheduleId={scheduleId} />}
      {part === "history" && <HistoryPart scheduleId={scheduleId} currency={schedule.currency} plan={loaded.seats.plan} />}
      {(asking.value === "open" || asking.value === "close") && (
        <AskDialog
          act={asking.value}
          scheduleId={scheduleId}
          seats={live.value?.seats ?? own.value.seats}
          title={titleOf(sale)}
          onClose={() => (asking.value = "")}
        />
      )}
      {asking.value === "cancel" && <CancelDialog sale={sale} onClose={() => (asking.value = "")} />}
    </>
  );
}

function ReceiptLine(props: { scheduleId: string }) {
  const last = receipt.value;
  if (last?.scheduleId !== props.scheduleId) return null;
  return (
    <div class="receipt" id="receipt">
      <p>
        <b>{last.words}</b> {last.by ? t.value.byWhom(last.by.who, instant(last.by.at), count(last.by.position)) : t.value.byUnknown}
      </p>
      <button type="button" class="close" aria-label={t.value.close} onClick={() => (receipt.value = null)}>
        <span aria-hidden="true">×</span>
      </button>
    </div>
  );
}

/** A question before a sale opens or closes. */
function AskDialog(props: { act: "open" | "close"; scheduleId: string; seats: Counts; title: string; onClose: () => void }) {
  const { act, seats } = props;
  const busy = useSignal(false);
  const refusal = useSignal<Refusal | null>(null);
  const send = async () => {
    busy.value = true;
    const answer = await setSale(act, props.scheduleId);
    busy.value = false;
    if (isRefusal(answer)) refusal.value = answer;
    else props.onClose();
  };
  return (
    <Dialog title={t.value.ask[act]} closeLabel={t.value.close} onClose={props.onClose}>
      <p>
        <b>{props.title}</b>
      </p>
      <p>{act === "open" ? t.value.askOpen(seats.available) : t.value.askClose(seats.held)}</p>
      {refusal.value && <Refused refusal={refusal.value} />}
      <div class="actions">
        <Button look="main" busy={busy.value} onClick={send} id="sure">
          {t.value.yes[act]}
        </Button>
        <Button onClick={props.onClose}>{t.value.no}</Button>
      </div>
    </Dialog>
  );
}

function LivePart(props: { sale: Sale; live: ScheduleOverview | null; seats: Counts }) {
  const { sale, live, seats } = props;
  const track = trackOf(sale.scheduleId);
  const { flow } = sale;
  const read =
    (...names: (keyof typeof flow.track.columns)[]) =>
    (): Columns => {
      void flow.ticks.value;
      return [flow.track.at, ...names.map((name) => flow.track.columns[name])];
    };
  const readTrack =
    (...names: (keyof typeof track.columns)[]) =>
    (): Columns => [track.at, ...names.map((name) => track.columns[name])];
  const value = useComputed(() => {
    void sale.seats.version.value;
    const { status, plan } = sale.seats;
    let [sold, whole] = [0, 0];
    const prices = plan.grades.map((name) => sale.concert.grades.find(({ grade }) => grade === name)?.price ?? 0);
    for (let seat = 0; seat < plan.count; seat++) {
      const price = prices[plan.grade[seat] as number] ?? 0;
      whole += price;
      if (status[seat] === RESERVED) sold += price;
    }
    for (const { price, capacity, reserved } of sale.seats.areas.value) {
      whole += price * capacity;
      sold += price * reserved;
    }
    return { sold, whole };
  });
  const items: Parts = [
    { label: t.value.soldSeats, value: count(seats.reserved), note: percent(seats.reserved, seats.total) },
    { label: t.value.listValue, value: money(value.value.sold, sale.schedule.currency), note: percent(value.value.sold, value.value.whole) },
    { label: t.value.heldSeats, value: count(seats.held), note: live ? t.value.liveHolds(live.liveHolds) : undefined },
    { label: t.value.freeSeats, value: count(seats.available) },
    { label: t.value.blockedSeats, value: count(seats.blocked) },
  ];
  if (live) {
    items.push(
      { label: t.value.followers, value: count(live.followers) },
      { label: t.value.paymentsPending, value: count(live.payments.pending), isLoud: live.payments.pending > 0 },
      {
        label: t.value.refundsOwed,
        value: count(live.payments.refunding),
        note: t.value.refundsDone(live.payments.refunded),
        isLoud: live.payments.refunding > 0,
      },
    );
  }
  return (
    <>
      <Figures label={t.value.tabs.live} items={items} />
      <Bar seats={seats} />
      <div class="head">
        <h2>{t.value.bySecond}</h2>
        <SpanChoice />
      </div>
      <section class="charts" aria-label={t.value.bySecond}>
        <Chart
          title={t.value.seatsTitle}
          lines={[
            { label: t.value.soldShort, colour: "s-sold", isFilled: true },
            { label: t.value.heldShort, colour: "s-held", dash: [6, 3] },
            { label: t.value.freedShort, colour: "s-wait", dash: [2, 3] },
            { label: t.value.returnedShort, colour: "s-refused", dash: [1, 4] },
          ]}
          read={read("sold", "held", "freed", "returned")}
          write={rough}
          note={sale.seats.isLive.value ? t.value.sinceOpened : t.value.mapStale}
        />
        <Chart
          title={t.value.levelsTitle}
          lines={[
            { label: t.value.soldSeats, colour: "s-sold", isFilled: true },
            { label: t.value.heldSeats, colour: "s-held", dash: [6, 3] },
          ]}
          read={readTrack("reserved", "held")}
          write={rough}
        />
        {live?.queue && (
          <Chart
            title={t.value.roomTitle}
            lines={[
              { label: t.value.waiting, colour: "s-wait", isFilled: true },
              { label: t.value.atSeats, colour: "s-sold", dash: [6, 3] },
              { label: t.value.admittedPerSecond, colour: "s-held", dash: [2, 3] },
            ]}
            read={readTrack("waiting", "active", "admitted")}
            write={rough}
          />
        )}
      </section>
      {sale.seats.plan.count > 0 && <Grades sale={sale} />}
      {sale.seats.areas.value.length > 0 && <Areas sale={sale} />}
    </>
  );
}

type Parts = Parameters<typeof Figures>[0]["items"];

/** The seats of each grade by status. */
function Grades(props: { sale: Sale }) {
  const { seats, concert, schedule } = props.sale;
  const counts = useComputed(() => {
    void seats.version.value;
    return byGrade(seats);
  });
  const price = (name: string) => concert.grades.find(({ grade }) => grade === name)?.price ?? 0;
  return (
    <section aria-labelledby="grades" class="grades">
      <h2 id="grades">{t.value.gradesTitle}</h2>
      <table class="list">
        <thead>
          <tr>
            <th scope="col">{t.value.grade}</th>
            <th scope="col" class="number">
              {t.value.price}
            </th>
            <th scope="col" class="wide">
              {t.value.seatsWord}
            </th>
            <CountHeads />
          </tr>
        </thead>
        <tbody>
          {seats.plan.grades.map((name, index) => {
            const own = counts.value[index] as number[];
            const total = own.reduce((sum, number) => sum + number, 0);
            // A grade of areas alone stands with them.
            if (total === 0) return null;
            return (
              <tr key={name}>
                <th scope="row">{name}</th>
                <td class="number" data-label={t.value.price}>
                  {money(price(name), schedule.currency)}
                </td>
                <CountCells counts={{ available: own[FREE]!, held: own[1]!, reserved: own[2]!, blocked: own[3]!, total }} />
              </tr>
            );
          })}
        </tbody>
      </table>
    </section>
  );
}

/** The heads over {@link CountCells}, but for that of the bar, which says what is counted. */
function CountHeads() {
  return (
    <>
      {STATUSES.map((name) => (
        <th scope="col" class="number" key={name}>
          {t.value.seatStatus[name]}
        </th>
      ))}
      <th scope="col" class="number">
        {t.value.soldPart}
      </th>
    </>
  );
}

/** How many places are where: as a bar, by their statuses, and which part of them is sold. */
function CountCells({ counts }: { counts: Counts }) {
  return (
    <>
      <td class="wide">
        <Bar seats={counts} />
      </td>
      {STATUSES.map((status) => (
        <td class="number" key={status} data-label={t.value.seatStatus[status]}>
          {count(counts[status])}
        </td>
      ))}
      <td class="number" data-label={t.value.soldPart}>
        {percent(counts.reserved, counts.total)}
      </td>
    </>
  );
}

/** The areas without numbered seats, whose places are counted. */
function Areas(props: { sale: Sale }) {
  const { seats, schedule } = props.sale;
  return (
    <section aria-labelledby="areas" class="grades" id="area-counts">
      <h2 id="areas">{t.value.areasTitle}</h2>
      <table class="list">
        <thead>
          <tr>
            <th scope="col">{t.value.area}</th>
            <th scope="col">{t.value.grade}</th>
            <th scope="col" class="number">
              {t.value.price}
            </th>
            <th scope="col" class="wide">
              {t.value.placesWord}
            </th>
            <CountHeads />
          </tr>
        </thead>
        <tbody>
          {seats.areas.value.map((area) => (
            <tr key={area.areaId}>
              <th scope="row">
                {area.name} <code class="id">{area.areaId}</code>
              </th>
              <td data-label={t.value.grade}>{area.grade}</td>
              <td class="number" data-label={t.value.price}>
                {money(area.price, schedule.currency)}
              </td>
              <CountCells counts={{ ...area, total: area.capacity }} />
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
