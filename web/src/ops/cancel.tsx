// The cancellation of a performance: who is concerned and with how much money is said before, and its id is typed.
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { api, ask, isRefusal, type Refusal } from "../base/api";
import { count, money } from "../base/language";
import { Button, Dialog, Field, Loading } from "../base/ui";
import { RESERVED } from "../map/feed";
import { setSale } from "./acts";
import { Refused } from "./refusal";
import { type Sale, titleOf } from "./schedule";
import { t } from "./texts";
import { may } from "./who";

/** Who loses something by a cancellation. */
interface Concerned {
  /** How many people have paid; null where the token may not read that. */
  people: number | null;
  reservations: number | null;
  seats: number;
  amount: number;
  /** Whether the amount is what was paid, and not the seats' list prices. */
  isPaid: boolean;
}

async function concerned(sale: Sale, onCount: (reservations: number) => void, signal: AbortSignal): Promise<Concerned | Refusal> {
  const { plan, status } = sale.seats;
  let [seats, amount] = [0, 0];
  for (let seat = 0; seat < plan.count; seat++) {
    if (status[seat] !== RESERVED) continue;
    seats += 1;
    const name = plan.grades[plan.grade[seat] as number];
    amount += sale.concert.grades.find(({ grade }) => grade === name)?.price ?? 0;
  }
  for (const { reserved, price } of sale.seats.areas.value) [seats, amount] = [seats + reserved, amount + reserved * price];
  if (!may("readAll")) return { people: null, reservations: null, seats, amount, isPaid: false };

  const people = new Set<string>();
  let [reservations, paid, cursor] = [0, 0, undefined as string | undefined];
  [seats] = [0];
  do {
    const query = { status: "confirmed" as const, limit: 1000, ...(cursor ? { cursor } : {}) };
    const page = await ask(
      api.GET("/api/v1/schedules/{scheduleId}/reservations", { params: { path: { scheduleId: sale.scheduleId }, query }, signal }),
    );
    if (isRefusal(page)) return page;
    for (const item of page.items) {
      // What the box office sold may be nobody's.
      if (item.userId !== null) people.add(item.userId);
      reservations += 1;
      seats += item.seats.length + (item.areas ?? []).reduce((sum, area) => sum + area.count, 0);
      paid += item.amount;
    }
    onCount(reservations);
    cursor = page.nextCursor ?? undefined;
  } while (cursor);
  return { people: people.size, reservations, seats, amount: paid, isPaid: true };
}

export function CancelDialog(props: { sale: Sale; onClose: () => void }) {
  const { sale } = props;
  const { scheduleId, schedule } = sale;
  const found = useSignal<Concerned | Refusal | null>(null);
  const counted = useSignal(0);
  const typed = useSignal("");
  const busy = useSignal(false);
  const refusal = useSignal<Refusal | null>(null);
  const isMissing = useSignal(false);
  useEffect(() => {
    const end = new AbortController();
    void concerned(sale, (number) => (counted.value = number), end.signal).then((answer) => {
      if (!end.signal.aborted) found.value = answer;
    });
    return () => end.abort();
  }, []);

  const send = async (event: Event) => {
    event.preventDefault();
    if (busy.value) return;
    isMissing.value = typed.value.trim() !== scheduleId;
    if (isMissing.value) return;
    busy.value = true;
    const answer = await setSale("cancel", scheduleId);
    busy.value = false;
    if (isRefusal(answer)) refusal.value = answer;
    else props.onClose();
  };
  const now = found.value;
  const sum = (amount: number) => money(amount, schedule.currency);
  return (
    <Dialog title={t.value.ask.cancel} closeLabel={t.value.close} onClose={props.onClose}>
      <p>
        <b>{titleOf(sale)}</b>
      </p>
      <p>{t.value.cancelText}</p>
      {now === null ? (
        <Loading label={t.value.counting(count(counted.value))} />
      ) : isRefusal(now) ? (
        <Refused refusal={now} />
      ) : (
        <p class="at-stake" id="at-stake">
          {now.people === null
            ? t.value.stakeSeats(now.seats, sum(now.amount))
            : t.value.stake(now.people, now.reservations ?? 0, now.seats, sum(now.amount))}
        </p>
      )}
      <form onSubmit={send} noValidate>
        <p class="label">
          {t.value.typeId} <code class="id">{scheduleId}</code>
        </p>
        <Field
          label={t.value.scheduleId}
          name="scheduleId"
          autoComplete="off"
          spellcheck={false}
          value={typed.value}
          onInput={(event) => {
            typed.value = (event.target as HTMLInputElement).value;
            isMissing.value = false;
          }}
          wrong={isMissing.value ? t.value.typeIdWrong : undefined}
        />
        {refusal.value && <Refused refusal={refusal.value} />}
        <div class="actions">
          <Button type="submit" look="danger" busy={busy.value} disabled={now === null} id="cancel-sure">
            {t.value.yes.cancel}
          </Button>
          <Button onClick={props.onClose}>{t.value.no}</Button>
        </div>
      </form>
    </Dialog>
  );
}
