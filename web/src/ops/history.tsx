// What happened to a sale, or to one seat of it: who, what and when, from the journal.
import { useComputed, useSignal } from "@preact/signals";
import { api, ask, isRefusal, type Refusal, type Schemas } from "../base/api";
import { count, money } from "../base/language";
import { useLoaded } from "../base/load";
import { go, here } from "../base/router";
import { Button, Field, Loading } from "../base/ui";
import type { Plan } from "../map/plan";
import { Choice, historyPath, instantOfDay, lookupPath, schedulePath, seatName } from "./parts";
import { Refused } from "./refusal";
import { t } from "./texts";
import { may } from "./who";

type HistoryItem = Schemas["HistoryItem"];
type History = Schemas["History"];

export const historyOf = (scheduleId: string, seatId: string | null, limit: number): Promise<History | Refusal> =>
  ask(api.GET("/api/v1/admin/schedules/{scheduleId}/history", { params: { path: { scheduleId }, query: { limit, ...(seatId ? { seatId } : {}) } } }));

const text = (value: unknown) => (typeof value === "string" ? value : "");

/** What happened, in words. */
export function EventWords(props: { item: HistoryItem; currency: string }) {
  const { type } = props.item;
  const data = props.item.data as Record<string, unknown>;
  const seats = Array.isArray(data.seats) ? (data.seats as string[]) : [];
  const named = seats.length > 4 ? `${seats.slice(0, 4).join(", ")} ${t.value.andMore(seats.length - 4)}` : seats.join(", ");
  const places = Array.isArray(data.areas) ? (data.areas as { areaId: string; count: number }[]) : [];
  // What else it was about: a phase, an allotment, a code, or codes that are told by how they begin.
  const made = typeof data.count === "number" ? `${text(data.prefix)}… ×${count(data.count)}` : "";
  const about = [text(data.phaseId), text(data.name) || text(data.allotmentId), text(data.code), made].filter(Boolean).join(", ");
  const words = (t.value.events as Record<string, string>)[type] ?? type;
  return (
    <>
      <b>{words}</b>
      {named && <> {named}</>}
      {places.length > 0 && <> {places.map(({ areaId, count: number }) => `${areaId} ×${count(number)}`).join(", ")}</>}
      {about && <> {about}</>}
      {typeof data.amount === "number" && <> {money(data.amount, text(data.currency) || props.currency)}</>}
    </>
  );
}

/** Who asked for it. */
function Who(props: { item: HistoryItem }) {
  const data = props.item.data as Record<string, unknown>;
  const user = text(data.userId);
  if (data.by === "admin") return <span class="admin">{text(data.adminId)}</span>;
  if (!user) return <span class="soft">{(t.value.by as Record<string, string>)[text(data.by)] ?? text(data.by)}</span>;
  const name = may("readAll") ? <a href={lookupPath(user)}>{user}</a> : <>{user}</>;
  return data.by === "engine" ? (
    <>
      {name} <span class="soft">{t.value.byEngine}</span>
    </>
  ) : (
    name
  );
}

/** The newest events, once they are read. */
export function HistoryTable(props: {
  scheduleId: string;
  seatId: string | null;
  currency: string;
  limit: number;
  actsOnly?: boolean;
  second?: number;
  /** Has more than `limit` listed. */
  onMore?: () => void;
}) {
  const { scheduleId, seatId, limit } = props;
  const { value, again } = useLoaded(() => historyOf(scheduleId, seatId, limit), [scheduleId, seatId, limit, props.second]);
  const lines = useComputed(() => {
    const now = value.value;
    return now && !isRefusal(now) ? now.items : [];
  });
  const now = value.value;
  if (now === null) return <Loading label={t.value.loading} />;
  if (isRefusal(now)) return <Refused refusal={now} again={() => void again()} />;
  const shown = props.actsOnly ? lines.value.filter(({ data }) => (data as Record<string, unknown>).by === "admin") : lines.value;
  const isWhole = now.items.length < limit;
  return (
    <>
      {shown.length === 0 ? (
        <p class="empty">{now.items.length > 0 ? t.value.noActs : seatId ? t.value.noEventsOfSeat : t.value.noEvents}</p>
      ) : (
        <table class="list events">
          <thead>
            <tr>
              <th scope="col">{t.value.when}</th>
              <th scope="col">{t.value.what}</th>
              <th scope="col">{t.value.byWho}</th>
              <th scope="col">{t.value.reservation}</th>
              <th scope="col" class="number">
                {t.value.position}
              </th>
            </tr>
          </thead>
          <tbody>
            {shown.map((item) => {
              const id = text((item.data as Record<string, unknown>).reservationId);
              return (
                <tr key={item.position}>
                  <td class="nowrap">
                    <time dateTime={item.at}>{instantOfDay(item.at)}</time>
                  </td>
                  <td class="what">
                    <EventWords item={item} currency={props.currency} />
                  </td>
                  <td data-label={t.value.byWho}>
                    <Who item={item} />
                  </td>
                  <td data-label={id ? t.value.reservation : undefined}>
                    {id && (may("readAll") ? <a href={lookupPath(id)}>{id}</a> : <code class="id">{id}</code>)}
                  </td>
                  <td class="number soft" data-label={t.value.position}>
                    {count(item.position)}
                  </td>
                </tr>
              );
            })}
          </tbody>
        </table>
      )}
      {!isWhole && props.onMore && (
        <div class="actions">
          <Button onClick={props.onMore}>{t.value.showThousand}</Button>
        </div>
      )}
      <p class="soft small">{isWhole ? t.value.historyWhole(count(now.oldestPosition)) : t.value.historyNewest(count(now.items.length))}</p>
    </>
  );
}

export function HistoryPart(props: { scheduleId: string; currency: string; plan: Plan }) {
  const { scheduleId, plan } = props;
  const seatId = here.value.query.get("seat");
  const seat = seatId === null ? undefined : plan.indexOf(seatId);
  const which = useSignal<"all" | "acts">("all");
  const limit = useSignal(100);
  const second = useSignal(0);
  const send = (event: Event) => {
    event.preventDefault();
    const wanted = String(new FormData(event.target as HTMLFormElement).get("seat") ?? "").trim();
    go(wanted ? historyPath(scheduleId, wanted) : schedulePath(scheduleId, "history"), { replace: true });
  };
  return (
    <>
      <div class="history-tools">
        <Choice
          label={t.value.which}
          value={which.value}
          options={[
            ["all", t.value.everything],
            ["acts", t.value.actsOnly],
          ]}
          onChange={(value) => (which.value = value)}
        />
        <form class="seat-form" onSubmit={send} key={seatId}>
          <Field label={t.value.seatId} name="seat" defaultValue={seatId ?? ""} autoComplete="off" spellcheck={false} />
          <Button type="submit">{t.value.find}</Button>
        </form>
        <Button onClick={() => (second.value += 1)}>{t.value.again}</Button>
      </div>
      {seatId && (
        <div class="head">
          <h2>{t.value.historyOf(seat === undefined ? seatId : seatName(plan, seat))}</h2>
          <a href={schedulePath(scheduleId, "history")}>{t.value.everySeat}</a>
        </div>
      )}
      <HistoryTable
        scheduleId={scheduleId}
        seatId={seatId}
        currency={props.currency}
        limit={seatId ? 1000 : limit.value}
        actsOnly={which.value === "acts"}
        second={second.value}
        {...(seatId === null && limit.value === 100 ? { onMore: () => (limit.value = 1000) } : {})}
      />
    </>
  );
}
